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


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command: list[str]) -> None:
        self.child, self.file = pty.fork()
        if self.child == 0:
            os.execvp(command[0], command)
        self.unread = ""

    def read_until(self, wanted: str, nudge: bytes = b"") -> None:
        """Reads until a text appears, and no further; types `nudge` while nothing comes."""
        deadline = time.monotonic() + TIMEOUT
        while wanted not in self.unread:
            if time.monotonic() > deadline:
                sys.exit(f"no {wanted!r} within {TIMEOUT} s, but {self.unread!r}")
            if select.select([self.file], [], [], 2)[0]:
                self.unread += os.read(self.file, 4096).decode(errors="replace")
            else:
                self.type(nudge)
        self.unread = self.unread.split(wanted, 1)[1]

    def type(self, keys: bytes) -> None:
        os.write(self.file, keys)


def main() -> None:
    terminal = Terminal(sys.argv[1:])
    # What is printed before docker listens is lost: Enter brings a new prompt.
    terminal.read_until("ready> ", nudge=b"\r")
    terminal.type(b"source /usr/share/bash-completion/bash_completion; source <(kubectl completion bash); echo lo''aded\n")
    terminal.read_until("loaded\r\n")
    terminal.read_until("ready> ")
    for typed, completed in QUESTIONS:
        terminal.type(typed.encode())
        terminal.read_until(completed)
        print(f"ok: {typed[:-1]}<Tab> became {completed!r}")
        # Ctrl-U clears the line for the next one.
        terminal.type(b"\x15")
    terminal.type(b"exit\n")
    os.waitpid(terminal.child, 0)


if __name__ == "__main__":
    main()
