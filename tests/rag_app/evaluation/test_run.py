"""A question set asked, kept, interrupted and gone on with."""

import errno
import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag_app import RagApp
from rag_app.chains.citations import Citation, Evidence
from rag_app.chains.results import Answer
from rag_app.errors import DocumentError, SettingsError
from rag_app.evaluation.datasets import Dataset, GoldPassage, GoldQuestion
from rag_app.evaluation.figures import compare, figures_of
from rag_app.evaluation.outcomes import Cost, Outcome, probability_of
from rag_app.evaluation.predictions import EvaluationRun, PredictionFile, evaluate, read_predictions
from rag_app.evaluation.run import Evaluation
from rag_app.models.llms.local import LocalChat
from tests.rag_app.evaluation.sets import PASSAGES, replying, small_app, small_set
from tests.rag_app.index.hashing import HashingEmbeddings

HELD = Citation(marker=1, source="a.txt", text="李白。", start=0, end=3)
ASKED = GoldQuestion("1", "谁？", ("贺知章",), "a.txt")
OTHER = GoldQuestion("2", "谁？", (), None)
OUTCOMES = [
    Outcome(ASKED, {"a.txt": 1}, Answer(text="贺知章"), Cost(1.0)),
    Outcome(ASKED, {"a.txt": 3}, Answer(text="贺知章", answered=False), Cost(2.0)),
    Outcome(ASKED, {"a.txt": 1}, Answer(text="李白", citations=(HELD,)), Cost(1.5)),
    Outcome(ASKED, {"a.txt": None}, Answer(text="", answered=False), Cost(0.5)),
    Outcome(OTHER, {}, Answer(text="没有", answered=False), Cost(0.0)),
    Outcome(OTHER, {}, Answer(text="李白", citations=(HELD,)), Cost(1.0)),
]


def values(outcomes: list[Outcome]) -> dict[str, float]:
    return {figure.name: figure.estimate.value for figure in figures_of(outcomes)}


def counts(outcomes: list[Outcome]) -> dict[str, int]:
    return {figure.name: figure.estimate.count for figure in figures_of(outcomes)}


def test_figures() -> None:
    figures = values(OUTCOMES)
    assert {
        "R@1": 0.5,
        "R@3": 0.75,
        "exact": 0.25,
        "F1": 0.25,
        "token exact": 0.25,
        "token F1": 0.25,
        "contained": 0.25,
        "wrongly refused": 0.5,
        "right but unsupported": 1.0,
        "wrong and unsupported": 0.0,
        "rightly refused": 0.5,
        "refused or unsupported": 0.5,
        "seconds": 1.0,
        "cited passage holds the answer": 0.0,
        "MRR@10": (1 + 1 / 3 + 1) / 4,
        "nDCG@10": (1 + 0.5 + 1) / 4,
    }.items() <= figures.items()
    assert counts(OUTCOMES)["exact"] == 4
    assert counts(OUTCOMES)["rightly refused"] == 2
    assert "ROUGE-L" not in figures


def test_whether_the_answer_is_shown_with_a_refusal() -> None:
    (refused,) = [one for one in OUTCOMES if one.verdict == "wrongly refused"]
    assert values([refused])["refused beside the answer"] == 0.0
    near = Evidence(1, f"那是{refused.question.answers[0]}。")
    shown = replace(refused, answer=replace(refused.answer, nearest=(near,)))
    assert values([shown])["refused beside the answer"] == 1.0
    again = Outcome.from_json(shown.question, json.loads(json.dumps(shown.to_json())))
    assert again.answer.nearest == (near,)
    assert "refused beside the answer" not in values([OUTCOMES[0]])


def test_verdicts() -> None:
    wanted = ["uncited", "wrongly refused", "retrieved but wrong", "not retrieved",
              "rightly refused", "wrongly answered"]  # fmt: skip
    assert [one.verdict for one in OUTCOMES] == wanted


def test_the_probability_is_the_answer_s_own_or_its_passages() -> None:
    relevant = Citation(1, "a.txt", "李白。", relevance=0.7)
    assert probability_of(Answer(citations=(relevant, HELD))) == 0.7
    assert probability_of(Answer(citations=(HELD,))) is None


class CountingEmbeddings(HashingEmbeddings):
    """Knows which questions were searched for."""

    def __init__(self) -> None:
        super().__init__()
        self.questions: list[str] = []

    def embed_query(self, text: str) -> list[float]:
        self.questions.append(text)
        return super().embed_query(text)


def run_of(
    app: RagApp, dataset: Dataset, path: Path | None = None, **options: Any
) -> EvaluationRun:
    evaluation = Evaluation(app, dataset)
    try:
        return evaluate(evaluation, dataset.questions, path, **options)
    finally:
        evaluation.close()


def test_passages_are_asked_in_an_index_that_is_kept(home: Path) -> None:
    app = small_app(threshold=0.2)
    run = run_of(app, small_set())
    assert [outcome.rank for outcome in run.outcomes.values()] == [1, 1, 1, 1, None]
    assert run.outcomes["q4"].retrieved[0] == "washer.txt"
    assert values([*run.outcomes.values()])["contained"] == 0.75
    costs = [one.cost for one in run.outcomes.values() if not one.refused]
    assert all(cost.calls >= 1 and cost.first_token is not None for cost in costs)
    # scripted replies have no tokens
    assert all(cost.read is None and cost.evaluated is None for cost in costs)
    embeddings = HashingEmbeddings()
    again = RagApp(llm=app.llm, embeddings=embeddings)
    run_of(again, small_set(), retrieval_only=True)
    assert embeddings.batches == []
    assert not (home / "indexes").exists()


def test_retrieval_alone_asks_no_model() -> None:
    def never(_: str) -> str:
        raise AssertionError

    run = run_of(small_app(never, threshold=0.2), small_set(), retrieval_only=True)
    figures = values([*run.outcomes.values()])
    assert figures["R@1"] == 1.0
    assert "exact" not in figures
    assert figures["rightly refused"] == 1.0


def test_questions_about_the_same_passages_come_one_after_another() -> None:
    dataset = small_set()
    mixed = [dataset.questions[place] for place in (0, 2, 3, 1)]
    evaluation = Evaluation(small_app(k=1), dataset)
    asked = [outcome.question.id for outcome in evaluation.run(mixed)]
    assert abs(asked.index("q1") - asked.index("q2")) == 1


def test_a_question_is_searched_for_once(home: Path) -> None:
    embeddings = CountingEmbeddings()
    app = RagApp(llm=small_app().llm, embeddings=embeddings, threshold=0.2)
    known = small_set()
    others = [GoldPassage(f"p{n}", f"第{n}件：{chr(0x4E00 + 97 * n) * 3}。") for n in range(60)]
    dataset = Dataset("more", "questions", known.questions, (*known.passages, *others))
    evaluation = Evaluation(app, dataset)
    embeddings.questions.clear()
    outcomes = list(evaluation.run(dataset.questions))
    asked = [one.text for one in dataset.questions]
    refused = [one.question.text for one in outcomes if not one.answer.answered]
    assert sorted(embeddings.questions) == sorted([*asked, *refused])  # for what is nearest to them
    assert sum(one.verdict == "right" for one in outcomes) == 3
    for one in outcomes:
        assert one.answer == evaluation.app.ask(one.question.text)


class Stopping:
    """Replies so many times, then is interrupted."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, prompt: str) -> str:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return replying(prompt)


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    first = run_of(small_app(Stopping(2), threshold=0.2, k=1), small_set(), path)
    assert first.interrupted
    assert 0 < len(first.outcomes) < first.wanted
    kept = path.read_bytes()
    path.write_bytes(kept + '{"id": "q5", "question": "股'.encode())  # killed within a line
    second = Stopping(3)
    whole = run_of(small_app(second, threshold=0.2, k=1), small_set(), path)
    assert not whole.interrupted
    assert list(whole.outcomes) == ["q1", "q2", "q3", "q4", "q5"]
    assert path.read_bytes().startswith(kept)
    fresh = run_of(small_app(threshold=0.2, k=1), small_set())
    assert {name: one.answer for name, one in whole.outcomes.items()} == {
        name: one.answer for name, one in fresh.outcomes.items()
    }
    third = run_of(small_app(Stopping(0), threshold=0.2, k=1), small_set(), path)
    assert third.outcomes == whole.outcomes


def test_predictions_of_another_run_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    run_of(small_app(k=1), small_set(), path, retrieval_only=True)
    before = path.read_bytes()
    with pytest.raises(SettingsError, match="made with k 1, not 2; name another"):
        run_of(small_app(k=2), small_set(), path, retrieval_only=True)
    dataset = small_set()
    changed = Dataset("small", "questions", dataset.questions[:2], dataset.passages)
    with pytest.raises(SettingsError, match="made with questions"):
        run_of(small_app(k=1), changed, path, retrieval_only=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "data", [b"A diary.\n", b"A diary", b'{"question": "a"}\n', b'{"run": {"format": 1}}\n[]\n']
)
def test_other_files_are_left_alone(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes(data)
    with pytest.raises((DocumentError, SettingsError)):
        PredictionFile(path, {"k": 1})
    assert path.read_bytes() == data
    with pytest.raises(DocumentError):
        read_predictions(tmp_path / "none.jsonl", [])
    with pytest.raises(DocumentError, match="can't be used"):
        PredictionFile(tmp_path, {})


def test_a_full_disk_is_said_with_the_files_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        collected = False

        def flush(self) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def close(self) -> None:
            if not self.collected:  # of what that raises Python 3.13 tells
                self.collected = True
                self.flush()

    monkeypatch.setattr(Path, "open", lambda *_: Full())
    with pytest.raises(DocumentError, match="can't be used"):
        PredictionFile(tmp_path / "mine.jsonl", {})


def test_a_file_that_was_killed_at_its_beginning_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b'{"run": {"form')
    with PredictionFile(path, {"k": 1}) as file:
        file.add(OUTCOMES[2])
    run, found = read_predictions(path, [ASKED])
    assert run["k"] == 1
    assert found == {"1": OUTCOMES[2]}


def test_a_prediction_that_can_t_be_read_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    answer = {"text": 5, "citations": [{}]}
    row = {**OUTCOMES[2].to_json(), "answer": answer}
    path.write_text(f'{{"run": {{}}}}\n{json.dumps(row)}\n', encoding="utf-8")
    with pytest.raises(DocumentError, match=r"^.*of 1 can't be read \(.+\); delete it$"):
        read_predictions(path, [ASKED])


def test_a_question_that_can_t_be_asked_stops_no_other(tmp_path: Path) -> None:
    dataset = small_set()
    long = GoldQuestion("long", "长" * 9000, ("当涂",), "li_bai.txt")
    asked = Dataset("small", "questions", (long, *dataset.questions), dataset.passages)
    run = run_of(small_app(), asked, tmp_path / "out.jsonl")
    assert run.outcomes["long"].verdict == "failed"
    assert "9,000" in run.outcomes["long"].error
    assert len(run.outcomes) == 6
    assert values([*run.outcomes.values()])["failed"] == pytest.approx(1 / 6)


def test_summaries_are_scored(home: Path) -> None:
    text = PASSAGES["li_bai"]
    dataset = small_set()
    wanted = GoldQuestion("s", "", (), "li_bai.txt", summary=text)
    app = small_app(lambda prompt: text)
    run = run_of(app, Dataset("small", "questions", (wanted,), dataset.passages))
    assert values([*run.outcomes.values()])["ROUGE-L"] == 1.0


def test_ones_own_index_is_asked(home: Path) -> None:
    folder = home / "docs"
    folder.mkdir()
    for name, text in PASSAGES.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    app = small_app()
    app.index([folder])
    asked = Dataset("mine", "questions", (GoldQuestion("1", "李白？", ("当涂",), "docs/li_bai"),))
    assert run_of(app, asked, retrieval_only=True).outcomes["1"].rank == 1
    lost = GoldQuestion("2", "谁？", ("当涂",), "gone.txt")
    partly = Dataset("mine", "questions", (*asked.questions, lost))
    evaluation = Evaluation(app, partly)
    assert "gone.txt" in evaluation.notes[0]
    with pytest.raises(DocumentError, match="index them first"):
        Evaluation(app, Dataset("mine", "questions", (lost,)))


def test_two_runs_are_compared_question_by_question(tmp_path: Path) -> None:
    right = run_of(small_app(threshold=0.2), small_set(), tmp_path / "a.jsonl")
    run_of(small_app(lambda _: "不知道", threshold=0.2), small_set(), tmp_path / "b.jsonl")
    _, others = read_predictions(tmp_path / "b.jsonl", small_set().questions)
    found = {each.name: each for each in compare(right.outcomes, others)}
    assert (found["contained"].value, found["contained"].other) == (0.75, 0.0)
    assert found["contained"].difference.value == 0.75
    assert found["contained"].difference.count == 4
    assert found["R@1"].difference.p == 1.0


@pytest.mark.slow
def test_a_real_model_tells_its_tokens(tiny_gguf: Path, home: Path) -> None:
    app = RagApp(
        llm=str(tiny_gguf), embeddings=HashingEmbeddings(), max_new_tokens=4, threshold=0.0, k=1
    )
    assert isinstance(app.llm, LocalChat)
    dataset = small_set()
    evaluation = Evaluation(app, dataset)
    (outcome,) = evaluation.run(dataset.questions[:1])
    cost = outcome.cost
    assert cost.calls == 2  # for the answer and for the model's judgement
    assert (cost.read or 0) > 20
    assert 0 < (cost.evaluated or 0) < (cost.read or 0)  # the answer's prompt begins as the other
    assert 0 < (cost.written or 0) <= 4 + 1


def test_outcomes_are_the_same_again_from_their_lines() -> None:
    for outcome in OUTCOMES:
        row = json.loads(json.dumps(outcome.to_json()))
        assert Outcome.from_json(outcome.question, row) == outcome
