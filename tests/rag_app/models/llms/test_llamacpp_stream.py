"""llama.cpp with several slots, on a file of two layers that says nonsense without an end."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from langchain_core.outputs import ChatGenerationChunk

from rag_app.models.llms.llamacpp import Chunks, LlamaCppChat

LONG = 3900
"""Tokens that fill the window of one call."""
TIMINGS = {"cache_n": 7, "prompt_n": 5, "predicted_n": 3}


@pytest.fixture(scope="module")
def llm(tiny_gguf: Path) -> Iterator[LlamaCppChat]:
    model = LlamaCppChat(path=tiny_gguf, context_length=4096, parallel=4, max_tokens=40)
    yield model
    del model


async def text(llm: LlamaCppChat, asked: str, most: int | None = None, **options: Any) -> str:
    """The answer, or its beginning: then the stream is closed."""
    answer = ""
    async with aclosing(llm.astream(asked, **options)) as stream:  # type: ignore[type-var]
        async for chunk in stream:
            answer += chunk.text
            if most is not None and len(answer) >= most:
                break
    return answer


def slots(llm: LlamaCppChat) -> list[dict[str, Any]]:
    """What llama.cpp says of its own work."""
    headers = {"Authorization": f"Bearer {llm._options.key}"}
    with urlopen(Request(f"{llm._server.listening_address}/slots", headers=headers)) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


async def idle(llm: LlamaCppChat) -> list[dict[str, Any]]:
    """Wait until nothing is worked on."""
    while any(slot["is_processing"] for slot in slots(llm)):
        await asyncio.sleep(0.001)
    return slots(llm)


async def test_several_are_answered_together_as_alone(llm: LlamaCppChat) -> None:
    asked = [f"第{number}问" for number in range(8)]
    alone = [await text(llm, one) for one in asked]
    assert len(set(alone)) > 1
    assert await asyncio.gather(*(text(llm, one) for one in asked)) == alone


async def test_one_that_goes_away_leaves_the_others_right(llm: LlamaCppChat) -> None:
    asked = [f"第{number}问" for number in range(4)]
    alone = [await text(llm, one) for one in asked]
    for leaving in range(4):
        most = [5 if number == leaving else None for number in range(4)]
        together = await asyncio.gather(*(text(llm, *one) for one in zip(asked, most, strict=True)))
        assert alone[leaving].startswith(together[leaving])
        assert together[leaving] != alone[leaving]
        assert [*together[:leaving], *together[leaving + 1 :]] == [
            *alone[:leaving],
            *alone[leaving + 1 :],
        ]


@pytest.mark.parametrize("cancel", [False, True], ids=["closed", "cancelled"])
async def test_llama_cpp_itself_stops(cancel: bool, llm: LlamaCppChat) -> None:
    if cancel:
        asking = asyncio.create_task(text(llm, "很长", max_tokens=LONG))
        while not any(slot["is_processing"] for slot in slots(llm)):
            await asyncio.sleep(0.001)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    else:
        await text(llm, "很长", 5, max_tokens=LONG)
    assert all(slot["n_prompt_tokens"] < LONG / 2 for slot in await idle(llm))


@pytest.mark.parametrize(("formed", "reason"), [(True, "length"), (False, "stop")])
def test_a_text_that_llama_cpp_cannot_read_is_an_answer(formed: bool, reason: str) -> None:
    msg = "The model produced output that does not match the expected peg-native format"
    chunks = Chunks("tiny", lstrip=True, formed=formed)
    events: list[Any] = [
        {"choices": [{"delta": {"content": "<think"}}], "timings": {**TIMINGS, "predicted_n": 2}},
        {"choices": [{"delta": {"content": ">"}}], "timings": TIMINGS},
        {"error": {"code": 500, "message": msg}},
    ]
    first, second, end = map(chunks.of, events)
    assert isinstance(first, ChatGenerationChunk)
    assert isinstance(second, ChatGenerationChunk)
    assert isinstance(end, ChatGenerationChunk)
    answer = (first + second + end).message
    assert answer.text == "<think>"
    assert answer.response_metadata["finish_reason"] == reason
    assert answer.usage_metadata["input_tokens"] == 12  # type: ignore[attr-defined]
    assert answer.usage_metadata["output_tokens"] == 3  # type: ignore[attr-defined]
