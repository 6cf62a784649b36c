"""An estate behind Postern: LMTP, two servers of which one goes, XFORWARD, PROXY headers and TLS towards Postfix."""
import re
import resource
import subprocess
import sys

from client import Client, Crowd, Refused, context
from harness import Skip, until
from servers import Dovecot, FarEnd, Postern, Postfix, pool_of, tls_files


def test_lmtp(run):
    """Dovecot by LMTP, over a unix socket and over TCP: one recipient a transaction, nothing lost or doubled"""
    dovecot = Dovecot(run, {"a@example.com": "x"})
    for name, where in (("unix", f'"unix:{dovecot.lmtp}"'), ("tcp", f"127.0.0.1:{dovecot.port}")):
        postern = Postern(run, pool_of(f"upstream lmtp {where}\n"), name=f"postern-{name}")
        with Client(postern.port) as c:
            c.ehlo()
            c.ask("MAIL FROM:<s@client.example>", 250)
            c.ask(f"RCPT TO:<{name}-one@example.com>", 250)
            r = c.ask(f"RCPT TO:<{name}-two@example.com>")
            run.ok(f"{name}: the second recipient comes again", (r.code, r.text[:5]) == (452, "4.5.3"), r)
            r = c.text_by_data(f"Subject: {name}\r\n\r\n.one\r\n".encode())
            run.ok(f"{name}: the reply is Dovecot's", r.code == 250 and "Saved" in r.text, r)
            c.mail([f"{name}-two@example.com"])
            r = c.text_by_bdat(b"Subject: two\r\n\r\n" + b"y" * 70 * 1000 + b"\r\n")
            run.same(f"{name}: and is served", r.code, 250)
            c.mail([f"{name}-two@example.com"])
            r = c.text_by_data(b"Subject: long\r\n\r\n" + (b"z" * 70 + b"\r\n") * 20000)
            run.same(f"{name}: a long one", r.code, 250)
            c.quit()
        run.ok(
            f"{name}: each has what is its own",
            until(
                lambda n=name: (
                    len(dovecot.letters(f"{n}-one")),
                    len(dovecot.letters(f"{n}-two")),
                )
                == (1, 2),
                10,
            ),
            dovecot.log(),
        )
        text = dovecot.letters(f"{name}-one")[0]
        run.ok(f"{name}: dots are undone", b"\n.one\n" in text.replace(b"\r\n", b"\n"), text)
        run.same(f"{name}: Postern ends well", postern.stop(), 0)


def test_two_servers(run):
    """two Postfixes, one is stopped in the middle and comes again: 0 lost, 0 doubled, clients notice nothing"""
    far = FarEnd(run)
    one = Postfix(run, far.port, name="one", main="mynetworks = 127.0.0.0/8\n")
    two = Postfix(run, far.port, name="two", main="mynetworks = 127.0.0.0/8\n")
    postern = Postern(
        run,
        pool_of(
            f"upstream 127.0.0.1:{one.port} xclient\nupstream 127.0.0.1:{two.port} xclient\n"
        ),
    )
    crowd = Crowd(postern.port, 8, tag="two").start(run)
    until(lambda: crowd.count("acked") > 150, 30)
    served = [p.log().count(": client=") for p in (one, two)]
    run.ok("both have work", min(served) > 20, served)
    one.stop()
    run.ok("the loss is noticed", postern.wait_log("upstream-down", str(one.port), seconds=30))
    before = crowd.count("acked")
    run.ok("mail goes on", until(lambda: crowd.count("acked") > before + 150, 40), crowd.events)
    known = len(postern.lines("upstream-up", str(one.port)))
    one.start()
    run.ok(
        "it is found again",
        postern.wait_log("upstream-up", str(one.port), seconds=40, n=known + 1),
        postern.log(),
    )
    before, n = crowd.count("acked"), one.log().count(": client=")
    until(lambda: crowd.count("acked") > before + 150, 40)
    run.ok("and has work again", one.log().count(": client=") > n + 20)
    run.ok("the crowd comes to its end", crowd.stop())
    for p in (one, two):
        run.ok("the queue is empty", p.flushed())
    crowd.judge(run, far.entries(), refused_may=1)
    run.same("Postern ends well", postern.stop(), 0)


def test_backup(run):
    """a backup has no work while the other is there, all of it when it is gone, and none again"""
    main, backup = FarEnd(run, "main"), FarEnd(run, "backup")
    postern = Postern(
        run,
        pool_of(
            f"upstream 127.0.0.1:{main.port}\nupstream 127.0.0.1:{backup.port} backup\n", workers=1
        ),
    )

    def send(tag):
        with Client(postern.port) as c:
            c.ehlo()
            c.mail([f"{tag}@example.com"])
            r = c.text_by_data(b"X-Letter: %s\r\n\r\n" % tag.encode())
            c.quit()
            return r.code

    run.same("ten messages", [send(f"m{i}") for i in range(10)], [250] * 10)
    run.same("none to the backup", (len(main.entries()), len(backup.entries())), (10, 0))
    main.process.kill()
    main.process.wait()
    run.same("ten more without a fault", [send(f"b{i}") for i in range(10)], [250] * 10)
    run.same("all to the backup", len(backup.entries()), 10)


def postfix_with(run, far, options, main=""):
    return Postfix(run, far.port, "master-plain.cf", main=main, options=options)


def test_xforward(run):
    """XFORWARD: Postfix logs the real client, and decides by our address"""
    far = FarEnd(run)
    postfix = postfix_with(run, far, "    -o smtpd_authorized_xforward_hosts=127.0.0.1\n")
    postern = Postern(run, pool_of(f"upstream 127.0.0.1:{postfix.port} xforward\n", workers=1))
    for i in range(3):
        with Client(postern.port, source=f"127.0.0.{i + 30}") as c:
            c.ehlo(f"c{i}.client.example")
            for k in range(2):
                c.mail([f"x{i}-{k}@example.com"])
                run.same("a message", c.text_by_data(b"X-Letter: x\r\n\r\n").code, 250)
            c.quit()
        run.ok(
            "its log has the client",
            postfix.wait_log(rf"orig_client=\S*\[127\.0\.0\.{i + 30}\]"),
            postfix.log(),
        )
    run.ok("the connection was used again", len(re.findall(r": connect from", postfix.log())) < 3)


def test_proxy_out(run):
    """PROXY headers, version 1 and 2, into a Postfix that asks for them"""
    for version in ("v1", "v2"):
        far = FarEnd(run, "far" + version)
        postfix = Postfix(
            run,
            far.port,
            "master-plain.cf",
            name="postfix" + version,
            options="    -o smtpd_upstream_proxy_protocol=haproxy\n",
        )
        postern = Postern(
            run,
            pool_of(f"upstream 127.0.0.1:{postfix.port} proxy-protocol {version}\n"),
            name="postern" + version,
        )
        for i in range(3):
            with Client(postern.port, source=f"127.0.0.{i + 40}") as c:
                c.ehlo()
                c.mail([f"p{i}@example.com"])
                run.same(f"{version}: a message", c.text_by_data(b"X-Letter: p\r\n\r\n").code, 250)
                c.quit()
            run.ok(
                f"{version}: Postfix takes it for the client itself",
                postfix.wait_log(rf": client=\S*\[127\.0\.0\.{i + 40}\]"),
                postfix.log(),
            )


def test_upstream_tls(run):
    """TLS towards Postfix: verified, resumed, and nothing is sent where it cannot be had"""
    run.need("openssl")
    crt, key = tls_files(run, "behind", "behind.example.com")
    other, _ = tls_files(run, "other", "behind.example.com")
    far = FarEnd(run)
    postfix = Postfix(
        run,
        far.port,
        "master-plain.cf",
        main=f"smtpd_tls_cert_file = {crt}\nsmtpd_tls_key_file = {key}\nsmtpd_tls_loglevel = 1\n",
        options="    -o smtpd_tls_security_level=encrypt\n",
    )
    plain = FarEnd(run, "plain")

    def ask(name, how, port, want):
        postern = Postern(
            run, pool_of(f"upstream 127.0.0.1:{port} {how}\n", workers=1), name="postern-" + name
        )
        codes = []
        for i in range(3):
            try:
                with Client(postern.port) as c:
                    c.ehlo()
                    c.mail([f"{name}{i}@example.com"])
                    codes.append(c.text_by_data(b"X-Letter: t\r\n\r\n").code)
                    c.quit()
            except Exception as e:  # pylint: disable=broad-except
                codes.append(getattr(getattr(e, "reply", None), "code", repr(e)))
        run.ok(f"{name}: {want}", codes == [want] * 3, (codes, postern.log()))
        return postern

    ask("verify", f'tls verify server-name behind.example.com ca "{crt}"', postfix.port, 250)
    run.ok("Postfix saw TLS", postfix.wait_log("TLS connection established from"), postfix.log())
    ask("require", "tls require", postfix.port, 250)
    ask("may", "tls may", postfix.port, 250)
    ask("may-plain", "tls may", plain.port, 250)
    ask("wrong-ca", f'tls verify server-name behind.example.com ca "{other}"', postfix.port, 421)
    ask("wrong-name", f'tls verify server-name else.example.com ca "{crt}"', postfix.port, 421)
    ask("require-plain", "tls require", plain.port, 421)
    run.ok(
        "no message went in plain text where TLS was required",
        not [e for e in plain.entries() if "require" in str(e["to"])],
    )


def test_xclient_in(run):
    """XCLIENT from a trusted peer, such as a Postfix in front: everything is judged anew"""
    far = FarEnd(run, xclient=True)
    postern = Postern(
        run,
        pool_of(
            f"upstream 127.0.0.1:{far.port} xclient\nnetworks friends {{ 192.0.2.0/24 }}\n",
            listen="127.0.0.1:@PORT@ xclient from { 127.0.0.1 } xclient-login",
        ).replace("relay { ", "relay { allow from friends  allow authenticated  "),
    )

    def relays(said, source=None):
        with Client(postern.port, source=source) as c:
            c.ehlo()
            if said is not None:
                if "XCLIENT" not in c.words:
                    return "not offered"
                c.ask("XCLIENT " + said, 220)
                c.ehlo("inner.client.example")
            c.ask("MAIL FROM:<a@client.example>", 250)
            return c.ask("RCPT TO:<x@foreign.example>").code

    run.same("without it", relays(None), 550)
    run.same("a friend", relays("ADDR=192.0.2.7 PORT=4000 PROTO=ESMTP HELO=friend.example"), 250)
    run.same("a stranger", relays("ADDR=203.0.113.7"), 550)
    run.same("a stranger that has authenticated", relays("ADDR=203.0.113.7 LOGIN=joe"), 250)
    run.same("who is not trusted is not offered it", relays("ADDR=192.0.2.7", "127.0.0.9"), "not offered")


def test_two_posterns(run):
    """one Postern before another with PROXY v2: the address of the client comes through both"""
    far = FarEnd(run, xclient=True)
    inner = Postern(
        run,
        pool_of(
            f"upstream 127.0.0.1:{far.port} xclient\n",
            listen="127.0.0.1:@PORT@ proxy-protocol from { 127.0.0.1 }",
        ),
        name="inner",
    )
    crt, key = tls_files(run, "mx", "mx.example.com")
    outer = Postern(
        run,
        pool_of(
            f"upstream 127.0.0.1:{inner.port} proxy-protocol\n"
            f'tls certificate "{crt}" key "{key}"\n'
        ),
        name="outer",
    )
    with Client(outer.port, source="127.0.0.50") as c:
        c.ehlo()
        c.starttls(context())
        c.ehlo()
        c.mail(["both@example.com"])
        run.same("a message through two Posterns", c.text_by_data(b"X-Letter: b\r\n\r\n").code, 250)
    e = far.wait_for("both@")
    run.same("the server hears of the client", e and e["client"].get("ADDR"), "127.0.0.50")


# One of several that hold connections: a process has no more descriptors than a worker.
HOLDER = r"""
import socket, sys
port, n = int(sys.argv[1]), int(sys.argv[2])
held, said = [], 0
for i in range(n):
    s = socket.socket()
    s.bind((f"127.0.{sys.argv[3]}.{1 + i % 8}", 0))
    s.connect(("127.0.0.1", port))
    s.settimeout(30)
    held.append(s)
for what in (None, b"EHLO holder.example\r\n", b"NOOP\r\n"):
    good = 0
    for s in held:
        if what:
            s.sendall(what)
    for s in held:
        good += s.recv(1000).startswith((b"220 ", b"250"))
    print(good, flush=True)
    sys.stdin.readline()
"""


def test_twenty_thousand(run):
    """20,000 connections at once: all are greeted and answered, and mail passes between them"""
    each, holders = 5000, 4
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 12000:
        raise Skip("not descriptors enough")
    far = FarEnd(run)
    postern = Postern(
        run,
        pool_of(
            f"upstream 127.0.0.1:{far.port}\n"
            "limits { sessions 25000 sessions-per-client 25000 }\n",
            workers=2,
        ),
    )
    crowd = []
    for i in range(holders):
        crowd.append(
            subprocess.Popen(  # pylint: disable=consider-using-with
                [sys.executable, "-c", HOLDER, str(postern.port), str(each), str(60 + i)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    run.started.extend(crowd)
    for i, what in enumerate(("greeted", "welcome", "heard, all at once")):
        run.same(f"all are {what}", [p.stdout.readline().strip() for p in crowd], [str(each)] * holders)
        with Client(postern.port, source="127.0.0.50") as c:
            c.ehlo()
            c.mail([f"between{i}@example.com"])
            run.same("a message among them", c.text_by_data(b"X-Letter: b\r\n\r\n").code, 250)
        if i < 2:
            for p in crowd:
                p.stdin.write("\n")
                p.stdin.flush()
    run.same("with as many workers as before", len(postern.workers()), 2)
    for p in crowd:
        p.communicate("\n")
    run.ok("all have gone", until(lambda: len(postern.lines(" session ")) >= each * holders, 30))
    run.same("Postern ends well", postern.stop(), 0)


def test_few_descriptors(run):
    """clients that take all descriptors are told 421, and mail of those inside still finds its server"""
    run.need("prlimit")
    far = FarEnd(run)
    postern = Postern(
        run,
        pool_of(
            f"upstream 127.0.0.1:{far.port}\nlimits {{ sessions-per-client 1000 }}\n", workers=1
        ),
        start=False,
    )
    postern.start(("prlimit", "--nofile=200:200"))
    inside, turned_away = [], 0
    for _ in range(260):
        try:
            inside.append(Client(postern.port))
        except Refused as e:
            turned_away += e.reply.code == 421
    run.ok("some are inside", 100 <= len(inside) < 200, len(inside))
    run.same("all others have heard 421", turned_away, 260 - len(inside))
    for i in range(30):
        inside[i].ehlo()
        inside[i].mail([f"few{i}@example.com"])
    for i in range(30):
        r = inside[i].text_by_data(b"X-Letter: few\r\n\r\n")
        run.ok("a message with a connection of its own", r.code == 250, r)
    for c in inside:
        c.close()
    run.same("Postern ends well", postern.stop(), 0)
