"""Questions drafted from documents."""

import json
from pathlib import Path
from typing import Any

import pytest

from rag_app import RagApp
from rag_app.errors import DocumentError
from rag_app.evaluation.datasets import read_dataset
from rag_app.evaluation.make import draft_questions
from tests.rag_app.evaluation.sets import small_app

TEXTS = {
    "li_bai.txt": "李白晚年漂泊困苦，宝应元年（762年）病逝于当涂，县令李阳冰为他编了《草堂集》。",
    "washer.txt": "本洗衣机整机的保修期为三年，电机的保修期为十年，人为损坏和自行拆修的不予保修。",
    "park.txt": "公园每天早上六点开门，晚上九点半关门，周一上午闭园整理，风筝请到东草坪去放。",
}
DRAFTS = {
    "李白": ("李白病逝于哪里？", "当涂"),
    "洗衣机": ("洗衣机电机保修几年？", "“十年”。"),
    "公园": ("公园周几上午闭园？", "周二"),  # it isn't there
}


def replying(prompt: str) -> str:
    drafting = "只写两行" in prompt
    for topic, (question, answer) in DRAFTS.items():
        if not drafting and question in prompt:
            return "九年" if topic == "洗衣机" else answer
        if drafting and topic in prompt:
            return f"问题：{question}\n答案：{answer}"
    return "不知道"


@pytest.fixture
def app(home: Path) -> RagApp:
    for name, text in TEXTS.items():
        Path(name).write_text(text, encoding="utf-8")
    app = small_app(replying, threshold=0.0, k=1)
    app.index([*TEXTS])
    return app


def rows(path: Path) -> dict[str, Any]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {row["document"]: row for row in map(json.loads, lines)}


def test_drafts_are_checked_and_placed(app: RagApp, home: Path) -> None:
    path = home / "mine.jsonl"
    report = draft_questions(app, path, 10)
    assert report.written == 2
    assert report.dropped == {"answer not in the passage": 1}
    assert report.unsure == 1
    found = rows(path)
    for name, row in found.items():
        assert TEXTS[name][row["start"] : row["end"]] == row["answers"][0]
        assert row["rank"] == 1
    assert found["li_bai.txt"]["agrees"]
    assert not found["washer.txt"]["agrees"]
    assert found["washer.txt"]["said"] == "九年"
    assert {one.document for one in read_dataset(path).questions} == {"li_bai.txt", "washer.txt"}


def test_drafting_goes_on_where_it_ended(app: RagApp, home: Path) -> None:
    whole, parts = home / "whole.jsonl", home / "parts.jsonl"
    draft_questions(app, whole, 10, seed=3)
    mine = {"question": "谁？", "answer": "我", "document": "me.txt"}
    parts.write_text(json.dumps(mine), encoding="utf-8")
    assert draft_questions(app, parts, 1, seed=3).written == 1
    with parts.open("ab") as file:
        file.write(b'{"id": "draft-')
    asked = len(app.llm.prompts)  # type: ignore[attr-defined]
    assert draft_questions(app, parts, 1, seed=3).written == 1
    assert len(app.llm.prompts) == asked  # type: ignore[attr-defined]
    assert draft_questions(app, parts, 10, seed=3).written == 2
    assert rows(parts) == {**rows(whole), "me.txt": mine}


def test_a_sentence_is_made_into_a_question_where_the_draft_is_of_no_use(home: Path) -> None:
    def reply(prompt: str) -> str:
        if "这个句子" in prompt:
            return "问题：李白病逝于哪一年？" if "“762年”" in prompt else "不知道"
        return "李白是诗人。"

    Path("li_bai.txt").write_text(TEXTS["li_bai.txt"], encoding="utf-8")
    app = small_app(reply, threshold=0.0, k=1)
    app.index(["li_bai.txt"])
    assert draft_questions(app, home / "mine.jsonl", 1).written == 1
    row = rows(home / "mine.jsonl")["li_bai.txt"]
    assert (row["question"], row["answers"]) == ("李白病逝于哪一年？", ["762年"])
    assert TEXTS["li_bai.txt"][row["start"] : row["end"]] == "762年"


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("李白病逝于当涂吗？", "当涂", "question holds its answer"),
        ("文中的诗人病逝于哪里？", "当涂", "question points at the text"),
        ("谁？", "当涂", "too short"),
        ("病逝于哪里，为什么？", "", "not in the form that was asked for"),
        ("诗人李白是怎样的人？", TEXTS["li_bai.txt"] * 2, "too long"),
    ],
)
def test_faulty_drafts_are_dropped(home: Path, question: str, answer: str, reason: str) -> None:
    Path("li_bai.txt").write_text(TEXTS["li_bai.txt"] * 3, encoding="utf-8")
    draft = f"问题: {question}\n\n答案: {answer}".rstrip()
    app = small_app(lambda prompt: "不知道" if "这个句子" in prompt else draft)
    app.index(["li_bai.txt"])
    report = draft_questions(app, home / "mine.jsonl", 5)
    assert report.written == 0
    assert report.dropped == {reason: 1}


def test_ctrl_c_keeps_what_was_drafted(home: Path) -> None:
    def stop(prompt: str) -> str:
        if "洗衣机" in prompt:
            raise KeyboardInterrupt
        return replying(prompt)

    for name, text in TEXTS.items():
        Path(name).write_text(text, encoding="utf-8")
    app = small_app(stop, threshold=0.0, k=1)
    app.index([*TEXTS])
    report = draft_questions(app, home / "mine.jsonl", 10)
    assert report.interrupted
    assert draft_questions(app, home / "mine.jsonl", report.written).written == report.written


def test_files_and_indexes_that_are_none(app: RagApp, home: Path) -> None:
    (home / "diary.txt").write_text("Monday.\n", encoding="utf-8")
    with pytest.raises(DocumentError, match=":1 is not a question"):
        draft_questions(app, home / "diary.txt", 1)
    with pytest.raises(DocumentError, match="can't be written"):
        draft_questions(app, home, 1)
    Path("short.txt").write_text("短。", encoding="utf-8")
    short = small_app(index="short")
    short.index(["short.txt"])
    with pytest.raises(DocumentError, match="no text to ask about"):
        draft_questions(short, home / "new.jsonl", 1)


def test_a_model_that_drafts_nothing_usable_is_given_up(home: Path) -> None:
    for number in range(12):
        Path(f"{number}.txt").write_text(f"{number}. {TEXTS['park.txt']}", encoding="utf-8")
    app = small_app(lambda _: "不知道")
    app.index([f"{number}.txt" for number in range(12)])
    report = draft_questions(app, home / "mine.jsonl", 2)
    assert report.written == 0
    assert sum(report.dropped.values()) == 10
