"""Starts an interactive bash with the given command line, types words and Tab, and checks what comes."""

import os
import pty
import select
import sys
import time

QUESTIONS = [
    ("kubectl workqueue en\t", "kubectl workqueue enqueue "),
    ("kubectl workqueue up --create\t", "kubectl workqueue up --create-namespace "),
    ("kubectl workqueue completion z\t", "kubectl workqueue completion zsh "),
]
TIMEOUT = 30


def read_until(terminal: int, wanted: str, nudge: bytes = b"") -> None:
    """Reads the terminal until a text appears; types `nudge` while nothing comes."""
    seen, deadline = "", time.monotonic() + TIMEOUT
    while wanted not in seen:
        if time.monotonic() > deadline:
            sys.exit(f"no {wanted!r} within {TIMEOUT} s, but {seen!r}")
        if select.select([terminal], [], [], 2)[0]:
            seen += os.read(terminal, 4096).decode(errors="replace")
        else:
            os.write(terminal, nudge)


def main() -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(sys.argv[1], sys.argv[1:])
    # What is printed before docker listens is lost: Enter brings a new prompt.
    read_until(terminal, "ready> ", nudge=b"\r")
    os.write(terminal, b"source /usr/share/bash-completion/bash_completion; source <(kubectl completion bash); echo lo''aded\n")
    read_until(terminal, "loaded\r\n")
    read_until(terminal, "ready> ")
    for typed, completed in QUESTIONS:
        os.write(terminal, typed.encode())
        read_until(terminal, completed)
        print(f"ok: {typed[:-1]}<Tab> became {completed!r}")
        # Ctrl-U clears the line for the next one.
        os.write(terminal, b"\x15")
    os.write(terminal, b"exit\n")
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
