"""What every test uses: checks, free ports, processes that end with the run, tools, waiting."""
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
PROGRAM = os.environ.get("POSTERN", "./postern")
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1, 10**6))
VERBOSE = False


class Skip(Exception):
    """Raised by a test that cannot run here; its text says what is missing."""


class Late(Exception):
    """A test took longer than it may."""


class Run:
    """One run of the suite: its folder, its counts, what it has started."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.name = ""
        self.begun = time.monotonic()
        self.dir = tempfile.mkdtemp(
            prefix="postern-interop.", dir=os.environ.get("TMPDIR") or "/tmp"
        )
        os.chmod(self.dir, 0o755)
        self.started = []
        self.at_end = []
        self.check_at_end = []
        self.given = set()
        self.random = random.Random(SEED)

    # --- checks

    def ok(self, what, good, detail=""):
        """Counts one check; a failure is shown at once with its detail."""
        if good:
            self.passed += 1
            if VERBOSE:
                print(f"{time.monotonic() - self.begun:8.2f} ok: {what}", flush=True)
            return True
        self.failed += 1
        print(f"not ok: {self.name}: {what}", flush=True)
        for line in str(detail).splitlines()[-25:]:
            print(f"        {line}", flush=True)
        return False

    def same(self, what, got, want):
        return self.ok(what, got == want, f"got  {got!r}\nwant {want!r}")

    def has(self, what, text, part):
        return self.ok(what, part in text, f"no {part!r} in:\n{text}")

    def note(self, text):
        print(f"        {text}", flush=True)

    def skip(self, why):
        self.skipped += 1
        print(f"skip    {self.name}: {why}", flush=True)

    def need(self, *tools):
        for tool in tools:
            if tool == "root":
                if os.getuid() != 0:
                    raise Skip("Postfix can be started by root only")
            elif find(tool) is None:
                raise Skip(f"no {tool}")

    # --- files, ports, processes

    def path(self, *names):
        """A path in the folder of the test."""
        return os.path.join(self.dir, self.name, *names)

    def folder(self, *names, mode=0o755):
        """A folder of this run; any user may look into it, and write with 0o777."""
        path = self.path(*names)
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
        return path

    def put(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def port(self):
        """A port of loopback that nobody holds, below those that the kernel gives to clients."""
        while True:
            port = self.random.randrange(18000, 32000)
            if port in self.given:
                continue
            self.given.add(port)
            with socket.socket() as s:
                try:
                    s.bind(("127.0.0.1", port))
                except OSError:
                    continue
            return port

    def start(self, argv, out, err=None, group=False, **kw):
        """A process whose output goes to files; ended when the test ends, if it has not by then."""
        with open(out, "ab") as o, open(err or out, "ab") as e:
            p = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=o, stderr=e, start_new_session=group, **kw
            )
        p.group = group
        self.started.append(p)
        return p

    def command(self, argv, timeout=60, stdin=b"", env=None):
        """Runs argv to its end: (status, all output as text); status None: killed, too late."""
        p = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env
        )
        self.started.append(p)
        try:
            out, _ = p.communicate(stdin, timeout=timeout)
            status = p.returncode
        except subprocess.TimeoutExpired:
            p.kill()
            out, _ = p.communicate()
            status = None
        self.started.remove(p)
        return status, out.decode("utf-8", "replace")

    def sweep(self):
        """Ends what a test has left, the youngest first."""
        for undo in reversed(self.at_end):
            try:
                undo()
            except Exception as e:  # pylint: disable=broad-except
                print(f"        while cleaning up: {e!r}")
        self.at_end = []
        for p in reversed(self.started):
            end(p)
        self.started = []
        for check in self.check_at_end:
            check()
        self.check_at_end = []

    def close(self):
        self.sweep()
        if os.environ.get("KEEP"):
            print(f"the folder of this run: {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)


def end(p, grace=5):
    """Ends a process of ours: politely, then not."""
    if p.poll() is not None:
        return
    for sig, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 5)):
        try:
            if getattr(p, "group", False):
                os.killpg(p.pid, sig)
            else:
                p.send_signal(sig)
            p.wait(wait)
            return
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return


def find(tool):
    """Where a tool lies; the sbin folders count, too."""
    return shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")


def until(test, seconds, every=0.03):
    """Waits until test() is true, and gives what it gave."""
    end_at = time.monotonic() + seconds
    while True:
        got = test()
        if got or time.monotonic() > end_at:
            return got
        time.sleep(every)


def answers(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), 2).close()
        return True
    except OSError:
        return False


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def on_alarm(_sig, _frame):
    raise Late("took too long")


def leave(_sig, _frame):
    sys.exit(130)
