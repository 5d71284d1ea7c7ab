"""The engine of a command: the resident one where there is one, else that of its own process."""

import logging
import os
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rag_app import errors
from rag_app.engine import ahead
from rag_app.engine.resident import Events, ResidentError
from rag_app.surroundings import EnginePlace

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from rag_app.chains.results import Answer, Summary
    from rag_app.engine.app import RagApp
    from rag_app.engine.resident_client import ResidentEngine
    from rag_app.settings import Settings

Seconds = dict[str, float]
"""What the parts of one call took, by their names; written when it is over."""
Turns = list[tuple[str, str]]
"""What was said before: ``human`` or ``ai``, and the text."""
Piece = TypeVar("Piece")

_LOST = "the resident engine ended in the middle of its answer; run the command again"
_log = logging.getLogger("rag_app.cli")


class CommandEngine:
    """Answers and summarizes for one command.

    What the resident engine could not begin to answer is answered here, so that an error of the
    user's is the same one, and a lost engine none at all.

    Args:
        settings: The settings of the command.
        resident: Whether the resident engine may be used, and started where output is a terminal.
    """

    def __init__(self, settings: "Settings", *, resident: bool = True) -> None:
        self._settings = settings
        self._own: RagApp | None = None
        self._may = resident
        self._resident: ResidentEngine | None = None
        self.ahead: ahead.Ahead | None = None
        """The question that was sent before its command line was read, if it is the one asked."""

    def preload(self) -> None:
        """Begin to load the language model."""
        if self._found() is None:
            self._app.preload()

    def close(self) -> None:
        """Release the index."""
        if self._own is not None:
            self._own.close()

    def answer(
        self, question: str, history: Turns, seconds: Seconds
    ) -> "Generator[Answer, None, None]":
        """Ask now and return the pieces of the answer; closing them ends the generation."""
        folder = self._settings.index_folder

        def line() -> str:
            return "" if history else ahead.line_key(question)

        self.ahead = ahead.take(question) if ahead.sent and self._may and not history else None
        if self.ahead is not None:
            events: Events | None = self.ahead.events()
        else:
            events = self._sent(lambda engine: engine.answer(question, history, folder, line()))

        def pieces() -> "Generator[Answer, None, None]":
            from rag_app.chains.results import Answer

            if events is None or not (yield from self._remote(events, Answer, seconds)):
                with _timed(seconds) as config:
                    yield from self._app.stream(question, history, config=config)

        return pieces()

    def summary(
        self, source: Path, encoding: str | None, seconds: Seconds
    ) -> "Generator[Summary, None, None]":
        """Ask for the summary of a file, or of standard input, and return its pieces."""
        path, events = str(source.absolute()), None
        if source != Path("-"):
            events = self._sent(lambda resident: resident.summary(path, encoding))

        def pieces() -> "Generator[Summary, None, None]":
            from rag_app.chains.results import Summary

            if events is None or not (yield from self._remote(events, Summary, seconds)):
                with _timed(seconds) as config:
                    yield from self._app.stream_summary(source, encoding=encoding, config=config)

        return pieces()

    def warm(
        self, limit: int, progress: Callable[[int, int], None], stop: Callable[[], bool]
    ) -> tuple[int, bool]:
        """Read passages ahead, until ``stop``; return how many, and whether a question ended it."""
        folder = self._settings.index_folder
        events = self._sent(lambda resident: resident.warm(limit, folder), start=False)
        if events is not None:
            with suppress(ResidentError), closing(self._followed(events)) as followed:
                for event in followed:
                    if "count" in event:
                        return event["count"], event["stopped"]
                    progress(*event["progress"])
        count = self._app.warm(limit, progress, stop)
        return count, stop()

    def _sent(
        self, send: "Callable[[ResidentEngine], Events]", *, start: bool = True
    ) -> Events | None:
        """Return the events of what was sent to the resident engine; None where there is none."""
        if (resident := self._found(start=start)) is not None:
            try:
                return send(resident)
            except ResidentError:
                self._resident = None
        return None

    def _remote(
        self, events: Events, kind: type[Piece], seconds: Seconds
    ) -> Generator[Piece, None, bool]:
        """Yield the pieces that the resident engine sends; return whether it answered."""
        from pydantic import TypeAdapter

        adapter = TypeAdapter(kind)  # built once: a Ctrl-C that falls into it is swallowed
        try:
            with closing(self._followed(events)) as followed:
                for event in followed:
                    if "piece" in event:
                        yield adapter.validate_python(event["piece"])
                    seconds.update(event.get("timings", {}))
        except ResidentError:
            return False
        return True

    def _followed(self, events: Events) -> Events:
        """Yield what the resident engine sends.

        Raises:
            ResidentError: it did not begin.
            RagAppError: what it failed with after it had.
        """
        begun = False
        try:
            with closing(events):
                for event in events:
                    for warning in event.get("warnings", ()):
                        _log.warning(warning)
                    if "error" in event:
                        if begun:
                            raise _error(event["error"])
                        break
                    yield event
                    begun = True
        except ResidentError as error:
            self._resident = None
            if begun:
                raise errors.ModelError(_LOST) from error
            raise
        if not begun:
            raise ResidentError("it failed")

    @property
    def _app(self) -> "RagApp":
        if self._own is None:
            from rag_app.engine.app import RagApp

            self._own = RagApp(settings=self._settings)
        return self._own

    def _found(self, *, start: bool = True) -> "ResidentEngine | None":
        """Return the resident engine, looked for once, and started where that may be."""
        if self._may:
            self._may, start = False, start and sys.stdout.isatty()
            if not (start or EnginePlace.of_home().is_ours):
                return None
            from rag_app.engine.identity import usable
            from rag_app.engine.resident_client import ResidentEngine

            found = ResidentEngine(self._settings)
            self._resident = found if usable(self._settings) and found.find(start=start) else None
        return self._resident


def parts(seconds: Seconds) -> Seconds:
    """Return where the time of the whole command went so far: the parts add up to the total."""
    whole = _process_seconds()
    asked = seconds.get("total", 0.0)
    named = {name: value for name, value in seconds.items() if name != "total"}
    start = {"start of command and engine": whole - asked}
    return {**start, **named, "between them": asked - sum(named.values()), "total": whole}


def _process_seconds() -> float:
    """Return how long ago this process was begun.

    The time of day at which a process began is known to a second only, on Linux; how long after
    the machine's start, to a hundredth.
    """
    try:
        after_name = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2]
        begun = int(after_name.split()[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - begun
    except (OSError, AttributeError):  # not on macOS and Windows
        import psutil

        return float(time.time() - psutil.Process().create_time())


@contextmanager
def _timed(seconds: Seconds) -> "Iterator[RunnableConfig]":
    """Yield a config that times a call in this process."""
    from langchain_core.runnables import RunnableConfig

    from rag_app.chains.rag import Timings

    timings = Timings()
    try:
        yield RunnableConfig(callbacks=[timings])
    finally:
        seconds.update(timings.seconds)


def _error(error: Any) -> Exception:
    """Return an error of the resident engine as it is raised here."""
    if isinstance(error, list):
        kind, message = error
        return getattr(errors, kind, errors.ModelError)(message)
    ended = error.get("code") == "shutting_down"
    return errors.ModelError(_LOST if ended else str(error.get("message", _LOST)))
