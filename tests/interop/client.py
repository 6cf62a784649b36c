"""client -- an SMTP client that can be made to do everything, and a crowd of them under load."""
import collections
import random
import select
import socket
import ssl
import threading
import time

from letters import stuffed

Reply = collections.namedtuple("Reply", "code lines text")


class Lost(Exception):
    """The server has closed or reset the connection."""


class Refused(Exception):
    """A reply that ends what was wanted."""

    def __init__(self, reply, at):
        super().__init__(f"{at}: {reply.code} {reply.text}")
        self.reply, self.at = reply, at


def context(minimum=None, maximum=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    if minimum:
        c.minimum_version = minimum
    if maximum:
        c.maximum_version = maximum
    return c


class Client:
    def __init__(
        self, port, host="127.0.0.1", source=None, timeout=30, tls=None, first=b"", greet=True
    ):
        """first: octets before all else, such as a PROXY header."""
        self.data, self.words, self.greeting = b"", {}, None
        self.sock = socket.create_connection((host, port), timeout, (source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if first:
            self.sock.sendall(first)
        if tls:
            self.sock = tls.wrap_socket(self.sock)
        if greet:
            self.greeting = self.reply()
            if self.greeting.code != 220:
                self.close()
                raise Refused(self.greeting, "greeting")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, octets):
        try:
            self.sock.sendall(octets)
        except (ConnectionError, ssl.SSLError) as e:
            raise Lost(f"while sending: {e}") from e

    def line(self):
        while b"\n" not in self.data:
            try:
                got = self.sock.recv(65536)
            except (ConnectionError, ssl.SSLError) as e:
                raise Lost(f"while reading: {e}") from e
            if not got:
                raise Lost("closed")
            self.data += got
        line, self.data = self.data.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def has_reply(self):
        """Something has come that was not read yet."""
        return bool(self.data) or bool(select.select([self.sock], [], [], 0)[0])

    def reply(self):
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return Reply(int(lines[0][:3]), lines, lines[-1][4:])

    def ask(self, line, want=None):
        """Sends a command, gives its reply; one that does not begin with `want` is raised."""
        self.send(line.encode() + b"\r\n" if isinstance(line, str) else line)
        r = self.reply()
        if want is not None and not str(r.code).startswith(str(want)):
            raise Refused(r, line.split(" ")[0] if isinstance(line, str) else "command")
        return r

    def ehlo(self, name="client.example"):
        r = self.ask("EHLO " + name, 250)
        self.words = {
            line[4:].split(" ")[0].upper(): line[4:].partition(" ")[2] for line in r.lines[1:]
        }
        return r

    def starttls(self, tls=None):
        self.ask("STARTTLS", 220)
        self.sock = (tls or context()).wrap_socket(self.sock)
        self.data = b""

    def expect(self, n, want, at):
        """n replies; gives them, or raises the first that is wrong, after the last (or a 421)."""
        got = []
        while len(got) < n and (not got or got[-1].code != 421):
            got.append(self.reply())
        for r in got:
            if not str(r.code).startswith(str(want)):
                raise Refused(r, at)
        return got

    def mail(self, to, sender="a@client.example", params="", pipelined=False):
        commands = [f"MAIL FROM:<{sender}>{params}"] + [f"RCPT TO:<{x}>" for x in to]
        if pipelined:
            self.send("".join(c + "\r\n" for c in commands).encode())
            self.expect(len(commands), 250, "envelope")
        else:
            for c in commands:
                self.ask(c, 250)

    def text_by_data(self, raw, before_end=None):
        """The text of a message by DATA; `before_end()` is called before its end mark is sent."""
        self.ask("DATA", 354)
        wire = stuffed(raw)
        if before_end:
            self.send(wire[:-3])
            before_end()
            wire = wire[-3:]
        self.send(wire)
        return self.reply()

    def text_by_bdat(self, raw, r=random, pipelined=True, before_end=None):
        """The same by BDAT, cut at random places, some at each octet's very neighbour."""
        cuts = sorted(r.randrange(0, len(raw) + 1) for _ in range(r.choice((0, 0, 1, 2, 5))))
        bounds = list(zip([0] + cuts, cuts + [len(raw)]))
        parts = [
            b"BDAT %d%s\r\n" % (b - a, b" LAST" if i == len(bounds) - 1 else b"") + raw[a:b]
            for i, (a, b) in enumerate(bounds)
        ]
        if pipelined and not before_end:
            self.send(b"".join(parts))
            replies = [self.reply() for _ in parts]
        else:
            replies = []
            for p in parts:
                if before_end and p is parts[-1]:
                    before_end()
                self.send(p)
                replies.append(self.reply())
        return next((x for x in replies if x.code != 250), replies[-1])

    def quit(self):
        try:
            self.ask("QUIT")
        except (Lost, OSError):
            pass
        self.close()


class Crowd:
    """Clients under load.  Each attempt to send has an id of its own, which is the recipient's name;
    what became of it is compared with the journal of the far end.

    acked: 250 was heard.  refused: a reply said no.  dropped: the connection went before the octets
    that end the message were sent.  unsure: it went after."""

    def __init__(
        self,
        port,
        threads=8,
        sizes=(0, 20000),
        seed=1,
        tag="c",
        per_session=3,
        hosts=("127.0.0.1",),
        pause=0.0,
    ):
        self.port, self.sizes, self.tag = port, sizes, tag
        self.per_session, self.hosts, self.pause = per_session, hosts, pause
        self.outcome = {}  # id -> (acked|refused|dropped|unsure, why)
        self.events = collections.Counter()
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.threads = [
            threading.Thread(target=self.run, args=(random.Random(seed * 1000 + i), i), daemon=True)
            for i in range(threads)
        ]

    def start(self, run):
        run.at_end.append(self.stopping.set)
        for t in self.threads:
            t.start()
        return self

    def stop(self, wait=60):
        self.stopping.set()
        end_at = time.monotonic() + wait
        for t in self.threads:
            t.join(max(0.1, end_at - time.monotonic()))
        return not any(t.is_alive() for t in self.threads)

    def count(self, *kinds):
        with self.lock:
            return sum(1 for how, _ in self.outcome.values() if how in kinds)

    def note(self, key, how, why=""):
        with self.lock:
            self.outcome[key] = (how, why)
            if how != "acked":
                self.events[f"{how}: {why}"] += 1

    def run(self, r, number):
        n = 0
        while not self.stopping.is_set():
            try:
                with Client(self.port, source=r.choice(self.hosts)) as c:
                    c.ehlo(f"c{number}.client.example")
                    for _ in range(r.randrange(1, self.per_session + 1)):
                        n += 1
                        self.one(c, r, f"{self.tag}{number}-{n}")
                        time.sleep(self.pause)
                    c.quit()
            except Refused as e:
                with self.lock:
                    self.events[f"session {e.at} {e.reply.code}"] += 1
            except (Lost, OSError) as e:
                with self.lock:
                    self.events[f"session lost: {e}"] += 1
                time.sleep(0.02)

    def one(self, c, r, key):
        body = bytes(r.choices(b"abcdefgh \r", k=60)).replace(b"\r", b".\r\n.") + b"\r\n"
        raw = b"Subject: %s\r\nX-Letter: %s\r\n\r\n" % (key.encode(), key.encode())
        raw += body * (r.randrange(*self.sizes) // len(body) + 1)
        sent = [False]
        try:
            c.mail([f"{key}@example.com"], pipelined=r.random() < 0.5)

            def ending():
                sent[0] = True

            if "CHUNKING" in c.words and r.random() < 0.4:
                reply = c.text_by_bdat(raw, r, before_end=ending)
            else:
                reply = c.text_by_data(raw, before_end=ending)
            self.note(
                key,
                "acked" if reply.code == 250 else "refused",
                f"end {reply.code} {reply.text[:40]}",
            )
            if reply.code == 421:
                raise Lost("421 at the end")
        except Refused as e:
            self.note(key, "refused", f"{e.at} {e.reply.code}")
            raise
        except (Lost, OSError) as e:
            if key not in self.outcome:
                self.note(key, "unsure" if sent[0] else "dropped", str(e))
            raise

    def judge(self, run, entries, refused_may=0):
        """Compares with the far end's journal.  refused_may: how often a refused one may be there
        (1 where the server behind can die between its deed and its reply)."""
        # What Postfix delivers once more after it was killed keeps its queue id.
        seen = {
            (e["to"][0].split("@")[0].lstrip("<"), e.get("queue") or n)
            for n, e in enumerate(entries)
            if e["to"]
        }
        there = collections.Counter(key for key, _ in seen if key.startswith(self.tag))
        most = {"acked": 1, "refused": refused_may, "dropped": 0, "unsure": 1}
        lost = [k for k, (how, _) in self.outcome.items() if how == "acked" and there[k] == 0]
        more = [
            (k, how, why, there[k])
            for k, (how, why) in self.outcome.items()
            if there[k] > most[how]
        ]
        odd = [k for k in there if k not in self.outcome]
        sums = collections.Counter(how for how, _ in self.outcome.values())
        run.note(
            f"{self.tag}: "
            + (", ".join(f"{n} {how}" for how, n in sorted(sums.items())) or "nothing sent")
        )
        detail = "\n".join(f"{n} {what}" for what, n in self.events.most_common(12))
        run.ok(
            "0 lost: what was acknowledged is there",
            not lost,
            f"{len(lost)}: {lost[:10]}\n{detail}",
        )
        run.ok("0 doubled, none that was refused", not more, f"{len(more)}: {more[:10]}\n{detail}")
        run.ok("nothing that nobody sent", not odd, odd[:10])
        return sums
