"""milters -- Debian's milters as processes of a test, each with the least configuration that it starts with.

Each gives the socket that Postern is to call, in Postern's words.  Those that look up names see a resolver of ours
through a mount namespace of their own."""
import os
import shutil
import signal

from harness import Skip, answers, find, read, until
from senders import NSD, openssl

RESOLVER = "127.0.0.153"  # port 53: the C library asks no other


def milter_word(name, socket, more=""):
    return 'milter %s { socket "%s" timeout 60s %s}\n' % (name, socket, more)


class Resolver:
    """A name server for the zone `example' at an address of loopback, port 53, and a way to let a program see it."""

    def __init__(self, run, zone):
        run.need("root", "nsd", "unshare")
        folder = run.folder("resolver")
        conf = NSD.format(port=53, dir=folder, user="").replace("zone.example", "example")
        conf = conf.replace("127.0.0.1", RESOLVER)
        run.put("resolver/zone", "\n".join(zone.lines()) + "\n")
        self.path = run.put("resolver/resolv.conf", f"nameserver {RESOLVER}\noptions timeout:1 attempts:1\n")
        self.process = run.start(
            [find("nsd"), "-d", "-c", run.put("resolver/nsd.conf", conf)], run.path("resolver.out")
        )
        if not until(lambda: answers(53, RESOLVER) or self.process.poll() is not None, 10):
            raise Skip("no name server at port 53 of loopback:\n" + read(run.path("resolver.out")))
        if self.process.poll() is not None:
            raise Skip("no name server at port 53 of loopback:\n" + read(run.path("resolver.out")))

    def seen_by(self, argv):
        script = f'mount --bind {self.path} /etc/resolv.conf && exec "$@"'
        return [find("unshare"), "-m", "sh", "-c", script, "sh", *argv]


class Milter:
    """One milter that listens at a port."""

    def __init__(self, run, name, argv, port, seconds=20, env=None):
        self.run, self.name, self.port = run, name, port
        self.out = run.path(name + ".out")
        self.process = run.start(argv, self.out, env=env, group=True)
        if not until(lambda: answers(port) or self.process.poll() is not None, seconds, 0.1):
            raise RuntimeError(f"{name} does not listen:\n" + self.said())
        if self.process.poll() is not None:
            raise RuntimeError(f"{name} has ended:\n" + self.said())

    def said(self):
        return read(self.out)[-3000:]

    @property
    def socket(self):
        return f"inet:127.0.0.1:{self.port}"


def opendmarc(run, zone):
    run.need("opendmarc")
    seen, port, folder = Resolver(run, zone), run.port(), run.folder("opendmarc")
    conf = run.put(
        "opendmarc/conf",
        f"Socket inet:{port}@127.0.0.1\nAuthservID test.example\nPidFile {folder}/pid\nRejectFailures true\n"
        f"SPFSelfValidate true\nSPFIgnoreResults true\nSyslog false\nHistoryFile {folder}/history\n"
        "RequiredHeaders false\nIgnoreAuthenticatedClients true\nIgnoreHosts /dev/null\n",
    )
    return Milter(run, "opendmarc", seen.seen_by([find("opendmarc"), "-f", "-l", "-c", conf]), port)


def clamav(run):
    run.need("clamd", "clamav-milter")
    folder, port = run.folder("clamav", mode=0o777), run.port()
    db = run.folder("clamav/db")
    eicar = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
    run.put("clamav/db/eicar.ndb", f"Test.Eicar:0:*:{eicar.hex()}\n")
    sock = os.path.join(folder, "clamd.sock")
    conf = run.put(
        "clamav/clamd.conf",
        f"Foreground yes\nLocalSocket {sock}\nDatabaseDirectory {db}\nTemporaryDirectory {folder}\n"
        "SelfCheck 0\nMaxThreads 2\nBytecode no\n",
    )
    clamd = run.start([find("clamd"), "-c", conf], run.path("clamd.out"))
    if not until(lambda: os.path.exists(sock) or clamd.poll() is not None, 60):
        raise RuntimeError("clamd does not listen:\n" + read(run.path("clamd.out")))
    if clamd.poll() is not None:
        raise RuntimeError("clamd has ended:\n" + read(run.path("clamd.out")))
    conf = run.put(
        "clamav/milter.conf",
        f"Foreground yes\nMilterSocket inet:{port}@127.0.0.1\nClamdSocket unix:{sock}\nOnInfected Reject\n"
        'RejectMsg "Infected: %v"\nAddHeader Replace\nLogFile /dev/null\n',
    )
    return Milter(run, "clamav", [find("clamav-milter"), "-c", conf], port)


def spamass(run):
    run.need("spamd", "spamass-milter")
    folder, port, inner = run.folder("spamass", mode=0o777), run.port(), run.port()
    rules = run.folder("spamass/rules")
    # The one rule that matters here; Debian's own set takes ten seconds to compile.
    run.put(
        "spamass/rules/10.cf",
        "required_score 5\nuse_bayes 0\nreport_safe 0\nadd_header all Status _YESNO_, score=_SCORE_ required=_REQD_\n"
        "add_header spam Flag _YESNOCAPS_\nbody GTUBE /XJS\\*C4JDBQADN1\\.NSBN3\\*2IDNEN\\*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL"
        "\\*C\\.34X/\nscore GTUBE 1000\ndescribe GTUBE a test\n",
    )
    run.put("spamass/rules/v.pre", "loadplugin Mail::SpamAssassin::Plugin::Check\n")
    spamd = run.start(
        [find("spamd"), "-L", "-x", "-i", "127.0.0.1", "-p", str(inner), "-m", "2", "-C", rules, "--siteconfigpath",
         rules, "-u", "nobody", "-H", folder, "-s", "stderr"],
        run.path("spamd.out"), group=True,
    )  # fmt: skip
    if not until(lambda: answers(inner) or spamd.poll() is not None, 60, 0.1):
        raise RuntimeError("spamd does not listen:\n" + read(run.path("spamd.out")))
    if spamd.poll() is not None:
        raise RuntimeError("spamd has ended:\n" + read(run.path("spamd.out")))
    argv = [find("spamass-milter"), "-p", f"inet:{port}@127.0.0.1", "-r", "15", "--", "-d", "127.0.0.1", "-p", str(inner)]
    return Milter(run, "spamass", argv, port)


RSPAMD_OFF = """antivirus arc asn aws_s3 bimi chartable clickhouse dcc dkim_signing elastic emails external_relay
external_services force_actions forged_recipients fuzzy_check greylist hfilter history_redis http_headers known_senders maillist
metadata_exporter metric_exporter mid mime_types multimap mx_check neural once_received p0f phishing ratelimit rbl redis
replies reputation rspamd_update spamassassin spamtrap surbl trie url_redirector whitelist"""


def rspamd(run):
    run.need("rspamd")
    folder, port = run.folder("rspamd", mode=0o777), run.port()
    local = run.folder("rspamd/conf")
    for name in RSPAMD_OFF.split():
        run.put(f"rspamd/conf/local.d/{name}.conf", "enabled = false;\n")
    run.put("rspamd/conf/local.d/options.inc", 'dns { nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }\n')
    run.put("rspamd/conf/local.d/logging.inc", f'type = "console"; level = "warning";\n')
    run.put(
        "rspamd/conf/local.d/worker-proxy.inc",
        f'milter = yes; bind_socket = "127.0.0.1:{port}"; timeout = 20s; count = 1;\n'
        'upstream "local" { self_scan = yes; default = yes; }\n',
    )
    for name in ("normal", "controller", "fuzzy"):
        run.put(f"rspamd/conf/local.d/worker-{name}.inc", "enabled = false;\n")
    run.put("rspamd/conf/local.d/milter_headers.conf", 'use = ["x-spamd-result", "x-spam-status"];\nextended_spam_headers = true;\n')
    argv = [find("rspamd"), "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", "/etc/rspamd/rspamd.conf"]
    argv += [f"--var={k}={v}" for k, v in (("LOCAL_CONFDIR", local), ("DBDIR", folder), ("RUNDIR", folder), ("LOGDIR", folder))]
    return Milter(run, "rspamd", argv, port, seconds=40)


FILTER = r"""
sub filter_begin { }
sub filter {
    my ($entity, $fname, $ext, $type) = @_;
    return action_bounce("no programs here") if re_match($entity, '\.exe$');
    return action_drop_with_warning("An attachment was removed.\n") if re_match($entity, '\.com$');
    return action_accept();
}
sub filter_end { action_add_header("X-MIMEDefang-Test", "seen"); }
1;
"""


def mimedefang(run):
    run.need("mimedefang", "mimedefang-multiplexor")
    folder, port = run.folder("mimedefang", mode=0o750), run.port()
    spool = run.folder("mimedefang/spool", mode=0o750)
    rules, sock = run.put("mimedefang/filter", FILTER), os.path.join(spool, "mx.sock")
    os.chmod(run.path(), 0o755)
    for path in (folder, spool):
        shutil.chown(path, "defang", "defang")
    mx = run.start(
        [find("mimedefang-multiplexor"), "-D", "-l", "-p", os.path.join(spool, "mx.pid"), "-s", sock, "-U", "defang",
         "-m", "1", "-x", "3", "-b", "60", "-F", rules, "-z", spool],
        run.path("multiplexor.out"), group=True,
    )  # fmt: skip
    if not until(lambda: os.path.exists(sock) or mx.poll() is not None, 20):
        raise RuntimeError("the multiplexor does not listen:\n" + read(run.path("multiplexor.out")))
    if mx.poll() is not None:
        raise RuntimeError("the multiplexor has ended:\n" + read(run.path("multiplexor.out")))
    argv = [find("mimedefang"), "-D", "-P", os.path.join(spool, "md.pid"), "-m", sock, "-U", "defang", "-z", spool]
    return Milter(run, "mimedefang", [*argv, "-p", f"inet:{port}@127.0.0.1"], port)


def pyspf(run, zone):
    run.need("pyspf-milter")
    seen, port, folder = Resolver(run, zone), run.port(), run.folder("pyspf", mode=0o777)
    conf = run.put(
        "pyspf/conf",
        f"debugLevel = 1\nTestOnly = 1\nHELO_reject = Fail\nMail_From_reject = Fail\nPermError_reject = False\n"
        f"TempError_Defer = False\nskip_addresses = 127.0.0.0/8\nSocket = inet:{port}@127.0.0.1\n"
        f"PidFile = {folder}/pid\nUserID = nobody:nogroup\nInternalHosts = 127.0.0.1\nAuthserv_Id = test.example\n",
    )
    return Milter(run, "pyspf", seen.seen_by([find("pyspf-milter"), conf]), port)


def dkimpy(run, zone, key, selector="dp"):
    run.need("dkimpy-milter")
    seen, port, folder = Resolver(run, zone), run.port(), run.folder("dkimpy", mode=0o777)
    conf = run.put(
        "dkimpy/conf",
        f"Syslog no\nUMask 000\nPidFile {folder}/pid\nUserID root\nSocket inet:{port}@127.0.0.1\nMode sv\n"
        f"AuthservID test.example\nDomain ours.example\nKeyFile {key.path}\nSelector {selector}\n"
        "InternalHosts 192.0.2.77\n",
    )
    return Milter(run, "dkimpy", seen.seen_by([find("dkimpy-milter"), conf]), port)


AMAVIS = """use strict;
$max_servers = 1; $daemon_user = 'amavis'; $daemon_group = 'amavis';
$MYHOME = '{dir}'; $TEMPBASE = "$MYHOME/tmp"; $QUARANTINEDIR = undef; $db_home = "$MYHOME/db"; $enable_db = 0;
$lock_file = "$MYHOME/lock"; $pid_file = "$MYHOME/pid"; $log_level = 0; $do_syslog = 0; $logfile = "$MYHOME/log";
$mydomain = 'test.example'; $myhostname = 'mx.test.example'; @local_domains_maps = ( [".example"] );
$unix_socketname = "$MYHOME/amavisd.sock"; $interface_policy{{'SOCK'}} = 'AM.PDP';
$policy_bank{{'AM.PDP'}} = {{ protocol => 'AM.PDP', auth_required_release => 0 }};
@bypass_virus_checks_maps = (1); @bypass_spam_checks_maps = (1);
$final_banned_destiny = D_REJECT; $final_virus_destiny = D_REJECT; $final_spam_destiny = D_PASS;
$banned_filename_re = new_RE( qr'.\\.(exe|com|scr)$'i );
$banned_files_quarantine_method = undef; $virus_admin = undef; $warnbannedsender = 0;
1;
"""


def amavis(run):
    run.need("amavisd", "amavisd-milter", "setpriv")
    folder, port = run.folder("amavis", mode=0o750), run.port()
    for name in ("tmp", "db", "work"):
        run.folder("amavis", name, mode=0o750)
    conf = run.put("amavis.conf", AMAVIS.format(dir=folder))
    for path in (folder, *(os.path.join(folder, n) for n in ("tmp", "db", "work"))):
        shutil.chown(path, "amavis", "amavis")
    sock = os.path.join(folder, "amavisd.sock")
    d = run.start([find("amavisd"), "-c", conf, "foreground"], run.path("amavisd.out"), group=True)
    if not until(lambda: os.path.exists(sock) or d.poll() is not None, 60, 0.1):
        raise RuntimeError("amavisd does not listen:\n" + read(run.path("amavisd.out")))
    if d.poll() is not None:
        raise RuntimeError("amavisd has ended:\n" + read(run.path("amavisd.out")))
    argv = [find("setpriv"), "--reuid=amavis", "--regid=amavis", "--clear-groups", find("amavisd-milter"), "-f"]
    argv += ["-s", f"inet:{port}@127.0.0.1", "-S", sock, "-w", os.path.join(folder, "work"), "-p", os.path.join(folder, "mpid")]
    return Milter(run, "amavis", argv, port)
