"""Postern beside others: a second one, HAProxy before it, and the quickstart of the README."""
import os
import re
import shutil
import socket
import struct
import subprocess

from client import Client, Crowd, Lost, Refused
from harness import SOURCE, answers, find, until
from servers import FarEnd, Postern, Postfix, before_postfix, pool_of


def test_side_by_side(run):
    """two Posterns side by side: neither touches the other"""
    ends = [FarEnd(run, f"far{i}") for i in (0, 1)]
    both = [
        Postern(run, pool_of(f"upstream 127.0.0.1:{far.port}\n"), name=f"postern{i}")
        for i, far in enumerate(ends)
    ]
    crowds = [Crowd(p.port, 4, tag=f"side{i}x", seed=i + 1).start(run) for i, p in enumerate(both)]
    until(lambda: all(c.count("acked") > 100 for c in crowds), 20)
    run.ok("the first reloads", both[0].reload())
    run.ok("its crowd ends", crowds[0].stop())
    run.same("the first stops well", both[0].stop(), 0)
    before = crowds[1].count("acked")
    run.ok("the second goes on", until(lambda: crowds[1].count("acked") > before + 50, 20))
    run.ok("its crowd ends", crowds[1].stop())
    run.same("the second stops well", both[1].stop(), 0)
    for crowd, far in zip(crowds, ends):
        crowd.judge(run, far.entries())
    run.same("the second's clients had no trouble", dict(crowds[1].events), {})


def v2(family, address, tlvs=b"", command=1):
    return (
        b"\r\n\r\n\0\r\nQUIT\n"
        + bytes((0x20 | command, family))
        + struct.pack(">H", len(address) + len(tlvs))
        + address
        + tlvs
    )


def inet(src, dst, sport=4000, dport=25):
    family = socket.AF_INET6 if ":" in src else socket.AF_INET
    return (
        socket.inet_pton(family, src)
        + socket.inet_pton(family, dst)
        + struct.pack(">HH", sport, dport)
    )


def test_proxy_header_to_postfix(run):
    """a PROXY header's address, IPv4 and IPv6, goes by XCLIENT into Postfix's log and decisions"""
    far = FarEnd(run)
    postfix = Postfix(run, far.port, main="mynetworks = 192.0.2.9/32\n")
    postern = Postern(run, "", start=False)
    conf = before_postfix("postern.conf", postern.port, postfix.port, "workers 2\n")
    conf = re.sub(r"^(listen .*)$", r"\1 proxy-protocol from { 127.0.0.1 }", conf, flags=re.M)
    nets = "127.0.0.0/8, 192.0.2.0/24, 198.51.100.0/24, 2001:db8::/32"
    postern.write(conf.replace("127.0.0.0/8, ::1/128", nets))
    postern.start()
    heads = (
        ("v1 IPv4", b"PROXY TCP4 192.0.2.9 192.0.2.1 4000 25\r\n", "192.0.2.9"),
        ("v1 IPv6", b"PROXY TCP6 2001:db8::9 2001:db8::1 4000 25\r\n", "2001:db8::9"),
        ("v2 IPv4", v2(0x11, inet("198.51.100.7", "192.0.2.1")), "198.51.100.7"),
        ("v2 IPv6", v2(0x21, inet("2001:db8::7", "2001:db8::1"), b"\4\0\3abc"), "2001:db8::7"),
        ("v2 LOCAL", v2(0, b"", command=0), "127.0.0.1"),
    )
    for what, head, address in heads:
        with Client(postern.port, first=head) as c:
            c.ehlo()
            c.mail(["proxied@example.com"])
            run.same(f"{what}: a message", c.text_by_data(b"X-Letter: p\r\n\r\n").code, 250)
            c.ask("MAIL FROM:<a@client.example>", 250)
            run.same(
                f"{what}: may it relay?",
                c.ask("RCPT TO:<x@foreign.example>").code,
                250 if address == "192.0.2.9" else 554,
            )
        run.ok(
            f"{what}: Postfix's log has the address",
            postfix.wait_log(r"client=\S*\[" + re.escape(address) + r"\]"),
            postfix.log(),
        )
    for what, head in (
        ("no header", b""),
        ("a broken one", b"PROXY TCP4 1.2.3 4\r\n"),
        ("a wrong checksum", v2(0x11, inet("192.0.2.9", "192.0.2.1"), b"\3\0\4\0\0\0\0")),
    ):
        try:
            with Client(postern.port, first=head or b"EHLO x\r\n", timeout=15) as c:
                run.ok(f"{what} is not served", False, c.greeting)
        except (Lost, Refused, OSError) as e:
            run.ok(f"{what} is not served", not isinstance(e, socket.timeout), repr(e))
    with_header = Postern(
        run,
        pool_of(
            f"upstream 127.0.0.1:{far.port}\n",
            listen="127.0.0.1:@PORT@ proxy-protocol " "from { 192.0.2.77 }",
        ),
        name="stranger",
    )
    with Client(with_header.port, first=heads[0][1]) as c:
        r = c.reply()
        run.same("from a stranger it is text", r.code, 500)


HAPROXY = """global
    maxconn 200
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen one
    bind 127.0.0.1:{one}
    server postern 127.0.0.1:{v1} send-proxy
listen two
    bind 127.0.0.1:{two}
    option smtpchk EHLO check.example.com
    server postern 127.0.0.1:{v2} send-proxy-v2 check check-send-proxy inter 300ms
"""


def test_haproxy(run):
    """HAProxy before Postern with send-proxy and send-proxy-v2, health checks included"""
    run.need("haproxy")
    far = FarEnd(run, xclient=True)
    other, one, two = run.port(), run.port(), run.port()
    postern = Postern(
        run,
        pool_of(
            f"upstream 127.0.0.1:{far.port} xclient\n"
            f"listen 127.0.0.1:{other} proxy-protocol from {{ 127.0.0.0/8 }}\n",
            listen="127.0.0.1:@PORT@ proxy-protocol from { 127.0.0.1 }",
        ),
    )
    conf = run.put("haproxy.cfg", HAPROXY.format(one=one, two=two, v1=postern.port, v2=other))
    haproxy = run.start([find("haproxy"), "-db", "-f", conf], run.path("haproxy.log"))
    run.ok("HAProxy listens", until(lambda: answers(two) or haproxy.poll() is not None, 10))
    for port, source in ((one, "127.0.0.5"), (two, "127.0.0.6"), (one, "127.0.0.7")):
        with Client(port, source=source) as c:
            c.ehlo()
            c.mail([f"hap{source[-1]}@example.com"])
            run.same("a message", c.text_by_bdat(b"X-Letter: hap\r\n\r\n").code, 250)
            c.quit()
        e = far.wait_for(f"hap{source[-1]}@")
        run.same("the far end is told the real client", e and e["client"].get("ADDR"), source)
        run.ok("so is the log", postern.wait_log(" message ", f"client={source} "), postern.log())
    run.ok(
        "health checks are sessions of HAProxy's own",
        postern.wait_log("client=127.0.0.1", "check.example.com"),
        postern.log(),
    )
    crowd = Crowd(two, 5, tag="crowd", hosts=("127.0.0.8", "127.0.0.9")).start(run)
    until(lambda: crowd.count("acked") > 100, 20)
    run.ok("the crowd comes to its end", crowd.stop())
    crowd.judge(run, far.entries())
    run.same("and had no trouble", dict(crowd.events), {})


def copy_source(run):
    """The source in a folder of its own: what git would give, or all but what was built."""
    to = run.folder("clone")
    names = None
    if os.path.exists(os.path.join(SOURCE, ".git")) and find("git"):
        status, out = run.command(
            [
                find("git"),
                "-c",
                "safe.directory=*",
                "-C",
                SOURCE,
                "ls-files",
                "-co",
                "--exclude-standard",
            ]
        )
        names = out.splitlines() if status == 0 else None
    if names is None:
        shutil.copytree(
            SOURCE,
            to,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns(
                "obj", "build-*", "config.mk", "config.h", "Makefile", "postern"
            ),
        )
        return to
    for name in names:
        if os.path.isfile(os.path.join(SOURCE, name)):
            os.makedirs(os.path.dirname(os.path.join(to, name)), exist_ok=True)
            shutil.copy2(os.path.join(SOURCE, name), os.path.join(to, name))
    return to


def test_quickstart(run):
    """contrib/quickstart from a fresh copy of the source: builds, starts, sends, shows, stops"""
    to = copy_source(run)
    log = run.path("quickstart.out")
    p = run.start(
        ["bash", os.path.join(to, "contrib", "quickstart"), "--no-install"], log, group=True
    )
    try:
        status = p.wait(200)
    except subprocess.TimeoutExpired:
        status = "not done in 200 s"
    with open(log, encoding="utf-8", errors="replace") as f:
        out = f.read()
    run.same("exit status", status, 0)
    run.has("the conversation is shown", out, "C: EHLO client.example")
    run.ok(
        "the relay gate refuses one",
        re.search(r"C: RCPT TO:<victim@foreign.example>\n +S: 550 5\.7\.1", out),
        out,
    )
    run.ok("no colour into a file", "\033" not in out)
    where = re.search(r"^The mail lies in +(\S+)/new", out, flags=re.M)
    conf = re.search(r"^The configuration is +(\S+)", out, flags=re.M)
    if not run.ok("it says where the mail and the configuration are", where and conf, out):
        return
    folder = os.path.dirname(where[1])
    run.at_end.append(lambda: shutil.rmtree(folder) if "postern-quickstart" in folder else None)
    names = os.listdir(os.path.join(where[1], "new"))
    run.ok("the mail is in the Maildir", len(names) >= 2, names)
    run.ok("the configuration is there", os.path.exists(conf[1]))
    port = int(re.search(r"listen +127\.0\.0\.1:(\d+)", out)[1])
    run.ok("Postern was stopped", not answers(port))
    status, text = run.command([os.path.join(to, "postern"), "check", conf[1]])
    run.same("its configuration is good", status, 0)
