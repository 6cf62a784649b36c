"""sasl -- the client's side of the mechanisms that the tests need, from the RFCs."""
import base64
import hashlib
import hmac
import os


def b64(octets):
    return base64.b64encode(octets).decode()


def plain(user, password, author=""):
    """RFC 4616."""
    return b64(f"{author}\0{user}\0{password}".encode())


def cram_md5(challenge, user, password):
    """RFC 2195."""
    digest = hmac.new(password.encode(), base64.b64decode(challenge), "md5").hexdigest()
    return b64(f"{user} {digest}".encode())


class Scram:
    """RFC 5802, without channel binding: first(), final(challenge), and verify(the server's last word)."""

    def __init__(self, user, password, name="sha256"):
        self.user, self.password, self.name = user, password.encode(), name
        self.nonce = b64(os.urandom(18))
        self.signature = None

    def first(self):
        self.bare = f"n={self.user},r={self.nonce}"
        return b64(("n,," + self.bare).encode())

    def final(self, challenge):
        server = base64.b64decode(challenge).decode()
        said = dict(x.split("=", 1) for x in server.split(","))
        if not said["r"].startswith(self.nonce):
            raise ValueError("the server's nonce does not begin with ours: " + server)
        salted = hashlib.pbkdf2_hmac(
            self.name, self.password, base64.b64decode(said["s"]), int(said["i"])
        )
        bare = f"c=biws,r={said['r']}"
        signed = f"{self.bare},{server},{bare}".encode()
        key = hmac.new(salted, b"Client Key", self.name).digest()
        proof = hmac.new(hashlib.new(self.name, key).digest(), signed, self.name).digest()
        self.signature = hmac.new(
            hmac.new(salted, b"Server Key", self.name).digest(), signed, self.name
        ).digest()
        return b64(f"{bare},p={b64(bytes(a ^ b for a, b in zip(key, proof)))}".encode())

    def verify(self, last):
        """Is it really the server that knows the password?"""
        return base64.b64decode(last) == b"v=" + b64(self.signature).encode()
