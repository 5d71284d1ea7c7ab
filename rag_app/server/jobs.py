"""Indexing in the background, one job at a time, each followed as it goes on."""

import asyncio
import logging
import threading
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_app.engine import RagApp
from rag_app.errors import RagAppError
from rag_app.server.errors import ApiError
from rag_app.server.library import FILES, Library
from rag_app.server.objects import FailedFile, Job

if TYPE_CHECKING:
    from rag_app.index.indexing import IndexProgress, IndexReport

_KEPT = 200
"""Jobs that are remembered; the oldest of those that ended go first."""
_MOST_WAITING = 1000

_log = logging.getLogger("rag_app.server")


class Jobs:
    """All indexing jobs of a server. For the event loop's thread only."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._changed: dict[str, asyncio.Event] = {}
        self._worker = ThreadPoolExecutor(1, "indexing")
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = threading.Event()

    def start(self, index: str, files: Sequence[Path]) -> Job:
        """Have files of an index indexed, after the jobs that wait already.

        Raises:
            ApiError: 429, too many jobs wait.
        """
        self.check_room()
        job = Job(id=uuid.uuid4().hex, index=index, total=len(files))
        self._jobs[job.id] = job
        self._changed[job.id] = asyncio.Event()
        self._forget()
        task = asyncio.create_task(self._run(job, files))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def check_room(self) -> None:
        """Say whether another job may wait.

        Raises:
            ApiError: 429, too many jobs wait.
        """
        if len(self._tasks) >= _MOST_WAITING:
            msg = f"{len(self._tasks)} indexing jobs wait; try again later"
            raise ApiError(429, msg, code="overloaded", headers={"Retry-After": "60"})

    def get(self, number: str) -> Job:
        """Return a job by its id.

        Raises:
            ApiError: 404.
        """
        if number not in self._jobs:
            raise ApiError(404, f"no job {number!r}; old ones are forgotten", code="job_not_found")
        return self._jobs[number]

    async def follow(self, job: Job) -> AsyncIterator[dict[str, Any]]:
        """Yield the job now and after every change, up to its end."""
        while True:
            changed = self._changed.get(job.id)
            yield job.model_dump()
            if job.ended or changed is None:
                return
            await changed.wait()

    def resume(self) -> None:
        """Index what was uploaded and not indexed before the server last ended."""
        for name in self._library.names():
            folder = self._library.folder(name) / FILES
            files = [file for file in folder.glob("*") if not file.name.startswith(".")]
            if files:
                self.start(name, sorted(files))

    async def close(self) -> None:
        """End what is being indexed; the next start goes on, since the files are there."""
        self._closing.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._worker.shutdown, cancel_futures=True)

    def _forget(self) -> None:
        ended = [job.id for job in self._jobs.values() if job.ended]
        for number in ended[: max(len(self._jobs) - _KEPT, 0)]:
            del self._jobs[number], self._changed[number]

    def _note(self, job: Job, **values: Any) -> None:
        for name, value in values.items():
            setattr(job, name, value)
        changed, self._changed[job.id] = self._changed[job.id], asyncio.Event()
        changed.set()

    async def _run(self, job: Job, files: Sequence[Path]) -> None:
        loop = asyncio.get_running_loop()

        def progress(now: "IndexProgress") -> None:
            if self._closing.is_set():
                raise ApiError(503, "the server was shut down", code="shutting_down")
            values = {"documents": now.documents, "total": now.total, "passages": now.chunks}
            loop.call_soon_threadsafe(lambda: self._note(job, **values))

        def work() -> dict[str, Any]:
            loop.call_soon_threadsafe(lambda: self._note(job, status="running"))
            engine = self._library.engine(job.index)
            before = _hashes(engine)
            report = engine.index(list(files), progress=progress)
            return _outcome(report, files, before, _hashes(engine))

        try:
            self._note(job, **await loop.run_in_executor(self._worker, work), status="done")
        except (RagAppError, ApiError) as error:
            self._note(job, status="failed", error=getattr(error, "detail", str(error)))
        except Exception:
            _log.exception("an indexing job failed")
            self._note(job, status="failed", error="unexpected error; see the server's log")


def _hashes(engine: RagApp) -> dict[str, str]:
    return {document.source: document.content_hash for document in engine.documents()}


def _outcome(
    report: "IndexReport", files: Sequence[Path], before: dict[str, str], after: dict[str, str]
) -> dict[str, Any]:
    """Return what became of each file; one that can't be read is not kept."""
    failed = {one.source: one.reason for one in report.failed}
    added, updated, unchanged = [], [], 0
    for file in files:
        source = str(file.resolve())
        if source in failed or str(file) in failed:
            file.unlink(missing_ok=True)
        elif source not in before:
            added.append(file.name)
        elif before[source] != after.get(source):
            updated.append(file.name)
        else:
            unchanged += 1
    return {
        "documents": len(files),
        "passages": report.chunks,
        "added": added,
        "updated": updated,
        "unchanged": unchanged,
        "failed": [
            # Where the server keeps the file is not the client's to know.
            FailedFile(name=Path(source).name, reason=reason.replace(source, Path(source).name))
            for source, reason in failed.items()
        ],
    }
