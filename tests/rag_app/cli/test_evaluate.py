"""``rag-app eval`` on the command line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from typer.testing import CliRunner, Result

from rag_app.cli import app
from tests.rag_app.evaluation.sets import ANSWERS, PASSAGES, replying
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.scripted import JudgingChatModel, ScriptedChatModel


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
    monkeypatch.setattr("rag_app.models.registry.load_llm", lambda _: llm)
    monkeypatch.setattr(
        "rag_app.models.registry.load_embeddings", lambda *_, **__: HashingEmbeddings()
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
    assert "not a prediction" in ran(squad, "--predictions", "diary.txt", code=1).stderr
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
    asked = len(model.prompts)
    assert "can't be written" in ran(squad, "--report", "out.html/none", code=1).stderr
    assert len(model.prompts) == asked  # it was said before the run


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


FACTS = {f"仓库{number}": f"{number}号仓库存放{number * 7}箱茶叶。" for number in range(1, 23)}


@pytest.fixture
def stores(home: Path) -> Path:
    """Questions whose passage holds the answer, and as many near misses."""
    rows: list[dict[str, Any]] = []
    for number, (name, text) in enumerate(FACTS.items(), 1):
        Path(f"{name}.txt").write_text(text, encoding="utf-8")
        row = {"question": f"{number}号仓库存放多少箱茶叶？", "answer": f"{number * 7}箱"}
        rows += [{**row, "document": f"{name}.txt"}]
        rows += [{"question": f"{number}号仓库的茶叶多少钱？", "answerable": False}]
    path = home / "stores.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    names = [f"{name}.txt" for name in FACTS]
    assert CliRunner().invoke(app, ["index", *names]).exit_code == 0
    return path


def storekeeper(prompt: str) -> str:
    """Reads the number of boxes out of the passage whatever is asked."""
    found = re.search(r"存放(\d+箱)", prompt)
    return found.group(1) if found else "资料中没有提到。"


class KnowingModel(JudgingChatModel):
    """Judges by what is asked, not always rightly."""

    def _generate(self, messages: list[BaseMessage], *args: Any, **options: Any) -> ChatResult:
        asked = messages[-1].text
        number = int((re.search(r"(\d+)号仓库", asked.split("问题")[-1]) or [0, 0])[1])
        odds = (3.0 if "多少箱" in asked else 2.0) - 0.3 * (number % 5)
        self.judgements = [odds]
        return super()._generate(messages, *args, **options)


URL = "http://127.0.0.1:9/v1"


@pytest.mark.slow
def test_calibration(
    model: ScriptedChatModel, stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_APP_THRESHOLD", "0.5")
    llm = KnowingModel(replies=[storekeeper], judgements=[0.0])
    monkeypatch.setattr("rag_app.models.registry.load_llm", lambda _: llm)
    asked = [str(stores), "--llm", URL, "--retriever", "lexical"]
    before = figures(*asked)["figures"]["refusal"]
    found = json.loads(ran(*asked, "--calibrate", "--predictions", "c.jsonl", "--json").stdout)
    assert URL in found["model"]
    assert found["weights"]["judgement"] > 0 > found["weights"]["unsupported"] - 1e-9
    assert found["figures"]["wrongly refused"]["value"] <= 0.1
    assert found["figures"]["rightly refused"]["count"] == len(FACTS)
    after = figures(*asked)["figures"]["refusal"]
    assert after["rightly refused"]["value"] > before["rightly refused"]["value"]
    assert after["wrongly refused"]["value"] <= 0.05
    answered = len(llm.prompts)
    again = ran(*asked, "--calibrate", "--predictions", "c.jsonl")
    assert "rightly refused" in again.stdout
    assert len(llm.prompts) == answered
    other = figures(str(stores), "--llm", URL, "--llm-name", "other", "--retriever", "lexical")
    assert other["figures"]["refusal"] == before


@pytest.mark.slow
def test_calibration_without_log_probabilities(
    model: ScriptedChatModel, stores: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = home / "elsewhere" / "kept.json"
    monkeypatch.setenv("RAG_APP_CALIBRATIONS", str(kept))
    model.replies = [lambda prompt: "五百箱" if "多少钱" in prompt else storekeeper(prompt)]
    asked = [str(stores), "--llm", URL, "--retriever", "lexical"]
    result = ran(*asked, "--calibrate")
    assert "without its own judgement" in result.stderr
    assert (
        json.loads(kept.read_text(encoding="utf-8"))[f"openai {URL}"]["weights"]["judged"] is False
    )
    monkeypatch.setenv("RAG_APP_THRESHOLD", "0.5")
    refusal = figures(*asked)["figures"]["refusal"]
    assert refusal["rightly refused"]["value"] == 1.0
    assert refusal["wrongly refused"]["value"] <= 0.05


def test_what_can_not_be_calibrated(model: ScriptedChatModel, stores: Path, home: Path) -> None:
    assert "20 of each" in ran(stores, "--calibrate", "--limit", "10", code=1).stderr
    assert ran(stores, "--calibrate", "--retrieval-only", code=2)
    assert model.prompts == []
    (home / "calibrations.json").write_text('{"openai http://127.0.0.1:9/v1": []}')
    message = ran(stores, "--llm", URL, code=1).stderr
    assert "calibrations.json" in message
    assert "delete it" in message
