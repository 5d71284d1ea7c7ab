"""Damaged files of every format are read or refused: in bounded time and memory, to the letter."""

import json
import os
import subprocess
import sys
from pathlib import PurePath
from typing import Any

import pytest

from rag_app.documents.formats import NAMED_FORMATS, suffix_of
from tests.paths import ROOT
from tests.rag_app.documents.fuzz_samples import samples
from tests.rag_app.documents.fuzzing import SECONDS, limits


def fuzzed(variants: int, seed: int) -> dict[str, Any]:
    """The report of a process that has 3 GB of addresses and half a minute a hundred files."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.rag_app.documents.fuzzing", "--variants", str(variants),
         "--seed", str(seed)],
        cwd=ROOT,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"},
        preexec_fn=limits(3 * 2**30, SECONDS + variants * SECONDS // 100),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_a_file_of_every_format_is_damaged() -> None:
    formats = {NAMED_FORMATS[suffix_of(PurePath(name))] for name in samples()}
    assert formats == set(NAMED_FORMATS.values())


@pytest.mark.slow
@pytest.mark.parametrize(("variants", "seed"), [(150, 1), (2000, 2)])
def test_damaged_files_are_read_or_refused(variants: int, seed: int) -> None:
    report = fuzzed(variants, seed)
    assert report["faults"] == []
    assert report["read"] + report["refused"] == variants
    assert min(report["read"], report["refused"]) > variants / 5
    assert report["files"] >= 40
    assert report["longest"][0] < SECONDS
    assert report["megabytes"] < 2000
