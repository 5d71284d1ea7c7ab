"""Adapters of random configurations: merged as PEFT merges them, or refused in one line."""

from pathlib import Path

import pytest

from tests.model_prep.lora.random_adapters import make_bases, outcome

RIGHT = ("merged", "refused: ", "not of PEFT")


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_bases(tmp_path_factory.mktemp("bases"))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 40, 10))
def test_as_peft_or_refused(first: int, bases: list[Path], tmp_path: Path) -> None:
    found = {}
    for seed in range(first, first + 10):
        (folder := tmp_path / str(seed)).mkdir()
        found[seed] = outcome(bases, folder, seed)
    assert {seed: said for seed, said in found.items() if not said.startswith(RIGHT)} == {}
    assert list(found.values()).count("merged") >= 5
