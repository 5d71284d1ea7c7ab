"""Folders that get their name when they are whole, and sizes as people write them."""

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest

from model_prep.cli.options import parse_size
from model_prep.errors import DiskSpaceError, OutputError, UsageError
from model_prep.json_file import replace_json
from model_prep.output import check_output, output_folder


def test_a_whole_folder_gets_its_name(tmp_path: Path) -> None:
    target = tmp_path / "深" / "out"
    target.mkdir(parents=True)
    left = tmp_path / "深" / "out.partial"
    left.mkdir()
    (left / "old").touch()  # of a run that was killed
    with output_folder(target, 10) as partial:
        assert partial == left
        (partial / "new").write_text("x")
        assert list(target.iterdir()) == []
    assert [path.name for path in target.iterdir()] == ["new"]
    assert not left.exists()


def test_a_file_that_cannot_be_written_leaves_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left")

    file = tmp_path / "run.json"
    replace_json(file, 1)
    monkeypatch.setattr("model_prep.json_file.sync", fail)
    with pytest.raises(OSError, match="No space"):
        replace_json(file, 2)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("run.json", "1\n")]


def test_the_folder_that_a_shell_is_in_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "old").touch()  # of a run that was killed
    with output_folder(Path("./"), 10) as partial:
        assert partial == tmp_path / ".partial"
        (partial / "sub").mkdir()
        (partial / "config.json").touch()
        (partial / "model").touch()
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["config.json", "model", "sub"]


def test_a_link_to_an_empty_folder_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with output_folder(tmp_path / "link", 10) as partial:
        (partial / "new").touch()
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["new"]


def test_a_name_that_no_folder_can_have(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"can't be made \(File name too long"):
        check_output(tmp_path / ("很" * 100), 0)


def test_two_runs_into_one_folder(tmp_path: Path) -> None:
    def again() -> None:
        with output_folder(tmp_path / "out", 10):
            raise AssertionError

    with output_folder(tmp_path / "out", 10) as partial:
        (partial / "mine").touch()
        with pytest.raises(OutputError, match="another run is writing"):
            again()
        assert (partial / "mine").exists()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_room_is_asked_of_the_folders_own_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def usage(path: Path) -> Any:
        asked.append(Path(path))
        return shutil._ntuple_diskusage(10**12, 0, 10**12)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    (tmp_path / "disk").mkdir()
    check_output(tmp_path / "disk", 10)
    check_output(tmp_path / "a" / "b", 10)
    assert asked == [tmp_path / "disk", tmp_path]


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (OSError(errno.ENOSPC, "No space left"), DiskSpaceError, "is full; free some space"),
        (OSError(errno.EACCES, "Permission denied"), OutputError, r"made \(Permission denied\)"),
        (KeyboardInterrupt(), KeyboardInterrupt, "^$"),
    ],
)
def test_nothing_half_made_is_left(
    tmp_path: Path, error: BaseException, kind: type[BaseException], said: str
) -> None:
    def make() -> None:
        with output_folder(tmp_path / "out", 10) as partial:
            (partial / "half").touch()
            raise error

    with pytest.raises(kind, match=said):
        make()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "size"),
    [("5GB", 5 * 10**9), ("1.5 mb", 1_500_000), ("2GiB", 2**31), ("700", 700), (" 1kb ", 1000)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "5 TB", "-1GB", "0", "5GBs"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size; write it as 5GB"):
        parse_size(text)
