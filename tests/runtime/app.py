"""A handler that does its worst with some items, for clients in Python."""

import os
import signal
import time

if "STARTS" in os.environ:
    with open(os.environ["STARTS"], "a", encoding="ascii") as starts:
        starts.write(f"{os.getpid()}\n")


def handler(event, context):
    """Answers with the item, unless its number is one of some."""
    time.sleep(float(os.environ.get("WORK_SECONDS", "0")))
    if event in (100, 300, 500, 700, 900):
        raise ValueError(f"bad {event}")
    if event == 250:
        time.sleep(3600)
    if event == 750:
        os.kill(os.getpid(), signal.SIGKILL)
    return event
