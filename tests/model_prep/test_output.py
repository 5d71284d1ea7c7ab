"""Folders that get their name when they are whole, and sizes as people write them."""

import errno
from pathlib import Path

import pytest

from model_prep.cli.options import parse_size
from model_prep.errors import DiskSpaceError, OutputError, UsageError
from model_prep.output import output_folder


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
    with pytest.raises(UsageError, match="is no size; write it as 5GB"):
        parse_size(text)
