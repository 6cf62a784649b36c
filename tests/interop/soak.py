"""soak -- a bad week: wild clients, failing servers, reloads, killed workers: see `make soak`.

What clients were told, what servers took and what the log says must agree in the end; whenever all
is quiet, descriptors and memory of the workers must be back where they were.  SEED=N repeats the
habits of a run, KEEP=1 leaves its files.

This is the command alone.  soak_wild has the clients and soak_letter what they send, soak_far has
the servers, soak_week what happens, soak_watch what workers hold, soak_verdict what must hold."""
import os
import signal
import sys

import harness
from soak_week import Week


def main(seconds):
    for sig in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(sig, harness.leave)
    run = harness.Run()
    print(f"soak: {harness.PROGRAM}, {seconds} s, SEED={harness.SEED}, files in {run.dir}")
    try:
        Week(run).main(seconds)
    finally:
        run.close()
    print(f"{run.passed} passed, {run.failed} failed, {run.skipped} skipped")
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main(float(os.environ.get("SOAK_TIME") or 60)))
