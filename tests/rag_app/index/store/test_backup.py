"""Backups: whole or not there, restored as they were, and never where they don't belong."""

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Self

import pytest

from rag_app.errors import BackupError, BusyIndexError, DamagedIndexError, IndexStoreError
from rag_app.index.indexing.indexer import index_paths
from rag_app.index.store.backup import MANIFEST, back_up
from rag_app.index.store.folders import index_names, named_folder
from rag_app.index.store.restore import restore
from rag_app.index.store.snapshot import Snapshot
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.index.stored import assert_terms_exact, content_digest

PROGRAM = str(Path(sys.executable).with_name("rag-app"))


def made(name: str, **texts: str) -> IndexStore:
    """An index of that name, with uploaded files."""
    store = IndexStore(named_folder(name), timeout=0.2)
    files = []
    for stem, text in texts.items():
        file = store.folder / "files" / "诗人" / f"{stem}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        files.append(str(file))
    index_paths(files, store=store, embedding=HashingEmbeddings())
    return store


@pytest.fixture
def store(home: Path) -> IndexStore:
    return made("甲", 李白="李白是诗人。", 杜甫="杜甫也是诗人。")


def test_a_full_disk_is_that_of_the_backup(
    store: IndexStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy_to(_: Snapshot, target: sqlite3.Connection, **__: Any) -> None:
        target.execute("PRAGMA max_page_count=1")
        target.execute("CREATE TABLE more_than_a_page (text)")

    monkeypatch.setattr(Snapshot, "copy_to", copy_to)
    made("乙", 王维="王维是诗人。")
    with pytest.raises(BackupError, match=r"the disk of .*b\.zip is full"):
        back_up(tmp_path / "b.zip")
    assert not list(tmp_path.glob("b.zip*"))


def test_what_is_backed_up_comes_back(store: IndexStore, home: Path, tmp_path: Path) -> None:
    made("乙", 王维="王维是诗人。")
    waiting = store.folder / "incoming" / "0001-a" / "白居易.txt"
    waiting.parent.mkdir(parents=True)
    waiting.write_text("白居易是诗人。", encoding="utf-8")
    before = content_digest(store)
    said: list[tuple[str, int, int]] = []
    backup = back_up(tmp_path / "b.zip", progress=lambda *now: said.append(now))
    assert [index.name for index in backup.indexes] == ["乙", "甲"]
    assert backup.bytes == (tmp_path / "b.zip").stat().st_size
    assert said
    assert [done for _, done, _ in said] == sorted(done for _, done, _ in said)
    assert [path.name for path in tmp_path.iterdir()] == ["b.zip"]
    for name in ("甲", "乙"):
        named_folder(name).rename(home / f"old {name}")
    restored = restore(tmp_path / "b.zip")
    assert [index.documents for index in restored.indexes] == [1, 2]
    assert restored.replaced == []
    assert index_names() == ["乙", "甲"]
    again = IndexStore(named_folder("甲"))
    assert content_digest(again) == before
    assert_terms_exact(again)
    assert waiting.read_text(encoding="utf-8") == "白居易是诗人。"
    with again.read() as snapshot:
        assert all(Path(source).is_file() for source in snapshot.sources())
    assert not any(path.name.startswith(".") for path in (home / "indexes").iterdir())


def test_in_another_home_documents_know_their_files(
    store: IndexStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(tmp_path / "b.zip")
    monkeypatch.setenv("RAG_APP_HOME", str(tmp_path / "另一个 home"))
    restore(tmp_path / "b.zip")
    with IndexStore(named_folder("甲")).read() as snapshot:
        sources = snapshot.sources()
    folder = tmp_path / "另一个 home/indexes/甲/files/诗人"
    assert sources == [str(folder / "李白.txt"), str(folder / "杜甫.txt")]
    assert all(Path(source).is_file() for source in sources)


def test_models_are_in_it_if_asked_for(store: IndexStore, home: Path, tmp_path: Path) -> None:
    model = home / "models" / "tiny" / "model.gguf"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"GGUF" * 1000)
    assert back_up(tmp_path / "without.zip").models == []
    assert back_up(tmp_path / "with.zip", models=True).models == ["tiny"]
    assert restore(tmp_path / "with.zip", overwrite=True).kept == ["tiny"]
    model.unlink()
    model.parent.rmdir()
    assert restore(tmp_path / "with.zip", overwrite=True).models == ["tiny"]
    assert model.read_bytes() == b"GGUF" * 1000


def test_while_it_is_written_it_is_one_moment(store: IndexStore, tmp_path: Path) -> None:
    ended, failures = threading.Event(), []

    def write() -> None:
        for number in range(10_000):
            if ended.is_set():
                return
            try:
                made("甲", **{f"新{number % 7}": f"第{number}版。" * 50})
            except Exception as error:
                failures.append(error)
                return

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for number in range(5):
            back_up(tmp_path / f"{number}.zip")
    finally:
        ended.set()
        writing.join()
    assert failures == []
    for number in range(5):
        restore(tmp_path / f"{number}.zip", overwrite=True)
        with closing(sqlite3.connect(store.path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert_terms_exact(IndexStore(store.folder))


def test_nothing_is_replaced_without_being_told(store: IndexStore, tmp_path: Path) -> None:
    file = tmp_path / "b.zip"
    back_up(file)
    made("甲", 新="新的。")
    now = content_digest(store)
    with pytest.raises(BackupError, match="--overwrite"):
        restore(file)
    assert content_digest(store) == now
    with pytest.raises(BackupError, match="--overwrite"):
        back_up(file)
    assert restore(file, overwrite=True).replaced == ["甲"]
    assert content_digest(IndexStore(store.folder)) != now
    assert back_up(file, overwrite=True).indexes[0].documents == 2


@pytest.mark.slow
def test_who_reads_an_index_sees_what_was_restored(store: IndexStore, tmp_path: Path) -> None:
    old = content_digest(store)
    back_up(tmp_path / "b.zip")
    made("甲", 新="新的。")
    assert content_digest(store) != old  # and keeps its connection for the next query
    restore(tmp_path / "b.zip", overwrite=True)
    assert content_digest(store) == old
    made("甲", 新="新的。")
    assert content_digest(store) != old


@pytest.mark.slow
def test_what_is_being_written_is_not_replaced(store: IndexStore, tmp_path: Path) -> None:
    back_up(tmp_path / "b.zip")
    other = threading.Event(), threading.Event()

    def hold() -> None:
        with store.locked():
            other[0].set()
            other[1].wait()

    holding = threading.Thread(target=hold)
    holding.start()
    other[0].wait()
    try:
        with pytest.raises(BusyIndexError):
            restore(tmp_path / "b.zip", overwrite=True)
    finally:
        other[1].set()
        holding.join()
    assert index_names() == ["甲"]


def test_one_index_of_several(store: IndexStore, tmp_path: Path) -> None:
    made("乙", 王维="王维是诗人。")
    back_up(tmp_path / "one.zip", ["乙"])
    assert [index.name for index in restore(tmp_path / "one.zip", check=True).indexes] == ["乙"]
    back_up(tmp_path / "b.zip")
    assert restore(tmp_path / "b.zip", ["乙"], overwrite=True).replaced == ["乙"]
    with pytest.raises(BackupError, match="holds no index 丙; it holds: 乙, 甲"):
        restore(tmp_path / "b.zip", ["丙"])
    with pytest.raises(IndexStoreError, match="no index"):
        back_up(tmp_path / "c.zip", ["丙"])


def test_a_damaged_index_does_not_keep_the_others_out(store: IndexStore, tmp_path: Path) -> None:
    named_folder("坏").mkdir()
    (named_folder("坏") / "index.sqlite3").write_bytes(b"not a database" * 99)
    backup = back_up(tmp_path / "b.zip")
    assert [index.name for index in backup.indexes] == ["甲"]
    assert "damaged" in backup.failed["坏"]
    with pytest.raises(BackupError, match="damaged"):
        back_up(tmp_path / "c.zip", ["坏"])
    assert not (tmp_path / "c.zip").exists()


def rewritten(file: Path, change: Callable[[dict[str, bytes], dict[str, Any]], None]) -> Path:
    """Another archive with entries and a manifest that were changed."""
    with zipfile.ZipFile(file) as zipped:
        contents = {name: zipped.read(name) for name in zipped.namelist()}
    manifest = json.loads(contents.pop(MANIFEST))
    change(contents, manifest)
    other = file.with_name("changed.zip")
    with zipfile.ZipFile(other, "w") as zipped:
        for name, data in contents.items():
            zipped.writestr(name, data)
        zipped.writestr(MANIFEST, json.dumps(manifest))
    return other


def moved(new: str) -> Callable[[dict[str, bytes], dict[str, Any]], None]:
    """Give an uploaded file another name in the archive."""

    def change(contents: dict[str, bytes], manifest: dict[str, Any]) -> None:
        old = next(name for name in contents if name.endswith("李白.txt"))
        contents[new] = contents.pop(old)
        manifest["entries"][new] = manifest["entries"].pop(old)

    return change


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "indexes/../../evil.txt",
        "/tmp/evil.txt",
        "indexes//tmp/evil.txt",
        "indexes/甲/files/..\\..\\evil.txt",
        "rag-app.toml",
    ],
)
def test_names_that_lead_elsewhere_are_refused(
    name: str, store: IndexStore, home: Path, tmp_path: Path
) -> None:
    back_up(tmp_path / "b.zip")
    evil = rewritten(tmp_path / "b.zip", moved(name))
    before = sorted(home.rglob("*"))
    with pytest.raises(BackupError, match="leads elsewhere"):
        restore(evil, overwrite=True)
    assert sorted(home.rglob("*")) == before


def test_what_is_not_named_is_not_unpacked(store: IndexStore, tmp_path: Path, home: Path) -> None:
    back_up(tmp_path / "b.zip")

    def add(contents: dict[str, bytes], manifest: dict[str, Any]) -> None:
        contents["indexes/甲/files/more.txt"] = contents["../more.txt"] = b"more"

    restore(rewritten(tmp_path / "b.zip", add), overwrite=True)
    assert list(home.rglob("more.txt")) == []


def other_bytes(contents: dict[str, bytes], manifest: dict[str, Any]) -> None:
    name = next(name for name in contents if name.endswith("李白.txt"))
    contents[name] = contents[name].replace("李".encode(), "张".encode())


def lost_entry(contents: dict[str, bytes], manifest: dict[str, Any]) -> None:
    del contents[next(name for name in contents if name.endswith("李白.txt"))]


def hidden_index(contents: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["indexes"][0]["name"] = "../甲"


def other_format(contents: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["format"] = 99


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_bytes, "is not what its hash says"),
        (lost_entry, "it lacks"),
        (hidden_index, "not a name of an index"),
        (other_format, "format 99"),
        (lambda contents, manifest: manifest.pop("entries"), "no manifest"),
        (lambda contents, manifest: manifest.update(indexes=[1]), "manifest"),
    ],
)
def test_a_changed_archive_changes_nothing(
    change: Any, message: str, store: IndexStore, home: Path, tmp_path: Path
) -> None:
    back_up(tmp_path / "b.zip")
    before = content_digest(store)
    with pytest.raises(BackupError, match=message) as raised:
        restore(rewritten(tmp_path / "b.zip", change), overwrite=True)
    assert "\n" not in str(raised.value)
    assert content_digest(store) == before
    assert [path.name for path in (home / "indexes").iterdir()] == ["甲"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_cut_archive_is_refused(share: float, store: IndexStore, tmp_path: Path) -> None:
    back_up(tmp_path / "b.zip")
    data = (tmp_path / "b.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BackupError, match="damaged or not a backup"):
        restore(tmp_path / "cut.zip", check=True)


def test_a_damaged_database_is_not_put_in_place(store: IndexStore, tmp_path: Path) -> None:
    import hashlib

    back_up(tmp_path / "b.zip")

    def change(contents: dict[str, bytes], manifest: dict[str, Any]) -> None:
        name = "indexes/甲/index.sqlite3"
        contents[name] = data = b"not a database" * 999
        digest = hashlib.sha256(data).hexdigest()
        manifest["entries"][name] = {"bytes": len(data), "sha256": digest}

    before = content_digest(store)
    with pytest.raises(DamagedIndexError):
        restore(rewritten(tmp_path / "b.zip", change), overwrite=True)
    assert content_digest(store) == before


@pytest.mark.slow
def test_killed_at_any_moment_there_is_no_half_backup(store: IndexStore, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path;"
        "from rag_app.index.store.backup import back_up;"
        "left = [int(sys.argv[2])];\n"
        "def told(*now):\n"
        "    left[0] -= 1\n"
        "    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "back_up(Path(sys.argv[1]), progress=told)"
    )
    made("乙", 王维="王维是诗人。" * 1000)
    file, killed = tmp_path / "b.zip", 0
    for moment in range(1, 100):
        done = subprocess.run(
            [sys.executable, "-c", code, str(file), str(moment)], check=False, capture_output=True
        )
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        assert not file.exists()
        killed += 1
    assert killed > 3
    assert [path.name for path in tmp_path.iterdir()] == ["b.zip"]  # the last run cleared up
    assert len(restore(file, overwrite=True).indexes) == 2


@pytest.mark.slow
def test_killed_while_restoring_indexes_are_the_old_or_the_new(
    store: IndexStore, home: Path, tmp_path: Path
) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path;"
        "from rag_app.index.store import restore as module;"
        "left = [int(sys.argv[2])]\n"
        "def told(*now):\n"
        "    left[0] -= 1\n"
        "    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "module.restore(Path(sys.argv[1]), overwrite=True, progress=told)"
    )
    old = content_digest(store)
    back_up(tmp_path / "b.zip")
    made("甲", 新="新的。")
    new = content_digest(store)
    for moment in range(1, 100):
        command = [sys.executable, "-c", code, str(tmp_path / "b.zip"), str(moment)]
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:
            break
        assert index_names() == ["甲"]
        assert content_digest(IndexStore(store.folder)) == new
    assert moment > 2
    assert content_digest(IndexStore(store.folder)) == old
    assert [path.name for path in (home / "indexes").iterdir()] == ["甲"]


def test_a_clock_that_was_never_set(
    store: IndexStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Past(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(0, tz)

    monkeypatch.setattr("rag_app.index.store.backup.datetime", Past)
    back_up(tmp_path / "b.zip")
    assert restore(tmp_path / "b.zip", check=True).indexes[0].name == "甲"


def test_nothing_is_no_backup(home: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="nothing to back up"):
        back_up(tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


@pytest.mark.slow
def test_the_commands(store: IndexStore, home: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [PROGRAM, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        return done.returncode, done.stdout, done.stderr

    code, out, said = run("backup", "b.zip", "--json")
    assert code == 0, said
    assert json.loads(out)["indexes"][0]["name"] == "甲"
    assert run("backup", "b.zip")[0] == 1
    code, _, said = run("backup", "b.zip", "--overwrite")
    assert code == 0
    assert "1 index, 2 documents" in said
    code, _, said = run("restore", "b.zip")
    assert code == 1
    assert "rag-app: there is an index 甲 already" in said
    assert "whole: 甲, 2 documents" in run("restore", "b.zip", "--check")[2]
    code, out, _ = run("restore", "b.zip", "--overwrite", "--json")
    assert (code, json.loads(out)["replaced"]) == (0, ["甲"])
    code, _, said = run("restore", "none.zip")
    assert (code, said.count("\n")) == (1, 1)
