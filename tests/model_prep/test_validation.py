"""Reasons why a value is not taken, in words of a user."""

from typing import Any

import pytest

from model_prep.errors import TrainingError
from model_prep.training.settings import (
    PreferSettings,
    PretrainSettings,
    SftSettings,
    TrainingSettings,
    make_settings,
)

NEEDED = {"model": "m", "data": "d", "output_dir": "o", "adapter": "a"}
WRONG: tuple[Any, ...] = ("x", "-1", "1.5", "nan", "[1", "1,x", 1.5, -1, [], {}, [None])
OF_PYDANTIC = ("Input", "Value error", "valid", "<class", "parse", "validation")


def why(kind: type[TrainingSettings], name: str, value: Any) -> str:
    """What is wrong with a value; nothing where it is taken."""
    try:
        make_settings(kind, {**NEEDED, name: value})
    except TrainingError as error:
        return str(error).removeprefix(f"--{name} ").removeprefix(repr(value))
    return ""


@pytest.mark.parametrize("kind", [PretrainSettings, SftSettings, PreferSettings])
def test_no_option_is_refused_in_words_of_pydantic(kind: type[TrainingSettings]) -> None:
    refused = [
        said for name in kind.model_fields for value in WRONG if (said := why(kind, name, value))
    ]
    assert len(refused) > len(kind.model_fields)
    assert [said for said in refused if any(word in said for word in OF_PYDANTIC)] == []


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("lora_rank", "x", "must be a whole number"),
        ("lora_dropout", "2", "must be below 1"),
        ("learning_rate", "inf", "must be a finite number"),
        ("quantize", "q9_0", "must be '4bit' or '8bit'"),
        ("data", "", "must hold at least 1"),
        ("max_steps", "0", "0 steps train nothing"),
        ("lr_scheduler_kwargs", "{", "must be JSON (Expecting"),
        ("packing", "maybe", "must be true or false"),
    ],
)
def test_reasons(name: str, value: str, reason: str) -> None:
    with pytest.raises(TrainingError) as error:
        make_settings(SftSettings, {**NEEDED, name: value})
    assert f"is wrong: {reason}" in str(error.value)
