"""An index in Milvus, under its name among those of others.

One process writes an index at a time: on one machine a lock says so, as for an index in SQLite. Of
two machines the one that begins later takes over, and the other ends with one line at its next
document; nothing is lost of what either has written before.
"""

import threading
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rag_app.documents.text import lexical_version
from rag_app.errors import BusyIndexError, IndexStoreError
from rag_app.index.milvus.catalogue import State, key
from rag_app.index.milvus.collections import (
    DOCUMENTS,
    all_passages,
    among,
    literal,
    open_documents,
    open_passages,
    passages_name,
    rows_where,
)
from rag_app.index.milvus.connection import check_uri, connect, disconnect, translated
from rag_app.index.milvus.snapshot import MilvusSnapshot
from rag_app.index.milvus.transaction import MilvusTransaction
from rag_app.index.store.database import check_dimension, check_model
from rag_app.index.store.interface import DocumentSnapshot, Scores
from rag_app.index.store.lock import WriterLock, unwritable
from rag_app.index.store.records import IndexMeta
from rag_app.index.store.snapshot import Matches

if TYPE_CHECKING:
    from pymilvus import MilvusClient

    from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray

_READING_SECONDS = 15.0
"""For which passages that were replaced stay for those who read the state before."""
_MOST_HIDDEN = 1000
"""Versions in one state, whose row has 64 KB at most; beyond they don't stay so long."""


class MilvusStore:
    """One index in Milvus; see `DocumentStore` and `DenseIndex` for what each method does.

    Args:
        uri: A server or cluster, or a path ending in ``.db`` for milvus-lite.
        index: Its name.
        folder: A folder of this machine, for the writer's lock and unfinished vectors.
        token: For the server, such as ``user:password``.
        timeout: Seconds to wait for another writer on this machine.

    Raises:
        SettingsError: ``uri`` is not a URI.
    """

    def __init__(
        self, uri: str, index: str, folder: Path, *, token: str = "", timeout: float = 10.0
    ) -> None:
        check_uri(uri)
        self.uri, self.index, self.folder = uri, index, folder
        self._token, self._timeout = token, timeout
        self._guard = threading.RLock()
        self._connected: MilvusClient | None = None
        self._opened: set[str] = set()
        self._lock: WriterLock | None = None
        self._writing: State | None = None

    @property
    def place(self) -> str:
        """The index and the URI, for people."""
        return f"{self.index} at milvus:{self.uri}"

    def size(self) -> None:
        """Return None: it is in Milvus, with others."""

    def names(self) -> list[str]:
        """Return the names of all indexes there."""
        with translated(self.uri):
            if not self._has_documents():
                return []
            states = rows_where(self._client, DOCUMENTS, 'source == ""', "index")
            return sorted(row["index"] for row in states)

    def exists(self) -> bool:
        """Return whether there is an index of the name."""
        with translated(self.uri):
            return self._state() is not None

    def check_exists(self) -> None:
        """Raise IndexStoreError if there is no index of the name."""
        if not self.exists():
            raise self._missing()

    def create(self, meta: IndexMeta) -> None:
        """Make an empty index; one that exists is left as it is."""
        with translated(self.uri), self._held():
            open_documents(self._client)
            if self._state() is None:
                open_passages(self._client, meta.dimension)
                self._delete_rows()  # of a deletion that was interrupted
                state = State(meta, lexical_version())
                self._client.upsert(DOCUMENTS, [state.row(self.index)])

    @contextmanager
    def read(self) -> Iterator[MilvusSnapshot]:
        """Yield a snapshot; it ends with the block."""
        with translated(self.uri):
            yield MilvusSnapshot(self._client, self.index, self._loaded())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the writer's lock over several transactions."""
        self.check_exists()
        with self._held() as outermost, translated(self.uri):
            state = self._begun() if outermost else None
            self._writing = state or self._writing
            try:
                if state and state.lexical_version != lexical_version():
                    self._renew_terms()
                yield
            finally:
                if outermost:
                    state, self._writing = self._writing, None
                    if state is not None:
                        # What is due a later transaction may not delete for long.
                        settled = self._without_due(state)
                        if settled != state:
                            self._client.upsert(DOCUMENTS, [settled.row(self.index)])

    @contextmanager
    def write(self) -> Iterator[MilvusTransaction]:
        """Yield a transaction; it is committed at the end of the block, or undone by any error."""
        with self.locked():
            assert self._writing is not None  # noqa: S101 - locked() began it
            state = self._writing
            transaction = MilvusTransaction(self._client, self.index, self._without_due(state))
            try:
                yield transaction
                self._writing = transaction.commit()
            except BusyIndexError:
                self._writing = None  # what is there now is another writer's
                raise
            except BaseException:
                with suppress(Exception):  # the next writer does it too
                    self._sweep(state)
                raise

    def drop(self) -> None:
        """Delete the index, its state first: without one nothing of it is seen."""
        with translated(self.uri):
            self._writing = None
            self._client.delete(DOCUMENTS, ids=[key(self.index)])
            self._delete_rows()

    def check_embedding(
        self, embedding: "DocumentEmbeddings", snapshot: DocumentSnapshot | None = None
    ) -> None:
        """Check that vectors of ``embedding`` can be compared with the index's."""
        with nullcontext(snapshot) if snapshot else self.read() as state:
            check_model(state.meta(), embedding, self.place)

    def close(self) -> None:
        """Release the connection."""
        with self._guard:
            client, self._connected = self._connected, None
            self._opened.clear()
        if client is not None:
            disconnect(client)

    @contextmanager
    def search(
        self,
        vector: "FloatArray",
        k: int,
        matches: Matches | None = None,
        sources: Collection[str] | None = None,
    ) -> Iterator[tuple[MilvusSnapshot, Scores]]:
        """Yield a snapshot and the cosines of its ``k`` nearest chunks; see `FaissCache.search`."""
        with self.read() as snapshot:
            check_dimension(snapshot.meta(), len(vector))
            yield snapshot, snapshot.nearest(vector, k, matches, sources)

    def refresh(self) -> None:
        """Do nothing: Milvus brings its indexes up to date itself."""

    @property
    def _client(self) -> "MilvusClient":
        with self._guard:
            if self._connected is None:
                self._connected = connect(self.uri, self._token)
            return self._connected

    @contextmanager
    def _held(self) -> Iterator[bool]:
        """Hold the lock of this machine; yields whether this is the outermost hold."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.folder, error) from error
        with self._guard:
            if self._lock is None:
                self._lock = WriterLock(self.folder, self._timeout)
            lock = self._lock
        with lock.held() as outermost:
            yield outermost

    def _missing(self) -> IndexStoreError:
        return IndexStoreError(f"no index {self.place}; run: rag-app index PATH")

    def _has_documents(self) -> bool:
        """Return whether the collection of documents is there; it can then be read."""
        with self._guard:
            if DOCUMENTS not in self._opened:
                if not self._client.has_collection(DOCUMENTS):
                    return False
                open_documents(self._client)
                self._opened.add(DOCUMENTS)
            return True

    def _state(self) -> State | None:
        """Return the committed state; None where there is no such index."""
        if not self._has_documents():
            return None
        found = self._client.get(DOCUMENTS, ids=[key(self.index)], output_fields=["record"])
        return State.of(found[0]) if found else None

    def _loaded(self) -> State:
        """Return the committed state; its passages can be searched."""
        state = self._state()
        if state is None:
            raise self._missing()
        name = passages_name(state.meta.dimension)
        with self._guard:
            if name not in self._opened:
                open_passages(self._client, state.meta.dimension)
                self._opened.add(name)
        return state

    def _begun(self) -> State:
        """Return the state that is to be written upon, when another writer's traces are gone."""
        state = replace(self._loaded(), writer=uuid.uuid4().hex)
        self._client.upsert(DOCUMENTS, [state.row(self.index)])
        self._sweep(state)
        return state

    def _renew_terms(self) -> None:
        """Make all terms again, document by document; ended early, it begins again."""
        with self.read() as snapshot:
            sources = snapshot.sources()
        for source in sources:
            with self.write() as transaction:
                transaction.renew_terms(source)
        with self.write() as transaction:
            transaction.set_lexical_version(lexical_version())

    def _sweep(self, state: State) -> None:
        """Delete passages that were inserted and never made visible."""
        self._delete_passages(state, f"version > {state.last}")

    def _without_due(self, state: State) -> State:
        """Delete what no reader sees any more, if it is time; return the state that it leaves."""
        now, hidden = time.time(), len(state.hidden) + len(state.hidden_ids)
        early = 0 <= now - state.turned < _READING_SECONDS and hidden < _MOST_HIDDEN
        if not hidden or early:
            return state
        if state.due:
            self._delete_passages(state, among("version", list(state.due)))
        if state.due_ids:
            self._delete_passages(state, among("id", list(state.due_ids)))
        dead = f'index == {literal(self.index)} and live == false and source != ""'
        self._client.delete(DOCUMENTS, filter=dead)
        return state.turn(now)

    def _delete_passages(self, state: State, expression: str) -> None:
        self._client.delete(
            passages_name(state.meta.dimension),
            filter=f"index == {literal(self.index)} and {expression}",
        )

    def _delete_rows(self) -> None:
        """Delete all rows of the index, passages of any dimension among them."""
        for collection in (*all_passages(self._client), DOCUMENTS):
            self._client.delete(collection, filter=f"index == {literal(self.index)}")
