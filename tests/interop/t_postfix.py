"""Postfix as upstream, configured as doc/before-postfix says, and the clients that people use."""
import re
import smtplib
import email.message
import email.policy

from client import Client, Crowd, Refused
from harness import find, until
from servers import FarEnd, Postern, Postfix, before_postfix, settle, tls_files

INSIDE, OUTSIDE = "127.0.0.2", "127.0.0.3"


def set_up(
    run, master="master.cf", conf="postern.conf", main="", more="workers 2\n", inside=INSIDE
):
    """The far end, Postfix, Postern before it.  inside: what is in mynetworks and "mynets"."""
    far = FarEnd(run, keep=True)
    postfix = Postfix(run, far.port, master, main=f"mynetworks = {INSIDE}/32\n" + main)
    postern = Postern(run, "", start=False)
    text = before_postfix(conf, postern.port, postfix.port, more)
    if inside:
        text = text.replace("127.0.0.0/8, ::1/128", inside)
    postern.write(text)
    postern.start()
    return far, postfix, postern


def send(port, to, letter, source=None, helo="client.example", raw=None):
    """One message; gives the final reply."""
    with Client(port, source=source) as c:
        c.ehlo(helo)
        c.mail([to])
        r = c.text_by_data(raw or b"Subject: s\r\nX-Letter: %s\r\n\r\nbody\r\n" % letter.encode())
        c.quit()
        return r


def refusal(port, to, source=None):
    """What RCPT hears for one recipient."""
    with Client(port, source=source) as c:
        c.ehlo()
        c.ask("MAIL FROM:<a@client.example>", 250)
        r = c.ask(f"RCPT TO:<{to}>")
        c.quit()
        return r


def test_xclient(run):
    """with XCLIENT Postfix knows each client: its log, its decisions, its own words"""
    far, postfix, postern = set_up(run, inside=None)
    r = send(postern.port, "one@example.com", "x1", INSIDE, "inside.client.example")
    run.same("a message from the inside", r.code, 250)
    run.ok(
        "its reply is Postfix's, word for word",
        re.fullmatch(r"2\.0\.0 Ok: 34 bytes queued as \w+", r.text),
        r.text,
    )
    run.ok("it arrives", far.wait_for("one@example.com"))
    run.ok(
        "Postfix's log names the client",
        postfix.wait_log(r"smtpd\[\d+\]: \w+: client=\S*\[127\.0\.0\.2\]"),
        postfix.log(),
    )
    run.ok(
        "and its HELO name is in Received",
        far.wait(
            lambda e: e["letter"] == "x1"
            and b"from inside.client.example (" in far.text(e)
            and b"[127.0.0.2]" in far.text(e)
        ),
    )
    run.same("inside may relay", refusal(postern.port, "x@foreign.example", INSIDE).code, 250)
    r = refusal(postern.port, "x@foreign.example", OUTSIDE)
    run.ok(
        "outside may not, and hears so from Postfix",
        (r.code, "Relay access denied" in r.text) == (554, True),
        r.text,
    )
    for i in range(5):
        with Client(postern.port, source=f"127.0.0.{i + 10}") as c:
            c.ehlo(f"c{i}.client.example")
            for k in range(3):
                c.mail([f"each{i}-{k}@example.com"])
                r = c.text_by_data(b"X-Letter: each\r\n\r\n")
                run.ok("several messages of one session", r.code == 250, r.text)
            c.quit()
        run.ok(
            "each session under its own name",
            postfix.wait_log(rf"client=\S*\[127\.0\.0\.{i + 10}\]"),
        )
    with Client(postern.port, host="127.0.0.1", first=b"", source="127.0.0.20") as c:
        c.ask("HELO old.client.example", 250)
        c.mail(["helo@example.com"])
        run.same("a client with HELO only", c.text_by_data(b"X-Letter: helo\r\n\r\n").code, 250)
    e = far.wait_for("helo@example.com")
    run.ok(
        "is known by its name", e and b"from old.client.example (" in far.text(e), e and far.text(e)
    )
    run.ok(
        "nobody was taken for Postern itself",
        "client=localhost[127.0.0.1]" not in postfix.log()
        and "client=unknown[127.0.0.1]" not in postfix.log(),
    )
    run.ok(
        "Postfix had nothing to say against us",
        not re.search(r"(warning|fatal|panic): .*(XCLIENT|xclient)", postfix.log()),
        postfix.log(),
    )
    run.same("Postern ends well", postern.stop(), 0)


def test_plain(run):
    """without XCLIENT Postfix trusts us with nothing, and connections are used again"""
    far, postfix, postern = set_up(run, "master-plain.cf", "postern-plain.conf", more="workers 1\n")
    for i in range(10):
        run.same("a message", send(postern.port, f"p{i}@example.com", f"p{i}").code, 250)
    run.ok("all arrive", until(lambda: len(far.entries()) == 10, 20), far.entries())
    connects = len(re.findall(r"connect from \S+\[127\.0\.0\.1\]", postfix.log()))
    run.ok(
        "over few connections",
        connects - len(re.findall(r"disconnect from \S+.*commands=0/0", postfix.log())) <= 4,
        postfix.log(),
    )
    r = refusal(postern.port, "x@foreign.example")
    run.ok("our gate refuses what goes elsewhere", (r.code, r.text[:5]) == (550, "5.7.1"), r.text)
    r = refusal(postfix.port, "x@foreign.example")
    run.ok("and Postfix would, too", r.code == 554, r.text)
    with Client(postern.port) as c:
        c.ehlo()
        run.ok(
            "the size is Postfix's, which is the smaller",
            0 < int(c.words.get("SIZE") or 0) <= 26214400,
            c.words,
        )
        run.same(
            "nothing is offered that is not for clients",
            sorted(
                set(c.words) & {"XCLIENT", "XFORWARD", "ETRN", "VRFY", "BINARYMIME", "REQUIRETLS"}
            ),
            [],
        )
        for word in (
            "PIPELINING",
            "SIZE",
            "8BITMIME",
            "SMTPUTF8",
            "DSN",
            "ENHANCEDSTATUSCODES",
            "CHUNKING",
        ):
            run.ok(f"{word} is offered", word in c.words, c.words)
    run.same("Postern ends well", postern.stop(), 0)


OWN = "    -o local_header_rewrite_clients="
BARE = b"From: joe\r\nX-Letter: bare\r\n\r\nbody\r\n"


def test_headers(run):
    """Postfix edits no stranger's header; with its defaults it takes each client for a local one"""
    rows = (
        ("master.cf", "postern.conf", "", OUTSIDE, False),
        ("master-plain.cf", "postern-plain.conf", "", OUTSIDE, False),
        ("master.cf", "postern.conf", "permit_inet_interfaces", OUTSIDE, True),
        ("master.cf", "postern.conf", "permit_mynetworks", OUTSIDE, False),
        ("master.cf", "postern.conf", "permit_mynetworks", INSIDE, True),
    )
    far = FarEnd(run, keep=True)
    for i, (master, conf, who, client, edited) in enumerate(rows):
        options = f"{OWN}{who}\n" if who else ""
        main = f"mynetworks = {INSIDE}/32\n"
        postfix = Postfix(run, far.port, master, f"postfix{i}", main=main, options=options)
        postern = Postern(run, "", start=False)
        postern.write(before_postfix(conf, postern.port, postfix.port, "workers 1\n"))
        postern.start()
        to, name = f"bare{i}@example.com", f"{master} {who or 'as it stands'} {client}"
        run.same(f"{name}: taken", send(postern.port, to, "bare", client, raw=BARE).code, 250)
        e = far.wait_for(to)
        text = e and far.text(e) or b""
        run.same(f"{name}: From completed", b"\nFrom: joe@" in text, edited)
        run.same(f"{name}: From as it was", b"\nFrom: joe\r\n" in text, not edited)
        run.same(f"{name}: Message-ID added", b"\nMessage-I" in text, edited)
        run.same(f"{name}: Postern ends well", postern.stop(), 0)
        postfix.stop()


def test_gate(run):
    """what Postfix relays for a client in mynetworks is refused by the gate"""
    rows = (
        "x%foreign.example@example.com",
        '"x@foreign.example"@example.com',
        "foreign.example!x@example.com",
        "@example.com:x@foreign.example",
    )
    far = FarEnd(run)
    postfix = Postfix(run, far.port, main="mynetworks = 127.0.0.0/8\n")
    postern = Postern(run, "", start=False)
    postern.write(before_postfix("postern-plain.conf", postern.port, postfix.port, "workers 1\n"))
    postern.start()
    for to in rows:
        r = refusal(postfix.port, to)
        run.same(f"Postfix alone takes {to}", r.code, 250)
        r = refusal(postern.port, to)
        code = "5.7.1" if to[0] == "@" else "5.1.3"
        run.ok(f"Postern refuses {to}", (r.code, r.text[:5]) == (550, code), f"{r.code} {r.text}")
    run.same("none of it reached Postfix", len(re.findall(r"foreign", postfix.log())), 0)
    r = refusal(postern.port, "good.one@example.com")
    run.same("a plain address passes", r.code, 250)


def swaks(run, port, to, *more, code=0):
    argv = [
        find("swaks"),
        "--server",
        "127.0.0.1",
        "--port",
        str(port),
        "--from",
        "a@client.example",
        "--to",
        to,
        "--timeout",
        "20",
        "--header",
        "X-Letter: swaks",
        "--suppress-data",
        *more,
    ]
    status, out = run.command(argv, 40)
    run.ok(f"swaks {' '.join(more) or 'plain'}", status == code, out)
    return out


def test_swaks(run):
    """swaks: plain, pipelined, STARTTLS, implicit TLS, refused"""
    run.need("swaks")
    crt, key = tls_files(run, "mx", "mx.example.com")
    tls_port = run.port()
    far, postfix, postern = set_up(
        run,
        more="workers 2\n"
        f'tls certificate "{crt}" key "{key}"\nlisten 127.0.0.1:{tls_port} tls\n',
    )
    ways = [(), ("--pipeline",), ("--protocol", "SMTP")]
    if "TLS supported" in run.command([find("swaks"), "--support"])[1]:
        ways += [
            ("--tls",),
            ("--tls", "--pipeline"),
            ("--tls-on-connect", "--port", str(tls_port)),
            ("--tls", "--tls-protocol", "tlsv1_2"),
            ("--tls", "--tls-protocol", "tlsv1_3"),
        ]
    else:
        run.skip("swaks without TLS: no libnet-ssleay-perl")
    for i, way in enumerate(ways):
        swaks(run, postern.port, f"swaks{i}@example.com", *way)
    for i in range(len(ways)):
        run.ok("it arrives", far.wait_for(f"swaks{i}@example.com"))
    out = swaks(
        run, postern.port, "one@example.com,no@foreign.example,two@example.com", "--pipeline"
    )
    heard = re.findall(r"^<\S+ +(\d{3}) ", out, flags=re.M)
    want = ["250", "250", "550", "250", "354", "250", "221"]
    run.ok("each recipient its own answer, in order", heard[2:] == want, f"{heard}\n{out}")
    e = far.wait_for("one@example.com")
    run.ok(
        "and those that were taken get the mail",
        e and far.wait_for("two@example.com"),
        far.entries(),
    )
    out = swaks(run, postern.port, "x%foreign.example@example.com", code=24)
    run.has("a refusal names the rule and an id", out, "550 5.1.3")


def smtp_source(run, port, tag, *more, timeout=90):
    argv = [
        find("smtp-source"),
        "-f",
        "src@client.example",
        "-t",
        f"{tag}@example.com",
        "-N",
        *more,
        f"127.0.0.1:{port}",
    ]
    status, out = run.command(argv, timeout)
    return run.ok(f"smtp-source {' '.join(more)}", status == 0, out)


def test_smtp_source(run):
    """smtp-source: sessions, several messages and recipients, sizes"""
    run.need("smtp-source")
    far, postfix, postern = set_up(run, "master-plain.cf", "postern-plain.conf")
    runs = [
        ("one", 1, 1, ()),
        ("par", 100, 1, ("-s", "20")),
        ("keep", 100, 1, ("-s", "10", "-d")),
        ("many", 20, 25, ("-s", "5", "-d")),
        ("tiny", 5, 1, ("-l", "1")),
        ("half", 20, 1, ("-s", "4", "-l", "500000")),
    ]
    total = {}
    for tag, messages, recipients, more in runs:
        smtp_source(run, postern.port, tag, "-m", str(messages), "-r", str(recipients), *more)
        total[tag] = messages * recipients

    def got(tag):
        return [
            to
            for e in far.entries()
            for to in e["to"]
            if re.fullmatch(rf"<\d+{tag}@example\.com>.*", to)
        ]

    for tag, n in total.items():
        until(lambda tag=tag, n=n: len(got(tag)) >= n, 30, 0.2)
        there = got(tag)
        run.same(f"{tag}: all {n} recipients, each once", (len(there), len(set(there))), (n, n))
    run.same("Postern ends well", postern.stop(), 0)


def test_smtplib(run):
    """smtplib: send_message, 8BITMIME, SMTPUTF8, DSN, several recipients, errors"""
    far, postfix, postern = set_up(run)
    m = email.message.EmailMessage(policy=email.policy.SMTP)
    m["From"], m["To"], m["Subject"], m["X-Letter"] = (
        "a@client.example",
        "u@example.com",
        "Grüße",
        "lib",
    )
    m.set_content("Zeile mit ü\n.\n..\n.end\n", cte="8bit")
    with smtplib.SMTP(
        "127.0.0.1", postern.port, local_hostname="lib.client.example", timeout=30
    ) as s:
        s.ehlo()
        run.same(
            "all are taken",
            s.send_message(
                m, to_addrs=["lib1@example.com", "lib2@example.com"], mail_options=["BODY=8BITMIME"]
            ),
            {},
        )
        refused = s.sendmail(
            "a@client.example", ["lib3@example.com", "x%y@example.com"], b"X-Letter: lib3\r\n\r\n"
        )
        run.ok(
            "a refused one is told, the other taken",
            list(refused) == ["x%y@example.com"] and refused["x%y@example.com"][0] == 550,
            refused,
        )
        s.sendmail(
            "a@client.example",
            ["lib4@example.com"],
            b"X-Letter: lib4\r\n\r\n",
            mail_options=["RET=HDRS", "ENVID=QQ+2B1"],
            rcpt_options=["NOTIFY=NEVER", "ORCPT=rfc822;lib4+2Bx@example.com"],
        )
        u = email.message.EmailMessage(policy=email.policy.SMTPUTF8)
        u["From"], u["To"], u["Subject"], u["X-Letter"] = (
            "jörg@client.example",
            "üser@example.com",
            "ü",
            "utf8",
        )
        u.set_content("ü\n")
        run.same("an address of UTF-8", s.send_message(u), {})
        try:
            s.sendmail("a@client.example", ["x@[127.0.0.1", "%@example.com"], b"x\r\n\r\n")
            run.ok("nobody to send to is an error", False)
        except smtplib.SMTPRecipientsRefused as e:
            run.same("nobody to send to: both are told", len(e.recipients), 2)
        run.same("NOOP", s.noop()[0], 250)
        run.same("VRFY is answered here", s.verify("u@example.com")[0], 252)
        run.same("EXPN is not for strangers", s.expn("list")[0], 502)
    with Client(postern.port) as c:
        c.ehlo()
        r = c.ask("MAIL FROM:<a@client.example> SIZE=99999999")
        run.same("too big by its SIZE", (r.code, r.text[:5]), (552, "5.3.4"))
    for i in (1, 2, 3, 4):
        run.ok(f"lib{i} arrives", far.wait_for(f"lib{i}@example.com"))
    e = far.wait_for("lib1@example.com")
    run.ok(
        "eight bits and dots are as sent",
        far.text(e).endswith("Zeile mit ü\r\n.\r\n..\r\n.end\r\n".encode()),
        far.text(e),
    )
    e = far.wait_for("lib4@example.com")
    run.ok(
        "DSN's parameters went all the way",
        e
        and "NOTIFY=NEVER" in e["to"][0]
        and "ORCPT=rfc822;lib4+2Bx@example.com" in e["to"][0]
        and "ENVID=QQ+2B1" in e["from"]
        and "RET=HDRS" in e["from"],
        e,
    )
    e = far.wait(lambda e: e["letter"] == "utf8")
    run.ok(
        "SMTPUTF8 did, too", e and "üser@example.com" in e["to"][0] and "SMTPUTF8" in e["from"], e
    )


def test_refused_by_postfix(run):
    """Postfix's refusals at each stage are the client's, and the session goes on"""
    far, postfix, postern = set_up(
        run,
        main="relay_recipient_maps = inline:{good@example.com=x, also@example.com=x}\n"
        "smtpd_reject_unlisted_recipient = yes\n"
        "smtpd_sender_restrictions = check_sender_access inline:{"
        "{bad@client.example = REJECT 5.7.1 you not}}\n"
        "message_size_limit = 100000\nheader_checks = regexp:{{/^X-Bad/ REJECT 5.7.1 no}}\n",
    )
    with Client(postern.port) as c:
        c.ehlo()
        run.same("the smaller size is offered", c.words.get("SIZE"), "100000")
        c.ask("MAIL FROM:<bad@client.example>", 250)
        r = c.ask("RCPT TO:<good@example.com>")
        run.ok("the sender", r.code == 554 and "you not" in r.text, r.text)
        c.ask("RSET", 250)
        c.send(
            b"MAIL FROM:<a@client.example>\r\nRCPT TO:<none@example.com>\r\n"
            b"RCPT TO:<good@example.com>\r\n"
            b"RCPT TO:<x@foreign.example>\r\nRCPT TO:<also@example.com>\r\nDATA\r\n"
        )
        codes = [c.reply().code for _ in range(6)]
        run.same(
            "recipients in order, some refused, ours and theirs",
            codes,
            [250, 550, 250, 550 if codes[3] == 550 else 554, 250, 354],
        )
        c.send(b"X-Bad: yes\r\n\r\nbody\r\n.\r\n")
        r = c.reply()
        run.ok("the text", r.code in (550, 554) and r.text.endswith("no"), f"{r.code} {r.text}")
        c.mail(["good@example.com"])
        r = c.text_by_data(
            b"X-Letter: big\r\n\r\n" + b"x" * 900 + b"\r\n" + b"y" * 300000 + b"\r\n"
        )
        run.same("too big for Postfix, without SIZE", r.code, 552)
        c.mail(["good@example.com"])
        run.same(
            "and after all that one passes", c.text_by_data(b"X-Letter: fine\r\n\r\n").code, 250
        )
    run.ok("it arrives", far.wait(lambda e: e["letter"] == "fine"))
    run.ok("only it", len(far.entries()) == 1, far.entries())


def test_postfix_stops(run):
    """Postfix stops and comes again: 4xx meanwhile, nothing lost, no restart of ours"""
    far, postfix, postern = set_up(run, more="workers 2\nlimits { greeting-wait 1s }\n")
    crowd = Crowd(postern.port, 6, tag="stop", pause=0.02).start(run)
    until(lambda: crowd.count("acked") > 50, 20)
    postfix.stop()
    heard = []
    for i in range(4):
        try:
            heard.append(send(postern.port, f"down{i}@example.com", "down").code)
        except Refused as e:
            heard.append(e.reply.code)
    run.ok("meanwhile clients hear 421 or 451", heard and set(heard) <= {421, 451}, heard)
    before = crowd.count("acked")
    postfix.start()
    run.ok(
        "then mail flows again", until(lambda: crowd.count("acked") > before + 50, 30), crowd.events
    )
    run.ok("the crowd comes to its end", crowd.stop())
    run.ok("Postfix's queue becomes empty", postfix.flushed(90))
    # Postfix that dies between its deed and its word: the client hears 451, and sends again.
    sums = crowd.judge(run, far.entries(), refused_may=1)
    run.ok("the crowd was not idle", sums["acked"] > 100, sums)
    run.same("Postern ends well", postern.stop(), 0)


def stale(run, master, conf):
    far, postfix, postern = set_up(
        run, master, conf, main="smtpd_timeout = 1s\n", more="workers 1\n"
    )
    for i in range(4):
        run.same("a message", send(postern.port, f"stale{i}@example.com", f"s{i}").code, 250)
        settle((0.9, 1.1, 2.2, 0)[i])
    run.ok("Postfix did close them", postfix.wait_log(r"timeout after \S+ from"), postfix.log())
    run.ok("all arrive", until(lambda: len(far.entries()) == 4, 20), far.entries())
    run.ok("each has its line", postern.wait_log(" message ", n=4), postern.log())
    run.same(
        "no client heard of it", postern.lines("outcome=deferred") + postern.lines("refused"), []
    )


def test_stale_connections(run):
    """idle connections that Postfix has closed are replaced, and no client notices"""
    stale(run, "master-plain.cf", "postern-plain.conf")


def test_stale_connections_xclient(run):
    """the same for the ready ones that wait for a client to be told of by XCLIENT"""
    stale(run, "master.cf", "postern.conf")


def test_restart_between(run):
    """Postfix restarted between two messages of one session"""
    far, postfix, postern = set_up(run, "master-plain.cf", "postern-plain.conf", more="workers 1\n")
    with Client(postern.port) as c:
        c.ehlo()
        c.mail(["b1@example.com"])
        run.same("the first", c.text_by_data(b"X-Letter: b1\r\n\r\n").code, 250)
        postfix.stop()
        postfix.start()
        c.mail(["b2@example.com"])
        run.same("the second", c.text_by_data(b"X-Letter: b2\r\n\r\n").code, 250)
        c.ask("MAIL FROM:<a@client.example>", 250)
        c.ask("RCPT TO:<b3@example.com>", 250)
        postfix.stop()
        settle(0.5)
        r = c.ask("RCPT TO:<b4@example.com>")
        run.ok("inside a transaction the client hears 4xx", r.code in (421, 451), r)
        postfix.start()
        if r.code != 421:
            c.ask("RSET", 250)
            c.mail(["b5@example.com"])
            run.same(
                "and can go on in the same session",
                c.text_by_data(b"X-Letter: b5\r\n\r\n").code,
                250,
            )
    run.ok(
        "they arrive",
        far.wait(lambda e: e["letter"] == "b2") and far.wait(lambda e: e["letter"] == "b1"),
    )
