"""The indexes that are served, their documents, and the models over them, by name."""

import hashlib
import logging
import os
import re
import shutil
import threading
import unicodedata
from collections.abc import Sequence
from copy import copy
from functools import lru_cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Self

from fastapi import Depends, Request

from rag_app.engine import RagApp
from rag_app.errors import IndexStoreError, ModelError
from rag_app.index.store.folders import delete_index
from rag_app.index.store.records import IndexMeta
from rag_app.server import uploads
from rag_app.server.errors import ApiError
from rag_app.server.middleware.access import ApiKey, sent_key
from rag_app.server.schemas.indexes import DocumentInfo, IndexInfo
from rag_app.settings import Settings, indexes_folder

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from rag_app.index.store.records import DocumentRecord
    from rag_app.models.embeddings.base import DocumentEmbeddings
    from rag_app.models.reranker import CrossEncoderReranker

RAG = "rag:"
"""What the model id of an index begins with."""
LATEST = ":latest"
"""The tag of a model that has none."""

_LONGEST_FOLDER = 255  # bytes of a name in a file system
_SHOWN_MODELS = 10  # in the error about a model that isn't here
_NAME = re.compile(r"\w[\w.\- ]{0,62}\w|\w")
_log = logging.getLogger("rag_app.server")


class IndexRegistry:
    """All indexes of a store by name, opened when first used; one language model serves them all.

    What is uploaded into an index is in its folder, wherever the index itself is.

    Args:
        base: Its settings, language model and embeddings serve every index.
        only: Names or folders of the indexes to serve; by default all in the home folder, and
            then indexes can be made and deleted.
    """

    def __init__(self, base: RagApp, only: Sequence[str] = ()) -> None:
        self.base = base
        self._root = indexes_folder()
        self._any = base.over(self._root / "any")
        named = (base.settings.model_copy(update={"index": index}) for index in only)
        self._only = {folder.name: folder for folder in (given.index_folder for given in named)}
        self._key: ApiKey | None = None
        self._engines: dict[str, RagApp] = {}
        self._embeddings: dict[str, DocumentEmbeddings] = {}
        self._guard = threading.RLock()

    def opened_by(self, key: ApiKey | None) -> Self:
        """Return a view of this registry as somebody with that key sees it."""
        view = copy(self)
        view._key = key
        return view

    def shows(self, name: str) -> bool:
        """Return whether an index of that name, there or not, may be seen."""
        return self._key is None or self._key.opens(name)

    @property
    def settings(self) -> Settings:
        """The options in effect."""
        return self.base.settings

    @property
    def llm_id(self) -> str:
        """The id of the language model in the API."""
        spec = self.settings.llm
        if spec.startswith(("http://", "https://")):
            return self.settings.llm_name or "default"
        return Path(spec).name.removesuffix(".gguf")

    @property
    def reranker(self) -> "CrossEncoderReranker | None":
        """What puts texts in order, where the settings name it."""
        return self.base.resources.reranker

    def model_ids(self) -> list[str]:
        """Return the ids of the models: of language, embeddings, reranking, and of the indexes."""
        own = [self.llm_id, self.settings.embedding]
        own += [self.reranker.name] if self.reranker else []
        return list(dict.fromkeys([*own, *(f"{RAG}{name}" for name in self.names())]))

    def model_id(self, asked: str) -> str:
        """Return the id of a model: an index may be asked for by its name alone.

        Clients of Ollama's API add the tag ``latest``.

        Raises:
            ApiError: 404, there is none.
        """
        if asked == "default":
            return self.llm_id
        known, plain = self.model_ids(), asked.removesuffix(LATEST)
        for name in (asked, plain, f"{RAG}{plain}"):
            if name in known:
                return name
        raise no_model(asked, known)

    def llm(self) -> "BaseChatModel":
        """Return the language model.

        Raises:
            ApiError: 503, it is not loaded yet, or can't be.
        """
        if error := self.base.llm_error:
            raise ApiError(503, f"the language model can't be used: {error}", code="model_failed")
        if not self.base.ready:
            msg = "the language model is being loaded; try again in a few seconds"
            raise ApiError(503, msg, code="model_loading", headers={"Retry-After": "5"})
        return self.base.llm

    def names(self) -> list[str]:
        """Return the names of all indexes."""
        names = sorted(self._only) or self._any.store.names()
        return [name for name in names if _is_folder(name) and self.shows(name)]

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
            _log.warning("index %s can't be read: %s", name, error)
            return IndexInfo(name=name, documents=0, passages=0, embedding="", error=str(error))

    def lacks_vectors(self, name: str) -> bool:
        """Return whether documents of an index have no vectors; False if it can't be read."""
        try:
            with self.engine(name).store.read() as snapshot:
                return snapshot.count_waiting()[0] > 0
        except IndexStoreError:
            return False

    def engine(self, name: str) -> RagApp:
        """Return the application over an index.

        Raises:
            ApiError: 404, there is none of that name.
        """
        if not self._is_there(name):
            msg = f"no index {name!r}; GET /v1/indexes lists them"
            raise ApiError(404, msg, code="index_not_found")
        with self._guard:
            if name not in self._engines:
                folder = self.folder(name)
                self._engines[name] = self.base.over(folder, self._embeddings_of(folder))
            return self._engines[name]

    def _is_there(self, name: str) -> bool:
        if not _is_folder(name) or not self.shows(name):
            return False
        if self._only:
            return name in self._only
        if engine := self._engines.get(name):
            return engine.store.exists()
        with self.base.over(self.folder(name)) as engine:
            return engine.store.exists()

    def folder(self, name: str) -> Path:
        """Return the folder of an index, there or not."""
        return self._only.get(name) or self._root / name

    def create(self, name: str) -> IndexInfo:
        """Make an empty index; its name may be normalized.

        A folder without an index in it, as a full disk leaves one, is taken over.

        Raises:
            ApiError: 400 for the name; 409, it is there already; 403, the indexes are fixed, or
                the key opens others only.
        """
        name = _index_name(name)
        if not self.shows(name):
            msg = f"this key does not open an index {name!r}"
            raise ApiError(403, msg, code="insufficient_permissions")
        with self._guard:
            self.check_open()
            folder = self.folder(name)
            if folder.is_file() or self._is_there(name):
                raise ApiError(409, f"there is an index {name!r} already", code="index_exists")
            embeddings = self.embeddings(self.settings.embedding)
            size, overlap = self.settings.chunk_size, self.settings.chunk_overlap
            with self.base.over(folder, embeddings) as engine:
                engine.store.create(IndexMeta.of(embeddings, size, overlap))
        return self.info(name)

    def delete(self, name: str) -> None:
        """Delete an index and the files that were uploaded into it.

        Raises:
            ApiError: 404, 403, or 409 while it is being written.
        """
        engine = self.engine(name)
        with self._guard:
            self.check_open()
            try:
                delete_index(engine.store)
            finally:
                engine.close()
                self._engines.pop(name, None)

    def sweep(self) -> None:
        """Finish deletions that were interrupted."""
        for folder in self._root.glob(".deleted-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def documents(self, name: str) -> list[DocumentInfo]:
        """Return the entries of the documents of an index, by source.

        Raises:
            ApiError: 404, there is none of that name.
        """
        engine = self.engine(name)
        folder = engine.store.folder
        return [
            DocumentInfo(
                id=document_id(document.source),
                name=(shown := shown_name(document.source, folder)),
                source=shown,
                characters=document.characters,
                passages=document.chunks,
                bytes=document.size,
                indexed_at=document.indexed_at,
                notes=list(document.notes),
            )
            for document in engine.documents()
        ]

    def document(self, name: str, api_id: str) -> "DocumentRecord":
        """Return the document of an index with the id that the API gives it.

        Raises:
            ApiError: 404.
        """
        (source,) = self.sources(name, [api_id])
        with self.engine(name).store.read() as snapshot:
            if found := snapshot.document(source):
                return found
        raise _no_document(name, api_id)

    def sources(self, name: str, api_ids: Sequence[str]) -> list[str]:
        """Return the sources of documents of an index with the ids that the API gives them.

        Raises:
            ApiError: 404.
        """
        with self.engine(name).store.read() as snapshot:
            known = {
                api_id: source
                for api_id in api_ids
                if (source := _sources_by_id.get(api_id)) and snapshot.document(source)
            }
            if len(known) < len(api_ids):
                known = {document_id(source): source for source in snapshot.sources()}
        if unknown := [api_id for api_id in api_ids if api_id not in known]:
            raise _no_document(name, unknown[0])
        return [known[api_id] for api_id in api_ids]

    def remove(self, name: str, api_id: str) -> None:
        """Take a document out of an index, and delete its file if it was uploaded."""
        engine = self.engine(name)
        document = self.document(name, api_id)
        file, folder = Path(document.source), engine.store.folder
        with engine.store.locked():  # no job may put a new file there meanwhile
            engine.remove([document.source])
            if file.is_relative_to((folder / uploads.FILES).resolve()):
                uploads.delete(file, folder)

    def embeddings(self, spec: str) -> "DocumentEmbeddings":
        """Return an embedding model, loaded once for all indexes that use it."""
        with self._guard:
            if spec not in self._embeddings:
                self._embeddings[spec] = self.base.resources.load_embeddings(spec)
            return self._embeddings[spec]

    def close(self) -> None:
        """Release all indexes."""
        with self._guard:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()
            self._any.close()

    def _embeddings_of(self, folder: Path) -> "DocumentEmbeddings | None":
        """Return the model of an index; None leaves it to its first use to say what is wrong."""
        spec = self.settings.embedding
        try:
            if "embedding" not in self.settings.model_fields_set:
                with self.base.over(folder) as probe, probe.store.read() as snapshot:
                    spec = snapshot.meta().embedding
            return self.embeddings(spec)
        except (IndexStoreError, ModelError) as error:
            _log.warning("the embedding model of %s can't be loaded: %s", folder.name, error)
            return None

    def check_open(self) -> None:
        """Say whether indexes may be made and deleted.

        Raises:
            ApiError: 403, the indexes are fixed.
        """
        if self._only:
            raise ApiError(403, "the indexes of this server are fixed: it was started with --index")


def _is_folder(name: str) -> bool:
    """Return whether an index of that name can be in a folder of the home."""
    if PurePath(name).name != name or name[:1] in ("", ".") or "\0" in name:
        return False
    return len(name.encode("utf-8", "surrogateescape")) <= _LONGEST_FOLDER


def _index_name(name: str) -> str:
    """Return the name of an index if it can be one folder's."""
    name = unicodedata.normalize("NFC", name)
    if not _NAME.fullmatch(name) or len(name.encode()) > uploads.LONGEST_NAME:
        msg = (
            "an index is named with up to 64 letters, digits, Chinese characters, spaces, points "
            "and dashes; it begins and ends with a letter or digit"
        )
        raise ApiError(400, msg, param="name")
    return name


def no_model(asked: str, known: Sequence[str]) -> ApiError:
    """Return the error of a model that isn't here, and those that are."""
    more = ", …" if len(known) > _SHOWN_MODELS else ""
    shown = ", ".join(known[:_SHOWN_MODELS])
    msg = f"model {asked!r} not found; known: {shown}{more}; GET /v1/models lists them"
    return ApiError(404, msg, code="model_not_found", param="model")


def _no_document(index: str, api_id: str) -> ApiError:
    return ApiError(404, f"no document {api_id!r} in {index}", code="document_not_found")


_MOST_SOURCES = 100_000
_sources_by_id: dict[str, str] = {}
"""By the ids that were given out: looking one up again spares a look at all documents."""


def document_id(source: str) -> str:
    """Return the id of a document in the API: its source may be a path of any length."""
    found = hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    if len(_sources_by_id) >= _MOST_SOURCES:
        _sources_by_id.clear()
    _sources_by_id[found] = source
    return found


def shown_name(source: str, index: Path) -> str:
    """Return the file name of a document, after its folders where it was uploaded with some.

    Clients get this in place of its path: where the server keeps files is not theirs to know.
    """
    uploaded = f"{_uploads(index)}{os.sep}"
    if source.startswith(uploaded):
        return PurePath(source.removeprefix(uploaded)).as_posix()
    return PurePath(source).name


@lru_cache(maxsize=64)  # links are looked up on the disk, and there may be many documents
def _uploads(index: Path) -> Path:
    return (index / uploads.FILES).resolve()


def _registry(request: Request) -> IndexRegistry:
    registry: IndexRegistry = request.app.state.registry
    # Without keys everybody sees all.
    return registry.opened_by(sent_key(request)) if hasattr(request.state, "key") else registry


Registry = Annotated[IndexRegistry, Depends(_registry)]
"""The indexes and models, as a parameter of a route."""
