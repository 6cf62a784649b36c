"""letters -- generated messages, and what of them must arrive."""
import random
import re

ODD = re.compile(rb"\r\n|[\r\n\0]")
CANON = {b"\r\n": b"\r\n", b"\n": b"\r\n", b"\r": b" ", b"\0": b""}


def canonical(raw):
    """As postern.conf(5) has it: CRLF only, bare CR a blank, no NUL, a whole last line."""
    text = ODD.sub(lambda m: CANON[m.group()], raw)
    return text if not text or text.endswith(b"\r\n") else text + b"\r\n"


FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")


def arriving(text):
    """What becomes of canonical text: lines of mbox files in front are fields, behind the header is an empty line."""
    front, at, fields = [], 0, 0
    while len(front) < 16 and re.match(rb">*From ", text[at:]):
        end = text.index(b"\r\n", at) + 2
        front.append(b"X-Mailbox-Line: " + text[at:end])
        at = end
    rest = text[at:]
    at = 0
    while at < len(rest):
        if rest[at : at + 2] == b"\r\n":
            return b"".join(front) + rest
        end = rest.index(b"\r\n", at) + 2
        if not (fields > 0 and rest[at : at + 1] in (b" ", b"\t")):
            if not FIELD.match(rest[at:end]):
                return b"".join(front) + rest[:at] + b"\r\n" + rest[at:]
            fields += 1
        at = end
    return b"".join(front) + rest


def for_data(raw):
    """DATA can carry whole lines only."""
    return raw if not raw or raw.endswith(b"\r\n") else raw + b"\r\n"


def stuffed(text):
    """DATA's form of a text, with its end mark: dots doubled at the start of CRLF lines."""
    text = text.replace(b"\r\n.", b"\r\n..")
    return (b"." if text[:1] == b"." else b"") + text + b".\r\n"


PRINT = bytes(range(32, 127))
EIGHT = bytes(set(range(1, 256)) - {10, 13})


class Maker:
    """Makes letters from a seed; each kind is a method, named in KINDS."""

    KINDS = (
        "plain",
        "plain",
        "plain",
        "long_lines",
        "eight_bit",
        "dots",
        "many_fields",
        "no_header",
        "no_body",
        "blank_end",
        "no_last_end",
        "folded",
        "from_line",
        "end_marks",
        "nothing",
        "odd_octets",
        "blank_first",
        "dot_last",
        "one_line",
        "big",
    )

    def __init__(self, seed):
        self.r = random.Random(seed)

    def letter(self, i):
        """(kind, raw text)"""
        kind = self.KINDS[i % len(self.KINDS)]
        return kind, getattr(self, kind)(i)

    def size(self):
        """Octets of a body: most are small."""
        x = self.r.random()
        if x < 0.6:
            return self.r.randrange(0, 4096)
        if x < 0.88:
            return self.r.randrange(4096, 65536)
        if x < 0.97:
            return self.r.randrange(65536, 524288)
        return self.r.randrange(524288, 2 * 1024 * 1024)

    def octets(self, n, among=PRINT):
        if n < 20000:
            return bytes(self.r.choices(among, k=n))
        return (self.octets(9973, among) * (n // 9973 + 1))[:n]

    def head(self, i, more=b""):
        return (
            b"From: <a@client.example>\r\nTo: <m%d@example.com>\r\nSubject: letter %d\r\n"
            b"Date: Mon, 01 Jan 2024 00:00:00 +0000\r\nMessage-Id: <%d@client.example>\r\n"
            b"MIME-Version: 1.0\r\nX-Letter: %d\r\n" % (i, i, i, i)
        ) + more

    def lines(self, n, longest=78, among=PRINT, ends=(b"\r\n",), starts=(b"",)):
        """Lines of n octets in all, about."""
        pool = self.octets(min(n, 30000) + longest + 1, among)
        out, size = [], 0
        while size < n:
            at, k = self.r.randrange(0, len(pool) - longest), self.r.randrange(0, longest + 1)
            line = self.r.choice(starts) + pool[at : at + k] + self.r.choice(ends)
            out.append(line)
            size += len(line)
        return b"".join(out)

    def plain(self, i):
        return self.head(i) + b"\r\n" + self.lines(self.size())

    def long_lines(self, i):
        return (
            self.head(i)
            + b"\r\n"
            + self.lines(self.size() + 5000, self.r.choice((998, 5000, 70000)))
        )

    def eight_bit(self, i):
        return self.head(i) + b"\r\n" + self.lines(self.size(), 200, EIGHT)

    def dots(self, i):
        starts = (b".", b"..", b"...", b"", b".\r\n", b"..\r\n", b". ")
        return self.head(i) + b"\r\n" + self.lines(self.size(), 20, PRINT, starts=starts)

    def many_fields(self, i):
        fields = b"".join(
            b"X-F%d: %s\r\n" % (k, self.octets(self.r.randrange(1, 300)))
            for k in range(self.r.randrange(100, 800))
        )
        return self.head(i, fields) + b"\r\n" + self.lines(self.size())

    def no_header(self, _i):
        return b"no field here, only words\r\n" + self.lines(self.size())

    def no_body(self, i):
        return self.head(i) + self.r.choice((b"", b"\r\n", b"\r\n\r\n"))

    def blank_end(self, i):
        return self.plain(i) + b"\r\n" * self.r.randrange(1, 50)

    def no_last_end(self, i):
        return self.plain(i) + self.r.choice((b"end", b".", b"..", b" ", b"\r\n."))

    def folded(self, i):
        folds = b"".join(
            b"X-Folded-%d: a\r\n%s" % (k, self.lines(600, 60, b"abc ;=", starts=(b" ", b"\t")))
            for k in range(20)
        )
        return self.head(i, folds) + b"\r\n" + self.lines(self.size())

    def from_line(self, i):
        first = self.r.choice(
            (b"From a@client.example Mon Jan  1 00:00:00 2024\r\n", b">From a@b c\r\n")
        )
        return (
            first
            + self.head(i)
            + b"\r\nFrom the body\r\n"
            + self.lines(self.size(), starts=(b"From ", b""))
        )

    def end_marks(self, i):
        tricks = (
            b".\r\n",
            b"\r\n..\r\n",
            b"..\r\n..\r\n",
            b".\r\nMAIL FROM:<x@y>\r\n",
            b"\r\n\r\n.\r\n",
            b". \r\n",
        )
        body = b"".join(
            self.r.choices(tricks + (self.octets(50) + b"\r\n",), k=self.r.randrange(1, 2000))
        )
        return self.head(i) + b"\r\n" + body

    def nothing(self, i):
        return (b"", b"\r\n", b".\r\n", b"a", b".")[i // len(self.KINDS) % 5]

    def odd_octets(self, i):
        ends = (
            b"\r\n",
            b"\n",
            b"\r",
            b"\0",
            b"\n.\n",
            b"\r.\r",
            b"\r\0\n",
            b"\n.\r\n",
            b"\r\n.\n",
            b"\r\r\n",
            b"\r\n\0.\r\n",
            b"\r\n.\r",
        )
        return self.head(i) + b"\r\n" + self.lines(self.size(), 40, PRINT, ends)

    def blank_first(self, _i):
        return b"\r\n" * self.r.randrange(1, 4) + self.lines(self.size())

    def dot_last(self, i):
        return self.plain(i) + b"\r\n."

    def one_line(self, i):
        return self.head(i) + b"\r\n" + self.octets(self.size() + 1) + b"\r\n"

    def big(self, i):
        return self.head(i) + b"\r\n" + self.lines(self.r.randrange(200000, 1200000), 900)
