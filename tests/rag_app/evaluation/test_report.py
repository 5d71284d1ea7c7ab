"""The page of a run."""

import html
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rag_app.chains.citations import Citation
from rag_app.chains.results import Answer
from rag_app.errors import DocumentError
from rag_app.evaluation.datasets import GoldQuestion
from rag_app.evaluation.figures import compare, figures_of
from rag_app.evaluation.outcomes import FAILURES, Cost, Outcome
from rag_app.evaluation.plots import histogram
from rag_app.evaluation.report import report_page, write_report
from tests.rag_app.server.browser import DEVICES, missing, started

SCRIPT = "<script>alert('李白')</script>"


def outcome(name: str, answer: Answer, *, rank: int | None = 1, gold: str = "当涂") -> Outcome:
    document = f"{SCRIPT}.txt" if gold else None
    question = GoldQuestion(name, f"{SCRIPT} {name}", (gold,) if gold else (), document)
    ranks = {document: rank} if document else {}
    return Outcome(question, ranks, answer, Cost(2.0, 0.5, 1), (f"{SCRIPT}.txt",))


def outcomes() -> list[Outcome]:
    held = Citation(1, f"{SCRIPT}.txt", f"李白病逝于当涂。{SCRIPT}", relevance=0.8)
    other = Citation(1, "b.txt", "洗衣机。", relevance=0.3)
    failed = outcome("failed", Answer(answered=False))
    return [
        outcome("right", Answer(text="李白病逝于当涂", citations=(held,))),
        outcome("uncited", Answer(text="当涂", citations=(other,))),
        outcome("wrong", Answer(text=SCRIPT, citations=(held,))),
        outcome("refused", Answer(text="没有", answered=False, citations=(held,))),
        outcome("lost", Answer(text="没有", answered=False, citations=(other,)), rank=None),
        outcome("invented", Answer(text="当涂", citations=(other,)), gold=""),
        Outcome(failed.question, failed.ranks, failed.answer, error=SCRIPT),
    ]


def test_the_page_holds_figures_plots_and_every_kind_of_failure() -> None:
    found = outcomes()
    text = report_page({"dataset": "small", "k": 4}, found, figures_of(found))
    for kind in FAILURES:
        assert f"<h2>{kind.capitalize()}: 1</h2>" in text
    drawings = re.findall(r"<svg.*?</svg>", text)
    assert len(drawings) == 4
    for drawing in drawings:
        ElementTree.fromstring(drawing)
    for figure in figures_of(found):
        assert f"<td>{html.escape(figure.name)}</td>" in text


def test_nothing_of_the_page_runs_or_is_fetched() -> None:
    found = outcomes()
    text = report_page({"dataset": SCRIPT, "llm": SCRIPT}, found, figures_of(found))
    assert "<script" not in text
    assert html.escape(SCRIPT) in text
    assert not re.search(r"(src|href)=|url\(|@import|https?:", text)
    assert "default-src 'none'" in text
    assert "prefers-color-scheme:dark" in text


def test_the_page_of_a_comparison(tmp_path: Path) -> None:
    found = {one.question.id: one for one in outcomes()}
    compared = [*compare(found, found)]
    path = tmp_path / "new" / "report.html"
    write_report(path, {}, [*found.values()], figures_of([*found.values()]), compared)
    assert "Against the other run" in path.read_text(encoding="utf-8")
    with pytest.raises(DocumentError, match="can't be written"):
        write_report(tmp_path, {}, [], [])


@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_the_page_fits_a_phone_and_a_desk(tmp_path: Path) -> None:
    found = {one.question.id: one for one in outcomes()}
    compared = [*compare(found, found)]
    path = tmp_path / "report.html"
    write_report(path, {}, [*found.values()], figures_of([*found.values()]), compared)
    with started("en") as browser:
        for width, height in DEVICES.values():
            browser.driver.get(path.as_uri())
            browser.size(width, height)
            browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
            page_width = "return document.documentElement.scrollWidth - innerWidth"
            assert browser.run(page_width) <= 0
        assert browser.complaints() == []


def test_a_histogram_counts_what_lies_beyond_its_ends() -> None:
    drawing = histogram("t", {"a": [-1.0, 0.05, 2.0]}, 0.0, 1.0, bins=2)
    tips = re.findall(r"a: (\d+) from", drawing)
    assert tips == ["2", "1"]


def test_a_page_without_questions() -> None:
    assert "0 questions" in report_page({"dataset": "none"}, [], [])
