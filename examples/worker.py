#!/usr/bin/env python3
"""The tutorial's worker: says what it works on, and takes a while.

    kubectl workqueue local apple banana cherry -- examples/worker.py

The item is on standard input. Exit 0: it is done. Exit 65 (os.EX_DATAERR): it is bad, do not try
it again. Anything else, an exception included: try again.
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
