"""Documents that are found by their words before they are embedded."""

from pathlib import Path

import numpy as np
import pytest
from langchain_core.documents import Document

from rag_app import RagApp
from rag_app.errors import IndexStoreError
from rag_app.index.indexing.copying import copy_index
from rag_app.index.indexing.indexer import index_paths
from rag_app.index.indexing.reembed import reembed
from rag_app.index.indexing.report import IndexProgress, IndexReport
from rag_app.index.search.retriever import HybridRetriever
from rag_app.index.store.store import IndexStore
from rag_app.settings import RetrieverKind
from tests.rag_app.index.hashing import HashingEmbeddings, InterruptedEmbeddings
from tests.rag_app.index.stored import assert_terms_exact, content_digest, waiting_in

QUESTION = "洗衣机的保修期是多久？"
POEM = "李白是唐代诗人，字太白，号青莲居士。"
WASHER = "洗衣机的保修期为三年。"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "文档"
    folder.mkdir()
    (folder / "poem.txt").write_text(POEM, encoding="utf-8")
    return folder


@pytest.fixture
def waiting(tmp_path: Path, folder: Path) -> IndexStore:
    """An index of one document, and of another one that waits for its vectors."""
    store = IndexStore(tmp_path / "index", timeout=0.2)
    index(store, folder)
    (folder / "washer.txt").write_text(WASHER, encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        index(store, folder, InterruptedEmbeddings())
    return store


def index(store: IndexStore, path: Path, embedding: HashingEmbeddings | None = None) -> IndexReport:
    return index_paths([str(path)], store=store, embedding=embedding or HashingEmbeddings())


def found(store: IndexStore, kind: RetrieverKind) -> list[Document]:
    return HybridRetriever(store=store, embedding=HashingEmbeddings(), kind=kind).invoke(QUESTION)


def whole(folder: Path, tmp_path: Path) -> str:
    """The digest of an index of the folder that was made in one go."""
    store = IndexStore(tmp_path / "whole")
    index(store, folder)
    return content_digest(store)


def test_its_words_find_it(waiting: IndexStore) -> None:
    assert waiting_in(waiting) == (1, 1)
    for kind in ("hybrid", "lexical"):
        first = found(waiting, kind)[0]
        assert first.page_content == WASHER
        assert first.metadata["relevance"] > 0.5
    assert [one.page_content for one in found(waiting, "dense")] == [POEM]
    assert_terms_exact(waiting)


def test_the_same_call_goes_on(waiting: IndexStore, folder: Path, tmp_path: Path) -> None:
    embedding = HashingEmbeddings()
    report = index(waiting, folder, embedding)
    assert (report.added, report.unchanged, report.chunks) == (0, 2, 1)
    assert [len(batch) for batch in embedding.batches] == [1]
    assert waiting_in(waiting) == (0, 0)
    assert found(waiting, "dense")[0].page_content == WASHER
    assert content_digest(waiting) == whole(folder, tmp_path)
    assert_terms_exact(waiting)


def test_the_estimate_counts_what_waited(waiting: IndexStore, folder: Path) -> None:
    seen: list[IndexProgress] = []
    index_paths([str(folder)], store=waiting, embedding=HashingEmbeddings(), progress=seen.append)
    assert (seen[-1].chunks, seen[-1].estimate) == (1, 1)


def test_a_search_that_is_open_sees_the_vectors_come(waiting: IndexStore, folder: Path) -> None:
    retriever = HybridRetriever(store=waiting, embedding=HashingEmbeddings(), kind="dense")
    assert [one.page_content for one in retriever.invoke(QUESTION)] == [POEM]
    index(waiting, folder)
    assert {one.page_content for one in retriever.invoke(QUESTION)} == {POEM, WASHER}


def test_all_are_written_before_any_is_embedded(tmp_path: Path, folder: Path) -> None:
    (folder / "washer.txt").write_text(WASHER, encoding="utf-8")
    store = IndexStore(tmp_path / "index")
    seen: list[tuple[int, int]] = []

    def progress(now: IndexProgress) -> None:
        if now.searchable:
            seen.append((now.searchable, waiting_in(store)[0]))

    report = index_paths(
        [str(folder)], store=store, embedding=HashingEmbeddings(), progress=progress
    )
    assert seen[0] == (2, 2)
    assert report.searchable_seconds is not None
    assert report.searchable_seconds <= report.seconds


def test_one_that_is_removed_or_renamed_or_changed(
    waiting: IndexStore, folder: Path, tmp_path: Path
) -> None:
    source = str(folder / "washer.txt")
    with waiting.write() as transaction:
        transaction.rename_document(source, "other.txt")
    assert waiting_in(waiting) == (1, 1)
    with waiting.write() as transaction:
        assert transaction.delete_document("other.txt")
    assert waiting_in(waiting) == (0, 0)
    (folder / "washer.txt").write_text(WASHER * 2, encoding="utf-8")
    assert index(waiting, folder).added == 1
    assert content_digest(waiting) == whole(folder, tmp_path)


def test_embedding_all_again_embeds_it_too(
    waiting: IndexStore, folder: Path, tmp_path: Path
) -> None:
    assert reembed(waiting, HashingEmbeddings()) == 2
    assert waiting_in(waiting) == (0, 0)
    assert content_digest(waiting) == whole(folder, tmp_path)


def test_it_is_not_copied_half(waiting: IndexStore, tmp_path: Path) -> None:
    with pytest.raises(IndexStoreError, match="rag-app index"):
        copy_index(waiting, IndexStore(tmp_path / "copy"))


def test_status_says_so(waiting: IndexStore) -> None:
    with RagApp(index=str(waiting.folder)) as app:
        assert str(app.status()["waiting"]).startswith("1 documents with 1 passages")


def test_an_index_of_an_earlier_version(tmp_path: Path, folder: Path) -> None:
    """It has no table of what waits before it is written."""
    import sqlite3
    from contextlib import closing

    store = IndexStore(tmp_path / "index")
    index(store, folder)
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("DROP TABLE waiting")
    assert waiting_in(store) == (0, 0)
    (folder / "washer.txt").write_text(WASHER, encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        index(store, folder, InterruptedEmbeddings())
    assert waiting_in(store) == (1, 1)
    with store.read() as snapshot:
        assert len(snapshot.ids_where()) == 2
        assert len(snapshot.vector_ids()) == snapshot.count_vectors() == 1
        assert np.all(snapshot.vector_ids() == list(snapshot.vectors_of(snapshot.ids_where())))
