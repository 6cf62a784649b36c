"""main -- runs the tests of this folder, one after the other; see `run`."""
import inspect
import os
import signal
import sys
import time
import traceback

import harness
from harness import Late, Run, Skip

import t_auth
import t_beside
import t_dns
import t_estate
import t_faults
import t_homes
import t_metrics
import t_milters
import t_milterd
import t_octets
import t_postfix
import t_quarantine
import t_sender
import t_sendmail
import t_sink
import t_tls

MODULES = (
    t_tls,
    t_postfix,
    t_auth,
    t_estate,
    t_sink,
    t_metrics,
    t_milterd,
    t_sendmail,
    t_octets,
    t_faults,
    t_beside,
    t_dns,
    t_quarantine,
    t_sender,
    t_milters,
    t_homes,
)
LIMIT = 240  # seconds a test may take


def tests():
    for m in MODULES:
        found = [
            (inspect.getsourcelines(f)[1], n, f)
            for n, f in vars(m).items()
            if n.startswith("test_") and f.__module__ == m.__name__
        ]
        for _, name, f in sorted(found):
            yield name[5:], f


def one(run, name, f):
    run.name, begun = name, time.monotonic()
    passed, failed, skipped = run.passed, run.failed, run.skipped
    run.folder()
    print(f"run     {name}: {(f.__doc__ or '').splitlines()[0]}", flush=True)
    signal.alarm(LIMIT)
    try:
        f(run)
    except Skip as e:
        run.skip(str(e))
    except Late:
        run.ok(f"it is done within {LIMIT} s", False, traceback.format_exc())
    except Exception:  # pylint: disable=broad-except
        run.ok("it came to its end", False, traceback.format_exc())
    finally:
        signal.alarm(0)
    run.sweep()
    word = "FAIL" if run.failed > failed else "ok" if run.passed > passed else "skip"
    if word == "skip" and run.skipped == skipped:
        run.ok("it checked something", False)
        word = "FAIL"
    print(
        f"{word:<7} {name}: {run.passed - passed} checks, {time.monotonic() - begun:.1f} s",
        flush=True,
    )


def main(argv):
    words = [w for w in argv if not w.startswith("-")]
    harness.VERBOSE = "-v" in argv or os.environ.get("V", "0") not in ("", "0")
    if "--list" in argv:
        for name, f in tests():
            print(f"{name:<28} {(f.__doc__ or '').splitlines()[0]}")
        return 0
    for sig in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(sig, harness.leave)
    signal.signal(signal.SIGALRM, harness.on_alarm)
    run = Run()
    print(f"interop: {harness.PROGRAM}, seed {harness.SEED}, files in {run.dir}", flush=True)
    try:
        for name, f in tests():
            if not words or any(w in name for w in words):
                one(run, name, f)
    finally:
        run.close()
    print(f"all of it took {time.monotonic() - run.begun:.0f} s")
    print(f"{run.passed} passed, {run.failed} failed, {run.skipped} skipped")
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
