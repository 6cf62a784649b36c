"""Rules that ask the DNS: a real nsd behind a real unbound, and name servers that are late, wrong or gone."""
import os
import socket
import struct
import subprocess
import sys
import time

from client import Client
from harness import HERE, end, find, read, until
from servers import PROGRAM, FarEnd, Postern

ZONE = """$TTL 300
@ IN SOA ns hostmaster 1 3600 900 604800 60
@ IN NS ns
ns IN A 127.0.0.1
mailed IN MX 10 mx
mx IN A 192.0.2.1
addressed IN A 192.0.2.2
six IN AAAA 2001:db8::2
null IN MX 0 .
named IN NS ns
lame IN NS ns.elsewhere.invalid.
texts IN TXT "nothing else"
alias IN CNAME mailed
astray IN CNAME nowhere
nullandaddress IN MX 0 .
nullandaddress IN A 192.0.2.3
2.0.0.127.bl IN A 127.0.0.2
2.0.0.127.bl IN TXT "the test point"
2.0.0.127.white IN A 127.0.0.2
10.9.0.127.white IN A 127.0.0.3
10.9.0.127.bl IN A 127.0.0.4
9.9.0.127.bl IN A 127.0.0.4
9.9.0.127.bl IN TXT "127.0.9.9 sent junk"
2.0.0.127.dead IN A 127.0.0.2
1.0.0.127.dead IN A 127.0.0.2
9.9.0.127.dead IN A 127.0.0.2
"""

# A zone of its own: the name has NS, and nothing that takes mail.
NAMED = """$TTL 300
@ IN SOA ns.zone.example. hostmaster.zone.example. 1 3600 900 604800 60
@ IN NS ns.zone.example.
"""

NSD = """server:
  server-count: 1
  port: {port}
  ip-address: 127.0.0.1
  username: "{user}"
  chroot: ""
  zonesdir: "{dir}"
  database: ""
  pidfile: "{dir}/nsd.pid"
  xfrdfile: "{dir}/xfrd.state"
  xfrdir: "{dir}"
  zonelistfile: "{dir}/zone.list"
  logfile: "{dir}/nsd.log"
remote-control:
  control-enable: no
zone:
  name: "zone.example"
  zonefile: "zone"
zone:
  name: "named.zone.example"
  zonefile: "named"
"""

UNBOUND = """server:
  interface: 127.0.0.1@{port}
  username: ""
  chroot: ""
  directory: "{dir}"
  pidfile: "{dir}/unbound.pid"
  use-syslog: no
  do-daemonize: no
  do-not-query-localhost: no
  module-config: "iterator"
  access-control: 127.0.0.0/8 allow
  num-threads: 1
remote-control:
  control-enable: no
stub-zone:
  name: "zone.example"
  stub-addr: 127.0.0.1@{nsd}
  stub-prime: no
stub-zone:
  name: "named.zone.example"
  stub-addr: 127.0.0.1@{nsd}
  stub-prime: no
"""

CHECKS = """
check exists {
    when not sender.domain resolves
    on unknown tempfail 451 4.4.3 "cannot resolve %{sender.domain} now"
    reject 550 5.7.27 "%{sender.domain} does not exist"
}
"""


def udp_port(run):
    """A port that is free for UDP as well."""
    while True:
        port = run.port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def resolves(port, name, kind=1, seconds=1.0):
    """The RCODE that a server gives, or None."""
    asked = b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(seconds)
        try:
            s.sendto(struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + asked + struct.pack(">HH", kind, 1),
                     ("127.0.0.1", port))
            return s.recv(4096)[3] & 15
        except OSError:
            return None


def nsd(run, port):
    folder = run.folder("nsd")
    run.put("nsd/zone", ZONE)
    run.put("nsd/named", NAMED)
    conf = run.put("nsd/nsd.conf", NSD.format(port=port, dir=folder, user=""))
    p = run.start([find("nsd"), "-d", "-c", conf], run.path("nsd.out"))
    if not until(lambda: resolves(port, "ns.zone.example", seconds=0.2) == 0, 10):
        raise RuntimeError("nsd does not answer:\n" + read(run.path("nsd.out")) + read(folder + "/nsd.log"))
    return p


def unbound(run, port, behind):
    folder = run.folder("unbound")
    conf = run.put("unbound/unbound.conf", UNBOUND.format(port=port, dir=folder, nsd=behind))
    p = run.start([find("unbound"), "-d", "-c", conf], run.path("unbound.out"))
    if not until(lambda: resolves(port, "ns.zone.example", seconds=0.3) == 0, 10):
        raise RuntimeError("unbound does not answer:\n" + read(run.path("unbound.out")))
    return p


def stub(run, port, delay=0):
    journal = run.path(f"stub.{port}")
    p = run.start(
        [sys.executable, "-B", os.path.join(HERE, "dns_stub.py"), str(port), str(delay), journal],
        run.path("stub.out"),
    )
    until(lambda: resolves(port, "ready.example", seconds=0.3) == 0, 10)
    return p, journal


def conf(far, resolver, checks=CHECKS, workers=1):
    return (
        "hostname mx.test\nlisten 127.0.0.1:@PORT@\n"
        f"upstream 127.0.0.1:{far.port}\nresolver {resolver}\nworkers {workers}\n"
        "networks near { 127.0.0.0/8 }\ndomains ours { example.com }\n"
        "relay { allow from near }\nlimits { sessions-per-client 2000 }\n" + checks
    )


def mail(postern, sender, source=None, timeout=30):
    """The reply to MAIL or, where refusals wait for it, to RCPT; and how long both took."""
    with Client(postern.port, source=source, timeout=timeout) as c:
        c.ask("EHLO client.example")
        begun = time.monotonic()
        reply = c.ask(f"MAIL FROM:<{sender}>")
        if reply.code == 250:
            reply = c.ask("RCPT TO:<u@example.com>")
        took = time.monotonic() - begun
        c.ask("QUIT")
        return reply, took


def test_dns_existence(run):
    """Domains that exist and that do not, by nsd behind unbound."""
    run.need("nsd", "unbound")
    behind, port = udp_port(run), udp_port(run)
    nsd(run, behind)
    unbound(run, port, behind)
    postern = Postern(run, conf(FarEnd(run), f"127.0.0.1:{port}"))
    for name, code in (
        ("mailed", 250),
        ("addressed", 250),
        ("six", 250),
        ("alias", 250),
        ("MAILED", 250),
        ("null", 550),
        ("nullandaddress", 550),
        ("texts", 550),
        ("nowhere", 550),
        ("astray", 550),
        ("named", 550),
    ):
        reply, _ = mail(postern, f"a@{name}.zone.example")
        run.same(f"{name}: {reply.text}", reply.code, code)
    run.same("named has NS all the same", resolves(port, "named.zone.example", kind=2), 0)
    reply, _ = mail(postern, "a@lame.zone.example")
    run.same("a delegation to nobody is unknown: its MX may be there", reply.code, 451)
    reply, _ = mail(postern, "a@outside.example")
    run.same("what unbound cannot find out is unknown", reply.code, 451)
    run.same("<> has a domain that resolves", mail(postern, "")[0].code, 250)
    run.same("so has a literal", mail(postern, "a@[192.0.2.1]")[0].code, 250)


def test_dns_authority(run):
    """nsd alone, without a resolver in front of it: NS alone is not existence."""
    run.need("nsd")
    port = udp_port(run)
    nsd(run, port)
    postern = Postern(run, conf(FarEnd(run), f"127.0.0.1:{port}"))
    for name, code in (("mailed", 250), ("null", 550), ("nowhere", 550), ("texts", 550), ("named", 550)):
        run.same(name, mail(postern, f"a@{name}.zone.example")[0].code, code)
    run.same("REFUSED is unknown", mail(postern, "a@other.example")[0].code, 451)


def test_dns_lists(run):
    """Lists of addresses: listed with the text, not listed, a list that is broken."""
    run.need("nsd", "unbound")
    behind, port = udp_port(run), udp_port(run)
    nsd(run, behind)
    unbound(run, port, behind)
    checks = """
check welcome { when dnswl("white.zone.example")  skip listed }
check listed {
    when   dnsbl("bl.zone.example") = {127.0.0.2-127.0.0.11}
    reject 550 5.7.1 "%{client.ip} is listed: %{dnsbl.text}"
}
check broken { when dnsbl("dead.zone.example")  reject 550 5.7.1 "by a list that lists all" }
"""
    postern = Postern(run, conf(FarEnd(run), f"127.0.0.1:{port}", checks))
    run.same("not listed", mail(postern, "a@example.com", "127.0.0.77")[0].code, 250)
    reply, _ = mail(postern, "a@example.com", "127.0.9.9")
    run.same("listed", reply.code, 550)
    run.has("with the list's text", reply.text, "127.0.9.9 is listed: 127.0.9.9 sent junk")
    run.same("listed, and known to be good", mail(postern, "a@example.com", "127.0.9.10")[0].code, 250)
    run.ok("a list that lists all is told of", postern.wait_log("dead.zone.example"), postern.log())


def test_dns_trouble(run):
    """SERVFAIL, silence and a resolver that is dead are unknown; one that comes back is asked again."""
    port = udp_port(run)
    server, journal = stub(run, port)
    postern = Postern(run, conf(FarEnd(run), f"127.0.0.1:{port}"))
    run.same("there", mail(postern, "a@a1.example")[0].code, 250)
    run.same("no such name", mail(postern, "a@none1.example")[0].code, 550)
    run.same("SERVFAIL", mail(postern, "a@fail1.example")[0].code, 451)
    reply, took = mail(postern, "a@dead1.example")
    run.same("silence", reply.code, 451)
    run.ok("it took no longer than DNS may", took < 12, took)
    n = len(read(journal).splitlines())
    run.same("again", mail(postern, "a@a1.example")[0].code, 250)
    run.same("it was not asked again", len(read(journal).splitlines()), n)
    end(server)
    reply, took = mail(postern, "a@a2.example")
    run.same("the resolver is gone", reply.code, 451)
    run.ok("it is known to be soon", took < 12, took)
    stub(run, port)
    back = time.monotonic()
    good = until(lambda: mail(postern, f"a@b{time.monotonic_ns()}.example")[0].code == 250, 60, 1)
    run.ok("it is back", good, postern.log())
    run.note(f"found to be back after {time.monotonic() - back:.1f} s")


def test_dns_second(run):
    """Of two resolvers one is dead: the other one's answers come in time."""
    port = udp_port(run)
    stub(run, port)
    postern = Postern(run, conf(FarEnd(run), f"127.0.0.1:{udp_port(run)} 127.0.0.1:{port}"))
    slowest = 0
    for i in range(12):
        reply, took = mail(postern, f"a@s{i}.example")
        slowest = max(slowest, took)
        if not run.same(f"question {i}", reply.code, 250):
            return
    run.note(f"the slowest took {slowest:.2f} s")


def test_dns_client_gone(run):
    """Clients that leave while the DNS is asked: nothing of them stays."""
    port = udp_port(run)
    stub(run, port, 700)
    postern = Postern(run, conf(FarEnd(run), f"127.0.0.1:{port}"))
    clients = []
    for i in range(50):
        clients.append(Client(postern.port))
        clients[-1].ask("EHLO client.example")
        clients[-1].send(f"MAIL FROM:<a@late{i}.example>\r\n".encode())
    time.sleep(0.5)
    for c in clients:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()
    run.same("another is served", mail(postern, "a@c1.example")[0].code, 250)
    begun = time.monotonic()
    run.same("it ends in order", postern.stop(20), 0)
    run.ok("and does not wait for answers to nobody", time.monotonic() - begun < 4, postern.log())


def test_dns_explain(run):
    """A made-up session asks the real DNS: each answer with its source, and what is unknown."""
    port = udp_port(run)
    stub(run, port)
    postern = Postern(run, conf(FarEnd(run), f"127.0.0.1:{port}"), start=False)
    for domain, *told in (
        ("a1", "check exists does not fire", "a1.example resolves: yes (MX a1.example "),
        ("none1", "check exists fires: 550 5.7.27", "none1.example resolves: no (MX none1.example no such name"),
        ("fail1", "check exists cannot be decided, and says: 451 4.4.3", "fail1.example resolves: unknown (MX "),
        ("dead1", "check exists cannot be decided, and says: 451 4.4.3", "dead1.example resolves: unknown (MX "),
    ):
        begun = time.monotonic()
        out = subprocess.run(
            [PROGRAM, "explain", "-c", postern.file, "--client", "127.0.0.9"]
            + ["--mail", f"a@{domain}.example", "--rcpt", "u@example.com"],
            capture_output=True, text=True, timeout=60, check=False,
        )
        run.same(f"{domain}: exit status", out.returncode, 0)
        for text in told:
            run.has(domain, out.stdout, text)
        run.ok(f"{domain}: no longer than DNS may take", time.monotonic() - begun < 12, out.stdout)
