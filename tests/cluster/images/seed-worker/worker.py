#!/usr/bin/env python3
"""Prints the item that it reads from standard input, then works on it for WORK_SECONDS."""

import os
import sys
import time

print("Processing " + sys.stdin.readlines()[0], flush=True)
time.sleep(float(os.environ.get("WORK_SECONDS", "1")))
