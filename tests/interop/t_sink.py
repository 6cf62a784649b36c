"""Postfix's smtp-sink as upstream, which can be told to misbehave at each command."""
import os

from client import Client, Lost, Refused
from harness import answers, find, until
from servers import Postern, pool_of

NEVER = (421, 451)

# smtp-sink's options, and the code that ends the client's wish to send one message
FAULTS = (
    ("-f MAIL", (500,)),
    ("-r MAIL", (450,)),
    ("-q MAIL", NEVER),
    ("-Q MAIL", NEVER),
    ("-f RCPT", (500,)),
    ("-r RCPT", (450,)),
    ("-q RCPT", NEVER),
    ("-Q RCPT", NEVER),
    ("-f DATA", (500,)),
    ("-r DATA", (450,)),
    ("-q DATA", NEVER),
    ("-Q DATA", NEVER),
    ("-f .", (500,)),
    ("-r .", (450,)),
    ("-q .", NEVER),
    ("-Q .", NEVER),
    ("-A 0", (550, 451)),
    ("-q CONNECT", NEVER),
    ("-Q CONNECT", NEVER),
    ("-f CONNECT", NEVER),
    ("-q EHLO", NEVER),
    ("-Q EHLO", NEVER),
    ("-r EHLO", (250,) + NEVER),
    ("-f EHLO", (250,)),
    ("-e", (250,)),
    ("-P", (250,)),
    ("-p", (250,)),
    ("-E", (250,)),
    ("-f RSET", (250,)),
    ("-q RSET", (250,)),
    ("-f QUIT", (250,)),
    ("-q QUIT", (250,)),
    ("-W RCPT:1", (250,)),
    ("-H 1", (250,)),
)

# smtp-sink's options, and what Postern offers before it and what it does not
OFFERS = (
    ("", "8BITMIME DSN PIPELINING CHUNKING ENHANCEDSTATUSCODES", "XCLIENT XFORWARD AUTH VRFY"),
    ("-8", "DSN PIPELINING", "8BITMIME SMTPUTF8"),
    ("-N", "8BITMIME", "DSN"),
    ("-p", "PIPELINING 8BITMIME", ""),
    ("-E", "ENHANCEDSTATUSCODES", ""),
    ("-e", "PIPELINING CHUNKING ENHANCEDSTATUSCODES", "8BITMIME DSN SMTPUTF8"),
)


class Sink:
    def __init__(self, run, options):
        run.need("smtp-sink")
        self.port, self.mail = run.port(), run.folder("mail", mode=0o777)
        self.dump = os.path.join(self.mail, str(self.port) + ".")
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        self.process = run.start(
            [
                find("smtp-sink"),
                *user,
                "-d",
                self.dump,
                *options.split(),
                f"127.0.0.1:{self.port}",
                "100",
            ],
            run.path("sink.log"),
        )
        until(lambda: answers(self.port), 5)


def one_message(port):
    """The code that ended it: 250 for one that was taken."""
    try:
        with Client(port) as c:
            c.ehlo()
            c.mail(["u@example.com"])
            return c.text_by_data(b"Subject: s\r\n\r\n" + b"text\r\n" * 1000 + b"the end\r\n").code
    except Refused as e:
        return e.reply.code
    except Lost:
        return 0


def test_sink_faults(run):
    """smtp-sink refuses, closes or says 421 at each command: what the client hears of it"""
    for options, want in FAULTS:
        sink = Sink(run, options)
        postern = Postern(
            run,
            pool_of(f"upstream 127.0.0.1:{sink.port}\nlimits {{ greeting-wait 1s }}\n", workers=1),
        )
        heard = [one_message(postern.port) for _ in range(2)]
        run.ok(
            f"{options}: {want}", all(h in want for h in heard), f"heard {heard}\n{postern.log()}"
        )
        run.same(f"{options}: Postern ends well", postern.stop(), 0)
        run.sweep()


def test_sink_offers(run):
    """what is offered follows what smtp-sink offers"""
    for options, there, absent in OFFERS:
        sink = Sink(run, options)
        postern = Postern(run, pool_of(f"upstream 127.0.0.1:{sink.port}\n", workers=1))
        with Client(postern.port) as c:
            c.ehlo()
        run.ok(f"{options or 'all'}: {there}", not set(there.split()) - set(c.words), c.words)
        run.ok(f"{options or 'all'}: not {absent}", not set(absent.split()) & set(c.words), c.words)
        run.sweep()


def test_sink_load(run):
    """smtp-source to smtp-sink: a thousand messages, each there once"""
    run.need("smtp-source")
    for more in ((), ("-d",)):
        sink = Sink(run, "")
        postern = Postern(
            run, pool_of(f"upstream 127.0.0.1:{sink.port}\nlimits {{ sessions-per-client 500 }}\n")
        )
        status, out = run.command(
            [
                find("smtp-source"),
                "-s",
                "50",
                "-m",
                "500",
                "-l",
                "4000",
                "-f",
                "a@client.example",
                "-t",
                "u@example.com",
                *more,
                f"127.0.0.1:{postern.port}",
            ],
            60,
        )
        run.ok("smtp-source comes to its end", status == 0, out)
        files = [x for x in os.listdir(sink.mail) if x.startswith(f"{sink.port}.")]
        run.same("500 are there", len(files), 500)
        run.ok("the log has as many", postern.wait_log("outcome=accepted", n=500))
        run.same("Postern ends well", postern.stop(), 0)
        run.sweep()
