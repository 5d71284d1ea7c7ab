"""Damaged folders: each is read all the same, or refused in one line that leaves nothing behind."""

import re
import shutil
from pathlib import Path

import pytest

import model_prep
from model_prep.errors import CheckpointError, ModelPrepError
from tests.model_prep.damaged_folders import outcome
from tests.model_prep.family import Family


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 60, 20))
def test_one_line_and_nothing_left(first: int, family: Family, tmp_path: Path) -> None:
    found = {}
    for seed in range(first, first + 20):
        (folder := tmp_path / str(seed)).mkdir()
        found[seed] = outcome(family, folder, seed)
    assert {seed: said for seed, said in found.items() if said.startswith("wrong")} == {}
    assert any(said.startswith("refused") for said in found.values())


def test_a_damaged_piece_of_sentencepiece(family: Family, tmp_path: Path) -> None:
    """SentencePiece itself can't load it, and `verify` says so."""
    assert outcome(family, tmp_path, 1082) == "done: flip tokenizer.model"


@pytest.mark.parametrize("seed", [731107, 926313])
def test_what_once_had_no_line_of_its_own(family: Family, tmp_path: Path, seed: int) -> None:
    """A piece of SentencePiece that is no text, and a kind of model that is a list."""
    assert not outcome(family, tmp_path, seed).startswith("wrong")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.model"])
def test_links_to_nothing(name: str, family: Family, tmp_path: Path) -> None:
    """A folder of the hub's cache, copied without the files that it links to."""
    folder, output = Path(shutil.copytree(family.base, tmp_path / "model")), tmp_path / "output"
    (folder / name).unlink()
    (folder / name).symlink_to("../../blobs/4f1c")
    said = re.escape(f"{folder / name} is a link to ../../blobs/4f1c, which is not there")
    with pytest.raises(CheckpointError, match=said):
        model_prep.verify_model(folder)
    with pytest.raises(CheckpointError, match=said):
        model_prep.convert(folder, output_dir=output, to="meta")
    with pytest.raises(ModelPrepError, match=re.escape(str(folder / name))):
        model_prep.export_gguf(folder, output)
    with pytest.raises(CheckpointError, match=said):
        model_prep.merge(folder, [family.sft], output_dir=output)
    assert not output.exists()


def test_an_adapter_of_links_to_nothing(family: Family, tmp_path: Path) -> None:
    for file in family.sft.iterdir():
        (tmp_path / file.name).symlink_to("../../blobs/4f1c")
    with pytest.raises(CheckpointError, match="is a link to"):
        model_prep.merge(family.base, [tmp_path], output_dir=tmp_path / "output")
