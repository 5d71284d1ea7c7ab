"""Folders as they are: what can't be read, what is no document, what has moved."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from reportlab.lib.utils import ImageReader

from rag_app.documents import sources
from rag_app.index.indexing.indexer import index_paths
from rag_app.index.indexing.report import IndexOptions, IndexReport
from rag_app.index.store.store import IndexStore
from tests.rag_app.documents.pdf.drawing import lines, pdf
from tests.rag_app.index.hashing import HashingEmbeddings, InterruptedEmbeddings
from tests.rag_app.index.stored import assert_terms_exact, content_digest, waiting_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "文档"
    (folder / "子").mkdir(parents=True)
    (folder / "李白.txt").write_text("李白是唐代诗人。", encoding="utf-8")
    (folder / "子" / "杜甫.txt").write_text("杜甫生于河南。", encoding="utf-8")
    return folder


class Counting(HashingEmbeddings):
    """Counts what it embeds, and is asked for its dimension only by a new index."""

    asked = 0

    @property
    def dimension(self) -> int:
        self.asked += 1
        return 64

    @dimension.setter
    def dimension(self, value: int) -> None:
        assert value == 64

    @property
    def embedded(self) -> int:
        return sum(map(len, self.batches))


def _index(store: IndexStore, *paths: object, embedding=None, **options) -> IndexReport:
    return index_paths(
        [str(path) for path in paths],
        store=store,
        embedding=embedding or HashingEmbeddings(),
        options=IndexOptions(**options),
    )


def _sources(store: IndexStore) -> list[str]:
    with store.read() as snapshot:
        return [Path(document.source).name for document in snapshot.documents()]


def test_what_is_no_document_is_counted_by_reason_and_kind(fresh: IndexStore, folder: Path):
    for name in ("a.py", "b.py", "子/run.sh", "LICENSE", "~$合同.docx", ".hidden.py"):
        (folder / name).write_text("x", encoding="utf-8")
    (folder / "草稿.txt").write_text("草稿。", encoding="utf-8")
    (folder / "gone.txt").symlink_to("nowhere.txt")
    os.mkfifo(folder / "pipe.txt")
    report = _index(fresh, folder, exclude=("草*",))
    assert (report.added, report.failed) == (2, [])
    assert report.skipped == {
        "of other kinds": {".py": 2, "no suffix": 1, ".sh": 1},
        "excluded": {".txt": 1},
        "that can't be reached": {"link": 1},
        "that are not regular files": {"pipe": 1},
    }


def test_pipes_and_devices_are_refused_and_the_rest_goes_on(fresh: IndexStore, folder: Path):
    os.mkfifo(folder / "pipe.txt")
    report = _index(fresh, folder / "pipe.txt", "/dev/zero", folder / "李白.txt")
    assert report.added == 1
    assert [failure.source for failure in report.failed] == [str(folder / "pipe.txt"), "/dev/zero"]
    assert all("not a regular file" in failure.reason for failure in report.failed)


def test_a_folder_that_cannot_be_listed_does_not_stop_the_rest(
    fresh: IndexStore, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(folder)
    for _ in range(25):  # in the end longer than the longest path
        Path("d" * 200).mkdir()
        monkeypatch.chdir("d" * 200)
    monkeypatch.chdir(folder)
    report = _index(fresh, folder)
    assert report.added == 2
    assert "can't be listed" in report.failed[0].reason


def test_a_file_that_may_not_be_looked_at_is_left_to_its_reading(
    fresh: IndexStore, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def refused() -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    def scanned(path: Path) -> Iterator[object]:
        for entry in os.scandir(path):
            what = {"is_dir": entry.is_dir, "is_symlink": entry.is_symlink, "stat": refused}
            yield SimpleNamespace(name=entry.name, **what)

    monkeypatch.setattr(sources, "os", SimpleNamespace(scandir=scanned))
    report = _index(fresh, folder)
    assert (report.added, report.skipped) == (2, {})


def test_a_folder_that_goes_while_others_are_listed(
    fresh: IndexStore, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def scanned(path: Path) -> Iterator[object]:
        if path.name == "子":
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return os.scandir(path)

    monkeypatch.setattr(sources, "os", SimpleNamespace(scandir=scanned))
    report = _index(fresh, folder)
    assert (report.added, report.failed) == (1, [])


def _half_scanned() -> bytes:
    picture = io.BytesIO()
    from PIL import Image

    Image.new("L", (600, 800), 255).save(picture, "PNG")
    return pdf(
        lambda canvas: lines(canvas, ["本合同自签订之日起生效，有效期三年，期满自动延续。"]),
        lambda canvas: canvas.drawImage(ImageReader(picture), 0, 0, 595, 842),
    )


@pytest.mark.slow
def test_what_was_not_read_is_said_and_read_when_pictures_are(fresh: IndexStore, folder: Path):
    (folder / "合同.pdf").write_bytes(_half_scanned())
    report = _index(fresh, folder, ocr="never")
    (note,) = report.notes
    assert Path(note.source).name == "合同.pdf"
    assert "1 of 2 pages" in note.text
    with fresh.read() as snapshot:
        document = snapshot.document(str(folder / "合同.pdf"))
        assert document is not None
        assert document.notes == (note.text,)
        assert all("notes" not in chunk.extra for chunk in snapshot.chunks_of(document.source))
    assert _index(fresh, folder, ocr="never").unchanged == 3
    again = _index(fresh, folder, ocr="auto")
    assert (again.updated, again.unchanged) == (1, 2)


def test_a_renamed_or_moved_file_is_not_embedded_again(fresh: IndexStore, folder: Path):
    _index(fresh, folder)
    (folder / "李白.txt").rename(folder / "子" / "太白.txt")
    embedding = Counting()
    report = _index(fresh, folder, embedding=embedding)
    assert (report.renamed, report.unchanged, report.added) == (1, 1, 0)
    assert embedding.embedded == 0
    assert sorted(_sources(fresh)) == sorted(["太白.txt", "杜甫.txt"])
    assert_terms_exact(fresh)
    (folder / "李白.txt").write_bytes((folder / "子" / "太白.txt").read_bytes())
    assert _index(fresh, folder).added == 1, "a copy is a document of its own"


def test_an_unchanged_folder_asks_nothing_of_the_model(fresh: IndexStore, folder: Path):
    _index(fresh, folder)
    embedding = Counting()
    embedding.asked = 0
    assert _index(fresh, folder, embedding=embedding).unchanged == 2
    assert (embedding.asked, embedding.embedded) == (0, 0)


def _from_stdin(store: IndexStore, text: str, monkeypatch: pytest.MonkeyPatch, **options):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    return _index(store, "-", **options)


def test_standard_input_has_a_name(fresh: IndexStore, monkeypatch: pytest.MonkeyPatch):
    _from_stdin(fresh, "甲", monkeypatch, stdin_name="备忘.txt")
    assert not _from_stdin(fresh, "乙", monkeypatch).notes
    (note,) = _from_stdin(fresh, "丙", monkeypatch).notes
    assert "--name" in note.text
    assert sorted(_sources(fresh)) == ["-", "备忘.txt"]


def test_what_was_embedded_is_kept_at_an_interrupt(fresh: IndexStore, tmp_path: Path):
    for number in range(120):
        (tmp_path / f"{number}.txt").write_text(f"第{number}篇。", encoding="utf-8")

    with pytest.raises(KeyboardInterrupt):
        _index(fresh, *tmp_path.glob("*.txt"), embedding=InterruptedEmbeddings(64))
    assert len(_sources(fresh)) == 120
    assert waiting_in(fresh) == (120 - 64, 120 - 64)


def test_documents_slow_to_read_are_written_without_waiting_for_others(
    fresh: IndexStore, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    clock = count(step=11)
    monkeypatch.setattr("rag_app.index.indexing.indexer.time.monotonic", lambda: next(clock))
    written: list[int] = []
    index_paths(
        [str(folder)],
        store=fresh,
        embedding=HashingEmbeddings(),
        progress=lambda _: written.append(len(_sources(fresh)) if fresh.exists() else 0),
    )
    assert written[:3] == [0, 1, 2]


def test_an_index_of_before_there_were_notes_is_read_and_written(fresh: IndexStore, folder: Path):
    import sqlite3
    from contextlib import closing

    _index(fresh, folder / "李白.txt")
    before = content_digest(fresh)
    with closing(sqlite3.connect(fresh.path)) as connection:
        connection.execute("ALTER TABLE documents DROP COLUMN notes")
    assert content_digest(fresh) == before
    assert _index(fresh, folder).added == 1
