"""Damaged folders: each is read all the same, or refused in one line that leaves nothing behind."""

from pathlib import Path

import pytest

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
