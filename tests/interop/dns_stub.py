#!/usr/bin/env python3
"""dns_stub -- a name server on loopback that answers late, wrongly or never; for t_dns and tests/bench/dns.

    dns_stub.py PORT [MILLISECONDS] [JOURNAL]

A label of the name that begins so says what comes of any question for it: "dead" nothing, "fail" SERVFAIL,
"none" no such name, "late" the answer after 30 s; else MX 10 of the name itself, A 192.0.2.1 and TXT "stub",
nothing of other types.  All after so many milliseconds.  The journal gets a line for each question.
"""
import heapq
import select
import socket
import struct
import sys
import time

TYPES = {1: "A", 2: "NS", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 43: "DS", 48: "DNSKEY"}
SERVFAIL, NXDOMAIN = 2, 3
MOODS = ("dead", "fail", "none", "late")


def question(packet):
    """(name, type, octets up to the end of the question)"""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]])
        at += 1 + packet[at]
    return b".".join(labels).decode("latin-1").lower(), struct.unpack_from(">H", packet, at + 1)[0], at + 5


def record(kind, held):
    return b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 300, len(held)) + held


def mood(name):
    """The first label that says what is to come, or the first label."""
    labels = name.split(".")
    return next((x for x in labels if x.startswith(MOODS)), labels[0])


def answer(packet):
    """(name, type, packet or None)"""
    name, kind, end = question(packet)
    word, rcode, held = mood(name), 0, None
    if word.startswith("dead"):
        return name, kind, None
    if word.startswith("fail"):
        rcode = SERVFAIL
    elif word.startswith("none"):
        rcode = NXDOMAIN
    elif kind in (1, 15, 16) and name:
        held = {1: b"\xc0\x00\x02\x01", 15: b"\x00\x0a\xc0\x0c", 16: b"\x04stub"}[kind]
    head = packet[:2] + struct.pack(">HHHHH", 0x8180 | rcode, 1, 1 if held else 0, 0, 0)
    return name, kind, head + packet[12:end] + (record(kind, held) if held else b"")


def serve(port, delay, journal):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (33, socket.SO_RCVBUF):  # SO_RCVBUFFORCE is for root: a burst shall not be lost here
        try:
            s.setsockopt(socket.SOL_SOCKET, option, 8 << 20)
            break
        except PermissionError:
            pass
    s.bind(("127.0.0.1", port))
    s.setblocking(False)
    late, n = [], 0
    while True:
        wait = max(0, late[0][0] - time.monotonic()) if late else None
        if select.select([s], [], [], wait)[0]:
            for _ in range(64):
                try:
                    packet, peer = s.recvfrom(4096)
                except BlockingIOError:
                    break
                n += 1
                name, kind, reply = answer(packet)
                if journal:
                    print(name, TYPES.get(kind, kind), file=journal, flush=True)
                if reply is not None:
                    more = 30 if mood(name).startswith("late") else 0
                    heapq.heappush(late, (time.monotonic() + delay + more, n, reply, peer))
        while late and late[0][0] <= time.monotonic():
            _, _, reply, peer = heapq.heappop(late)
            s.sendto(reply, peer)


if __name__ == "__main__":
    serve(
        int(sys.argv[1]),
        int(sys.argv[2]) / 1000 if len(sys.argv) > 2 else 0,
        open(sys.argv[3], "a", encoding="utf-8") if len(sys.argv) > 3 else None,
    )
