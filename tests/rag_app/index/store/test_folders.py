"""Indexes of the home folder as a whole."""

import errno
import os
from pathlib import Path

import pytest

from rag_app.errors import BusyIndexError, IndexStoreError
from rag_app.index.indexing.indexer import index_paths
from rag_app.index.store.folders import (
    delete_index,
    index_content,
    index_names,
    named_folder,
    rename_index,
)
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.index.stored import assert_terms_exact


@pytest.fixture
def store(home: Path) -> IndexStore:
    folder = named_folder("甲")
    uploaded = folder / "files" / "李白.txt"
    uploaded.parent.mkdir(parents=True)
    uploaded.write_text("李白是诗人。", encoding="utf-8")
    (home / "杜甫.txt").write_text("杜甫是诗人。", encoding="utf-8")
    store = IndexStore(folder, timeout=0.1)
    paths = [str(uploaded), str(home / "杜甫.txt")]
    index_paths(paths, store=store, embedding=HashingEmbeddings())
    return store


def test_what_there_is(store: IndexStore) -> None:
    named_folder("坏").mkdir()
    (named_folder("坏") / "index.sqlite3").write_bytes(b"not a database" * 99)
    assert index_names() == ["坏", "甲"]
    content = index_content("甲", store)
    assert (content.documents, content.error) == (2, None)
    assert "damaged" in str(index_content("坏", IndexStore(named_folder("坏"))).error)


def test_one_that_may_not_be_looked_into_is_listed_with_the_reason(
    store: IndexStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = Path.stat

    def refused(path: Path, **options: bool) -> os.stat_result:
        if path.parent == store.folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refused)
    assert index_names() == ["甲"]
    assert "Permission denied" in str(index_content("甲", store).error)


def test_a_name_that_is_no_text_is_refused(store: IndexStore) -> None:
    with pytest.raises(IndexStoreError, match="not valid text"):
        rename_index(store, "\udcff")
    assert store.exists()


def test_a_renamed_index_knows_the_files_in_it(store: IndexStore, home: Path) -> None:
    renamed = rename_index(store, "乙")
    assert index_names() == ["乙"]
    with renamed.read() as snapshot:
        sources = {document.source for document in snapshot.documents()}
    assert sources == {str(home / "indexes/乙/files/李白.txt"), str(home / "杜甫.txt")}
    assert all(Path(source).exists() for source in sources)
    assert_terms_exact(renamed)
    with pytest.raises(IndexStoreError, match="no index"):
        rename_index(store, "丙")


def test_no_name_is_taken_twice_or_leads_elsewhere(store: IndexStore) -> None:
    for name in ("甲", "", "../x", ".x", "a/b"):
        with pytest.raises(IndexStoreError):
            rename_index(store, name)
    assert index_names() == ["甲"]


def test_an_index_that_is_written_stays(store: IndexStore) -> None:
    with IndexStore(store.folder).locked():
        with pytest.raises(BusyIndexError, match="being written"):
            delete_index(store)
        with pytest.raises(BusyIndexError, match="being written"):
            rename_index(store, "乙")
    assert index_names() == ["甲"]
    delete_index(store)
    assert index_names() == []
    assert not list(store.folder.parent.iterdir())
