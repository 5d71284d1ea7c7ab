"""The end of a command by SIGTERM, or by SIGHUP as its terminal is closed: in good order.

What is open is closed as after an error, and then the process ends by the signal itself, as its
parent expects: a shell says 143 or 129, systemd that it ended as it was told to.
"""

import atexit
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

_KINDS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_received: list[tuple[signal.Signals, str]] = []
"""The signal that ends this process, and what is said of it; one at most."""


def end_in_order(program: str) -> None:
    """Have the signals end the program by `SystemExit`; a second one ends it at once.

    One that the caller ignores, as ``nohup`` does SIGHUP, stays ignored.
    """

    def end(number: int, _: FrameType | None) -> None:
        kind = signal.Signals(number)
        for each in _KINDS:
            if signal.getsignal(each) is end:
                signal.signal(each, signal.SIG_DFL)
        _received.append((kind, f"{program}: ended by {kind.name}\n"))
        if _in_event_loop():
            # An exception would end one task, which the loop may report with its traceback;
            # asyncio's own handler of this signal cancels all of them and ends the loop first.
            signal.raise_signal(signal.SIGINT)
        else:
            raise SystemExit(128 + kind)

    for kind in _KINDS:
        if signal.getsignal(kind) is signal.SIG_DFL:
            signal.signal(kind, end)
    # Called after all that is registered later, such as what deletes temporary folders.
    atexit.register(_end_by_signal, os.getpid())


def is_ending() -> bool:
    """Return whether a signal ends this process, which is said at the end."""
    return bool(_received)


def _in_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None


def end_at_once() -> None:
    """Take back `end_in_order`, where a thread that can't be ended would keep the process."""
    for kind in _KINDS:
        if signal.getsignal(kind) is not signal.SIG_IGN:
            signal.signal(kind, signal.SIG_DFL)


def _end_by_signal(process: int) -> None:
    if not _received or os.getpid() != process:
        return
    ((kind, said),) = _received
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    with suppress(OSError, ValueError):
        sys.stderr.write(said)
        sys.stderr.flush()
    signal.signal(kind, signal.SIG_DFL)
    signal.raise_signal(kind)
