"""What the client sent is what the far end has, octet for octet, but for what makes the end of its header plain."""
import hashlib
import os
import re
import threading
import random

from client import Client
from harness import SEED
from letters import Maker, arriving, canonical, for_data
from servers import FarEnd, Postern, Postfix, before_postfix, pool_of

N = int(os.environ.get("LETTERS") or 500)
BIG, SMALL = "16M", "4K"


def sha(text):
    return hashlib.sha256(text).hexdigest()


def spool(run):
    """A folder that the workers' user may write to."""
    return run.folder("spool", mode=0o777)


def wanted(letters):
    """way -> SHA-256 of what must arrive, for each letter"""
    return {
        "data": [sha(arriving(canonical(for_data(raw)))) for _, raw in letters],
        "bdat": [sha(arriving(canonical(raw))) for _, raw in letters],
    }


def send_all(run, port, letters, way, threads=4):
    """Sends letter i to <mI@example.com>; gives what was wrong with replies."""
    wrong, numbers, lock = [], iter(range(len(letters))), threading.Lock()

    def work(k):
        r = random.Random(SEED + k)
        c, used = None, 0
        while True:
            with lock:
                i = next(numbers, None)
            if i is None:
                break
            kind, raw = letters[i]
            try:
                if c is None:
                    c, used = Client(port, timeout=60), 0
                    c.ehlo()
                c.mail(
                    [f"m{i}@example.com"],
                    pipelined=r.random() < 0.5,
                    params=" BODY=8BITMIME" if kind == "eight_bit" else "",
                )
                reply = c.text_by_bdat(raw, r) if way == "bdat" else c.text_by_data(for_data(raw))
                if reply.code != 250:
                    wrong.append((i, kind, len(raw), reply.code, reply.text))
                used += 1
                if used >= r.choice((1, 5, 20)):
                    c.quit()
                    c = None
            except Exception as e:  # pylint: disable=broad-except
                wrong.append((i, kind, len(raw), repr(e)))
                if c is not None:
                    c.close()
                c = None
        if c is not None:
            c.quit()

    crew = [threading.Thread(target=work, args=(k,), daemon=True) for k in range(threads)]
    for t in crew:
        t.start()
    for t in crew:
        t.join()
    return wrong


def compare(run, what, letters, want, got):
    """want: SHA-256 of each; got: number -> list of (SHA-256, octets)"""
    bad = [
        (i, kind, len(raw), [n for _, n in got.get(i, [])])
        for i, (kind, raw) in enumerate(letters)
        if [h for h, _ in got.get(i, [])] != [want[i]]
    ]
    run.ok(
        f"{what}: {len(letters)} letters are the same",
        not bad,
        f"{len(bad)} differ (number, kind, octets sent, octets there): {bad[:12]}\n"
        f"repeat with SEED={SEED}",
    )


def by_number(entries):
    got = {}
    for e in entries:
        for to in e["to"]:
            got.setdefault(int(re.match(r"<m(\d+)@", to)[1]), []).append((e["sha"], e["n"]))
    return got


# name, what is said of the upstream, memory of the spool, what the log calls it
MODES = (
    ("held", "", BIG, None),
    ("streamed", "", SMALL, None),
    ("spooled", " no-streaming", SMALL, "way=spooled"),
)


def test_octets(run):
    """500 letters by DATA and BDAT, streamed and spooled, to DATA and BDAT: their SHA-256"""
    letters = [Maker(SEED * 1000 + i).letter(i) for i in range(N)]
    want = wanted(letters)
    run.note(f"{N} letters, {sum(len(raw) for _, raw in letters) >> 20} MB; SEED={SEED}")
    for chunking in (True, False):
        for mode, words, memory, told in MODES:
            far = FarEnd(run, **({} if chunking else {"no_chunking": True}))
            postern = Postern(
                run,
                pool_of(
                    f"upstream 127.0.0.1:{far.port}{words}\n",
                    workers=2,
                    spool=f'"{spool(run)}" memory {memory}',
                ),
            )
            seen = 0
            for way in ("data", "bdat"):
                how = f"from {way.upper()}, {mode}, to {'BDAT' if chunking else 'DATA'}"
                wrong = send_all(run, postern.port, letters, way)
                run.ok(f"{how}: each hears 250", not wrong, wrong[:10])
                entries = far.entries()[seen:]
                seen += len(entries)
                compare(run, how, letters, want[way], by_number(entries))
                run.same(
                    f"{how}: the far end agrees",
                    {e["way"] for e in entries},
                    {"bdat" if chunking else "data"},
                )
            if told:
                run.ok("they were spooled", postern.wait_log(told, n=N // 3), postern.log())
            run.same("Postern ends well", postern.stop(), 0)
            run.sweep()


def maildir(folder):
    """number -> (sha, n) of the files in a Maildir; lines end with LF there."""
    got = {}
    for name in os.listdir(os.path.join(folder, "new")):
        with open(os.path.join(folder, "new", name), "rb") as f:
            text = f.read()
        fields = re.match(
            rb"Return-Path: <a@client\.example>\nDelivered-To: m(\d+)@example\.com\n", text
        )
        text = text[fields.end() :].replace(b"\n", b"\r\n")
        got.setdefault(int(fields[1]), []).append((sha(text), len(text)))
        os.unlink(os.path.join(folder, "new", name))
    return got


def test_octets_spooled(run):
    """the same letters by DATA and BDAT, spooled to a file, into a Maildir"""
    letters = [Maker(SEED * 1000 + i).letter(i) for i in range(N)]
    want = wanted(letters)
    for memory in (SMALL, BIG):
        postern = Postern(
            run,
            pool_of(
                f'upstream maildir "{run.path("mail")}"\n',
                workers=2,
                spool=f'"{spool(run)}" memory {memory}',
            ),
        )
        for way in ("data", "bdat"):
            how = (
                f"from {way.upper()}, {'spooled' if memory == SMALL else 'in memory'}, to a Maildir"
            )
            wrong = send_all(run, postern.port, letters, way)
            run.ok(f"{how}: each hears 250", not wrong, wrong[:10])
            compare(run, how, letters, want[way], maildir(run.path("mail")))
        if memory == SMALL:
            run.ok("they were spooled", postern.wait_log("way=spooled"))
        run.same(
            "nothing is left in the spool's folder or tmp", os.listdir(run.path("mail", "tmp")), []
        )
        run.same("Postern ends well", postern.stop(), 0)
        run.sweep()


def test_octets_postfix(run):
    """letters through a real Postfix, which adds fields before the header only"""
    keep = (
        "plain",
        "long_lines",
        "eight_bit",
        "dots",
        "blank_end",
        "folded",
        "end_marks",
        "many_fields",
    )
    letters, i = [], 0
    while len(letters) < 80:
        kind, raw = Maker(SEED * 7 + i).letter(i)
        if kind in keep and len(raw) < 400000:
            letters.append((kind, raw))
        i += 1
    for chunking in ("", "smtpd_discard_ehlo_keywords = chunking\n"):
        far = FarEnd(run, "far" + ("-data" if chunking else "-bdat"), keep=True)
        postfix = Postfix(
            run,
            far.port,
            "master-plain.cf",
            name="postfix" + ("-data" if chunking else "-bdat"),
            main=chunking + "header_size_limit = 1000000\nline_length_limit = 100000\n",
        )
        for memory in (BIG, SMALL):
            postern = Postern(
                run, "", name="postern" + memory + ("-data" if chunking else ""), start=False
            )
            postern.write(
                before_postfix(
                    "postern-plain.conf",
                    postern.port,
                    postfix.port,
                    f'workers 2\nspool "{spool(run)}" memory {memory}\n',
                )
            )
            postern.start()
            for way in ("data", "bdat"):
                how = (
                    f"from {way.upper()}, {'held' if memory == BIG else 'streamed'}, "
                    f"to {'DATA' if chunking else 'BDAT'} of Postfix"
                )
                os.truncate(far.journal, 0)
                wrong = send_all(run, postern.port, letters, way)
                run.ok(f"{how}: each hears 250", not wrong, wrong[:10])
                run.ok("Postfix's queue becomes empty", postfix.flushed(60))
                through_postfix(run, how, letters, way, far)
            postern.stop()
        run.sweep()


def through_postfix(run, how, letters, way, far):
    got, bad = {}, []
    for e in far.entries():
        for to in e["to"]:
            got.setdefault(int(re.match(r"<m(\d+)@", to)[1]), []).append(far.text(e))
    for i, (kind, raw) in enumerate(letters):
        want = canonical(for_data(raw) if way == "data" else raw)
        there = got.get(i, [])
        if (
            len(there) != 1
            or not there[0].endswith(want)
            or not there[0].startswith(b"Received: from")
        ):
            bad.append((i, kind, len(want), [len(x) for x in there]))
    run.ok(
        f"{how}: {len(letters)} letters, the same below Postfix's own fields",
        not bad,
        f"{len(bad)}: {bad[:10]}",
    )


HIDDEN = b"From: <ceo@bank.example>\r\nSubject: hidden\r\n\r\nhello\r\n"
SHOWN = b"Subject: shown\r\nFrom: <a@client.example>\r\n\r\nhello\r\n"

# what is sent, the Subject that a server reads: what we judged
UNPLAIN = (
    (b"X-A: 1\r\njunk\r\n" + HIDDEN, None),
    (b"junk\r\n" + HIDDEN, None),
    (b" folded\r\n" + HIDDEN, None),
    (b"X-A: 1\r\n" + b"x" * 999 + b": v\r\n" + HIDDEN, None),
    (b"X-A: 1\r\nX-\xfc: v\r\n" + HIDDEN, None),
    (b"X-A: 1\r\nFrom x@y Mon\r\n" + HIDDEN, None),
    (b"From x@y Mon\r\njunk\r\n" + HIDDEN, None),
    (b"From x\r\n" * 17 + HIDDEN, None),
    (b"From x@y Mon Jan  1 00:00:00 2024\r\n" + SHOWN, "shown"),
    (b">From x@y Mon\r\n" + SHOWN, "shown"),
    (b"From x@y Mon\r\n>>From z\r\n" + SHOWN, "shown"),
    (SHOWN, "shown"),
)


def subject(text):
    """As somebody reads it who passes over lines that are no fields."""
    head = text.split(b"\r\n\r\n", 1)[0]
    found = re.search(rb"(?m)^Subject: (.*?)\r?$", head)
    return found[1].decode() if found else None


def test_octets_header(run):
    """where a header ends is as plain to Postfix, by DATA and by BDAT, as it was to us"""
    for chunking in ("", "smtpd_discard_ehlo_keywords = chunking\n"):
        name = "-data" if chunking else "-bdat"
        far = FarEnd(run, "far" + name, keep=True)
        main = chunking + "line_length_limit = 100000\n"
        postfix = Postfix(run, far.port, "master-plain.cf", name="postfix" + name, main=main)
        for memory in (BIG, SMALL):
            postern = Postern(run, "", name="postern" + memory + name, start=False)
            more = f'workers 1\nspool "{spool(run)}" memory {memory}\n'
            postern.write(
                before_postfix("postern-plain.conf", postern.port, postfix.port, more)
            )
            postern.start()
            letters = [("unplain", raw + b"more\r\n" * 3000) for raw, _ in UNPLAIN]
            for way in ("data", "bdat"):
                how = f"from {way.upper()}, memory {memory}, to {'DATA' if chunking else 'BDAT'}"
                os.truncate(far.journal, 0)
                run.same(f"{how}: each hears 250", send_all(run, postern.port, letters, way), [])
                run.ok("Postfix's queue becomes empty", postfix.flushed(60))
                read = {e["to"][0]: subject(far.text(e)) for e in far.entries()}
                for i, (raw, want) in enumerate(UNPLAIN):
                    there = [s for to, s in read.items() if to.startswith(f"<m{i}@")]
                    run.same(f"{how}: what is read of {raw[:30]}", there, [want])
            postern.stop()
        run.sweep()


def test_spool_fault(run):
    """a spool that cannot be written: streamed text needs none; else 4.3.x, and the session goes on"""
    closed = run.folder("closed", mode=0o555)
    user = "user nobody\n" if os.getuid() == 0 else ""
    for words in ("", " no-streaming"):
        far = FarEnd(run)
        postern = Postern(
            run,
            pool_of(
                f"upstream 127.0.0.1:{far.port}{words}\n{user}", spool=f'"{closed}" memory {SMALL}'
            ),
        )
        with Client(postern.port) as c:
            c.ehlo()
            c.mail(["big@example.com"])
            r = c.text_by_data(b"X-Letter: big\r\n\r\n" + b"text\r\n" * 5000)
            want = r.code == 250 if not words else r.code in (451, 452) and r.text.startswith("4.3.")
            run.ok(
                f"a message that is too large for memory{words}",
                want,
                f"{r.code} {r.text}\n{postern.log()}",
            )
            if words:
                run.ok("the log names the folder", postern.wait_log(str(closed)), postern.log())
            c.mail(["small@example.com"])
            run.same("a small one", c.text_by_data(b"X-Letter: small\r\n\r\n").code, 250)
        there = ["small"] if words else ["big", "small"]
        run.same("what was taken is there", [e["letter"] for e in far.entries()], there)
        run.sweep()
