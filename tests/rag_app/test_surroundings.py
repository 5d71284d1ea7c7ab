"""How many cores a process has to work on, and which files are there."""

import errno
import os
from pathlib import Path

import pytest

from rag_app.surroundings import affinity, free_cores, is_there, physical_cores


def test_there_is_a_core() -> None:
    assert 1 <= free_cores() <= physical_cores()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_a_process_that_is_bound_uses_its_cores() -> None:
    before = affinity()
    assert before
    os.sched_setaffinity(0, [min(before)])
    try:
        assert physical_cores() == free_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_a_file_of_a_disk_that_does_not_answer_is_not_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_there(tmp_path / "no")
    assert not is_there(tmp_path / ("长" * 300))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    monkeypatch.setattr(Path, "exists", refuse)
    assert is_there(tmp_path / "no")
