"""`rag-app` as a process, in a terminal or in a pipe."""

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.paths import ROOT

SECONDS = 300
_CODE = "from rag_app.__main__ import main; main()"


@dataclass(frozen=True)
class Done:
    """What a command said and how it ended."""

    code: int
    stdout: str
    stderr: str


class Running:
    """A command whose stdout is a terminal."""

    def __init__(self, process: "subprocess.Popen[bytes]", terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self._parts: list[bytes] = []
        self.began = threading.Event()
        """Set when it has written something, or ended."""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._terminal, 65536)
            except OSError:  # Linux: the other side is closed
                data = b""
            if not data:
                break
            self._parts.append(data)
            self.began.set()
        self.began.set()

    def end(self) -> Done:
        """Wait for the end."""
        assert self.process.stderr is not None
        stderr = self.process.stderr.read().decode()
        code = self.process.wait(timeout=SECONDS)
        self._reader.join()
        stdout = b"".join(self._parts).decode().replace("\r\n", "\n")
        return Done(code, stdout, stderr)


def _command(arguments: tuple[str, ...], before: str) -> list[str]:
    return [sys.executable, "-c", before + _CODE, *arguments]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@contextmanager
def begun(*arguments: str, before: str = "") -> Iterator[Running]:
    """Run a command in a terminal; it is killed at the end of the block."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        _command(arguments, before),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=_environment(),
    ) as process:
        os.close(theirs)
        running = Running(process, ours)
        try:
            yield running
        finally:
            process.kill()
            running.began.wait(SECONDS)
            running._reader.join()
            os.close(ours)


def in_terminal(*arguments: str, before: str = "") -> Done:
    """Run a command whose stdout is a terminal.

    Args:
        *arguments: Of `rag-app`.
        before: Code that is run first.
    """
    with begun(*arguments, before=before) as running:
        return running.end()


def in_pipe(*arguments: str) -> Done:
    """Run a command whose output is read by a program."""
    done = subprocess.run(
        _command(arguments, ""),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=_environment(),
        timeout=SECONDS,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())
