"""An adapter that tests may change."""

from pathlib import Path

import pytest

from tests.model_prep.family import Family, copy_of


@pytest.fixture
def lora(family: Family, tmp_path: Path) -> Path:
    return copy_of(family.sft, tmp_path / "lora")
