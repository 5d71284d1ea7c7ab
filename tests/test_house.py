"""The rules of the house, checked on the source itself."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A module may import from its own layer and from those to the left of it.
RAG_LAYERS = [
    {"settings", "errors"},
    {"documents", "index", "models"},
    {"chains"},
    {"engine"},
    {"server", "evaluation"},
    {"cli"},
]
HEAVY = ("torch", "transformers", "sentence_transformers", "langchain_core", "faiss", "markitdown")


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def layer_of(module: str) -> int | None:
    """The layer of ``rag_app.x.y``, None for the package itself and other packages."""
    parts = module.split(".")
    if parts[0] != "rag_app" or len(parts) == 1:
        return None
    return next(number for number, names in enumerate(RAG_LAYERS) if parts[1] in names)


def test_imports_point_down() -> None:
    upward = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sorted((ROOT / "rag_app").rglob("*.py"))
        for module in imported_modules(path)
        if path.parent != ROOT / "rag_app" or path.stem != "__init__"
        if (above := layer_of(module)) is not None
        and above > (layer_of(".".join(path.relative_to(ROOT).with_suffix("").parts)) or 0)
    ]
    assert upward == []


def test_model_prep_never_imports_rag_app() -> None:
    found = [
        str(path)
        for path in (ROOT / "model_prep").rglob("*.py")
        if any(module.split(".")[0] == "rag_app" for module in imported_modules(path))
    ]
    assert found == []


def test_the_layer_check_sees_an_upward_import(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from rag_app.engine import RagApp\n", encoding="utf-8")
    assert [layer_of(module) for module in imported_modules(wrong)] == [3]


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
