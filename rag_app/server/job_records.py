"""Indexing jobs on disk: every server on a home reports them all, and can have them cancelled."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_prep.errors import CheckpointError
from model_prep.json_file import read_json, replace_json
from rag_app.server import uploads
from rag_app.server.schemas.indexes import FailedFile, FileNote, Job
from rag_app.settings import home

if TYPE_CHECKING:
    from rag_app.index.indexing.report import IndexReport

_log = logging.getLogger("rag_app.server")
_SUFFIX = ".json"
_CANCELLED = ".cancelled"


class JobRecords:
    """A file for each job, written by the server that does it and read by the others.

    They are named ``BEGUN-JOB``, so that the oldest comes first.

    Attributes:
        folder: Theirs; it is made with the first.
    """

    def __init__(self) -> None:
        self.folder = home() / "jobs"
        self._known: dict[str, tuple[int, str, Job]] = {}

    def write(self, name: str, job: Job) -> None:
        """Write how far a job of this server is."""
        with suppress(OSError):  # the disk may be full, and indexing goes on
            content = {"server": uploads.own_name(), **job.model_dump()}
            replace_json(self.folder / f"{name}{_SUFFIX}", content, durable=False)

    def all(self) -> Iterator[tuple[str, str, Job]]:
        """Yield the name, the server and the job of each record, oldest first."""
        found = {}
        for file in sorted(self.folder.glob(f"*{_SUFFIX}")):
            with suppress(OSError, CheckpointError, KeyError, ValueError):  # it went meanwhile
                found[file.stem] = self._read(file)
        self._known = found
        for name, (_, server, job) in found.items():
            yield name, server, job

    def notes(self, index: str) -> list[str]:
        """Return what readers of an answer from an index should know: documents may be missing."""
        unfinished = [job for _, _, job in self.all() if job.index == index and not job.ended]
        left = sum(max(job.total - job.documents, 1) for job in unfinished)
        return [f"{left} files are still being indexed"] if left else []

    def forget(self, kept: int) -> None:
        """Delete the oldest records of jobs that ended, but keep some."""
        records = [(name, job) for name, _, job in self.all()]
        for name, job in records[: max(len(records) - kept, 0)]:
            if job.ended:
                self.delete(name)

    def delete(self, name: str) -> None:
        """Delete the record of a job."""
        for suffix in (_SUFFIX, _CANCELLED):
            (self.folder / f"{name}{suffix}").unlink(missing_ok=True)

    def cancel(self, name: str) -> None:
        """Ask the server that does a job to end it."""
        (self.folder / f"{name}{_CANCELLED}").touch()

    def cancelled(self) -> set[str]:
        """Return the names of the jobs that are to be ended."""
        return {file.stem for file in self.folder.glob(f"*{_CANCELLED}")}

    def _read(self, file: Path) -> tuple[int, str, Job]:
        changed = file.stat().st_mtime_ns
        known = self._known.get(file.stem)
        if known and known[0] == changed:
            return known
        content = read_json(file)
        return changed, content.pop("server"), Job(**content)


def outcome_of(report: "IndexReport", targets: Mapping[Path, Path], stored: Path) -> dict[str, Any]:
    """Return what became of each file, by the names that clients know."""
    reasons = {failure.source: failure.reason for failure in report.failed}
    texts: dict[str, list[str]] = defaultdict(list)
    for note in report.notes:
        texts[note.source].append(note.text)
    added: list[str] = []
    updated: list[str] = []
    unchanged, failed, notes = 0, [], []
    for file, target in targets.items():
        name, source = target.relative_to(stored).as_posix(), str(target.resolve())
        notes += [FileNote(name=name, text=text) for text in texts[source]]
        if source in reasons:
            # Where the server keeps the file is not the client's to know.
            reason = reasons[source].replace(str(file), name).replace(source, name)
            failed.append(FailedFile(name=name, reason=reason))
        elif source in report.written:
            (updated if report.written[source] else added).append(name)
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


def log_outcome(job: Job) -> None:
    """Log how a job ended, and each file that could not be indexed."""
    for failure in job.failed:
        _log.warning("%s was not indexed into %s: %s", failure.name, job.index, failure.reason)
    message = f"indexing job {job.id} of {job.index}: {job.status}"
    if job.error:
        _log.warning("%s (%s)", message, job.error)
    else:
        _log.info(
            "%s, %d of %d files, %d passages", message, job.documents, job.total, job.passages
        )
