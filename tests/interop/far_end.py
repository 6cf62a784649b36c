"""far_end -- the SMTP server at the far end: a program that takes all mail and keeps a journal.

Each message is one line of JSON, written before its 250: envelope, length and SHA-256 of the text
without its stuffed dots, of the body alone, the X-Letter field.  --keep keeps the texts, too."""
import argparse
import hashlib
import json
import os
import re
import socket
import sys
import threading
import time


QUEUE = re.compile(rb"by behind\.example\.com \(Postfix\) with \S+ id (\w+)")


class Gone(Exception):
    """The peer has closed."""


class Peer:
    """One connection: reads lines and counted octets."""

    def __init__(self, sock):
        self.sock, self.data = sock, bytearray()

    def more(self):
        got = self.sock.recv(262144)
        if not got:
            raise Gone()
        self.data += got

    def line(self):
        at = self.data.find(b"\n")
        while at < 0:
            start = len(self.data)
            self.more()
            at = self.data.find(b"\n", start)
        line = bytes(self.data[: at + 1])
        del self.data[: at + 1]
        return line

    def octets(self, n):
        while len(self.data) < n:
            self.more()
        got = bytes(self.data[:n])
        del self.data[:n]
        return got

    def text(self):
        """DATA's text up to CRLF.CRLF, dots undone."""
        if self.data[:3] != b".\r\n":
            at = self.data.find(b"\r\n.\r\n")
            while at < 0:
                start = max(0, len(self.data) - 4)
                self.more()
                if self.data[:3] == b".\r\n":
                    break
                at = self.data.find(b"\r\n.\r\n", start)
        if self.data[:3] == b".\r\n":
            del self.data[:3]
            return b""
        text = bytes(self.data[: at + 2])
        del self.data[: at + 5]
        text = text.replace(b"\r\n.", b"\r\n")
        return text[1:] if text[:1] == b"." else text

    def say(self, text):
        self.sock.sendall(text)


class Server:
    def __init__(self, args):
        self.args = args
        self.journal = os.open(args.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        words = [
            "far.end.example",
            "SIZE 100000000",
            "8BITMIME",
            "SMTPUTF8",
            "DSN",
            "ENHANCEDSTATUSCODES",
        ]
        words = [w for w in words if w not in args.lacks]
        words += [] if args.no_pipelining else ["PIPELINING"]
        words += [] if args.no_chunking else ["CHUNKING"]
        words += ["XCLIENT NAME ADDR PORT PROTO HELO"] if args.xclient else []
        self.ehlo = "".join(
            f"250{'-' if w is not words[-1] else ' '}{w}\r\n" for w in words
        ).encode()

    def note(self, mail, text, way):
        time.sleep(self.args.delay)
        at = text.find(b"\r\n\r\n")
        head, body = (text, b"") if at < 0 else (text[: at + 2], text[at + 4 :])
        fields = [f for f in head.split(b"\r\n") if f.lower().startswith(b"x-letter:")]
        entry = {
            "from": mail["from"],
            "to": mail["to"],
            "way": way,
            "n": len(text),
            "sha": hashlib.sha256(text).hexdigest(),
            "body": hashlib.sha256(body).hexdigest(),
            "queue": QUEUE.findall(head)[:1] and QUEUE.findall(head)[0].decode(),
            "letter": fields[0][9:].strip().decode() if fields else None,
            "client": mail["client"],
        }
        if self.args.keep:
            with open(os.path.join(self.args.keep, entry["sha"]), "wb") as f:
                f.write(text)
        os.write(self.journal, (json.dumps(entry) + "\n").encode())

    def session(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        p = Peer(sock)
        mail = {"from": None, "to": [], "client": {}}
        chunks = []
        p.say(b"220 far.end.example ESMTP\r\n")
        while True:
            line = p.line().rstrip(b"\r\n").decode("utf-8", "replace")
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                p.say(self.ehlo)
            elif verb == "HELO":
                p.say(b"250 far.end.example\r\n")
            elif verb == "XCLIENT":
                mail["client"].update(w.split("=", 1) for w in line.split(" ")[1:])
                p.say(b"220 far.end.example ESMTP\r\n")
            elif verb == "MAIL":
                mail["from"], mail["to"], chunks = line[10:], [], []
                p.say(b"250 2.1.0 Ok\r\n")
            elif verb == "RCPT":
                if self.args.refuse and self.args.refuse in line:
                    p.say(b"550 5.1.1 not here\r\n")
                else:
                    mail["to"].append(line[8:])
                    p.say(b"250 2.1.5 Ok\r\n")
            elif verb == "DATA":
                if not mail["to"]:
                    p.say(b"503 5.5.1 RCPT first\r\n")
                    continue
                p.say(b"354 go ahead\r\n")
                self.note(mail, p.text(), "data")
                p.say(b"250 2.0.0 Ok: taken by DATA\r\n")
                mail["to"] = []
            elif verb == "BDAT":
                chunks.append(p.octets(int(line.split(" ")[1])))
                if not mail["to"]:
                    p.say(b"503 5.5.1 RCPT first\r\n")
                elif line.upper().endswith(" LAST"):
                    self.note(mail, b"".join(chunks), "bdat")
                    p.say(b"250 2.0.0 Ok: taken by BDAT\r\n")
                    mail["to"] = []
                else:
                    p.say(b"250 2.0.0 Ok\r\n")
            elif verb == "QUIT":
                p.say(b"221 2.0.0 Bye\r\n")
                return
            elif verb in ("RSET", "NOOP"):
                mail["to"] = []
                p.say(b"250 2.0.0 Ok\r\n")
            else:
                p.say(b"500 5.5.2 what?\r\n")

    def serve(self, sock):
        try:
            self.session(sock)
        except (OSError, Gone):
            pass
        finally:
            sock.close()


def main():
    a = argparse.ArgumentParser()
    a.add_argument("port", type=int)
    a.add_argument("journal")
    a.add_argument("--lacks", action="append", default=[], help="8BITMIME, SMTPUTF8 or DSN")
    a.add_argument("--no-chunking", action="store_true")
    a.add_argument("--no-pipelining", action="store_true")
    a.add_argument("--xclient", action="store_true")
    a.add_argument("--refuse", help="refuse recipients with this in them")
    a.add_argument("--delay", type=float, default=0, help="seconds before the 250 for a message")
    a.add_argument("--keep", help="a folder for the texts")
    args = a.parse_args()
    server = Server(args)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", args.port))
    listener.listen(200)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=server.serve, args=(sock,), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
