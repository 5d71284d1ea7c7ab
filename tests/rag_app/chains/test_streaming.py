"""What the pieces of a stream change in the text shown so far."""

from collections.abc import AsyncIterator

import pytest
from langchain_core.documents import Document

from rag_app.chains.citations import cite
from rag_app.chains.results import Answer, Delta, Summary, adeltas, deltas

PASSAGES = [
    Document(page_content=text, metadata={"source": "a.txt", "start": 0, "end": len(text)})
    for text in ("李白病逝于当涂", "李白的代表作有《将进酒》《蜀道难》")
]
CITATIONS = tuple(cite(PASSAGES))
REFINED = [
    Answer("问", citations=CITATIONS[:1]),
    Answer(text="李白病逝"),
    Answer(text="于当涂"),
    Answer(citations=CITATIONS[1:]),
    Answer(text="他在当涂病逝。代表作有《蜀道难》", step=2),
]


def shown(changes: list[Delta[Answer]]) -> list[str]:
    """The text on the screen after each change."""
    texts = [""]
    for change in changes:
        texts.append(change.text if change.replaces else texts[-1] + change.text)
    return texts[1:]


def test_a_later_step_replaces_what_is_shown() -> None:
    changes = list(deltas(REFINED))
    assert [change.replaces for change in changes] == [False, False, False, False, True]
    assert shown(changes)[-2:] == ["李白病逝于当涂", "他在当涂病逝。代表作有《蜀道难》"]
    assert changes[-1].whole.citations == CITATIONS
    assert [change.piece for change in changes] == REFINED


def test_marks_are_put_in_before_a_text_is_replaced_and_at_the_end() -> None:
    changes = list(deltas(REFINED, marks=Answer.marker))
    texts = shown(changes)
    assert "李白病逝于当涂[1]" in texts
    assert texts[-1] == "他在当涂病逝。代表作有《蜀道难》[2]" == changes[-1].whole.marked_text
    assert [change.piece for change in changes if change.piece] == REFINED


async def test_async_gives_the_same() -> None:
    async def pieces() -> AsyncIterator[Answer]:
        for piece in REFINED:
            yield piece

    changes = [change async for change in adeltas(pieces(), marks=Answer.marker)]
    assert changes == list(deltas(REFINED, marks=Answer.marker))


@pytest.mark.parametrize("pieces", [[], [Summary(step=1, steps=2)]])
def test_without_text_nothing_is_shown(pieces: list[Summary]) -> None:
    assert "".join(change.text for change in deltas(pieces)) == ""


def test_summaries_are_revised_alike() -> None:
    pieces = [Summary("第一步", 1, 2), Summary(step=2, steps=2), Summary("第二", 2, 2)]
    pieces.append(Summary("步", 2, 2))
    changes = [(change.text, change.replaces) for change in deltas(pieces)]
    assert changes == [("第一步", False), ("", False), ("第二", True), ("步", False)]
