"""soak_letter -- what is sent: a letter drawn by chance, its way out, and what its sender was told.

It knows no habits: how octets leave, and whether they all do, is the client's (soak_wild).  Nor
does it judge: what should have become of it is soak_verdict's."""
import hashlib
import time

from client import Lost, Refused
from letters import stuffed

SUBJECTS = ("hello",) * 12 + ("suspect", "worthless", "unwanted")
SIZES = (100, 100, 2000, 2000, 20000, 20000, 150000, 700000)
TRAP = "trap@example.com"


class Letter:
    """how: acked, refused, dropped (before its last octet was sent) or unsure (no reply), with the
    code that was heard; own: its sender himself broke off; to: recipients that were taken."""

    def __init__(self, r, key):
        self.key, self.to, self.how, self.code, self.own = key, set(), "dropped", 0, False
        subject = r.choice(SUBJECTS)
        size = r.choice(SIZES)
        body = bytes(r.choices(b"abcdefgh.", k=70)) + b"\r\n"
        body = (body + b".dots\r\n") * (r.randrange(size) // 77 + 1)
        head = f"From: u@example.com\r\nSubject: {subject}\r\nX-Letter: {key}\r\nX-Odd: yes\r\n\r\n"
        self.raw, self.sha = head.encode() + body, hashlib.sha256(body).hexdigest()
        self.begun, self.ended = time.time(), None

    def __repr__(self):
        return f"{self.how} {self.code} own={self.own} {self.begun} to {self.ended} for {self.to}"

    def send(self, c, r, reset):
        """reset: the connection goes as soon as the end was sent."""
        try:
            reply = self.say(c, r, reset)
            self.how, self.code = ("acked" if reply.code == 250 else "refused"), reply.code
            if reply.code != 250:
                c.ask("RSET")
        except Refused as e:
            self.how, self.code = "refused", e.reply.code
            raise
        except (Lost, OSError) as e:
            self.own = "ourselves" in str(e)
            raise
        finally:
            # Thousands of them are kept to the end.
            self.ended, self.raw = time.time(), None

    def say(self, c, r, reset):
        """Envelope and text; gives the reply to its end."""
        bdat, pipelined = r.random() < 0.4, r.random() < 0.5
        self.envelope(c, r, pipelined)

        def ending():
            self.how, c.reset = "unsure", reset

        if bdat and r.random() < 0.5:
            ending()
            return c.text_by_bdat(self.raw, r)
        if bdat:
            return c.text_by_bdat(self.raw, r, before_end=ending)
        c.ask("DATA", 354)
        wire = stuffed(self.raw)
        c.send(wire[:-3])
        ending()
        c.send(wire[-3:])
        return c.reply()

    def envelope(self, c, r, pipelined):
        to = self.recipients(r)
        commands = [f"MAIL FROM:<{self.key}@client.example>"] + [f"RCPT TO:<{x}>" for x in to]
        if pipelined:
            c.send("".join(x + "\r\n" for x in commands).encode())
        replies = [c.reply() if pipelined else c.ask(x) for x in commands]
        taken = [x for x, reply in zip(to, replies[1:]) if reply.code == 250]
        self.to = set(taken) - {TRAP}
        if replies[0].code != 250 or not taken:
            raise Refused(next(x for x in replies if x.code != 250), "envelope")

    def recipients(self, r):
        names = [f"r{i}" for i in range(r.choice((1, 1, 2, 3, 60)))]
        names += ["trap"] if r.random() < 0.1 else []
        names = ["trap"] if r.random() < 0.03 else names
        return [n + "@example.com" for n in names] + ["x@foreign.example"] * (r.random() < 0.1)
