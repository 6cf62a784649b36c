"""postern-milter: Postern's policy and filters as a milter, asked by Debian's miltertest and by a real Postfix."""
import grp
import os
import re
import signal
import socket
import threading
import time

from client import Client, Lost, Refused
from harness import PROGRAM, answers, find, read, until
from senders import Key, Zone, dkim, fields, letter, need, results, sign, verdicts, whole
from servers import SANITIZER, FarEnd, Postfix
from t_dns import stub, udp_port

MILTERD = os.path.join(os.path.dirname(os.path.abspath(PROGRAM)), "postern-milter")


class Milterd:
    """One postern-milter on a port of loopback, or at a path."""

    def __init__(self, run, conf, name="milterd", options=(), path=None):
        run.need(MILTERD)
        self.run, self.port = run, None if path else run.port()
        self.socket = f"unix:{path}" if path else f"inet:{self.port}@127.0.0.1"
        self.file = run.put(name + ".conf", "hostname mx.example.com\n" + conf)
        self.log_file = run.path(name + ".log")
        self.process = run.start([MILTERD, "-c", self.file, "-s", self.socket, *options], self.log_file)
        run.at_end.append(self.stop)
        run.check_at_end.append(self.no_crash)
        if not until(lambda: " milter ready " in self.log() or self.process.poll() is not None, 15):
            raise RuntimeError("postern-milter is not ready:\n" + self.log())
        if self.process.poll() is not None:
            raise RuntimeError("postern-milter has ended:\n" + self.log())

    def log(self):
        return read(self.log_file)

    def lines(self, *parts):
        return [x for x in self.log().splitlines() if all(p in x for p in parts)]

    def main(self):
        """What Postfix is told of it."""
        where = f"inet:127.0.0.1:{self.port}" if self.port else self.socket
        return f"smtpd_milters = {where}\nmilter_macro_daemon_name = smtpd\n"

    def no_crash(self):
        bad = [x for x in self.log().splitlines() if SANITIZER.search(x) or "did anyway" in x]
        self.run.ok("postern-milter is there, or ended well", self.process.poll() == 0, self.log())
        self.run.ok("no sanitizer and no libmilter has complained", not bad, "\n".join(bad))

    def stop(self, seconds=20):
        """Libmilter looks up every five seconds."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


# --- miltertest

LUA = """
function word(conn)
  local r = mt.getreply(conn)
  if r == nil then return "nothing" end
  return string.char(r)
end
function open(ip)
  local conn = mt.connect("inet:@PORT@@127.0.0.1", 40, 0.05)
  if conn == nil then error "no connection" end
  mt.set_timeout(20)
  mt.macro(conn, SMFIC_CONNECT, "{daemon_name}", "door", "v", "Postfix 3.7")
  mt.conninfo(conn, "client.example", ip or "198.51.100.9")
  return conn
end
function mail(conn, from, ...)
  mt.macro(conn, SMFIC_MAIL, "i", "Q1")
  mt.mailfrom(conn, from, ...)
  return word(conn)
end
function rcpt(conn, to)
  mt.rcptto(conn, to)
  return word(conn)
end
function text(conn, subject, more)
  mt.header(conn, "From", " a@client.example")
  for _, h in ipairs(more or {}) do mt.header(conn, h[1], h[2]) end
  mt.header(conn, "Subject", " " .. subject)
  mt.bodystring(conn, "hello\\r\\n")
  mt.eom(conn)
  return word(conn)
end
function whole(conn, subject, more)
  mail(conn, "<a@client.example>")
  rcpt(conn, "<u@example.com>")
  return text(conn, subject, more)
end
"""

CHECKS = """
listen 127.0.0.1:25 name door
check ip { when client.ip in { 192.0.2.66, 2001:db8::66 }  reject 554 5.7.1 "not you" }
check gone { when helo is gone.example  disconnect }
check sender { when sender is bad@client.example  reject 550 5.1.8 "100%% bad" }
check big { when size > 1000  reject 552 5.3.4 "as was said" }
check user { when auth.user is mallory  reject 550 5.7.1 "not mallory" }
check door { when listener is door and sender is door@client.example  tempfail 451 4.7.1 "this door" }
check plain { when tls.version is absent and sender is tls@client.example  reject 550 5.7.1 "no tls" }
check bad-rcpt { when rcpt is bad@example.com  reject 550 5.7.9 "no such" }
check drop-rcpt { when rcpt is drop@example.com  discard }
check drop-mail { when sender is drop@client.example  discard }
check later { when header("Subject") is "later"  tempfail 451 4.7.9 "later" }
check spam { when header("Subject") is "spam"  reject 550 5.7.8 "spam" }
check hold { when header("Subject") is "hold"  quarantine }
check divert { when header("Subject") is "divert"  quarantine to abuse@example.com }
check drop { when header("Subject") is "drop"  discard }
check edit { when header("Subject") is "edit"  add-header "X-Edit" "yes %{client.ip}" delete-header "X-Gone" }
"""


def lua(run, milterd, name, script):
    """Plays a script, gives what it said."""
    run.need("miltertest")
    text = (LUA + script).replace("@PORT@", str(milterd.port))
    status, out = run.command([find("miltertest"), "-s", run.put(name + ".lua", text)], 60)
    if status != 0:
        run.ok(f"{name}: miltertest came to its end", False, out)
    return out.splitlines()


def test_milterd_verdicts(run):
    """miltertest: every verdict at every stage, session after session"""
    m = Milterd(run, CHECKS)
    script = """
    c = open("192.0.2.66"); mt.echo("connect " .. word(c)); mt.helo(c, "h.example"); mt.echo("helo " .. word(c))
    mt.echo("mail " .. mail(c, "<a@client.example>")); mt.echo("rcpt " .. rcpt(c, "<u@example.com>"))
    mt.disconnect(c)
    c = open("2001:db8::66"); mail(c, "<a@client.example>"); mt.echo("ip6 " .. rcpt(c, "<u@example.com>")); mt.disconnect(c)
    c = open("unspec"); mail(c, "<>"); mt.echo("nowhere " .. rcpt(c, "<u@example.com>")); mt.disconnect(c)
    c = open(); mt.helo(c, "gone.example"); mt.echo("gone " .. word(c) .. mail(c, "<>")); mt.disconnect(c)
    c = open(); mt.helo(c, "h.example")
    mt.echo("sender " .. mail(c, "<bad@client.example>") .. rcpt(c, "<u@example.com>"))
    mt.abort(c)
    mt.echo("size " .. mail(c, "<a@client.example>", "SIZE=2000", "BODY=8BITMIME") .. rcpt(c, "<u@example.com>")); mt.abort(c)
    mt.echo("door " .. mail(c, "<door@client.example>") .. rcpt(c, "<u@example.com>")); mt.abort(c)
    mt.echo("no tls " .. mail(c, "<tls@client.example>") .. rcpt(c, "<u@example.com>")); mt.abort(c)
    mt.macro(c, SMFIC_HELO, "{tls_version}", "TLSv1.3", "{cipher}", "X"); mt.helo(c, "h.example")
    mt.echo("tls " .. mail(c, "<tls@client.example>") .. rcpt(c, "<u@example.com>")); mt.abort(c)
    mt.macro(c, SMFIC_MAIL, "{auth_authen}", "mallory", "{auth_type}", "PLAIN")
    mt.mailfrom(c, "<a@client.example>"); mt.echo("user " .. rcpt(c, "<u@example.com>")); mt.abort(c)
    mt.disconnect(c)
    c = open(); mt.helo(c, "h.example"); mail(c, "<a@client.example>")
    mt.echo("rcpts " .. rcpt(c, "<bad@example.com>") .. rcpt(c, "<drop@example.com>") .. rcpt(c, "<u@example.com>"))
    mt.echo("text " .. text(c, "x") .. tostring(mt.eom_check(c, MT_RCPTDELETE, "<drop@example.com>"))
      .. tostring(mt.eom_check(c, MT_RCPTDELETE, "<u@example.com>")))
    mail(c, "<a@client.example>"); rcpt(c, "<drop@example.com>"); mt.echo("all dropped " .. text(c, "x"))
    mail(c, "<drop@client.example>"); rcpt(c, "<u@example.com>"); mt.echo("sender dropped " .. text(c, "x"))
    for _, s in ipairs({"drop", "x"}) do mt.echo(s .. " " .. whole(c, s)) end
    mt.echo("later " .. whole(c, "later")); mt.echo("spam " .. whole(c, "spam"))
    mt.echo("hold " .. whole(c, "hold") .. tostring(mt.eom_check(c, MT_QUARANTINE)))
    mt.echo("divert " .. whole(c, "divert") .. tostring(mt.eom_check(c, MT_RCPTADD, "<abuse@example.com>"))
      .. tostring(mt.eom_check(c, MT_RCPTDELETE, "<u@example.com>")) .. tostring(mt.eom_check(c, MT_QUARANTINE)))
    mt.disconnect(c)
    """
    want = """connect c / helo c / mail c / rcpt y / ip6 y / nowhere c / gone cy / sender cy
    size cy / door cy / no tls cy / tls cc / user y / rcpts ycc / text ctruefalse / all dropped d / sender dropped d
    drop d / x c / later y / spam y / hold ctrue / divert ctruetruefalse"""
    run.same("miltertest", lua(run, m, "verdicts", script), [x.strip() for x in re.split(r"[/\n]", want)])
    said = (" refused ", "by=bad-rcpt", "queue=Q1", "enh=5.7.9")
    run.ok("the log has id, queue and verdict", until(lambda: m.lines(*said), 5), m.log())
    run.ok("and what was dropped", until(lambda: m.lines("outcome=discarded", "by=drop-rcpt"), 5), m.log())
    until(lambda: len(m.lines(" session ")) == script.count("= open("), 5)
    run.same("it ends", m.stop(), 0)
    run.ok("no session is left", until(lambda: m.lines("milter end sessions=0"), 5), m.log())


def test_milterd_edits(run):
    """miltertest: fields that we delete and add, also of a mail server of old; steps that are asked for"""
    m = Milterd(run, CHECKS)
    script = """
    forged = {"Authentication-Results", " mx.example.com; spf=pass"}
    others = {"Authentication-Results", " other.example; spf=pass"}
    function show(c)
      mt.echo(tostring(mt.eom_check(c, MT_HDRINSERT, "X-Edit", @BLANK@"yes 198.51.100.9")) .. " "
        .. tostring(mt.eom_check(c, MT_HDRDELETE, "X-Gone")) .. " "
        .. tostring(mt.eom_check(c, MT_HDRDELETE, "Authentication-Results")) .. " "
        .. tostring(mt.eom_check(c, MT_HDRDELETE, "Subject")))
    end
    c = open()
    whole(c, "edit", {forged, {"X-Gone", " 1"}, others}); show(c)
    whole(c, "x", {others, {"X-Gone", " 1"}}); show(c)
    whole(c, "x", {forged}); show(c)
    mt.disconnect(c)
    """
    got = lua(run, m, "edits", script.replace("@BLANK@", '" " .. '))
    run.same("as it is today", got, ["true true true false", "false false false false", "false false true false"])
    old = script.replace("@BLANK@", "").replace("c = open()", "c = old(2, 63, 127)")
    old = (
        """
    function old(version, actions, steps)
      local conn = mt.connect("inet:@PORT@@127.0.0.1", 40, 0.05)
      mt.negotiate(conn, version, actions, steps)
      mt.conninfo(conn, "client.example", "198.51.100.9")
      return conn
    end
    """
        + old
    )
    got = lua(run, m, "old", old)
    run.same("version 2", got, ["true true true false", "false false false false", "false false true false"])
    # Whatever its manual says, it takes steps first and actions then.
    fewer = old.replace("old(2, 63, 127)", "old(6, 127, 1)").replace("; show(c)", '; mt.echo(word(c))')
    run.same("who cannot delete fields hears 4xx where one must go", lua(run, m, "fewer", fewer), ["t", "c", "t"])


def test_milterd_sessions(run):
    """miltertest: a second MAIL without the end of the first, aborts, a client that leaves, refusals at once"""
    m = Milterd(run, CHECKS + "reject-at stage\n")
    script = """
    c = open("192.0.2.66"); mt.echo("connect " .. word(c)); mt.disconnect(c)
    c = open(); mt.helo(c, "h.example")
    mt.echo("at mail " .. mail(c, "<bad@client.example>"))
    mail(c, "<a@client.example>"); rcpt(c, "<drop@example.com>")
    mt.echo("again " .. mail(c, "<b@client.example>") .. rcpt(c, "<u@example.com>") .. text(c, "x"))
    mt.echo("nothing of the first " .. tostring(mt.eom_check(c, MT_RCPTDELETE, "<drop@example.com>")))
    mail(c, "<a@client.example>"); rcpt(c, "<u@example.com>"); mt.header(c, "Subject", " spam"); mt.abort(c)
    mt.echo("after an abort " .. whole(c, "x"))
    mail(c, "<a@client.example>"); rcpt(c, "<u@example.com>"); mt.header(c, "Subject", " spam")
    mt.bodystring(c, "x")
    mt.disconnect(c, false)
    """
    want = ["connect y", "at mail y", "again ccc", "nothing of the first false", "after an abort c"]
    run.same("miltertest", lua(run, m, "sessions", script), want)
    run.ok("both sessions are over", until(lambda: len(m.lines(" session ")) == 2, 5), m.log())


# --- behind Postfix

OUTSIDE = "127.0.0.3"
INBOUND = """resolver 127.0.0.1:@DNS@
authenticate spf, dkim, dmarc, arc
networks inside { 127.0.0.2 }
""" + "".join(
    x + "\n"
    for x in CHECKS.splitlines()
    if x.startswith(("check bad-rcpt", "check drop", "check later", "check spam", "check hold", "check divert", "check edit"))
)


def inbound(zone):
    return INBOUND.replace("@DNS@", str(zone.serve()))


def behind(run, milterd, main="", **more):
    far = FarEnd(run, keep=True)
    return far, Postfix(run, far.port, main=milterd.main() + main, **more)


def send(postfix, text, to=("u@example.com",), sender="a@signed.example", source=OUTSIDE, params=" BODY=8BITMIME"):
    """The reply to the first command that was refused, else to the text."""
    with Client(postfix.port, source=source, timeout=60) as c:
        try:
            c.ehlo("mx.signed.example")
            c.mail(to, sender, params)
            return c.text_by_data(text)
        except Refused as e:
            return e.reply


def titled(subject, more=b"", body=b"hello\r\n"):
    return more + b"From: a@signed.example\r\nTo: u@example.com\r\nSubject: " + subject + b"\r\nX-Gone: 1\r\n\r\n" + body


FORGED = b"Authentication-Results: mx.example.com; dkim=pass header.d=signed.example\r\n"
OTHERS = b"Authentication-Results: elsewhere.example; dkim=pass header.d=x.example\r\n"


def zone_of(run, *keys):
    zone = Zone(run)
    zone.txt("signed", "v=spf1 ip4:127.0.0.0/8 -all")
    zone.txt("_dmarc.signed", "v=DMARC1; p=reject")
    for selector, key in keys:
        zone.txt(f"{selector}._domainkey.signed", key.record)
    return zone


def test_milterd_postfix(run):
    """Postfix asks: refusals at RCPT and at the end, dropped recipients, hold queue, fields added and removed"""
    need(run, "root", "postfix")
    m = Milterd(run, inbound(zone_of(run)))
    far, postfix = behind(run, m)

    r = send(postfix, titled(b"x"), ["bad@example.com"])
    run.ok("RCPT is refused in our words", r.code == 550 and "5.7.9 no such (" in r.text, r.text)
    words = (" refused ", "by=bad-rcpt", r.text.split("(")[1].rstrip(")"))
    run.ok("that the log has, too", until(lambda: m.lines(*words), 2), m.log())
    for subject, code, words in ((b"spam", 550, "5.7.8 spam ("), (b"later", 451, "4.7.9 later (")):
        r = send(postfix, titled(subject))
        run.ok(f"{subject.decode()} is refused at its end", r.code == code and words in r.text, r.text)
    run.same("what is discarded is taken", send(postfix, titled(b"drop")).code, 250)
    run.same("one of two recipients is dropped", send(postfix, titled(b"x"), ["drop@example.com", "one@example.com"]).code, 250)
    entry = far.wait_for("one@example.com")
    run.ok("the other has it alone", entry and len(entry["to"]) == 1, entry)
    run.same("divert", send(postfix, titled(b"divert"), ["two@example.com"]).code, 250)
    entry = far.wait_for("abuse@example.com")
    run.ok("an address has it alone", entry and len(entry["to"]) == 1, entry)
    run.same("hold", send(postfix, titled(b"hold"), ["three@example.com"]).code, 250)
    held = os.path.join(postfix.dir, "spool", "hold")
    run.ok("it lies in the hold queue", until(lambda: any(f for _, _, f in os.walk(held)), 5), postfix.log())
    run.ok("and the log of Postfix says why", postfix.wait_log(r"milter-hold: .* to=<three@example.com>"), postfix.log())
    with Client(postfix.port, source=OUTSIDE) as c:
        c.ehlo("mx.signed.example")
        for n in ("four", "five"):
            c.mail([f"{n}@example.com"], "a@signed.example")
            r = c.text_by_data(titled(b"edit", FORGED + OTHERS))
            run.same(f"{n}: a message of a session is taken", r.code, 250)
        c.mail(["bad-too@example.com"], "a@signed.example")
        c.ask("RSET", 250)
        c.mail(["six@example.com"], "a@signed.example")
        run.same("after RSET, too", c.text_by_data(titled(b"x")).code, 250)
    for n in ("four", "five"):
        entry = far.wait_for(f"{n}@example.com")
        text = far.text(entry) if entry else b""
        run.same(f"{n}: our field", fields(text, "X-Edit"), [b"yes 127.0.0.3"])
        run.same(f"{n}: theirs is gone", fields(text, "X-Gone"), [])
        ids = [v.split(b";")[0] for v in fields(text, "Authentication-Results")]
        run.same(f"{n}: of two such fields the forged one is gone", sorted(ids), [b"elsewhere.example", b"mx.example.com"])
        run.same(f"{n}: SPF", results(verdicts(text), "spf")[:1], ["pass"])
        run.same(f"{n}: nothing else", text.split(b"\r\n\r\n")[1], b"hello\r\n")
    entry = far.wait_for("six@example.com")
    run.ok("nothing is left of what was before", entry and fields(far.text(entry), "X-Edit") == [])
    run.ok("nobody else got anything", len(far.entries()) == 5, far.entries())
    run.ok("queue ids are in the log", until(lambda: m.lines("outcome=passed", " queue="), 5), m.log())


def test_milterd_dkim(run):
    """signatures that come through Postfix are verified on the octets that came; ours hold where they arrive"""
    need(run, "root", "postfix")
    rsa, ed = Key(run, "rsa"), Key(run, "ed", "ed25519")
    zone = zone_of(run, ("r", rsa), ("e", ed))
    m = Milterd(
        run,
        inbound(zone)
        + "domains mine { signed.example }\n"
        + f'sign mine selector r key "{rsa.path}" when client in inside\n',
    )
    far, postfix = behind(run, m)
    bodies = {"short": b"hello\r\n", "empty": b"", "ends": b"a  b\t \r\n\r\n\r\n", "dots": b".\r\n..a\r\n",
              "8-bit": b"\xe4\xff\r\n", "large": b"one   line\r\n" * 20000}  # fmt: skip
    for selector, key in (("r", rsa), ("e", ed)):
        for how in (b"simple/simple", b"relaxed/relaxed"):
            for what, body in bodies.items():
                n = f"{selector}-{how[:1].decode()}-{what}"
                text = sign(letter(body, name=n), key, selector, how=how)
                run.same(f"{n}: it is taken", send(postfix, text, [n + "@example.com"]).code, 250)
                entry = far.wait_for(n + "@example.com")
                got = verdicts(far.text(entry)) if entry else None
                run.same(f"{n}: DKIM", results(got, "dkim"), ["pass"])
                run.same(f"{n}: DMARC", results(got, "dmarc"), ["pass"])
    text = sign(letter(b"hello\r\n", name="x"), rsa, "r").replace(b"hello", b"hellO")
    send(postfix, text, ["changed@example.com"])
    entry = far.wait_for("changed@example.com")
    run.same("a body that was changed", results(verdicts(far.text(entry)) if entry else None, "dkim"), ["fail"])
    for what, body in bodies.items():
        n = f"ours-{what}"
        r = send(postfix, letter(body, name=n), [n + "@example.com"], source="127.0.0.2")
        run.same(f"{n}: it is taken", r.code, 250)
        entry = far.wait_for(n + "@example.com")
        text = far.text(entry) if entry else b""
        run.same(f"{n}: one signature", len(fields(text, "DKIM-Signature")), 1)
        run.ok(f"{n}: it holds for python3-dkim", text and dkim.verify(whole(text), dnsfunc=zone.ask), text[:2000])


def test_milterd_unknown(run):
    """a DNS that does not answer: tempfail, in time, and nobody waits for who has gone"""
    need(run, "root", "postfix")
    port = udp_port(run)
    stub(run, port)
    m = Milterd(
        run,
        f"resolver 127.0.0.1:{port}\n"
        'check there { when not sender.domain resolves  on unknown tempfail 451 4.4.3 "not now"'
        ' reject 550 5.1.8 "no such domain" }\n',
    )
    far, postfix = behind(run, m)
    run.same("a domain that is there", send(postfix, titled(b"x"), sender="a@mx.example").code, 250)
    r = send(postfix, titled(b"x"), sender="a@none.example")
    run.ok("one that is not", r.code == 550 and "5.1.8 no such domain" in r.text, r.text)
    r = send(postfix, titled(b"x"), sender="a@fail.example")
    run.ok("one of which nobody knows", r.code == 451 and "4.4.3 not now" in r.text, r.text)
    begun = time.monotonic()
    r = send(postfix, titled(b"x"), sender="a@dead.example")
    run.ok("one that does not answer", r.code == 451 and "4.4.3 not now" in r.text, r.text)
    run.ok("within what Postfix waits", time.monotonic() - begun < 29, time.monotonic() - begun)
    with Client(postfix.port, source=OUTSIDE) as c:
        c.ehlo()
        c.send(b"MAIL FROM:<b@dead1.example>\r\nRCPT TO:<u@example.com>\r\n")
        time.sleep(0.3)
    run.ok("who has gone meanwhile is over in time", until(lambda: len(m.lines(" session ")) == 5, 40), m.log())
    run.ok("one arrived", far.wait_for("u@example.com") and len(far.entries()) == 1, far.entries())


# --- crowds, and the end

class Sender(threading.Thread):
    """Sends messages with a name each, and notes which were taken."""

    def __init__(self, port, number, messages, pause=0.0):
        super().__init__(daemon=True)
        self.port, self.number, self.messages, self.pause = port, number, messages, pause
        self.taken, self.deferred, self.odd = [], 0, []
        self.start()

    def one(self, c, name):
        c.mail([f"{name}@example.com"], "a@signed.example")
        r = c.text_by_data(titled(b"edit", FORGED, b"x" * 5000 + b"\r\n"))
        if r.code == 250:
            self.taken.append(name)
        elif r.code // 100 == 4:
            self.deferred += 1
        else:
            self.odd.append(r)

    def run(self):
        n = 0
        while n < self.messages:
            try:
                with Client(self.port, source=OUTSIDE, timeout=60) as c:
                    c.ehlo("mx.signed.example")
                    for _ in range(5):
                        if n < self.messages:
                            self.one(c, f"c{self.number}-{n}")
                            n += 1
                            time.sleep(self.pause)
            except Refused as e:
                self.deferred += e.reply.code // 100 == 4
                if e.reply.code // 100 != 4:
                    self.odd.append(e.reply)
                n += 1
            except (Lost, OSError, socket.timeout) as e:
                self.odd.append(e)
                n += 1


def came(far):
    return [to.strip("<>").split("@")[0].replace("TO:<", "") for e in far.entries() for to in e["to"]]


def settled(run, far, crowd):
    """Every message that was taken arrives, once."""
    taken = sorted(n for s in crowd for n in s.taken)
    until(lambda: len(far.entries()) >= len(taken), 60, 0.2)
    got = sorted(re.search(r"c\d+-\d+", n).group() for n in map(str, came(far)))
    run.same("what was taken arrived, and once", [n for n in taken if got.count(n) != 1], [])
    return got


def test_milterd_crowd(run):
    """fifty sessions at once through Postfix: nothing is lost, each message has its fields"""
    need(run, "root", "postfix")
    m = Milterd(run, inbound(zone_of(run)))
    far, postfix = behind(run, m)
    begun = time.monotonic()
    crowd = [Sender(postfix.port, i, 10) for i in range(50)]
    for s in crowd:
        s.join(120)
    took = time.monotonic() - begun
    run.same("nobody saw anything odd", [o for s in crowd for o in s.odd], [])
    run.same("none was deferred", sum(s.deferred for s in crowd), 0)
    settled(run, far, crowd)
    run.note(f"500 messages of 50 sessions in {took:.1f} s")
    bad = [e for e in far.entries() if fields(far.text(e), "X-Edit") != [b"yes 127.0.0.3"]
           or verdicts(far.text(e)) is None or results(verdicts(far.text(e)), "spf")[:1] != ["pass"]]  # fmt: skip
    run.same("each has our fields and no other's", bad, [])
    run.ok("each session was closed", until(lambda: len(m.lines(" session ")) >= 100, 10), len(m.lines(" session ")))


def test_milterd_term(run):
    """SIGTERM under load: what is in hand is answered, the rest hears 4xx, what was taken arrives edited"""
    need(run, "root", "postfix")
    m = Milterd(run, inbound(zone_of(run)))
    far, postfix = behind(run, m)
    crowd = [Sender(postfix.port, i, 30, 0.02) for i in range(20)]
    run.ok("it has begun", until(lambda: len(m.lines("outcome=passed")) > 50, 30), m.log())
    run.same("it ends well", m.stop(40), 0)
    for s in crowd:
        s.join(120)
    run.same("nobody saw anything odd", [o for s in crowd for o in s.odd], [])
    run.ok("some were deferred", sum(s.deferred for s in crowd) > 0)
    settled(run, far, crowd)
    bad = [e for e in far.entries() if fields(far.text(e), "X-Edit") != [b"yes 127.0.0.3"] or verdicts(far.text(e)) is None]
    run.same("nothing arrived half edited", bad, [])
    m.process = run.start([MILTERD, "-c", m.file, "-s", m.socket], m.log_file)
    run.ok("a new one takes the port", until(lambda: answers(m.port), 10), m.log())
    run.same("and mail flows again", send(postfix, titled(b"edit"), ["again@example.com"]).code, 250)


# --- the program

def symbols(run, *argv):
    _, out = run.command([find("nm"), *argv])
    return {line.split()[-1].split("@")[0] for line in out.splitlines() if len(line.split()) == 3}


def test_milterd_program(run):
    """no symbol of ours stands for one of libmilter's; what the command line says"""
    run.need(MILTERD, "nm", "ldd")
    _, out = run.command([find("ldd"), MILTERD])
    library = re.search(r"libmilter\S* => (\S+)", out)
    run.ok("libmilter is linked", library, out)
    if library:
        theirs = symbols(run, "-D", "--defined-only", library.group(1))
        ours = symbols(run, "-g", "--defined-only", MILTERD)
        run.ok("both have some", len(theirs) > 20 and len(ours) > 20, f"{len(theirs)} {len(ours)}")
        run.same("none in common", sorted(theirs & ours), [])
    conf = run.put(
        "odd.conf",
        'listen 0.0.0.0:25\nupstream 127.0.0.1:10025\ntls certificate "/nothing" key "/nothing"\n'
        'relay { allow to { example.com } }\nmilter x { socket "unix:/nothing" }\nworkers 3\n'
        "check a { when helo is x  quarantine }\n",
    )
    status, out = run.command([MILTERD, "--check", "-c", conf])
    run.same("a proxy's file is good", status, 1 if "error" in out else 0)
    run.has("one note names what is passed over", out, "listen, upstream, tls, workers, milter, relay")
    run.same("one", out.count("note:"), 1)
    status, out = run.command([MILTERD, "--check", "-c", run.put("empty.conf", "")])
    run.same("so is one without anything", (status, out), (0, ""))
    status, out = run.command([MILTERD, "--check", "-c", run.put("bad.conf", "check a { when x is y  reject }\n")])
    run.ok("mistakes are told", status == 1 and "bad.conf:1:" in out, out)
    run.same("without a socket it is not used well", run.command([MILTERD])[0], 2)
    run.same("nor with what it does not know", run.command([MILTERD, "--socket", "x"])[0], 2)
    path, pid = run.path("socket"), run.path("pid")
    m = Milterd(run, "", path=path, options=("-g", "mail", "-p", pid))
    run.same("a unix socket is for a group", oct(os.stat(path).st_mode)[-3:], "660")
    run.same("the one that was named", grp.getgrgid(os.stat(path).st_gid).gr_name, "mail")
    run.same("the pid file", read(pid), f"{m.process.pid}\n")
    run.same("it ends", m.stop(), 0)
    run.ok("and takes both away", not os.path.exists(pid) and not os.path.exists(path))
    empty = run.put("empty.conf", "")
    status, out = run.command([MILTERD, "-c", empty, "-s", "local:" + run.path("nowhere", "socket")])
    run.ok("a socket that cannot be had", status == 1 and "cannot listen there" in out, out)
    status, out = run.command([MILTERD, "-c", empty, "-s", "inet:99999999@nothing"])
    run.ok("nor a port that is none", status == 1 and "must be a number" in out, out)
