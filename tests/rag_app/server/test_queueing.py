"""Overload, clients that go away or are slow, and memory over many requests."""

import asyncio
import gc
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from openai.types import CompletionUsage

from rag_app.models.embeddings.base import FloatArray
from rag_app.server.errors import ApiError
from rag_app.server.event_stream import generated_stream
from rag_app.server.middleware.requests import Metrics
from rag_app.server.queueing import Admission, Queues
from rag_app.settings import load_settings
from tests.memory import resident_bytes
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.server.serving import Served, serving
from tests.scripted import ScriptedChatModel

ASKED: Any = {"messages": [{"role": "user", "content": "讲一个长故事"}]}
CHAT = "/v1/chat/completions"


def until(true: Any) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def inside(served: Served) -> int:
    return int(served.app.state.queues.generating.inside)


async def test_the_queue_is_bounded_and_fair() -> None:
    queue = Admission(slots=1, waiting=1)
    first = await queue.enter()
    second = asyncio.create_task(queue.enter())
    await asyncio.sleep(0)
    with pytest.raises(ApiError) as refused:
        await queue.enter()
    assert refused.value.status_code == 429
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert queue.inside == 1
    first.leave()
    await asyncio.wait_for(queue.enter(), 1)


async def test_of_streams_that_come_together_those_that_must_wait_say_so(home: Path) -> None:
    """Which of them must wait is known only when the others have taken their slots."""

    class Endless:
        usage = CompletionUsage(completion_tokens=0, prompt_tokens=0, total_tokens=0)

        async def stream(self) -> AsyncIterator[dict[str, str]]:
            yield {"text": "诗"}
            await asyncio.Event().wait()

    endless: Any = Endless()
    closing = SimpleNamespace(state=SimpleNamespace(closing=asyncio.Event()))
    queues = Queues(load_settings(parallel=1), Metrics())
    streams: list[Any] = [generated_stream(queues, endless) for _ in range(3)]
    sent: list[asyncio.Queue[Any]] = [asyncio.Queue() for _ in streams]
    sending = [
        asyncio.create_task(stream({"app": closing}, asyncio.Event().wait, queue.put))
        for stream, queue in zip(streams, sent, strict=True)
    ]
    for queue in sent:
        assert (await queue.get())["status"] == 200
    firsts = [(await queue.get())["body"] for queue in sent]
    assert firsts == ['data: {"text": "诗"}\n\n'.encode(), b": waiting\n\n", b": waiting\n\n"]
    for task in sending:
        task.cancel()
    await asyncio.gather(*sending, return_exceptions=True)
    assert queues.generating.inside == 0
    queues.close()


def test_beyond_the_queue_clients_are_told_to_come_back(home: Path) -> None:
    slow = ScriptedChatModel(replies=["故事" * 500], delay=0.01)
    with serving(llm=slow, parallel=1, queue_limit=1) as served, served.client() as client:
        body = {**ASKED, "stream": True}
        with client.stream("POST", CHAT, json=body) as first:
            lines = first.iter_lines()  # closed, it would end the request
            next(lines)
            waiting = threading.Thread(
                target=lambda: httpx.post(served.url + CHAT, json=ASKED, timeout=60)
            )
            waiting.start()
            until(lambda: inside(served) == 2)
            refused = httpx.post(served.url + CHAT, json=ASKED, timeout=60)
            assert refused.status_code == 429
            assert refused.headers["retry-after"]
            assert refused.json()["error"]["code"] == "overloaded"
            slow.replies[:] = ["短"]
        waiting.join()
        until(lambda: inside(served) == 0)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_ends_its_generation(stream: bool, home: Path) -> None:
    slow = ScriptedChatModel(replies=["故事" * 50_000], delay=0.005, window=10**6)
    with serving(llm=slow, parallel=1) as served:
        port = int(served.url.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)) as plain:
            body = '{"stream": %s, "messages": [{"role": "user", "content": "x"}]}'
            content = body % str(stream).lower()
            plain.sendall(
                f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(content)}\r\n\r\n{content}".encode()
            )
            until(lambda: inside(served) == 1 and slow.prompts)
        until(lambda: inside(served) == 0)
        slow.replies[:] = ["好"]
        assert httpx.post(served.url + CHAT, json=ASKED, timeout=60).status_code == 200


def test_a_request_that_takes_too_long_is_given_up(home: Path) -> None:
    slow = ScriptedChatModel(replies=["故事" * 5000], delay=0.01, window=10**6)
    with serving(llm=slow, request_seconds=0.3) as served, served.client() as client:
        late = client.post(CHAT, json=ASKED)
        assert late.status_code == 504
        streamed = client.post(CHAT, json={**ASKED, "stream": True}).text
        assert '"timeout"' in streamed
        assert streamed.endswith("data: [DONE]\n\n")
        until(lambda: inside(served) == 0)


def test_a_slow_client_does_not_hold_up_others(home: Path) -> None:
    model = ScriptedChatModel(replies=["字" * 20_000], window=10**6)
    with (
        serving(llm=model, parallel=2) as served,
        served.client() as client,
        client.stream("POST", CHAT, json={**ASKED, "stream": True}) as slow,
    ):
        blocks = slow.iter_raw(10)  # closed, it would end the request
        next(blocks)
        model.replies[:] = ["好"]
        assert httpx.post(served.url + CHAT, json=ASKED, timeout=60).status_code == 200


@pytest.mark.slow
async def test_of_many_embedding_requests_none_is_lost(served: Served) -> None:
    texts = [f"第{number}句，一共二百句" for number in range(200)]
    async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
        answers = await asyncio.gather(
            *(client.post("/v1/embeddings", json={"input": text}) for text in texts)
        )
    assert {one.status_code for one in answers} == {200}
    expected = served.engine.embeddings.embed_array(texts)
    for answer, vector in zip(answers, expected, strict=True):
        assert answer.json()["data"][0]["embedding"] == pytest.approx(vector.tolist())


class Gated(HashingEmbeddings):
    """Embeds when it is let to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.count = 0

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        self.begun.set()
        self.gate.wait(60)
        self.count += len(texts)
        return super().embed_array(texts)


def test_a_client_that_goes_away_ends_its_embedding(home: Path) -> None:
    embeddings = Gated()
    with serving(embeddings=embeddings) as served:
        queue = served.app.state.queues.embedding
        port = int(served.url.rsplit(":", 1)[1])
        content = json.dumps({"input": ["甲"] * 2000})
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.sendall(
                "POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                "Content-Type: application/json\r\n"
                f"Content-Length: {len(content)}\r\n\r\n{content}".encode()
            )
            assert embeddings.begun.wait(60)
        until(lambda: queue.inside == 0)
        embeddings.gate.set()
        answer = httpx.post(f"{served.url}/v1/embeddings", json={"input": "乙"}, timeout=60)
        assert answer.status_code == 200
    assert embeddings.count < 2000


@pytest.mark.slow
def test_indexing_does_not_keep_a_server_that_ends(home: Path) -> None:
    embeddings = Gated()
    text = "".join(f"第{number}段的内容。\n\n" for number in range(20_000))
    with ExitStack() as stack:
        served = stack.enter_context(serving(embeddings=embeddings, chunk_size=50, chunk_overlap=0))
        with served.client() as client:
            client.post("/v1/indexes", json={"name": "a"})
            files = [("files", ("长.txt", text.encode()))]
            assert client.post("/v1/indexes/a/documents", files=files).status_code == 202
        assert embeddings.begun.wait(60)
        leaving = threading.Thread(target=stack.pop_all().close)
        leaving.start()
        until(served.app.state.jobs.closing.is_set)
        embeddings.gate.set()
        leaving.join()
    assert embeddings.count <= 64
    with serving(chunk_size=50, chunk_overlap=0) as served, served.client() as client:
        (job,) = served.app.state.jobs
        client.get(f"/v1/jobs/{job.id}/events")
        (document,) = client.get("/v1/indexes/a/documents").json()["data"]
        assert document["name"] == "长.txt"
        assert document["passages"] > 64


@pytest.mark.slow
def test_memory_is_flat_over_many_requests(served: Served, client: httpx.Client) -> None:
    def ask(count: int) -> None:
        for number in range(count):
            if number % 4:
                client.post("/v1/embeddings", json={"input": f"第{number}句"})
            else:
                client.post(CHAT, json={**ASKED, "stream": number % 8 == 0})
        gc.collect()

    ask(500)
    served.model.prompts.clear()
    before = resident_bytes()
    ask(2000)
    served.model.prompts.clear()
    assert resident_bytes() - before < 8 * 2**20
