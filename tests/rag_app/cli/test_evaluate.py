"""``rag-app eval`` on the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rag_app.cli import app
from tests.rag_app.evaluation.sets import ANSWERS, PASSAGES, replying
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.scripted import ScriptedChatModel


@pytest.fixture
def squad(home: Path) -> Path:
    paragraphs = []
    for name, text in PASSAGES.items():
        asked = [
            {"id": question, "question": question, "answers": [{"text": answer}]}
            for question, answer in ANSWERS.items()
            if answer in text
        ]
        paragraphs.append({"id": name, "context": text, "qas": asked})
    path = home / "集 set.json"
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), encoding="utf-8")
    return path


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ScriptedChatModel:
    llm = ScriptedChatModel(replies=[replying])
    monkeypatch.setattr("rag_app.models.llms.registry.load_llm", lambda _: llm)
    monkeypatch.setattr(
        "rag_app.models.embeddings.registry.load_embeddings", lambda *_, **__: HashingEmbeddings()
    )
    monkeypatch.setenv("RAG_APP_THRESHOLD", "0")
    return llm


def ran(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["eval", *map(str, arguments)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.stderr
    return result


def figures(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran(*arguments, "--json").stdout)
    return found


def test_a_set_with_its_passages(model: ScriptedChatModel, squad: Path) -> None:
    table = ran(squad).stdout
    assert "R@10" in table
    assert "95 % interval" in table
    found = figures(squad, "--predictions", "out.jsonl", "--limit", "3", "--seed", "2")
    assert found["figures"]["answers"]["exact"]["count"] == 3
    assert found["run"]["dataset"] == squad.name
    calls = len(model.prompts)
    again = figures(squad, "--predictions", "out.jsonl", "--limit", "3", "--seed", "2")
    assert again == found
    assert len(model.prompts) == calls
    figures(squad, "--predictions", "out.jsonl")
    assert len(Path("out.jsonl").read_text(encoding="utf-8").splitlines()) == 5


def test_retrieval_alone(model: ScriptedChatModel, squad: Path) -> None:
    found = figures(squad, "--retrieval-only", "--retriever", "lexical")
    assert found["figures"]["retrieval"]["R@1"]["value"] == 1.0
    assert model.prompts == []


def test_questions_of_ones_own(model: ScriptedChatModel, home: Path) -> None:
    for name, text in PASSAGES.items():
        Path(f"{name}.txt").write_text(text, encoding="utf-8")
    names = [f"{name}.txt" for name in PASSAGES]
    assert CliRunner().invoke(app, ["index", *names]).exit_code == 0
    rows = [{"question": "李白病逝于哪里？", "answer": "当涂", "document": "li_bai.txt"}]
    lines = "\n".join(json.dumps(row) for row in rows)
    Path("mine.jsonl").write_text(lines, encoding="utf-8")
    assert figures("mine.jsonl")["figures"]["answers"]["F1"]["value"] == 1.0
    said = ran("mine.jsonl", "--index", "none", code=1).stderr
    assert "no index in" in said


def test_ctrl_c_ends_with_what_there_is(
    squad: Path, model: ScriptedChatModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(prompt: str) -> str:
        raise KeyboardInterrupt

    model.replies = [replying, stop]
    result = ran(squad, "--k", "1", "--json", code=130)
    assert json.loads(result.stdout)["figures"]["answers"]["exact"]["count"] == 1
    assert "1 of 4 questions" in result.stderr


@pytest.mark.parametrize("data", [b"", b"\0", b'{"question": "\xb9"}', b"{"])
def test_bad_sets_are_one_line(model: ScriptedChatModel, home: Path, data: bytes) -> None:
    Path("bad.json").write_bytes(data)
    result = ran("bad.json", code=1)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "bad.json" in result.stderr


def test_a_missing_set_and_wrong_options(model: ScriptedChatModel, squad: Path) -> None:
    assert "gone.json can't be read" in ran("gone.json", code=1).stderr
    ran(squad, "--limit", "0", code=2)
    ran(squad, "--noise", "2", code=2)
    assert "retriever" in ran(squad, "--retriever", "best", code=1).stderr
    Path("diary.txt").write_text("Monday.\n", encoding="utf-8")
    assert "no prediction" in ran(squad, "--predictions", "diary.txt", code=1).stderr
    assert Path("diary.txt").read_text(encoding="utf-8") == "Monday.\n"


def test_a_report_and_a_comparison(model: ScriptedChatModel, squad: Path) -> None:
    figures(squad, "--predictions", "a.jsonl")
    model.replies = ["不知道"]
    found = figures(squad, "--k", "2", "--compare", "a.jsonl", "--report", "out.html")
    assert found["compared"]["contained"]["difference"] == -0.75
    assert "Against the other run" in Path("out.html").read_text(encoding="utf-8")
    table = ran(squad, "--predictions", "a.jsonl", "--compare", "a.jsonl").stdout
    assert "against a.jsonl" in table
    assert "gone.jsonl" in ran(squad, "--compare", "gone.jsonl", code=1).stderr


def test_drafts(model: ScriptedChatModel, home: Path) -> None:
    Path("li_bai.txt").write_text(PASSAGES["li_bai"] * 3, encoding="utf-8")
    assert CliRunner().invoke(app, ["index", "li_bai.txt", "--index", "poets"]).exit_code == 0
    model.replies = ["问题：李白病逝于哪里？\n答案：当涂"]
    made = ("--make", "mine.jsonl", "--from", "poets", "--limit", "1")
    assert json.loads(ran(*made, "--json").stdout)["written"] == 1
    assert (
        figures("mine.jsonl", "--index", "poets")["figures"]["answers"]["contained"]["count"] == 1
    )
    ran(code=2)
    ran("mine.jsonl", *made, code=2)
