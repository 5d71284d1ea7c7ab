"""An index that follows a folder; the events are the operating system's."""

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import watchfiles
from watchfiles._rust_notify import WatchfilesRustInternalError

from rag_app import RagApp
from rag_app.engine.watch import watch
from rag_app.errors import DocumentError
from rag_app.index.indexing.report import IndexReport
from tests.rag_app.index.hashing import HashingEmbeddings


class Watching:
    """`watch` in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.embeddings = HashingEmbeddings()
        self.app = RagApp(embeddings=self.embeddings)
        self.reports: list[IndexReport] = []
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for report in watch(self.app, [str(self.folder)], exclude=["草*"], stop=self.stop):
            self.reports.append(report)

    def names(self) -> list[str]:
        if not self.app.store.exists():
            return []
        return sorted(Path(document.source).name for document in self.app.documents())

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not done():
            assert time.monotonic() < deadline, self.names()
            assert self._thread.is_alive()
            time.sleep(0.05)

    def end(self) -> None:
        self.stop.set()
        self._thread.join()
        self.app.close()


@pytest.fixture
def watching(home: Path) -> Iterator[Watching]:
    folder = home / "文档"
    folder.mkdir()
    (folder / "李白.txt").write_text("李白是诗人。", encoding="utf-8")
    watching = Watching(folder)
    try:
        watching.until(lambda: watching.names() == ["李白.txt"])
        yield watching
    finally:
        watching.end()


@pytest.mark.slow
def test_what_is_saved_renamed_and_deleted_is_followed(watching: Watching) -> None:
    folder = watching.folder
    (folder / "子").mkdir()
    (folder / "子" / "杜甫.txt").write_text("杜甫生于河南。", encoding="utf-8")
    (folder / "草稿.txt").write_text("不要。", encoding="utf-8")
    watching.until(lambda: watching.names() == ["李白.txt", "杜甫.txt"])
    batches = len(watching.embeddings.batches)
    (folder / "李白.txt").rename(folder / "子" / "太白.txt")
    watching.until(lambda: watching.names() == ["太白.txt", "杜甫.txt"])
    assert len(watching.embeddings.batches) == batches
    assert watching.app.retrieve("李白", k=1)[0].metadata["folders"] == ["子"]
    (folder / "子" / "杜甫.txt").write_text("杜甫卒于湖南。", encoding="utf-8")
    watching.until(lambda: watching.reports[-1].updated == 1)
    assert watching.app.retrieve("湖南", k=1)[0].page_content == "杜甫卒于湖南。"
    (folder / "子").rename(folder.parent / "别处")
    watching.until(lambda: watching.names() == [])


@pytest.mark.slow
def test_a_folder_that_is_replaced_is_followed_anew(watching: Watching) -> None:
    folder = watching.folder
    (new := folder.with_name("新")).mkdir()
    (new / "杜甫.txt").write_text("杜甫生于河南。", encoding="utf-8")
    folder.rename(folder.with_name("旧"))
    new.rename(folder)
    watching.until(lambda: watching.names() == ["杜甫.txt"])
    (folder / "王维.txt").write_text("王维是诗人。", encoding="utf-8")
    watching.until(lambda: watching.names() == ["杜甫.txt", "王维.txt"])


@pytest.mark.slow
def test_a_folder_that_is_made_again_is_followed_and_none_above_it(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[tuple[Path, ...]] = []
    watch_files = watchfiles.watch

    def noting(*roots: Path, **options: Any) -> Iterator[set[Any]]:
        watched.append(roots)
        return watch_files(*roots, **options)

    monkeypatch.setattr(watchfiles, "watch", noting)
    shutil.rmtree(watching.folder)
    watching.until(lambda: watching.names() == [] and watched != [])
    watching.folder.mkdir()  # its inode may be that of the one before
    (watching.folder / "王维.txt").write_text("王维是诗人。", encoding="utf-8")
    watching.until(lambda: watching.names() == ["王维.txt"])
    assert {root for roots in watched for root in roots} <= {watching.folder.resolve()}


@pytest.mark.slow
def test_a_folder_that_is_deleted_during_the_first_look_leaves_the_index(home: Path) -> None:
    for name in (folders := [home / "甲", home / "乙"]):
        name.mkdir()
        (name / f"{name.name}.txt").write_text("李白是诗人。", encoding="utf-8")

    class Deleting(HashingEmbeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            if texts == ["…"]:  # the documents are indexed
                shutil.rmtree(home / "乙", ignore_errors=True)
            return super().embed_documents(texts)

    stop = threading.Event()
    timer = threading.Timer(30, stop.set)  # where nothing is ever reported
    timer.start()
    with RagApp(embeddings=Deleting()) as app:
        reports = watch(app, [*map(str, folders)], stop=stop)
        assert next(reports).added == 2
        next(reports, None)
        timer.cancel()
        assert [Path(document.source).name for document in app.documents()] == ["甲.txt"]


@pytest.mark.slow
@pytest.mark.parametrize("limit", [errno.ENOSPC, errno.EMFILE])
def test_a_limit_of_the_system_is_told(
    limit: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "文档").mkdir()

    def refuse(*_: object, **__: object) -> Iterator[set[object]]:
        raise WatchfilesRustInternalError(f"{os.strerror(limit)} (os error {limit})")

    monkeypatch.setattr(watchfiles, "watch", refuse)
    app = RagApp(embeddings=HashingEmbeddings())
    with pytest.raises(DocumentError, match=r"can't be watched .*fs\.inotify"):
        next(watch(app, [str(home / "文档")]))


@pytest.mark.slow
def test_another_writer_is_waited_for(watching: Watching) -> None:
    ready, release = threading.Event(), threading.Event()

    def hold() -> None:
        from rag_app.index.store.store import IndexStore

        with IndexStore(watching.app.store.folder).locked():
            ready.set()
            release.wait()

    other = threading.Thread(target=hold)
    other.start()
    ready.wait()
    (watching.folder / "新.txt").write_text("新的。", encoding="utf-8")
    time.sleep(1)
    assert watching.names() == ["李白.txt"]
    release.set()
    other.join()
    watching.until(lambda: watching.names() == ["新.txt", "李白.txt"])


def test_a_disk_that_is_not_mounted_yet_loses_no_document(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder := home / "盘").mkdir()
    (file := folder / "李白.txt").write_text("李白是诗人。", encoding="utf-8")

    class Mounting(HashingEmbeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            if texts == ["…"]:  # the first look is over
                (home / "别处.txt").rename(file)
            return super().embed_documents(texts)

    with RagApp(embeddings=Mounting()) as app:
        app.index([str(folder)])
        file.rename(home / "别处.txt")
        assert next(watch(app, [str(folder)])).unchanged == 1
    assert "盘 is empty or gone; its documents stay" in caplog.text


def test_what_is_not_there_can_not_be_watched(home: Path) -> None:
    app = RagApp(embeddings=HashingEmbeddings())
    for path in ("missing", "missing/*.txt/x", "", "-"):
        with pytest.raises(DocumentError):
            next(watch(app, [path]))
