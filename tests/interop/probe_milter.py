"""probe_milter -- tests/milter/probe.c once more, on Debian's python3-milter: the same orders, the same journal.

Usage: probe_milter.py SOCKET [journal=FILE]; see probe.c for the orders."""
import re
import sys

import Milter

ANSWERS = {
    "continue": Milter.CONTINUE,
    "reject": Milter.REJECT,
    "tempfail": Milter.TEMPFAIL,
    "accept": Milter.ACCEPT,
    "discard": Milter.DISCARD,
    "skip": Milter.SKIP,
    "reply554": Milter.REJECT,
    "reply451": Milter.TEMPFAIL,
    "reply421": Milter.TEMPFAIL,
    "mlreply550": Milter.REJECT,
}
WORDS = list(ANSWERS)
MACROS = (
    "j v _ {daemon_name} {daemon_addr} {if_name} {if_addr} {client_addr} {client_name} {client_ptr} {tls_version} {cipher}"
    " {auth_type} {auth_authen} {mail_addr} {mail_host} {mail_mailer} {rcpt_addr} {rcpt_host} {rcpt_mailer} {msg_id}"
).split()
VARYING = "i {client_port} {daemon_port}".split()
LINE = b"a line of a body that a filter has made, sixty octets long\r\n"
journal = None


def printed(text):
    return "".join(c if " " <= c <= "~" and c != "\\" else f"\\x{ord(c):02x}" for c in text)


def unescaped(text):
    return text.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t")


def word_behind(text, key):
    """WORD of <KEYword+...@...> or KEYword.something; None: there is none."""
    m = re.match(r"<?" + key + r"([^+.@>]*)", text)
    return m and m.group(1)


class Probe(Milter.Base):
    def __init__(self):
        self.id = Milter.uniqueID()
        self.told = ""
        self.counts = dict.fromkeys("connect helo mail rcpt data header eoh body eom abort close unknown".split(), 0)
        self.forget()

    def forget(self):
        self.orders, self.octets, self.body_seen, self.data_word = [], 0, False, None

    # --- the journal

    def begin(self, call):
        self.counts[call] += 1
        self.told += call

    def note_macros(self):
        for name in MACROS:
            value = self.getsymval(name)
            if value is not None:
                self.told += f" {name}={printed(value)}"
        for name in VARYING:
            if self.getsymval(name) is not None:
                self.told += f" {name}"

    def end(self, status):
        self.told += "\n"
        return Milter.CONTINUE if status is None else status

    # --- orders

    def answer(self, word):
        status = ANSWERS.get(word)
        if status is not None and "reply" in word:
            code = word[-3:]
            lines = ["first line", "100%% of the second", "third"] if word[0] == "m" else ["the probe says 100%% so"]
            self.setreply(code, f"{code[0]}.7.9", *lines)
            self.told += " setreply=0"
        return status

    def edit(self, word, args):
        first, _, rest = args.partition(" ")
        second, _, third = rest.partition(" ")
        rest, third = unescaped(rest), unescaped(third)
        edits = {
            "replacebody": lambda: self.replacebody(unescaped(args).encode()),
            "replacebig": lambda: self.replace_big(int(first)),
            "counts": self.add_counts,
            "progress": self.progress,
            "addheader": lambda: self.addheader(first, rest),
            "addrcpt": lambda: self.addrcpt(first),
            "addrcpt_par": lambda: self.addrcpt(first, rest),
            "delrcpt": lambda: self.delrcpt(first),
            "chgfrom": lambda: self.chgfrom(first, rest or None),
            "quarantine": lambda: self.quarantine(first),
            "insheader": lambda: self.addheader(second, third, int(first)),
            "chgheader": lambda: self.chgheader(first, int(second), third),
        }
        try:
            edits[word]()
            return 0
        except Milter.milter.error:
            return -1

    def add_counts(self):
        self.addheader("X-Probe", " ".join(f"{k}={n}" for k, n in self.counts.items()))

    def replace_big(self, kib):
        left = kib * 1024
        while left > 0:
            n = left // 60 * 60 + 60 if left < 60000 else 60000
            self.replacebody(LINE * (n // 60))
            left -= n

    def carry_out(self, order):
        word, _, args = order.partition(" ")
        status = self.answer(word)
        if status is None:
            self.told += f" {word}={self.edit(word, args)}"
        return status

    def carry_out_all(self, stage):
        for order in self.orders:
            if order.startswith(stage + " "):
                status = self.carry_out(order[len(stage) + 1 :])
                if status is not None:
                    return status
        return None

    # --- the callbacks

    def negotiate(self, opts):
        self.told += f"negotiate actions={opts[0]:x} steps={opts[1] & 0x1FFFFF:x}\n"
        return Milter.ALL_OPTS

    def connect(self, hostname, family, hostaddr):
        self.begin("connect")
        address = hostaddr[0] if hostaddr else "-"
        m = re.match(r"127\.0\.2\.(\d+)$", address)
        status = self.answer(WORDS[int(m.group(1)) - 1]) if m else None
        self.told += f" {hostname} {int(family)} {address}"
        self.note_macros()
        return self.end(status)

    def hello(self, hostname):
        self.begin("helo")
        self.told += " " + hostname
        status = self.answer(word_behind(hostname, "do-"))
        self.note_macros()
        return self.end(status)

    def envelope(self, call, address, args):
        self.begin(call)
        self.told += "".join(" " + printed(x) for x in (address, *args))
        status = self.answer(word_behind(address, "do-"))
        self.note_macros()
        return self.end(status)

    def envfrom(self, address, *args):
        self.forget()
        self.data_word = word_behind(address, "data-")
        return self.envelope("mail", address, args)

    def envrcpt(self, address, *args):
        return self.envelope("rcpt", address, args)

    def data(self):
        self.begin("data")
        status = self.answer(self.data_word)
        self.note_macros()
        return self.end(status)

    def unknown(self, cmd):
        self.begin("unknown")
        self.told += " " + printed(cmd)
        status = self.answer(cmd[4:]) if cmd.startswith("XDO ") else None
        self.note_macros()
        return self.end(status)

    def header(self, field, value):
        self.begin("header")
        self.told += f" {printed(field)}:{printed(value)}"
        status = None
        if field.lower() == "x-do":
            if value.startswith("header "):
                status = self.carry_out(value[7:])
            else:
                self.orders.append(value)
        return self.end(status)

    def eoh(self):
        self.begin("eoh")
        status = self.carry_out_all("eoh")
        self.note_macros()
        return self.end(status)

    def body(self, chunk):
        self.begin("body")
        total = 0
        for octet in chunk:
            total = (total * 31 + octet) & 0xFFFFFFFF
        self.told += f" {len(chunk)} {total:08x}"
        status = None if self.body_seen else self.carry_out_all("body")
        self.body_seen = True
        self.octets += len(chunk)
        return self.end(status)

    def eom(self):
        self.begin("eom")
        self.told += f" octets={self.octets}"
        status = self.carry_out_all("eom")
        self.note_macros()
        self.forget()
        return self.end(status)

    def abort(self):
        self.begin("abort")
        self.forget()
        return self.end(None)

    def close(self):
        if journal and self.told:
            with open(journal, "a", encoding="ascii") as f:
                f.write(self.told + "close\n")
        self.told = ""
        return Milter.CONTINUE


def main(argv):
    global journal
    for word in argv[2:]:
        key, _, value = word.partition("=")
        if key != "journal":
            sys.exit(f"what is `{word}'?")
        journal = value
    Milter.factory = Probe
    Milter.set_flags(0x1FF)
    Milter.runmilter("probe", argv[1], 0)


if __name__ == "__main__":
    main(sys.argv)
