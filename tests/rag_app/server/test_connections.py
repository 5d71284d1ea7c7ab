"""Raw requests over a socket: half-sent ones, and ones that are none."""

import asyncio
import json
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from rag_app.errors import SettingsError
from rag_app.server.connections import server_config
from rag_app.server.serve import listen
from tests.rag_app.server.serving import LI_BAI, Served, serving, upload

UPLOAD = (
    "POST /v1/indexes/a/documents HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 33\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    "--b\r\nContent-Disposition: x\r\n\r\n"
)
HEAD = "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture
def impatient(home: Path) -> Iterator[Served]:
    with serving(read_seconds=0.3) as served:
        yield served


def send(served: Served, data: bytes, *, first: bool = False) -> bytes:
    """Send bytes; return what comes first, or all until the server closes the connection."""
    port = int(served.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        try:
            plain.sendall(data)
            if first:
                return plain.recv(65536)
            return b"".join(iter(lambda: plain.recv(65536), b""))
        except ConnectionError:
            return b""


@pytest.mark.slow
def test_a_client_is_the_first_to_close_a_connection(served: Served) -> None:
    limits = httpx.Limits(keepalive_expiry=60)
    with httpx.Client(base_url=served.url, limits=limits, timeout=60) as client:
        stream = client.get("/health").extensions["network_stream"]
        time.sleep(6)
        assert client.get("/health").extensions["network_stream"] is stream


@pytest.mark.parametrize("sent", ["", "GET", HEAD, HEAD + "Content-Length: 10\r\n"])
def test_a_head_that_never_ends_is_not_waited_for(sent: str, impatient: Served) -> None:
    assert send(impatient, sent.encode()) == b""


async def test_a_proxy_of_ipv4_is_known_on_a_socket_of_ipv6() -> None:
    clients: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        clients.append((scope["client"][0], scope["scheme"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    with listen("::", 0) as listening, pytest.raises(SettingsError, match=r"on \[::\]:\d"):
        listen("::", listening.getsockname()[1])
    with listen("::", 0) as listening:
        config = server_config(app, read_seconds=30, grace_seconds=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        said = {"X-Forwarded-For": "10.0.0.7", "X-Forwarded-Proto": "https"}
        async with httpx.AsyncClient() as client:
            await client.get(f"http://127.0.0.1:{listening.getsockname()[1]}", headers=said)
        server.should_exit = True
        await serving
    assert clients == [("10.0.0.7", "https")]


@pytest.mark.parametrize("length", ["Content-Length: 56", "Transfer-Encoding: chunked"])
def test_java_asks_for_http_2_with_every_request(
    length: str, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    body = '{"messages": [{"role": "user", "content": "Who is Li"}]}'
    if "chunked" in length:
        body = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n"
    upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
    head = f"{HEAD}{upgrade}{length}\r\nContent-Type: application/json\r\n\r\n"
    answer = send(served, (head + body).encode(), first=True)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert not [one for one in caplog.records if one.levelname == "WARNING"]


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nHost: a\r\nX-\xe5: a\r\n\r\n"]
)
def test_what_is_no_http_is_refused_as_all_else_is(sent: bytes, served: Served) -> None:
    head, _, body = send(served, sent + b"\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["code"] == "invalid_http"


def test_what_is_no_http_behind_an_answer_closes_the_connection(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chunk = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n40\r\n{'a' * 64}\r\n"
    with (
        serving(max_body_bytes=10) as served,
        socket.create_connection(("127.0.0.1", int(served.url.rsplit(":", 1)[1]))) as plain,
    ):
        plain.sendall(chunk.encode())
        assert plain.recv(65536).startswith(b"HTTP/1.1 413 ")
        plain.sendall(b"no chunk\r\n")
        while plain.recv(65536):
            pass
    assert not [one for one in caplog.records if one.name == "asyncio"]


@pytest.mark.parametrize("target", ["OPTIONS *", "GET health", "CONNECT a:1"])
def test_a_target_without_a_slash_is_no_path(target: str, served: Served) -> None:
    head = f"{target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    status = int(send(served, head.encode()).split()[1])
    assert 400 <= status < 500


@pytest.mark.slow
def test_a_body_that_never_ends_is_not_waited_for(impatient: Served) -> None:
    body = 'Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"messages": '
    answer = send(impatient, (HEAD + body).encode())
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not come within 0.3 seconds" in answer


def test_the_rest_of_a_refused_body_is_not_waited_for(impatient: Served) -> None:
    head = "POST /v1/indexes/%20/documents HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    answer = send(impatient, f"{head}Content-Length: {10**15}\r\n\r\n{{".encode())
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_slow_answer_is_waited_for(impatient: Served) -> None:
    impatient.model.delay = 0.2
    impatient.replies = ["一二三四五"]
    asked = {"messages": [{"role": "user", "content": "数"}]}
    with impatient.client() as client:
        for _ in range(2):  # on one connection
            assert client.post("/v1/chat/completions", json=asked).status_code == 200


@pytest.mark.parametrize(
    ("headers", "statuses"),
    [
        ({"Host": "[evil"}, {400}),
        ({"Host": "[::1"}, {400}),
        ({"Host": ""}, {400, 403}),
        ({"Host": "a]b"}, {400, 403}),
        ({"Origin": "http://[evil"}, {403}),
        ({"Origin": "["}, {403}),
        ({"Origin": "null"}, {403}),
        ({"Host": "[evil", "Origin": "http://[evil"}, {400}),
        ({"Upgrade": "websocket", "Connection": "Upgrade"}, {400, 422}),
        ({"Content-Length": "-1"}, {400}),
        ({"Content-Length": "²"}, {400}),
        ({"Transfer-Encoding": "gzip"}, {400, 501}),
    ],
)
def test_odd_headers(headers: dict[str, str], statuses: set[int], served: Served) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    host = "" if "Host" in headers else "Host: 127.0.0.1\r\n"
    data = f"POST /v1/indexes HTTP/1.1\r\n{host}{lines}Connection: close\r\n\r\n"
    answer = send(served, data.encode("utf-8"))
    assert int(answer.split()[1]) in statuses, answer


def test_a_probe_by_the_oldest_http_names_no_host(served: Served) -> None:
    assert send(served, b"GET /health HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_a_path_may_be_sent_as_it_is_typed(served: Served) -> None:
    with served.client() as client:
        upload(client, "诗", **{"李白.txt": LI_BAI})
    asked = "GET /v1/indexes/诗/documents?q=%E6%9D%8E白 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    answer = send(served, f"{asked}X: 值\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert "李白.txt".encode() in answer


def test_the_connection_of_an_unexpected_error_is_not_used_again(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served.client() as client:
        with monkeypatch.context() as broken:
            broken.setattr(served.app.state.registry, "model_ids", lambda: 1 / 0)
            failed = client.get("/v1/models")
        assert (failed.status_code, failed.headers["connection"]) == (500, "close")
        assert client.get("/v1/models").status_code == 200


@pytest.mark.slow
def test_no_malformed_request_is_a_server_error(
    impatient: Served, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(14)
    whole = [
        HEAD + 'Content-Type: application/json\r\nContent-Length: 21\r\n\r\n{"messages": ["甲"]}',
        "GET /v1/models/x%00%ff?a=%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /static/../../%2e%2e/settings.py HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "DELETE /v1/indexes/a%2Fb%0a HTTP/1.1\r\nHost: [::1]:80\r\nOrigin: http://x\r\n\r\n",
        "GET /v1/indexes/./x/documents/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n",
        UPLOAD,
    ]
    for _ in range(300):
        data = bytearray(chance.choice(whole).encode())
        for _ in range(chance.randrange(6)):
            at = chance.randrange(len(data))
            change = chance.randrange(3)
            if change == 0:
                data[at] = chance.randrange(256)
            elif change == 1:
                del data[at : at + chance.randrange(1, 9)]
            else:
                data[at:at] = bytes(chance.randrange(256) for _ in range(3))
            data = data or bytearray(b"\0")
        answer = send(impatient, bytes(data), first=True)
        assert not answer.startswith(b"HTTP/1.1 5"), (bytes(data), answer)
    assert httpx.get(f"{impatient.url}/health", timeout=60).status_code == 200
    assert not [record for record in caplog.records if record.exc_info]
