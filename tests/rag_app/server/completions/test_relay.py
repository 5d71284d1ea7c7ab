"""A server in front of another one: requests are passed on, and what fails behind is told."""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag_app.models.registry import load_llm
from rag_app.server.middleware.access import Access
from rag_app.settings import load_settings
from tests.http_server import running, url_of
from tests.rag_app.server.serving import Served, serving, upload
from tests.rag_app.server.test_queueing import inside, until
from tests.scripted import ScriptedChatModel
from tests.scripted_llm_server import CUT, DROP, scripted_llm_server, two_llm_servers

ASKED: Any = {"messages": [{"role": "user", "content": "答案是什么？"}]}
CHAT = "/v1/chat/completions"


@contextmanager
def front(url: str, **settings: Any) -> Iterator[Served]:
    """A server whose language model is behind ``url``."""
    named = {"llm": f"{url}/v1", "llm_name": "default", "llm_api_key": "geheim"}
    llm = load_llm(load_settings(**named))
    with serving(llm=llm, **settings) as served:
        yield served


@pytest.fixture
def behind(home: Path) -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.fixture
def before(behind: Served) -> Iterator[httpx.Client]:
    with front(behind.url, parallel=2) as served, served.client() as client:
        yield client


def test_answers_come_as_they_are(before: httpx.Client, behind: Served) -> None:
    behind.replies = ["答案是四十二。"]
    whole = before.post(CHAT, json=ASKED).json()
    assert whole["choices"][0]["message"]["content"] == "答案是四十二。"
    assert whole["usage"]["total_tokens"] > 0
    behind.replies = ["答案是四十二。"]
    streamed = before.post(CHAT, json={**ASKED, "stream": True})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.text.endswith("data: [DONE]\n\n")
    behind.replies = ["长城。"]
    assert before.post("/v1/completions", json={"prompt": "中国有"}).json()["choices"][0]["text"]


def test_what_only_the_model_behind_understands_is_passed_on(home: Path) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,x"}}
    body = {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "看"}, image]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
            {"role": "tool", "tool_call_id": "1", "content": "结果"},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "response_format": {"type": "json_object"},
        "min_p": 0.1,
    }
    with recording() as (url, requests), front(url) as served, served.client() as client:
        assert client.post(CHAT, json=body).json() == {"choices": []}
    (sent,) = requests
    assert {name: sent[name] for name in body} == body


def test_the_server_behind_is_sent_content(home: Path) -> None:
    messages: Any = [
        {"role": "user", "message": "杭州"},
        {"role": "assistant", "content": "西湖", "message": "别的"},
        {"role": "user", "content": "苏州"},
    ]
    with recording() as (url, requests), front(url) as served, served.client() as client:
        client.post(CHAT, json={"messages": messages})
    (sent,) = requests
    assert sent["messages"] == [
        {"role": "user", "content": "杭州"},
        {"role": "assistant", "content": "西湖"},
        {"role": "user", "content": "苏州"},
    ]


@contextmanager
def recording() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that keeps what it is sent."""
    requests: list[dict[str, Any]] = []

    class Keeps(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"choices": []}')

    with running(Keeps) as server:
        yield url_of(server), requests


def test_documents_are_asked_through_it(before: httpx.Client, behind: Served) -> None:
    text = "答案在第七页：四十二是答案，别的都不是。"
    upload(before, "书", **{"书.txt": text})
    behind.replies = ["四十二是答案。"]
    body = {"model": "rag:书", **ASKED, "threshold": 0, "marks": False}
    answer = before.post(CHAT, json=body).json()
    assert answer["choices"][0]["message"]["content"] == "四十二是答案。"
    assert answer["rag"]["citations"][0]["text"] == text


def test_limits_are_those_of_this_server(home: Path) -> None:
    with (
        recording() as (url, requests),
        front(url, reply_limit=50) as served,
        served.client() as client,
    ):
        for name in ("max_tokens", "max_completion_tokens"):
            client.post(CHAT, json={**ASKED, "max_tokens": None, name: 32_000})
            assert requests[-1][name] == 50


def test_errors_of_the_other_server_are_passed_on(before: httpx.Client) -> None:
    refused = before.post("/v1/completions", json={"prompt": "a", "echo": True})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "echo"


def test_a_key_that_the_other_server_refuses_is_not_the_clients(home: Path) -> None:
    access = Access(keys=("another",))
    with (
        serving(access=access) as behind,
        front(behind.url) as served,
        served.client() as client,
    ):
        refused = client.post(CHAT, json=ASKED)
    assert refused.status_code == 502
    assert refused.json()["error"]["code"] == "upstream_refused"
    assert "RAG_APP_LLM_API_KEY" in refused.json()["error"]["message"]
    assert "geheim" not in refused.text


def test_a_client_that_goes_away_ends_the_work_behind(home: Path) -> None:
    slow = ScriptedChatModel(replies=["故事" * 50_000], delay=0.005, window=10**6)
    with serving(llm=slow, parallel=1) as behind, front(behind.url, parallel=1) as served:
        with (
            served.client() as client,
            client.stream("POST", CHAT, json={**ASKED, "stream": True}) as answer,
        ):
            lines = answer.iter_lines()
            next(lines)
            assert inside(behind) == 1
        until(lambda: inside(served) == 0)
        until(lambda: inside(behind) == 0)


def test_a_server_that_is_gone(behind: Served, home: Path) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with front(url) as served, served.client() as client:
        answer = client.post(CHAT, json=ASKED)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "upstream_unreachable"
    assert "geheim" not in answer.text


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
HALF = b'data: {"choices": [{"delta": 1'
BLOCK = b"%x\r\n%s\r\n" % (len(HALF), HALF)


@contextmanager
def misbehaving(said: bytes, *, wait: bool = False) -> Iterator[str]:
    """A server that says ``said`` to everybody and then hangs up, or says nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = threading.Event()

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(said)
                if wait:
                    done.wait(20)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        done.set()
        thread.join()


@pytest.mark.parametrize(
    ("said", "wait", "status", "code"),
    [
        (b"", False, 502, "upstream_failed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", False, 502, "upstream_failed"),
        (b"", True, 504, "timeout"),
    ],
)
def test_a_server_that_misbehaves(
    said: bytes, wait: bool, status: int, code: str, home: Path
) -> None:
    with (
        misbehaving(said, wait=wait) as url,
        front(url, request_seconds=0.5 if wait else 60) as served,
        served.client() as client,
    ):
        answer = client.post(CHAT, json=ASKED)
        assert answer.status_code == status
        assert answer.json()["error"]["code"] == code
        until(lambda: inside(served) == 0)


@pytest.mark.parametrize(("wait", "code"), [(False, "upstream_failed"), (True, "timeout")])
def test_a_stream_that_breaks_off_says_so(wait: bool, code: str, home: Path) -> None:
    with (
        misbehaving(HEAD + BLOCK, wait=wait) as url,
        front(url, request_seconds=0.5 if wait else 60) as served,
        served.client() as client,
    ):
        answer = client.post(CHAT, json={**ASKED, "stream": True})
    *_, error, end = answer.text.split("data: ")
    assert json.loads(error)["error"]["code"] == code
    assert end == "[DONE]\n\n"


@contextmanager
def in_front_of(*urls: str, **settings: Any) -> Iterator[httpx.Client]:
    """A client of a server whose language model is behind several URLs."""
    named = {"llm": ",".join(urls), "llm_name": "m", "llm_api_key": "geheim"}
    llm = load_llm(load_settings(**named))
    with serving(llm=llm, **settings) as served, served.client() as client:
        yield client


def said(answer: httpx.Response) -> str:
    return str(answer.json()["choices"][0]["message"]["content"])


def test_several_servers_take_turns(home: Path) -> None:
    with two_llm_servers() as (first, second), in_front_of(first.url, second.url) as client:
        assert sorted(said(client.post(CHAT, json=ASKED)) for _ in range(4)) == list("乙乙甲甲")
    assert {*first.keys, *second.keys} == {"Bearer geheim"}


@pytest.mark.parametrize("problem", [502, 503, DROP])
def test_a_request_goes_to_the_next_server(problem: int | str, home: Path) -> None:
    with two_llm_servers() as (first, second), in_front_of(first.url, second.url) as client:
        first.script = [problem]
        assert [said(client.post(CHAT, json=ASKED)) for _ in range(3)] == ["乙"] * 3
        first.script, second.script = [], [problem]
        assert said(client.post(CHAT, json=ASKED)) == "甲"  # what failed longest ago


def test_a_stream_of_one_of_several_that_breaks_off_is_not_begun_again(home: Path) -> None:
    with two_llm_servers() as (first, second), in_front_of(first.url, second.url) as client:
        first.script, second.script = [CUT], [CUT]
        answer = client.post(CHAT, json={**ASKED, "stream": True})
        *_, error, end = answer.text.split("data: ")
        assert json.loads(error)["error"]["code"] == "upstream_failed"
        assert end == "[DONE]\n\n"
        assert len(first.paths + second.paths) == 1


def test_none_of_several_servers_answers(home: Path) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    with scripted_llm_server("甲") as alive, in_front_of(dead, alive.url) as client:
        assert [said(client.post(CHAT, json=ASKED)) for _ in range(2)] == ["甲", "甲"]
        alive.script = [503]
        answer = client.post(CHAT, json=ASKED)
        assert answer.status_code == 503
        problem = answer.json()["error"]
        assert problem["code"] == "upstream_unreachable"
        assert dead in problem["message"]
        assert f"{alive.url} (status 503)" in problem["message"]
        assert said(client.post(CHAT, json=ASKED)) == "甲"


def test_each_of_several_servers_has_its_own_limit(home: Path) -> None:
    with two_llm_servers() as both:
        urls = ",".join(server.url for server in both)
        with serving(llm=urls, parallel=1) as served, served.client() as client:
            until(lambda: client.post(CHAT, json=ASKED).status_code == 200)  # it is loaded
            meeting = threading.Barrier(2, timeout=20)
            for server in both:
                server.before_answer = meeting.wait
            with ThreadPoolExecutor(2) as threads:
                answers = threads.map(lambda _: client.post(CHAT, json=ASKED), range(2))
                assert sorted(map(said, answers)) == ["乙", "甲"]


def test_a_stream_that_waits_begins_at_once(home: Path) -> None:
    slow = ScriptedChatModel(replies=["故事" * 500], delay=0.01)
    body = {**ASKED, "stream": True}
    with (
        serving(llm=slow) as behind,
        front(behind.url, parallel=1) as served,
        served.client() as client,
    ):
        with client.stream("POST", CHAT, json=body) as first:
            lines = first.iter_lines()  # closed, it would end the request
            next(lines)
            with client.stream("POST", CHAT, json=body) as second:
                rest = second.iter_lines()
                assert next(rest) == ": waiting"
                slow.replies[:] = ["短"]
                first.close()
                events = [line for line in rest if line]
        assert events[-1] == "data: [DONE]"
        assert "短" in "".join(events)
        slow.replies[:] = ["故事" * 500]
        with client.stream("POST", CHAT, json=body) as first:
            lines = first.iter_lines()
            next(lines)
            refused = {**body, "logit_bias": {"1": 1}}  # by the server behind
            with client.stream("POST", CHAT, json=refused) as second:
                rest = second.iter_lines()
                assert next(rest) == ": waiting"
                first.close()
                problem, end = [line for line in rest if line and not line.startswith(":")]
        assert json.loads(problem.removeprefix("data: "))["error"]["param"] == "logit_bias"
        assert end == "data: [DONE]"
