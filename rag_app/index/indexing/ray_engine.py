"""Indexing by the workers of a Ray cluster; this process alone writes."""

import json
import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings

from rag_app.documents.object_stores import SourcePath
from rag_app.documents.sources import STDIN
from rag_app.errors import ModelError, SettingsError
from rag_app.index.indexing.ray_cluster import connected
from rag_app.index.indexing.reading import name_of
from rag_app.index.indexing.run import DueDocument, IndexRun
from rag_app.index.indexing.worker import Broken, IndexWorker, Unreadable, WorkerResult
from rag_app.surroundings import physical_cores

_BLOCKS = 200  # into which few documents are cut, so that all workers end at about the same time
_LARGEST_BLOCK = 16  # documents sent to a worker together: what is done again when it dies
_TRIES = 3  # processes that a document may end
_DEADLY = f"it ended {_TRIES} processes that worked on it; look into the file, or leave it out"
_OUTPUT_BYTES = 4 * 2**20  # bytes of results that a worker gathers before it hands them back


class RayEngine:
    """Has documents read and embedded by Ray Data.

    What a worker that died was working on is given to another one; a document that has ended three
    is reported.

    Args:
        load: Returns the model in a worker; is pickled.
        address: A cluster's, as ``ray.init`` takes it; by default Ray is started on this machine
            for the run, and listens on localhost only. Where Ray is initialized already, that is
            used.
        workers: On this machine; by default one for each core.
    """

    def __init__(
        self,
        load: Callable[[], Embeddings],
        *,
        address: str | None = None,
        workers: int | None = None,
    ) -> None:
        self._load = load
        self._address = address
        self._workers = workers

    def read(self, run: IndexRun, paths: Sequence[SourcePath]) -> None:
        """Have ``run`` write what is new or changed at ``paths``, and report what can't be read.

        Raises:
            ClusterError: Ray is not installed, can't be reached or started, or ended.
            ModelError: a worker can't load the model, or it fails.
            SettingsError: a loader, splitter or model that was given can't be pickled.
        """
        due = list(_due(run, paths))
        if due:
            with connected(self._address, self._workers or physical_cores()):
                worker = IndexWorker(self._load, run.embedding.fingerprint, run.options, Path.cwd())
                for number, result in _results(due, _pickled(worker)):
                    _take(run, due[number], result)
        # The results did not come in the order of the sources.
        order = {name_of(path): at for at, path in enumerate(paths)}
        run.report.failed.sort(key=lambda failure: order.get(failure.source, -1))
        run.report.notes.sort(key=lambda note: order.get(note.source, -1))


def _due(run: IndexRun, paths: Sequence[SourcePath]) -> Iterator[DueDocument]:
    """Yield what must be read; this process looks into what the index knows, and stdin."""
    hash_new = run.may_rename
    for path in paths:
        if path == STDIN:
            run.take(path)
        elif due := run.due(path, hash_new=hash_new):
            yield due
        else:
            run.looked()


def _take(run: IndexRun, due: DueDocument, result: WorkerResult) -> None:
    run.source = due.source
    if isinstance(result, Broken):
        raise ModelError(result.reason)
    if isinstance(result, Unreadable):
        run.fail(due.source, result.reason)
    else:
        run.report.embedding_seconds += result.seconds
        run.write(due, result.document, result.chunks, result.vectors)
    run.looked()


def _results(due: Sequence[DueDocument], worker: bytes) -> Iterator[tuple[int, WorkerResult]]:
    """Yield the number of each document and what became of it, as they are ready.

    Ray Data holds workers back while results wait here to be written, and gives what a worker that
    died had before it to another one, however often.
    """
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    rows = [
        {
            "number": number,
            "path": str(document.path),
            "source": document.source,
            "digest": document.digest or "",
            "folders": json.dumps(document.folders),
        }
        for number, document in enumerate(due)
    ]
    size = min(max(len(rows) // _BLOCKS, 1), _LARGEST_BLOCK)
    actors = min(int(ray.cluster_resources().get("CPU", 1)) or 1, len(rows))
    context = DataContext.get_current().copy()
    context.target_max_block_size = _OUTPUT_BYTES
    context.enable_progress_bars = False
    attempts = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Attempts).remote()
    with DataContext.current(context):
        results = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // size)).map(
            _Actor,
            fn_constructor_args=(worker, attempts),
            compute=ActorPoolStrategy(min_size=1, max_size=actors, initial_size=actors),
            num_cpus=1,
        )
        for row in results.iter_rows():
            yield row["number"], pickle.loads(row["result"])  # noqa: S301 - our own workers made it


class _Attempts:
    """Which documents are being worked on, and for which time."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, number: int) -> int:
        """Return how often the document was begun before, and not ended."""
        self._begun[number] += 1
        return self._begun[number] - 1

    def end(self, number: int) -> None:
        """Note that the process outlived the document."""
        del self._begun[number]


class _Actor:
    """A process of Ray that works on documents."""

    def __init__(self, worker: bytes, attempts: Any) -> None:
        self._worker: IndexWorker = pickle.loads(worker)  # noqa: S301 - the driver made it
        self._attempts = attempts
        self._worker.load()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        import ray

        number: int = row["number"]
        result: WorkerResult = Unreadable(_DEADLY)
        if ray.get(self._attempts.begin.remote(number)) < _TRIES:
            folders = json.loads(row["folders"])
            result = self._worker.work(row["path"], row["source"], row["digest"] or None, folders)
        self._attempts.end.remote(number)
        return {"number": number, "result": pickle.dumps(result)}


def _pickled(worker: IndexWorker) -> bytes:
    from ray import cloudpickle

    try:
        pickled: bytes = cloudpickle.dumps(worker)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        msg = f"a loader, splitter or model that was given can't be sent to workers ({error})"
        raise SettingsError(msg) from error
    return pickled
