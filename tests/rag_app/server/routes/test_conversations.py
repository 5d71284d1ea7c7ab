"""Conversations and ratings, kept by the server beside the index."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from rag_app.cli import app as program
from rag_app.evaluation.datasets import read_dataset
from rag_app.evaluation.predictions import evaluate
from rag_app.evaluation.run import Evaluation
from rag_app.index.store import conversations
from rag_app.index.store.backup import back_up
from rag_app.index.store.conversations import Conversations, Rating, Turn
from rag_app.index.store.restore import restore
from rag_app.server.middleware.access import Access, ApiKey
from tests.rag_app.server.serving import Served, serving

TURN = {"question": "李白是怎样去世的？", "text": "在当涂病逝[1]。", "details": {"citations": [1]}}
QUESTIONS = "/v1/indexes/诗/ratings/questions.jsonl"
RATED = {"question": "李白是怎样去世的？", "answer": "在当涂病逝。", "helpful": True}


def keep(client: httpx.Client, conversation: str, turn: str, **values: Any) -> None:
    place = f"/v1/indexes/诗/conversations/{conversation}/turns/{turn}"
    client.put(place, json={**TURN, **values}).raise_for_status()


def listed(client: httpx.Client, **query: str) -> list[dict[str, Any]]:
    answer = client.get("/v1/indexes/诗/conversations", params=query)
    data: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
    return data


def shown(client: httpx.Client, conversation: str) -> list[dict[str, Any]]:
    answer = client.get(f"/v1/indexes/诗/conversations/{conversation}")
    data: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
    return data


def run(*arguments: str) -> Result:
    return CliRunner().invoke(program, arguments)


def rate(client: httpx.Client, turn: str, **values: Any) -> None:
    client.put(f"/v1/indexes/诗/ratings/{turn}", json={**RATED, **values}).raise_for_status()


def test_turns_of_several_tabs_stand_beside_each_other(poets: Served, client: httpx.Client) -> None:
    keep(client, "a", "1", text="")
    keep(client, "a", "2", question="他几岁？")
    keep(client, "a", "1", text="在当涂病逝[1]。")  # as it ends, after the other tab's began
    assert [one["id"] for one in shown(client, "a")] == ["1", "2"]
    assert shown(client, "a")[0] == {"id": "1", **TURN}
    client.delete("/v1/indexes/诗/conversations/a/turns/1").raise_for_status()
    assert [one["id"] for one in shown(client, "a")] == ["2"]
    client.delete("/v1/indexes/诗/conversations/a/turns/2").raise_for_status()
    assert listed(client) == []


def test_they_are_listed_searched_renamed_and_deleted(poets: Served, client: httpx.Client) -> None:
    keep(client, "a", "1")
    keep(client, "b", "1", question="Who was DU FU?", text="A poet.")
    assert [(one["id"], one["name"], one["turns"]) for one in listed(client)] == [
        ("b", "Who was DU FU?", 1),
        ("a", TURN["question"], 1),
    ]
    assert [one["id"] for one in listed(client, search="当涂")] == ["a"]
    assert [one["id"] for one in listed(client, search="du fu")] == ["b"]
    place = "/v1/indexes/诗/conversations/a"
    client.patch(place, json={"name": "关于 Ärzte"}).raise_for_status()
    assert [one["name"] for one in listed(client, search="ärzte")] == ["关于 Ärzte"]
    client.delete(place).raise_for_status()
    assert [one["id"] for one in listed(client)] == ["b"]
    assert shown(client, "a") == []
    client.delete(place).raise_for_status()
    answer = client.patch(place, json={"name": "x"})
    assert answer.json()["error"]["code"] == "conversation_not_found"
    assert client.get("/v1/indexes/none/conversations").status_code == 404


@pytest.mark.parametrize("text", ['"\\ud800"', "NaN", "1" + "0" * 400, "[" * 500 + "]" * 500])
def test_details_are_json(poets: Served, client: httpx.Client, text: str) -> None:
    body = f'{{"question": "q", "details": {{"a": {text}}}}}'
    headers = {"Content-Type": "application/json"}
    place = "/v1/indexes/诗/conversations/a"
    answer = client.put(f"{place}/turns/1", content=body, headers=headers)
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        kept = text.replace("\\ud800", "\\ufffd")  # half of a character is none
        assert json.dumps(shown(client, "a")[0]["details"]["a"]) == json.dumps(json.loads(kept))


def test_each_named_key_has_its_own(home: Path) -> None:
    keys = [ApiKey.parse("ann secret-ann-1"), ApiKey.parse("bob secret-bob-1 read")]
    with serving(access=Access(keys=tuple(keys))) as served:
        ann, bob = (
            served.client(headers={"Authorization": f"Bearer {key.secret.get_secret_value()}"})
            for key in keys
        )
        with ann, bob:
            ann.post("/v1/indexes", json={"name": "诗"}).raise_for_status()
            keep(ann, "a", "1")
            assert listed(bob) == []
            keep(bob, "a", "1", question="他几岁？")
            assert [one["name"] for one in listed(ann)] == [TURN["question"]]
            rate(bob, "1")
            assert bob.get(QUESTIONS).status_code == 403
            assert json.loads(ann.get(QUESTIONS).text)["question"] == RATED["question"]


def test_they_go_with_the_index(poets: Served, client: httpx.Client) -> None:
    keep(client, "a", "1")
    rate(client, "1")
    client.delete("/v1/indexes/诗").raise_for_status()
    client.post("/v1/indexes", json={"name": "诗"}).raise_for_status()
    assert listed(client) == []
    assert client.get(QUESTIONS).text == ""


def test_a_backup_holds_them(poets: Served, client: httpx.Client, tmp_path: Path) -> None:
    keep(client, "a", "1")
    back_up(tmp_path / "b.zip")
    client.delete("/v1/indexes/诗").raise_for_status()
    restore(tmp_path / "b.zip")
    assert [one["id"] for one in listed(client)] == ["a"]


WRITER = """
import itertools, sys
from pathlib import Path
from rag_app.index.store.conversations import Conversations, Rating, Turn
kept = Conversations(Path(sys.argv[1]))
for number in itertools.count():
    kept.rate(Rating(str(number), "问题", "答案", helpful=True))
    kept.keep_turn("a", Turn(str(number), "问题", "答案"))
    print(number, flush=True)
"""


def test_what_was_kept_survives_a_kill(tmp_path: Path) -> None:
    for _ in range(3):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout
            kept = [writer.stdout.readline() for _ in range(20)]
            writer.kill()
            kept += writer.stdout.readlines()
        numbers = [line.strip() for line in kept if line.endswith("\n")]
        known = Conversations(tmp_path)
        assert {rating.id for rating in known.ratings()} >= set(numbers)
        assert {turn.id for turn in known.turns("a")} >= set(numbers)


def test_there_are_so_many_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOST_CONVERSATIONS", "MOST_TURNS", "MOST_RATINGS"):
        monkeypatch.setattr(conversations, name, 2)
    kept = Conversations(tmp_path)
    assert kept.search() == []
    assert not kept.path.exists()
    for number in range(4):
        kept.keep_turn("a", Turn(str(number), f"问题{number}"))
        kept.rate(Rating(str(number), f"问题{number}", "答案", helpful=True))
    assert [turn.id for turn in kept.turns("a")] == ["2", "3"]
    assert [rating.id for rating in kept.ratings()] == ["2", "3"]
    kept.keep_turn("b", Turn("1", "问题"))
    kept.keep_turn("c", Turn("1", "问题"))
    assert [one.id for one in kept.search()] == ["c", "b"]
    assert kept.turns("a") == []


def test_ratings_become_questions(poets: Served, client: httpx.Client, home: Path) -> None:
    rate(client, "1", answer="李白在当涂病逝。", document="李白.txt")
    rate(
        client,
        "2",
        question="李白几岁去世？",
        answer="六十岁。",
        helpful=False,
        right_answer="62岁\n六十二岁",
    )
    rate(client, "3", question="苏轼几岁去世？", answer="六岁。", helpful=False, answerable=False)
    rate(client, "4", question="他投奔了谁？", answer="族叔。", follow_up=True)
    rate(client, "5", question="他哪年生？", answer="不知道。", helpful=False)
    rate(client, "6", question="错按", answer="x")
    client.delete("/v1/indexes/诗/ratings/6").raise_for_status()
    exported = client.get(QUESTIONS).raise_for_status()
    lines = [json.loads(line) for line in exported.text.splitlines()]
    assert lines == [
        {"id": "rated-1", "question": RATED["question"], "answers": ["李白在当涂病逝。"],
         "document": "李白.txt"},
        {"id": "rated-2", "question": "李白几岁去世？", "answers": ["62岁", "六十二岁"]},
        {"id": "rated-3", "question": "苏轼几岁去世？", "answers": [], "answerable": False},
    ]  # fmt: skip
    file = home / "questions.jsonl"
    made = run("eval", "--make", str(file), "--rated", "--from", "诗")
    assert made.exit_code == 0, made.stderr
    assert "3 rated questions" in made.stderr
    assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == lines
    again = run("eval", "--make", str(file), "--rated", "--from", "诗", "--json")
    assert json.loads(again.stdout)["written"] == 0
    assert file.read_text("utf-8").count("\n") == 3
    found = read_dataset(file)
    with poets.engine.over(home / "indexes" / "诗") as asked:
        evaluation = Evaluation(asked, found, own_index=True)
        outcomes = evaluate(evaluation, found.questions, None).outcomes
        evaluation.close()
    assert outcomes["rated-1"].ranks == {"李白.txt": 1}
    assert outcomes["rated-1"].question.is_in(outcomes["rated-1"].text)


def test_a_question_set_of_ratings_needs_some(poets: Served, home: Path) -> None:
    made = run("eval", "--make", str(home / "q.jsonl"), "--rated", "--from", "诗")
    assert made.exit_code == 1
    assert "rate some" in made.stderr
    assert run("eval", "--rated", str(home / "q.jsonl")).exit_code == 2
