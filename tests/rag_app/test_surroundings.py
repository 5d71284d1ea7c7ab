"""How many cores a process has to work on."""

import math
import os
from pathlib import Path

import pytest

from rag_app.surroundings import affinity, free_cores, group_limit, physical_cores


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


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", {"cpu.max": "max 100000"}, math.inf),
        ("0::/a/b", {"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000"}, 2),
        ("0::/a", {"cpu.max": "400000 100000", "a/cpu.max": "50000 100000"}, 0.5),
        ("0::/docker/its-own-root", {"cpu.max": "100000 100000"}, 1),
        (
            "3:cpu,cpuacct:/a\n2:cpuset:/\n0::/",
            {"cpu/a/cpu.cfs_quota_us": "300000\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            3,
        ),
        (
            "1:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            math.inf,
        ),
        ("0::/", {}, math.inf),
        ("", {}, math.inf),
    ],
)
def test_limits_of_control_groups(
    groups: str, files: dict[str, str], cores: float, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "groups").write_text(groups, encoding="utf-8")
    assert group_limit(tmp_path / "groups", tmp_path) == cores
    assert group_limit(tmp_path / "none", tmp_path) == math.inf
