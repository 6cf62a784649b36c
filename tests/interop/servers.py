"""servers -- Postern, Postfix, Dovecot and the far end as processes of a test."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from harness import HERE, PROGRAM, SOURCE, answers, end, find, read, until

SNIPPETS = os.path.join(SOURCE, "doc", "before-postfix.d")

SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|[Aa]ssertion")


class FarEnd:
    """The SMTP server that takes all, see far_end.py."""

    def __init__(self, run, name="far", keep=False, **options):
        self.port = run.port()
        self.journal = run.path(f"{name}.{self.port}.journal")
        self.kept = run.folder(name + ".kept") if keep else None
        argv = [
            sys.executable,
            "-B",
            os.path.join(HERE, "far_end.py"),
            str(self.port),
            self.journal,
        ]
        for key, value in options.items():
            argv += ["--" + key.replace("_", "-")] + ([] if value is True else [str(value)])
        argv += ["--keep", self.kept] if keep else []
        self.process = run.start(argv, run.path(name + ".log"))
        if not until(lambda: answers(self.port), 10):
            raise RuntimeError("the far end does not listen:\n" + read(run.path(name + ".log")))

    def entries(self):
        return [json.loads(line) for line in read(self.journal).splitlines()]

    def text(self, entry):
        with open(os.path.join(self.kept, entry["sha"]), "rb") as f:
            return f.read()

    def wait(self, test, seconds=20):
        """Waits until a message for which test(entry) is there, and gives it, or None."""
        return until(lambda: next((e for e in self.entries() if test(e)), None), seconds, 0.1)

    def wait_for(self, address, seconds=20):
        return self.wait(lambda e: any(address in to for to in e["to"]), seconds)


class Postern:
    """One `postern run`."""

    def __init__(self, run, conf, name="postern", start=True):
        """conf: the text of a configuration, in which @PORT@ is the first port."""
        self.run, self.name, self.port = run, name, run.port()
        self.file = run.path(name + ".conf")
        self.log_file = run.path(name + ".log")
        if os.path.exists(self.log_file):
            os.rename(self.log_file, self.log_file + f".{self.port}")
        self.write(conf)
        self.process = None
        run.check_at_end.append(self.no_crash)
        if start:
            self.start()

    def write(self, conf):
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(conf.replace("@PORT@", str(self.port)))

    def start(self, through=()):
        """through: words of a command that runs it."""
        self.process = self.run.start([*through, PROGRAM, "run", "-c", self.file], self.log_file)
        if not until(lambda: " master ready " in self.log() or self.process.poll() is not None, 15):
            raise RuntimeError("Postern is not ready:\n" + self.log())
        if self.process.poll() is not None:
            raise RuntimeError("Postern has ended:\n" + self.log())

    def log(self):
        return read(self.log_file)

    def lines(self, *parts):
        return [x for x in self.log().splitlines() if all(p in x for p in parts)]

    def wait_log(self, *parts, seconds=10, n=1):
        return until(lambda: len(self.lines(*parts)) >= n, seconds)

    def workers(self):
        pid = self.process.pid
        return [int(x) for x in read(f"/proc/{pid}/task/{pid}/children").split()]

    def count_log(self, n, *parts, seconds=10):
        """How many such lines there are, once there are n: a line comes a little later than what it tells of."""
        self.wait_log(*parts, seconds=seconds, n=n)
        return len(self.lines(*parts))

    def no_crash(self):
        """At the end of a test: only workers that we killed have died, no sanitizer has spoken."""
        bad = [x for x in self.lines("worker-death") if "signal=SIGKILL" not in x]
        bad += [x for x in self.log().splitlines() if SANITIZER.search(x)]
        self.run.ok("no worker died by itself", not bad, "\n".join(bad) or self.log())

    def signal(self, sig):
        self.process.send_signal(sig)

    def reload(self, seconds=15):
        before = len(self.lines(" master reloaded"))
        self.signal(signal.SIGHUP)
        return self.wait_log(" master reloaded", seconds=seconds, n=before + 1)

    def stop(self, seconds=15):
        """SIGTERM; gives the exit status, or None when it had to be killed."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


def before_postfix(name, postern_port, postfix_port, more=""):
    """A configuration of doc/before-postfix.d with ports of ours, and no user to change to."""
    text = read(os.path.join(SNIPPETS, name))
    text = re.sub(r"^listen +0\.0\.0\.0:25$", f"listen 127.0.0.1:{postern_port}", text, flags=re.M)
    text = re.sub(r"^listen +\[::\]:25$", "", text, flags=re.M)
    text = text.replace("127.0.0.1:10025", f"127.0.0.1:{postfix_port}")
    text = re.sub(r"^user .*$", f"user {nobody()}", text, flags=re.M)
    return text + more


def nobody():
    """Whom workers become: nobody; who is not root stays."""
    return "nobody"


MAIN = """compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = {dir}/maillog
maillog_file_prefixes = {dir}
myhostname = behind.example.com
myorigin = example.com
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = all
relay_domains = example.com
relay_transport = relay:[127.0.0.1]:{far}
default_transport = smtp:[127.0.0.1]:{far}
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtp_tls_security_level = none
smtp_line_length_limit = 0
disable_mime_output_conversion = yes
local_header_rewrite_clients =
in_flow_delay = 0
notify_classes =
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_process_limit = 120
initial_destination_concurrency = 20
"""


class Postfix:
    """Debian's Postfix with a configuration, a queue and a log of its own.

    master_file, main.cf: of doc/before-postfix.d; master.cf is Debian's with that in place of
    its smtp service, as doc/before-postfix says."""

    def __init__(self, run, far, master_file="master.cf", name="postfix", main="", options=""):
        run.need("root", "postfix")
        self.run, self.port, self.dir = run, run.port(), run.folder(name)
        self.conf, self.log_file = os.path.join(self.dir, "conf"), os.path.join(self.dir, "maillog")
        for below in ("conf", "data", "spool"):
            os.makedirs(os.path.join(self.dir, below), exist_ok=True)
        shutil.chown(os.path.join(self.dir, "data"), "postfix")
        self.main = (
            MAIN.format(dir=self.dir, far=far) + read(os.path.join(SNIPPETS, "main.cf")) + main
        )
        run.put(os.path.join(self.conf, "main.cf"), self.main)
        run.put(os.path.join(self.conf, "master.cf"), self.master(master_file, options))
        self.process = None
        run.at_end.append(self.stop)
        self.start()

    def master(self, master_file, options):
        text = read("/etc/postfix/master.cf.proto") or read("/usr/share/postfix/master.cf.dist")
        ours = read(os.path.join(SNIPPETS, master_file)).replace(
            "127.0.0.1:10025", f"127.0.0.1:{self.port}"
        )
        text = re.sub(
            r"^smtp +inet .*\n(?:[ \t].*\n)*",
            lambda _: ours.rstrip("\n") + "\n" + options,
            text,
            flags=re.M,
        )
        if not re.search(r"^postlog ", text, flags=re.M):
            text += "postlog unix-dgram n - n - 1 postlogd\n"
        return text

    def start(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("MAIL_")}
        self.process = self.run.start(
            [find("postfix"), "-c", self.conf, "start-fg"],
            os.path.join(self.dir, "start.log"),
            group=True,
            env=env,
        )
        if (
            not until(lambda: answers(self.port) or self.process.poll() is not None, 20)
            or self.process.poll() is not None
        ):
            raise RuntimeError(
                "Postfix does not start:\n" + read(os.path.join(self.dir, "start.log")) + self.log()
            )

    def stop(self):
        """`postfix stop`, which waits for the end of its master."""
        if self.process is None:
            return
        try:
            self.run.command([find("postfix"), "-c", self.conf, "stop"], 20)
        finally:
            end(self.process, 10)
            self.process = None

    def reload_with(self, main):
        """Other settings, through `postfix reload`."""
        self.run.put(os.path.join(self.conf, "main.cf"), self.main + main)
        return self.run.command([find("postfix"), "-c", self.conf, "reload"])

    def log(self):
        return read(self.log_file)

    def wait_log(self, pattern, seconds=10):
        """Waits for a line that matches, and gives the match."""
        return until(lambda: re.search(pattern, self.log(), flags=re.M), seconds, 0.1)

    def flushed(self, seconds=30):
        """Waits until the queue is empty."""

        def empty():
            return not any(
                files
                for q in ("incoming", "active", "deferred", "maildrop")
                for _, _, files in os.walk(os.path.join(self.dir, "spool", q))
            )

        return until(empty, seconds, 0.2)


DOVECOT = """base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
auth_verbose = yes
protocols = lmtp
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
default_internal_user = dovecot
default_login_user = dovenull
mail_location = maildir:~/Maildir
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {dir}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={dir}/mail/%n allow_all_users=yes
}}
service auth {{
  unix_listener {dir}/auth {{
    mode = 0666
  }}
}}
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service lmtp {{
  unix_listener {dir}/lmtp {{
    mode = 0666
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@example.com
}}
"""


class Dovecot:
    """Debian's Dovecot with files of its own: SASL at `auth`, LMTP at `lmtp` and a port of loopback."""

    def __init__(self, run, users, name="dovecot"):
        """users: {name: password}."""
        run.need("root", "dovecot")
        if not os.path.exists("/usr/lib/dovecot/lmtp"):
            run.need("dovecot-lmtpd")
        self.run, self.dir, self.port = run, run.folder(name), run.port()
        self.auth, self.lmtp = os.path.join(self.dir, "auth"), os.path.join(self.dir, "lmtp")
        run.folder(name, "mail", mode=0o777)
        run.put(
            os.path.join(self.dir, "users"), "".join(f"{u}:{{PLAIN}}{p}\n" for u, p in users.items())
        )
        conf = run.put(
            os.path.join(self.dir, "dovecot.conf"), DOVECOT.format(dir=self.dir, port=self.port)
        )
        self.process = run.start(
            [find("dovecot"), "-F", "-c", conf], os.path.join(self.dir, "start.log"), group=True
        )
        if not until(lambda: answers(self.port) or self.process.poll() is not None, 20):
            raise RuntimeError("Dovecot does not listen:\n" + self.log())
        if self.process.poll() is not None:
            raise RuntimeError(
                "Dovecot has ended:\n" + read(os.path.join(self.dir, "start.log")) + self.log()
            )

    def log(self):
        return read(os.path.join(self.dir, "log"))

    def letters(self, user):
        """The texts in a user's Maildir."""
        out = []
        for path in glob.glob(os.path.join(self.dir, "mail", user, "Maildir", "new", "*")):
            with open(path, "rb") as f:
                out.append(f.read())
        return out


def pool_of(conf, **more):
    """A configuration for a server that takes all mail for example.com."""
    lines = {"workers": 2, "listen": "127.0.0.1:@PORT@", "drain": "20s"}
    lines.update(more)
    text = "hostname mx.example.com\n" + "".join(
        f"{k} {v}\n" for k, v in lines.items() if v is not None
    )
    return text + conf + "\ndomains ours { example.com }\nrelay { allow to ours }\n"


def tls_files(run, name, common_name):
    """A key and a certificate of its own; gives the path of both."""
    pem = run.path(name + ".pem")
    run.need("openssl")
    status, out = run.command(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            pem,
            "-out",
            pem + ".crt",
            "-days",
            "2",
            "-subj",
            "/CN=" + common_name,
        ]
    )
    if status != 0:
        raise RuntimeError(out)
    return pem + ".crt", pem


def owner_of(client, workers):
    """Which of the workers holds the other end of a client's connection (by /proc), or None."""
    for _ in range(20):  # the table changes while it is read
        inode = inode_of(client.sock.getpeername()[1], client.sock.getsockname()[1])
        for pid in workers if inode else ():
            try:
                if any(
                    os.readlink(fd) == f"socket:[{inode}]" for fd in glob.glob(f"/proc/{pid}/fd/*")
                ):
                    return pid
            except OSError:
                continue
        settle(0.02)
    return None


def inode_of(server_port, client_port):
    """The server's socket of a connection over loopback."""
    for line in read("/proc/net/tcp").splitlines()[1:]:
        f = line.split()
        if (int(f[1].split(":")[1], 16), int(f[2].split(":")[1], 16)) == (
            server_port,
            client_port,
        ) and f[9] != "0":
            return f[9]
    return None


def settle(seconds=0.2):
    """For what has no sign by which one could tell that it is done."""
    time.sleep(seconds)
