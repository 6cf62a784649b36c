"""One filter, three homes: a daemon of its own, inside the worker, in a process of its own; and what becomes of the last
one's plugins when they crash, hang, leak and are killed."""
import collections
import concurrent.futures
import glob
import os
import re
import resource
import shutil
import signal
import socket
import time

from client import Client, Crowd, Lost
from harness import PROGRAM, Skip, read, until
from homes import EHLO, MAIL, PROBES, RCPT, Home, Row, letter, message, play_all
from letters import stuffed
from servers import FarEnd, Postern, pool_of

# Each answer at each stage, and a second message behind it, where there is one.
#   stage and what is answered | replies | what the filter is told | messages that arrive
# next: RSET, MAIL, RCPT, DATA, the text, QUIT.  open: negotiate, connect.  MESSAGE: mail to eom.
ANSWERS = """
connect continue | 220 250 250 250 354 250 next | open helo MESSAGE MESSAGE | 2
connect reject | 220 250 250 550 554 250 250 550 554 221 | open | 0
connect tempfail | 220 250 250 451 554 250 250 451 554 221 | open | 0
connect accept | 220 250 250 250 354 250 next | open | 2
connect discard | 220 250 250 451 554 250 250 451 554 221 | open open open | 0
connect skip | 220 250 250 451 554 250 250 451 554 221 | open open open | 0
connect reply554 | 220 250 250 554 554 250 250 554 554 221 | open | 0
connect reply451 | 220 250 250 451 554 250 250 451 554 221 | open | 0
connect reply421 | 421 | open | 0
connect mlreply550 | 220 250 250 550 554 250 250 550 554 221 | open | 0
helo continue | 220 250 250 250 354 250 next | open helo MESSAGE MESSAGE | 2
helo reject | 220 250 250 550 554 250 250 550 554 221 | open helo | 0
helo tempfail | 220 250 250 451 554 250 250 451 554 221 | open helo | 0
helo accept | 220 250 250 250 354 250 next | open helo | 2
helo discard | 220 250 250 451 554 250 250 451 554 221 | open helo open helo open helo | 0
helo skip | 220 250 250 451 554 250 250 451 554 221 | open helo open helo open helo | 0
helo reply554 | 220 250 250 554 554 250 250 554 554 221 | open helo | 0
helo reply451 | 220 250 250 451 554 250 250 451 554 221 | open helo | 0
helo reply421 | 220 421 | open helo | 0
helo mlreply550 | 220 250 250 550 554 250 250 550 554 221 | open helo | 0
mail continue | 220 250 250 250 354 250 next | open helo MESSAGE MESSAGE | 2
mail reject | 220 250 250 550 554 next | open helo mail MESSAGE | 1
mail tempfail | 220 250 250 451 554 next | open helo mail MESSAGE | 1
mail accept | 220 250 250 250 354 250 next | open helo mail MESSAGE | 2
mail discard | 220 250 250 250 354 250 next | open helo mail MESSAGE | 1
mail skip | 220 250 250 451 554 next | open helo mail abort open helo MESSAGE | 1
mail reply554 | 220 250 250 554 554 next | open helo mail MESSAGE | 1
mail reply451 | 220 250 250 451 554 next | open helo mail MESSAGE | 1
mail reply421 | 220 250 421 | open helo mail | 0
mail mlreply550 | 220 250 250 550 554 next | open helo mail MESSAGE | 1
rcpt continue | 220 250 250 250 250 354 250 next | open helo mail rcpt rcpt data header eoh body eom MESSAGE | 2
rcpt reject | 220 250 250 550 250 354 250 next | open helo mail rcpt rcpt data header eoh body eom MESSAGE | 2
rcpt tempfail | 220 250 250 451 250 354 250 next | open helo mail rcpt rcpt data header eoh body eom MESSAGE | 2
rcpt accept | 220 250 250 250 250 354 250 next | open helo mail rcpt MESSAGE | 2
rcpt discard | 220 250 250 250 250 354 250 next | open helo mail rcpt abort MESSAGE | 1
rcpt skip | 220 250 250 451 451 554 next | open helo mail rcpt abort open helo MESSAGE | 1
rcpt reply554 | 220 250 250 554 250 354 250 next | open helo mail rcpt rcpt data header eoh body eom MESSAGE | 2
rcpt reply451 | 220 250 250 451 250 354 250 next | open helo mail rcpt rcpt data header eoh body eom MESSAGE | 2
rcpt reply421 | 220 250 250 421 | open helo mail rcpt abort | 0
rcpt mlreply550 | 220 250 250 550 250 354 250 next | open helo mail rcpt rcpt data header eoh body eom MESSAGE | 2
data continue | 220 250 250 250 354 250 next | open helo MESSAGE MESSAGE | 2
data reject | 220 250 250 250 550 next | open helo mail rcpt data MESSAGE | 1
data tempfail | 220 250 250 250 451 next | open helo mail rcpt data MESSAGE | 1
data accept | 220 250 250 250 354 250 next | open helo mail rcpt data MESSAGE | 2
data discard | 220 250 250 250 354 250 next | open helo mail rcpt data MESSAGE | 1
data skip | 220 250 250 250 451 next | open helo mail rcpt data abort open helo MESSAGE | 1
data reply554 | 220 250 250 250 554 next | open helo mail rcpt data MESSAGE | 1
data reply451 | 220 250 250 250 451 next | open helo mail rcpt data MESSAGE | 1
data reply421 | 220 250 250 250 421 | open helo mail rcpt data | 0
data mlreply550 | 220 250 250 250 550 next | open helo mail rcpt data MESSAGE | 1
header continue | 220 250 250 250 354 250 next | open helo mail rcpt data header header eoh body eom MESSAGE | 2
header reject | 220 250 250 250 354 550 next | open helo mail rcpt data header header MESSAGE | 1
header tempfail | 220 250 250 250 354 451 next | open helo mail rcpt data header header MESSAGE | 1
header accept | 220 250 250 250 354 250 next | open helo mail rcpt data header header MESSAGE | 2
header discard | 220 250 250 250 354 250 next | open helo mail rcpt data header header MESSAGE | 1
header skip | 220 250 250 250 354 451 next | open helo mail rcpt data header header abort open helo MESSAGE | 1
header reply554 | 220 250 250 250 354 554 next | open helo mail rcpt data header header MESSAGE | 1
header reply451 | 220 250 250 250 354 451 next | open helo mail rcpt data header header MESSAGE | 1
header reply421 | 220 250 250 250 354 421 | open helo mail rcpt data header header | 0
header mlreply550 | 220 250 250 250 354 550 next | open helo mail rcpt data header header MESSAGE | 1
eoh continue | 220 250 250 250 354 250 next | open helo mail rcpt data header header eoh body eom MESSAGE | 2
eoh reject | 220 250 250 250 354 550 next | open helo mail rcpt data header header eoh MESSAGE | 1
eoh tempfail | 220 250 250 250 354 451 next | open helo mail rcpt data header header eoh MESSAGE | 1
eoh accept | 220 250 250 250 354 250 next | open helo mail rcpt data header header eoh MESSAGE | 2
eoh discard | 220 250 250 250 354 250 next | open helo mail rcpt data header header eoh MESSAGE | 1
eoh skip | 220 250 250 250 354 451 next | open helo mail rcpt data header header eoh abort open helo MESSAGE | 1
eoh reply554 | 220 250 250 250 354 554 next | open helo mail rcpt data header header eoh MESSAGE | 1
eoh reply451 | 220 250 250 250 354 451 next | open helo mail rcpt data header header eoh MESSAGE | 1
eoh reply421 | 220 250 250 250 354 421 | open helo mail rcpt data header header eoh | 0
eoh mlreply550 | 220 250 250 250 354 550 next | open helo mail rcpt data header header eoh MESSAGE | 1
body continue | 220 250 250 250 354 250 next | open helo mail rcpt data header header eoh body eom MESSAGE | 2
body reject | 220 250 250 250 354 550 next | open helo mail rcpt data header header eoh body MESSAGE | 1
body tempfail | 220 250 250 250 354 451 next | open helo mail rcpt data header header eoh body MESSAGE | 1
body accept | 220 250 250 250 354 250 next | open helo mail rcpt data header header eoh body MESSAGE | 2
body discard | 220 250 250 250 354 250 next | open helo mail rcpt data header header eoh body MESSAGE | 1
body skip | 220 250 250 250 354 250 next | open helo mail rcpt data header header eoh body eom MESSAGE | 2
body reply554 | 220 250 250 250 354 554 next | open helo mail rcpt data header header eoh body MESSAGE | 1
body reply451 | 220 250 250 250 354 451 next | open helo mail rcpt data header header eoh body MESSAGE | 1
body reply421 | 220 250 250 250 354 421 | open helo mail rcpt data header header eoh body | 0
body mlreply550 | 220 250 250 250 354 550 next | open helo mail rcpt data header header eoh body MESSAGE | 1
eom continue | 220 250 250 250 354 250 next | open helo mail rcpt data header header eoh body eom MESSAGE | 2
eom reject | 220 250 250 250 354 550 next | open helo mail rcpt data header header eoh body eom MESSAGE | 1
eom tempfail | 220 250 250 250 354 451 next | open helo mail rcpt data header header eoh body eom MESSAGE | 1
eom accept | 220 250 250 250 354 250 next | open helo mail rcpt data header header eoh body eom MESSAGE | 2
eom discard | 220 250 250 250 354 250 next | open helo mail rcpt data header header eoh body eom MESSAGE | 1
eom skip | 220 250 250 250 354 451 next | open helo mail rcpt data header header eoh body eom open helo MESSAGE | 1
eom reply554 | 220 250 250 250 354 554 next | open helo mail rcpt data header header eoh body eom MESSAGE | 1
eom reply451 | 220 250 250 250 354 451 next | open helo mail rcpt data header header eoh body eom MESSAGE | 1
eom reply421 | 220 250 250 250 354 421 | open helo mail rcpt data header header eoh body eom | 0
eom mlreply550 | 220 250 250 250 354 550 next | open helo mail rcpt data header header eoh body eom MESSAGE | 1
unknown continue | 220 250 500 next | open helo unknown MESSAGE | 1
unknown reject | 220 250 550 next | open helo unknown MESSAGE | 1
unknown tempfail | 220 250 451 next | open helo unknown MESSAGE | 1
unknown accept | 220 250 500 next | open helo unknown open helo MESSAGE | 1
unknown discard | 220 250 500 next | open helo unknown open helo MESSAGE | 1
unknown skip | 220 250 500 next | open helo unknown open helo MESSAGE | 1
unknown reply554 | 220 250 554 next | open helo unknown MESSAGE | 1
unknown reply451 | 220 250 451 next | open helo unknown MESSAGE | 1
unknown reply421 | 220 250 421 | open helo unknown | 0
unknown mlreply550 | 220 250 550 next | open helo unknown MESSAGE | 1
"""
NEXT = "250 250 250 354 250 221"
OPEN, MESSAGE = "negotiate connect", "mail rcpt data header eoh body eom"
SESSION = f"{OPEN} helo"


def script_of(stage, word):
    """The commands in which the filter is made to answer that."""
    whole = [EHLO, *message()]
    special = {
        "connect": whole,
        "helo": [f"EHLO do-{word}.example", *message()],
        "mail": [EHLO, f"MAIL FROM:<do-{word}@client.example>", RCPT, "DATA", letter()],
        "rcpt": [EHLO, MAIL, f"RCPT TO:<do-{word}@example.com>", RCPT, "DATA", letter()],
        "data": [EHLO, f"MAIL FROM:<data-{word}@client.example>", RCPT, "DATA", letter()],
        "unknown": [EHLO, f"XDO {word}"],
    }
    return special.get(stage, [EHLO, *message(f"{stage} {word}")]) + ["RSET", *message()]


def answers():
    order = []
    for line in ANSWERS.strip().splitlines():
        name, codes, calls, n = (x.strip() for x in line.split("|"))
        stage, word = name.split(" ")
        if stage == "connect":
            order.append(word)
        calls = calls.replace("open", OPEN).replace("MESSAGE", MESSAGE)
        source = f"127.0.2.{len(order)}" if stage == "connect" else "127.0.0.1"
        script = script_of(stage, word)
        yield Row(name, script, codes.replace("next", NEXT), calls, [()] * int(n), source)


# The octets of a body that is four pieces long.
LONG = b"".join(b"line %06d of a long body\r\n" % i for i in range(8000))
THREE = ("X-Same: one", "X-Same: two", "X-Same: three")


def edits():
    """Each edit: what the filter is told to do at the end of a message, and what arrives."""
    one = "220 250 250 250 354 250 221"
    no = "220 250 250 250 354 %d 221"

    def row(name, orders, *wanted, codes=one, fields=(), body=b"text\r\n", more=""):
        n = 1 + len(orders) + len(fields)
        calls = f"{SESSION} mail rcpt data " + "header " * n + f"eoh body {more}eom"
        script = [EHLO, *message(*orders, fields=fields, body=body)]
        return Row(name, script, codes, calls, [wanted] if wanted else [])

    yield row(
        "the counts",
        ["eom counts"],
        b"X-Probe: connect=1 helo=1 mail=1 rcpt=1 data=1 header=2 eoh=1 body=1 eom=1 abort=0 close=0 ",
    )
    yield row(
        "a field is added",
        ["eom addheader X-New with a value"],
        b"addheader X-New with a value\r\nX-New: with a value\r\n\r\n",
    )
    yield row("a folded one", ["eom addheader X-New one\\n\\ttwo"], b"\r\nX-New: one\r\n\ttwo\r\n\r\n")
    yield row(
        "fields in front",
        ["eom insheader 0 X-First a", "eom insheader 0 X-Zero b"],
        b"X-Zero: b\r\nX-First: a\r\nSubject:",
    )
    yield row(
        "a field among others",
        ["eom insheader 2 X-In a", "eom insheader 1 X-Below a", "eom insheader 100 X-Last b"],
        # Places count the Received field that is ours, too: 1 is directly below it.
        b"X-Below: a\r\nSubject: a letter\r\nX-In: a\r\nX-Do:",
        b"X-Last: b\r\n\r\n",
    )
    yield row(
        "a field is changed",
        ["eom chgheader X-Same 2 new"],
        b"X-Same: one\r\nX-Same: new\r\nX-Same: three\r\n",
        fields=THREE,
    )
    yield row(
        "index 0 is the first",
        ["eom chgheader X-Same 0 new"],
        b"X-Same: new\r\nX-Same: two\r\nX-Same: three\r\n",
        fields=THREE,
    )
    yield row(
        "fields are deleted from the front",
        ["eom chgheader X-Same 1 ", "eom chgheader X-Same 2 "],
        b"-X-Same: one\r",
        b"-X-Same: two\r",
        b"\r\nX-Same: three\r\n",
        fields=THREE,
    )
    yield row(
        "and from the back",
        ["eom chgheader X-Same 3 ", "eom chgheader X-Same 2 "],
        b"-X-Same: three\r",
        b"-X-Same: two\r",
        b"\r\nX-Same: one\r\n",
        fields=THREE,
    )
    yield row(
        "an index that there is not",
        ["eom chgheader X-Same 7 new", "eom chgheader X-Same 9 "],
        b"X-Same: one\r\nX-Same: two\r\nX-Same: three\r\n",
        b"X-Same: new\r\n",
        fields=THREE,
    )
    yield row("a name that there is not", ["eom chgheader X-None 1 new"], b"\r\nX-None: new\r\n")
    yield row("the body is replaced", ["eom replacebody new\\r\\n"], b"\r\n\r\nnew\r\n", b"-text")
    yield row(
        "by several pieces",
        ["eom replacebody one\\r\\n", "eom replacebody .two\\r\\n"],
        b"\r\n\r\none\r\n.two\r\n",
    )
    yield row("by nothing", ["eom replacebody "], b"X-Do: eom replacebody \r\n\r\n")
    yield row("by much", ["eom replacebig 300"], b"sixty octets long\r\n" * 1, b"-text")
    yield row("a recipient is added", ["eom addrcpt <c@example.com>"], "TO <b@example.com> <c@example.com>")
    yield row(
        "with parameters",
        ["eom addrcpt_par <c@example.com> NOTIFY=NEVER"],
        "TO <b@example.com> <c@example.com> NOTIFY=NEVER",
    )
    yield row(
        "one in place of another",
        ["eom addrcpt <c@example.com>", "eom delrcpt <b@example.com>"],
        "TO <c@example.com>",
    )
    yield row("all are deleted", ["eom delrcpt <b@example.com>"])
    yield row("one who was none is deleted", ["eom delrcpt <x@example.com>"], "TO <b@example.com>")
    yield row("the sender is changed", ["eom chgfrom <new@client.example>"], "FROM <new@client.example>")
    yield row("the sender is nobody", ["eom chgfrom <>"], "FROM <>")
    yield row(
        "the sender has parameters",
        ["eom chgfrom <new@client.example> RET=HDRS"],
        "FROM <new@client.example> RET=HDRS",
    )
    yield row("quarantine", ["eom quarantine odd"])
    yield row("progress", ["eom progress", "eom progress", "eom addheader X-New a"], b"X-New: a\r\n")
    yield row(
        "all at once",
        [
            "eom addheader X-New a",
            "eom chgheader Subject 1 changed",
            "eom addrcpt <c@example.com>",
            "eom chgfrom <new@client.example>",
            "eom replacebody all new\\r\\n",
        ],
        b"Subject: changed\r\n",
        b"X-New: a\r\n\r\nall new\r\n",
        "FROM <new@client.example>",
        "TO <b@example.com> <c@example.com>",
    )
    yield row("changes before a refusal", ["eom addheader X-New a", "eom reject"], codes=no % 550)
    yield row("before tempfail", ["eom replacebody x", "eom tempfail"], codes=no % 451)
    yield row("before accept", ["eom addheader X-New a", "eom accept"], b"\r\nX-New: a\r\n")
    yield row(
        "not at that stage",
        ["eoh addheader X-New a", "body addrcpt <c@example.com>"],
        b"-\r\nX-New",
        "TO <b@example.com>",
    )
    yield row("a long body", [], b"line 007999 of a long body\r\n", body=LONG, more="body body body ")
    yield row("a name that is none", ["eom addheader X@New: a"], codes=no % 451)
    yield row("a recipient that is none", ["eom addrcpt <c@example.com"], codes=no % 451)


def sessions():
    """What happens around: parameters, RSET, several messages, ends in the middle."""
    yield Row(
        "parameters",
        [EHLO, "MAIL FROM:<a@client.example> SIZE=1000 BODY=8BITMIME", "RCPT TO:<b@example.com> NOTIFY=NEVER"]
        + ["DATA", letter()],
        "220 250 250 250 354 250 221",
        f"{SESSION} {MESSAGE}",
        [()],
    )
    yield Row("HELO", ["HELO client.example", *message()], "220 250 250 250 354 250 221", f"{SESSION} {MESSAGE}", [()])
    yield Row(
        "EHLO twice", [EHLO, EHLO, *message()], "220 250 250 250 250 354 250 221", f"{SESSION} helo {MESSAGE}", [()]
    )
    yield Row("nothing", [], "220 221", OPEN)
    yield Row(
        "RSET after each command",
        [EHLO, MAIL, "RSET", MAIL, RCPT, "RSET", *message()],
        "220 250 250 250 250 250 250 250 250 354 250 221",
        f"{SESSION} mail abort mail rcpt abort {MESSAGE}",
        [()],
    )
    yield Row("QUIT in the middle", [EHLO, MAIL, RCPT], "220 250 250 250 221", f"{SESSION} mail rcpt abort")
    # libmilter loses its place in a message over such a command: nobody is told of it there.
    yield Row(
        "unknown commands in a message",
        [EHLO, "XDO reject", MAIL, "XDO reject", RCPT, "XDO reject", "DATA", letter(), "XDO reject"],
        "220 250 550 250 500 250 500 354 250 550 221",
        f"{SESSION} unknown {MESSAGE} unknown",
        [()],
    )
    yield Row(
        "five messages",
        [EHLO, *(message() * 5)],
        "220 250" + " 250 250 354 250" * 5 + " 221",
        SESSION + f" {MESSAGE}" * 5,
        [()] * 5,
    )
    yield Row(
        "refused, accepted, refused",
        [EHLO, *message("eom reject"), *message("eom accept"), *message("eom tempfail")],
        "220 250 250 250 354 550 250 250 354 250 250 250 354 451 221",
        SESSION + " mail rcpt data header header eoh body eom" * 3,
        [()],
    )
    yield Row(
        "three recipients, one refused",
        [EHLO, MAIL, RCPT, "RCPT TO:<do-reply554+x@example.com>", "RCPT TO:<c@example.com>", "DATA", letter()],
        "220 250 250 250 554 250 354 250 221",
        f"{SESSION} mail rcpt rcpt rcpt data header eoh body eom",
        [("TO <b@example.com> <c@example.com>",)],
    )
    yield Row(
        "an empty body",
        [EHLO, *message(body=b"")],
        "220 250 250 250 354 250 221",
        f"{SESSION} mail rcpt data header eoh eom",
        [()],
    )


ALL = ("alone", "inside", "isolated")


def need(run):
    for name in ("probe", "probe.so"):
        if not os.path.exists(os.path.join(PROBES, name)):
            raise Skip("no tests/milter/probe: `make interop' builds it, where there is a libmilter")
    return run


def homes(run, names=ALL, **more):
    return [Home(need(run), name, **more) for name in names]


def test_homes_answers(run):
    """each answer at each stage, in each home: the same replies, the same mail, the filter is told the same"""
    play_all(run, homes(run), answers())


def test_homes_edits(run):
    """each edit, in each home"""
    play_all(run, homes(run), edits())


def test_homes_sessions(run):
    """parameters, RSET, several messages, an end in the middle, in each home"""
    play_all(run, homes(run), sessions())


def test_homes_python(run):
    """all that once more: a filter on python3-milter is told what the one on libmilter is told, and does the same"""
    play_all(run, homes(run, ("alone", "python")), [*answers(), *edits(), *sessions()])


# What is asked for (SMFIP_...) | what is answered to the first message | what the filter is told of two messages |
# how the field arrives that it adds to the second, where it gets to know of it.
STEPS = """
0      | eoh accept | open helo mail rcpt data header*2 eoh mail rcpt data header*2 eoh body eom | X-New: 1
3      | eoh accept | negotiate mail rcpt data header*2 eoh mail rcpt data header*2 eoh body eom | X-New: 1
c      | eoh accept | open helo data header*2 eoh abort data header*2 eoh body eom | X-New: 1
200    | eoh accept | open helo mail rcpt header*2 eoh mail rcpt header*2 eoh body eom | X-New: 1
40     | eoh accept | open helo mail rcpt data header*2 body eom mail rcpt data header*2 body eom | X-New: 1
30     | eoh accept | open helo mail rcpt data eoh eom mail rcpt data eoh eom |
37f    | eom accept | negotiate eom eom |
ff080  | eom accept | open helo mail rcpt data header*2 eoh body eom mail rcpt data header*2 eoh body eom | X-New: 1
100000 | eoh accept | open helo mail rcpt data header*2 eoh mail rcpt data header*2 eoh body eom | X-New:1
"""


def test_homes_steps(run):
    """a filter that wants to hear less, or answers less: what it is told, in each home"""
    for line in STEPS.strip().splitlines():
        steps, order, calls, field = (x.strip() for x in line.split("|"))
        second = f"\r\n{field}\r\n".encode() if field else b"-\r\nX-New"
        script = [EHLO, *message(order), MAIL, RCPT, "XDO reject", *message("eom addheader X-New 1")[2:]]
        codes = "220 250 250 250 354 250 250 250 500 354 250 221"
        row = Row(f"steps {steps}", script, codes, calls.replace("open", OPEN), [(), (second,)])
        some = homes(run, args=[f"steps={steps}"])
        play_all(run, some, [row])
        for h in some:
            h.end()


def test_inside_ready(run):
    """one that takes its time to load does so before its worker serves; one that cannot be loaded is said so once"""
    (home,) = homes(run, ("inside",), args=["late=2"])
    postern = home.postern
    run.ok("it is loaded", postern.wait_log(" worker plugin-ready name=probe", f"pid={postern.workers()[0]}", "ms=20"))
    begun = time.monotonic()
    with session(home) as c:
        run.same("a message", send(c).code, 250)
    run.ok("takes no time", time.monotonic() - begun < 1, time.monotonic() - begun)
    conf = read(postern.file)
    postern.write(conf.replace("late=2", "late=0"))
    run.ok("reload", postern.reload())
    run.ok("it is loaded anew", postern.wait_log(" worker plugin-ready ", n=2))
    # The process that checks the file is the one that can load it.
    postern.write(conf.replace("late=2", "once=" + run.path("once")))
    run.ok("one that loads no second time", postern.reload())
    why = 'failed="plugin_args() returned -1: it refuses its args"'
    run.ok("is named", postern.wait_log(" worker plugin-start name=probe", why), postern.log())
    with session(home) as c:
        run.same("its messages", [send(c).code for _ in range(2)], [451] * 2)
    run.same("it was said once", len(postern.lines("plugin-start", "failed=")), 1)


# --- the process of an isolated plugin


def hosts(postern, word="plugin-ready"):
    """Process ids of the plugin's processes in the order of the log."""
    return [int(re.search(r"pid=(\d+)", x).group(1)) for x in postern.lines(f" master {word} ")]


def alive(pid):
    """Neither gone nor waiting to be buried by somebody else's parent."""
    state = re.search(r"^State:\s+(\S)", read(f"/proc/{pid}/status"), re.M)
    return state is not None and state.group(1) not in "ZX"


def threads_of(pid):
    return int((re.search(r"^Threads:\s+(\d+)", read(f"/proc/{pid}/status"), re.M) or (0, 0))[1])


def folder_of(pid):
    """Where its socket lies."""
    words = read(f"/proc/{pid}/cmdline").split("\0")
    return os.path.dirname(words[words.index("--socket") + 1][5:])


def send(client, *orders, **more):
    """One message in an open session; the last reply."""
    r = None
    for step in message(*orders, **more):
        r = client.text_by_data(step) if isinstance(step, bytes) else r if step == "DATA" else client.ask(step)
        if r.code >= 400:
            client.ask("RSET")
            break
    return r


def session(home, **more):
    c = Client(home.postern.port, **more)
    c.ehlo()
    return c


def test_isolated_crash(run):
    """a plugin that crashes in a callback costs that message a 451; the next one meets a new process"""
    (home,) = homes(run, ("isolated",))
    for n, stage in enumerate(("header", "eoh", "body", "eom"), 1):
        with session(home) as c:
            r = send(c, f"{stage} crash")
            run.same(f"{stage}: the message", (r.code, r.text[:5]), (451, "4.7.1"))
            run.ok(f"{stage}: the log says how", home.postern.wait_log("plugin-death", "signal=SIGSEGV", n=n))
            run.same(f"{stage}: the next one in that session", send(c).code, 250)
            c.quit()
    run.same("what arrived", len(home.far.entries()), 4)
    run.same("it failed four times", home.postern.count_log(4, "milter-failed"), 4)
    run.ok("processes were started anew", until(lambda: len(hosts(home.postern)) == 5, 5))


def test_inside_crash(run):
    """a plugin that crashes in the worker takes it along; the log names plugin and callback, and mail goes on"""
    (home,) = homes(run, ("inside",))
    run.check_at_end.remove(home.postern.no_crash)
    c = session(home)
    try:
        send(c, "eom crash")
        run.ok("its client is told nothing", False)
    except (Lost, ConnectionError, BrokenPipeError):
        run.ok("its client is told nothing", True)
    c.close()
    run.ok(
        "the log says who",
        home.postern.wait_log("worker-death", "signal=SIGSEGV", "plugin=", "callback=xxfi_eom"),
        home.postern.log(),
    )
    run.ok("there is another worker", home.postern.wait_log("worker-start", n=2))
    with session(home) as c:
        run.same("the next message", send(c).code, 250)
        c.quit()
    run.same("what arrived", len(home.far.entries()), 1)


def test_isolated_idle(run):
    """a session that waits while the plugin's process is killed loses nothing; nor does one that comes meanwhile"""
    (home,) = homes(run, ("isolated",))
    with session(home) as c:
        run.same("the first message", send(c).code, 250)
        os.kill(hosts(home.postern)[-1], signal.SIGKILL)
        run.ok("it is dead", home.postern.wait_log("plugin-death", "signal=SIGKILL"))
        with session(home) as other:
            run.same("one that comes now", send(other).code, 250)
            other.quit()
        run.same("the second message", send(c, "eom addheader X-New 1").code, 250)
        c.quit()
    entries = home.far.entries()
    run.same("what arrived", len(entries), 3)
    run.ok("the last one was seen", b"\r\nX-New: 1\r\n" in home.far.text(entries[-1]))


def test_isolated_hang(run):
    """one that hangs costs that message a 451 when its time is over, and nobody else anything"""
    (home,) = homes(run, ("isolated",), block="timeout 3s")
    begun = time.monotonic()
    with session(home) as slow, session(home) as other:
        slow.mail(["b@example.com"])
        slow.ask("DATA", 354)
        slow.send(letter("eom hang").replace(b"\r\n.", b"\r\n..") + b".\r\n")
        for _ in range(20):
            run.same("meanwhile", send(other).code, 250)
        run.ok("that took no time", time.monotonic() - begun < 2)
        run.same("the message that hangs", slow.reply().code, 451)
        run.ok("behind its timeout", 2.9 < time.monotonic() - begun < 8, time.monotonic() - begun)
        run.same("the next one in that session", send(slow).code, 250)
    run.same("no process died", home.postern.lines("plugin-death"), [])
    run.same("what arrived", len(home.far.entries()), 21)


# What the plugin does to its process in the middle of others' callbacks, and how the log tells of the end.
CRASHES = (
    ("eom fault", "signal=SIGSEGV"),
    ("eom overflow", "signal=SIGSEGV"),
    ("eom abort", "signal=SIGABRT"),
    ("eom exit", "exit=7"),
    ("header fault", "signal=SIGSEGV"),
    ("body crash", "signal=SIGSEGV"),
)


def numbered(n, *orders):
    return letter(*orders, fields=(f"X-Number: {n}",))


def numbers(home):
    """Of the messages that arrived, in their order."""
    texts = [home.far.text(e) for e in home.far.entries()]
    return sorted(int(re.search(rb"\r\nX-Number: (\d+)", t).group(1)) for t in texts)


def begin(home, text):
    """A session whose message is on its way."""
    c = session(home)
    c.mail(["b@example.com"])
    c.ask("DATA", 354)
    c.send(stuffed(text))
    return c


def end_all(clients):
    codes = [c.reply().code for c in clients]
    for c in clients:
        c.close()
    return codes


def side_by_side(home, letters):
    """One message in a session of its own each, all at once; the codes."""
    return end_all([begin(home, text) for text in letters])


def in_flight(home, n):
    """So many messages, numbered from 1, each in its session, each now waiting in its callback."""
    clients = [begin(home, numbered(i + 1, "eom wait 500", "eom addheader X-Seen 1")) for i in range(n)]
    time.sleep(0.1)
    return clients


def test_isolated_culprit(run):
    """a crash costs the message whose callback it was a 451; those that are in others meanwhile go on, edited once"""
    (home,) = homes(run, ("isolated",))
    for n, (order, how) in enumerate(CRASHES, 1):
        before = len(home.far.entries())
        clients = in_flight(home, 19)
        guilty = begin(home, numbered(20, order))
        run.same(f"{order}: the guilty one", end_all([guilty]), [451])
        run.same(f"{order}: the others", end_all(clients), [250] * 19)
        run.ok(f"{order}: the log says how", home.postern.wait_log("plugin-death", how), home.postern.log()[-3000:])
        run.same(f"{order}: one process died", len(home.postern.lines("plugin-death")), n)
        run.same(f"{order}: what arrived, and how often", numbers(home), sorted(list(range(1, 20)) * n))
        texts = [home.far.text(e) for e in home.far.entries()[before:]]
        run.ok(f"{order}: edited once", all(t.count(b"\r\nX-Seen: 1\r\n") == 1 for t in texts))
    run.same("one failed each time", home.postern.count_log(len(CRASHES), "milter-failed"), len(CRASHES))
    again = home.postern.count_log(9 * len(CRASHES) + 1, "milter-again")
    run.ok("most of the others were told again", again > 9 * len(CRASHES), again)


def test_isolated_culprit_early(run):
    """so does one in connect, in helo and at a recipient"""
    # How often the process dies: at what is told of the session by itself, and once more with the message.
    for stage, source, name, to, n in (
        ("connect", "127.0.2.11", "client.example", "b@example.com", 2),
        ("helo", "127.0.0.1", "do-fault.example", "b@example.com", 2),
        ("rcpt", "127.0.0.1", "client.example", "do-fault@example.com", 1),
    ):
        (home,) = homes(run, ("isolated",))
        clients = in_flight(home, 5)
        with Client(home.postern.port, source=source) as c:
            c.ehlo(name)
            c.ask(MAIL, 250)
            run.same(f"{stage}: the message", c.ask(f"RCPT TO:<{to}>").code, 451)
            run.same(f"{stage}: the others", end_all(clients), [250] * 5)
        run.same(f"{stage}: what arrived", numbers(home), [1, 2, 3, 4, 5])
        run.same(f"{stage}: processes", len(home.postern.lines("plugin-death", "signal=SIGSEGV")), n)
        home.end()


def test_isolated_culprit_text(run):
    """so does one in a plugin that hears of nothing but the text"""
    # SMFIP_NOCONNECT to SMFIP_NORCPT, SMFIP_NOEOH, SMFIP_NODATA.
    (home,) = homes(run, ("isolated",), args=["steps=24f"])
    for n, order in enumerate(("header fault", "body fault", "eom fault"), 1):
        clients = in_flight(home, 5)
        with session(home) as c:
            run.same(f"{order}: the guilty one", send(c, order).code, 451)
        run.same(f"{order}: the others", end_all(clients), [250] * 5)
        run.same(f"{order}: one process died", len(home.postern.lines("plugin-death")), n)
    run.same("what arrived", numbers(home), sorted([1, 2, 3, 4, 5] * 3))


def test_isolated_culprit_often(run):
    """one who sends what crashes the plugin all the time does not shut the others out"""
    (home,) = homes(run, ("isolated",))
    for n in range(8):
        with session(home) as c, session(home) as other:
            run.same("the guilty one", send(c, "eom fault").code, 451)
            if n > 4:
                run.same("another one", send(other).code, 250)
    waits = [int(re.search(r"again-ms=(\d+)", x).group(1)) for x in home.postern.lines("plugin-death")]
    run.same("the waits", waits, [100, 200, 400, 800] + [1000] * 4)


def test_isolated_innocent(run):
    """kill -9 with twenty messages in the plugin costs nobody anything: none lost, none doubled"""
    (home,) = homes(run, ("isolated",))
    clients = in_flight(home, 20)
    # One that has heard answers and waits for its client is told again as well.
    with session(home) as idle:
        idle.ask(MAIL, 250)
        idle.ask(RCPT, 250)
        os.kill(hosts(home.postern)[-1], signal.SIGKILL)
        run.same("all", end_all(clients), [250] * 20)
        idle.ask("RCPT TO:<c@example.com>", 250)
        run.same("the idle one", idle.text_by_data(numbered(21, "eom counts")).code, 250)
    run.same("what arrived", numbers(home), list(range(1, 22)))
    text, to = home.far.text(home.far.entries()[-1]), home.far.entries()[-1]["to"]
    run.same("its recipients", len(to), 2)
    run.ok("each was told once", b"X-Probe: connect=1 helo=1 mail=1 rcpt=2 data=1 " in text, text)
    run.same("each has its line", home.postern.count_log(21, " message "), 21)
    run.same("nobody failed", home.postern.lines("milter-failed"), [])


def test_isolated_innocent_thrice(run):
    """a message under which three processes die gets what `on failure' says"""
    (home,) = homes(run, ("isolated",))
    clients = in_flight(home, 1)
    for n in range(3):
        run.ok("a process", until(lambda n=n: len(hosts(home.postern)) == n + 1, 5, 0.02))
        time.sleep(0.3)
        os.kill(hosts(home.postern)[-1], signal.SIGKILL)
        run.ok("its death", home.postern.wait_log("plugin-death", n=n + 1))
    run.same("the message", end_all(clients), [451])
    run.same("it was told again twice", home.postern.count_log(2, "milter-again"), 2)
    run.same("what arrived", len(home.far.entries()), 0)


def test_isolated_hangs_innocent(run):
    """where too many callbacks hang their messages fail, and what another one works at is told to the next process"""
    (home,) = homes(run, ("isolated",), block="timeout 2s")
    # One: libmilter begins with few threads, and several that work for seconds would wait for each other there.
    works = [begin(home, numbered(1, *["eom progress", "eom wait 1500"] * 3))]
    hang = [begin(home, numbered(n, "eom hang")) for n in (2, 3, 4)]
    run.same("those that hang", end_all(hang), [451] * 3)
    run.ok("the process ends itself", home.postern.wait_log("plugin-death", "exit=3", seconds=6), home.postern.log())
    run.same("the one that works", end_all(works), [250])
    run.same("what arrived", numbers(home), [1])


def test_isolated_deadlock(run):
    """one whose callbacks hang for ever in a lock costs a few messages a 451, then a new process serves"""
    (home,) = homes(run, ("isolated",), block="timeout 2s")
    orders = ["eom progress", "eom wait 1500"] * 3
    run.same("who says that it works does not hang", side_by_side(home, [letter(*orders)] * 3), [250] * 3)
    run.same("one has its message to itself", side_by_side(home, [letter("eom deadlock")]), [451])
    time.sleep(3)
    run.same("so nothing happens", home.postern.lines("plugin-death"), [])
    run.same("whoever comes now hangs as well", side_by_side(home, [letter()] * 3), [451] * 3)
    run.ok("the process ends itself", home.postern.wait_log("plugin-death", "exit=3", seconds=5), home.postern.log())
    said = 'text="postern-plugind: 4 of 4 callbacks hang, for more than 2 s: this process ends"'
    run.same("it says why, in one line", len(home.postern.lines("plugin-says", said)), 1)
    begun = time.monotonic()
    run.same("mail flows again", side_by_side(home, [letter()] * 4), [250] * 4)
    run.ok("at once", time.monotonic() - begun < 1.5, time.monotonic() - begun)
    run.same("what arrived", len(home.far.entries()), 7)


def test_isolated_leak(run):
    """one that takes all memory that it can get costs that message a 451: its limit is 1 GiB"""
    (home,) = homes(run, ("isolated",), block="timeout 60s")
    limits = read(f"/proc/{hosts(home.postern)[-1]}/limits")
    if "unlimited" in re.search(r"Max address space.*", limits).group(0):
        raise Skip("AddressSanitizer's shadow has no room below a limit")
    with session(home) as c:
        run.same("the message", send(c, "eom leak").code, 451)
        run.ok("the process dies", home.postern.wait_log("plugin-death", "signal=SIGABRT"))
        run.same("the next one", send(c).code, 250)
    run.same("what arrived", len(home.far.entries()), 1)
    # How long it takes to get all that memory is the machine's affair: the others must still be at work then.
    for wait in (2500, 6000):
        before = len(home.far.entries()), home.postern.count_log(0, "milter-again")
        others = [begin(home, numbered(n, f"eom wait {wait}")) for n in range(1, 6)]
        run.same("with others beside it", end_all([begin(home, numbered(6, "eom leak"))]), [451])
        at_work = 5 - sum(c.has_reply() for c in others)
        run.same("what they hear", end_all(others), [250] * 5)
        if at_work == 5:
            break
    run.same("they were told to the next process", home.postern.count_log(before[1] + 5, "milter-again") - before[1], 5)
    run.same("what arrived of all", len(home.far.entries()) - before[0], 5)


def test_isolated_memory(run):
    """one whose memory comes to an end has a successor, and ends with its sessions: only the log tells of it"""
    (home,) = homes(run, ("isolated",))
    with session(home) as c:
        send(c)
        pid, size = hosts(home.postern)[-1], int(read(f"/proc/{hosts(home.postern)[-1]}/statm").split()[0]) * 4096
        resource.prlimit(pid, resource.RLIMIT_AS, (size + (8 << 20), size + (8 << 20)))
        run.ok("it is said", home.postern.wait_log(" warning ", "MiB of memory, of "))
        run.ok("a successor, when it was there for 10 s", until(lambda: len(hosts(home.postern)) == 2, 15))
        run.same("an old session and a new one", [send(c).code] + side_by_side(home, [letter()]), [250] * 2)
    run.ok("it ends", home.postern.wait_log("plugin-end", f"pid={pid}"))
    run.same("nobody died", home.postern.count_log(0, "plugin-death"), 0)


def test_isolated_crowd(run):
    """more sessions at the end of a message at once than there is room for stacks: in turn, in the same process"""
    (home,) = homes(run, ("isolated",), block="timeout 60s")
    pid, sessions, wait = hosts(home.postern)[-1], 300, 2.5
    if "unlimited" in re.search(r"Max address space.*", read(f"/proc/{pid}/limits")).group(0):
        raise Skip("AddressSanitizer's shadow has no room below a limit")
    with session(home) as c:
        send(c)
    size = int(read(f"/proc/{pid}/statm").split()[0]) * 4096
    resource.prlimit(pid, resource.RLIMIT_AS, (size + (200 << 20), size + (200 << 20)))
    # libmilter accepts them without a thread each, and then needs one for each.
    clients = [session(home, source=f"127.0.0.{1 + n % 100}") for n in range(sessions)]
    with concurrent.futures.ThreadPoolExecutor(sessions) as all_at_once:
        begun = time.monotonic()
        codes = all_at_once.map(lambda c: send(c, f"eom wait {wait * 1000:.0f}").code, clients)
        run.ok("many at a time", until(lambda: threads_of(pid) > 100, wait), threads_of(pid))
        run.same("what they hear", collections.Counter(codes), {250: sessions})
    took = time.monotonic() - begun
    run.ok("in three turns or so", 2 * wait < took < 6 * wait, took)
    run.same("nobody died", home.postern.lines("plugin-death"), [])
    run.same("nothing is told again", home.postern.lines("milter-again"), [])
    run.same("nobody else served", len(hosts(home.postern)), 1)
    run.ok("the stacks are given back", until(lambda: threads_of(pid) < 20, 10), threads_of(pid))
    for c in clients:
        c.close()


def test_isolated_spin(run):
    """a thread that computes and never waits is ended by its limit of CPU; what is at work elsewhere goes on"""
    (home,) = homes(run, ("isolated",), block="timeout 3s")
    pid = hosts(home.postern)[-1]

    def cpu():
        return int(re.search(r"Max cpu time\s+(\d+)", read(f"/proc/{pid}/limits")).group(1))

    first = cpu()
    with session(home) as c:
        run.same("the message", send(c, "eom spin").code, 451)
        run.ok("the limit moves ahead meanwhile", until(lambda: cpu() > first, 15))
        run.same("others are served", send(c).code, 250)
    run.ok("it is ended", home.postern.wait_log("plugin-death", f"pid={pid} signal=SIGXCPU", seconds=90))
    with session(home) as c:
        run.same("the next one", send(c).code, 250)


def test_isolated_limits(run):
    """its limits, its user, its environment, its folder; and what it says is in the log, bounded"""
    (home,) = homes(run, ("isolated",), more="user nobody")
    pid = hosts(home.postern)[-1]
    limits, status = read(f"/proc/{pid}/limits"), read(f"/proc/{pid}/status")
    run.ok("no core", re.search(r"Max core file size\s+0\s+0 ", limits), limits)
    run.ok("few descriptors", re.search(r"Max open files\s+16384\s+16384 ", limits), limits)
    run.ok("no new privileges", "NoNewPrivs:\t1" in status, status)
    names = {x.split("=")[0] for x in read(f"/proc/{pid}/environ").split("\0") if x}
    run.ok(
        "an environment without strangers", names <= {"PATH", "TZ", "LANG", "LC_ALL", "TMPDIR", "ASAN_OPTIONS"}, names
    )
    held = [os.readlink(x) for x in glob.glob(f"/proc/{pid}/fd/*")]
    run.ok("nothing of the master's is open", not any("interop" in x for x in held), held)
    st = os.stat(folder_of(pid))
    run.same("its folder is closed", st.st_mode & 0o777, 0o700)
    if os.getuid() == 0:
        run.ok("it is not root", re.search(r"^Uid:\t[1-9]", status, re.M), status)
        run.ok("nor is the folder root's", st.st_uid != 0)


def test_isolated_end(run):
    """the end of the master ends the plugin's process and takes its folder away, however it ends"""
    for how in (signal.SIGTERM, signal.SIGKILL):
        (home,) = homes(run, ("isolated",))
        pid = hosts(home.postern)[-1]
        folder = folder_of(pid)
        run.ok("it is there", alive(pid) and os.path.exists(folder))
        begun = time.monotonic()
        if how == signal.SIGTERM:
            run.same("the status", home.postern.stop(), 0)
            run.ok("at once", time.monotonic() - begun < 3, time.monotonic() - begun)
        else:
            home.postern.process.kill()
            home.postern.process.wait()
        run.ok(f"{how.name}: it ends", until(lambda pid=pid: not alive(pid), 5))
        run.ok(f"{how.name}: its folder is gone", until(lambda f=folder: not os.path.exists(f), 5))
        home.end()


def make_old(path):
    os.utime(path, (time.time() - 3600,) * 2)


def test_isolated_left(run):
    """a folder whose master and host were killed goes at a later start; one that is held, and what is none, stay"""
    (home,) = homes(run, ("isolated",))
    pid, master = hosts(home.postern)[-1], home.postern.process
    left = folder_of(pid)
    os.kill(master.pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    master.kill()
    master.wait()
    run.ok("it is left behind", until(lambda: not alive(pid), 5) and os.listdir(left) == ["0"])
    (lives,) = homes(run, ("isolated",))
    held = folder_of(hosts(lives.postern)[-1])
    run.ok("what has just been left stays", os.path.exists(left))
    base = os.path.dirname(left)
    link, full, fresh = (os.path.join(base, f"postern-plugins-{n}.{os.getpid()}") for n in ("link", "full", "fresh"))
    target = run.folder("left.target", mode=0o700)
    os.symlink(target, link)
    for folder in (target, full, fresh):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(os.path.join(folder, "7"))
    for name in ("8", "socket"):
        run.put(os.path.join(full, name), "x")
    for folder in (left, held, target, full):
        make_old(folder)
    try:
        (home,) = homes(run, ("isolated",))
        run.ok("it is gone", not os.path.exists(left))
        run.same("one that is held stays", os.listdir(held), ["0"])
        run.same("a link is not followed", os.listdir(target), ["7"])
        run.same("what is no socket stays", sorted(os.listdir(full)), ["8", "socket"])
        run.same("so does what is new", os.listdir(fresh), ["7"])
        for h in (lives, home):
            with session(h) as c:
                run.same("mail goes on", send(c).code, 250)
    finally:
        os.unlink(link)
        for folder in (full, fresh):
            shutil.rmtree(folder)


def of_session(pid):
    """The living processes of a host's session: itself, and what its plugin has forked."""
    stats = [read(x).rpartition(")")[2].split() for x in glob.glob("/proc/[0-9]*/stat")]
    return [s for s in stats if len(s) > 3 and s[3] == str(pid) and s[0] not in "ZX"]


def test_isolated_children(run):
    """what a plugin has forked ends with its process, and holds no message up meanwhile"""
    (home,) = homes(run, ("isolated",), block="timeout 20s")
    begun = time.monotonic()
    with session(home) as c:
        run.same("one that forks and crashes", send(c, "eom forkcrash").code, 451)
        run.ok("at once", time.monotonic() - begun < 5, time.monotonic() - begun)
        run.same("the next one", send(c, "eom fork").code, 250)
    first, second = hosts(home.postern)
    run.ok("nobody is left of the first", until(lambda: not of_session(first), 3))
    run.same("two are of the second", len(of_session(second)), 2)
    home.postern.process.kill()
    home.postern.process.wait()
    run.ok("and nobody behind a master that is killed", until(lambda: not of_session(second), 5))


def test_isolated_folder(run):
    """a folder for sockets that cannot be had is said, and nothing runs"""
    (home,) = homes(run, ("isolated",))
    for folder, why in ((run.path("none"), "no folder can be made in "), (run.folder("x" * 90), "the path in TMPDIR")):
        env = {**os.environ, "TMPDIR": folder, "ASAN_OPTIONS": "detect_leaks=0"}
        file = run.put("other.conf", read(home.postern.file).replace(str(home.postern.port), str(run.port())))
        status, text = run.command([PROGRAM, "run", "-c", file], env=env)
        run.same("the status", status, 1)
        run.has("why", text, why)


def test_isolated_reload(run):
    """a reload: the new process is there before its workers, the old one until its last session has ended"""
    (home,) = homes(run, ("isolated",))
    postern = home.postern
    old = hosts(postern)[-1]
    conf = read(postern.file)
    with session(home) as c:
        c.mail(["b@example.com"])
        # From now on it may not add a field.
        postern.write(conf.replace('args { "', 'args { "actions=2", "'))
        run.ok("reload", postern.reload())
        run.ok("two processes", len(hosts(postern)) == 2 and alive(old))
        with session(home) as new:
            run.same("a new session", send(new, "eom addheader X-Sees new").code, 250)
        run.ok("the old one still has its own", alive(old))
        run.same("which serves it", c.text_by_data(letter("eom addheader X-Sees old")).code, 250)
    run.ok("the old process ends", until(lambda: not alive(old), 10))
    run.ok("the log says so", postern.wait_log("plugin-end", f"pid={old}"))
    texts = [home.far.text(e) for e in home.far.entries()]
    run.same("who may add", [b"\r\nX-Sees:" in x for x in texts], [False, True])
    # One that cannot be loaded leaves everything as it is.
    now = hosts(postern)[-1]
    postern.write(conf.replace('args { "', 'args { "crash", "'))
    postern.signal(signal.SIGHUP)
    run.ok("a bad one is refused", postern.wait_log("reload", "failed"))
    run.ok("and named", postern.wait_log("plugin probe cannot be loaded"), postern.log())
    with session(home) as c:
        run.same("the old one serves", send(c).code, 250)
    run.ok("by the same process", alive(now) and hosts(postern)[-1] == now)


def test_isolated_check(run):
    """postern check, and run, name the plugin that cannot be loaded and why"""
    (home,) = homes(run, ("isolated",))
    good = read(home.postern.file)
    rows = (
        ("crash", "crashes while it is loaded: Aborted"),
        ("hang", "is not loaded after 10 s"),
        ("nonsense", "plugin_args() refuses its args; it said: probe: what is `nonsense'?"),
    )
    status, text = run.command([PROGRAM, "check", home.postern.file])
    run.same("a good one", status, 0)
    run.has(
        "is described", text, 'plugin probe is "probe": hears negotiate connect helo envfrom envrcpt data header eoh'
    )
    for word, why in rows:
        path = run.put(f"{word}.conf", good.replace('args { "', f'args {{ "{word}", "'))
        for command in (["check", path], ["run", "-c", path]):
            status, text = run.command([PROGRAM, *command])
            run.same(f"{word}: {command[0]}", status, 1)
            run.has(f"{word}: why", text, why)
            line = read(path).splitlines().index([x for x in read(path).splitlines() if "load" in x][0]) + 1
            run.has(f"{word}: where", text, f"{path}:{line}:21: error: plugin probe cannot be loaded")


KILLS = 100


class Polite(Crowd):
    """A transaction whose DATA was refused is still open."""

    def one(self, c, r, key):
        super().one(c, r, key)
        if self.outcome[key][0] == "refused":
            c.ask("RSET", 250)


def test_isolated_killed(run):
    """kill -9 of a plugin's process a hundred times under load: nothing lost, nothing doubled, nearly nothing refused"""
    (home,) = homes(run, ("isolated",))
    crowd = Polite(home.postern.port, threads=4, sizes=(0, 20000), tag="k", pause=0.05).start(run)
    for n in range(KILLS):
        if not until(lambda n=n: len(hosts(home.postern)) > n, 10, 0.05):
            break
        # One that has lived ten times its back-off begins with a clean record.
        time.sleep(1.05)
        os.kill(hosts(home.postern)[-1], signal.SIGKILL)
        if not home.postern.wait_log("plugin-death", n=n + 1):
            break
    run.same("so often", len(home.postern.lines("plugin-death", "signal=SIGKILL")), KILLS)
    run.ok("always at once again", not home.postern.lines("plugin-death", "again-ms=200"))
    before = crowd.count("acked")
    run.ok("mail goes on", until(lambda: crowd.count("acked") > before + 20, 10))
    run.ok("the crowd stops", crowd.stop())
    crowd.judge(run, home.far.entries())
    whys = {why for how, why in crowd.outcome.values() if how != "acked"}
    run.ok("no answer but 250 and 451", all(re.search(r" 451\b", w) for w in whys), whys)
    # Under a message three would have to be killed.
    run.ok("nearly nobody was refused", crowd.count("refused") <= 2, whys)
    again = len(home.postern.lines("milter-again"))
    run.note(f"told again: {again}")
    run.ok("some were told again", again > 0)
    run.same("every worker lives", home.postern.lines("worker-death"), [])


def test_isolated_accept(run):
    """on failure accept: a message whose plugin is killed goes through, unchanged"""
    (home,) = homes(run, ("isolated",), block="on failure accept")
    with session(home) as c:
        run.same("the message", send(c, "eom addheader X-New 1", "eom replacebody half", "eom crash").code, 250)
    (entry,) = home.far.entries()
    text = home.far.text(entry)
    run.ok("nothing of it is changed", b"\r\nX-New:" not in text and text.endswith(b"one line\r\n.a dot\r\n"), text)
