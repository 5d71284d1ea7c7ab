"""The rules of the house, checked on the source itself."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.paths import ROOT

# A room may import from the lines above its own, and from nothing beside it on its own line.
LAYERS = {
    "model_prep": (
        (
            "errors",
            "progress",
            "json_file",
            "output",
            "control_groups",
            "process_state",
            "threads",
            "moved",
            "validation",
        ),
        ("checkpoint",),
        ("tokenizer", "catalog", "crawl"),
        ("llama",),
        ("lora", "gguf"),
        ("inference", "verify"),
        ("training",),
        ("cli",),
    ),
    "rag_app": (
        ("errors", "surroundings", "settings"),
        ("documents",),
        ("models",),
        ("index.store",),
        ("index.milvus",),
        ("index.search",),
        ("index.indexing",),
        ("chains",),
        ("engine",),
        ("server", "evaluation"),
        ("cli",),
    ),
}
MOST_FILES = 17
"""In one folder, less its ``__init__.py``."""
HEAVY = ("torch", "transformers", "sentence_transformers", "langchain_core", "faiss", "markitdown")


@cache
def imported_modules(path: Path) -> tuple[str, ...]:
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def place_of(module: str) -> tuple[int, str] | None:
    """The layer and room of ``rag_app.room.file``; None for a package's own file and for others."""
    package, _, rest = module.partition(".")
    for layer, rooms in enumerate(LAYERS.get(package, ())):
        for room in rooms:
            if f"{rest}.".startswith(f"{room}."):
                return layer, room
    return None


def wrong_arrow(importer: str, imported: str) -> bool:
    if importer.partition(".")[0] != imported.partition(".")[0]:
        return False
    here, there = place_of(importer), place_of(imported)
    if here is None or there is None or here == there:
        return False
    return there[0] > here[0] or (there[0] == here[0] and here[0] > 0)


def modules(package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield name.removesuffix(".__init__"), path


@pytest.mark.parametrize("package", LAYERS)
def test_imports_point_down(package: str) -> None:
    found = {
        f"{name} imports {imported}"
        for name, path in modules(package)
        for imported in imported_modules(path)
        if wrong_arrow(name, imported)
    }
    assert found == set()


@pytest.mark.parametrize("package", LAYERS)
def test_every_file_stands_in_a_room(package: str) -> None:
    front = {package, f"{package}.__main__", "rag_app.index"}
    assert [
        name for name, _ in modules(package) if place_of(name) is None and name not in front
    ] == []


@pytest.mark.parametrize("package", LAYERS)
def test_imports_make_no_circle(package: str) -> None:
    names = {name for name, path in modules(package) if path.stem != "__init__"}
    imports = {
        name: {other for other in imported_modules(path) if other in names and other != name}
        for name, path in modules(package)
        if name in names
    }
    while free := {name for name, others in imports.items() if not others & imports.keys()}:
        for name in free:
            del imports[name]
    assert imports == {}


@pytest.mark.parametrize("package", LAYERS)
def test_no_name_is_given_twice(package: str) -> None:
    """The second constant of a name would be meant where the first one was."""
    twice = {
        name: [constant for constant, count in Counter(_constants(path)).items() if count > 1]
        for name, path in modules(package)
    }
    assert {name: constants for name, constants in twice.items() if constants} == {}


def _constants(path: Path) -> Iterator[str]:
    """Yield the names that a file assigns outside of blocks, as often as it does."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
        for target in targets:
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            yield from (name.id for name in names if isinstance(name, ast.Name))


@pytest.mark.parametrize("folder", ["model_prep", "rag_app", "tests"])
def test_no_folder_is_a_heap(folder: str) -> None:
    files = Counter(
        path.parent for path in (ROOT / folder).rglob("*.py") if path.stem != "__init__"
    )
    assert {str(path): count for path, count in files.items() if count > MOST_FILES} == {}


def test_model_prep_never_imports_rag_app() -> None:
    found = [
        name
        for name, path in modules("model_prep")
        if any(module.split(".")[0] == "rag_app" for module in imported_modules(path))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("importer", "imported", "wrong"),
    [
        ("rag_app.chains.answer", "rag_app.engine.app", True),
        ("rag_app.index.store.store", "rag_app.index.search.retriever", True),
        ("model_prep.lora.merge", "model_prep.gguf.exporter", True),
        ("model_prep.lora.merge", "model_prep.lora.plan", False),
        ("model_prep.output", "model_prep.errors", False),
        ("rag_app.models.registry", "model_prep.inference.placement", False),
        ("rag_app.engine.app", "rag_app.chains.answer", False),
    ],
)
def test_the_layer_check_sees_wrong_arrows(importer: str, imported: str, wrong: bool) -> None:
    assert wrong_arrow(importer, imported) is wrong


@pytest.mark.parametrize("package", ["rag_app", "model_prep"])
def test_help_imports_nothing_heavy(package: str) -> None:
    code = (
        f"import sys; sys.argv = ['x', '--help']\n"
        f"from {package}.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout
    assert "heavy: []" in done.stdout


def test_a_question_is_sent_ahead_before_settings_are_imported() -> None:
    heavy = "[*{'pydantic', 'typer'} & sys.modules.keys()]"
    code = f"import sys, rag_app.engine.ahead; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_top_level_is_fixed() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    names = {line.split("/")[0] for line in tracked.stdout.split("\0") if line}
    assert {name for name in names if not name.startswith(".")} <= {
        *("pyproject.toml", "constraints.txt", "Makefile", "LICENSE", "CHANGELOG.md"),
        *("README.md", "README.zh-CN.md", "rag_app", "model_prep", "docs_corpus", "tests"),
    }
