"""homes -- the filter of tests/milter/probe.c in each of its homes, one Postern before each; sessions that are played
against all of them, and what comes of each: replies, what arrives, what the filter was told."""
import itertools
import os
import re
import sys

from client import Client, Lost
from harness import HERE, PROGRAM, Skip, end, read, until
from letters import stuffed
from servers import FarEnd, Postern, pool_of

PROBES = os.path.join(os.path.dirname(PROGRAM), "obj", "tests", "milter")
EHLO, MAIL, RCPT = "EHLO client.example", "MAIL FROM:<a@client.example>", "RCPT TO:<b@example.com>"
# What differs from one session, or one Postern, to the next.
VARYING = re.compile(r"(?<=\()[0-9a-z]{8}(\.\d+)?(?=\))")
RECEIVED = re.compile(rb"^Received: .*\r\n(?:[ \t].*\r\n)*", re.M)


def letter(*orders, fields=(), body=b"one line\r\n.a dot\r\n"):
    """A message with these orders for the filter."""
    lines = ["Subject: a letter", *fields, *(f"X-Do: {o}" for o in orders)]
    return "".join(x + "\r\n" for x in lines).encode() + b"\r\n" + body


def message(*orders, **more):
    """The commands of one message."""
    return [MAIL, RCPT, "DATA", letter(*orders, **more)]


class Home:
    """A Postern with the filter in one of its homes, and a server behind it that keeps all."""

    def __init__(self, run, name, args=(), more="", block="timeout 10s", extra=()):
        self.run, self.name = run, name
        self.far = FarEnd(run, name=f"{name}.far", keep=True)
        self.journal = run.path(f"{name}.{self.far.port}.journal")
        run.folder(f"{name}.kept", mode=0o777)
        words = [f"journal={self.journal}", *args]
        self.filter = None
        said = getattr(self, name)(run, words)
        kept = run.path(f"{name}.kept", "q")
        conf = f'upstream 127.0.0.1:{self.far.port}\nquarantine "{kept}"\n{more}\n{said % block}\n'
        self.postern = Postern(run, pool_of(conf, workers=1), name=name)
        run.at_end.append(self.end)

    def alone(self, run, words):
        """A daemon of its own, on real libmilter."""
        socket = run.path(f"alone.{self.far.port}")
        return self.daemon(run, socket, [os.path.join(PROBES, "probe"), "unix:" + socket, *words])

    def python(self, run, words):
        """The same by Debian's python3-milter."""
        if run.command([sys.executable, "-c", "import Milter"])[0] != 0:
            raise Skip("no python3-milter")
        socket = run.path(f"python.{self.far.port}")
        script = os.path.join(HERE, "probe_milter.py")
        return self.daemon(run, socket, [sys.executable, "-B", script, "unix:" + socket, *words])

    def daemon(self, run, socket, argv):
        self.filter = run.start(argv, run.path(self.name + ".filter"))
        if not until(lambda: os.path.exists(socket) or self.filter.poll() is not None, 10):
            raise RuntimeError("the filter does not listen: " + read(run.path(self.name + ".filter")))
        return f'milter probe {{ socket "unix:{socket}" %s }}'

    def inside(self, _run, words):
        return self.plugin(words, "")

    def isolated(self, _run, words):
        return self.plugin(words, "isolated")

    def plugin(self, words, how):
        path = os.path.join(PROBES, "probe.so")
        listed = ", ".join(f'"{w}"' for w in words)
        return f'plugin probe {{ load "{path}" {how} args {{ {listed} }} %s }}'

    def end(self):
        """libmilter takes five seconds for a polite end."""
        if self.filter and self.filter.poll() is None:
            self.filter.kill()
        end(self.postern.process)
        end(self.far.process)

    def stories(self):
        """What the filter has told of each of its connections, all closed."""
        return read(self.journal).split("close\n")[:-1]

    def play(self, row):
        """Plays one row; gives a Seen."""
        letters, told = len(self.far.entries()), len(self.stories())
        replies = converse(self.postern.port, row.script, row.source)
        until(lambda: len(self.stories()) >= told + row.calls.count("negotiate"), 3, 0.005)
        story = "".join(self.stories()[told:]).replace(f":{self.postern.port} ", ":PORT ")
        arrived = [Arrived(self.far, e) for e in self.far.entries()[letters:]]
        return Seen(replies, arrived, story)


def converse(port, script, source):
    """Plays a script, in which a command is text and a message octets: every reply; None: the end."""
    replies, c = [], Client(port, source=source, greet=False)
    try:
        replies.append(c.reply())
        if replies[0].code != 220:
            return replies
        for step in script + ["QUIT"]:
            if isinstance(step, bytes):
                if replies[-1].code != 354:
                    continue
                c.send(stuffed(step))
            else:
                c.send(step.encode() + b"\r\n")
            replies.append(c.reply())
            if replies[-1].code in (421, 221):
                break
    except (Lost, OSError):
        replies.append(None)
    finally:
        c.close()
    return replies


class Arrived:
    def __init__(self, far, entry):
        self.sender, self.to = entry["from"], entry["to"]
        self.text = RECEIVED.sub(b"", far.text(entry))


class Seen:
    """What came of one session in one home."""

    def __init__(self, replies, arrived, story):
        self.replies, self.arrived, self.story = replies, arrived, story

    @property
    def codes(self):
        return " ".join(str(r.code) if r else "-" for r in self.replies)

    def lines(self):
        """Without what must differ."""
        return [VARYING.sub("ID", line) for r in self.replies if r for line in r.lines]

    def calls(self):
        return in_short(x.split(" ")[0] for x in self.story.splitlines())

    def mail(self):
        return [(m.sender, m.to, m.text) for m in self.arrived]


def in_short(words):
    """header header header eoh: header*3 eoh."""
    each = (w.partition("*") for w in words)
    runs = itertools.groupby(w for word, _, n in each for w in [word] * int(n or 1))
    counted = ((w, len(list(same))) for w, same in runs)
    return " ".join(w if n == 1 else f"{w}*{n}" for w, n in counted)


class Row:
    """One session and what is expected of it.

    codes: of all replies; calls: of the filter; arrives: for each message that does a tuple of what its text must
    have (b"-..." must not have), and of its envelope: "FROM ..." and "TO ..." in place of the client's own."""

    def __init__(self, name, script, codes, calls, arrives=(), source="127.0.0.1"):
        self.name, self.script, self.codes, self.calls = name, script, codes, in_short(calls.split())
        self.arrives, self.source = arrives, source

    def check(self, run, home, seen):
        what = f"{self.name} ({home.name})"
        run.same(f"{what}: replies", seen.codes, self.codes)
        run.same(f"{what}: calls", seen.calls(), self.calls)
        if run.same(f"{what}: what arrives", len(seen.arrived), len(self.arrives)):
            for m, wanted in zip(seen.arrived, self.arrives):
                for w in wanted:
                    good = holds(m, w)
                    run.ok(f"{what}: {w!r}", good, f"{m.sender} {m.to}\n{m.text[:1500]!r}")


def holds(m, wanted):
    if isinstance(wanted, bytes) and wanted.startswith(b"-"):
        return wanted[1:] not in m.text
    if isinstance(wanted, bytes):
        return wanted in m.text
    if wanted.startswith("FROM "):
        return m.sender == wanted[5:]
    return m.to == re.split(r" (?=<)", wanted[3:])


def play_all(run, homes, rows):
    """Every row in every home: held against the table, and the homes against each other."""
    for row in rows:
        first = None
        for home in homes:
            seen = home.play(row)
            row.check(run, home, seen)
            if first is None:
                first = seen
                continue
            for what, mine, theirs in (
                ("replies", seen.lines(), first.lines()),
                ("mail", seen.mail(), first.mail()),
                ("story", tell(seen.story), tell(first.story)),
            ):
                run.same(f"{row.name}: the {what} of {home.name} and {homes[0].name}", mine, theirs)


def tell(story):
    """The filter's own account, without what is another Postern's."""
    return VARYING.sub("ID", story)
