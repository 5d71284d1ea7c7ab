"""The indexes that are served, over one language model."""

import shutil
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rag_app.engine import RagApp
from rag_app.errors import IndexStoreError, ModelError
from rag_app.index.store.lock import unwritable
from rag_app.index.store.records import IndexMeta
from rag_app.index.store.store import DATABASE_NAME
from rag_app.server import uploads
from rag_app.server.errors import ApiError
from rag_app.server.names import document_id, index_name
from rag_app.server.schemas.indexes import IndexInfo
from rag_app.settings import home

if TYPE_CHECKING:
    from rag_app.index.store.records import DocumentRecord
    from rag_app.models.embeddings.base import DocumentEmbeddings


class Library:
    """All indexes by name, opened when first used; one language model serves them all.

    Args:
        base: Its settings, language model and embeddings serve every index.
        only: Names or folders of the indexes to serve; by default all in the home folder, and
            then indexes can be made and deleted.
    """

    def __init__(self, base: RagApp, only: Sequence[str] = ()) -> None:
        self.base = base
        self._root = home() / "indexes"
        self._only = {folder.name: folder for folder in map(self._folder_of, only)}
        self._engines: dict[str, RagApp] = {}
        self._embeddings: dict[str, DocumentEmbeddings] = {}
        self._guard = threading.RLock()

    def names(self) -> list[str]:
        """Return the names of all indexes."""
        if self._only:
            return sorted(self._only)
        files = self._root.glob(f"*/{DATABASE_NAME}")
        return sorted(file.parent.name for file in files if not file.parent.name.startswith("."))

    def info(self, name: str) -> IndexInfo:
        """Return what is in an index; one that can't be read says why."""
        try:
            with self.engine(name).store.read() as snapshot:
                return IndexInfo(
                    name=name,
                    documents=snapshot.count_documents(),
                    passages=snapshot.count_chunks(),
                    embedding=snapshot.meta().embedding,
                )
        except IndexStoreError as error:
            return IndexInfo(name=name, documents=0, passages=0, embedding="", error=str(error))

    def engine(self, name: str) -> RagApp:
        """Return the application over an index.

        Raises:
            ApiError: 404, there is none of that name.
        """
        with self._guard:
            if name not in self.names():
                msg = f"no index {name!r}; GET /v1/indexes lists them"
                raise ApiError(404, msg, code="index_not_found")
            if name not in self._engines:
                folder = self.folder(name)
                self._engines[name] = self.base.over(folder, self._embeddings_of(folder))
            return self._engines[name]

    def folder(self, name: str) -> Path:
        """Return the folder of an index, there or not."""
        return self._only.get(name) or self._root / name

    def create(self, name: str) -> None:
        """Make an empty index.

        Raises:
            ApiError: 409, it is there already; 403, the indexes are fixed.
        """
        name = index_name(name)
        with self._guard:
            self._check_open()
            if self.folder(name).exists():
                raise ApiError(409, f"there is an index {name!r} already", code="index_exists")
            engine = self.base.over(
                self.folder(name), self.embeddings(self.base.settings.embedding)
            )
            size, overlap = engine.settings.chunk_size, engine.settings.chunk_overlap
            engine.store.create(IndexMeta.of(engine.embeddings, size, overlap))
            engine.close()

    def delete(self, name: str) -> None:
        """Delete an index and the files that were uploaded into it.

        Raises:
            ApiError: 404, 403, or 409 while it is being written.
        """
        engine = self.engine(name)
        with self._guard:
            self._check_open()
            folder = engine.store.folder
            beside = folder.with_name(f".deleted-{uuid.uuid4().hex}")
            try:
                with engine.store.locked():
                    folder.replace(beside)
            except OSError as error:
                raise unwritable(folder, error) from error
            finally:
                engine.close()
                self._engines.pop(name, None)
        shutil.rmtree(beside, ignore_errors=True)

    def sweep(self) -> None:
        """Finish deletions that were interrupted."""
        for folder in self._root.glob(".deleted-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def document(self, name: str, wanted: str) -> "DocumentRecord":
        """Return the document of an index with the id that the API gives it.

        Raises:
            ApiError: 404.
        """
        for document in self.engine(name).documents():
            if document_id(document.source) == wanted:
                return document
        raise ApiError(404, f"no document {wanted!r} in {name}", code="document_not_found")

    def remove(self, name: str, wanted: str) -> None:
        """Take a document out of an index, and delete its file if it was uploaded."""
        engine = self.engine(name)
        document = self.document(name, wanted)
        file, folder = Path(document.source), engine.store.folder
        with engine.store.locked():  # no job may put a new file there meanwhile
            engine.remove([document.source])
            if file.is_relative_to((folder / uploads.FILES).resolve()):
                uploads.delete(file, folder)

    def embeddings(self, spec: str) -> "DocumentEmbeddings":
        """Return an embedding model, loaded once for all indexes that use it."""
        with self._guard:
            if spec not in self._embeddings:
                self._embeddings[spec] = self.base.load_embeddings(spec)
            return self._embeddings[spec]

    def close(self) -> None:
        """Let go of all indexes."""
        with self._guard:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()

    def _embeddings_of(self, folder: Path) -> "DocumentEmbeddings | None":
        """Return the model of an index; None leaves it to its first use to say what is wrong."""
        settings = self.base.settings
        spec = settings.embedding
        if "embedding" not in settings.model_fields_set:
            probe = self.base.over(folder, None)
            with suppress(IndexStoreError), probe.store.read() as snapshot:
                spec = snapshot.meta().embedding
            probe.close()
        try:
            return self.embeddings(spec)
        except ModelError:
            return None

    def _folder_of(self, index: str) -> Path:
        return self.base.settings.model_copy(update={"index": index}).index_folder

    def _check_open(self) -> None:
        if self._only:
            msg = "the indexes of this server are fixed: it was started with --index"
            raise ApiError(403, msg)
