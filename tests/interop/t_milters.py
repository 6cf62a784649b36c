"""Debian's milters behind Postern: each gets a message that it must change, and one that it must refuse or leave."""
import base64
import re

import milters
from client import Client
from milters import milter_word
from senders import Key, OpenDKIM, Zone, dkim, fields, letter, need, sign
from servers import FarEnd, Postern

GOOD, OTHER, INSIDE = "192.0.2.10", "203.0.113.9", "192.0.2.77"
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

GATEWAY = """hostname mx.example.com
listen 127.0.0.1:@PORT@ proxy-protocol from { 127.0.0.0/8 }
upstream 127.0.0.1:%d
workers 1
domains ours { example.com }
relay { allow to ours }
"""


class Way:
    """A Postern with these milters in front of a server that keeps all."""

    def __init__(self, run, blocks, name="postern"):
        self.run, self.far = run, FarEnd(run, keep=True)
        self.postern = Postern(run, GATEWAY % self.far.port + blocks, name)

    def send(self, text, name, sender="a@client.example", client=GOOD, helo="mx.client.example", session=None):
        """(where it was answered, reply, what arrived or None)"""
        to = f"{name}@example.com"
        c = session or self.session(client, helo)
        try:
            for at, command in (("mail", f"MAIL FROM:<{sender}> BODY=8BITMIME"), ("rcpt", f"RCPT TO:<{to}>")):
                r = c.ask(command)
                if r.code >= 400:
                    return at, r, None
            r = c.text_by_data(text)
        finally:
            if session is None:
                c.quit()
                c.close()
        entry = self.far.wait_for(to, 10) if r.code == 250 else None
        return "message", r, self.far.text(entry) if entry else None

    def session(self, client=GOOD, helo="mx.client.example"):
        c = Client(self.postern.port, first=f"PROXY TCP4 {client} 192.0.2.1 40000 25\r\n".encode(), timeout=90)
        c.ehlo(helo)
        return c

    def passes(self, what, text, name, **how):
        """What arrived; it counts as a check that it did."""
        at, r, arrived = self.send(text, name, **how)
        self.run.ok(f"{what}: it arrives", arrived is not None, f"{at}: {r}\n{self.postern.log()[-2000:]}")
        return arrived or b""

    def refused(self, what, text, name, code, part, at="message", **how):
        where, r, _ = self.send(text, name, **how)
        self.run.same(f"{what}: it is refused, and where", (where, r.code), (at, code))
        self.run.has(f"{what}: the milter's words", "\n".join(str(x) for x in r.lines), part)
        self.run.ok(f"{what}: the log names the milter", self.postern.wait_log(f"by={self.name_of()}"), self.postern.log())
        self.run.ok(f"{what}: it went nowhere", not any(f"{name}@" in " ".join(e["to"]) for e in self.far.entries()))

    def name_of(self):
        return re.search(r"milter (\S+)", open(self.postern.file, encoding="utf-8").read()).group(1)

    def end(self):
        self.run.same("Postern ends well", self.postern.stop(), 0)


def plain(body=b"hello\r\n", sender="a@client.example", more=b""):
    return letter(body, sender=sender, more=more)


def attachment(name, kind="application/octet-stream", octets=b"MZ\x90\x00" + bytes(60)):
    return (
        b"From: a@client.example\r\nTo: u@example.com\r\nSubject: a file\r\nDate: Mon, 01 Jan 2024 00:00:00 +0000\r\n"
        b"Message-Id: <f@client.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nsee there\r\n--b\r\nContent-Type: %s; name=\"%s\"\r\n"
        b"Content-Disposition: attachment; filename=\"%s\"\r\nContent-Transfer-Encoding: base64\r\n\r\n%s--b--\r\n"
        % (kind.encode(), name.encode(), name.encode(), base64.encodebytes(octets).replace(b"\n", b"\r\n"))
    )


def zone_of(run, *keys):
    zone = Zone(run)
    zone.txt("client", f"v=spf1 ip4:{GOOD} -all")
    zone.txt("_dmarc.client", "v=DMARC1; p=reject")
    for selector, key in keys:
        zone.txt(f"{selector}._domainkey.client", key.record)
    return zone


def test_milter_opendkim_verifies(run):
    """opendkim as a verifier: it finds what is true of octets that it was told by us"""
    need(run, "opendkim")
    key = Key(run, "k")
    zone = zone_of(run, ("s", key))
    od = OpenDKIM.verifier(run, "od", zone)
    way = Way(run, milter_word("od", f"inet:{od.port}@127.0.0.1"))
    for how in (b"simple/simple", b"relaxed/relaxed"):
        text = sign(plain(), key, "s", domain="client.example", how=how)
        arrived = way.passes(f"signed, {how.decode()}", text, f"g{how[0]}")
        said = b" ".join(fields(arrived, "Authentication-Results"))
        run.ok(f"{how.decode()}: dkim=pass", b"odkim.example" in said and b"dkim=pass" in said, said)
        run.ok(f"{how.decode()}: what it put in front is all that changed", arrived.endswith(text), arrived[:2000])
        arrived = way.passes("a changed body", text.replace(b"hello", b"hullo"), f"b{how[0]}")
        said = b" ".join(fields(arrived, "Authentication-Results"))
        run.ok(f"{how.decode()}: dkim=fail", b"dkim=fail" in said, said)
    arrived = way.passes("unsigned", plain(), "u")
    run.ok("dkim=none", b"dkim=none" in b" ".join(fields(arrived, "Authentication-Results")), arrived[:1000])
    with way.session() as c:
        for i in range(3):
            arrived = way.passes(f"message {i} of one session", plain(), f"s{i}", session=c)
            run.same(f"message {i}: one field", len(fields(arrived, "Authentication-Results")), 1)
    way.end()


def test_milter_opendkim_signs(run):
    """opendkim as a signer: python3-dkim verifies what arrives"""
    need(run, "opendkim")
    key = Key(run, "k")
    zone = zone_of(run)
    zone.txt("s._domainkey.signed", key.record)
    for i, how in enumerate(("simple/simple", "relaxed/relaxed")):
        od = OpenDKIM.signer(run, f"od{i}", key, "s", how)
        way = Way(run, milter_word("od", f"inet:{od.port}@127.0.0.1"), f"postern{i}")
        text = plain(b"line one\r\n\r\n.dot\r\n" + b"x" * 900 + b"\r\n\r\n", sender="a@signed.example")
        arrived = way.passes(how, text, f"s{i}", client="127.0.0.1", sender="a@signed.example")
        run.same(f"{how}: one signature", len(fields(arrived, "DKIM-Signature")), 1)
        run.ok(f"{how}: it verifies", bool(arrived) and dkim.verify(arrived, dnsfunc=zone.ask), arrived[:1500])
        way.end()


def test_milter_opendmarc(run):
    """opendmarc: results in front, and a refusal at the end of the message"""
    need(run)
    m = milters.opendmarc(run, zone_of(run))
    way = Way(run, milter_word("dmarc", m.socket))
    arrived = way.passes("SPF passes", plain(), "p")
    said = b" ".join(fields(arrived, "Authentication-Results"))
    run.ok("spf=pass", b"spf=pass" in said, said)
    run.ok("dmarc=pass", b"dmarc=pass" in said, said)
    way.refused("from elsewhere", plain(), "f", 550, "rejected by DMARC policy for client.example", client=OTHER)
    way.end()


def test_milter_clamav(run):
    """clamav-milter with a database of one signature: Clean, and Infected"""
    m = milters.clamav(run)
    way = Way(run, milter_word("clamav", m.socket))
    arrived = way.passes("clean", plain(), "c")
    run.same("X-Virus-Status", fields(arrived, "X-Virus-Status"), [b"Clean"])
    way.refused("EICAR", plain(EICAR + b"\r\n"), "e", 550, "Infected: Test.Eicar")
    arrived = way.passes("clean again", plain(), "c2")
    run.same("X-Virus-Status again", fields(arrived, "X-Virus-Status"), [b"Clean"])
    way.end()


def test_milter_spamass(run):
    """spamass-milter with spamd: a score in front, GTUBE is refused"""
    m = milters.spamass(run)
    way = Way(run, milter_word("sa", m.socket))
    arrived = way.passes("ham", plain(), "h")
    run.ok("X-Spam-Status: No", any(v.startswith(b"No") for v in fields(arrived, "X-Spam-Status")), arrived[:1500])
    way.refused("GTUBE", plain(GTUBE + b"\r\n"), "g", 550, "Blocked by SpamAssassin")
    way.end()


def test_milter_rspamd(run):
    """rspamd as a milter, which wants hardly an answer before the end: fields, and Gtube pattern"""
    m = milters.rspamd(run)
    way = Way(run, milter_word("rspamd", m.socket))
    arrived = way.passes("ham", plain(), "h")
    run.ok("X-Spamd-Result", fields(arrived, "X-Spamd-Result"), arrived[:1500])
    way.refused("GTUBE", plain(GTUBE + b"\r\n"), "g", 554, "Gtube pattern")
    with way.session() as c:
        for i in range(3):
            arrived = way.passes(f"message {i} of one session", plain(), f"s{i}", session=c)
            run.same(f"message {i}: one result", len(fields(arrived, "X-Spamd-Result")), 1)
    way.end()


def test_milter_mimedefang(run):
    """mimedefang: a field is added, an attachment is taken out, a message is refused"""
    m = milters.mimedefang(run)
    way = Way(run, milter_word("md", m.socket))
    arrived = way.passes("plain", plain(), "p")
    run.same("X-MIMEDefang-Test", fields(arrived, "X-MIMEDefang-Test"), [b"seen"])
    arrived = way.passes("e.com", attachment("e.com"), "c")
    run.ok("the attachment is gone", b"e.com\"" not in arrived and b"was removed" in arrived, arrived)
    run.ok("the body is whole lines", b"\n" not in arrived.replace(b"\r\n", b""), arrived)
    way.refused("e.exe", attachment("e.exe"), "x", 554, "no programs here")
    way.end()


def test_milter_pyspf(run):
    """pyspf-milter: a result in front, and a refusal that it gives at MAIL"""
    need(run)
    m = milters.pyspf(run, zone_of(run))
    way = Way(run, milter_word("pyspf", m.socket))
    arrived = way.passes("SPF passes", plain(), "p")
    said = b" ".join(fields(arrived, "Authentication-Results"))
    run.ok("spf=pass", b"spf=pass" in said, said)
    way.refused("SPF fails", plain(), "f", 550, "not authorized", at="rcpt", client=OTHER)
    way.end()


def test_milter_dkimpy(run):
    """dkimpy-milter: verifies what python3-dkim signed, signs for inside"""
    need(run)
    key = Key(run, "k")
    zone = zone_of(run, ("s", key))
    zone.txt("dp._domainkey.ours", key.record)
    m = milters.dkimpy(run, zone, key)
    way = Way(run, milter_word("dp", m.socket))
    text = sign(plain(), key, "s", domain="client.example")
    arrived = way.passes("signed", text, "v")
    run.ok("dkim=pass", b"dkim=pass" in b" ".join(fields(arrived, "Authentication-Results")), arrived[:1500])
    arrived = way.passes("ours", plain(sender="a@ours.example"), "o", client=INSIDE, sender="a@ours.example")
    run.ok("it is signed", bool(arrived) and dkim.verify(arrived, dnsfunc=zone.ask), arrived[:1500])
    way.end()


def test_milter_amavis(run):
    """amavisd-milter with amavisd: clean mail passes, a banned attachment is refused"""
    m = milters.amavis(run)
    way = Way(run, milter_word("amavis", m.socket))
    way.passes("clean", plain(), "c")
    way.refused("e.com", attachment("e.com"), "x", 554, "BANNED")
    way.end()


def test_milter_chain(run):
    """five of them one behind the other, of which the later see what the earlier added"""
    need(run, "opendkim")
    key = Key(run, "k")
    zone = zone_of(run, ("s", key))
    zone.txt("s._domainkey.signed", key.record)
    clam, md = milters.clamav(run), milters.mimedefang(run)
    od = OpenDKIM.signer(run, "sig", key, "s", "simple/simple")
    way = Way(
        run,
        milter_word("clamav", clam.socket) + milter_word("md", md.socket)
        + milter_word("od", f"inet:{od.port}@127.0.0.1"),
    )  # fmt: skip
    text = attachment("e.com").replace(b"a@client.example", b"a@signed.example")
    arrived = way.passes("e.com", text, "c", client="127.0.0.1", sender="a@signed.example")
    run.ok("the attachment is gone", b"was removed" in arrived, arrived)
    run.ok("and what is left is signed", bool(arrived) and dkim.verify(arrived, dnsfunc=zone.ask), arrived[:3000])
    way.refused("EICAR, which the first refuses", plain(EICAR + b"\r\n"), "e", 550, "Infected: Test.Eicar")
    way.end()
