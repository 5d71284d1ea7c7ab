"""Both READMEs show the same commands, and every one of them runs."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]


def blocks(readme: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)


def commands(readme: Path) -> list[str]:
    return [line for block in blocks(readme, "sh") for line in block.splitlines() if line]


# Needs weights that nobody may share; tests/prep/test_walk.py runs it on small ones.
WALK = next(b for b in blocks(READMES[0], "sh") if "model-prep convert" in b).splitlines()


def figures(readme: Path) -> list[str]:
    """The code spans and numbers of the tables, which must not depend on the language."""
    rows = [line for line in readme.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    return [found for row in rows for found in re.findall(r"`[^`]*`|\d[\d.,]*", row)]


def test_both_languages_say_the_same() -> None:
    english, chinese = READMES
    assert commands(english) == commands(chinese)
    assert blocks(english, "python") == blocks(chinese, "python")
    assert figures(english) == figures(chinese)


def test_files_that_are_named_exist() -> None:
    for readme in READMES:
        for target in re.findall(r"\]\(([^)]+)\)", readme.read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), target


@pytest.mark.parametrize("command", [c for c in commands(READMES[0]) if c.startswith("make")])
def test_make_targets_exist(command: str) -> None:
    subprocess.run(
        ["make", "--dry-run", *shlex.split(command)[1:]], cwd=ROOT, check=True, capture_output=True
    )


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the README's commands can index, remove and change what they like."""
    folder = tmp_path_factory.mktemp("工作 place")
    shutil.copytree(ROOT / "docs_corpus", folder / "docs_corpus")
    return folder


def run(command: str, folder: Path) -> str:
    program, *arguments = shlex.split(command)
    own = Path(sys.executable).with_name(program)
    done = subprocess.run(
        [str(own) if own.exists() else program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert done.stdout + done.stderr, command
    return done.stdout


@contextmanager
def server(folder: Path) -> Iterator[None]:
    """``rag-app serve``, once it is ready."""
    program = str(Path(sys.executable).with_name("rag-app"))
    with subprocess.Popen([program, "serve"], cwd=folder, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                with suppress(httpx.TransportError):
                    if httpx.get("http://127.0.0.1:19327/health").json()["ready"]:
                        break
                assert process.poll() is None, "port 19327 is taken"
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield
        finally:
            process.terminate()


@pytest.mark.model
def test_every_command_runs(workplace: Path, real_home: Path) -> None:
    requests = []
    for command in commands(READMES[0]):
        if command.startswith("curl"):
            requests.append(command)
        elif not command.startswith(("make", "rag-app serve")) and command not in WALK:
            shown = run(command, workplace)
            if command.startswith(("rag-app ask", "rag-app summarize")):
                assert shown.strip(), command
    with server(workplace):
        for command in requests:
            answer = json.loads(run(command, workplace))
            assert "error" not in answer or answer["error"] is None, command


@pytest.mark.model
def test_the_python_example_runs(workplace: Path, real_home: Path) -> None:
    (code,) = blocks(READMES[0], "python")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=workplace,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "当涂" in done.stdout
    assert "doc.txt" in done.stdout
