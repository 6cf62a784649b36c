"""A milter that says what it is told to, by hand: not a library's, so that it can talk nonsense.

    milter-peer.py SOCKET [COMMAND=ANSWER[|ANSWER...]]...

COMMAND is the letter of a packet (O is the negotiation), ANSWER a packet with \\x escapes and without its length;
"!" in front: octets as they are.  An empty ANSWER: silence.  Whatever is not named is answered "c".  Serves one
connection, then ends.
"""
import socket
import struct
import sys

path, answers = sys.argv[1], {}
for word in sys.argv[2:]:
    command, said = word.split("=", 1)
    answers[command] = [a.encode().decode("unicode_escape").encode("latin-1") for a in said.split("|")]
answers.setdefault("O", [b"O" + struct.pack(">III", 6, 0x1FF, 0)])

listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(1)
listener.settimeout(30)
peer = listener.accept()[0]
peer.settimeout(30)
stream = peer.makefile("rb")
while True:
    head = stream.read(4)
    if len(head) < 4:
        break
    command = stream.read(struct.unpack(">I", head)[0])[:1].decode("latin-1")
    if command == "Q":
        break
    for answer in answers.get(command, [b""] if command in "DA" else [b"c"]):
        if answer.startswith(b"!"):
            peer.sendall(answer[1:])
        elif answer:
            peer.sendall(struct.pack(">I", len(answer)) + answer)
