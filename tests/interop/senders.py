"""senders -- what t_sender needs: keys, a zone with their records on real name servers, letters with awkward
bodies, signers and verifiers that are not ours (python3-dkim, Debian's opendkim), verdicts read from a message."""
import base64
import os
import re
import subprocess

from harness import Skip, answers, find, read, until
from t_dns import NSD, UNBOUND, resolves, udp_port

try:
    import authres
    import dkim
    import dkim.crypto
except ImportError:
    authres = dkim = None

TROUBLE = """forward-zone:
  name: "trouble.example"
  forward-addr: 127.0.0.1@{stub}
"""


def need(run, *tools):
    """Also the two libraries of Python, which may stand there as tools do."""
    if dkim is None:
        raise Skip("no python3-dkim or no python3-authres")
    run.need("openssl", *tools)


def openssl(*argv):
    p = subprocess.run([find("openssl"), *argv], capture_output=True, check=True)
    return p.stdout


class Key:
    """A key pair: PEM for us and opendkim, what python3-dkim wants, and the record that publishes it."""

    def __init__(self, run, name, kind="rsa", bits=2048):
        self.run, self.kind, self.path = run, kind, run.path(name + ".pem")
        more = ["-pkeyopt", f"rsa_keygen_bits:{bits}"] if kind == "rsa" else []
        openssl("genpkey", "-algorithm", kind, *more, "-out", self.path)
        os.chmod(self.path, 0o600)
        self.load(self.path)

    def load(self, path):
        self.path = path
        public = openssl("pkey", "-in", path, "-pubout", "-outform", "DER")
        with open(path, "rb") as f:
            self.pem = f.read()
        if self.kind == "rsa":
            self.private = self.pem
        else:
            seed = openssl("pkey", "-in", path, "-outform", "DER")[-32:]
            self.private, public = base64.b64encode(seed), public[-32:]
        self.algorithm = f"{self.kind}-sha256"
        self.record = f"v=DKIM1; k={self.kind}; p={base64.b64encode(public).decode()}"


class Zone:
    """The zone `example', served by nsd behind unbound; names below trouble.example are the stub's."""

    def __init__(self, run):
        self.run, self.texts, self.others = run, {}, []

    def txt(self, name, *texts):
        """name without the final `example'."""
        self.texts.setdefault(name, []).extend(texts)

    def add(self, line):
        self.others.append(line)

    def lines(self):
        yield "$TTL 300\n@ IN SOA ns hostmaster 1 3600 900 604800 60\n@ IN NS ns\nns IN A 127.0.0.1"
        for name, texts in self.texts.items():
            for text in texts:
                parts = [text[i : i + 250] for i in range(0, len(text), 250)]
                yield f"{name} IN TXT " + " ".join('"' + p.replace(";", "\\;") + '"' for p in parts)
        yield from self.others

    def serve(self, stub=None):
        """The port of unbound."""
        run = self.run
        run.need("nsd", "unbound")
        behind, port = udp_port(run), udp_port(run)
        folder = run.folder("nsd")
        run.put("nsd/zone", "\n".join(self.lines()) + "\n")
        conf = NSD.format(port=behind, dir=folder, user="").replace("zone.example", "example")
        self.start("nsd", "-d", "-c", run.put("nsd/nsd.conf", conf), port=behind)
        folder = run.folder("unbound")
        conf = UNBOUND.format(port=port, dir=folder, nsd=behind).replace("zone.example", "example")
        # The name that Postfix says in HELO is below com: this is not the place to ask the world.
        conf = conf.replace("remote-control:", '  local-zone: "com." static\nremote-control:')
        conf += TROUBLE.format(stub=stub) if stub else ""
        self.start("unbound", "-d", "-c", run.put("unbound/unbound.conf", conf), port=port)
        return port

    def start(self, tool, *argv, port):
        self.run.start([find(tool), *argv], self.run.path(tool + ".out"))
        if not until(lambda: resolves(port, "ns.example", seconds=0.3) == 0, 10):
            raise RuntimeError(f"{tool} does not answer:\n" + read(self.run.path(tool + ".out")))

    def ask(self, name, timeout=5):
        """A TXT record for python3-dkim; None: there is none."""
        del timeout
        name = name.decode() if isinstance(name, bytes) else name
        found = self.texts.get(name.rstrip(".").removesuffix(".example"))
        return found[0].encode() if found else None

    def file(self):
        """The same for opendkim (TestPublicKeys)."""
        return self.run.put("keys.txt", "".join(f"{n}.example {t[0]}\n" for n, t in self.texts.items()))


# --- letters

BODIES = {
    "short": b"hello\r\n",
    "empty": b"",
    "one empty line": b"\r\n",
    "empty lines alone": b"\r\n" * 6,
    "empty lines first": b"\r\n\r\nthen a word\r\n",
    "no final line end": b"one\r\ntwo",
    "a blank and no line end": b"one\r\ntwo \t",
    "empty lines at the end": b"one\r\n\r\n\r\n\r\n",
    "blanks at ends": b"a  b\t c \t\r\n \t \r\n   \r\n\t\r\n",
    "long lines": b"x y" * 3000 + b"\r\n" + b"z" * 900 + b"\r\n",
    "8-bit": bytes(range(128, 256)) * 3 + b"\r\n\xff\xfe\r\n",
    "dots": b".\r\n..\r\n. \r\n...a\r\n.\r\n",
    "large": b"".join(b"line %d  of   many \r\n" % i for i in range(20000)),
}


def letter(body, sender="a@signed.example", more=b"", name="x"):
    return (
        more
        + b"Received: from  inside\r\n\tby outside; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
        + b"From:  \"A.  Sender\"   <%s>\r\nTo: u@example.com\r\n" % sender.encode()
        + b"Subject:  a folded\r\n\t  subject  with\tblanks \r\nX-Letter: %s\r\n" % name.encode()
        + b"Date: Mon, 01 Jan 2024 00:00:00 +0000\r\nMessage-Id: <%s@signed.example>\r\nX-Empty:\r\n" % name.encode()
        + b"\r\n"
        + body
    )


def whole(text):
    """As it is signed: with the end of its last line, which SMTP gives it."""
    return text if text.endswith(b"\r\n") else text + b"\r\n"


def sign(text, key, selector, domain="signed.example", how=b"relaxed/relaxed", **more):
    """Signed with python3-dkim, which must be given whole lines."""
    return dkim.sign(
        whole(text), selector.encode(), domain.encode(), key.private, canonicalize=tuple(how.split(b"/")),
        signature_algorithm=key.algorithm.encode(), **more,
    ) + text  # fmt: skip


# --- verdicts

def fields(text, name):
    """The values of the fields of that name, unfolded."""
    head = text.split(b"\r\n\r\n", 1)[0] + b"\r\n"
    head = re.sub(rb"\r\n[ \t]+", b" ", head)
    return re.findall(rb"(?im)^" + name.encode() + rb"[ \t]*:[ \t]*(.*?)\r$", head)


def verdicts(text, name="mx.example.com"):
    """What the field Authentication-Results of that name says: [(method, result, {property: value})], by
    python3-authres, which takes none that is not well-formed; None: there is not exactly one."""
    found = []
    for value in fields(text, "Authentication-Results"):
        try:
            told = authres.AuthenticationResultsHeader.parse(
                "Authentication-Results: " + value.decode("utf-8", "surrogateescape")
            )
        except Exception as e:  # pylint: disable=broad-except
            raise ValueError(f"not well-formed: {value!r}: {e!r}") from e
        if told.authserv_id.lower() == name:
            found.append(told)
    if len(found) != 1:
        return None
    return [
        (r.method, r.result, {f"{p.type}.{p.name}": p.value for p in r.properties})
        for r in found[0].results or ()
    ]


def results(told, method):
    return [r for m, r, _ in told or () if m == method]


# --- opendkim

OPENDKIM = """Syslog no
Background no
Mode {mode}
Socket inet:{port}@127.0.0.1
RequireSafeKeys no
PidFile {dir}/pid
InternalHosts {inside}
ExternalIgnoreList {inside}
"""


class OpenDKIM:
    """Debian's opendkim as a milter: it signs for one key, or verifies."""

    def __init__(self, run, name, mode, more, inside="127.0.0.0/8"):
        run.need("opendkim")
        folder, self.port = run.folder(name), run.port()
        text = OPENDKIM.format(mode=mode, port=self.port, dir=folder, inside=inside) + more
        conf = run.put(os.path.join(folder, "conf"), text)
        self.process = run.start([find("opendkim"), "-f", "-x", conf], run.path(name + ".out"))
        if not until(lambda: answers(self.port) or self.process.poll() is not None, 10):
            raise RuntimeError("opendkim does not listen:\n" + read(run.path(name + ".out")))
        if self.process.poll() is not None:
            raise RuntimeError("opendkim has ended:\n" + read(run.path(name + ".out")))

    @classmethod
    def signer(cls, run, name, key, selector, how):
        table = run.put(name + ".keys", f"one signed.example:{selector}:{key.path}\n")
        who = run.put(name + ".who", "signed.example one\n")
        return cls(
            run, name, "s",
            f"KeyTable file:{table}\nSigningTable file:{who}\nCanonicalization {how}\n"
            f"SignatureAlgorithm {key.algorithm}\nOversignHeaders From,Subject\n",
        )  # fmt: skip

    @classmethod
    def verifier(cls, run, name, zone):
        return cls(
            run, name, "v", f"TestPublicKeys {zone.file()}\nAuthservID odkim.example\nAlwaysAddARHeader yes\n",
            inside="203.0.113.9",
        )  # fmt: skip


def opendkim_says(run, zone, text, name="letter"):
    """What `opendkim -t' finds of a message with one signature.  It drops blanks in front of values, which a
    signature with relaxed headers does not mind."""
    conf = run.put("od.conf", f"Mode v\nSyslog no\nTestPublicKeys {zone.file()}\n")
    path = run.path(name + ".eml")
    with open(path, "wb") as f:
        f.write(text)
    return run.command([find("opendkim"), "-x", conf, "-t", path])[1]


def alone(text, number, name=b"DKIM-Signature"):
    """The message with one of its fields of that name."""
    head, gap, body = text.partition(b"\r\n\r\n")
    parts = re.findall(rb"[^\r\n]+(?:\r\n[ \t][^\r\n]*)*\r\n", head + b"\r\n")
    n, kept = -1, []
    for p in parts:
        if p.lower().startswith(name.lower() + b":"):
            n += 1
            if n != number:
                continue
        kept.append(p)
    return b"".join(kept) + gap[2:] + body
