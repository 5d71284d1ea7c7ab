"""The commands of the page that teach a model to refuse, on tiny models."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import model_prep.cli
import rag_app.cli
from model_prep.gguf.exporter import export_gguf
from tests.model_prep.crawl.chat_server import Chat, Handler, say, serve
from tests.model_prep.tiny_qwen2 import make_qwen2
from tests.paths import ROOT
from tests.tiny_models import make_embeddings

PROGRAMS: dict[str, typer.Typer] = {"rag-app": rag_app.cli.app, "model-prep": model_prep.cli.app}
MORE = {
    "model-prep prefer": "--max-length 2000",
    "rag-app eval": "--limit 1",
}
"""What makes a command short."""
LAYERS = r"--layers-to-transform [\d,]+"
"""Of the default model; the tiny one has two."""
NUMBERS = count(1)

pytestmark = pytest.mark.usefixtures("one_thread")


def commands() -> list[str]:
    page = ROOT / "model_prep" / "training" / "preference" / "README.md"
    text = page.read_text(encoding="utf-8")
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks if "prefer" in block for line in block.splitlines()]
    return [re.sub(LAYERS, "--layers-to-transform 1", line) for line in lines]


def draft(handler: Handler, body: dict[str, Any]) -> None:
    """Copy a few characters of the passage as an answer; say anything else to other prompts."""
    asked: str = body["messages"][-1]["content"]
    for begin, end, form in (
        ("资料：\n", "根据资料出", "问题：这里的第{}项是什么？\n答案：{}"),
        ("Passages:\n", "Write one question", "Question: What is item {} here?\nAnswer: {}"),
    ):
        if begin in asked and end in asked:
            passage = asked.split(begin)[1].split(end)[0].strip()
            say(form.format(next(NUMBERS), passage.splitlines()[0][:6]))(handler, body)
            return
    say("一百年")(handler, body)


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    with serve() as running:
        running.otherwise = draft
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        yield running


def run(command: str) -> str:
    program, *arguments = shlex.split(command)
    done = CliRunner().invoke(PROGRAMS[program], arguments)
    # Code 3: a scan in the folder can't be read without the extra ocr.
    assert done.exit_code == 0 or (arguments[0], done.exit_code) == ("index", 3), (
        f"{command}\n{done.output}"
    )
    return done.output


@pytest.mark.slow
def test_a_model_is_taught_to_refuse(
    chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "docs_corpus", tmp_path / "docs_corpus")
    lines = [path.read_text(encoding="utf-8") for path in ROOT.glob("docs_corpus/*.md")]
    make_qwen2(tmp_path / "qwen", lines, max_position_embeddings=8192)
    export_gguf(tmp_path / "qwen", tmp_path / "before.gguf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_APP_EMBEDDING", str(make_embeddings(tmp_path / "embeddings")))
    monkeypatch.setenv("RAG_APP_LLM", str(tmp_path / "before.gguf"))
    questions = (tmp_path / "docs_corpus" / "questions.jsonl").read_text(encoding="utf-8")
    (tmp_path / "sample.jsonl").write_text(questions.splitlines()[0], encoding="utf-8")
    for command in commands():
        begin = " ".join(command.split()[:2])
        if begin != "model-prep import-gguf":  # of the default model; its place is taken
            steps = "" if "--max-steps" in command or "prefer" not in begin else "--max-steps 1"
            run(f"{command} {MORE.get(begin, '')} {steps}")
    passages = [json.loads(line) for line in Path("passages.jsonl").read_text("utf-8").splitlines()]
    pairs = [json.loads(line) for line in Path("pairs.jsonl").read_text("utf-8").splitlines()]
    assert len(passages) > 10
    assert {pair["kind"] for pair in pairs} == {"answerable", "near-miss"}
    assert len(pairs) > len(passages)
    log = [json.loads(line) for line in Path("refusing/log.jsonl").read_text().splitlines()]
    assert any("eval_rewards/margins" in line for line in log)
    before, after = (Path(f"{name}.jsonl").read_text("utf-8") for name in ("before", "after"))
    assert len(before.splitlines()) == len(after.splitlines()) > 0
