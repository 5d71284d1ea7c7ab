"""What is shown of an answer beside its text."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from rag_app.chains.citations import Citation, Evidence
from rag_app.chains.confidence import Confidence, Signals
from rag_app.chains.results import Answer, Summary
from rag_app.cli import show

PASSAGE = Citation(
    1, "/文档/李白.txt", "他生于碎叶。李白病逝于当涂。", start=10, end=24, relevance=0.9
)
SIGNALS = Signals(relevance=0.9, judgement=3.2, supported=True)
ANSWER = Answer(
    "李白怎样去世？", "病逝于当涂", citations=(PASSAGE,), confidence=Confidence.of(SIGNALS)
)


def test_how_sure_why_and_the_sentence_that_carries_the_answer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show.sources(ANSWER, context=False)
    shown = capsys.readouterr().err
    for part in ("Sure: 9", "relevance 90%", "own judgement +3.2", "“李白病逝于当涂。”"):
        assert part in shown
    assert "他生于碎叶" not in shown


def test_a_refusal_shows_why_and_the_nearest_passages(capsys: pytest.CaptureFixture[str]) -> None:
    signals = replace(SIGNALS, judgement=-1.0, unmatched=("2019",), supported=None)
    refused = replace(ANSWER, answered=False, confidence=Confidence.of(signals, answered=False))
    show.sources(refused, context=False)
    shown = capsys.readouterr().err
    for part in ("Refused", "lack 2019", "own judgement -1.0", "Nearest passages", "他生于碎叶"):
        assert part in shown


def test_of_a_refusal_the_nearest_sentences_are_shown_in_place_of_beginnings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = "长" * 300
    near = (Evidence(1, "李白病逝于当涂。", 16, 24), Evidence(1, long))
    refused = replace(ANSWER, answered=False, confidence=None, nearest=near)
    show.sources(refused, context=False)
    shown = capsys.readouterr().err
    assert "“李白病逝于当涂。”" in shown
    assert long not in shown
    assert f"{long[:200]}…" in shown
    assert "他生于碎叶" not in shown
    assert show.answer_json(refused, {})["nearest"][0]["start"] == 16


def test_json_holds_all_signals() -> None:
    values = show.answer_json(ANSWER, {"total": 1.0})
    assert values["text"] == "病逝于当涂"
    assert values["evidence"] == {
        "marker": 1, "sentence": "李白病逝于当涂。", "start": 16, "end": 24
    }  # fmt: skip
    confidence = values["confidence"]
    assert confidence["verdict"] == "sure"
    assert confidence["probability"] > 0.8
    assert confidence["signals"] == {
        "relevance": 0.9, "judgement": 3.2, "unmatched": (), "supported": True,
        "translated": False, "english": False, "sentence": None, "nearness": None,
    }  # fmt: skip
    assert show.answer_json(replace(ANSWER, confidence=None), {})["confidence"] is None


@pytest.mark.parametrize("terminal", [True, False])
def test_while_a_terminal_waits_it_shows_what_may_carry_the_answer(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    likely = Evidence(1, "李白病逝于\n当涂[red]。\x1b[2J")
    opening = replace(ANSWER, text="", confidence=None, likely=likely)

    def pieces() -> Iterator[Answer]:
        yield opening
        assert ("李白.txt: 李白病逝于 当涂[red]。\\x1b[2J" in capsys.readouterr().err) == terminal
        yield Answer(text="病逝于当涂")

    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    assert show.answer(pieces(), stream=True)[0].text == "病逝于当涂"
    assert "likely" not in show.answer_json(opening, {})


@pytest.mark.parametrize("stream", [True, False])
def test_on_a_terminal_a_summary_has_marks_and_flags(
    stream: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    pieces = [
        Summary(citations=(PASSAGE,)),
        Summary("李白病逝于", 1, 1),
        Summary("当涂。他爱酒。", 1),
    ]
    show.summary(iter(pieces), stream=stream)
    shown = capsys.readouterr()
    assert shown.out.strip() == "李白病逝于当涂[1]。他爱酒[?]。"
    assert "1 of 1 passages" in shown.err
    assert "characters 10-24" in shown.err
