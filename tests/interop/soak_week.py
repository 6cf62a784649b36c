"""soak_week -- the events: reloads, killed workers, servers that go and come back, and quiet hours.

It does things to the daemon and checks that each is done; what becomes of the mail meanwhile is
soak_verdict's, what the workers hold in a quiet hour soak_watch's."""
import collections
import os
import random
import signal
import time

import harness
from harness import read, until
from servers import Postern, tls_files
from soak_far import TIMEOUT, Far
from soak_verdict import Verdict
from soak_watch import Watch
from soak_wild import Wilds

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
# What some reloads take away and others bring back.
WHOLE = """check suspect { when header("Subject") matches "suspect"  quarantine }
check worthless { when header("Subject") matches "worthless"  discard }
check unwanted { when header("Subject") matches "unwanted"  reject 550 5.7.1 "no" }
check rename { when header("X-Odd") is yes  delete-header "X-Odd"  add-header "X-Even" "yes" }
sign ours selector s1 key "@KEY@" when client in { 127.0.0.0/8 }
"""


class Week:
    """killed: when each worker was; most: of the workers that there were at a time."""

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
        self.watch.judge_growth(self.run)
        self.traffic(2)
        self.end()

    def end(self):
        """In the midst of mail; then all is looked at."""
        pids = set(self.watch.seen)
        self.run.same("it drains and ends well", self.postern.stop(75), 0)
        self.run.ok("the crowd comes to its end", self.crowd.stop())
        left = [p for p in pids if self.postern.file in read(f"/proc/{p}/cmdline")]
        self.run.same("no process is left", left, [])
        verdict = Verdict(self.run, self.postern, self.crowd.letters, self.fars, self.killed)
        verdict.judge()
        self.run.same("nobody waited in vain", self.crowd.late, [])
        for counted in (*(f.odd for f in self.fars), self.crowd.events):
            verdict.note(counted)
