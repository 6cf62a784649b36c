"""Verdicts that keep a message, before a real Postfix: on disk until somebody releases it, or to an address."""
import os

from client import Client
from harness import PROGRAM, end, until
from servers import Dovecot, FarEnd, Postern, Postfix, before_postfix, pool_of

OUTSIDE = "127.0.0.3"
CHECKS = """
authenticate arc as gw.example.com
quarantine "@KEPT@" max 10M
check odd { when header("Subject") matches "suspect"  quarantine }
check aside { when header("Subject") matches "strange"  quarantine to kept@example.com }
"""
FORGED = b"Authentication-Results: (x) GW.example.com 2; arc=pass forged\r\n"
LETTER = b"Subject: %s\r\nX-Letter: q1\r\n\r\n..two dots\r\n.one\r\n\xe4 8-bit\r\n"


def set_up(run):
    """The far end, Postfix, Postern before it; the folder of its quarantine."""
    far = FarEnd(run, keep=True)
    postfix = Postfix(run, far.port)
    kept = os.path.join(run.folder("quarantine", mode=0o777), "kept")
    postern = Postern(run, "", start=False)
    text = before_postfix(
        "postern.conf", postern.port, postfix.port, CHECKS.replace("@KEPT@", kept)
    )
    postern.write(text.replace("127.0.0.0/8, ::1/128", "127.0.0.2"))
    postern.start()
    return far, postfix, postern, kept


def send(port, to, subject):
    with Client(port, source=OUTSIDE) as c:
        c.ehlo("outside.example")
        c.mail(to, sender="a@outside.example")
        r = c.text_by_data(FORGED + LETTER % subject)
        c.quit()
        return r


def release(run, postern, *ids):
    return run.command([PROGRAM, "release", "-c", postern.file, *ids])


def files(kept):
    return [f for below in ("new", "cur", "tmp") for f in os.listdir(os.path.join(kept, below))]


def test_quarantine_and_release(run):
    """what is kept reaches nobody until it is released; then Postfix has it, from its own client"""
    far, postfix, postern, kept = set_up(run)
    r = send(postern.port, ["one@example.com", "two@example.com"], b"suspect")
    run.same("the client is told yes", r.code, 250)
    run.same("one file is there", len(files(kept)), 1)
    status, text = release(run, postern)
    run.same("the list can be had", status, 0)
    run.ok("and names it", "<a@outside.example> -> <one@example.com> and 1 more" in text, text)
    run.same("nobody has it", far.entries(), [])
    message_id = text.split()[0]
    run.ok("the log has the id", postern.wait_log(message_id, "outcome=quarantined", "by=odd"))

    conf = open(postern.file, encoding="utf-8").read()
    postern.write(conf.replace("{ example.com, .example.com }", "{ other.example }"))
    status, text = release(run, postern, message_id)
    run.same("the relay gate is asked again", status, 1)
    run.ok("and speaks", "550 5.7.1" in text and "not taken: <one@example.com>" in text, text)
    run.same("it stays", len(files(kept)), 1)

    postern.write(conf)
    status, text = release(run, postern, message_id, "nothing.1")
    run.same("one of two cannot be", status, 1)
    run.ok("Postfix has it", "250 2.0.0 Ok:" in text and "queued as" in text, text)
    run.ok("the other is not there", "nothing.1: there is no such message" in text, text)
    entry = far.wait_for("one@example.com")
    run.ok("it arrives for both", entry and any("two@example.com" in to for to in entry["to"]))
    run.ok("octet for octet", entry and far.text(entry).endswith(LETTER % b"suspect"))
    results = entry and far.text(entry).lower().count(b"authentication-results:")
    run.same("with our results, once", results, 1)
    run.ok("of its first time", entry and b"gw.example.com;\r\n\tarc=none" in far.text(entry))
    run.ok("Postfix knows its client", postfix.wait_log(r"client=unknown\[127\.0\.0\.3\]"))
    run.same("it is gone from the quarantine", files(kept), [])
    run.same("and cannot be sent twice", release(run, postern, message_id)[0], 1)


def test_quarantine_to_an_address(run):
    """quarantine to ADDRESS: Postfix gets that recipient alone, and its 250 is the client's"""
    far, _postfix, postern, kept = set_up(run)
    r = send(postern.port, ["one@example.com", "two@example.com"], b"strange")
    run.ok("Postfix' own words", r.code == 250 and "queued as" in r.text, r.text)
    entry = far.wait_for("kept@example.com")
    run.ok("it arrives there", entry)
    run.same("for nobody else", len(entry["to"]), 1)
    r = send(postern.port, ["one@example.com"], b"harmless")
    run.same("the next one passes", r.code, 250)
    run.ok("to its own recipient", far.wait_for("one@example.com"))
    run.ok("nothing is on disk", not os.path.exists(kept) or files(kept) == [])
    run.ok("the log says so", until(lambda: postern.lines("outcome=quarantined", "by=aside"), 5))


KEEP_ALL = """
quarantine "@KEPT@"
check all { when header("Subject") matches "suspect"  quarantine }
"""


def test_quarantine_and_lmtp(run):
    """what is kept goes to Dovecot by LMTP when it is released, octet for octet"""
    dovecot = Dovecot(run, {"a@example.com": "x"})
    kept = os.path.join(run.folder("quarantine", mode=0o777), "kept")
    keep = KEEP_ALL.replace("@KEPT@", kept)
    postern = Postern(run, pool_of(f'upstream lmtp "unix:{dovecot.lmtp}"\n' + keep))
    run.same("it is kept", send(postern.port, ["one@example.com"], b"suspect").code, 250)
    run.same("on disk", len(files(kept)), 1)
    run.same("nobody has it", dovecot.letters("one"), [])
    message_id = release(run, postern)[1].split()[0]
    status, text = release(run, postern, message_id)
    run.same("it is sent", status, 0)
    run.ok("the words are Dovecot's", "250" in text and "Saved" in text, text)
    run.ok("it arrives", until(lambda: len(dovecot.letters("one")) == 1, 10), dovecot.log())
    got = dovecot.letters("one")[0].replace(b"\r\n", b"\n")
    run.ok("octet for octet", got.endswith((LETTER % b"suspect").replace(b"\r\n", b"\n")), got)
    run.same("it is gone from the quarantine", files(kept), [])


def test_quarantine_and_routes(run):
    """what is kept goes to the pool of its recipient when it is released, though the listener's own pool is down"""
    far, students = FarEnd(run), FarEnd(run, name="students", keep=True)
    kept = os.path.join(run.folder("quarantine", mode=0o777), "kept")
    postern = Postern(
        run,
        pool_of(
            f"upstream 127.0.0.1:{far.port}\nupstream 127.0.0.1:{students.port} pool students\n"
            "map where { .example.com students }\nroute where\n" + KEEP_ALL.replace("@KEPT@", kept)
        ).replace("ours { example.com }", "ours { example.com, .example.com }"),
    )
    run.same("it is kept", send(postern.port, ["one@st.example.com"], b"suspect").code, 250)
    message_id = release(run, postern)[1].split()[0]
    end(far.process)
    status, text = release(run, postern, message_id)
    run.same("it is sent: " + text, status, 0)
    entry = students.wait_for("one@st.example.com")
    run.ok("to the pool of its recipient", entry, text)
    run.ok("octet for octet", entry and students.text(entry).endswith(LETTER % b"suspect"))
    run.same("and to no other", far.entries(), [])
    run.same("it is gone from the quarantine", files(kept), [])


def test_quarantine_before_a_lesser_server(run):
    """released to a server that offers less than the one of before: without DSN, but not without 8BITMIME"""
    far, lesser = FarEnd(run), FarEnd(run, name="lesser", keep=True, lacks="DSN")
    least = FarEnd(run, name="least", lacks="8BITMIME")
    kept = os.path.join(run.folder("quarantine", mode=0o777), "kept")
    conf = pool_of(f"upstream 127.0.0.1:{far.port}\n" + KEEP_ALL.replace("@KEPT@", kept))
    postern = Postern(run, conf)
    with Client(postern.port, source=OUTSIDE) as c:
        c.ehlo("outside.example")
        mail = "MAIL FROM:<a@outside.example> BODY=8BITMIME RET=HDRS ENVID=e1"
        run.same("MAIL", c.ask(mail).code, 250)
        run.same("RCPT", c.ask("RCPT TO:<one@example.com> NOTIFY=FAILURE").code, 250)
        run.same("it is kept", c.text_by_data(LETTER % b"suspect").code, 250)
        c.quit()
    message_id = release(run, postern)[1].split()[0]
    conf = open(postern.file, encoding="utf-8").read()
    postern.write(conf.replace(str(far.port), str(least.port)))
    status, text = release(run, postern, message_id)
    run.same("8 bits do not go where they may not", status, 1)
    run.ok("it says what is missing", "does not offer what the message needs: 8BITMIME" in text, text)
    run.same("it stays", len(files(kept)), 1)
    postern.write(conf.replace(str(far.port), str(lesser.port)))
    status, text = release(run, postern, message_id)
    run.same("it goes without DSN: " + text, status, 0)
    run.ok("it says so", "does not offer DSN: sent without RET" in text, text)
    entry = lesser.wait_for("one@example.com")
    run.ok("with the rest of its envelope", entry and "BODY=8BITMIME" in str(entry["from"]), entry)
    run.ok("and no word of DSN", entry and "RET=" not in str(entry) and "NOTIFY" not in str(entry))
    run.ok("octet for octet", entry and lesser.text(entry).endswith(LETTER % b"suspect"))
