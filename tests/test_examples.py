"""Every ``>>>`` example in a docstring of both packages says what the code does."""

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import model_prep
import rag_app
from tests.paths import ROOT


def has_example(path: Path) -> bool:
    return ">>> " in path.read_text(encoding="utf-8")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def needs_models(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return '("llama-hf"' in text or '>>> embeddings = load_embeddings("' in text


MODULES = [
    pytest.param(module_name(path), marks=[pytest.mark.slow] if needs_models(path) else [])
    for package in ("model_prep", "rag_app")
    for path in sorted((ROOT / package).rglob("*.py"))
    if has_example(path)
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_embeddings: Path) -> Path:
    """A folder with the tiny models that examples name."""
    from tests.model_prep.family import make_family

    folder = tmp_path_factory.mktemp("models")
    make_family(folder).base.rename(folder / "llama-hf")
    (folder / "my-encoder").symlink_to(tiny_embeddings)
    return folder


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if request.node.get_closest_marker("slow"):
        monkeypatch.chdir(request.getfixturevalue("models"))
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS, report=True)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("package", [rag_app, model_prep], ids=lambda package: package.__name__)
def test_every_public_class_has_an_example(package: object) -> None:
    names = [name for name in vars(package)["__all__"] if not name.startswith("_")]
    public = {name: getattr(package, name) for name in names}
    classes = {name: found for name, found in public.items() if inspect.isclass(found)}
    assert classes
    assert [name for name, found in classes.items() if ">>> " not in (found.__doc__ or "")] == []
