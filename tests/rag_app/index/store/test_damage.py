import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from rag_app.errors import DamagedIndexError, IndexStoreError
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.index.stored import content_digest


def _garbage(path: Path) -> None:
    path.write_bytes(b"\x00\xff" * 5000)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _truncated(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name)")
        connection.commit()


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
        connection.commit()


def _without_generation(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM generations")
        connection.commit()


def _holed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xa5" * (len(data) - 8192)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "damage", [_garbage, _empty, _truncated, _foreign, _without_generation, _holed]
)
def test_a_damaged_database_is_named_and_never_overwritten(store: IndexStore, meta, put, damage):
    store.close()
    damage(store.path)
    before = store.path.read_bytes()
    store.create(meta)
    for attempt in (lambda: content_digest(store), lambda: put(store, "a", ["b"])):
        with pytest.raises(DamagedIndexError, match=r"index\.sqlite3 is damaged or foreign"):
            attempt()
    assert store.path.read_bytes() == before


def test_a_vector_of_the_wrong_length_is_damage(store: IndexStore):
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("UPDATE chunks SET vector = x'00' WHERE id = 2")
        connection.commit()
    with pytest.raises(DamagedIndexError, match="chunk 2"), store.read() as snapshot:
        list(snapshot.vectors())


def test_a_full_database_undoes_the_document(store: IndexStore, put):
    before = content_digest(store)
    with store.locked():
        assert store._writer is not None
        pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
        store._writer.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(IndexStoreError, match="no space left"):
            put(store, "李白.txt", ["很长" * 50_000])
        put(store, "其他.txt", ["短"])
    assert content_digest(store) != before
    put(store, "李白.txt", ["很长" * 50_000])


@pytest.fixture
def small_disk(tmp_path: Path):
    """Two mebibytes of memory as a disk."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip(f"can't mount a tmpfs here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_leaves_the_index_whole(small_disk: Path, meta, put):
    store = IndexStore(small_disk / "index")
    store.create(meta)
    put(store, "李白.txt", ["床前明月光"])
    before = content_digest(store)
    (small_disk / "ballast").write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * 4096 - 40_000))
    with pytest.raises(IndexStoreError, match="no space left") as caught:
        put(store, "杜甫.txt", ["很长" * 100_000])
    assert "\n" not in str(caught.value)
    assert content_digest(store) == before
    store.close()
    assert content_digest(IndexStore(store.folder)) == before
    (small_disk / "ballast").unlink()
    put(store, "杜甫.txt", ["很长" * 100_000])


def test_no_room_for_an_index_at_all(small_disk: Path, meta):
    (small_disk / "ballast").write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * 4096 - 8192))
    store = IndexStore(small_disk / "index")
    with pytest.raises(IndexStoreError, match="no space left"):
        store.create(meta)
    assert not store.exists()


@pytest.fixture
def read_only(store: IndexStore):
    """The folder of an index as on a medium that can't be written."""
    store.close()
    folder = store.folder
    if os.geteuid() != 0:
        folder.chmod(0o555)
        store.path.chmod(0o444)
        yield IndexStore(folder)
        folder.chmod(0o755)
        return
    bound = subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False)
    if bound.returncode:
        pytest.skip(f"can't mount read-only here: {bound.stderr.decode().strip()}")
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    yield IndexStore(folder)
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_read_only_folder_can_be_read(read_only: IndexStore, meta, put):
    from rag_app.index.search.vector_store import FaissVectorStore

    assert FaissVectorStore(read_only, HashingEmbeddings()).similarity_search("李白捞月", 1)
    with pytest.raises(IndexStoreError, match="can't be written"):
        put(read_only, "a", ["b"])
    with pytest.raises(IndexStoreError, match="can't be written"):
        read_only.create(meta)
    with pytest.raises(IndexStoreError, match="can't be written"):
        IndexStore(read_only.folder / "new").create(meta)


def test_changes_that_wait_in_the_log_of_a_read_only_folder_are_not_overlooked(
    store: IndexStore, monkeypatch
):
    import rag_app.index.store.database as database

    def refuse(path: Path, options: str) -> sqlite3.Connection:
        if options == "mode=rw":
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise error
        return connect(path, options)

    connect = database._connect
    monkeypatch.setattr(database, "_connect", refuse)
    store.close()
    before = content_digest(store)
    store.path.with_name("index.sqlite3-wal").write_bytes(b"frames")
    with pytest.raises(IndexStoreError, match="copy the folder"):
        content_digest(store)
    store.path.with_name("index.sqlite3-wal").unlink()
    assert content_digest(store) == before


def test_an_index_of_a_newer_version_is_called_so(store: IndexStore) -> None:
    store.close()
    _newer(store.path)
    with pytest.raises(IndexStoreError, match="newer rag-app") as raised, store.read():
        pass
    assert "damaged" not in str(raised.value)


def test_a_path_that_sqlite_does_not_take_is_called_too_long(tmp_path: Path, meta) -> None:
    folder = tmp_path.joinpath(*["x" * 200] * 3)
    with pytest.raises(IndexStoreError, match="too long"):
        IndexStore(folder).create(meta)
