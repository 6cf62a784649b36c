"""soak_far -- who receives: SMTP servers with moods, which note each message before they say 250.

The journal is what the verdict counts by.  What a letter should have been is not known here, nor
when a server goes down: the week says that."""
import collections
import hashlib
import random
import re
import socket
import threading
import time

from far_end import Gone, Peer

TIMEOUT = 3  # that Postern has for us, seconds
EHLO = b"250-far.end.example\r\n250-SIZE 100000000\r\n250-8BITMIME\r\n250-PIPELINING\r\n"
EHLO += b"250-CHUNKING\r\n250-ENHANCEDSTATUSCODES\r\n250 AUTH PLAIN\r\n"

# A message as it was taken; letter: its X-Letter field, sha: of the body, signed: by our `sign'.
Taken = collections.namedtuple("Taken", "letter to sha signed")


class Far:
    """One server: its port, its mood, its journal."""

    # How often, of a hundred ends of a message, it does what with it while it is not kind.
    ENDS = {"take": 88, "refuse": 3, "lose": 2, "mute": 2, "late": 1, "bye": 4}

    def __init__(self, port, seed):
        self.port, self.r = port, random.Random(seed)
        self.journal, self.socks, self.odd = [], set(), collections.Counter()
        self.kind, self.listener = True, None
        self.up()

    def up(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=200)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def down(self):
        """As when it is killed: nobody listens, all connections are gone."""
        self.odd["stopped"] += 1
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in list(self.socks):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.socks.add(sock)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Talk(self, Peer(sock)).main()
        except (OSError, Gone):
            pass
        finally:
            self.socks.discard(sock)
            sock.close()

    def trip(self, p, stage, ways=("defer", "close", "bye", "hang"), often=0.008):
        """Now and then it does not what was wanted; True: it has said 4xx."""
        if self.kind or self.r.random() > often:
            return False
        how = self.r.choice(ways)
        self.odd[f"{stage} {how}"] += 1
        if how == "defer":
            p.say(b"450 4.3.2 not now\r\n")
            return True
        if how == "bye":
            p.say(b"421 4.3.2 not now\r\n")
        elif how == "hang":
            time.sleep(TIMEOUT + 2)
        raise Gone()

    def end(self, p, to, text):
        """A whole message is here: lose and refuse do not take it, all others do."""
        how = "take" if self.kind else self.r.choices(*zip(*self.ENDS.items()))[0]
        self.odd[f"end {how}"] += how != "take"
        if how == "lose":
            raise Gone()
        if how == "refuse":
            p.say(b"451 4.3.0 not this one\r\n")
            return
        self.note(to, text)
        if how == "mute":
            raise Gone()
        if how == "late":
            time.sleep(TIMEOUT + 2)
        p.say(b"250 2.0.0 taken\r\n")
        if how == "bye":
            raise Gone()

    def note(self, to, text):
        head, _, body = text.partition(b"\r\n\r\n")
        key = re.search(rb"^X-Letter: (\S+)", head, re.M)
        sha = hashlib.sha256(body).hexdigest()
        signed = head.startswith(b"DKIM-Signature:")
        self.journal.append(Taken(key and key[1].decode(), set(to), sha, signed))


class Talk:
    """One connection to such a server."""

    def __init__(self, far, p):
        self.far, self.p, self.to, self.chunks = far, p, [], []
        self.verbs = {
            "EHLO": self.ehlo,
            "AUTH": self.auth,
            "MAIL": self.afresh,
            "RSET": self.afresh,
            "NOOP": self.afresh,
            "RCPT": self.rcpt,
            "DATA": self.data,
        }

    def main(self):
        self.far.trip(self.p, "greeting", ("close", "bye", "hang"))
        self.p.say(b"220 far.end.example ESMTP\r\n")
        while True:
            line = self.p.line().rstrip(b"\r\n").decode()
            verb = line.split(" ")[0].upper()
            if verb == "BDAT":
                self.bdat(line)
            elif verb == "QUIT":
                self.p.say(b"221 2.0.0 Bye\r\n")
                return
            elif not self.far.trip(self.p, verb):
                self.verbs.get(verb, self.unknown)(line)

    def ehlo(self, _line):
        self.p.say(EHLO)

    def auth(self, line):
        self.p.say(b"235 2.7.0 Ok\r\n" if "bad" not in line else b"535 5.7.8 no\r\n")

    def afresh(self, _line):
        self.to, self.chunks = [], []
        self.p.say(b"250 2.0.0 Ok\r\n")

    def rcpt(self, line):
        self.to.append(line[9 : line.index(">")])
        self.p.say(b"250 2.1.5 Ok\r\n")

    def data(self, line):
        if not self.to:
            self.unknown(line)
            return
        self.p.say(b"354 go ahead\r\n")
        self.far.trip(self.p, "text", ("close", "hang"))
        self.whole(self.p.text())

    def bdat(self, line):
        self.far.trip(self.p, "chunk", ("close", "hang"))
        self.chunks.append(self.p.octets(int(line.split(" ")[1])))
        if not self.to:
            self.p.say(b"503 5.5.1 RCPT first\r\n")
        elif line.upper().endswith(" LAST"):
            self.whole(b"".join(self.chunks))
        else:
            self.p.say(b"250 2.0.0 Ok\r\n")

    def whole(self, text):
        self.far.end(self.p, self.to, text)
        self.to = []

    def unknown(self, _line):
        self.p.say(b"503 5.5.1 what?\r\n")
