"""The state of the resident engine: applications, models, and how long it stays."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_app.engine import RagApp
from rag_app.engine.identity import REQUEST_PATHS, absolute_embedding, embedding_stamp, identity
from rag_app.engine.resident_client import StartOptions
from rag_app.errors import RagAppError
from rag_app.server.queueing import Admission
from rag_app.server.schemas.resident import QuestionWork

if TYPE_CHECKING:
    from rag_app.models.embeddings.base import DocumentEmbeddings

_LINES = 32  # command lines that are known, the latest ones


class Resident:
    """What one engine holds, and how long it stays."""

    def __init__(self, options: StartOptions, engine: RagApp, model_pid: int | None) -> None:
        self.identity = options.identity
        self.keep_alive = options.keep_alive
        self.since = time.time()
        self.at_work = 0
        self.reading = 0
        """Commands that have passages read ahead."""
        self.answers = 0
        self.read_for = 0
        """Answers there were when passages were last read ahead."""
        self.answered = asyncio.Event()
        """Something was asked since passages of answers were last read."""
        self.reads_answered = False
        """Whether passages of answers are being read."""
        self.end: Callable[[], None] = lambda: None
        """Ends the server."""
        self.ended = False
        self.base = engine
        """The application, over no index in particular."""
        self.generating = Admission(engine.settings.parallel, engine.settings.queue_limit)
        """Requests to the language model."""
        self._model_pid = model_pid
        self._used = time.monotonic()
        self._engines: dict[tuple[str, str], RagApp] = {}
        self._embeddings: dict[str, DocumentEmbeddings] = {}
        self._lines: dict[str, QuestionWork] = {}

    def know(self, work: QuestionWork) -> None:
        """Take note of what a command line came to, where that depends on no file it names."""
        if work.line and not {*REQUEST_PATHS} & work.options.keys():
            self._lines.pop(work.line, None)
            self._lines[work.line] = work
            for line in [*self._lines][:-_LINES]:
                del self._lines[line]

    def known(self, lines: "list[tuple[str, str]]") -> QuestionWork | None:
        """Return what a command line comes to, if it is known; see `Lines`."""
        found = [(self._lines[line], question) for line, question in lines if line in self._lines]
        with suppress(RagAppError):
            if found and identity(self.base.settings) == self.identity:
                work, question = found[0]
                return work.model_copy(update={"question": question})
        return None

    @property
    def seconds_left(self) -> float:
        """Until it ends, if it is not used meanwhile."""
        if self.at_work or self.reading:
            return self.keep_alive * 60
        return self._used + self.keep_alive * 60 - time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether somebody waits for an answer or a summary."""
        return self.at_work > 0

    def enter(self, keep_alive: float) -> None:
        """Take note of a request."""
        self.keep_alive = keep_alive
        self.at_work += 1
        self.answers += 1

    def leave(self) -> None:
        """Take note that it is over."""
        self.at_work -= 1
        self.answered.set()
        self._used = time.monotonic()

    def engine(self, index: str, folder: str) -> RagApp:
        """Return the application over an index, with the embedding model that it has now.

        Raises:
            IndexStoreError, ModelError: the index or the model can't be read.
        """
        with self.base.over(Path(index)) as probe:
            spec = absolute_embedding(probe.resources.embedding_spec, Path(folder))
        stamp = embedding_stamp(spec)
        key = (index, stamp)
        if key not in self._engines:
            if stamp not in self._embeddings:
                self._embeddings[stamp] = self.base.resources.load_embeddings(spec)
            self._engines[key] = self.base.over(Path(index), self._embeddings[stamp])
        return self._engines[key]

    @property
    def idle_seconds(self) -> float:
        """How long nobody has asked anything."""
        return 0.0 if self.at_work or self.reading else time.monotonic() - self._used

    @property
    def engines(self) -> list[RagApp]:
        """The applications over the indexes that were asked."""
        return [*self._engines.values()]

    def end_reading(self) -> None:
        """Take note that passages are read ahead no longer."""
        self.reading -= 1
        self._used = time.monotonic()

    def state(self) -> dict[str, Any]:
        """Return what `rag-app status` shows."""
        return {
            "pid": os.getpid(),
            "since": self.since,
            "seconds_left": self.seconds_left,
            "bytes": sum(map(_memory, filter(None, [os.getpid(), self._model_pid]))),
            "at_work": self.at_work,
            "reading": self.reads_answered or self.answered.is_set(),
            "answers": self.answers,
            "ready": self.base.ready,
            "llm": self.base.settings.llm,
        }


def _memory(pid: int) -> int:
    import psutil

    with suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0
