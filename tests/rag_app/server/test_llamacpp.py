"""The API over llama.cpp, on a file of two layers that says nonsense without an end."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from rag_app.models.llms.llamacpp import LlamaCppChat
from tests.rag_app.models.llms.test_llamacpp_stream import slots
from tests.rag_app.server.serving import Served
from tests.rag_app.server.test_queueing import inside, until

ASKED: Any = [{"role": "user", "content": "说点什么"}]
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def model(tiny_gguf: Path) -> Iterator[LlamaCppChat]:
    llm = LlamaCppChat(path=tiny_gguf, context_length=4096, parallel=2, max_tokens=12)
    yield llm
    del llm


def test_log_probabilities_of_a_chat(official: openai.OpenAI) -> None:
    chat = official.chat.completions.create
    for tops in (None, 0, 3):
        more: Any = {} if tops is None else {"top_logprobs": tops}
        choice = chat(model="default", messages=ASKED, logprobs=True, **more).choices[0]
        assert choice.logprobs
        content = choice.logprobs.content or []
        assert 0 < len(content) <= 12  # llama.cpp joins a byte alone with the token after it
        assert all(one.logprob <= 0 for one in content)
        assert {len(one.top_logprobs) for one in content} == {tops or 0}
        parts: list[Any] = []
        for chunk in chat(model="default", messages=ASKED, logprobs=True, stream=True, **more):
            logprobs = chunk.choices[0].logprobs
            parts += (logprobs and logprobs.content) or []
        assert [one.token for one in parts] == [one.token for one in content]


def test_log_probabilities_of_a_text(official: openai.OpenAI) -> None:
    for tops in (0, 2):
        choice = official.completions.create(model="default", prompt="答", logprobs=tops).choices[0]
        assert choice.logprobs
        tokens = choice.logprobs.tokens or []
        offsets = choice.logprobs.text_offset or []
        assert len(tokens) == len(choice.logprobs.token_logprobs or []) == 12
        assert offsets[0] == 0
        assert [b - a for a, b in pairwise(offsets)] == [len(token) for token in tokens[:-1]]
        offsets = []
        stream = official.completions.create(
            model="default", prompt="答", logprobs=tops, stream=True
        )
        for chunk in stream:
            logprobs = chunk.choices[0].logprobs
            offsets += (logprobs and logprobs.text_offset) or []
        assert offsets == choice.logprobs.text_offset


def test_several_streams_of_one_request(official: openai.OpenAI) -> None:
    texts: dict[int, str] = {}
    ends: dict[int, str | None] = {}
    for chunk in official.chat.completions.create(
        model="default",
        messages=ASKED,
        n=3,
        stream=True,
        stream_options={"include_usage": True},
    ):
        if not chunk.choices:
            assert chunk.usage
            assert chunk.usage.completion_tokens == 36
            continue
        choice = chunk.choices[0]
        texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
        ends[choice.index] = choice.finish_reason
    assert len(texts) == 3
    assert len(set(texts.values())) == 1  # the likeliest
    assert set(ends.values()) == {"length"}


def test_a_seed_makes_chance_repeatable(tiny: Served) -> None:
    body = {"messages": ASKED, "temperature": 2, "top_p": 1, "top_k": -1, "max_tokens": 40}

    def said(**more: int) -> str:
        answer = httpx.post(tiny.url + CHAT, json={**body, **more}, timeout=60).json()
        return str(answer["choices"][0]["message"]["content"])

    assert said(seed=7) == said(seed=7) != said(seed=8)
    assert len({said() for _ in range(4)}) > 1


def test_a_client_that_goes_away_stops_llama_cpp(tiny: Served, model: LlamaCppChat) -> None:
    body = {"messages": ASKED, "max_tokens": 3900, "stream": True}
    with tiny.client() as client, client.stream("POST", CHAT, json=body) as answer:
        lines = answer.iter_lines()  # closed, it would end the request
        next(line for line in lines if '"content": "' in line and '"content": ""' not in line)
    until(lambda: inside(tiny) == 0)
    until(lambda: not any(slot["is_processing"] for slot in slots(model)))
    assert all(slot["n_prompt_tokens"] < 2000 for slot in slots(model))


def test_an_error_in_mid_stream_is_told_in_it(tiny: Served) -> None:
    asked = [{"role": "user", "content": "长" * 5000}]
    answer = httpx.post(tiny.url + CHAT, json={"messages": asked, "stream": True}, timeout=60)
    *_, error, done = [line for line in answer.text.split("\n\n") if line]
    told = json.loads(error.removeprefix("data: "))["error"]
    assert told["type"] == "invalid_request_error"
    assert "length is 4096" in told["message"]
    assert done == "data: [DONE]"
