"""soak_verdict -- the end of it: what clients were told, servers took and the log says must agree.

It only reads what the others kept; the sentences below are what a letter may not be."""
import collections
import glob
import re

from harness import read

TAKEN = ("accepted", "accepted-unacknowledged", "unknown")


class Case:
    """One letter: its sender's story, its entries in journals, the log's words, the quarantine."""

    def __init__(self, letter, entries, words, kept, near):
        """near: a worker was killed meanwhile, so a line of the log or a reply may lack."""
        self.letter, self.entries, self.words, self.kept = letter, entries, words, kept
        self.acked, self.n, self.near = letter.how == "acked", len(entries), near
        self.word = words[-1] if words else None
        self.unlogged = self.word is None and near

    def wrong(self):
        """The first sentence that is true of it, or None."""
        return next((what for what, test in WRONG if test(self)), None)

    def __str__(self):
        return f"{self.letter.key}: {self.letter}, logged {self.words}, {self.n} in journals"


WRONG = (
    ("twice in a journal or in the log", lambda c: c.n > 1 or len(c.words) > 1),
    ("with another body", lambda c: c.n and c.entries[0].sha != c.letter.sha),
    ("for other recipients", lambda c: c.acked and c.n and c.entries[0].to != c.letter.to),
    (
        "acknowledged, taken and not so logged",
        lambda c: c.acked and c.n and not (c.word == "accepted" or c.unlogged),
    ),
    (
        "in quarantine and not in its folder",
        lambda c: c.acked and not c.n and c.word == "quarantined" and not c.kept,
    ),
    (
        "acknowledged and lost",
        lambda c: c.acked and not c.n and c.word not in ("discarded", "quarantined"),
    ),
    (
        "taken and logged as told, which its client did not hear",
        lambda c: not c.acked and c.n and c.word == "accepted" and not (c.letter.own or c.near),
    ),
    (
        "taken and refused, and the log does not say so",
        lambda c: not c.acked and c.n and c.word not in TAKEN and not c.unlogged,
    ),
    ("taken before it had come to its end", lambda c: c.letter.how == "dropped" and c.n),
)


class Verdict:
    """Of a week that is over."""

    def __init__(self, run, postern, letters, fars, killed):
        """letters: by their key; killed: when each worker that we killed was."""
        self.run, self.letters, self.killed, self.log = run, letters, killed, postern.log()
        self.deaths = postern.lines("worker-death")
        self.journal = collections.defaultdict(list)
        for entry in [e for f in fars for e in f.journal]:
            self.journal[entry.letter].append(entry)

    def judge(self):
        self.judge_letters()
        self.judge_mail()
        self.judge_log()

    def cases(self):
        words, kept = self.logged(), self.kept()
        for key, x in self.letters.items():
            near = any(x.begun < t < x.ended + 2 for t in self.killed.values())
            yield Case(x, self.journal.get(key, []), words.get(key, []), key in kept, near)

    def logged(self):
        """The outcomes that the log tells of each letter."""
        words = collections.defaultdict(list)
        line = r" message outcome=(\S+) .*? from=(\S+)@client\.example "
        for word, key in re.findall(line, self.log):
            words[key].append(word)
        return words

    def kept(self):
        """The letters in quarantine."""
        texts = "".join(read(x) for x in glob.glob(self.run.path("kept", "new", "*")))
        return set(re.findall(r"^X-Letter: (\S+)", texts, re.M))

    def judge_letters(self):
        bad, sums = collections.defaultdict(list), collections.Counter()
        for c in self.cases():
            where = "in" if c.n else "not in"
            sums[f"{c.letter.how}, {where} a journal: outcome={c.word}"] += 1
            what = c.wrong()
            if what:
                bad[what].append(c)
        for what, cases in bad.items():
            detail = "\n".join(str(c)[:300] for c in cases[:6])
            self.run.ok(f"no letter is {what}", False, f"{len(cases)} of them\n{detail}")
        self.run.ok(f"{len(self.letters)} letters are where they should be", not bad)
        self.note(sums)

    def judge_mail(self):
        strange = [k for k in self.journal if k not in self.letters]
        self.run.same("nothing that nobody sent", strange, [])
        acked = sum(x.how == "acked" for x in self.letters.values())
        self.run.ok("there was mail", acked > 20, f"{acked} of {len(self.letters)} letters acked")
        signed = any(e.signed for entries in self.journal.values() for e in entries)
        self.run.ok("some was signed", signed)

    def judge_log(self):
        ours = [f"pid={p} signal=SIGKILL" for p in self.killed]
        own = [x for x in self.deaths if not any(o in x for o in ours)]
        self.run.same("no worker died by itself", own, [])
        odd = r"- log (dropped|damaged)|worker cut "
        odd = [x for x in self.log.splitlines() if re.search(odd, x)]
        self.run.same("the log is whole, nobody was cut", odd, [])

    def note(self, counted):
        self.run.note("; ".join(f"{n} {what}" for what, n in counted.most_common(25)))
