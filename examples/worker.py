#!/usr/bin/env python3
"""The tutorial's worker: prints its item, then takes a while.

    kubectl workqueue local apple banana cherry -- examples/worker.py

The item is on standard input. Exit with 0 if it is done, with 65 (os.EX_DATAERR) if it is bad and
must not be retried. Any other exit status, or an exception, means that the attempt failed. An item
can be processed more than once: make your program idempotent.
"""

import os
import sys
import time

item = sys.stdin.read()
if not item.strip():
    print("the item is empty", file=sys.stderr)
    sys.exit(os.EX_DATAERR)
print("Processing", item.strip(), flush=True)
time.sleep(float(os.environ.get("WORK_SECONDS", "1")))
