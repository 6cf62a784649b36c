"""soak_wild -- the clients: slow ones, torn ones, silent ones, and a crowd of them that can rest.

They keep what became of each letter (soak_letter) and who waited in vain; whether that is right is
not theirs to say."""
import socket
import struct
import threading
import time

import sasl
from client import Client, Crowd, Lost, Refused, context
from soak_letter import Letter


class Wild(Client):
    """A client that may be slow, and that may reset its connection behind so many octets."""

    budget, slow, reset = None, None, False

    def send(self, octets):
        step = max(1, len(octets) // 20) if self.slow else len(octets) or 1
        for at in range(0, len(octets), step):
            piece = octets[at : at + step]
            if self.budget is not None and len(piece) >= self.budget:
                super().send(piece[: self.budget])
                self.tear()
            super().send(piece)
            if self.budget is not None:
                self.budget -= len(piece)
            if self.slow:
                time.sleep(self.slow)
        if self.reset:
            self.tear()

    def tear(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()
        raise Lost("reset by ourselves")


class Wilds(Crowd):
    """Clients with habits, that rest while the gate is shut.

    letters: all that they began; late: sessions that waited too long; active: who is in one."""

    # How often each is taken.  torn: resets somewhere; reset: behind the end of its text; silent:
    # stops within a command; idle: stops between two.
    HABITS = {"plain": 8, "slow": 1, "torn": 3, "reset": 2, "silent": 1, "idle": 1}

    def __init__(self, port, tls, seed):
        super().__init__(port, threads=12, seed=seed)
        self.tls, self.letters, self.late, self.active = tls, {}, [], set()
        self.gate = threading.Event()

    def run(self, r, number):
        n = 0
        while not self.stopping.is_set():
            if not self.gate.wait(0.2):
                continue
            self.active.add(number)
            try:
                n += 1
                self.session(r, f"s{number}-{n}")
            except TimeoutError as e:
                self.late.append(f"s{number}-{n} {time.strftime('%T', time.gmtime())} {e}")
            except (Refused, Lost, OSError) as e:
                self.events[f"{type(e).__name__} {str(e)[:60]}"] += 1
            finally:
                self.active.discard(number)
            time.sleep(r.random() * 0.2)

    def session(self, r, tag):
        habit = r.choices(*zip(*self.HABITS.items()))[0]
        implicit = r.random() < 0.15
        source = f"127.0.0.{r.randrange(2, 9)}"
        port = self.tls if implicit else self.port
        with Wild(port, source=source, timeout=45, tls=context() if implicit else None) as c:
            self.assume(c, r, habit)
            self.hello(c, r, implicit)
            for k in range(r.choice((1, 1, 1, 2, 5))):
                if self.gate.is_set():
                    letter = self.letters[f"{tag}-{k}"] = Letter(r, f"{tag}-{k}")
                    letter.send(c, r, habit == "reset")
            self.leave(c, r, habit)

    def assume(self, c, r, habit):
        c.slow = 0.02 if habit == "slow" else None
        # Many end within the first commands, some within the text of a large message.
        c.budget = r.choice((200, 1000, 5000, 60000, 300000)) if habit == "torn" else None
        c.budget = c.budget and r.randrange(c.budget)

    def hello(self, c, r, implicit):
        """EHLO, and for some TLS and a user."""
        c.ehlo("c.client.example" if r.random() < 0.97 else "short")
        if not implicit and r.random() < 0.25:
            c.starttls()
            c.ehlo("c.client.example")
        if "AUTH" in c.words and r.random() < 0.1:
            user = "u@example.com" if r.random() < 0.9 else "bad@example.com"
            # The user's name is to be seen in the line: PLAIN behind its initial response.
            c.ask("AUTH PLAIN " + sasl.plain(user, "x"), 235)

    def leave(self, c, r, habit):
        """QUIT, or nothing until Postern has had enough."""
        if habit == "silent":
            c.send(r.choice((b"MAIL FRO", b"NOOP\r", b"RSET\r\nMAIL FROM:<a@b")))
        if habit in ("silent", "idle"):
            c.sock.settimeout(20)  # more than command-timeout
            while c.reply().code != 421:
                pass
        else:
            c.ask("QUIT")
