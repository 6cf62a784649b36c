"""Who really sent it, between programs of others: name servers, signers, verifiers, Postfix on either side."""
import os
import re
import time

from client import Client
from harness import PROGRAM, SOURCE
from senders import (
    BODIES,
    Key,
    OpenDKIM,
    Zone,
    alone,
    dkim,
    fields,
    letter,
    need,
    opendkim_says,
    results,
    sign,
    verdicts,
    whole,
)
from servers import FarEnd, Postern, Postfix
from t_dns import stub, udp_port

GOOD, OTHER = "192.0.2.10", "198.51.100.66"
DMARC = "v=DMARC1; p=reject"

GATEWAY = """hostname mx.example.com
listen 127.0.0.1:@PORT@ proxy-protocol from { 127.0.0.0/8 }
upstream 127.0.0.1:%d
workers 2
resolver 127.0.0.1:%d
domains ours { example.com }
relay { allow to ours }
limits { line 0 }
"""
ALL = "authenticate spf, dkim, dmarc, arc\n"


def zone_of(run, *keys):
    """signed.example with SPF, DMARC and these keys by selector; others with less."""
    zone = Zone(run)
    zone.txt("signed", f"v=spf1 ip4:{GOOD} ip4:127.0.0.0/8 -all")
    zone.txt("_dmarc.signed", DMARC)
    for selector, key in keys:
        zone.txt(f"{selector}._domainkey.signed", key.record)
    return zone


def gateway(run, far, dns, more=ALL, name="postern"):
    return Postern(run, GATEWAY % (far.port, dns) + more, name)


def send(postern, text, sender="a@signed.example", client=GOOD, helo="mx.signed.example", to="u@example.com"):
    """One message of a client whom a PROXY header names; by BDAT where its last line does not end."""
    first = f"PROXY TCP4 {client} 192.0.2.1 40000 25\r\n".encode()
    with Client(postern.port, first=first, timeout=60) as c:
        c.ehlo(helo)
        c.ask(f"MAIL FROM:<{sender}> BODY=8BITMIME", 250)
        r = c.ask(f"RCPT TO:<{to}>")
        if r.code == 250:
            r = c.text_by_data(text) if text.endswith(b"\r\n") else c.text_by_bdat(text)
        c.quit()
        return r


def told(run, far, postern, text, name, **how):
    """Sends it, and gives (what arrived, its verdicts)."""
    r = send(postern, text, to=f"{name}@example.com", **how)
    if not run.same(f"{name}: it is taken", r.code, 250):
        return b"", []
    entry = far.wait_for(f"{name}@example.com")
    arrived = far.text(entry) if entry else b""
    return arrived, verdicts(arrived)


def test_sender_python(run):
    """signed with python3-dkim, RSA and Ed25519, simple and relaxed, every awkward body: we find what is true"""
    need(run)
    rsa, ed = Key(run, "rsa"), Key(run, "ed", "ed25519")
    zone = zone_of(run, ("r", rsa), ("e", ed))
    far = FarEnd(run, keep=True)
    postern = gateway(run, far, zone.serve())
    n = 0
    for selector, key in (("r", rsa), ("e", ed)):
        for how in (b"simple/simple", b"relaxed/relaxed", b"relaxed/simple", b"simple/relaxed"):
            for what, body in BODIES.items():
                n += 1
                text = sign(letter(body, name=f"p{n}"), key, selector, how=how)
                _, found = told(run, far, postern, text, f"p{n}")
                good = [
                    p.get("header.s") == selector and p.get("header.a") == key.algorithm
                    for m, r, p in found or ()
                    if (m, r, p.get("header.d")) == ("dkim", "pass", "signed.example")
                ]
                run.same(f"{key.kind}, {how.decode()}, {what}: DKIM", (found, good)[len(good)], [True])
                run.same(f"{key.kind}, {how.decode()}, {what}: SPF", results(found, "spf")[:1], ["pass"])
                run.same(f"{key.kind}, {how.decode()}, {what}: DMARC", results(found, "dmarc"), ["pass"])
    run.same("Postern ends well", postern.stop(), 0)


def test_sender_opendkim(run):
    """a Postfix that signs with opendkim sends to a Postfix behind Postern: verdicts of what was delivered"""
    need(run, "root", "postfix", "opendkim")
    rsa, ed = Key(run, "rsa"), Key(run, "ed", "ed25519")
    zone = zone_of(run, ("r", rsa), ("e", ed))
    signers = []
    for i, (selector, key, how) in enumerate(
        (
            ("r", rsa, "simple/simple"),
            ("r", rsa, "relaxed/relaxed"),
            ("r", rsa, "simple/relaxed"),
            ("r", rsa, "relaxed/simple"),
            # What it signs by Ed25519 with simple headers does not hold for itself, either (2.11.0~beta2).
            ("e", ed, "relaxed/simple"),
            ("e", ed, "relaxed/relaxed"),
        )
    ):
        signers.append((selector, key, how, OpenDKIM.signer(run, f"signer{i}", key, selector, how), run.port()))
    far = FarEnd(run, keep=True)
    behind = Postfix(run, far.port)
    postern = Postern(run, "", start=False)
    postern.write(
        (GATEWAY % (behind.port, zone.serve()) + ALL)
        .replace("proxy-protocol from { 127.0.0.0/8 }", "")
        .replace(f":{behind.port}", f":{behind.port} xclient")
    )
    postern.start()
    lines = "".join(
        f"127.0.0.1:{port} inet n - n - - smtpd\n    -o smtpd_milters=inet:127.0.0.1:{s.port}\n"
        for _, _, _, s, port in signers
    )
    Postfix(run, postern.port, name="sender", main="mynetworks = 127.0.0.0/8\n", options=lines)
    for i, (selector, key, how, _, port) in enumerate(signers):
        with Client(port) as c:
            c.ehlo()
            for k, (what, body) in enumerate(BODIES.items()):
                c.mail([f"o{i}-{k}@example.com"], "a@signed.example", " BODY=8BITMIME")
                r = c.text_by_data(whole(letter(body, name=f"o{i}-{k}")))
                run.same(f"{key.kind}, {how}, {what}: taken", r.code, 250)
            c.quit()
    for i, (selector, key, how, _, _) in enumerate(signers):
        for k, what in enumerate(BODIES):
            entry = far.wait_for(f"o{i}-{k}@example.com", 30)
            if not run.ok(f"{key.kind}, {how}, {what}: delivered", entry, postern.log()):
                continue
            text = far.text(entry)
            run.same("it bears one signature", len(fields(text, "DKIM-Signature")), 1)
            found = verdicts(text)
            run.ok(
                f"{key.kind}, {how}, {what}: DKIM",
                ("pass", key.algorithm, selector) in [(r, p.get("header.a"), p.get("header.s")) for m, r, p in found if m == "dkim"],
                found,
            )
            run.same("SPF", results(found, "spf")[:1], ["pass"])
            run.same("DMARC", results(found, "dmarc"), ["pass"])
    run.same("Postern ends well", postern.stop(), 0)


def changed(text, old, new):
    assert old in text
    return text.replace(old, new, 1)


def bad_letters(keys):
    """(name, text, how it is sent, what must be found of dkim, spf, dmarc)"""
    rsa, ed, small = keys["r"], keys["e"], keys["small"]
    base = letter(b"hello\r\nsecond line\r\n")
    good = sign(base, rsa, "r")
    plain = {"sender": "a@plain.example"}
    yield "good", good, {}, ["pass"], "pass", "pass"
    yield "body", changed(good, b"second", b"third"), {}, ["fail"], "pass", "pass"
    yield "body-forged", changed(good, b"second", b"third"), {"client": OTHER}, ["fail"], "fail", "fail"
    yield "from", changed(good, b"<a@signed", b"<b@signed"), {"client": OTHER}, ["fail"], "fail", "fail"
    yield "redirected", good, {"client": OTHER}, ["pass"], "fail", "pass"
    yield "subject", changed(good, b"a folded", b"another"), {}, ["fail"], "pass", "pass"
    yield "other-key", sign(base, keys["stray"], "r"), {"client": OTHER}, ["fail"], "fail", "fail"
    yield "no-key", sign(base, rsa, "missing"), {"client": OTHER}, ["permerror"], "fail", "fail"
    yield "revoked", sign(base, rsa, "revoked"), {"client": OTHER}, ["permerror"], "fail", "fail"
    yield "both", sign(good, ed, "e"), {"client": OTHER}, ["pass", "pass"], "fail", "pass"
    yield "one-of-two", sign(changed(good, b"second", b"third"), ed, "e"), {"client": OTHER}, ["pass", "fail"], "fail", "pass"
    yield "unsigned", base, {}, ["none"], "pass", "pass"
    yield "unsigned-forged", base, {"client": OTHER}, ["none"], "fail", "fail"
    yield "stranger", base, dict(plain, client=GOOD), ["none"], "pass", "fail"
    yield "signed-by-another", sign(base, rsa, "p", "plain.example"), plain, ["pass"], "pass", "fail"
    yield "no-policy", letter(b"x\r\n", "a@plain.example"), dict(plain, client=OTHER), ["none"], "softfail", "none"
    yield "below", sign(letter(b"x\r\n", "a@below.signed.example"), rsa, "r"), {}, ["pass"], "pass", "pass"
    yield "strict", sign(letter(b"x\r\n", "a@below.strict.example"), rsa, "r", "strict.example"), {"client": OTHER}, ["pass"], "fail", "fail"
    yield "broken-record", letter(b"x\r\n", "a@broken.example"), {"sender": "a@broken.example"}, ["none"], "permerror", "none"
    yield "no-record", letter(b"x\r\n", "a@nothing.example"), {"sender": "a@nothing.example"}, ["none"], "none", "none"
    yield "bounce", letter(b"x\r\n", "a@signed.example"), {"sender": "", "helo": "signed.example"}, ["none"], "pass", "pass"
    # Never pass, whatever the word: a key that is too short.
    yield "short-key", sign(base, small, "small"), {"client": OTHER}, None, "fail", "fail"


def test_sender_verdicts(run):
    """good, broken, forged, redirected, revoked, aligned or not: the field that is delivered says so"""
    need(run)
    keys = {"r": Key(run, "rsa"), "e": Key(run, "ed", "ed25519"), "stray": Key(run, "stray"), "small": Key(run, "small", bits=768)}
    zone = zone_of(run, ("r", keys["r"]), ("e", keys["e"]), ("small", keys["small"]))
    zone.txt("revoked._domainkey.signed", "v=DKIM1; k=rsa; p=")
    zone.txt("p._domainkey.plain", keys["r"].record)
    zone.txt("plain", f"v=spf1 ip4:{GOOD} ~all")
    zone.txt("broken", "v=spf1 ip4:300.1.1.1 -all")
    zone.txt("r._domainkey.strict", keys["r"].record)
    zone.txt("_dmarc.strict", DMARC + "; adkim=s; aspf=s")
    zone.add("a.below.signed IN A 192.0.2.7\na.below.strict IN A 192.0.2.7")
    far = FarEnd(run, keep=True)
    postern = gateway(run, far, zone.serve())
    for name, text, how, in_dkim, in_spf, in_dmarc in bad_letters(keys):
        arrived, found = told(run, far, postern, text, name, **how)
        if in_dkim is None:
            run.ok(f"{name}: DKIM", results(found, "dkim") and "pass" not in results(found, "dkim"), found)
        else:
            run.same(f"{name}: DKIM", results(found, "dkim"), in_dkim)
        run.ok(f"{name}: SPF is {in_spf}", in_spf in results(found, "spf"), found)
        run.same(f"{name}: DMARC", results(found, "dmarc"), [in_dmarc])
        run.same(f"{name}: ARC", results(found, "arc"), ["none"])
        run.ok(f"{name}: the field is the first", arrived.lower().startswith(b"authentication-results:"), arrived[:400])
        run.ok(f"{name}: nothing else was changed", arrived.endswith(text), arrived[:1500])
    run.same("Postern ends well", postern.stop(), 0)


FORGED = (
    b"Authentication-Results: mx.example.com; dkim=pass header.d=forged.example\r\n",
    b"AUTHENTICATION-RESULTS: MX.Example.COM; dkim=pass header.d=forged.example\r\n",
    b"Authentication-Results:\r\n\tmx.example.com\r\n\t; dkim=pass header.d=forged.example\r\n",
    b"Authentication-Results: (a comment (nested)) mx.example.com (so) ; dkim=pass header.d=forged.example\r\n",
    b"Authentication-Results: \"mx.example.com\"; dkim=pass header.d=forged.example\r\n",
    b"Authentication-Results: mx.example.com 2; dkim=pass header.d=forged.example\r\n",
    b"Authentication-Results : mx.example.com; dkim=pass header.d=forged.example\r\n",
    b"Authentication-Results: mx.example.com; none\r\n",
)
HONEST = b"Authentication-Results: mx.elsewhere.example; spf=pass smtp.mailfrom=kept@elsewhere.example\r\n"


def test_sender_forged(run):
    """fields that bear our name and are not ours do not arrive, those of others do; from a trusted peer they do"""
    need(run)
    zone = zone_of(run)
    far = FarEnd(run, keep=True)
    dns = zone.serve()
    for name, more in (("with", ALL), ("without", "")):
        postern = gateway(run, far, dns, more, name)
        for i, field in enumerate(FORGED + (b"".join(FORGED) * 12,)):
            text = letter(b"x\r\n", more=field + HONEST + field)
            r = send(postern, text, to=f"{name}{i}@example.com")
            run.same(f"{name}, {i}: it is taken", r.code, 250)
            arrived = far.text(far.wait_for(f"{name}{i}@example.com"))
            run.ok(f"{name}, {i}: the forged ones are gone", b"forged.example" not in arrived, arrived[:2000])
            n = len(re.findall(rb"(?i)mx\.example\.com", arrived))
            run.same(f"{name}, {i}: nothing else bears the name", n, 1 if more else 0)
            run.ok(f"{name}, {i}: the other's is there", HONEST in arrived, arrived[:2000])
            run.ok(f"{name}, {i}: and all the rest", arrived.endswith(letter(b"x\r\n")), arrived)
        run.same("Postern ends well", postern.stop(), 0)
    postern = gateway(run, far, dns, "authenticate spf trust { %s }\n" % GOOD, "trusting")
    for client, kept in ((GOOD, 1), (OTHER, 0)):
        send(postern, letter(b"x\r\n", more=FORGED[0]), client=client, to=f"kept{kept}@example.com")
        arrived = far.text(far.wait_for(f"kept{kept}@example.com"))
        run.same("from a peer that is trusted it stays", arrived.count(b"forged.example"), kept)
    run.same("Postern ends well", postern.stop(), 0)


def test_sender_hidden_but_signed(run):
    """a forged field under a signature is hidden, and the signature holds all the same"""
    need(run)
    key = Key(run, "rsa")
    far = FarEnd(run, keep=True)
    postern = gateway(run, far, zone_of(run, ("r", key)).serve())
    text = letter(b"x\r\n", more=FORGED[0])
    text = sign(text, key, "r", include_headers=[b"From", b"Authentication-Results", b"Subject"])
    arrived, found = told(run, far, postern, text, "under", client=OTHER)
    run.same("it holds", results(found, "dkim"), ["pass"])
    run.ok("and is hidden", b"forged.example" not in arrived, arrived)


def test_sender_trouble(run):
    """a DNS that is silent or says SERVFAIL: temperror, never fail; what can be known is known"""
    need(run)
    key = Key(run, "rsa")
    stub_port = udp_port(run)
    stub(run, stub_port)
    zone = zone_of(run, ("r", key))
    zone.txt("leans", "v=spf1 include:fail.trouble.example -all")
    zone.txt("waits", "v=spf1 include:dead.trouble.example -all")
    far = FarEnd(run, keep=True)
    checks = "check refused { when spf is fail or dmarc is fail  reject 550 5.7.23 \"fail\" }\n"
    postern = gateway(run, far, zone.serve(stub_port), ALL + checks)
    good = sign(letter(b"x\r\n"), key, "r")
    for name, domain, spf_is, dmarc_is in (
        ("servfail", "fail.trouble.example", "temperror", "temperror"),
        ("silent", "dead.trouble.example", "temperror", "temperror"),
        ("leans", "leans.example", "temperror", "none"),
        ("waits", "waits.example", "temperror", "none"),
    ):
        begun = time.monotonic()
        text = letter(b"x\r\n", f"a@{domain}")
        _, found = told(run, far, postern, text, name, sender=f"a@{domain}")
        run.ok(f"{name}: it took no longer than DNS may", time.monotonic() - begun < 25, time.monotonic() - begun)
        run.ok(f"{name}: SPF", spf_is in results(found, "spf") and "fail" not in results(found, "spf"), found)
        run.same(f"{name}: DMARC", results(found, "dmarc"), [dmarc_is])
        text = sign(text, key, "r", domain)
        _, found = told(run, far, postern, text, name + "-signed", sender=f"a@{domain}")
        word = "temperror" if "trouble" in domain else "permerror"
        run.same(f"{name}: DKIM", results(found, "dkim"), [word])
        # Another's signature, which can be looked at, stands beside it.
        text = sign(text, key, "r")
        _, found = told(run, far, postern, text, name + "-both", sender=f"a@{domain}")
        run.same(f"{name}: two signatures", sorted(results(found, "dkim")), ["pass", word])
    _, found = told(run, far, postern, good, "good")
    run.same("and what is good is good", [results(found, m)[0] for m in ("spf", "dkim", "dmarc")], ["pass"] * 3)
    run.same("Postern ends well", postern.stop(), 0)


def sealed(text, key, selector, domain, found=b""):
    """One more ARC set, by python3-dkim, of a hop that says it found `found'."""
    text = b"Authentication-Results: " + domain.encode() + b"; " + (found or b"none") + b"\r\n" + text
    made = dkim.arc_sign(text, selector.encode(), domain.encode(), key.private, domain.encode())
    return b"".join(made) + text


def test_sender_arc(run):
    """chains that python3-dkim has sealed: whole, broken, forged"""
    need(run)
    key = Key(run, "rsa")
    zone = zone_of(run, ("r", key))
    for name in ("one", "two", "three"):
        zone.txt(f"s._domainkey.{name}", key.record)
    far = FarEnd(run, keep=True)
    postern = gateway(run, far, zone.serve())
    text = sign(letter(b"hello\r\nsecond\r\n"), key, "r")
    one = sealed(text, key, "s", "one.example", b"dkim=pass header.d=signed.example")
    two = sealed(one, key, "s", "two.example", b"arc=pass; dkim=pass header.d=signed.example")
    three = sealed(two, key, "s", "three.example", b"arc=pass; dkim=pass header.d=signed.example")
    run.same("python3-dkim takes it itself", dkim.arc_verify(three, dnsfunc=zone.ask)[0], b"pass")
    for name, text, word in (
        ("bare", text, "none"),
        ("single", one, "pass"),
        ("twofold", two, "pass"),
        ("threefold", three, "pass"),
        ("body", changed(three, b"second", b"third"), "fail"),
        ("gap", re.sub(rb"(?m)^ARC-[A-Za-z-]+: *i=2;.*\r\n(?:[ \t].*\r\n)*", b"", three), "fail"),
        ("half", re.sub(rb"(?m)^ARC-Seal: *i=3;.*\r\n(?:[ \t].*\r\n)*", b"", three), "fail"),
        ("results", changed(three, b"three.example; arc=pass", b"three.example; arc=none"), "fail"),
    ):
        _, found = told(run, far, postern, text, name, client=OTHER)
        run.same(f"{name}: ARC", results(found, "arc"), [word])
    run.same("Postern ends well", postern.stop(), 0)


def keygen(run, domain, selector, kind):
    """contrib/postern-keygen: (path of the key, the TXT record that it prints)."""
    tool, path = os.path.join(SOURCE, "contrib", "postern-keygen"), run.path(f"{domain}.{selector}.pem")
    status, out = run.command([tool, *(["--ed25519"] if kind == "ed25519" else []), domain, selector, path])
    run.same(f"postern-keygen for {selector}", (status, out)[status != 0], 0)
    record = re.search(r"TXT\s*\(?((?:\s*\"[^\"]*\")+)", out)
    return path, "".join(re.findall(r'"([^"]*)"', record.group(1)))


def our_keys(run):
    """An RSA and an Ed25519 key that contrib/postern-keygen has made, with the records that it printed."""
    keys = []
    for selector, kind in (("r", "rsa"), ("e", "ed25519")):
        path, record = keygen(run, "signed.example", selector, kind)
        key = Key.__new__(Key)
        key.kind = kind
        key.load(path)
        run.same(f"the record of {kind} holds its key", re.findall("p=(.*)$", record), re.findall("p=(.*)$", key.record))
        key.record = record
        keys.append((selector, key))
    return keys


def signing(keys, more=""):
    return "domains mine { signed.example }\n" + "".join(
        f'sign mine selector {s} key "{k.path}"{more}\n' for s, k in keys
    )


def test_sender_signs(run):
    """what we sign, by RSA and Ed25519 at once, holds for python3-dkim, for opendkim and for another Postern"""
    need(run, "opendkim")
    keys = our_keys(run)
    zone = zone_of(run, *keys)
    far, end = FarEnd(run, "far", keep=True), FarEnd(run, "end", keep=True)
    dns = zone.serve()
    looking = gateway(run, end, dns, ALL, "looking")
    for form in ("relaxed/relaxed", "simple/simple", "simple/relaxed", "relaxed/simple"):
        more = signing(keys) + f"dkim {{ canonicalization {form} }}\n"
        postern = gateway(run, far, dns, more, form.replace("/", "-"))
        for i, (what, body) in enumerate(BODIES.items()):
            signs_one(run, form, what, letter(body, name=f"s{i}"), f"s{i}.{form.replace('/', '-')}", zone, far, end, postern, looking)
        if form == "relaxed/relaxed":
            run.same("a stranger is not signed", sign_of(run, far, postern, "a@other.example"), 0)
            run.same("ours is", sign_of(run, far, postern, "a@signed.example"), 2)
            run.same("what is below ours is not", sign_of(run, far, postern, "a@b.signed.example"), 0)
        run.same("Postern ends well", postern.stop(), 0)
    run.same("Postern ends well", looking.stop(), 0)


def signs_one(run, form, what, text, name, zone, far, end, postern, looking):
    """One letter through the Postern that signs, and what three others say of it."""
    what = f"{form}, {what}"
    run.same(f"{what}: it is taken", send(postern, text, to=f"{name}@example.com").code, 250)
    entry = far.wait_for(f"{name}@example.com")
    if not run.ok(f"{what}: it arrives", entry, postern.log()):
        return
    arrived = far.text(entry)
    run.ok(f"{what}: the message itself is as it was", arrived.endswith(whole(text)))
    marks = fields(arrived, "DKIM-Signature")
    run.same(f"{what}: two signatures", len(marks), 2)
    for n, mark in enumerate(marks):
        run.ok(f"{what}: in that form", f"c={form};".encode() in mark, mark)
        run.ok(f"{what}: python3-dkim takes signature {n}", holds(arrived, n, zone), arrived[:3000])
        # "opendkim -t" drops the blanks in front of values, which simple headers do not forgive.
        if form.startswith("relaxed"):
            said = opendkim_says(run, zone, alone(arrived, n))
            run.ok(f"{what}: opendkim takes signature {n}", "succeeded" in said, said + mark.decode())
    _, found = told(run, end, looking, arrived, name, client=OTHER)
    run.same(f"{what}: another Postern does", results(found, "dkim"), ["pass", "pass"])
    for old, new in ((b"X-Letter", b"From: <b@other.example>\r\nX-Letter"), (b"\r\n\r\n", b"\r\n\r\nmore ")):
        bad = arrived.replace(old, new, 1)
        for n in range(2):
            run.ok(f"{what}: what was changed does not hold", not holds(bad, n, zone))


def holds(text, n, zone):
    try:
        return dkim.DKIM(text).verify(n, dnsfunc=zone.ask)
    except dkim.DKIMException:
        return False


def sign_of(run, far, postern, sender):
    """How many signatures a message from that address gets."""
    to = sender.replace("@", ".") + "@example.com"
    run.same(f"{sender}: it is taken", send(postern, letter(b"x\r\n", sender), to=to).code, 250)
    return len(fields(far.text(far.wait_for(to)), "DKIM-Signature"))


def test_sender_signs_into_postfix(run):
    """Postfix behind us verifies with opendkim as its milter what we have signed"""
    need(run, "root", "postfix", "opendkim")
    keys = our_keys(run)
    zone = zone_of(run, *keys)
    milter = OpenDKIM.verifier(run, "verifier", zone)
    far = FarEnd(run, keep=True)
    postfix = Postfix(
        run, far.port, options=f"    -o smtpd_milters=inet:127.0.0.1:{milter.port}\n", main="mynetworks = 127.0.0.0/8\n"
    )
    dns = zone.serve()
    for form in ("relaxed/relaxed", "simple/simple"):
        signs_into(run, form, postfix, far, GATEWAY % (postfix.port, dns) + ALL + signing(keys, ' when client is "%s"' % GOOD))


def signs_into(run, form, postfix, far, text):
    """Letters through a Postern that signs in that form, and what the opendkim of that Postfix says."""
    postern = Postern(run, "", start=False)
    tag = form[0]
    text += f"dkim {{ canonicalization {form} }}\n"
    postern.write(text.replace(f":{postfix.port}", f":{postfix.port} xclient"))
    postern.start()
    for i, (what, body) in enumerate(BODIES.items()):
        what = f"{form}, {what}"
        r = send(postern, letter(body), to=f"{tag}v{i}@example.com")
        run.same(f"{what}: it is taken", r.code, 250)
        arrived = far.text(far.wait_for(f"{tag}v{i}@example.com"))
        run.ok(f"{what}: opendkim says so", "pass" in results(verdicts(arrived, "odkim.example"), "dkim"), arrived[:2500])
        run.same(f"{what}: and what we found is there", results(verdicts(arrived), "dkim"), ["none"])
        run.same(f"{what}: SPF by the PROXY header", results(verdicts(arrived), "spf")[:1], ["pass"])
    send(postern, letter(b"x\r\n"), to=f"{tag}not@example.com", client=OTHER)
    arrived = far.text(far.wait_for(f"{tag}not@example.com"))
    run.same("another client's message is not signed", len(fields(arrived, "DKIM-Signature")), 0)
    run.ok("and SPF says that it may not", "fail" in results(verdicts(arrived), "spf"), arrived)
    run.same("Postern ends well", postern.stop(), 0)


def test_sender_seals(run):
    """what we seal holds for python3-dkim and another Postern, as the first set and on top of others"""
    need(run)
    key, (ours, *_) = Key(run, "other"), our_keys(run)
    selector, mine = ours
    zone = zone_of(run, ours, ("o", key))
    zone.txt("s._domainkey.one", key.record)
    zone.txt(f"{selector}._domainkey.gate", mine.record)
    far, end = FarEnd(run, "far", keep=True), FarEnd(run, "end", keep=True)
    dns = zone.serve()
    more = ALL + f'seal gate.example selector {selector} key "{mine.path}"\n'
    postern = gateway(run, far, dns, more, "sealing")
    looking = gateway(run, end, dns, ALL, "looking")
    for i, (what, body) in enumerate(BODIES.items()):
        text = sign(letter(body, name=f"a{i}"), key, "o")
        if i % 2:
            text = sealed(text, key, "s", "one.example", b"dkim=pass header.d=signed.example")
        run.same(f"{what}: it is taken", send(postern, text, to=f"a{i}@example.com").code, 250)
        arrived = far.text(far.wait_for(f"a{i}@example.com"))
        cv, sets, _ = dkim.arc_verify(arrived, dnsfunc=zone.ask)
        run.same(f"{what}: python3-dkim takes the chain", cv, b"pass")
        run.same(f"{what}: of so many sets", len(sets), 1 + i % 2)
        seal = next(iter(fields(arrived, "ARC-Seal")), b"")
        run.ok(f"{what}: the first is ours", b"d=gate.example" in seal, arrived[:2000])
        run.ok(
            f"{what}: and tells what we found",
            re.search(rb"dkim=pass.*header\.d=signed\.example", next(iter(fields(arrived, "ARC-Authentication-Results")), b"")),
            arrived[:2000],
        )
        _, found = told(run, end, looking, arrived, f"a{i}", client=OTHER)
        run.same(f"{what}: another Postern takes it", results(found, "arc"), ["pass"])
        _, found = told(run, end, looking, arrived + b"more\r\n", f"b{i}", client=OTHER)
        run.same(f"{what}: but not if it was changed", results(found, "arc"), ["fail"])
    broken = changed(sealed(letter(b"x\r\n"), key, "s", "one.example"), b"a folded", b"another")
    run.same("a broken chain is taken", send(postern, broken, to="broken@example.com").code, 250)
    arrived = far.text(far.wait_for("broken@example.com"))
    run.ok("and sealed as broken", b"cv=fail" in fields(arrived, "ARC-Seal")[0], arrived[:2000])
    _, found = told(run, end, looking, arrived, "broken")
    run.same("which stays so", results(found, "arc"), ["fail"])
    for p in (postern, looking):
        run.same("Postern ends well", p.stop(), 0)


def test_sender_page(run):
    """doc/sender: its files, with other ports and folders, do what it says"""
    need(run)
    keys = our_keys(run)
    zone = zone_of(run, *keys)
    zone.txt(f"{keys[0][0]}._domainkey.example", keys[0][1].record)
    dns = zone.serve()
    far = FarEnd(run, keep=True)
    for name in sorted(os.listdir(os.path.join(SOURCE, "doc", "sender.d"))):
        with open(os.path.join(SOURCE, "doc", "sender.d", name), encoding="utf-8") as f:
            text = f.read()
        postern = Postern(run, "", name[:-5], start=False)
        text = re.sub(r"(?m)^listen +\S+", "listen 127.0.0.1:@PORT@", text, count=1)
        text = re.sub(r"(?m)^upstream .*", f"upstream 127.0.0.1:{far.port}", text)
        text = re.sub(r"(?m)^(user|tls) .*", "", text)
        text = re.sub(r'"/etc/postern/dkim/[^"]*\.e2026\.pem"', f'"{keys[1][1].path}"', text)
        text = re.sub(r'"/etc/postern/dkim/[^"]*"', f'"{keys[0][1].path}"', text)
        postern.write(text + f"resolver 127.0.0.1:{dns}\n")
        status, out = run.command([PROGRAM, "check", postern.file])
        if not run.same(f"{name}: check", (status, out)[status != 0], 0):
            continue
        postern.start()
        with Client(postern.port) as c:
            c.ehlo()
            c.mail([f"{name}@example.com"], "a@example.com")
            r = c.text_by_data(letter(b"x\r\n", "a@example.com"))
            c.quit()
        run.same(f"{name}: a message is taken", r.code, 250)
        arrived = far.text(far.wait_for(f"{name}@example.com"))
        run.same(
            f"{name}: fields that tell, sign, seal",
            [len(fields(arrived, x)) for x in ("Authentication-Results", "DKIM-Signature", "ARC-Seal")],
            {"mx.conf": [1, 0, 0], "outbound.conf": [0, 2, 0], "seal.conf": [1, 0, 1]}.get(name),
        )
        run.same("Postern ends well", postern.stop(), 0)
