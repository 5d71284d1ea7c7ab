"""Generating together: where text ends, what penalties do, and who goes away in between."""

import asyncio
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag_app.models.llms.huggingface import HuggingFaceChat
from rag_app.models.llms.huggingface_batch import Penalties
from rag_app.models.llms.stop_strings import StopStrings
from rag_app.models.registry import load_llm
from rag_app.settings import load_settings
from tests.tiny_models import ANSWER

TEXTS = st.text("ab。", max_size=30)
STOPS = st.lists(st.text("ab。", min_size=1, max_size=4), max_size=3)


def shown(parts: list[str], stop: list[str]) -> str:
    stops = StopStrings(stop)
    pieces = []
    for part in parts:
        pieces.append(stops.feed(part))
        if stops.found:
            break
    return "".join([*pieces, stops.close()])


@given(TEXTS, STOPS, st.lists(st.integers(0, 30)))
@example("abc", ["abc", "b"], [1, 2])
def test_however_text_comes_it_ends_at_the_same_place(
    text: str, stop: list[str], cuts: list[int]
) -> None:
    places = [0, *sorted(cuts), len(text)]
    parts = [text[a:b] for a, b in pairwise(places)]
    assert shown(parts, stop) == shown([text], stop) == shown(list(text), stop)


@given(TEXTS, STOPS)
def test_text_ends_before_the_first_stop_string(text: str, stop: list[str]) -> None:
    result = shown([text], stop)
    assert text.startswith(result)
    assert not any(one in result for one in stop)
    if not any(one in text for one in stop):
        assert result == text


def test_what_cannot_become_a_stop_string_is_shown_at_once() -> None:
    stops = StopStrings(["停止"])
    assert [stops.feed(part) for part in ("好，停", "下。", "停", "止", "了")][:4] == [
        "好，",
        "停下。",
        "",
        "",
    ]


def test_penalties_are_of_what_was_generated() -> None:
    import torch

    apply = Penalties(2, presence=0.5, frequency=0.25)
    ids = torch.tensor([[4, 4, 1, 1, 2], [4, 4, 3, 3, 3]])
    expected = torch.zeros(2, 5)
    expected[0, 1], expected[0, 2], expected[1, 3] = -1.0, -0.75, -1.25
    assert torch.equal(apply(ids, torch.zeros(2, 5)), expected)
    assert torch.equal(Penalties(2)(ids, torch.ones(2, 5)), torch.ones(2, 5))


@pytest.fixture(scope="module")
def llm(tiny_llm: Path) -> HuggingFaceChat:
    model = load_llm(load_settings(llm=str(tiny_llm), max_new_tokens=60, parallel=4))
    assert isinstance(model, HuggingFaceChat)
    return model


async def text(llm: HuggingFaceChat, asked: str, most: int | None = None) -> str:
    """The answer, or its beginning: then the stream is closed."""
    answer = ""
    async with aclosing(llm.astream(asked)) as stream:  # type: ignore[type-var]
        async for chunk in stream:
            answer += chunk.text
            if most is not None and len(answer) >= most:
                break
    return answer


async def test_one_that_goes_away_leaves_the_others_right(llm: HuggingFaceChat) -> None:
    for leaving in range(4):
        asked = (text(llm, f"第{n}问", 1 if n == leaving else None) for n in range(4))
        answers = await asyncio.gather(*asked)
        assert ANSWER.startswith(answers.pop(leaving))
        assert answers == [ANSWER] * 3


async def test_one_that_fails_says_so_and_the_next_is_answered(llm: HuggingFaceChat) -> None:
    model = llm.llm.pipeline.model
    forward = model.forward
    model.forward = lambda *_, **__: 1 / 0
    try:
        with pytest.raises(Exception, match="generation failed"):
            await text(llm, "问")
    finally:
        model.forward = forward
    assert await text(llm, "问") == ANSWER


async def test_penalties_reach_the_model(llm: HuggingFaceChat) -> None:
    # The contrary of one: the first token comes again and again, and the end never.
    chunks = [chunk async for chunk in llm.astream("问", presence_penalty=-1000.0)]
    assert "".join(chunk.text for chunk in chunks) != ANSWER
    assert "length" in [chunk.response_metadata.get("finish_reason") for chunk in chunks]
