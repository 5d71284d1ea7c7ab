"""A run that ends inside a large document goes on there."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from rag_app.documents import ocr
from rag_app.documents.pdf.characters import PageCharacters
from rag_app.index.indexing.indexer import index_paths
from rag_app.index.indexing.report import IndexOptions, IndexProgress, IndexReport
from rag_app.index.indexing.unfinished import PICTURES_NAME, UNFINISHED_NAME
from rag_app.index.store.store import IndexStore
from tests.paths import ROOT
from tests.rag_app.index.hashing import HashingEmbeddings, InterruptedEmbeddings
from tests.rag_app.index.stored import assert_terms_exact, content_digest, waiting_in

PASSAGES = 400


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "长.txt"
    path.write_text("\n\n".join(f"第{n}条 {'水' * 30}。" for n in range(PASSAGES)), "utf-8")
    return path


def _index(
    store: IndexStore, *paths: Path, embedding: HashingEmbeddings, progress: list[int] | None = None
) -> IndexReport:
    def note(at: IndexProgress) -> None:
        if progress is not None:
            progress.append(at.chunks)

    options = IndexOptions(chunk_size=40, chunk_overlap=0)
    return index_paths(
        [str(path) for path in paths], store=store, embedding=embedding, options=options,
        progress=note,
    )  # fmt: skip


def _embedded(embedding: HashingEmbeddings) -> int:
    return sum(map(len, embedding.batches))


@pytest.mark.slow
def test_only_the_rest_is_embedded(fresh: IndexStore, large: Path, tmp_path: Path):
    first, second, third = (
        InterruptedEmbeddings(200),
        InterruptedEmbeddings(100),
        HashingEmbeddings(),
    )
    for embedding in (first, second):
        with pytest.raises(KeyboardInterrupt):
            _index(fresh, large, embedding=embedding)
        assert waiting_in(fresh) == (1, PASSAGES)
    counts: list[int] = []
    report = _index(fresh, large, embedding=third, progress=counts)
    assert _embedded(first) >= 128
    assert _embedded(second) >= 64
    assert _embedded(third) == PASSAGES - _embedded(first) - _embedded(second)
    assert (report.added, report.unchanged, report.chunks) == (0, 1, PASSAGES)
    assert waiting_in(fresh) == (0, 0)
    assert counts[-1] == PASSAGES
    assert not (fresh.folder / UNFINISHED_NAME).exists()
    whole = IndexStore(tmp_path / "whole")
    _index(whole, large, embedding=HashingEmbeddings())
    assert content_digest(fresh) == content_digest(whole)
    assert_terms_exact(fresh)


@pytest.mark.slow
def test_what_changed_meanwhile_is_embedded(fresh: IndexStore, large: Path):
    with pytest.raises(KeyboardInterrupt):
        _index(fresh, large, embedding=InterruptedEmbeddings(200))
    large.write_text("前言。\n\n" + large.read_text("utf-8").replace("第7条", "第七条"), "utf-8")
    embedding = HashingEmbeddings()
    _index(fresh, large, embedding=embedding)
    assert any("第七条" in text for batch in embedding.batches for text in batch)
    with fresh.read() as snapshot:
        assert any("第七条" in chunk.text for chunk in snapshot.all_chunks())


@pytest.mark.slow
def test_another_model_uses_none_of_it(fresh: IndexStore, large: Path):
    with pytest.raises(KeyboardInterrupt):
        _index(fresh, large, embedding=InterruptedEmbeddings(200))
    fresh.close()
    fresh.path.unlink()
    other = HashingEmbeddings(salt="2")
    _index(fresh, large, embedding=other)
    assert _embedded(other) == PASSAGES


def test_another_document_in_between_goes_on_with_it(
    fresh: IndexStore, large: Path, tmp_path: Path
):
    (tmp_path / "短.txt").write_text("短。", "utf-8")
    first = InterruptedEmbeddings(200)
    with pytest.raises(KeyboardInterrupt):
        _index(fresh, large, embedding=first)
    between, rest = HashingEmbeddings(), HashingEmbeddings()
    _index(fresh, tmp_path / "短.txt", embedding=between)
    assert _embedded(between) == 1 + PASSAGES - _embedded(first)
    _index(fresh, large, embedding=rest)
    assert _embedded(rest) == 0


@pytest.mark.parametrize("damage", [b"", b"no database at all, only bytes" * 100])
def test_a_damaged_file_costs_no_more_than_the_work(fresh: IndexStore, large: Path, damage: bytes):
    with pytest.raises(KeyboardInterrupt):
        _index(fresh, large, embedding=InterruptedEmbeddings(200))
    (fresh.folder / UNFINISHED_NAME).write_bytes(damage)
    embedding = HashingEmbeddings()
    _index(fresh, large, embedding=embedding)
    assert _embedded(embedding) == PASSAGES


def test_vectors_that_no_run_came_back_for_are_dropped(
    fresh: IndexStore, large: Path, tmp_path: Path
):
    with pytest.raises(KeyboardInterrupt):
        _index(fresh, large, embedding=InterruptedEmbeddings(200))
    with closing(sqlite3.connect(fresh.folder / UNFINISHED_NAME)) as connection, connection:
        connection.execute("UPDATE kept SET at = at - 31 * 24 * 3600")
    (tmp_path / "短.txt").write_text("短。", "utf-8")
    _index(fresh, tmp_path / "短.txt", embedding=HashingEmbeddings())
    assert not (fresh.folder / UNFINISHED_NAME).exists()


SCAN = """
import os, signal, sys
from PIL import Image
from rag_app.documents import ocr
from rag_app.documents.pdf.characters import Char, PageCharacters
from rag_app.index.indexing.indexer import index_paths
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.hashing import HashingEmbeddings, InterruptedEmbeddings

path, folder, kill_at = sys.argv[1], sys.argv[2], int(sys.argv[3])
seen = 0

def read(image: Image.Image) -> PageCharacters:
    global seen
    seen += 1
    if seen == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    text = "甲乙丙丁戊己"[image.width - 101] * 5
    chars = [Char(char, 20.0 * n, 20, 20.0 * n + 20, 40, 20) for n, char in enumerate(text)]
    return PageCharacters(chars)

ocr.read_picture, ocr.is_available, ocr.version = read, lambda: True, lambda package: "1"
index_paths([path], store=IndexStore(folder), embedding=HashingEmbeddings())
print(seen)
"""


def _scan(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCAN, *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_photographs_in_which_nothing_can_be_read_are_read_once(
    empty: IndexStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[int] = []

    def read(image: Image.Image) -> PageCharacters:
        seen.append(image.width)
        return PageCharacters([])

    monkeypatch.setattr(ocr, "read_picture", read)
    monkeypatch.setattr(ocr, "is_available", lambda: True)
    Image.new("RGB", (101, 90), "white").save(tmp_path / "sea.png")
    for _ in range(3):
        report = index_paths(
            [str(tmp_path / "sea.png")], store=empty, embedding=HashingEmbeddings()
        )
        assert [failure.source for failure in report.failed] == [str(tmp_path / "sea.png")]
    assert seen == [101]


@pytest.mark.slow
def test_pages_of_a_scan_that_were_read_before_a_kill_are_read_no_more(tmp_path: Path):
    widths = range(101, 107)
    first, *others = [Image.new("RGB", (width, 90), "white") for width in widths]
    scan, folder = tmp_path / "scan.tiff", tmp_path / "new" / "index"
    first.save(scan, save_all=True, append_images=others)
    for kill_at in (4, 2):
        assert _scan(scan, folder, kill_at).returncode == -signal.SIGKILL
    done = _scan(scan, folder, 0)
    assert done.stdout == f"{len(widths) - 3 - 1}\n", done.stderr
    assert not (folder / PICTURES_NAME).exists()
    with IndexStore(folder).read() as snapshot:
        text = "".join(chunk.text for chunk in snapshot.all_chunks())
    assert all(page * 5 in text for page in "甲乙丙丁戊己")
