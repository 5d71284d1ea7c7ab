"""What the pages of this repository name is there: files, headings, modules, options, variables."""

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer

from model_prep import cli as model_prep_cli
from model_prep.training.settings import PreferSettings, PretrainSettings, SftSettings
from rag_app import cli as rag_app_cli
from rag_app.settings import Settings
from tests.paths import ROOT

PACKAGES = ("rag_app", "model_prep", "tests")
PAGES = [
    *(ROOT / name for name in ("README.md", "README.zh-CN.md", ".github/CONTRIBUTING.md")),
    *(page for package in PACKAGES for page in sorted((ROOT / package).rglob("[A-Z]*.md"))),
]
CHANGELOG = ROOT / "CHANGELOG.md"
OTHER_PROGRAMS = ("docker", "milvus-lite", "python -m tests", "tests.")
OTHER_OPTIONS = {"--help", "--shutdown-timeout", "--trust-remote-code", "--pdfs", "--real"}
"""Of torchrun, vLLM and the benchmarks, where no program is named."""
TRAINING = (PretrainSettings, SftSettings, PreferSettings)
FILES_OF_USERS = {"best/"}
VARIABLES = {"HOME", "TEST_DATA", *(name.upper() for name in Settings.model_fields)}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def code(page: Path) -> list[str]:
    """The code spans of a page, over line ends too."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def options(command: Any) -> set[str]:
    """The options of a command and of those below it."""
    own = {name for parameter in command.params for name in parameter.opts}
    return own.union(*(options(each) for each in getattr(command, "commands", {}).values()))


@pytest.fixture(scope="module")
def known() -> set[str]:
    programs = [typer.main.get_command(cli.app) for cli in (rag_app_cli, model_prep_cli)]
    fields = {name for kind in TRAINING for name in kind.model_fields}
    training = {"--" + name.replace("_", "-") for name in fields}
    return training.union(OTHER_OPTIONS, *map(options, programs))


@pytest.mark.parametrize("page", [*PAGES, CHANGELOG], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        name, _, section = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not section or section in anchors(target), link


@each_page
def test_files_are_there(page: Path) -> None:
    """By their paths from the top, from the page's package, or from a room of it."""
    first = page.relative_to(ROOT).parts[0]
    packages = [first] if first in PACKAGES else PACKAGES
    rooms = [Path(room) for package in packages for room, _, _ in os.walk(ROOT / package)]
    paths = [span for span in code(page) if re.fullmatch(r"[a-z_/]+(?:\.py|\.toml|/)", span)]
    missing = {path for path in paths if not any((room / path).exists() for room in (ROOT, *rooms))}
    assert missing <= FILES_OF_USERS


@each_page
def test_modules_are_there(page: Path) -> None:
    names = {name for span in code(page) for name in re.findall(r"tests(?:\.[a-z0-9_]+)+", span)}
    assert [name for name in sorted(names) if not find_spec(name)] == []


@each_page
def test_options_and_variables_are_there(page: Path, known: set[str]) -> None:
    own = [span for span in code(page) if not span.startswith(OTHER_PROGRAMS)]
    named = {option for span in own for option in re.findall(r"(?<!\S)--[a-z][\w-]*", span)}
    assert named - known == set()
    assert {
        name for span in own for name in re.findall(r"RAG_APP_([A-Z_]*[A-Z])", span)
    } <= VARIABLES


@pytest.mark.parametrize("package", ["rag_app", "model_prep"])
def test_every_room_is_on_the_map(package: str) -> None:
    rooms = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    rows = re.findall(r"^\| (`.*?`) \|", (ROOT / package / "README.md").read_text("utf-8"), re.M)
    assert rooms == {room for row in rows for room in re.findall(r"(\w+)/`", row)}
