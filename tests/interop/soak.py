"""soak -- a bad week: wild clients, failing servers, reloads, killed workers: see `make soak`.

What clients were told, what servers took and what the log says must agree in the end; whenever all
is quiet, descriptors and memory of the workers must be back where they were.  SEED=N repeats the
habits of a run, KEEP=1 leaves its files."""
import collections
import glob
import hashlib
import os
import random
import re
import signal
import socket
import struct
import sys
import threading
import time
import types

import harness
import sasl
from client import Client, Crowd, Lost, Refused, context
from far_end import Gone, Peer
from harness import read, until
from letters import stuffed
from servers import Postern, tls_files

TIMEOUT = 3  # of the servers, seconds
CEILING = 64 * 1024  # KiB that a worker may have when it is quiet
LISTENERS = 2
GROWTH = 12 * 1024  # KiB that it may gain from its first quiet moment to its last
EHLO = b"250-far.end.example\r\n250-SIZE 100000000\r\n250-8BITMIME\r\n250-PIPELINING\r\n"
EHLO += b"250-CHUNKING\r\n250-ENHANCEDSTATUSCODES\r\n250 AUTH PLAIN\r\n"
CONF = """hostname mx.example.com
listen 127.0.0.1:@PORT@ auth-without-tls
listen 127.0.0.1:{tls} tls name smtps
upstream 127.0.0.1:{a} weight 3 timeout {timeout}s connections 8
upstream 127.0.0.1:{b} timeout {timeout}s connections 8
tls certificate "{crt}" key "{key}"
workers {workers}
drain 60s
spool "{dir}" memory 64K
quarantine "{dir}/kept"
limits {{ command-timeout 6s  sessions-per-client 1000  auth-delay 0s  recipients 100 }}
domains ours {{ example.com }}
addresses traps {{ trap@example.com }}
relay {{ allow to ours }}
check helo {{ when helo is not fqdn  reject 550 5.5.2 "say your full name" }}
check trap {{ when rcpt in traps  log "fell into %{{rcpt}}"  discard }}
check stamp {{ when rcpt in ours  add-header "X-Soak" "from %{{client.ip}}" }}
"""
TAKEN = ("accepted", "accepted-unacknowledged", "unknown")
WHOLE = """check suspect { when header("Subject") matches "suspect"  quarantine }
check worthless { when header("Subject") matches "worthless"  discard }
check unwanted { when header("Subject") matches "unwanted"  reject 550 5.7.1 "no" }
check rename { when header("X-Odd") is yes  delete-header "X-Odd"  add-header "X-Even" "yes" }
sign ours selector s1 key "@KEY@" when client in { 127.0.0.0/8 }
"""


class Far:
    """An SMTP server with moods, which notes each message before it says 250."""

    ENDS = {"take": 88, "refuse": 3, "lose": 2, "mute": 2, "late": 1, "bye": 4}

    def __init__(self, port, seed):
        self.port, self.r = port, random.Random(seed)
        self.journal, self.socks, self.odd = [], set(), collections.Counter()
        self.kind, self.listener = True, None
        self.up()

    def up(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=200)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.socks.add(sock)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

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

    def serve(self, sock):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.session(Peer(sock))
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
        how = "take" if self.kind else self.r.choices(*zip(*self.ENDS.items()))[0]
        self.odd[f"end {how}"] += how != "take"
        if how == "lose":
            raise Gone()
        if how == "refuse":
            p.say(b"451 4.3.0 not this one\r\n")
            return
        head, _, body = text.partition(b"\r\n\r\n")
        key = re.search(rb"^X-Letter: (\S+)", head, re.M)
        signed = head.startswith(b"DKIM-Signature:")
        entry = (key and key[1].decode(), set(to), hashlib.sha256(body).hexdigest(), signed)
        self.journal.append(entry)
        if how == "mute":
            raise Gone()
        if how == "late":
            time.sleep(TIMEOUT + 2)
        p.say(b"250 2.0.0 taken\r\n")
        if how == "bye":
            raise Gone()

    def session(self, p):
        to, chunks = [], []
        self.trip(p, "greeting", ("close", "bye", "hang"))
        p.say(b"220 far.end.example ESMTP\r\n")
        while True:
            line = p.line().rstrip(b"\r\n").decode()
            verb = line.split(" ")[0].upper()
            if verb == "BDAT":
                self.trip(p, "chunk", ("close", "hang"))
                chunks.append(p.octets(int(line.split(" ")[1])))
                if not to:
                    p.say(b"503 5.5.1 RCPT first\r\n")
                elif line.upper().endswith(" LAST"):
                    self.end(p, to, b"".join(chunks))
                    to = []
                else:
                    p.say(b"250 2.0.0 Ok\r\n")
            elif verb == "QUIT":
                p.say(b"221 2.0.0 Bye\r\n")
                return
            elif self.trip(p, verb):
                continue
            elif verb == "EHLO":
                p.say(EHLO)
            elif verb == "AUTH":
                p.say(b"235 2.7.0 Ok\r\n" if "bad" not in line else b"535 5.7.8 no\r\n")
            elif verb == "RCPT":
                to.append(line[9 : line.index(">")])
                p.say(b"250 2.1.5 Ok\r\n")
            elif verb == "DATA" and to:
                p.say(b"354 go ahead\r\n")
                self.trip(p, "text", ("close", "hang"))
                self.end(p, to, p.text())
                to = []
            elif verb in ("MAIL", "RSET", "NOOP"):
                to, chunks = [], []
                p.say(b"250 2.0.0 Ok\r\n")
            else:
                p.say(b"503 5.5.1 what?\r\n")


class Wild(Client):
    """A client that may be slow, and that may reset its connection behind so many octets."""

    budget, slow, reset = None, None, False

    def send(self, octets):
        step = max(1, len(octets) // 20) if self.slow else len(octets) or 1
        for at in range(0, len(octets), step):
            piece = octets[at : at + step]
            if self.budget is not None and len(piece) >= self.budget:
                super().send(piece[: self.budget])
                self.tear()
            super().send(piece)
            if self.budget is not None:
                self.budget -= len(piece)
            if self.slow:
                time.sleep(self.slow)
        if self.reset:
            self.tear()

    def tear(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()
        raise Lost("reset by ourselves")


class Wilds(Crowd):
    """Clients with habits, that rest while the gate is shut.  What becomes of a letter: acked,
    refused, dropped (before its last octet was sent), unsure (no reply); own: it went itself."""

    HABITS = {"plain": 8, "slow": 1, "torn": 3, "reset": 2, "silent": 1, "idle": 1}

    def __init__(self, port, tls, seed):
        super().__init__(port, threads=12, seed=seed)
        self.tls, self.letters, self.late, self.active = tls, {}, [], set()
        self.gate = threading.Event()

    def run(self, r, number):
        n = 0
        while not self.stopping.is_set():
            if not self.gate.wait(0.2):
                continue
            self.active.add(number)
            try:
                n += 1
                self.session(r, f"s{number}-{n}")
            except TimeoutError as e:
                self.late.append(f"s{number}-{n} {time.strftime('%T', time.gmtime())} {e}")
            except (Refused, Lost, OSError) as e:
                self.events[f"{type(e).__name__} {str(e)[:60]}"] += 1
            finally:
                self.active.discard(number)
            time.sleep(r.random() * 0.2)

    def session(self, r, tag):
        habit = r.choices(*zip(*self.HABITS.items()))[0]
        implicit = r.random() < 0.15
        source = f"127.0.0.{r.randrange(2, 9)}"
        port = self.tls if implicit else self.port
        with Wild(port, source=source, timeout=45, tls=context() if implicit else None) as c:
            c.slow = 0.02 if habit == "slow" else None
            # Many end within the first commands, some within the text of a large message.
            c.budget = r.choice((200, 1000, 5000, 60000, 300000)) if habit == "torn" else None
            c.budget = c.budget and r.randrange(c.budget)
            c.ehlo("c.client.example" if r.random() < 0.97 else "short")
            if not implicit and r.random() < 0.25:
                c.starttls()
                c.ehlo("c.client.example")
            if "AUTH" in c.words and r.random() < 0.1:
                user = "u@example.com" if r.random() < 0.9 else "bad@example.com"
                # The user's name is to be seen in the line: PLAIN behind its initial response.
                c.ask("AUTH PLAIN " + sasl.plain(user, "x"), 235)
            for k in range(r.choice((1, 1, 1, 2, 5))):
                if self.gate.is_set():
                    self.one(c, r, f"{tag}-{k}", habit)
            if habit == "silent":
                c.send(r.choice((b"MAIL FRO", b"NOOP\r", b"RSET\r\nMAIL FROM:<a@b")))
            if habit in ("silent", "idle"):
                c.sock.settimeout(20)  # more than command-timeout
                while c.reply().code != 421:
                    pass
            else:
                c.ask("QUIT")

    def one(self, c, r, key, habit):
        subject = r.choice(("hello",) * 12 + ("suspect", "worthless", "unwanted"))
        size = r.choice((100, 100, 2000, 2000, 20000, 20000, 150000, 700000))
        body = bytes(r.choices(b"abcdefgh.", k=70)) + b"\r\n"
        body = (body + b".dots\r\n") * (r.randrange(size) // 77 + 1)
        raw = f"From: u@example.com\r\nSubject: {subject}\r\nX-Letter: {key}\r\nX-Odd: yes\r\n\r\n"
        letter = self.letters[key] = types.SimpleNamespace(
            sha=hashlib.sha256(body).hexdigest(), to=set(), how="dropped", code=0, own=False
        )
        letter.begun = time.time()
        try:
            reply = self.say(c, r, key, letter, raw.encode() + body, habit)
            letter.how, letter.code = ("acked" if reply.code == 250 else "refused"), reply.code
            if reply.code != 250:
                c.ask("RSET")
        except Refused as e:
            letter.how, letter.code = "refused", e.reply.code
            raise
        except (Lost, OSError) as e:
            letter.own = "ourselves" in str(e)
            raise
        finally:
            letter.ended = time.time()

    def say(self, c, r, key, letter, raw, habit):
        """Envelope and text; gives the reply to its end."""
        bdat, pipelined = r.random() < 0.4, r.random() < 0.5
        names = [f"r{i}" for i in range(r.choice((1, 1, 2, 3, 60)))]
        names += ["trap"] if r.random() < 0.1 else []
        names = ["trap"] if r.random() < 0.03 else names
        to = [n + "@example.com" for n in names] + ["x@foreign.example"] * (r.random() < 0.1)
        commands = [f"MAIL FROM:<{key}@client.example>"] + [f"RCPT TO:<{x}>" for x in to]
        if pipelined:
            c.send("".join(x + "\r\n" for x in commands).encode())
        replies = [c.reply() if pipelined else c.ask(x) for x in commands]
        taken = [x for x, reply in zip(to, replies[1:]) if reply.code == 250]
        letter.to = set(taken) - {"trap@example.com"}
        if replies[0].code != 250 or not taken:
            raise Refused(next(x for x in replies if x.code != 250), "envelope")

        def ending():
            letter.how, c.reset = "unsure", habit == "reset"

        if bdat and r.random() < 0.5:
            ending()
            return c.text_by_bdat(raw, r)
        if bdat:
            return c.text_by_bdat(raw, r, before_end=ending)
        c.ask("DATA", 354)
        wire = stuffed(raw)
        c.send(wire[:-3])
        ending()
        c.send(wire[-3:])
        return c.reply()


class Watch(threading.Thread):
    """Looks each second what each worker has: descriptors, of them those to servers, Pss, Rss."""

    def __init__(self, postern, ports):
        super().__init__(daemon=True)
        self.postern, self.ports, self.base = postern, ports, None
        self.seen, self.quiet = collections.defaultdict(list), collections.defaultdict(list)
        self.start()

    def run(self):
        while True:
            for pid, what in self.look().items():
                self.seen[pid].append(what)
            time.sleep(1)

    def look(self):
        table = [line.split() for line in read("/proc/net/tcp").splitlines()[1:]]
        behind = {f"socket:[{f[9]}]" for f in table if int(f[2].split(":")[1], 16) in self.ports}
        found = {}
        for pid in self.postern.workers():
            try:
                links = [os.readlink(x) for x in glob.glob(f"/proc/{pid}/fd/*")]
                smaps = read(f"/proc/{pid}/smaps_rollup")
                kb = dict(re.findall(r"(?m)^(Rss|Pss): +(\d+)", smaps))
                # The thread that waits for the disk has one, once it was needed.
                n, far = len(links), sum(x in behind for x in links)
                n -= "anon_inode:[eventfd]" in links
                found[pid] = (n, far, int(kb["Pss"]), int(kb["Rss"]))
            except (OSError, KeyError):
                continue
        return found

    def held(self):
        """Each worker's descriptors, sockets with their line of the kernel's table."""
        table = (x.split() for x in read("/proc/net/tcp").splitlines()[1:])
        table = {f"socket:[{f[9]}]": " ".join(f[1:4]) for f in table}
        links = []
        for path in [x for p in self.postern.workers() for x in glob.glob(f"/proc/{p}/fd/*")]:
            if os.path.islink(path):
                links.append((path[6:], os.readlink(path)))
        return "\n".join(f"{x} {y} {table.get(y, '')}" for x, y in sorted(links))

    def judge(self, run, most, last):
        """In a quiet moment; the last waits until connections to servers that idle are closed."""

        def settled():
            now = self.look()
            self.base = self.base or min(x[0] - x[1] for x in now.values())
            # Each address keeps a socket for each of the most workers there were; all have all.
            base = self.base + LISTENERS * (most - 2)
            return all(x[0] - x[1] == base and not (last and x[1]) for x in now.values())

        good = until(settled, 30 if last else 5, 0.2)
        now = self.look()
        detail = "" if good else f"{self.held()}\nat first {self.base}, workers <= {most}\n{now}"
        run.ok("descriptors are as at the start, besides those to servers", good, detail)
        run.ok("no more memory than may be", all(x[3] < CEILING for x in now.values()), now)
        for pid, what in now.items():
            self.quiet[pid].append(what)

    def table(self, run):
        run.note("first, highest, last:  descriptors               Pss KiB               Rss KiB")
        run.note("worker   seconds")
        for pid, rows in self.seen.items():
            if len(rows) >= 5:
                three = [(c[0], max(c), c[-1]) for c in (list(x) for x in zip(*rows))]
                cells = ["%6d %6d %6d" % three[i] for i in (0, 2, 3)]
                run.note(f"{pid:<8} {len(rows):>7}  {'  '.join(cells)}")
        grown = {p: q for p, q in self.quiet.items() if q[-1][3] - q[0][3] > GROWTH}
        run.ok("no worker grows from quiet to quiet", not grown, grown)


class Week:
    """The run: what is done to the daemon, and what must hold at the end."""

    def __init__(self, run):
        self.run, self.r, self.killed = run, random.Random(harness.SEED), {}
        self.reloads, self.most = 0, 2
        run.name = "soak"
        crt, key = run.folder() and tls_files(run, "mx", "mx.example.com")
        self.fars = [Far(run.port(), harness.SEED + i) for i in (1, 2)]
        self.words = {"crt": crt, "key": key, "tls": run.port()}
        keygen = os.path.join(harness.SOURCE, "contrib", "postern-keygen")
        run.command([keygen, "--ed25519", "example.com", "s1", run.path("s1.pem")])
        self.postern = Postern(run, self.conf(2, True), start=False)
        self.postern.start()
        self.watch = Watch(self.postern, {f.port for f in self.fars})
        self.crowd = Wilds(self.postern.port, self.words["tls"], harness.SEED).start(run)

    def conf(self, workers, whole):
        text = CONF.format(
            a=self.fars[0].port,
            b=self.fars[1].port,
            timeout=TIMEOUT,
            workers=workers,
            dir=self.run.path(),
            **self.words,
        )
        return text + (WHOLE.replace("@KEY@", self.run.path("s1.pem")) if whole else "")

    def reload(self):
        self.reloads += 1
        workers = self.r.randrange(2, 5)
        self.most = max(self.most, workers)
        self.postern.write(self.conf(workers, self.r.random() < 0.6))
        self.run.ok("it reloads", self.postern.reload(30), self.postern.log())

    def kill(self):
        victim = self.r.choice(self.postern.workers() or [0])
        if victim and f"pid={victim}" in self.postern.log():
            self.killed[victim] = time.time()
            os.kill(victim, signal.SIGKILL)

    def traffic(self, seconds, *deeds):
        """Mail for so many seconds, and something done to the daemon or a server now and then."""
        self.crowd.gate.set()
        end_at, far = time.monotonic() + seconds, None
        for f in self.fars:
            f.kind = False
        while time.monotonic() < end_at:
            time.sleep(min(self.r.uniform(1, 3), max(0, end_at - time.monotonic())))
            if far:
                far = far.up()
            elif self.r.random() < 0.15:
                far = self.r.choice(self.fars)
                far.down()
            elif deeds:
                self.r.choice(deeds)()
            self.progress()
        if far:
            far.up()

    def rest(self, last=False):
        """Nothing is going on: nobody is left, and what they cost has been given back."""
        self.crowd.gate.clear()
        for f in self.fars:
            f.kind = True
        self.run.ok("all come to rest", until(lambda: not self.crowd.active, 60), self.crowd.active)
        self.watch.judge(self.run, self.most, last)

    def progress(self):
        sums = collections.Counter(x.how for x in list(self.crowd.letters.values()))
        print(
            f"{time.monotonic() - self.run.begun:6.0f} s  {self.reloads} reloads, "
            f"{len(self.killed)} killed, " + ", ".join(f"{n} {k}" for k, n in sorted(sums.items())),
            flush=True,
        )

    def main(self, seconds):
        end_at = time.monotonic() + seconds
        self.rest()
        while time.monotonic() < end_at:
            for deeds in ((self.reload, self.reload, self.kill), ()):
                self.traffic(min(25, max(4, (end_at - time.monotonic()) / 2)), *deeds)
                self.rest()
        self.rest(last=True)
        self.watch.table(self.run)
        self.traffic(2)
        pids = set(self.watch.seen)
        self.run.same("it drains and ends well", self.postern.stop(75), 0)
        self.run.ok("the crowd comes to its end", self.crowd.stop())
        left = [p for p in pids if self.postern.file in read(f"/proc/{p}/cmdline")]
        self.run.same("no process is left", left, [])
        self.judge()

    def judge(self):
        run, log = self.run, self.postern.log()
        found = re.findall(r" message outcome=(\S+) .*? from=(\S+)@client\.example ", log)
        logged, said = {k: w for w, k in found}, collections.Counter(k for _, k in found)
        journal, there = {}, collections.Counter()
        for entry in [e for f in self.fars for e in f.journal]:
            journal[entry[0]] = entry
            there[entry[0]] += 1
        kept = "".join(read(x) for x in glob.glob(run.path("kept", "new", "*")))
        kept = set(re.findall(r"^X-Letter: (\S+)", kept, re.M))
        bad, sums = collections.defaultdict(list), collections.Counter()
        for key, x in self.crowd.letters.items():
            word, n = logged.get(key), there[key]
            near = any(x.begun < t < x.ended + 2 for t in self.killed.values())
            sums[f"{x.how}, {'in' if n else 'not in'} a journal: outcome={word}"] += 1
            what = None
            if n > 1 or said[key] > 1:
                what = "twice in a journal or in the log"
            elif n and journal[key][2] != x.sha:
                what = "with another body"
            elif x.how == "acked" and n and journal[key][1] != x.to:
                what = "for other recipients"
            elif x.how == "acked" and n and not (word == "accepted" or word is None and near):
                what = "acknowledged, taken and not so logged"
            elif x.how == "acked" and not n and word == "quarantined":
                what = None if key in kept else "in quarantine and not in its folder"
            elif x.how == "acked" and not n and word != "discarded":
                what = "acknowledged and lost"
            elif x.how != "acked" and n and word == "accepted" and not (x.own or near):
                what = "taken and logged as told, which its client did not hear"
            elif x.how != "acked" and n and word not in TAKEN and not (word is None and near):
                what = "taken and refused, and the log does not say so"
            elif x.how == "dropped" and n:
                what = "taken before it had come to its end"
            if what:
                bad[what].append((key, x, word, there[key]))
        for what in bad:
            run.ok(f"no letter is {what}", False, "\n".join(str(x)[:300] for x in bad[what][:6]))
        run.ok(f"{len(self.crowd.letters)} letters are where they should be", not bad)
        strange = [k for k in journal if k not in self.crowd.letters]
        run.same("nothing that nobody sent", strange, [])
        run.ok("there was mail", sum(x.how == "acked" for x in self.crowd.letters.values()) > 20)
        run.ok("some was signed", any(e[3] for e in journal.values()))
        run.same("nobody waited in vain", self.crowd.late, [])
        deaths = [x for x in self.postern.lines("worker-death")]
        own = [x for x in deaths if not any(f"pid={p} signal=SIGKILL" in x for p in self.killed)]
        run.same("no worker died by itself", own, [])
        odd = [x for x in log.splitlines() if re.search(r"- log (dropped|damaged)|worker cut ", x)]
        run.same("the log is whole, nobody was cut", odd, [])
        for counted in (sums, *(f.odd for f in self.fars), self.crowd.events):
            run.note("; ".join(f"{n} {what}" for what, n in counted.most_common(25)))


def main(seconds):
    for sig in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(sig, harness.leave)
    run = harness.Run()
    print(f"soak: {harness.PROGRAM}, {seconds} s, SEED={harness.SEED}, files in {run.dir}")
    try:
        Week(run).main(seconds)
    finally:
        run.close()
    print(f"{run.passed} passed, {run.failed} failed, {run.skipped} skipped")
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main(float(os.environ.get("SOAK_TIME") or 60)))
