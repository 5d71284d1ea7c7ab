"""The index that a question set's own passages are asked in, kept for the next run."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from filelock import FileLock

from model_prep.catalog.pull import models_folder
from rag_app.errors import DocumentError, IndexStoreError
from rag_app.evaluation.questions import Dataset, GoldPassage
from rag_app.index.store.lock import unwritable

if TYPE_CHECKING:
    from rag_app.engine.app import RagApp
    from rag_app.index.indexing.report import ProgressCallback

_DONE = "complete"  # file that says that all passages are indexed


def over_passages(
    app: "RagApp", passages: Sequence[GoldPassage], progress: "ProgressCallback | None" = None
) -> "RagApp":
    """Return an application over an index of ``passages``, each a document of its own.

    The index is made once for the same passages, chunks and embedding model, beside the models; an
    interrupted run goes on with it.

    Raises:
        IndexStoreError: it can't be written.
        ModelError: the embedding model is missing or damaged.
    """
    folder = models_folder().with_name("evaluation") / _key(app, passages)
    over = app.over(folder / "index", store="local")
    if (folder / _DONE).exists():
        return over
    texts = folder / "texts"
    try:
        texts.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            if (folder / _DONE).exists():
                return over
            for passage in passages:
                file = texts / passage.file_name
                file.write_text(passage.text, encoding="utf-8", errors="backslashreplace")
            report = over.index([texts], progress=progress)
            if report.failed:
                raise IndexStoreError(report.failed[0].reason)
            (folder / _DONE).touch()
        shutil.rmtree(texts, ignore_errors=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    return over


def _key(app: "RagApp", passages: Sequence[GoldPassage]) -> str:
    settings = app.settings
    content = [[passage.file_name, passage.text] for passage in passages]
    given = app.resources.given.embeddings is not None
    embedding = app.embeddings.fingerprint if given else settings.embedding
    options = [embedding, settings.chunk_size, settings.chunk_overlap]
    return hashlib.sha256(json.dumps([content, options]).encode()).hexdigest()[:32]


class GoldSources:
    """Which indexed documents the names of a question set stand for.

    A name is a path's end, such as ``poets/li_bai.txt``, with or without the file's suffix.

    Raises:
        DocumentError: the index has none of them.
    """

    def __init__(self, dataset: Dataset, sources: Sequence[str], index: str) -> None:
        self._by_name: dict[str, set[str]] = {}
        for source in sources:
            path = PurePath(source)
            for name in {path.name, path.stem, source}:
                self._by_name.setdefault(name, set()).add(source)
        names = {name for question in dataset.questions for name in question.relevant}
        self.missing = sorted(name for name in names if not self._sources(name))
        if names and len(self.missing) == len(names):
            raise DocumentError(
                f"the index {index} has none of the documents that {dataset.name} asks about, such "
                f"as {self.missing[0]}; index them first: rag-app index PATH"
            )

    def of(self, relevant: Mapping[str, int]) -> dict[str, frozenset[str]]:
        """Return the sources of each relevant document."""
        return {name: self._sources(name) for name in relevant}

    def _sources(self, name: str) -> frozenset[str]:
        path = PurePath(name)
        found = self._by_name.get(name) or self._by_name.get(path.name) or set()
        if not found and path.suffix == ".txt":  # of a passage whose document has another suffix
            found = self._by_name.get(path.stem, set())
        ends = {
            source for source in found if PurePath(source).parts[-len(path.parts) :] == path.parts
        }
        return frozenset(ends or found)
