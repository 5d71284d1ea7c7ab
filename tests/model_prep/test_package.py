"""The package as users meet it: its public names."""

import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

import model_prep
from model_prep.cli import app
from model_prep.moved import MOVED
from tests.model_prep.family import Family
from tests.paths import ROOT

OTHER_NAMES = {"crawl": "crawl_items", "verify": "verify_model", "models": "CATALOG"}
HEAVY = ("torch", "transformers", "numpy", "openai", "pydantic", "rich", "typer")


@pytest.mark.parametrize("name", model_prep.__all__)
def test_a_public_name_is_a_thing_and_never_a_room(name: str) -> None:
    assert not isinstance(getattr(model_prep, name), ModuleType)
    assert find_spec(f"model_prep.{name}") is None


def test_other_names_are_refused() -> None:
    assert not hasattr(model_prep, "nothing")


def test_every_command_is_a_function() -> None:
    commands = {str(command.name) for command in app.registered_commands if not command.hidden}
    names = {OTHER_NAMES.get(name, name.replace("-", "_")) for name in commands}
    assert names <= set(model_prep.__all__)


def test_importing_costs_nothing() -> None:
    code = f"import sys, model_prep; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(("before", "now"), MOVED.items())
def test_earlier_names_are_imported(before: str, now: str) -> None:
    assert import_module(before) is import_module(now)


@pytest.mark.slow
def test_paths_may_be_strings(family: Family, tmp_path: Path) -> None:
    merged, gguf = str(tmp_path / "merged"), str(tmp_path / "merged.gguf")
    model_prep.merge(str(family.base), [str(family.sft)], output_dir=merged)
    assert model_prep.export_gguf(merged, gguf).path.is_file()
    assert model_prep.convert(merged, str(tmp_path / "meta"), to="meta", dry_run=True).tensors
    assert model_prep.verify_model(merged).passed
    assert model_prep.load_model(str(family.base), lora_models=[str(family.sft)], only_cpu=True)


@pytest.mark.slow
def test_the_example_of_the_page(family: Family, tmp_path: Path) -> None:
    page = (ROOT / "model_prep" / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {"chinese_lora": family.chinese, "alpaca_lora": family.alpaca, "base": family.base}
    exec(compile(code, "README.md", "exec"), {**names, "merged": tmp_path / "merged"})
    assert (tmp_path / "merged-q4_0.gguf").is_file()
