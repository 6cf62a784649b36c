"""AUTH through Postern into Postfix, whose SASL is Dovecot's: each mechanism, failures, what the log says."""
import os

import sasl
from client import Client, context
from harness import find
from servers import Dovecot, FarEnd, Postern, Postfix, tls_files

USER, PASSWORD = "user@example.com", "correct-horse"
SASL = """smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {path}
smtpd_sasl_security_options = noanonymous
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
mynetworks =
"""
CONF = """hostname mx.example.com
listen 127.0.0.1:@PORT@ name submission
listen 127.0.0.1:{required} tls require-auth name smtps
upstream 127.0.0.1:{postfix}{how}
workers 2
drain 20s
{tls}
domains ours {{ example.com }}
limits {{ auth-delay 0s  auth-failures 4 }}
relay {{
    allow authenticated over tls
    allow to ours
}}
"""


def set_up(run, how=" xclient"):
    """Dovecot, Postfix that asks it, Postern before them, and the port where AUTH must come first."""
    run.need("openssl")
    dovecot = Dovecot(run, {USER: PASSWORD})
    far = FarEnd(run, keep=True)
    postfix = Postfix(run, far.port, main=SASL.format(path="private/auth"))
    # smtpd may be in a chroot: Dovecot's socket is linked into what Postfix calls private.
    os.link(dovecot.auth, os.path.join(postfix.dir, "spool", "private", "auth"))
    crt, key = tls_files(run, "mx", "mx.example.com")
    required = run.port()
    conf = CONF.format(
        required=required,
        postfix=postfix.port,
        how=how,
        tls=f'tls certificate "{crt}" key "{key}"',
    )
    return far, postfix, Postern(run, conf), required


def swaks(run, port, mechanism, password=PASSWORD, to="out@foreign.example", tls="--tls"):
    return run.command(
        [find("swaks"), "--server", f"127.0.0.1:{port}", tls, "--auth", mechanism]
        + ["--auth-user", USER, "--auth-password", password, "--from", USER, "--to", to]
        + ["--helo", "client.example", "--header", "X-Letter: " + mechanism],
        40,
    )


def test_swaks_auth(run):
    """swaks: PLAIN, LOGIN and CRAM-MD5 through Postern into Postfix with Dovecot's SASL"""
    run.need("swaks")
    far, postfix, postern, required = set_up(run)
    for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5"):
        status, out = swaks(run, postern.port, mechanism)
        run.ok(f"{mechanism}: an outsider relays once he has authenticated", status == 0, out)
        run.has(f"{mechanism}: the words are the server's", out, "235 2.7.0 Authentication successful")
        run.ok(
            f"{mechanism}: Postfix knows who it was",
            postfix.wait_log(rf"client=\S+\[127\.0\.0\.1\], sasl_method={mechanism}, sasl_username={USER}"),
            postfix.log(),
        )
        run.ok(
            f"{mechanism}: so does Postern's log",
            postern.wait_log(" auth ", f"user={USER}", f"mechanism={mechanism}"),
            postern.log(),
        )
        run.ok(f"{mechanism}: it arrives", far.wait(lambda e, m=mechanism: e["letter"] == m))
    status, out = swaks(run, required, "PLAIN", tls="--tls-on-connect")
    run.ok("implicit TLS, require-auth", status == 0, out)
    status, out = swaks(run, postern.port, "PLAIN", password="wrong-secret")
    run.ok("a wrong password is refused", status == 28 and "535 5.7.8" in out, (status, out))
    run.ok("and logged", postern.wait_log(" auth-failed "), postern.log())
    log = postern.log() + postfix.log()
    for secret in (PASSWORD, "wrong-secret", sasl.plain(USER, PASSWORD), sasl.b64(PASSWORD.encode())):
        run.ok("no secret is in any log", secret not in log)
    run.same("Postern ends well", postern.stop(), 0)


def scram(c, user, password, name):
    """The whole exchange; gives the reply that ends it."""
    s = sasl.Scram(user, password, name)
    word = {"sha1": "SCRAM-SHA-1", "sha256": "SCRAM-SHA-256"}[name]
    r = c.ask(f"AUTH {word} {s.first()}")
    if r.code == 334:
        r = c.ask(s.final(r.text))
    if r.code == 334:
        if not s.verify(r.text):
            return None
        r = c.ask("")
    return r


def test_scram(run):
    """SCRAM-SHA-1 and SCRAM-SHA-256: nobody between the ends may change a thing, and nobody does"""
    far, postfix, postern, required = set_up(run)
    for name in ("sha1", "sha256"):
        with Client(postern.port) as c:
            c.ehlo()
            run.ok("without TLS plain mechanisms are not offered", "PLAIN" not in c.words.get("AUTH", ""))
            c.starttls()
            c.ehlo()
            run.ok("nor is channel binding", "PLUS" not in c.words["AUTH"], c.words)
            r = scram(c, USER, PASSWORD, name)
            run.ok(f"{name}: authenticated", r is not None and r.code == 235, r)
            run.same(f"{name}: once is enough", c.ask("AUTH PLAIN " + sasl.plain("x", "y")).code, 503)
            for k in range(3):
                c.mail([f"{name}-{k}@foreign.example"], sender=USER)
                run.same(f"{name}: a message", c.text_by_data(b"X-Letter: s\r\n\r\n").code, 250)
            c.quit()
        run.ok(f"{name}: all arrive", far.wait_for(f"{name}-2@"))
    with Client(postern.port) as c:
        c.ehlo()
        c.starttls()
        c.ehlo()
        r = scram(c, USER, "not-it", "sha256")
        run.ok("a wrong password", r is not None and r.code == 535, r)
        run.same("is nobody", c.ask("MAIL FROM:<a@client.example>").code, 250)
        run.same("who may not relay", c.ask("RCPT TO:<x@foreign.example>").code, 550)
    with Client(required, tls=context()) as c:
        c.ehlo()
        run.same("require-auth", c.ask("MAIL FROM:<a@client.example>").code, 530)
    run.ok("Postfix has the method", postfix.wait_log("sasl_method=SCRAM-SHA-256"), postfix.log())


def test_auth_failures(run):
    """guessing: the fifth failure of an address ends its session, and its next one begins no better"""
    _, _, postern, _ = set_up(run, how="")
    heard = []
    try:
        with Client(postern.port, source="127.0.0.9") as c:
            c.ehlo()
            c.starttls()
            c.ehlo()
            for i in range(6):
                heard.append(c.ask("AUTH PLAIN " + sasl.plain(USER, f"guess{i}")).code)
    except Exception as e:  # pylint: disable=broad-except
        heard.append(type(e).__name__)
    run.ok("it is shown out", heard[:4] == [535] * 4 and heard[4] in (421, 535) and 421 in heard, heard)
    with Client(postern.port, source="127.0.0.9") as c:
        c.ehlo()
        c.starttls()
        c.ehlo()
        run.same(
            "and a second session of it hears the same",
            c.ask("AUTH PLAIN " + sasl.plain(USER, PASSWORD)).code,
            421,
        )
    with Client(postern.port, source="127.0.0.10") as c:
        c.ehlo()
        c.starttls()
        c.ehlo()
        run.same("others are served", c.ask("AUTH PLAIN " + sasl.plain(USER, PASSWORD)).code, 235)
    run.ok("all of it is logged", postern.wait_log(" session ", "client=127.0.0.10"), postern.log())
    run.ok("no secret is logged", "guess" not in postern.log())
