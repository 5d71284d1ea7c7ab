"""Short summaries of documents, kept beside an index; made again where they are lost."""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from rag_app.documents.text import Language
from rag_app.errors import IndexStoreError
from rag_app.index.store.kept_file import KeptFile
from rag_app.index.store.records import DocumentRecord

if TYPE_CHECKING:
    from rag_app.index.store.interface import DocumentSnapshot

SUMMARIES_NAME = "summaries.sqlite3"
_log = logging.getLogger(__name__)


class KeptSummaries:
    """The summaries of an index's documents, one for each language.

    A summary counts for one content, read with the same options, and for one model.
    It goes with its document. What can't be read or written is logged, and is made again.

    Args:
        folder: The index, or its part on this machine.
        model: What changes when another model, or the same one otherwise, would write them.
    """

    def __init__(self, folder: Path, model: str = "") -> None:
        self._file = KeptFile(folder / SUMMARIES_NAME)
        self._model = model

    def get(self, document: DocumentRecord, language: Language) -> str | None:
        """Return the summary of a document, None where there is none."""
        key = _key(document.source, language)
        with self._logged():
            if value := self._file.values([key]).get(key):
                version, text = json.loads(value)
                return str(text) if version == self._version(document) else None
        return None

    def keep(self, document: DocumentRecord, language: Language, text: str) -> None:
        """Keep the summary of a document in place of an earlier one."""
        value = json.dumps([self._version(document), text], ensure_ascii=False)
        with self._logged():
            self._file.keep([(_key(document.source, language), value.encode())])

    def forget(self, sources: Iterable[str]) -> None:
        """Drop the summaries of documents that go, or are replaced."""
        with self._logged():
            self._file.drop(
                _key(source, language) for source in sources for language in get_args(Language)
            )

    def sweep(self, snapshot: "DocumentSnapshot") -> None:
        """Drop the summaries of documents that an index does not hold."""
        with self._logged():
            kept = self._file.keys()
            gone = [key for key in kept if snapshot.document(_source(key)) is None]
            if gone:
                self._file.drop(gone)

    def _version(self, document: DocumentRecord) -> str:
        made_of = "\0".join([document.content_hash, document.settings, self._model])
        return hashlib.sha256(made_of.encode("utf-8", "surrogateescape")).hexdigest()

    @contextmanager
    def _logged(self) -> Iterator[None]:
        try:
            yield
        except (IndexStoreError, OSError, ValueError) as error:
            _log.warning("summaries of documents can't be kept: %s", error)


def _key(source: str, language: Language) -> bytes:
    return f"{language} {source}".encode("utf-8", "surrogateescape")


def _source(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape").partition(" ")[2]
