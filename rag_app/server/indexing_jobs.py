"""Indexing in the background, one job at a time, each followed as it goes on."""

import asyncio
import logging
import threading
import uuid
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request

from rag_app.engine import RagApp
from rag_app.errors import RagAppError
from rag_app.server import uploads
from rag_app.server.errors import ApiError
from rag_app.server.index_registry import IndexRegistry
from rag_app.server.schemas.indexes import FailedFile, FileNote, Job

if TYPE_CHECKING:
    from rag_app.index.indexing.report import IndexProgress, IndexReport

_KEPT = 200
"""Jobs that are remembered; the oldest of those that ended go first."""
_MOST_WAITING = 1000

_log = logging.getLogger("rag_app.server")


class IndexingJobs:
    """All indexing jobs of a server, oldest first. For the event loop's thread only."""

    def __init__(self, registry: IndexRegistry) -> None:
        self._registry = registry
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._changed: dict[str, asyncio.Event] = {}
        self._worker = ThreadPoolExecutor(1, "indexing")
        self._tasks: set[asyncio.Task[None]] = set()
        self.closing = threading.Event()
        """Set when the server ends: what is being indexed is given up."""

    def __iter__(self) -> Iterator[Job]:
        return iter(list(self._jobs.values()))

    def start(self, index: str, folder: Path) -> Job:
        """Have the files in a folder of an index indexed, after the jobs that wait already.

        Args:
            index: Its name.
            folder: That of an upload, deleted when it is indexed; or that of all indexed files.

        Raises:
            ApiError: 429, too many jobs wait.
        """
        self.check_room()
        total = len(uploads.contents(folder))
        job = Job(id=uuid.uuid4().hex, index=index, total=total)
        self._jobs[job.id] = job
        self._changed[job.id] = asyncio.Event()
        self._forget()
        task = asyncio.create_task(self._run(job, folder))
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

    def get(self, job_id: str) -> Job:
        """Return a job by its id.

        Raises:
            ApiError: 404.
        """
        if job_id not in self._jobs:
            raise ApiError(404, f"no job {job_id!r}; old ones are forgotten", code="job_not_found")
        return self._jobs[job_id]

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
        for name in self._registry.names():
            index = self._registry.folder(name)
            for folder in uploads.waiting(index):
                self.start(name, folder)
            if uploads.contents(index / uploads.FILES):
                self.start(name, index / uploads.FILES)

    async def close(self) -> None:
        """End what is being indexed; the next start goes on, since the files are there."""
        self.closing.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._worker.shutdown, cancel_futures=True)

    def _forget(self) -> None:
        ended = [job.id for job in self._jobs.values() if job.ended]
        for job_id in ended[: max(len(self._jobs) - _KEPT, 0)]:
            del self._jobs[job_id], self._changed[job_id]

    def _note(self, job: Job, **values: Any) -> None:
        for name, value in values.items():
            setattr(job, name, value)
        changed, self._changed[job.id] = self._changed[job.id], asyncio.Event()
        changed.set()

    async def _run(self, job: Job, folder: Path) -> None:
        loop = asyncio.get_running_loop()

        def progress(now: "IndexProgress") -> None:
            if self.closing.is_set():
                raise ApiError(503, "the server was shut down", code="shutting_down")
            values = {"documents": now.documents, "total": now.total, "passages": now.chunks}
            loop.call_soon_threadsafe(lambda: self._note(job, **values))

        def work() -> dict[str, Any]:
            loop.call_soon_threadsafe(lambda: self._note(job, status="running"))
            engine = self._registry.engine(job.index)
            stored = engine.store.folder / uploads.FILES
            files = uploads.contents(folder)
            targets = {file: stored / file.relative_to(folder) for file in files}
            before = _hashes(engine)
            report = engine.index(list(targets), progress=progress, destinations=targets)
            if folder != stored:
                indexed = [file.relative_to(folder) for file in targets if not file.exists()]
                uploads.end(folder, engine.store.folder, indexed)
            return _outcome(report, targets, stored, before, _hashes(engine))

        try:
            self._note(job, **await loop.run_in_executor(self._worker, work), status="done")
        except (RagAppError, ApiError) as error:
            reason = getattr(error, "detail", str(error))
            _log.warning("an indexing job failed: %s", reason)
            self._note(job, status="failed", error=reason)
        except Exception:
            _log.exception("an indexing job failed")
            self._note(job, status="failed", error="unexpected error; see the server's log")


def _jobs(request: Request) -> IndexingJobs:
    jobs: IndexingJobs = request.app.state.jobs
    return jobs


Jobs = Annotated[IndexingJobs, Depends(_jobs)]
"""The indexing jobs, as a parameter of a route."""


def _hashes(engine: RagApp) -> dict[str, str]:
    return {document.source: document.content_hash for document in engine.documents()}


def _outcome(
    report: "IndexReport",
    targets: Mapping[Path, Path],
    stored: Path,
    before: dict[str, str],
    after: dict[str, str],
) -> dict[str, Any]:
    """Return what became of each file, by the names that clients know."""
    reasons = {failure.source: failure.reason for failure in report.failed}
    texts: dict[str, list[str]] = defaultdict(list)
    for note in report.notes:
        texts[note.source].append(note.text)
    added, updated, unchanged, failed, notes = [], [], 0, [], []
    for file, target in targets.items():
        name, source = target.relative_to(stored).as_posix(), str(target.resolve())
        notes += [FileNote(name=name, text=text) for text in texts[source]]
        if source in reasons:
            # Where the server keeps the file is not the client's to know.
            reason = reasons[source].replace(str(file), name).replace(source, name)
            failed.append(FailedFile(name=name, reason=reason))
        elif source not in before:
            added.append(name)
        elif before[source] != after.get(source):
            updated.append(name)
        else:
            unchanged += 1
    return {
        "documents": len(targets),
        "passages": report.chunks,
        "added": added,
        "updated": updated,
        "unchanged": unchanged,
        "failed": failed,
        "notes": notes,
    }
