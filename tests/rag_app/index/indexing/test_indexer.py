import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from rag_app.documents.sources import search_sources
from rag_app.errors import DocumentError, EmbeddingMismatchError, IndexStoreError
from rag_app.index.indexing.indexer import index_paths
from rag_app.index.indexing.report import IndexOptions, IndexProgress, IndexReport
from rag_app.index.search.retriever import HybridRetriever
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.hashing import HashingEmbeddings, InterruptedEmbeddings
from tests.rag_app.index.stored import assert_terms_exact, content_digest

SMALL = IndexOptions(chunk_size=40, chunk_overlap=10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "文档"
    (folder / "子").mkdir(parents=True)
    (folder / "李白.txt").write_text("李白是唐代诗人。" * 10, encoding="utf-8")
    (folder / "杜甫.md").write_text("# 杜甫\n\n杜甫字子美，生于河南。" * 6, encoding="gbk")
    (folder / "子" / "b c.txt").write_text("The quick brown fox. " * 12, encoding="utf-8")
    return folder


def _index(store: IndexStore, *paths: object, options: IndexOptions = SMALL, **more) -> IndexReport:
    more.setdefault("embedding", HashingEmbeddings())
    return index_paths([str(path) for path in paths], store=store, options=options, **more)


def _counts(report: IndexReport) -> tuple[int, ...]:
    return report.added, report.updated, report.unchanged, report.removed, len(report.failed)


def test_everything_is_written_with_its_place(fresh: IndexStore, folder: Path):
    report = _index(fresh, folder)
    assert _counts(report) == (3, 0, 0, 0, 0)
    with fresh.read() as snapshot:
        assert report.chunks == snapshot.count_chunks() > 3
        for document in snapshot.documents():
            path = Path(document.source)
            text = path.read_text(encoding="gbk" if path.suffix == ".md" else "utf-8")
            assert document.size == path.stat().st_size
            for chunk in snapshot.chunks_of(document.source):
                assert chunk.text == text[chunk.start : chunk.end]
                assert chunk.extra.keys() <= {"folders", "headings", "table_head"}
                assert chunk.heading == chunk.extra.get("headings", [None])[-1]
        assert snapshot.meta().chunk_size == 40
        markdown = snapshot.document(str(folder / "杜甫.md"))
        assert markdown is not None
        assert (markdown.loader, markdown.encoding) == ("markdown", "gbk")
    assert_terms_exact(fresh)
    assert (fresh.folder / "vectors.faiss").exists()


def test_only_what_changed_is_done_again(fresh: IndexStore, folder: Path):
    _index(fresh, folder)
    embedding = HashingEmbeddings()
    assert _counts(_index(fresh, folder, embedding=embedding)) == (0, 0, 3, 0, 0)
    assert embedding.batches == []
    (folder / "李白.txt").write_text("李白，字太白。", encoding="utf-8")
    (folder / "新.txt").write_text("新的一篇。", encoding="utf-8")
    report = _index(fresh, folder, embedding=embedding)
    assert (_counts(report), report.chunks) == ((1, 1, 2, 0, 0), 2)
    assert sorted(text for batch in embedding.batches for text in batch) == [
        "新\n新的一篇。",
        "李白\n李白，字太白。",
    ]
    assert_terms_exact(fresh)


def test_other_chunking_is_a_change(fresh: IndexStore, folder: Path):
    _index(fresh, folder)
    report = _index(fresh, folder, options=IndexOptions(chunk_size=80, chunk_overlap=0))
    assert _counts(report) == (0, 3, 0, 0, 0)
    with fresh.read() as snapshot:
        assert snapshot.meta().chunk_size == 80


def test_prune_drops_what_is_gone_from_under_the_paths(fresh: IndexStore, folder: Path, tmp_path):
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_text("别处的一篇。", encoding="utf-8")
    _index(fresh, folder, elsewhere)
    elsewhere.unlink()
    (folder / "李白.txt").unlink()
    assert _counts(_index(fresh, folder)) == (0, 0, 2, 0, 0)
    pruning = IndexOptions(chunk_size=40, chunk_overlap=10, prune=True)
    assert _counts(_index(fresh, folder, options=pruning)) == (0, 0, 2, 1, 0)
    assert _counts(_index(fresh, elsewhere, options=pruning)) == (0, 0, 0, 1, 0)
    with fresh.read() as snapshot:
        assert {Path(one.source).name for one in snapshot.documents()} == {"杜甫.md", "b c.txt"}
    assert_terms_exact(fresh)


def test_what_may_not_be_looked_at_is_not_gone(
    fresh: IndexStore, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    _index(fresh, folder)
    hidden, exists = folder / "李白.txt", Path.exists
    hidden.unlink()

    def refused(path: Path, **options: bool) -> bool:
        if path == hidden:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return exists(path, **options)

    monkeypatch.setattr(Path, "exists", refused)
    pruning = IndexOptions(chunk_size=40, chunk_overlap=10, prune=True)
    assert _counts(_index(fresh, folder, options=pruning)) == (0, 0, 2, 0, 0)


def test_prune_with_a_glob_or_an_emptied_folder(fresh: IndexStore, folder: Path):
    _index(fresh, folder)
    pruning = IndexOptions(chunk_size=40, chunk_overlap=10, prune=True)
    (folder / "李白.txt").unlink()
    assert _counts(_index(fresh, folder / "*.txt", options=pruning)) == (0, 0, 0, 1, 0)
    with fresh.read() as snapshot:
        assert {Path(one.source).name for one in snapshot.documents()} == {"杜甫.md", "b c.txt"}
    (folder / "子" / "b c.txt").unlink()
    assert _counts(_index(fresh, folder / "*.md", options=pruning))[3] == 0
    assert _counts(_index(fresh, folder / "子", options=pruning)) == (0, 0, 0, 1, 0)
    with pytest.raises(DocumentError):
        _index(fresh, folder / "子", options=pruning)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["*.txt", "**/*.txt", "**", "子/*", "*/b?c.txt", "[李杜]*"])
def test_pruning_a_glob_drops_exactly_what_it_would_have_found(
    fresh: IndexStore, folder: Path, pattern: str
):
    found = {str(path.resolve()) for path in search_sources([str(folder / pattern)]).files}
    _index(fresh, folder)
    for path in folder.rglob("*.*"):
        path.unlink()
    pruning = IndexOptions(chunk_size=40, chunk_overlap=10, prune=True)
    assert _counts(_index(fresh, folder / pattern, options=pruning))[3] == len(found) > 0
    with fresh.read() as snapshot:
        assert found.isdisjoint(document.source for document in snapshot.documents())


def test_a_document_that_cannot_be_read_is_reported_and_kept_as_it_was(
    fresh: IndexStore, folder: Path
):
    _index(fresh, folder)
    (folder / "李白.txt").write_bytes(b"\x00\x01\x02\xff" * 500)
    (folder / "坏.pdf").write_bytes(b"%PDF-1.7 broken")
    (folder / "空.txt").write_bytes(b"")
    (folder / "好.txt").write_text("好的一篇。", encoding="utf-8")
    report = _index(fresh, folder)
    assert _counts(report) == (1, 0, 2, 0, 3)
    assert {Path(one.source).name for one in report.failed} == {"李白.txt", "坏.pdf", "空.txt"}
    assert all(one.reason and "\n" not in one.reason for one in report.failed)
    with fresh.read() as snapshot:
        assert next(snapshot.chunks_of(str(folder / "李白.txt"))).text.startswith("李白")


def test_a_name_that_is_no_text_is_reported(fresh: IndexStore, folder: Path):
    import os

    try:
        Path(os.fsdecode(bytes(folder) + b"/\xff.txt")).write_text(
            "名字不是文字。", encoding="utf-8"
        )
    except OSError as error:
        pytest.skip(f"this file system takes no such names: {error}")
    report = _index(fresh, folder)
    assert _counts(report) == (3, 0, 0, 0, 1)
    assert "rename" in report.failed[0].reason
    report.failed[0].source.encode()


def test_nothing_to_index_makes_no_index(fresh: IndexStore, tmp_path: Path):
    (tmp_path / "空.txt").write_bytes(b"")
    assert _counts(_index(fresh, tmp_path / "空.txt")) == (0, 0, 0, 0, 1)
    with pytest.raises(DocumentError):
        _index(fresh, tmp_path / "没有.txt")
    assert not fresh.folder.exists()


def test_another_model_is_refused_before_anything_is_read(fresh: IndexStore, folder: Path):
    _index(fresh, folder)
    before = content_digest(fresh)
    other = HashingEmbeddings(salt="2")
    (folder / "李白.txt").write_text("改了。", encoding="utf-8")
    with pytest.raises(EmbeddingMismatchError):
        _index(fresh, folder, embedding=other)
    assert other.batches == []
    assert content_digest(fresh) == before


def test_an_index_folder_that_is_a_file_gets_one_line(folder: Path):
    with pytest.raises(IndexStoreError, match="can't be written"):
        _index(IndexStore(folder / "李白.txt"), folder)


@pytest.mark.slow
def test_an_interrupt_leaves_whole_documents_and_the_next_run_goes_on(
    fresh: IndexStore, tmp_path: Path
):
    texts = tmp_path / "many"
    texts.mkdir()
    for number in range(60):
        text = f"第{number}篇。" + "".join(f"这是第{part}句话。" for part in range(60))
        (texts / f"{number}.txt").write_text(text, encoding="utf-8")

    with pytest.raises(KeyboardInterrupt):
        _index(fresh, texts, embedding=InterruptedEmbeddings(300))
    with fresh.read() as snapshot:
        assert snapshot.count_documents() == 60
        waiting, passages = snapshot.count_waiting()
        assert 0 < waiting < 60
    assert_terms_exact(fresh)
    report = _index(fresh, texts)
    assert (report.added, report.unchanged, report.chunks) == (0, 60, passages)
    whole = IndexStore(tmp_path / "whole")
    _index(whole, texts)
    assert content_digest(fresh) == content_digest(whole)


def test_chunks_of_many_documents_are_embedded_longest_first(fresh: IndexStore, tmp_path: Path):
    for number in range(90):
        (tmp_path / f"{number}.txt").write_text("字" * (1 + number * 7 % 39), encoding="utf-8")
    embedding = HashingEmbeddings()
    _index(fresh, *sorted(tmp_path.glob("*.txt")), embedding=embedding)
    lengths = [len(text) for batch in embedding.batches for text in batch]
    assert [len(batch) for batch in embedding.batches] == [64, 26]
    assert lengths == sorted(lengths, reverse=True)
    with fresh.read() as snapshot:
        for document in snapshot.documents():
            (chunk,) = snapshot.chunks_of(document.source)
            vector = snapshot.vectors_of([chunk.id])[chunk.id]
            assert vector.tobytes() == embedding.embed_array([chunk.text]).tobytes()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_documents(tmp_path: Path):
    import tracemalloc

    class Forgetful(HashingEmbeddings):
        def embed_array(self, texts):
            return np.eye(len(texts), self.dimension, dtype=np.float32)

    peaks = []
    for count in (200, 400):
        folder = tmp_path / str(count)
        folder.mkdir()
        for number in range(count):
            (folder / f"{number}.txt").write_text(
                f"第{number}篇，说的是甲。" * 40, encoding="utf-8"
            )
        tracemalloc.start()
        _index(IndexStore(tmp_path / f"index{count}"), folder, embedding=Forgetful())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Their paths are known beforehand; of texts, chunks and vectors, 5 KB each, nothing is kept.
    assert (peaks[1] - peaks[0]) / 200 < 2500, peaks


def test_progress_tells_how_far(fresh: IndexStore, folder: Path):
    seen: list[IndexProgress] = []
    report = _index(fresh, folder, progress=seen.append)
    assert [one.documents for one in seen] == [1, 2, 3, 3, 3]
    assert [one.searchable for one in seen] == [0, 0, 0, report.added, report.added]
    assert {one.total for one in seen} == {3}
    assert seen[-1].chunks == report.chunks
    assert report.seconds >= report.embedding_seconds > 0


def test_progress_within_a_long_document(fresh: IndexStore, tmp_path: Path):
    rows = (f"第{number}店,{number}\n" for number in range(10_000))
    (tmp_path / "long.csv").write_text("门店,销售额\n" + "".join(rows), encoding="utf-8")
    seen: list[IndexProgress] = []

    def note(now: IndexProgress) -> None:
        seen.append(now)
        if now.within:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _index(fresh, tmp_path / "long.csv", progress=note)
    assert [(one.documents, one.total, one.within) for one in seen] == [(0, 1, "10,000 rows read")]


def test_standard_input_is_a_document(fresh: IndexStore, monkeypatch):
    import io
    import sys
    from types import SimpleNamespace

    for text, counts in [
        ("一。", (1, 0, 0, 0, 0)),
        ("一。", (0, 0, 1, 0, 0)),
        ("二。", (0, 1, 0, 0, 0)),
    ]:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
        assert _counts(_index(fresh, "-")) == counts
    with fresh.read() as snapshot:
        assert [document.source for document in snapshot.documents()] == ["-"]


PAPER = """产品概述
本机组适用于中小型冷库和商场。采用双螺杆压缩机，部分负荷时可以自动卸载。

技术参数
额定功率{power}千瓦，噪声不高于72分贝。供电为三相380伏。"""


@pytest.mark.parametrize("kind", ["hybrid", "lexical"])
def test_documents_are_found_by_what_only_their_names_say(fresh: IndexStore, tmp_path: Path, kind):
    papers = tmp_path / "白皮书"
    papers.mkdir()
    for number in range(1, 13):
        text = PAPER.format(power=60 + number)
        (papers / f"AB{number:03d}产品白皮书.txt").write_text(text, encoding="utf-8")
    _index(fresh, papers, options=IndexOptions())
    retriever = HybridRetriever(store=fresh, embedding=HashingEmbeddings(), kind=kind)
    for number in range(1, 13):
        first = retriever.invoke(f"AB{number:03d}的额定功率是多少？")[0]
        assert f"额定功率{60 + number}千瓦" in first.page_content


def test_documents_of_an_earlier_version_are_known_and_read_again(fresh: IndexStore, folder: Path):
    _index(fresh, folder)
    with closing(sqlite3.connect(fresh.path)) as connection, connection:
        connection.execute("UPDATE documents SET settings = json_set(settings, '$.format', 1)")
        connection.execute("UPDATE meta SET value = '1/old' WHERE key = 'lexical_version'")
    retriever = HybridRetriever(store=fresh, embedding=HashingEmbeddings())
    assert "李白" in retriever.invoke("李白是哪个朝代的诗人？")[0].page_content
    with fresh.read() as snapshot:
        assert all(document.is_outdated for document in snapshot.documents())
    assert _counts(_index(fresh, folder)) == (0, 3, 0, 0, 0)
    with fresh.read() as snapshot:
        assert not any(document.is_outdated for document in snapshot.documents())
    assert_terms_exact(fresh)
