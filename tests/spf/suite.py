#!/usr/bin/env python3
"""suite.py FILE -- the RFC 7208 test suite as lines that tests/unit/t_spf_suite.c reads.

    section NAME
    dns     NAME TYPE VALUE
    case    NAME HELO HOST MAILFROM RESULT[,RESULT] EXPLANATION

Fields stand apart by a tab; octets outside printable ASCII, and backslashes, are \\xNN.  An explanation is
DEFAULT (none of the domain's) or, where the suite says nothing of it, absent.

Conventions of the suite: a name without a TXT record has its SPF records as TXT; "TXT: NONE" says that it has none all
the same; TIMEOUT is the answer to each type that the name has no record of.
"""
import gzip
import sys

import yaml


def octets(value):
    return str(value).encode("latin-1")


def show(raw):
    return "".join(chr(c) if 0x20 <= c < 0x7F and c != 0x5C else "\\x%02x" % c for c in raw)


def name(text):
    """As in a master file: a blank is \\032."""
    return show(octets(text).rstrip(b".").replace(b" ", b"\\032") or b".")


def joined(value):
    if isinstance(value, list):
        return b"".join(octets(v) for v in value)
    return octets(value)


def records(entries):
    """(TYPE, VALUE) of one name."""
    txt = [e["TXT"] for e in entries if isinstance(e, dict) and "TXT" in e]
    spf = [e["SPF"] for e in entries if isinstance(e, dict) and "SPF" in e]
    for value in (txt or spf):
        if value != "NONE":
            yield "TXT", show(joined(value))
    for e in entries:
        if e == "TIMEOUT":
            # Nothing but TXT is ever asked of the names that have both.
            if not spf and not txt or "NONE" in txt:
                yield "TIMEOUT", ""
            continue
        kind, value = next(iter(e.items()))
        if kind == "MX":
            yield kind, "%d %s" % (value[0], name(value[1]))
        elif kind in ("PTR", "CNAME"):
            yield kind, name(value)
        elif kind not in ("SPF", "TXT"):
            yield kind, show(octets(value))


def main(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as f:
        for section in yaml.safe_load_all(f):
            print("section", section["description"], sep="\t")
            for domain, entries in section["zonedata"].items():
                for kind, value in records(entries):
                    print("dns", name(domain), kind, value, sep="\t")
            for title, case in section["tests"].items():
                result = case["result"]
                print("case", title, show(octets(case["helo"])), show(octets(case["host"])),
                      show(octets(case["mailfrom"])), ",".join(result) if isinstance(result, list) else result,
                      show(octets(case.get("explanation", ""))), sep="\t")


main(sys.argv[1])
