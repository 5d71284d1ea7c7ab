"""What lies in an object store is indexed as files are, under its URL."""

import sys
from importlib.util import find_spec
from pathlib import Path

import fsspec
import pytest

from rag_app.errors import DocumentError
from rag_app.index.indexing.indexer import index_paths
from rag_app.index.indexing.report import IndexOptions, IndexReport
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.hashing import HashingEmbeddings

URL = "memory://papers"


@pytest.fixture
def bucket() -> fsspec.AbstractFileSystem:
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pipe("/papers/李白.txt", "李白是唐代诗人，字太白。".encode())
    files.pipe("/papers/2024/杜甫.md", "# 杜甫\n\n杜甫字子美。".encode("gbk"))
    files.pipe("/papers/2024/坏.pdf", b"%PDF-1.4 no more")
    files.pipe("/papers/程序.exe", b"MZ")
    files.pipe("/papers/.hidden.txt", b"hidden")
    return files


def _index(store: IndexStore, *urls: str, **options) -> IndexReport:
    embedding = HashingEmbeddings()
    chosen = IndexOptions(**options)
    return index_paths(list(urls), store=store, embedding=embedding, options=chosen)


def _sources(store: IndexStore) -> list[str]:
    with store.read() as snapshot:
        return [document.source for document in snapshot.documents()]


def test_a_folder_of_a_store(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    store = IndexStore(tmp_path / "index")
    report = _index(store, URL)
    assert report.added == 2
    assert report.skipped == {"of other kinds": {".exe": 1}}
    [failure] = report.failed
    assert failure.source.endswith("papers/2024/坏.pdf")
    assert failure.source in failure.reason
    assert "/tmp" not in failure.reason
    assert all(source.startswith("memory://") for source in _sources(store))
    again = _index(store, URL)
    assert (again.unchanged, again.chunks) == (2, 0)
    bucket.pipe("/papers/李白.txt", "李白，号青莲居士。".encode())
    assert _index(store, URL).updated == 1


def test_files_globs_and_what_is_left_out(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    store = IndexStore(tmp_path / "index")
    assert _index(store, f"{URL}/李白.txt").added == 1
    assert _index(store, f"{URL}/**/*.md").added == 1
    report = _index(store, URL, exclude=("2024",))
    assert (report.unchanged, report.failed) == (1, [])
    assert report.skipped["excluded"] == {".md": 1, ".pdf": 1}
    with pytest.raises(DocumentError, match="no document"):
        _index(store, f"{URL}/nowhere")


def test_what_is_gone_is_dropped_where_that_is_asked(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    store = IndexStore(tmp_path / "index")
    file = tmp_path / "别的.txt"
    file.write_text("别的文档。", encoding="utf-8")
    _index(store, URL, str(file))
    bucket.rm("/papers/李白.txt")
    assert _index(store, URL).removed == 0
    assert _index(store, URL, prune=True).removed == 1
    assert len(_sources(store)) == 2


def test_a_document_of_a_store_is_never_taken_for_a_renamed_file(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    store = IndexStore(tmp_path / "index")
    _index(store, f"{URL}/李白.txt")
    copy = tmp_path / "李白.txt"
    copy.write_bytes(bucket.cat("/papers/李白.txt"))
    report = _index(store, str(copy))
    assert (report.added, report.renamed) == (1, 0)


@pytest.mark.parametrize(
    ("url", "says"),
    [("nosuch://bucket/a.txt", "nosuch"), ("s3://bucket/a.txt", "s3fs")],
)
def test_a_store_that_cannot_be_reached_is_one_line(url: str, says: str, tmp_path: Path) -> None:
    if says == "s3fs" and find_spec("s3fs"):
        pytest.skip("s3fs is installed")
    with pytest.raises(DocumentError, match=says) as caught:
        _index(IndexStore(tmp_path / "index"), url)
    assert "\n" not in str(caught.value)


def test_without_fsspec_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(DocumentError, match=r"rag-app\[cluster\]"):
        _index(IndexStore(tmp_path / "index"), URL)
