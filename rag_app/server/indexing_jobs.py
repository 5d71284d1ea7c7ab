"""Indexing in the background: fair between indexes, bounded, cancellable, each job followed."""

import asyncio
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request

from rag_app.engine import RagApp
from rag_app.errors import BusyIndexError, RagAppError
from rag_app.server import uploads
from rag_app.server.errors import ApiError
from rag_app.server.index_registry import IndexRegistry
from rag_app.server.job_records import JobRecords, log_outcome, outcome_of
from rag_app.server.queueing import end_tasks
from rag_app.server.schemas.indexes import Job

if TYPE_CHECKING:
    from rag_app.index.indexing.report import IndexProgress, IndexReport

_KEPT = 200  # jobs that are remembered; the oldest of those that ended go first
_MOST_WAITING = 1000
_TOGETHER = 4  # indexes that are written at once; each by one job at a time
_ADOPTING_SECONDS = 30.0
"""Between two looks for uploads that another server, on the same home, was killed over."""
_LOOK_SECONDS = 0.5  # between two looks at what other servers on the home did or want
_CANCEL_SECONDS = 60.0  # longest wait for another server to end a job; it ends it later then
_MOST_ATTEMPTS = 2
"""Times that a job may be running when the server dies; then it is not begun again."""
_DIED = "the server ended before it could report on the files; the list of documents shows them"

Note = Callable[..., None]
"""Notes values of a job, by the names of its fields."""
_log = logging.getLogger("rag_app.server")


class _StoppedError(Exception):
    """A job was ended before its time."""


@dataclass
class _Run:
    """A job, and what is needed to do it and to end it."""

    name: str  # the name of its record
    job: Job
    folder: Path
    suspect: bool
    """It was running when the server died: whatever ran with it would be suspected too."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    stop: threading.Event = field(default_factory=threading.Event)
    task: asyncio.Task[None] | None = None
    deadline: float = math.inf  # by `time.monotonic`, once it runs


class IndexingJobs:
    """The indexing jobs of a home, oldest first. For the event loop's thread only.

    Each is done by one server; the others on the home report how far it is, by its record.

    Jobs of one index are done in turn. Of several indexes some are written together, and the one
    that waited longest comes next, so that nobody waits for all that somebody else uploaded.
    """

    def __init__(self, registry: IndexRegistry, records: JobRecords) -> None:
        self._registry = registry
        self._records = records
        self._runs: OrderedDict[str, _Run] = OrderedDict()
        self._heeding: asyncio.Task[None] | None = None
        self._served: dict[str, float] = {}  # when a job of an index was begun last
        self._workers = ThreadPoolExecutor(_TOGETHER, "indexing")
        self.closing = threading.Event()
        """Set when the server ends: what is being indexed is given up."""

    def __iter__(self) -> Iterator[Job]:
        return iter([job for _, job in sorted(self._named().items())])

    def _named(self) -> dict[str, Job]:
        """Return all jobs by the names of their records: of this server's, it knows more."""
        found = {name: job for name, _, job in self._records.all()}
        return found | {run.name: run.job for run in self._runs.values()}

    @property
    def busy(self) -> bool:
        """Whether a job of this server waits or runs; for any thread."""
        return any(not run.job.ended for run in [*self._runs.values()])

    def start(self, index: str, folder: Path) -> Job:
        """Queue the files in a folder of an index to be indexed, after the jobs that wait already.

        Args:
            index: Its name.
            folder: That of an upload, deleted when it is indexed; or that of all indexed files.

        Raises:
            ApiError: 429, too many jobs wait.
        """
        self.check_room()
        name = uploads.job_name(folder)
        job_id = name.partition("-")[2]
        job = Job(id=job_id, index=index, total=len(uploads.contents(folder)))
        attempts = uploads.attempts(folder)
        self._runs[job.id] = run = _Run(name, job, folder, suspect=attempts > 0)
        self._records.write(name, job)
        self._forget()
        if attempts >= _MOST_ATTEMPTS:
            self._set_aside(run, "the server ended twice while it was indexed")
        self._begin()
        if self._heeding is None or self._heeding.done():
            self._heeding = asyncio.create_task(self._heed())
        return job

    def check_room(self) -> None:
        """Say whether another job may wait.

        Raises:
            ApiError: 429, too many jobs wait.
        """
        waiting = sum(not run.job.ended for run in self._runs.values())
        if waiting >= _MOST_WAITING:
            msg = f"{waiting} indexing jobs wait; try again later"
            raise ApiError(429, msg, code="overloaded", headers={"Retry-After": "60"})

    def get(self, job_id: str) -> Job:
        """Return a job by its id.

        Raises:
            ApiError: 404.
        """
        if job_id in self._runs:
            return self._runs[job_id].job
        for job in self:
            if job.id == job_id:
                return job
        raise ApiError(404, f"no job {job_id!r}; old ones are forgotten", code="job_not_found")

    def unfinished(self, index: str) -> list[Job]:
        """Return the jobs of an index that wait or run."""
        return [job for job in self if job.index == index and not job.ended]

    async def cancel(self, jobs: Iterable[Job]) -> None:
        """End jobs, and wait until they have ended.

        What they indexed stays, and the files that they did not are deleted.
        """
        ids = {job.id for job in jobs if not job.ended}
        if ids - self._runs.keys():
            await self._adopt(own=False)  # their servers may have died
        await asyncio.gather(
            self._cancel_own([run for run in self._runs.values() if run.job.id in ids]),
            *map(self._cancel_other, ids - self._runs.keys()),
        )

    async def _cancel_other(self, job_id: str) -> None:
        """Ask another server to end a job."""
        for name, job in self._named().items():
            if job.id == job_id:
                self._records.cancel(name)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CANCEL_SECONDS):
                while any(job.id == job_id and not job.ended for job in self):
                    await asyncio.sleep(_LOOK_SECONDS)

    async def _cancel_own(self, runs: Iterable[_Run]) -> None:
        for run in runs:
            run.stop.set()
            if run.task is None:
                await asyncio.to_thread(uploads.drop, run.folder)
                self._note(run, status="cancelled")
        tasks = [run.task for run in runs if run.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def follow(self, job: Job) -> AsyncIterator[dict[str, Any]]:
        """Yield the job now and after every change, up to its end."""
        while True:
            run = self._runs.get(job.id)
            changed = run.changed if run else None
            yield job.model_dump()
            if job.ended:
                return
            if changed:
                await changed.wait()
            elif (later := await self._changed(job)) is None:
                return
            else:
                job = later

    async def _changed(self, job: Job) -> Job | None:
        """Return another server's job when it has changed; None when it is forgotten."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            found = next((other for other in self if other.id == job.id), None)
            if found != job:
                return found

    async def resume(self) -> None:
        """Index what was uploaded and not indexed before the server last ended."""
        try:
            names = await self._adopt(own=True)
        except OSError as error:  # of a home that can only be read, which can be asked
            _log.warning("uploads that wait can't be taken over (%s)", error)
            return
        for name in names:
            files = self._registry.folder(name) / uploads.FILES
            if uploads.contents(files):
                self.start(name, files)

    async def _adopt(self, *, own: bool) -> list[str]:
        """Take over what servers left that died, this one's own too when it starts again.

        Returns:
            The names of the indexes.
        """
        names = await asyncio.to_thread(self._registry.names)
        for name in names:
            for folder in uploads.adopt(self._registry.folder(name), own=own):
                self.start(name, folder)
        folders = map(self._registry.folder, names)
        waiting = {uploads.job_name(each) for folder in folders for each in uploads.waiting(folder)}
        for name, server, job in self._records.all():
            alive = not own if server == uploads.own_name() else uploads.lives(server)
            if not (job.ended or alive or name in waiting or job.id in self._runs):
                ended = {"status": "failed", "error": _DIED}
                self._records.write(name, job.model_copy(update=ended))
        return names

    async def _heed(self) -> None:
        """End the jobs of this server that others want to be ended, as long as there are any."""
        while left := [run for run in self._runs.values() if not run.job.ended]:
            if names := self._records.cancelled():
                await self._cancel_own([run for run in left if run.name in names])
            await asyncio.sleep(_LOOK_SECONDS)

    async def keep_adopting(self) -> None:
        """Look again and again for what another server was killed over."""
        while True:
            await asyncio.sleep(_ADOPTING_SECONDS)
            try:
                self.check_room()
                await self._adopt(own=False)
            except OSError as error:
                _log.warning("uploads that wait can't be taken over (%s)", error)
            except Exception:  # a full queue, or a disk that is away: the next look may find both
                _log.exception("uploads that wait can't be taken over")

    async def close(self) -> None:
        """End what is being indexed; the next start goes on, since the files are there."""
        self.closing.set()
        tasks = [run.task for run in self._runs.values() if run.task is not None]
        tasks += [self._heeding] if self._heeding else []
        await end_tasks(tasks)
        await asyncio.to_thread(self._workers.shutdown, cancel_futures=True)

    def _forget(self) -> None:
        ended = [run.job.id for run in self._runs.values() if run.job.ended]
        for job_id in ended[: max(len(self._runs) - _KEPT, 0)]:
            del self._runs[job_id]
        self._records.forget(_KEPT)

    def _note(self, run: _Run, **values: Any) -> None:
        for name, value in values.items():
            setattr(run.job, name, value)
        self._records.write(run.name, run.job)
        changed, run.changed = run.changed, asyncio.Event()
        changed.set()

    def _begin(self) -> None:
        """Begin as many of the jobs that wait as may run now."""
        while not self.closing.is_set() and (run := self._next()) is not None:
            self._served[run.job.index] = time.monotonic()
            run.task = asyncio.create_task(self._run(run))

    def _next(self) -> _Run | None:
        runs = self._runs.values()
        running = [run for run in runs if run.task and not run.job.ended]
        first: dict[str, _Run] = {}
        for run in runs:
            if run.task is None and not run.job.ended:
                first.setdefault(run.job.index, run)
        busy = {run.job.index for run in running}
        free = [run for index, run in first.items() if index not in busy]
        if len(running) >= _TOGETHER or not free or any(run.suspect for run in running):
            return None
        chosen = min(free, key=lambda run: self._served.get(run.job.index, 0.0))
        return None if chosen.suspect and running else chosen

    async def _run(self, run: _Run) -> None:
        loop = asyncio.get_running_loop()

        def note(**values: Any) -> None:
            loop.call_soon_threadsafe(lambda: self._note(run, **values))

        try:
            done = await loop.run_in_executor(self._workers, self._work, run, note)
            self._note(run, **done, status="done")
        except _StoppedError:
            self._note(run, status="cancelled")
        except TimeoutError as error:
            self._set_aside(run, str(error))
        except (RagAppError, ApiError) as error:
            self._note(run, status="failed", error=getattr(error, "detail", str(error)))
        except Exception:
            _log.exception("an indexing job failed")
            self._note(run, status="failed", error="unexpected error; see the server's log")
        finally:
            log_outcome(run.job)
            self._begin()

    def _work(self, run: _Run, note: Note) -> dict[str, Any]:
        """Index the files of a job, in a thread of its own; return what became of them."""
        folder = run.folder
        note(status="running")
        uploads.attempt(folder)
        try:
            engine = self._registry.engine(run.job.index)
            stored = engine.store.folder.resolve() / uploads.FILES
            files = uploads.contents(folder)
            targets = {file: stored / file.relative_to(folder) for file in files}
            report = self._indexed(run, engine, targets, stored, note)
            if folder != stored:
                indexed = [file.relative_to(folder) for file in targets if not file.exists()]
                uploads.end(folder, engine.store.folder, indexed)
            return outcome_of(report, targets, stored)
        except _StoppedError:
            uploads.drop(folder)
            raise
        finally:
            uploads.settle(folder)

    def _indexed(
        self, run: _Run, engine: RagApp, targets: Mapping[Path, Path], stored: Path, note: Note
    ) -> "IndexReport":
        """Index files under the paths at which they are to be stored; return what became of them.

        While another process writes the index it is waited for, and no time is counted.
        """
        settings = self._registry.settings
        limited = engine.using(max_passages=settings.upload_passages)

        def progress(now: "IndexProgress") -> None:
            self._check(run)
            done = {"documents": now.documents, "total": now.total, "passages": now.chunks}
            note(**done, estimate=now.estimate)

        while True:
            run.deadline = time.monotonic() + settings.job_seconds
            self._check(run)
            with suppress(BusyIndexError):
                # Written at once: one that is cancelled, or harms twice, leaves nothing behind.
                return limited.index(
                    list(targets), progress=progress, destinations=targets, roots=[stored],
                    words_first=False,
                )  # fmt: skip

    def _check(self, run: _Run) -> None:
        """Raise an error where a job is to end before its time."""
        if self.closing.is_set():
            raise ApiError(503, "the server was shut down", code="shutting_down")
        if run.stop.is_set():
            raise _StoppedError
        if time.monotonic() > run.deadline:
            limit = self._registry.settings.job_seconds
            raise TimeoutError(f"it took longer than {limit:g} seconds (RAG_APP_JOB_SECONDS)")

    def _set_aside(self, run: _Run, reason: str) -> None:
        """Keep the files of a job that would harm again, without indexing them."""
        kept = uploads.set_aside(run.folder)
        _log.warning("an upload into %s is kept in %s: %s", run.job.index, kept, reason)
        error = f"{reason}; its files are set aside: upload them in smaller parts"
        self._note(run, status="failed", error=error)


def _jobs(request: Request) -> IndexingJobs:
    jobs: IndexingJobs = request.app.state.jobs
    return jobs


Jobs = Annotated[IndexingJobs, Depends(_jobs)]
"""The indexing jobs, as a parameter of a route."""
