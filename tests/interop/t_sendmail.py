"""Sendmail: postern-milter as its milter, and Sendmail itself behind Postern, set up as doc/before-sendmail says."""
import base64
import os
import re
import shutil
import time

from client import Client, Crowd, Refused, context
from harness import read, until
from letters import stuffed
from sendmail import Sendmail, of_manual, of_page
from senders import Key, dkim, fields, letter, need, results, sign, verdicts, whole
from servers import FarEnd, Postern, nobody, tls_files
from t_milterd import FORGED, OTHERS, OUTSIDE, Milterd, inbound, send, titled, zone_of

MANUAL_SOCKET = "unix:/run/postern/milter"


def behind(run, conf, more="", users=None):
    """postern-milter, Sendmail with the lines of the page, which are the manual's, the far end."""
    milterd = Milterd(run, conf, path=os.path.join(run.folder("sendmail"), "milter"))
    lines = of_page("milter.mc")
    run.same("the manual has what the page has", of_manual(), lines)
    run.has("with the socket that is meant", lines, MANUAL_SOCKET)
    far = FarEnd(run, keep=True)
    return milterd, far, Sendmail(run, far.port, lines.replace(MANUAL_SOCKET, "unix:/mnt/milter") + more, users=users)


def test_sendmail_milterd(run):
    """Sendmail asks postern-milter: refusals, dropped recipients, quarantine, fields added and removed"""
    need(run)
    m, far, sendmail = behind(run, inbound(zone_of(run)))

    r = send(sendmail, titled(b"x"), ["bad@example.com"])
    run.ok("RCPT is refused in our words, behind the address", r.text.startswith("5.7.9 <bad@example.com>... no such ("), r)
    run.same("with our code", r.code, 550)
    words = (" refused ", "by=bad-rcpt", "queue=", r.text.split("(")[1].rstrip(")"))
    run.ok("that the log has, too", until(lambda: m.lines(*words), 2), m.log())
    for subject, code, text in ((b"spam", 550, "5.7.8 spam ("), (b"later", 451, "4.7.9 later (")):
        r = send(sendmail, titled(subject))
        run.ok(f"{subject.decode()} is refused at its end", r.code == code and r.text.startswith(text), r)
    run.same("what is discarded is taken", send(sendmail, titled(b"drop")).code, 250)
    run.same("so is a sender's", send(sendmail, titled(b"x"), sender="drop@client.example").code, 250)
    run.same("and all recipients'", send(sendmail, titled(b"x"), ["drop@example.com"]).code, 250)
    odd = ["DROP@example.com", '"drop"@example.com', "drop@example.com.", "one@example.com", "drop@example.com"]
    run.same("some recipients are dropped", send(sendmail, titled(b"x"), odd).code, 250)
    entry = far.wait_for("one@example.com")
    run.same("the other has it alone", entry and entry["to"], ["<one@example.com>"])
    run.same("divert", send(sendmail, titled(b"divert"), ["two@example.com"]).code, 250)
    entry = far.wait_for("abuse@example.com")
    run.same("an address has it alone", entry and entry["to"], ["<abuse@example.com>"])
    run.same("hold", send(sendmail, titled(b"hold"), ["three@example.com", "drop@example.com"]).code, 250)
    run.ok("it lies in quarantine", until(lambda: sendmail.queue("hf"), 5), sendmail.log())
    _, out = sendmail.command("-bp", "-qQ")
    run.ok("mailq says why, and for whom", "QUARANTINE: postern: hold (" in out and "three@" in out and "drop@" not in out, out)
    run.same("another", send(sendmail, titled(b"hold"), ["kept@example.com"]).code, 250)
    queue_id = re.search(r"^(\w+) .*(?:\n\s.*)*<three@", out, flags=re.M)
    sendmail.command("-qQ", "-qI" + (queue_id.group(1) if queue_id else "none"), "-Q")
    sendmail.command("-q")
    run.ok("one is let out as the manual says", far.wait_for("three@example.com"), sendmail.log())
    run.same("nobody else got anything", len(far.entries()), 3)
    sendmail.command("-qQ", "-Q")
    run.same("all are", (len(sendmail.queue("hf")), len(sendmail.queue("qf"))), (0, 1))
    edited(run, far, sendmail)
    pipelined(run, m, far, sendmail)
    run.ok("queue ids are in the log", until(lambda: m.lines("outcome=passed", " queue="), 5), m.log())


def edited(run, far, sendmail):
    """Fields, message after message of one session."""
    forged = FORGED + b"authentication-results : MX.EXAMPLE.COM; x=pass\r\nX-GONE : 2\r\n" + FORGED.replace(b": ", b":\r\n\t")
    with Client(sendmail.port, source=OUTSIDE) as c:
        c.ehlo("mx.signed.example")
        for n, body in (("four", b"hello\r\n"), ("five", b"\xe4.\r\n" * 200000)):
            c.mail([f"{n}@example.com"], "a@signed.example", " BODY=8BITMIME")
            run.same(f"{n}: it is taken", c.text_by_data(titled(b"edit", forged + OTHERS, body)).code, 250)
        c.mail(["six@example.com"], "a@signed.example")
        c.ask("EHLO other.signed.example", 250)
        c.mail(["six@example.com"], "a@signed.example")
        run.same("after another EHLO, too", c.text_by_data(titled(b"x")).code, 250)
    for n, body in (("four", b"hello\r\n"), ("five", b"\xe4.\r\n" * 200000)):
        entry = far.wait_for(f"{n}@example.com")
        text = far.text(entry) if entry else b""
        run.ok(f"{n}: ours stand above all else", text.startswith(b"Authentication-Results: mx.example.com;\r\n\t"), text[:2000])
        run.ok(f"{n}: above Received", text.find(b"\nX-Edit: yes 127.0.0.3\r\nReceived: from ") > 0, text[:2000])
        run.same(f"{n}: theirs is gone", fields(text, "X-Gone"), [])
        ids = [v.split(b";")[0] for v in fields(text, "Authentication-Results")]
        run.same(f"{n}: forged ones are gone", ids, [b"mx.example.com", b"elsewhere.example"])
        run.same(f"{n}: SPF", results(verdicts(text), "spf")[:1], ["pass"])
        run.ok(f"{n}: nothing else", text.partition(b"\r\n\r\n")[2] == body, len(text))
    for n, text in (("none", b"\r\nhello\r\n"), ("forged", FORGED + b"\r\nhello\r\n")):
        run.same(f"{n}: it is taken", send(sendmail, text, [n + "@example.com"]).code, 250)
        entry = far.wait_for(n + "@example.com")
        text = far.text(entry) if entry else b""
        run.ok(f"{n}: no field stays, ours is above all", text.startswith(b"Authentication-Results: mx.example.com;\r\n\t"), text)
    entry = far.wait_for("six@example.com")
    run.ok("nothing is left of what was before", entry and fields(far.text(entry), "X-Edit") == [])


def pipelined(run, m, far, sendmail):
    """A refused recipient among others, all in one packet."""
    with Client(sendmail.port, source=OUTSIDE) as c:
        c.ehlo("mx.signed.example")
        to = ("bad@example.com", "seven@example.com", "drop@example.com")
        c.send(("MAIL FROM:<a@signed.example>\r\n" + "".join(f"RCPT TO:<{x}>\r\n" for x in to) + "DATA\r\n").encode())
        run.same("each command has its answer", [c.reply().code for _ in range(5)], [250, 550, 250, 250, 354])
        c.send(stuffed(titled(b"x")))
        run.same("the message is taken", c.reply().code, 250)
    entry = far.wait_for("seven@example.com")
    run.same("one has it", entry and entry["to"], ["<seven@example.com>"])
    words = ("outcome=passed", "to=seven@example.com", "rcpts=1 discarded=1")
    run.ok("the log names who got it", until(lambda: m.lines(*words), 5), m.log())


STAGES = """reject-at stage
check ip { when client.ip in { 127.0.0.66 }  reject 554 5.7.1 "not you" }
check now { when client.ip in { 127.0.0.67 }  tempfail 451 4.7.1 "not now" }
check gone { when helo is gone.example  disconnect }
check sender { when sender is bad@client.example  reject 550 5.1.8 "bad one" }
check user { when auth.user is joe  reject 550 5.7.1 "joe by %{auth.mechanism}, from %{listener}" }
check cert { when not tls.client-cert is absent  reject 550 5.7.1 "known as %{tls.client-cert}" }
check plain { when tls.version is absent and sender is tls@client.example  reject 550 5.7.1 "no tls" }
"""
TLS = """define(`confSERVER_CERT', `/mnt/server.crt')dnl
define(`confSERVER_KEY', `/mnt/server.pem')dnl
define(`confCACERT', `/mnt/ca.crt')dnl
define(`confCACERT_PATH', `/mnt')dnl
define(`confAUTH_MECHANISMS', `PLAIN')dnl
"""


def certificates(run):
    """Sendmail's own, and one of a client that it trusts and one that it does not."""
    here = run.folder("sendmail")
    crt, key = tls_files(run, "server", "mx.example.com")
    shutil.copy(crt, os.path.join(here, "server.crt"))
    shutil.copy(key, os.path.join(here, "server.pem"))
    os.chmod(os.path.join(here, "server.pem"), 0o600)
    known = tls_files(run, "known", "laptop.example")
    shutil.copy(known[0], os.path.join(here, "ca.crt"))
    return known, tls_files(run, "stranger", "laptop.example")


def with_certificate(pair):
    c = context()
    c.load_cert_chain(*pair)
    return c


def said(sendmail, *commands, source=OUTSIDE, tls=None, user=None):
    """The last reply, with EHLO once more behind STARTTLS."""
    with Client(sendmail.port, source=source) as c:
        if tls:
            c.ehlo()
            c.starttls(tls)
        if user:
            c.ehlo()
            c.ask("AUTH PLAIN " + base64.b64encode(f"\0{user}\0secret".encode()).decode(), 235)
        for line in commands:
            r = c.ask(line)
        return r


def test_sendmail_stages(run):
    """Sendmail tells of TLS, certificates and users; what is decided early, and what it says when we are gone"""
    known, stranger = certificates(run)
    # What the manual has for an older Sendmail harms none.
    m, _, sendmail = behind(run, STAGES, of_manual(which=1) + TLS, users={"joe": "secret"} if shutil.which("saslpasswd2") else None)
    mail, rcpt = "MAIL FROM:<a@client.example>", "RCPT TO:<u@example.com>"
    try:
        said(sendmail, "NOOP", source="127.0.0.66")
        run.ok("who is refused at connect is not greeted", False)
    except Refused as e:
        run.same("who is refused at connect is not greeted, in Sendmail's words", e.reply.code, 554)
    r = said(sendmail, "EHLO x.example", mail, source="127.0.0.67")
    run.same("who is deferred there hears so at MAIL, in Sendmail's", (r.code, r.text[:5]), (451, "4.3.2"))
    run.ok("the log has ours", until(lambda: m.lines("by=ip", '"not you"') and m.lines("by=now", '"not now"'), 5), m.log())
    with Client(sendmail.port, source=OUTSIDE) as c:
        c.ehlo("gone.example")
        r = c.ask(mail)
        run.ok("421 at MAIL", r.code == 421 and "4.7.0 closing the connection (" in r.text, r)
        run.ok("and Sendmail closes", until(c.has_reply, 5) and c.sock.recv(1) == b"")
    with Client(sendmail.port, source=OUTSIDE) as c:
        r = c.ask("MAIL FROM:<bad@client.example>")
        run.ok("MAIL is refused at once, without HELO", r.text.startswith("5.1.8 <bad@client.example>... bad one ("), r)
        run.same("and another is not", c.ask(mail).code, 250)
        run.same("whose recipient is taken", c.ask(rcpt).code, 250)
    run.has("no TLS", said(sendmail, "EHLO x.example", "MAIL FROM:<tls@client.example>").text, "no tls")
    run.same("TLS", said(sendmail, "EHLO x.example", "MAIL FROM:<tls@client.example>", tls=context()).code, 250)
    run.same("TLS without EHLO behind it", said(sendmail, "MAIL FROM:<tls@client.example>", tls=context()).code, 250)
    r = said(sendmail, "EHLO x.example", mail, tls=with_certificate(known))
    run.has("a certificate that Sendmail has verified", r.text, "known as /CN=laptop.example (")
    r = said(sendmail, "EHLO x.example", mail, tls=with_certificate(stranger))
    run.same("one that it has not", r.code, 250)
    if shutil.which("saslpasswd2"):
        r = said(sendmail, mail, tls=context(), user="joe")
        run.has("who has authenticated", r.text, "joe by PLAIN, from MTA (")
    with Client(sendmail.port, source=OUTSIDE) as c:
        c.ehlo()
        c.mail(["u@example.com"])
        run.same("postern-milter ends well", m.stop(), 0)
        r = c.text_by_data(titled(b"x"))
        run.same("F=T: a message in hand is deferred", (r.code, r.text[:5]), (451, "4.3.2"))
    run.same("so is all other mail", said(sendmail, "EHLO x.example", mail).code, 451)


def test_sendmail_dkim(run):
    """signatures that come through Sendmail are verified; ours hold where they arrive, also with what Sendmail adds"""
    need(run)
    key = Key(run, "rsa")
    zone = zone_of(run, ("r", key))
    ours = f'domains mine {{ signed.example }}\nsign mine selector r key "{key.path}" when client in inside\n'
    _, far, sendmail = behind(run, inbound(zone) + ours)
    bodies = {"short": b"hello\r\n", "empty": b"", "ends": b"a  b\t \r\n\r\n\r\n", "dots": b".\r\n..a\r\nFrom x\r\n",
              "8-bit": b"\xe4\xff\r\n", "large": b"one   line\r\n" * 20000, "long": b"x" * 1500 + b"\r\n"}  # fmt: skip
    for how in (b"simple/simple", b"relaxed/relaxed"):
        for what, body in bodies.items():
            n = f"{how[:1].decode()}-{what}"
            run.same(f"{n}: it is taken", send(sendmail, sign(letter(body, name=n), key, "r", how=how), [n + "@example.com"]).code, 250)
            entry = far.wait_for(n + "@example.com")
            got = verdicts(far.text(entry)) if entry else None
            run.same(f"{n}: DKIM and DMARC", (results(got, "dkim"), results(got, "dmarc")), (["pass"], ["pass"]))
    for what, body in bodies.items():
        holds(run, far, sendmail, zone, f"ours-{what}", letter(body, name=f"ours-{what}"))
    head = b"From: a@signed.example\r\nTo: u@example.com\r\nSubject: x\r\n"
    rows = {
        "no-date": head + b"Message-Id: <x@signed.example>\r\n",
        "no-id": head + b"Date: Mon, 01 Jan 2024 00:00:00 +0000\r\n",
        "neither": head,
        "blanks": head.replace(b"To: u@", b"To:  u@example.com,\r\n\tB <b@example.com>, v@"),
    }
    for what, text in rows.items():
        holds(run, far, sendmail, zone, what, text + b"\r\nhello\r\n")


def holds(run, far, sendmail, zone, name, text):
    """We sign that, and python3-dkim finds the signature good."""
    run.same(f"{name}: it is taken", send(sendmail, text, [name + "@example.com"], source="127.0.0.2").code, 250)
    entry = far.wait_for(name + "@example.com")
    text = far.text(entry) if entry else b""
    run.same(f"{name}: one signature", len(fields(text, "DKIM-Signature")), 1)
    run.ok(f"{name}: it holds for python3-dkim", text and dkim.verify(whole(text), dnsfunc=zone.ask), text[:2000])


# --- behind Postern

LIMITS = """define(`confMAX_DAEMON_CHILDREN', `4')dnl
define(`confMAX_RCPTS_PER_MESSAGE', `3')dnl
"""
GONE = """R<gone@$*>	$#error $@ 5.1.1 $: "550 not here"
"""


def page_conf(port, sendmail, more=""):
    """The page's postern.conf, at ports of ours."""
    text = of_page("postern.conf").replace("0.0.0.0:25", f"127.0.0.1:{port}").replace("listen    [::]:25\n", "")
    text = text.replace("127.0.0.1:10025", f"127.0.0.1:{sendmail.port} connections 3")
    return re.sub(r"^user .*", f"user {nobody()}", text, flags=re.M) + "workers 1\ndrain 20s\n" + more


def before(run, limits="", gone=""):
    """The far end, Sendmail with the lines of the page, Postern in front of it."""
    far = FarEnd(run, keep=True)
    first, mark, rules = of_page("sendmail.mc").partition("SForUs\n")
    sendmail = Sendmail(run, far.port, limits + first + gone + mark + rules)
    postern = Postern(run, "", start=False)
    postern.write(page_conf(postern.port, sendmail))
    postern.start()
    return far, sendmail, postern


def test_sendmail_page(run):
    """doc/before-sendmail: neither Postern nor Sendmail, which sees 127.0.0.1 alone, sends on what is not for us"""
    far, sendmail, postern = before(run)
    for to in ("x@foreign.example", "x%foreign.example@example.com", "foreign.example!x@example.com"):
        for what, port in (("Postern", postern.port), ("Sendmail", sendmail.port)):
            with Client(port) as c:
                c.ehlo()
                c.ask("MAIL FROM:<a@client.example>", 250)
                run.same(f"{what} refuses {to}", c.ask(f"RCPT TO:<{to}>").code, 550)
    for to in ("x@example.com", "x@sub.example.com", "postmaster@example.com"):
        with Client(postern.port) as c:
            c.ehlo()
            c.ask("MAIL FROM:<a@client.example>", 250)
            run.same(f"both take {to}", c.ask(f"RCPT TO:<{to}>").code, 250)
    with Client(sendmail.port) as c:
        c.ehlo()
        c.ask("MAIL FROM:<a@client.example>", 250)
        for to in ("x@mx.example.com", "postmaster"):
            run.same(f"Sendmail takes {to}", c.ask(f"RCPT TO:<{to}>").code, 250)
    with Client(postern.port, source=OUTSIDE) as c:
        c.ehlo("client.example")
        c.mail(["one@example.com"])
        run.same("a message is taken", c.text_by_data(titled(b"x")).code, 250)
    entry = far.wait_for("one@example.com")
    trace = fields(far.text(entry), "Received") if entry else []
    run.ok("Sendmail's field names Postern, the one below it the client",
           len(trace) > 1 and b"[127.0.0.1]" in trace[0] and b"[127.0.0.3]" in trace[1], trace)  # fmt: skip
    run.same("Postern ends well", postern.stop(), 0)


def test_sendmail_upstream(run):
    """Sendmail behind Postern: connections are used again, its refusals are the client's, its limits are kept"""
    far, sendmail, postern = before(run, LIMITS, GONE)
    with Client(postern.port) as c:
        c.ehlo()
        for word in ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE", "DSN", "CHUNKING"):
            run.ok(f"{word} is offered", word in c.words, c.words)
        run.same("nothing is that is not for clients", sorted(set(c.words) & {"ETRN", "EXPN", "VERB", "DELIVERBY", "AUTH"}), [])
        c.ask("MAIL FROM:<a@client.example> BODY=8BITMIME SIZE=100 RET=HDRS ENVID=x", 250)
        c.ask("RCPT TO:<dsn@example.com> NOTIFY=NEVER ORCPT=rfc822;dsn@example.com", 250)
        r = c.text_by_bdat(b"X-Letter: dsn\r\n\r\n\xe4\r\n")
        run.ok("its reply is Sendmail's, word for word", r.code == 250 and "Message accepted for delivery" in r.text, r)
        c.ask("MAIL FROM:<a@client.example>", 250)
        r = c.ask("RCPT TO:<gone@example.com>")
        run.same("so is what it refuses", (r.code, r.text), (550, "5.1.1 <gone@example.com>... not here"))
        for n in range(3):
            c.ask(f"RCPT TO:<r{n}@example.com>", 250)
        r = c.ask("RCPT TO:<r3@example.com>")
        run.same("and what it takes later", (r.code, r.text[:5]), (452, "4.5.3"))
        run.same("the others are served", c.text_by_data(b"X-Letter: r\r\n\r\n").code, 250)
        for n in range(40):
            c.mail([f"undone{n}@example.com"])
            c.ask("RSET", 250)
        begun = time.monotonic()
        c.mail(["behind@example.com"])
        run.same("behind many RSETs", c.text_by_data(b"X-Letter: behind\r\n\r\n").code, 250)
        run.ok("it is not slowed down", time.monotonic() - begun < 0.9, time.monotonic() - begun)
        c.quit()
    entry = far.wait_for("dsn@example.com")
    run.ok("DSN reaches the next server", entry and "NOTIFY=NEVER" in entry["to"][0] and "ENVID=x" in entry["from"], entry)
    crowd = Crowd(postern.port, 8, tag="s").start(run)
    run.ok("a crowd sends", until(lambda: crowd.count("acked") > 150, 30), crowd.events)
    run.ok("and comes to its end", crowd.stop())
    run.same("nobody was refused, since there are fewer connections than children", crowd.count("refused"), 0)
    until(lambda: len(far.entries()) >= crowd.count("acked") + 3, 20, 0.2)
    crowd.judge(run, far.entries())
    connects = sendmail.log().count(": connect from ")
    run.ok("over few connections", connects <= 8, sendmail.log())
    run.same("Sendmail saw no attack", [x for x in read(sendmail.log_file).splitlines() if "attack" in x], [])
    run.same("Postern ends well", postern.stop(), 0)
