"""Every ``>>>`` example in a docstring of both packages says what the code does."""

import doctest
import importlib
from pathlib import Path

import pytest

from tests.paths import ROOT


def has_example(path: Path) -> bool:
    return ">>> " in path.read_text(encoding="utf-8")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = [
    module_name(path)
    for package in ("model_prep", "rag_app")
    for path in sorted((ROOT / package).rglob("*.py"))
    if has_example(path)
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(name: str) -> None:
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS, report=True)
    assert results.attempted > 0
    assert results.failed == 0
