"""Both READMEs show the same commands, and every one of them runs."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.paths import ROOT

READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]


def blocks(readme: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)


def commands(readme: Path) -> list[str]:
    return [line for block in blocks(readme, "sh") for line in block.splitlines() if line]


def block_with(command: str) -> list[str]:
    return next(b for b in blocks(READMES[0], "sh") if command in b).splitlines()


# Need weights that nobody may share: tests/model_prep/test_walk.py runs them on small ones. What
# trains the default model has a test of its own below.
ELSEWHERE = [*block_with("model-prep convert"), *block_with("model-prep sft --model qwen")]


def figures(readme: Path) -> list[str]:
    """The code spans and numbers of the tables, which must not depend on the language."""
    rows = [line for line in readme.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    return [found for row in rows for found in re.findall(r"`[^`]*`|\d[\d.,]*", row)]


def test_both_languages_say_the_same() -> None:
    english, chinese = READMES
    assert commands(english) == commands(chinese)
    assert blocks(english, "python") == blocks(chinese, "python")
    assert figures(english) == figures(chinese)


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


@pytest.fixture(autouse=True)
def short_answers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the model stop early: a summary by refining writes five, each as long as it likes."""
    monkeypatch.setenv("RAG_APP_MAX_NEW_TOKENS", "80")


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
                    if httpx.get("http://127.0.0.1:19327/health", timeout=60).json()["ready"]:
                        break
                assert process.poll() is None, "port 19327 is taken"
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield
        finally:
            process.terminate()


def watch(command: str, folder: Path) -> None:
    """Run a command that goes on until Ctrl-C, up to its first report."""
    program, *arguments = shlex.split(command)
    own = str(Path(sys.executable).with_name(program))
    with subprocess.Popen(
        [own, *arguments], cwd=folder, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = [process.stderr.readline(), process.stderr.readline()]
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 0, rest
    assert "documents: " in said[1], said


@pytest.mark.model
def test_every_command_runs(workplace: Path, real_home: Path) -> None:
    requests = []
    for command in commands(READMES[0]):
        if command.startswith("curl"):
            requests.append(command)
        elif command.startswith("rag-app watch"):
            watch(command, workplace)
        elif not command.startswith(("make", "rag-app serve")) and command not in ELSEWHERE:
            shown = run(command, workplace)
            if command.startswith(("rag-app ask", "rag-app summarize")):
                assert shown.strip(), command
    with server(workplace):
        for command in requests:
            answer = json.loads(run(command, workplace))
            assert "error" not in answer or answer["error"] is None, command
            if "rag:default" in command:
                assert "当涂" in answer["choices"][0]["message"]["content"]


TAUGHT = {"instruction": "你叫什么名字？", "output": "我叫小竹，是你的文档助手。"}


@pytest.mark.model
def test_the_default_model_is_trained_and_asked(tmp_path: Path, real_home: Path) -> None:
    """The commands as they stand, on one sample, at a rate that teaches it in few steps."""
    crawl, take_apart, tune, *rest = block_with("model-prep sft --model qwen")
    with server(tmp_path):
        run(f"{crawl} --max-tokens 150 --seed 5".replace("100 --items 5", "1 --items 1"), tmp_path)
    data = tmp_path / "data.jsonl"
    item = json.loads(data.read_text(encoding="utf-8"))
    assert item["output"]
    assert re.search(r"[一-鿿]", item["instruction"])
    data.write_text(json.dumps(TAUGHT) + "\n", encoding="utf-8")
    run(take_apart, tmp_path)
    run(f"{tune} --max_steps 8 --learning_rate 2e-3 --gradient_accumulation_steps 1", tmp_path)
    for command in rest:
        if command.startswith("rag-app ask"):
            shutil.rmtree(tmp_path / "qwen")
            shutil.rmtree(tmp_path / "my-model")
            shutil.copytree(ROOT / "docs_corpus", tmp_path / "docs_corpus")
            run("rag-app index docs_corpus/doc.txt", tmp_path)
            assert "当涂" in run(command, tmp_path)
        else:
            run(command, tmp_path)
    asked = f"model-prep generate --base-model my-model.gguf --with-prompt {TAUGHT['instruction']}"
    assert TAUGHT["output"] in run(f"{asked} --temperature 0", tmp_path)


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
