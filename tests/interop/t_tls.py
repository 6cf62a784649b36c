"""TLS as clients speak it: openssl, Python, STARTTLS and implicit, versions, a new certificate."""
import signal
import ssl

from client import Client, Lost, context
from harness import find, until
from servers import FarEnd, Postern, pool_of, tls_files


def set_up(run, more=""):
    crt, key = tls_files(run, "mx", "first.example.com")
    far = FarEnd(run)
    implicit, required = run.port(), run.port()
    postern = Postern(
        run,
        pool_of(
            f"upstream 127.0.0.1:{far.port}\ntls certificate \"{crt}\" key \"{key}\"\n"
            f"listen 127.0.0.1:{implicit} tls\nlisten 127.0.0.1:{required} require-tls\n{more}"
        ),
    )
    return far, postern, implicit, required


def s_client(run, port, *more, stdin=b"QUIT\r\n"):
    return run.command(
        [
            find("openssl"),
            "s_client",
            "-connect",
            f"127.0.0.1:{port}",
            "-crlf",
            "-quiet",
            "-ign_eof",
            *more,
        ],
        20,
        stdin,
    )


def peer_name(port, tls=None, starttls=False):
    """The common name of the certificate that is served."""
    with Client(port, tls=None if starttls else (tls or context())) as c:
        if starttls:
            c.ehlo()
            c.starttls(tls)
        der = c.sock.getpeercert(binary_form=True)
    return next((n for n in ("first.example.com", "second.example.com") if n.encode() in der), "?")


def test_versions(run):
    """openssl s_client: TLS 1.2 and 1.3, STARTTLS and implicit; nothing older"""
    run.need("openssl")
    _, postern, implicit, _ = set_up(run)
    for version in ("-tls1_2", "-tls1_3"):
        for port, more in ((implicit, ()), (postern.port, ("-starttls", "smtp"))):
            _, out = s_client(run, port, version, *more, stdin=b"EHLO client.example\nQUIT\n")
            run.ok(f"{version} {' '.join(more) or 'implicit'}", "221 " in out and "250" in out, out)
    for version in ("-tls1_1", "-tls1"):
        _, out = s_client(run, implicit, version, "-cipher", "ALL:@SECLEVEL=0")
        run.ok(f"{version} is refused", "221 " not in out and "220 " not in out, out)
    run.ok("plain text on the implicit port is no session", not greeted_plain(implicit))
    postern.wait_log(" session ", "tls=", n=4)
    run.ok(
        "the log has both versions",
        postern.lines(" session ", "TLSv1.2") and postern.lines(" session ", "TLSv1.3"),
        postern.log(),
    )


def greeted_plain(port):
    try:
        with Client(port, greet=False, timeout=5) as c:
            c.send(b"EHLO client.example\r\n")
            return c.line().startswith("2")
    except (Lost, OSError):
        return False


def test_starttls(run):
    """STARTTLS: not offered twice, forgets what was said, and takes no plain text behind it"""
    far, postern, _, required = set_up(run)
    with Client(postern.port) as c:
        c.ehlo("plain.client.example")
        run.ok("it is offered", "STARTTLS" in c.words, c.words)
        c.ask("MAIL FROM:<before@client.example>", 250)
        r = c.ask("STARTTLS")
        if r.code == 503:
            c.ask("RSET", 250)
            c.starttls()
        else:
            run.same("STARTTLS inside a transaction", r.code, 220)
            c.sock = context().wrap_socket(c.sock)
        run.same("what was said before is forgotten", c.ask("RCPT TO:<u@example.com>").code, 503)
        run.ok("MAIL without EHLO again", c.ask("MAIL FROM:<a@client.example>").code in (250, 503))
        c.ehlo("tls.client.example")
        run.ok("it is not offered again", "STARTTLS" not in c.words, c.words)
        run.same("nor taken", c.ask("STARTTLS").code, 503)
        c.mail(["tls@example.com"])
        run.same(
            "a message",
            c.text_by_data(b"X-Letter: tls\r\n\r\n" + b"x" * 70 * 1000 + b"\r\n").code,
            250,
        )
        c.mail(["tls2@example.com"])
        run.same(
            "a message by BDAT",
            c.text_by_bdat(b"X-Letter: tls\r\n\r\n" + b"y" * 3000000 + b"\r\n").code,
            250,
        )
    for to, n in (("tls@", 70017), ("tls2@", 3000017)):
        e = far.wait_for(to)
        run.ok("it is there as it was sent", e and e["n"] == n + 2, e)
    with Client(postern.port) as c:
        c.ehlo()
        c.send(
            b"STARTTLS\r\nMAIL FROM:<injected@client.example>\r\nRCPT TO:<injected@example.com>\r\n"
        )
        heard = b""
        try:
            while True:
                heard += c.line().encode() + b"\n"
        except (Lost, OSError):
            pass
        run.ok("plain text behind STARTTLS ends the session", b"250 " not in heard, heard)
    run.ok(
        "and is logged",
        until(lambda: "STARTTLS" in postern.log() or "plain" in postern.log(), 5),
        postern.log(),
    )
    with Client(required) as c:
        c.ehlo()
        run.same("require-tls: MAIL", c.ask("MAIL FROM:<a@client.example>").code, 530)
        run.same("require-tls: NOOP", c.ask("NOOP").code, 250)
        c.starttls()
        c.ehlo()
        c.mail(["req@example.com"])
        run.same("require-tls: with TLS", c.text_by_data(b"\r\n").code, 250)


def test_new_certificate(run):
    """a certificate that was replaced is served after SIGHUP; sessions that are open go on"""
    _, postern, implicit, _ = set_up(run)
    run.same("the first", peer_name(implicit), "first.example.com")
    run.same("the first, by STARTTLS", peer_name(postern.port, starttls=True), "first.example.com")
    open_one = Client(implicit, tls=context())
    open_one.ehlo()
    open_one.ask("MAIL FROM:<a@client.example>", 250)
    tls_files(run, "mx", "second.example.com")
    run.same("until the reload it is the old one", peer_name(implicit), "first.example.com")
    run.ok("it is loaded again", postern.reload())
    run.ok("the second", until(lambda: peer_name(implicit) == "second.example.com", 5))
    run.same(
        "the second, by STARTTLS", peer_name(postern.port, starttls=True), "second.example.com"
    )
    open_one.ask("RCPT TO:<u@example.com>", 250)
    run.same(
        "the open session ends its message",
        open_one.text_by_data(b"X-Letter: open\r\n\r\n").code,
        250,
    )
    open_one.close()
    with open(run.path("mx.pem"), "w", encoding="utf-8") as f:
        f.write("this is no key\n")
    postern.signal(signal.SIGHUP)
    run.ok("a broken key is told", postern.wait_log("old configuration stays"))
    run.same("and the last good one is served on", peer_name(implicit), "second.example.com")
    run.same("Postern ends well", postern.stop(), 0)


def test_tls_minimum(run):
    """tls minimum 1.3 refuses 1.2"""
    _, _, implicit, _ = set_up(run, "tls minimum 1.3\n")
    run.same(
        "1.3", peer_name(implicit, context(minimum=ssl.TLSVersion.TLSv1_3)), "first.example.com"
    )
    try:
        peer_name(implicit, context(maximum=ssl.TLSVersion.TLSv1_2))
        run.ok("1.2 is refused", False)
    except (ssl.SSLError, Lost, OSError) as e:
        run.ok("1.2 is refused", True, e)


def two_names(run, more=""):
    """A listener with implicit TLS and one with STARTTLS, two certificates, one of them by its server-name."""
    first = tls_files(run, "first", "first.example.com")
    second = tls_files(run, "second", "second.example.com")
    far = FarEnd(run)
    implicit, other = run.port(), run.port()
    postern = Postern(
        run,
        pool_of(
            f"upstream 127.0.0.1:{far.port}\n"
            + "".join(
                f'tls certificate "{crt}" key "{key}" server-name {name}\n'
                for (crt, key), name in ((first, "first.example.com"), (second, "second.example.com"))
            )
            + f"listen 127.0.0.1:{implicit} tls\nlisten 127.0.0.1:{other} tls\n{more}"
        ),
    )
    return far, postern, implicit, other


def shown(run, port, *more):
    """What openssl s_client says of the certificate and the session."""
    _, out = run.command(
        [find("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-crlf", "-ign_eof", *more],
        20,
        b"QUIT\n",
    )
    return out


def test_sni(run):
    """openssl s_client: the certificate is that of the name asked for, the first one otherwise"""
    run.need("openssl")
    _, postern, implicit, _ = two_names(run)
    for version in ("-tls1_2", "-tls1_3"):
        for asked, served in (
            ("second.example.com", "second"),
            ("SECOND.example.com", "second"),
            ("first.example.com", "first"),
            ("other.example.com", "first"),
        ):
            for port, more in ((implicit, ()), (postern.port, ("-starttls", "smtp"))):
                out = shown(run, port, version, "-servername", asked, *more)
                run.has(f"{version} {asked}", out, f"subject=CN = {served}.example.com")
        out = shown(run, implicit, version, "-noservername")
        run.has(f"{version} without a name", out, "subject=CN = first.example.com")


def test_resumption(run):
    """a ticket resumes: at every worker, after a reload; not at another listener, nor for another name"""
    run.need("openssl")
    _, postern, implicit, other = two_names(run)
    name = ("-servername", "second.example.com")
    for version in ("-tls1_2", "-tls1_3"):
        kept = run.path("session" + version)
        out = shown(run, implicit, version, *name, "-sess_out", kept)
        run.has(f"{version}: the first is new", out, "New, TLSv1")
        for i in range(6):
            out = shown(run, implicit, version, *name, "-sess_in", kept)
            run.has(f"{version}: resumed, whichever worker it is ({i})", out, "Reused, TLSv1")
        out = shown(run, other, version, *name, "-sess_in", kept)
        run.has(f"{version}: another listener does not take it", out, "New, TLSv1")
        out = shown(run, implicit, version, "-servername", "first.example.com", "-sess_in", kept)
        run.has(f"{version}: nor is it good for another name", out, "New, TLSv1")
        run.ok(f"{version}: a reload", postern.reload())
        out = shown(run, implicit, version, *name, "-sess_in", kept)
        run.has(f"{version}: resumed after it", out, "Reused, TLSv1")


def test_renegotiation(run):
    """a client that asks to renegotiate is refused, and the others are served on"""
    run.need("openssl")
    _, postern, implicit, _ = two_names(run)
    # It stumbles over a greeting that comes in the middle, and leaves at the end of its input: so both wait.
    _, out = run.command(
        [
            "sh",
            "-c",
            "(sleep 1; printf 'R\\nEHLO renegotiated.example\\nQUIT\\n'; sleep 3) |"
            f" {find('openssl')} s_client -connect 127.0.0.1:{implicit} -tls1_2",
        ],
        20,
    )
    run.has("it was asked for", out, "RENEGOTIATING")
    run.ok("and refused", "no renegotiation" in out or "alert number 100" in out, out)
    run.ok("what came behind it was not served", "renegotiated.example" not in postern.log())
    run.same("others are served", peer_name(implicit), "first.example.com")


def test_client_certificate(run):
    """a client's certificate is a fact: one of ours may relay, strangers are served as everybody"""
    run.need("openssl")
    crt, key = tls_files(run, "client", "mail.friend.example")
    odd, odd_key = tls_files(run, "odd", "mail.stranger.example")
    rule = (
        "relay { allow when tls.client-cert is \"CN=mail.friend.example\"  allow to ours }\n"
    )
    far, postern, implicit, _ = two_names(run)
    postern.write(
        read_conf(postern).replace("relay { allow to ours }", rule)
        + f'tls client-ca "{crt}"\n'
    )
    run.ok("a reload", postern.reload())

    def relays(pair):
        with Client(implicit, tls=with_certificate(pair)) as c:
            c.ehlo()
            c.ask("MAIL FROM:<a@client.example>", 250)
            return c.ask("RCPT TO:<x@foreign.example>").code

    # The old workers may still take a connection that came to them before they heard of it.
    run.ok("the new rule holds", until(lambda: relays((crt, key)) == 250, 10))
    for what, pair, code in (
        ("ours", (crt, key), 250),
        ("a stranger's", (odd, odd_key), 550),
        ("none", None, 550),
    ):
        with Client(implicit, tls=with_certificate(pair)) as c:
            c.ehlo()
            c.ask("MAIL FROM:<a@client.example>", 250)
            r = c.ask("RCPT TO:<x@foreign.example>")
            run.same(f"{what}: relays?", r.code, code)
            run.same(f"{what}: mail for us", c.ask("RCPT TO:<u@example.com>").code, 250)


def with_certificate(pair):
    tls = context()
    if pair:
        tls.load_cert_chain(*pair)
    return tls


def read_conf(postern):
    with open(postern.file, encoding="utf-8") as f:
        return f.read()
