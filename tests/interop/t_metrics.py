"""What metrics say of a daemon that was made to do this and that, as Prometheus' own parser reads them."""
import http.client
import os
import signal
import socket
import time

from client import Client, Lost, Refused
from harness import Skip, until
from servers import Postern, pool_of
from t_sink import Sink


def parser():
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError as e:
        raise Skip("no python3-prometheus-client") from e
    return text_string_to_metric_families


def page(port, path="/metrics", method="GET"):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    c.request(method, path)
    r = c.getresponse()
    return r.status, r.read().decode()


def read(run, parse, port):
    """Every sample by its name and the values of its labels."""
    status, text = page(port)
    families = list(parse(text))
    run.same("it is there", status, 200)
    run.ok("each family is of a kind and told of", all(f.type != "unknown" and f.documentation for f in families))
    samples = [s for f in families for s in f.samples]
    run.ok("each has our name", all(s.name.startswith("postern_") for s in samples))
    got = {(s.name[8:], *s.labels.values()): s.value for s in samples}
    run.same("none is there twice", len(got), len(samples))
    return got


def send(port, to="u@example.com", times=1):
    """How many were taken."""
    n = 0
    for _ in range(times):
        try:
            with Client(port) as c:
                c.ehlo()
                c.mail([to])
                n += c.text_by_data(b"Subject: s\r\n\r\n" + b"text\r\n" * 100).code == 250
        except (Refused, Lost):
            pass
    return n


def test_metrics_count(run):
    """messages, refusals, sessions and servers, as Prometheus' parser reads them"""
    parse = parser()
    good, bad = Sink(run, ""), Sink(run, "-r RCPT")
    metrics = run.port()
    conf = pool_of(
        f"upstream 127.0.0.1:{good.port}\nupstream 127.0.0.1:{bad.port} pool other\n"
        f"upstream 127.0.0.1:{run.port()} pool other backup\n"
        "map where { \"other@example.com\" other }\nroute where\n"
        "check gone { when rcpt = \"gone@example.com\" reject \"no\" }\n"
        f"metrics 127.0.0.1:{metrics}\n",
        workers=2,
    )
    postern = Postern(run, conf)
    run.same("five are taken", send(postern.port, times=5), 5)
    run.same("none of these", send(postern.port, "gone@example.com", 3), 0)
    run.same("nor of these", send(postern.port, "other@example.com", 2), 0)
    got = {}

    def told():
        got.clear()
        got.update(read(run, parse, metrics))
        return got[("sessions_open",)] == 0 and got.get(("server_up", "default", f"127.0.0.1:{good.port}")) == 1

    run.ok("all sessions are over, and the server is up", until(told, 10), str(got))
    run.same("sessions", got[("sessions_total",)], 10)
    run.same("accepted", got[("messages_total", "accepted")], 5)
    run.same("in the histogram", got[("message_seconds_count",)], 5)
    run.same("refused by us", got[("refusals_total", "postern", "5xx")], 3)
    run.same("put off by the server", got[("refusals_total", "upstream", "4xx")], 2)
    run.same("the backup is down", [v for k, v in got.items() if k[:2] == ("server_up", "other")], [1, 0])
    run.same("workers", (got[("workers",)], got[("workers_serving",)]), (2, 2))
    run.ok("octets", got[("message_bytes_total",)] > 5 * 600, str(got))
    run.same("the log has as many messages", len(postern.lines(" message outcome=accepted")), 5)
    run.same("as many refusals", len(postern.lines(" refused stage=")), 5)
    run.same("Postern ends well", postern.stop(), 0)


def test_metrics_over_deaths_and_reloads(run):
    """a worker's death, a reload and one that fails: what was counted stays"""
    parse = parser()
    sink, metrics = Sink(run, ""), run.port()
    conf = pool_of(f"upstream 127.0.0.1:{sink.port}\nmetrics 127.0.0.1:{metrics}\n", workers=2)
    postern = Postern(run, conf)
    run.same("four are taken", send(postern.port, times=4), 4)
    os.kill(postern.workers()[0], signal.SIGKILL)
    run.ok("it is replaced", until(lambda: read(run, parse, metrics)[("workers_serving",)] == 2, 10))
    got = read(run, parse, metrics)
    run.same("the death is counted", got[("worker_deaths_total",)], 1)
    run.same("what it counted stays", got[("messages_total", "accepted")], 4)
    begun, loaded = got[("start_time_seconds",)], got[("load_time_seconds",)]
    time.sleep(1.1)
    run.ok("a reload", postern.reload())
    run.ok(
        "of it the new workers tell",
        until(lambda: read(run, parse, metrics)[("workers_serving",)] == 2, 10),
    )
    got = read(run, parse, metrics)
    run.same("what was counted stays", got[("messages_total", "accepted")], 4)
    run.same("one master", got[("start_time_seconds",)], begun)
    run.ok("which has loaded since", got[("load_time_seconds",)] > loaded)
    with open(postern.file, "a", encoding="utf-8") as f:
        f.write("nonsense\n")
    postern.signal(signal.SIGHUP)
    run.ok("a reload that fails", postern.wait_log("reload failed="))
    run.same("is told", read(run, parse, metrics)[("load_good",)], 0)
    postern.write(conf)
    run.ok("one that is good again", postern.reload())
    run.same("is told, too", read(run, parse, metrics)[("load_good",)], 1)
    run.same("Postern ends well", postern.stop(), 0)


def test_metrics_no_false_alarm(run):
    """a server that is up is never shown as down: not at the start, not by a reload or who asked before it"""
    parse = parser()
    sink, metrics = Sink(run, ""), run.port()
    postern = Postern(
        run, pool_of(f"upstream 127.0.0.1:{sink.port}\nmetrics 127.0.0.1:{metrics}\n", workers=1)
    )

    def shown(seconds=1.5):
        end, seen = time.monotonic() + seconds, set()
        while time.monotonic() < end:
            status, text = page(metrics)
            seen |= {s.value for f in parse(text) for s in f.samples if s.name == "postern_server_up"}
            time.sleep(0.02)
        return seen

    run.same("at the start", shown(), {1})
    with Client(postern.port) as held, socket.create_connection(("127.0.0.1", metrics), 5) as early:
        held.ehlo()
        early.sendall(b"GET /metrics HTTP/1.1\r\n")
        time.sleep(0.1)
        run.ok("a reload", postern.reload())
        run.same("behind it", shown(), {1})
        early.sendall(b"\r\n")
        with early.makefile("rb") as f:
            run.ok("of the old worker's none is down", b"server_up{" not in f.read())
    run.same("Postern ends well", postern.stop(), 0)


def test_metrics_refused_sessions(run):
    """421 in place of the greeting: why is a label, and what a stranger alone can reach is apart"""
    parse, metrics, sink = parser(), run.port(), Sink(run, "")
    conf = pool_of(
        f"upstream 127.0.0.1:{sink.port}\nmetrics 127.0.0.1:{metrics}\nlimits {{ sessions-per-client 1 }}\n",
        workers=1,
    )
    postern = Postern(run, conf)

    def refused():
        got = read(run, parse, metrics)
        return [got[("sessions_refused_total", why)] for why in ("room", "client", "servers")]

    with Client(postern.port):
        run.same("a second of the same client", send(postern.port), 0)
    run.same("is counted", refused(), [0, 1, 0])
    postern.write(conf.replace(f"upstream 127.0.0.1:{sink.port}", f"upstream 127.0.0.1:{run.port()}"))
    run.ok("a reload", postern.reload())
    run.same("no server", send(postern.port), 0)
    run.same("is counted apart", refused(), [0, 1, 1])
    run.same("Postern ends well", postern.stop(), 0)


def test_metrics_strangers(run):
    """other paths, other methods, nonsense, silence, and more of them than there is room for"""
    sink, metrics = Sink(run, ""), run.port()
    postern = Postern(
        run, pool_of(f"upstream 127.0.0.1:{sink.port}\nmetrics 127.0.0.1:{metrics}\n", workers=1)
    )
    run.same("no such page", page(metrics, "/")[0], 404)
    run.same("no such method", page(metrics, method="DELETE")[0], 405)
    run.same("HEAD has no body", page(metrics, method="HEAD"), (200, ""))
    for octets, want in ((b"EHLO x\r\n\r\n", b"400"), (b"a" * 9000, b"431"), (b"\0" * 20000 + b"\n\n", b"431")):
        with socket.create_connection(("127.0.0.1", metrics), 5) as s:
            s.sendall(octets)
            run.same(f"{octets[:8]!r}", s.recv(100)[9:12], want)
    begun = time.monotonic()
    silent = [socket.create_connection(("127.0.0.1", metrics), 5) for _ in range(40)]
    ends = [s.recv(1) for s in silent]
    run.ok("silence is not waited for", ends == [b""] * 40 and time.monotonic() - begun < 15)
    for s in silent:
        s.close()
    run.same("and the next is answered", page(metrics)[0], 200)
    run.same("mail goes on", send(postern.port), 1)
    run.same("Postern ends well", postern.stop(), 0)
