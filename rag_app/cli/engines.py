"""What a command asks: the resident engine where there is one, else that of its own process."""

import logging
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rag_app import errors
from rag_app.engine.app import RagApp
from rag_app.engine.identity import usable
from rag_app.engine.resident import ResidentEngine, ResidentError
from rag_app.settings import Settings

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from rag_app.chains.results import Answer, Summary

Events = Generator[Mapping[str, Any], None, None]
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
        settings: Of the command.
        resident: Whether the resident engine may be used, and started where output is a terminal.
    """

    def __init__(self, settings: Settings, *, resident: bool = True) -> None:
        self._settings = settings
        self._own: RagApp | None = None
        self._may = resident and usable(settings)
        self._resident: ResidentEngine | None = None

    def preload(self) -> None:
        """Begin to load the language model."""
        if self._found() is None:
            self._app.preload()

    def close(self) -> None:
        """Let go of the index."""
        if self._own is not None:
            self._own.close()

    def answer(
        self, question: str, history: Turns, seconds: Seconds
    ) -> "Generator[Answer, None, None]":
        """Yield the pieces of an answer; closing the iterator ends the generation."""
        if (resident := self._found()) is not None:
            events = resident.answer(question, history, self._settings.index_folder)
            if (yield from _remote(events, _answer, seconds)):
                return
            self._resident = None
        with _timed(seconds) as config:
            yield from self._app.stream(question, history, config=config)

    def summary(
        self, source: Path, encoding: str | None, seconds: Seconds
    ) -> "Generator[Summary, None, None]":
        """Yield the pieces of a summary of a file, or of standard input."""
        is_file = source != Path("-")
        if is_file and (resident := self._found()) is not None:
            events = resident.summary(str(source.absolute()), encoding)
            if (yield from _remote(events, _summary, seconds)):
                return
            self._resident = None
        with _timed(seconds) as config:
            yield from self._app.stream_summary(source, encoding=encoding, config=config)

    @property
    def _app(self) -> RagApp:
        if self._own is None:
            self._own = RagApp(settings=self._settings)
        return self._own

    def _found(self) -> ResidentEngine | None:
        """Return the resident engine, looked for once."""
        if self._may:
            self._may = False
            found = ResidentEngine(self._settings)
            if found.find(start=sys.stdout.isatty()):
                self._resident = found
        return self._resident


@contextmanager
def command_engine(settings: Settings, *, resident: bool = True) -> Iterator[CommandEngine]:
    """Give what a command asks; see `CommandEngine`."""
    engine = CommandEngine(settings, resident=resident)
    try:
        yield engine
    finally:
        engine.close()


def parts(seconds: Seconds) -> Seconds:
    """Return where the time of the whole command went so far: the parts add up to the total."""
    import psutil

    whole = time.time() - psutil.Process().create_time()
    asked = seconds.get("total", 0.0)
    named = {name: value for name, value in seconds.items() if name != "total"}
    start = {"start of command and engine": whole - asked}
    return {**start, **named, "between them": asked - sum(named.values()), "total": whole}


@contextmanager
def _timed(seconds: Seconds) -> "Iterator[RunnableConfig]":
    """Give a config that has a call in this process timed."""
    from langchain_core.runnables import RunnableConfig

    from rag_app.chains.rag import Timings

    timings = Timings()
    try:
        yield RunnableConfig(callbacks=[timings])
    finally:
        seconds.update(timings.seconds)


def _remote(
    events: Generator[Mapping[str, Any], None, None],
    piece_of: Callable[[dict[str, Any]], Piece],
    seconds: Seconds,
) -> Generator[Piece, None, bool]:
    """Yield the pieces that the resident engine sends; return whether it answered.

    Raises:
        RagAppError: what it failed with after its first piece.
    """
    begun = False
    try:
        with closing(events):
            for event in events:
                for warning in event.get("warnings", ()):
                    _log.warning(warning)
                if "error" in event:
                    if not begun:
                        return False
                    raise _error(event["error"])
                if "piece" in event:
                    yield piece_of(event["piece"])
                    begun = True
                seconds.update(event.get("timings", {}))
    except ResidentError as error:
        if begun:
            raise errors.ModelError(_LOST) from error
        return False
    return True


def _error(error: Any) -> Exception:
    """Return an error of the resident engine as it is raised here."""
    if isinstance(error, list):
        kind, message = error
        return getattr(errors, kind, errors.ModelError)(message)
    return errors.ModelError(str(error.get("message", _LOST)))


def _answer(piece: dict[str, Any]) -> "Answer":
    from rag_app.chains.citations import Citation
    from rag_app.chains.results import Answer

    citations = tuple(Citation(**_tuples(citation)) for citation in piece["citations"])
    return Answer(**{**_tuples(piece), "citations": citations})


def _summary(piece: dict[str, Any]) -> "Summary":
    from rag_app.chains.results import Summary

    return Summary(**_tuples(piece))


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """Return values with the tuples that JSON makes lists of."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
