"""sendmail -- Debian's Sendmail as a process of a test.

As a package it excludes Postfix, so it is not installed: the packages are fetched once, into a folder of the build,
and unpacked there.  SENDMAIL_TREE names a folder in which somebody has done so already."""
import glob
import os
import re
import shutil
import socket
import threading

from harness import PROGRAM, SOURCE, Skip, answers, end, find, read, until

PACKAGES = ("sendmail-bin", "sendmail-cf", "m4", "libsigsegv2")
PARTS = ("usr/bin", "usr/lib", "usr/libexec", "usr/share/sendmail/cf")  # make reads all files of obj that end in .d
CACHE = os.path.join(os.path.dirname(os.path.abspath(PROGRAM)), "obj", "tests", "interop", "sendmail")
MANUAL = os.path.join(SOURCE, "doc", "postern-milter.8")
PAGE = os.path.join(SOURCE, "doc", "before-sendmail.d")

MC = """divert(0)dnl
VERSIONID(`of an interop test')dnl
OSTYPE(`linux')dnl
define(`confPID_FILE', `{dir}/pid')dnl
define(`QUEUE_DIR', `{dir}/queue')dnl
define(`STATUS_FILE', `{dir}/statistics')dnl
define(`ALIAS_FILE', `')dnl
define(`HELP_FILE', `/nonexistent')dnl
define(`confCW_FILE', `-o /nonexistent')dnl
define(`confDOMAIN_NAME', `mx.example.com')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe')dnl
define(`confDEF_USER_ID', `mail:mail')dnl
define(`confTO_IDENT', `0')dnl
define(`confLOG_LEVEL', `14')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confDELAY_LA', `1000')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {far}')dnl
define(`RELAY_MAILER_MAXMSGS', `1')dnl
define(`SMART_HOST', `relay:[127.0.0.1]')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
RELAY_DOMAIN(`example.com')dnl
FEATURE(`accept_unresolvable_domains')dnl
DAEMON_OPTIONS(`Name=MTA, Family=inet, Addr=127.0.0.1, Port={port}')dnl
{more}
MAILER(`smtp')dnl
"""

# A host with a name of its own, whose few addresses a file knows, whose DNS refuses, and whose log is the test's.
APART = """set -e
cd "$1"
hostname mx.example.com
mount --bind resolv.conf /etc/resolv.conf
mount --bind hosts /etc/hosts
for node in null zero random urandom; do : >dev/$node; mount --bind /dev/$node dev/$node; done
mount --rbind dev /dev
mount --bind . /mnt
if [ -d sasl2 ]; then mount --bind sasl2 "$(cat sasl2/.place)"; fi
shift
exec "$@"
"""
HOSTS = "127.0.0.1 localhost mx.example.com\n127.0.0.3 client.example\n"


# --- the program

def fetch(run):
    """Unpacks the packages in the build's folder."""
    run.need("apt-get", "dpkg")
    work = run.folder("packages")
    script = 'cd "$1"; shift; exec timeout 60 apt-get -q -o APT::Sandbox::User=root download "$@"'
    status, out = run.command(["sh", "-c", script, "sh", work, *PACKAGES], 70)
    if status != 0:
        raise Skip("Sendmail's packages cannot be had: " + (out.splitlines() or ["too late"])[-1])
    for deb in glob.glob(os.path.join(work, "*.deb")):
        status, out = run.command([find("dpkg"), "-x", deb, work])
        if status != 0:
            raise RuntimeError(out)
    shutil.rmtree(CACHE + ".new", ignore_errors=True)
    for part in PARTS:
        shutil.copytree(os.path.join(work, part), os.path.join(CACHE + ".new", part), symlinks=True)
    os.rename(CACHE + ".new", CACHE)


def tree(run):
    """The folder in which Sendmail lies."""
    run.need("root", "unshare", "hostname", "mount")
    given = os.environ.get("SENDMAIL_TREE")
    if not given and not os.path.isdir(CACHE):
        fetch(run)
    where = given or CACHE
    program = os.path.join(where, "usr/libexec/sendmail/sendmail")
    if not os.path.exists(program):
        raise Skip(f"no Sendmail in {where}")
    missing = re.findall(r"(\S+) => not found", run.command([find("ldd"), program])[1])
    if missing:
        raise Skip("Sendmail lacks " + " ".join(missing))
    return where


def compiled(run, where, mc):
    """The text of sendmail.cf that m4 makes of that of an .mc."""
    cf = os.path.join(where, "usr/share/sendmail/cf") + "/"
    m4, libraries = find("m4"), None
    if m4 is None:
        m4 = os.path.join(where, "usr/bin/m4")
        libraries = dict(os.environ, LD_LIBRARY_PATH=":".join(glob.glob(os.path.join(where, "usr/lib/*-linux-gnu"))))
    run.put("sendmail.mc", mc)
    status, out = run.command([m4, f"-D_CF_DIR_={cf}", cf + "m4/cf.m4", run.path("sendmail.mc")], env=libraries)
    if status != 0:
        raise RuntimeError(out)
    return out[out.index("#####") :] if "#####" in out else out


def of_manual(title="Sendmail", which=0):
    """What postern-milter(8) has as an example, as written."""
    part = read(MANUAL).partition(f"\n.Ss {title}\n")[2].partition("\n.Ss ")[0]
    blocks = re.findall(r"^\.Bd -literal.*\n((?:.*\n)*?)\.Ed$", part, flags=re.M)
    return blocks[which]


def of_page(name):
    """A file of doc/before-sendmail.d."""
    return read(os.path.join(PAGE, name))


# --- the process

class Log(threading.Thread):
    """What syslog would hear."""

    def __init__(self, path, file):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.file = file
        self.start()

    def run(self):
        with open(self.file, "ab", 0) as f:
            while True:
                try:
                    line = self.socket.recv(65536)
                except OSError:
                    return
                f.write(line.rstrip(b"\0\n") + b"\n")


class Sendmail:
    """One `sendmail -bD' that passes all on to a port of loopback."""

    def __init__(self, run, far, more="", name="sendmail", users=None):
        """more: lines of sendmail.mc; users: {name: password}.  Sendmail sees its folder as /mnt, too: that of
        a test lies where anybody may write, and there it trusts no key and no socket."""
        self.run, self.port, self.dir = run, run.port(), run.folder(name)
        where = tree(run)
        for below in ("queue", "dev"):
            run.folder(name, below)
        self.put("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        self.put("hosts", HOSTS)
        mc = MC.format(dir=self.dir, far=far, port=self.port, more=more.replace("Port=10025", f"Port={self.port}"))
        if "DAEMON_OPTIONS" in more:  # in place of ours, which comes first
            mc = re.sub(r"^DAEMON_OPTIONS\(`Name=MTA,.*\n", "", mc, flags=re.M)
        text = compiled(run, where, mc)
        self.conf = self.put("sendmail.cf", text)
        if users:
            self.users(**users)
        self.log_file = os.path.join(self.dir, "maillog")
        Log(os.path.join(self.dir, "dev", "log"), self.log_file)
        self.program = os.path.join(where, "usr/libexec/sendmail/sendmail")
        self.start()

    def users(self, **passwords):
        """Users of example.com for SMTP AUTH, before the start."""
        self.run.need("saslpasswd2")
        plugins = glob.glob("/usr/lib/*/sasl2/libsasldb.so")
        if not plugins:
            raise Skip("no plugin sasldb of SASL")
        place = os.path.dirname(plugins[0])
        shutil.copytree(place, os.path.join(self.dir, "sasl2"), symlinks=True)
        self.put("sasl2/.place", place)
        self.put("sasl2/Sendmail.conf", "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: /mnt/users\n")
        for name, word in passwords.items():
            argv = [find("saslpasswd2"), "-p", "-c", "-f", os.path.join(self.dir, "users"), "-u", "mx.example.com", name]
            status, out = self.run.command(argv, stdin=word.encode())
            if status != 0:
                raise RuntimeError(out)

    def put(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def argv(self, *options):
        apart = [find("unshare"), "--mount", "--uts", "sh", "-c", APART, "sh", self.dir]
        return [*apart, self.program, "-C", self.conf, *options]

    def command(self, *options):
        """Another one of the same configuration, to its end."""
        return self.run.command(self.argv(*options))

    def start(self):
        out = os.path.join(self.dir, "start.log")
        self.process = self.run.start(self.argv("-bD"), out, group=True)
        self.run.at_end.append(self.stop)
        until(lambda: answers(self.port) or self.process.poll() is not None, 20)
        if self.process.poll() is not None and "unshare" in read(out):
            raise Skip("no namespace is to be had: " + read(out).strip())
        if self.process.poll() is not None or not answers(self.port):
            raise RuntimeError("Sendmail does not start:\n" + read(out) + self.log())

    def stop(self):
        end(self.process)

    def log(self):
        return read(self.log_file)

    def wait_log(self, pattern, seconds=10):
        return until(lambda: re.search(pattern, self.log(), flags=re.M), seconds, 0.1)

    def queue(self, kind):
        """The files of a kind: qf, df, hf (in quarantine)."""
        return glob.glob(os.path.join(self.dir, "queue", kind + "*"))
