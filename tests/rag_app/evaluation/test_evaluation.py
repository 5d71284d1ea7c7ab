"""Metrics and the report, on answers counted by hand."""

import pytest
from langchain_core.documents import Document

from rag_app.chains.citations import Citation
from rag_app.chains.results import Answer
from rag_app.evaluation.datasets import GoldQuestion
from rag_app.evaluation.metrics import contains, exact_match, f1, reciprocal_rank, tokens
from rag_app.evaluation.report import Outcome, document_rank, report


def test_tokens_are_characters_and_words() -> None:
    assert tokens("李白，Li Bai（７０１年）。") == ["李", "白", "li", "bai", "701", "年"]


@pytest.mark.parametrize(
    ("answer", "gold", "exact", "overlap", "contained"),
    [
        ("贺知章。", ["贺知章"], 1, 1.0, 1),
        ("是贺知章", ["贺知章"], 0, 6 / 7, 1),
        ("李白", ["杜甫", "李贺"], 0, 0.5, 0),
        ("12袋", ["2袋"], 0, 0.5, 0),  # a number is one token
        ("", ["贺知章"], 0, 0.0, 0),
        ("答", ["。"], 0, 0.0, 0),
        ("谢谢", ["谢"], 0, 2 / 3, 1),
    ],
)
def test_metrics(
    answer: str, gold: list[str], exact: float, overlap: float, contained: float
) -> None:
    assert exact_match(answer, gold) == exact
    assert f1(answer, gold) == pytest.approx(overlap)
    assert contains(answer, gold) == contained


def test_reciprocal_rank_has_a_cutoff() -> None:
    assert [reciprocal_rank(rank) for rank in (1, 4, 10, 11, None)] == [1, 0.25, 0.1, 0, 0]


def test_rank_counts_documents_not_passages() -> None:
    passages = [Document("", metadata={"source": f"/a/{name}"}) for name in "xxyz"]
    assert [document_rank(passages, name) for name in ("x", "y", "w", None)] == [1, 2, None, None]


PASSAGE = Citation(marker=1, source="a.txt", text="李白。", start=0, end=3)


def test_report() -> None:
    asked = GoldQuestion("1", "谁？", ("贺知章",), "a.txt")
    other = GoldQuestion("2", "谁？", (), None)
    figures = report(
        [
            Outcome(asked, 1, Answer(text="贺知章"), 1.0),
            Outcome(asked, 3, Answer(text="贺知章", answered=False), 2.0),
            Outcome(asked, 1, Answer(text="李白", citations=(PASSAGE,)), 1.5),
            Outcome(asked, None, Answer(text="", answered=False), 0.5),
            Outcome(other, None, Answer(text="没有", answered=False), 0.0),
            Outcome(other, None, Answer(text="李白", citations=(PASSAGE,)), 1.0),
        ]
    )
    assert figures == {
        "answerable": 4,
        "gold first": 0.5,
        "gold in first three": 0.75,
        "exact": 0.25,
        "f1": 0.25,
        "contained": 0.25,
        "wrongly refused": 0.5,
        "right but unsupported": 1.0,
        "wrong and unsupported": 0.0,
        "unanswerable": 2,
        "rightly refused": 0.5,
        "refused or unsupported": 0.5,
        "seconds a question": 1.0,
    }
