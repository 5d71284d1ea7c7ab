"""Several URLs of one language model: turns, failover, recovery, against real HTTP servers."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import closing

import httpx2
import pytest

from rag_app.errors import ModelError
from rag_app.models.llms.load_balancer import (
    AsyncFailoverClient,
    FailoverClient,
    LoadBalancer,
    NoServerError,
)
from rag_app.models.llms.openai import CompatibleChat
from rag_app.models.registry import load_llm, resolve
from tests.scripted_llm_server import CUT, DROP, ScriptedLlmServer, two_llm_servers

Servers = tuple[ScriptedLlmServer, ScriptedLlmServer]


@pytest.fixture
def servers() -> Iterator[Servers]:
    with two_llm_servers() as both:
        yield both


@pytest.fixture
def dead() -> str:
    """The URL of a port that nobody listens on."""
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/v1"


def load(*urls: str) -> CompatibleChat:
    llm = load_llm(",".join(urls), llm_api_key="geheim")
    assert isinstance(llm, CompatibleChat)
    return llm


def both(servers: Servers) -> CompatibleChat:
    return load(*(server.url for server in servers))


def test_servers_take_turns(servers: Servers) -> None:
    llm = both(servers)
    said = [llm.invoke("问").text for _ in range(4)]
    assert sorted(said) == ["乙", "乙", "甲", "甲"]
    assert said[:2] == said[2:]
    first, second = servers
    assert set(first.paths) == {"/v1/chat/completions"}
    assert set(second.paths) == {"/team/v1/chat/completions"}
    assert {*first.keys, *second.keys} == {"Bearer geheim"}


async def test_servers_take_turns_async(servers: Servers) -> None:
    llm = both(servers)
    said = [str((await llm.ainvoke("问")).text) for _ in range(2)]
    said += ["".join([chunk.text async for chunk in llm.astream("问")]) for _ in range(2)]
    assert sorted(said) == ["乙", "乙。", "甲", "甲。"]


def test_event_loops_may_follow_each_other(servers: Servers) -> None:
    llm = both(servers)
    assert sorted(asyncio.run(llm.ainvoke("问")).text for _ in range(4)) == list("乙乙甲甲")


def test_one_is_dead_at_the_start(
    servers: Servers, dead: str, caplog: pytest.LogCaptureFixture
) -> None:
    urls = [dead, *(server.url for server in servers)]
    with caplog.at_level(logging.WARNING, "rag_app.models"):
        llm = load(*urls)
        said = [llm.invoke("问").text for _ in range(4)]
    assert sorted(said) == ["乙", "乙", "甲", "甲"]
    (warned,) = caplog.messages  # it is tried once, then set aside
    assert dead in warned


@pytest.mark.parametrize("problem", [502, 503, DROP])
async def test_a_call_goes_to_the_next(problem: int | str, servers: Servers) -> None:
    first, second = servers
    for ask in ("invoke", "stream", "ainvoke", "astream"):
        llm = both(servers)
        first.script[:] = [problem]
        second.paths.clear()
        for _ in range(2):
            if ask == "invoke":
                said = str(llm.invoke("问").text)
            elif ask == "stream":
                said = "".join(chunk.text for chunk in llm.stream("问"))
            elif ask == "ainvoke":
                said = str((await llm.ainvoke("问")).text)
            else:
                said = "".join([chunk.text async for chunk in llm.astream("问")])
            assert said.startswith("乙")
        assert not first.script
        assert len(second.paths) == 2


@pytest.mark.parametrize("status", [400, 404])
def test_other_refusals_are_answers_and_name_their_server(status: int, servers: Servers) -> None:
    llm = both(servers)
    for server in servers:
        server.script[:] = [status]
    named = []
    for _ in servers:
        with pytest.raises(ModelError) as refused:
            llm.invoke("问")
        named += [server.name for server in servers if server.url.rstrip("/") in str(refused.value)]
    assert sorted(named) == ["乙", "甲"]
    assert [len(server.paths) for server in servers] == [1, 1]


async def test_a_stream_that_breaks_off_is_an_error(servers: Servers) -> None:
    llm = both(servers)
    for server in servers:
        server.script[:] = [CUT, CUT]
    for _ in range(2):
        stream = llm.stream("问")
        assert next(stream).text in "甲乙"
        with pytest.raises(ModelError):
            list(stream)
        with pytest.raises(ModelError):
            [chunk async for chunk in llm.astream("问")]
    assert [len(server.paths) for server in servers] == [2, 2]


def test_none_answers(servers: Servers, dead: str) -> None:
    llm = load(*(server.url for server in servers), dead)
    for server in servers:
        server.script[:] = [503] * 3  # the client itself tries three times
    with pytest.raises(ModelError, match="check the addresses") as failed:
        llm.invoke("问")
    for server in servers:
        assert f"{server.url.rstrip('/')} (status 503)" in str(failed.value)
    assert dead in str(failed.value)
    assert "geheim" not in str(failed.value)
    assert llm.invoke("问").text in "甲乙"  # at once, when one answers again


def test_none_answers_at_the_start(dead: str) -> None:
    with pytest.raises(ModelError, match="none of the model's servers") as failed:
        load(dead, dead.replace("/v1", "/v2"))
    assert dead in str(failed.value)
    assert dead.replace("/v1", "/v2") in str(failed.value)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_server_recovers(servers: Servers) -> None:
    first, _ = servers
    clock = Clock()
    balancer = LoadBalancer([server.url for server in servers], cooldown=5, clock=clock)
    first.script = [503]
    with FailoverClient(balancer) as client:

        def ask() -> str:
            answer = client.post(f"{first.url}/chat/completions", json={})
            return str(answer.json()["choices"][0]["message"]["content"])

        assert [ask() for _ in range(4)] == ["乙"] * 4
        assert len(first.paths) == 1
        clock.now += 4.9
        assert [ask() for _ in range(2)] == ["乙"] * 2
        clock.now += 0.2
        assert sorted(ask() for _ in range(4)) == ["乙", "乙", "甲", "甲"]


async def test_what_is_set_aside_is_tried_last(servers: Servers) -> None:
    first, second = servers
    balancer = LoadBalancer([server.url for server in servers], clock=Clock())
    first.script = [502]
    second.script = [200, 503, 503]
    async with AsyncFailoverClient(balancer) as client:

        async def ask() -> str:
            answer = await client.post(f"{first.url}/chat/completions", json={})
            return str(answer.json()["choices"][0]["message"]["content"])

        assert [await ask() for _ in range(2)] == ["乙", "甲"]
        second.script, first.script = [503], [503]
        with pytest.raises(NoServerError):
            await ask()


def test_a_server_alone_gives_its_own_errors(servers: Servers, dead: str) -> None:
    first, _ = servers
    first.script = [503, DROP]
    with FailoverClient(LoadBalancer([first.url])) as client:
        assert client.post(f"{first.url}/chat/completions", json={}).status_code == 503
        with pytest.raises(httpx2.RemoteProtocolError):
            client.post(f"{first.url}/chat/completions", json={})
    with FailoverClient(LoadBalancer([dead])) as client:
        with pytest.raises(httpx2.ConnectError) as failed:
            client.post(f"{dead}/chat/completions", json={})
        assert not isinstance(failed.value, NoServerError)


def test_each_must_be_a_url() -> None:
    assert resolve("http://a:1/v1 , https://b/v1") == ("openai", "http://a:1/v1,https://b/v1")
    for wrong in ("b:8000/v1", "", "model.gguf"):
        with pytest.raises(ModelError, match="is not a URL"):
            resolve(f"http://a:1/v1,{wrong}")
