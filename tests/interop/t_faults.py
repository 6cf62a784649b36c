"""Reloads, killed workers and a drain, all under load: nothing is lost, nothing doubled."""
import collections
import re
import os
import signal
import subprocess
import threading
import time

from client import Client, Crowd, Lost, Refused
from harness import find, read, until
from servers import FarEnd, Postern, owner_of, pool_of


STAMPED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S")


def far_and_postern(run, workers=2, **far_options):
    far = FarEnd(run, **far_options)
    postern = Postern(
        run,
        pool_of(
            f"upstream 127.0.0.1:{far.port}\nlimits {{ sessions-per-client 1000 }}\n",
            workers=workers,
            drain="20s",
        ),
    )
    run.ok("its workers are there", until(lambda: len(postern.workers()) == workers, 5))
    return far, postern


def names_at(far, tag):
    """How often each recipient of smtp-source with this tag is there."""
    found = collections.Counter()
    for e in far.entries():
        for to in e["to"]:
            m = re.match(rf"<(\d+{tag})@", to)
            if m:
                found[m[1]] += 1
    return found


def state_of(pid):
    """R, S, Z ... of proc(5), or None."""
    m = re.search(r"^State:\s+(\w)", read(f"/proc/{pid}/status"), re.M)
    return m and m[1]


class Source:
    """smtp-source, again and again until told to stop; each message has its own session."""

    def __init__(self, run, port, sessions=10, messages=200):
        self.run, self.port, self.sessions, self.messages = run, port, sessions, messages
        self.stopping, self.done, self.failures = threading.Event(), [], []
        run.at_end.append(self.stopping.set)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        while not self.stopping.is_set():
            tag = f"src{len(self.done)}x"
            status, out = self.run.command(
                [
                    find("smtp-source"),
                    "-f",
                    "s@client.example",
                    "-t",
                    tag + "@example.com",
                    "-N",
                    "-s",
                    str(self.sessions),
                    "-m",
                    str(self.messages),
                    "-l",
                    "3000",
                    f"127.0.0.1:{self.port}",
                ],
                60,
            )
            self.done.append(tag)
            if status != 0:
                self.failures.append((tag, status, out[-300:]))

    def stop(self):
        self.stopping.set()
        self.thread.join(70)


def test_reloads(run):
    """20 reloads under smtp-source and a crowd of clients: 0 lost, 0 doubled, no session torn"""
    run.need("smtp-source")
    far, postern = far_and_postern(run)
    first = set(postern.workers())
    source = Source(run, postern.port)
    crowd = Crowd(postern.port, 6, tag="rl", pause=0.005).start(run)
    reloads = 0
    for _ in range(20):
        reloads += bool(postern.reload())
        time.sleep(0.2)
    source.stop()
    run.ok("the crowd comes to its end", crowd.stop())
    run.same("20 reloads", reloads, 20)
    run.ok(
        "none of the first workers is left", until(lambda: not first & set(postern.workers()), 30)
    )
    run.same("smtp-source saw no failure", source.failures, [])
    there = collections.Counter()
    for tag in source.done:
        there.update(names_at(far, tag))
    sent = len(source.done) * source.messages
    run.note(f"smtp-source: {sent} messages sent")
    run.same("each of its messages is there once", (len(there), sum(there.values())), (sent, sent))
    sums = crowd.judge(run, far.entries())
    run.ok("the crowd was not idle", sums["acked"] > 200, sums)
    run.ok(
        "no connection of it was torn",
        not [e for e in crowd.events if "lost" in e or "dropped" in e or "unsure" in e],
        crowd.events,
    )
    kinds = {e for e in crowd.events if "421" not in e}
    run.same("a session that ends early hears 421", kinds, set())
    run.same("Postern ends well", postern.stop(), 0)


def test_reload_of_a_bad_file(run):
    """a reload with mistakes changes nothing for anyone"""
    far, postern = far_and_postern(run)
    with open(postern.file, encoding="utf-8") as f:
        good = f.read()
    workers = set(postern.workers())
    crowd = Crowd(postern.port, 4, tag="bad").start(run)
    for i in range(3):
        postern.write(good + "frobnicate yes\n")
        postern.signal(signal.SIGHUP)
        run.ok(
            "it is told, and the old one stays",
            postern.wait_log("old configuration stays", n=i + 1),
        )
    until(lambda: crowd.count("acked") > 100, 20)
    run.ok("the crowd comes to its end", crowd.stop())
    run.same("the workers are the same", set(postern.workers()), workers)
    crowd.judge(run, far.entries())
    run.same("and no client had trouble", dict(crowd.events), {})
    run.same("Postern ends well", postern.stop(), 0)


class Watchers:
    """Sessions that sit in a transaction; each is known to belong to one worker."""

    def __init__(self, port, n):
        self.clients = []
        for i in range(n):
            c = Client(port)
            c.ehlo()
            c.ask(f"MAIL FROM:<w{i}@client.example>", 250)
            c.ask(f"RCPT TO:<watch{i}@example.com>", 250)
            self.clients.append(c)

    def owners(self, workers):
        return [owner_of(c, workers) for c in self.clients]

    def alive(self):
        """Which of them still have a session."""

        def lives(c):
            try:
                return c.ask("NOOP").code == 250
            except (Lost, OSError):
                return False

        return [lives(c) for c in self.clients]

    def close(self):
        for c in self.clients:
            c.close()


def test_killed_workers(run):
    """5 killed workers under load: only their sessions drop, nothing acknowledged is lost"""
    far, postern = far_and_postern(run, workers=3)
    crowd = Crowd(postern.port, 8, tag="kill", pause=0.005).start(run)
    replaced = 0
    for n in range(5):
        until(lambda: len(postern.workers()) == 3, 10)
        watch = Watchers(postern.port, 18)
        workers = postern.workers()
        owners = watch.owners(workers)
        # The eldest: a place whose workers die young waits longer for the next.
        victim = next((w for w in workers if w in owners), None)
        if not run.ok(
            "each watcher's worker is known", victim and None not in owners, (owners, workers)
        ):
            continue
        os.kill(victim, signal.SIGKILL)
        run.ok("the log says so", postern.wait_log(f"pid={victim}", "SIGKILL"))
        run.same(
            f"kill {n + 1}: its {owners.count(victim)} sessions drop, the other "
            f"{18 - owners.count(victim)} stay",
            watch.alive(),
            [o != victim for o in owners],
        )
        replaced += until(lambda: len(postern.workers()) == 3, 10)
        run.ok("the others are still the same", set(workers) - {victim} <= set(postern.workers()))
        watch.close()
        time.sleep(0.3)
    run.same("each was replaced", replaced, 5)
    before = crowd.count("acked")
    run.ok(
        "mail flows afterwards", until(lambda: crowd.count("acked") > before + 50, 20), crowd.events
    )
    run.ok("the crowd comes to its end", crowd.stop())
    sums = crowd.judge(run, far.entries())
    run.ok("the crowd was not idle", sums["acked"] > 300, sums)
    run.same("the master alone is left, and ends well", postern.stop(), 0)


def burst(port, tag, n):
    """n messages that end at once, each in its own session; gives those whose clients heard 250."""
    clients = [Client(port) for _ in range(n)]
    for i, c in enumerate(clients):
        c.ehlo()
        c.mail([f"{tag}-{i}@example.com"])
        c.ask("DATA", 354)
        c.send(b"Subject: burst\r\n\r\ntext\r\n")
    for c in clients:
        c.send(b".\r\n")
    told = [f"{tag}-{i}@example.com" for i, c in enumerate(clients) if c.reply().code == 250]
    # The line of a message follows its reply: once the worker has answered somebody else it has said all.
    clients[0].ask("NOOP", 250)
    return clients, told


def test_killed_worker_is_heard(run):
    """what a killed worker had still to say is in the log, in front of its death"""
    far, postern = far_and_postern(run, workers=1)
    held = rounds = 0
    # Whether lines wait for their time when it is killed is for the clock to say: mostly some do.
    while rounds < 2 or (held == 0 and rounds < 6):
        run.ok("there is a worker", postern.wait_log(" worker-start ", seconds=40, n=rounds + 1))
        rounds += 1
        victim = postern.workers()[0]
        clients, told = burst(postern.port, f"b{rounds}", 12)
        postern.signal(signal.SIGSTOP)
        os.kill(victim, signal.SIGKILL)
        run.ok("it is dead", until(lambda: state_of(victim) == "Z", 5))
        before = postern.log()
        postern.signal(signal.SIGCONT)
        run.ok("its death is noticed", postern.wait_log("worker-death", f"pid={victim} ", "SIGKILL"))
        after = postern.log().partition(f"pid={victim} signal=SIGKILL")[0]
        run.same("all were told yes", len(told), 12)
        run.same(
            "each has its line by then",
            [x for x in told if not re.search(rf" message .*{re.escape(x)}", after)],
            [],
        )
        missing = [x for x in told if x not in before]
        held += len(missing)
        run.same(
            "those that were held are there once",
            [x for x in missing if len(postern.lines(" message ", x)) != 1],
            [],
        )
        run.same("no line is cut", [x for x in after.splitlines() if not STAMPED.match(x)], [])
        for c in clients:
            c.close()
    run.note(f"{held} lines were held, in {rounds} rounds")
    run.ok("some lines were held", held > 0)
    run.ok("all mail is there", len(far.entries()) == 12 * rounds, len(far.entries()))
    run.same("the master ends well", postern.stop(), 0)


def test_killed_workers_smtp_source(run):
    """5 killed workers under smtp-source: what was taken is there, once"""
    run.need("smtp-source")
    far, postern = far_and_postern(run, workers=3)
    procs = []
    for i in range(12):
        out = run.path(f"source{i}.out")
        argv = [
            find("smtp-source"),
            "-c",
            "-N",
            "-s",
            "1",
            "-m",
            "100000",
            "-l",
            "2000",
            "-f",
            "s@client.example",
            "-t",
            f"k{i}x@example.com",
            f"127.0.0.1:{postern.port}",
        ]
        procs.append((run.start(argv, out, run.path(f"source{i}.err")), out, f"k{i}x"))
    time.sleep(1)
    for n in range(5):
        victim = postern.workers()[0]
        os.kill(victim, signal.SIGKILL)
        postern.wait_log(f"pid={victim}", "SIGKILL")
        until(lambda: len(postern.workers()) == 3, 10)
        time.sleep(0.5)
        if n == 0:
            run.ok("not everybody was hit by the first", any(p.poll() is None for p, _, _ in procs))
    hit = sum(p.poll() is not None for p, _, _ in procs)
    survivors = [p for p, _, _ in procs if p.poll() is None]
    for p in survivors:
        p.send_signal(signal.SIGTERM)
    for p in survivors:
        p.wait(10)
    time.sleep(0.5)
    lost, doubled, total = [], [], 0
    for _, out, tag in procs:
        with open(out, "rb") as f:
            told = [int(x) for x in re.findall(rb"\d+(?=\r)", f.read())]
        # It counts when it has sent the dot: all but the last of these were acknowledged.
        n, there = (told[-1] if told else 0), names_at(far, tag)
        numbers = sorted(int(re.match(r"\d+", x)[0]) for x in there)
        total += len(numbers)
        # One after the other in one session each: without a gap from the first to the last.
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))) if numbers else n:
            lost.append((tag, n, numbers[:3], numbers[-3:], len(numbers)))
        if len(numbers) not in (n - 1, n):
            lost.append((tag, n, len(numbers)))
        doubled += [x for x, k in there.items() if k > 1]
    run.note(
        f"{total} messages, {hit} of {len(procs)} smtp-source were in a worker that died, "
        f"{len(survivors)} saw nothing of it"
    )
    run.ok("0 lost", not lost, lost)
    run.ok("0 doubled", not doubled, doubled)
    run.ok("there were some", total > 500, total)
    run.same("Postern ends well", postern.stop(), 0)


def finish_by_data(c):
    c.send(b"rest\r\n.\r\n")
    return c.reply()


def finish_by_bdat(c):
    c.send(b"BDAT 6 LAST\r\nrest\r\n")
    return c.reply()


def test_drain(run):
    """SIGTERM under load: every session in a transaction ends well, none begins anew"""
    far, postern = far_and_postern(run)
    crowd = Crowd(postern.port, 6, tag="drain", pause=0.005).start(run)
    until(lambda: crowd.count("acked") > 50, 10)
    sessions = {}
    for state in ("idle", "mail", "rcpt", "data", "bdat", "data-big"):
        c = sessions[state] = Client(postern.port)
        c.ehlo()
        if state == "idle":
            continue
        c.ask("MAIL FROM:<a@client.example>", 250)
        if state == "mail":
            continue
        c.ask(f"RCPT TO:<{state}@example.com>", 250)
        if state.startswith("data"):
            c.ask("DATA", 354)
            c.send(
                b"X-Letter: d\r\n\r\n" + b"0123456789abcde\r\n" * (40000 if "big" in state else 1)
            )
        elif state == "bdat":
            c.ask(b"BDAT 17\r\nX-Letter: d\r\n\r\nab", 250)
    postern.signal(signal.SIGTERM)
    run.ok("the log says so", postern.wait_log("drain=begun"))
    stopped = time.monotonic()
    run.ok("no new connection", until(lambda: not answers_smtp(postern.port), 5))
    run.ok("it waits for those in a transaction", postern.process.poll() is None)
    # A session that had no transaction yet may have one.
    sessions["idle"].mail(["idle@example.com"])
    run.same("before MAIL", sessions["idle"].text_by_data(b"X-Letter: d\r\n\r\n").code, 250)
    c = sessions["mail"]
    c.ask("RCPT TO:<mail@example.com>", 250)
    run.same("after MAIL", c.text_by_data(b"X-Letter: d\r\n\r\n").code, 250)
    run.same("after RCPT", sessions["rcpt"].text_by_bdat(b"X-Letter: d\r\n\r\nx").code, 250)
    run.same("inside DATA", finish_by_data(sessions["data"]).code, 250)
    run.same("inside a streamed DATA", finish_by_data(sessions["data-big"]).code, 250)
    run.same("between chunks", finish_by_bdat(sessions["bdat"]).code, 250)
    for state, c in sessions.items():
        try:
            code = c.ask("MAIL FROM:<b@client.example>").code
        except Lost:
            code = 421 if "421" in c.data.decode() else 0
        run.same(f"{state}: the next transaction", code, 421)
    run.ok("the crowd comes to its end", crowd.stop())
    try:
        status = postern.process.wait(25)
    except subprocess.TimeoutExpired:
        status = "still there"
    run.same("exit status", status, 0)
    run.ok("it did not wait for nothing", time.monotonic() - stopped < 15)
    for state in sessions:
        got = [e for e in far.entries() if e["to"][0].startswith(f"<{state}@")]
        run.same(f"{state}: the message is there once", len(got), 1)
    sums = crowd.judge(run, far.entries())
    run.ok("no message of the crowd was torn", sums["dropped"] + sums["unsure"] == 0, crowd.events)


def answers_smtp(port):
    try:
        with Client(port, timeout=3):
            return True
    except (OSError, Lost, Refused):
        return False
