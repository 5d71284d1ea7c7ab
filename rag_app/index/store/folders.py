"""The indexes in the home folder: listed, renamed, deleted."""

import os
import shutil
import uuid
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from model_prep.json_file import is_encodable
from rag_app.errors import IndexStoreError
from rag_app.index.store.database import missing_index
from rag_app.index.store.interface import DocumentStore
from rag_app.index.store.lock import unwritable
from rag_app.index.store.store import IndexStore
from rag_app.models.llms.prompt_cache import forget
from rag_app.settings import indexes_folder


@dataclass(frozen=True)
class IndexContent:
    """What an index in the home folder holds."""

    name: str
    documents: int = 0
    passages: int = 0
    embedding: str = ""
    """The embedding model that it was made with."""
    size: int | None = 0
    """Bytes on this machine; None where it is elsewhere."""
    error: str | None = None
    """Why it can't be read, if so."""


def index_names() -> list[str]:
    """Return the names of the indexes in the home folder."""
    return IndexStore(indexes_folder() / "any").names()


def index_content(name: str, store: DocumentStore) -> IndexContent:
    """Return what the index of that name holds, or why it can't be read."""
    size = None
    if isinstance(store, IndexStore):  # with what was uploaded into it
        size = store.size()
    try:
        with closing(store), store.read() as snapshot:
            return IndexContent(
                name=name,
                documents=snapshot.count_documents(),
                passages=snapshot.count_chunks(),
                embedding=snapshot.meta().embedding,
                size=size,
            )
    except IndexStoreError as error:
        return IndexContent(name, error=str(error))


def delete_index(store: DocumentStore) -> None:
    """Delete an index with its folder, and what models kept of its passages.

    The folder goes first: of an interrupted deletion no uploads are left that the next index of
    the name would take for its own. One that holds an index of this machine too stays.

    Raises:
        IndexStoreError: there is none, or it is being written.
    """
    trash = store.folder.with_name(f".deleted-{uuid.uuid4().hex}")
    try:
        with closing(store), store.locked():
            with suppress(IndexStoreError), store.read() as snapshot:  # damaged ones go as well
                forget(chunk.text for chunk in snapshot.all_chunks())
            if isinstance(store, IndexStore) or not IndexStore(store.folder).exists():
                store.folder.replace(trash)
            store.drop()
    except OSError as error:
        raise unwritable(store.folder, error) from error
    shutil.rmtree(trash, ignore_errors=True)


def rename_index(store: IndexStore, name: str) -> IndexStore:
    """Give an index of the home folder another name; return it.

    Raises:
        IndexStoreError: there is none, it is being written, or the name can't be had.
    """
    target = named_folder(name)
    if not is_encodable(name):
        raise IndexStoreError(f"{name!r} is not valid text; choose another name")
    if not store.exists():
        raise missing_index(store.path)
    if target.exists():
        msg = f"there is an index {name} already; choose another name, or delete it first"
        raise IndexStoreError(msg)
    old = store.folder.resolve()
    try:
        with closing(store), store.locked():
            store.folder.replace(target)
    except OSError as error:
        raise unwritable(store.folder, error) from error
    renamed = IndexStore(target)
    follow_files(renamed, old, target.resolve())
    return renamed


def named_folder(name: str) -> Path:
    """Return the folder of the index of that name in the home folder.

    Raises:
        IndexStoreError: it can't be a name.
    """
    if not name.strip() or os.sep in name or "\0" in name or name.startswith((".", "~")):
        msg = f"{name!r} is not a name of an index; give one without / that begins with no point"
        raise IndexStoreError(msg)
    return indexes_folder() / name


def follow_files(store: IndexStore, old: Path, new: Path) -> None:
    """Give documents whose files are in the folder, having been uploaded, their new paths."""
    with store.write() as transaction:
        for document in list(transaction.documents()):
            source = Path(document.source)
            if source.is_relative_to(old):
                moved = str(new / source.relative_to(old))
                transaction.rename_document(document.source, moved)
