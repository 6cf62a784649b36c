"""soak_watch -- what the workers hold: descriptors and memory, each second and in quiet moments.

It knows no mail and does nothing to the daemon; it only looks into /proc."""
import collections
import glob
import os
import re
import threading
import time

from harness import read, until

CEILING = 64 * 1024  # KiB that a worker may have when it is quiet
GROWTH = 12 * 1024  # KiB that it may gain from its first quiet moment to its last
LISTENERS = 2

# fds: all descriptors; far: those of them that lead to servers; memory in KiB.
Held = collections.namedtuple("Held", "fds far pss rss")


class Watch(threading.Thread):
    """seen: per worker what it had in each second; quiet: in each quiet moment."""

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
                found[pid] = Held(n, far, int(kb["Pss"]), int(kb["Rss"]))
            except (OSError, KeyError):
                continue
        return found

    def descriptors(self):
        """Each worker's, sockets with their line of the kernel's table."""
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
            self.base = self.base or min(x.fds - x.far for x in now.values())
            # Each address keeps a socket for each of the most workers there were; all have all.
            base = self.base + LISTENERS * (most - 2)
            return all(x.fds - x.far == base and not (last and x.far) for x in now.values())

        good = until(settled, 30 if last else 5, 0.2)
        now = self.look()
        detail = f"at first {self.base}, workers <= {most}\n{now}"
        detail = "" if good else f"{self.descriptors()}\n{detail}"
        run.ok("descriptors are as at the start, besides those to servers", good, detail)
        run.ok("no more memory than may be", all(x.rss < CEILING for x in now.values()), now)
        for pid, what in now.items():
            self.quiet[pid].append(what)

    def judge_growth(self, run):
        self.table(run)
        grown = {p: q for p, q in self.quiet.items() if q[-1].rss - q[0].rss > GROWTH}
        run.ok("no worker grows from quiet to quiet", not grown, grown)

    def table(self, run):
        run.note("first, highest, last:  descriptors               Pss KiB               Rss KiB")
        run.note("worker   seconds")
        for pid, rows in self.seen.items():
            if len(rows) >= 5:
                three = [(c[0], max(c), c[-1]) for c in (list(x) for x in zip(*rows))]
                cells = ["%6d %6d %6d" % three[i] for i in (0, 2, 3)]
                run.note(f"{pid:<8} {len(rows):>7}  {'  '.join(cells)}")
