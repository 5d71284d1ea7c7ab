"""The log and the counters: what is in them, and what never is."""

import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag_app.server.log import JsonLines, json_log
from rag_app.server.middleware.access import Access
from tests.rag_app.server.serving import Served, serving, upload

CHAT = "/v1/chat/completions"
ASKED: Any = {"messages": [{"role": "user", "content": "一个秘密的问题"}]}


def test_the_log_tells_no_prompt_and_no_key(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rag_app.server")
    with serving(access=Access(keys=("the-key",))) as served, served.client() as client:
        headers = {"Authorization": "Bearer the-key", "X-Request-ID": "mine-1"}
        answer = client.post(CHAT, json=ASKED, headers=headers)
    assert answer.headers["x-request-id"] == "mine-1"
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    (line,) = [one for one in lines if one.get("path") == CHAT]
    assert (line["status"], line["method"]) == (200, "POST")
    assert "秘密" not in str(lines)
    assert "the-key" not in str(lines)


def test_prompts_are_logged_where_asked(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rag_app.server")
    with serving(log_prompts=True) as served, served.client() as client:
        client.post(CHAT, json=ASKED)
    assert any(getattr(record, "prompt", "") == "一个秘密的问题" for record in caplog.records)


def test_metrics(client: httpx.Client) -> None:
    client.post(CHAT, json=ASKED)
    client.get("/no/such/path")
    text = client.get("/metrics").text
    assert 'rag_app_requests_total{route="/v1/chat/completions",status="200"} 1.0' in text
    assert 'rag_app_tokens_total{kind="completion"}' in text
    assert 'status="404"' in text


@pytest.mark.parametrize(
    ("method", "asked", "route"),
    [
        ("GET", "/api/tags", "/api/tags"),
        ("GET", "/models", "/v1/models"),
        ("HEAD", "/v1/models/", "/v1/models"),
    ],
)
def test_a_route_is_counted_by_its_name_however_it_is_asked_for(
    method: str, asked: str, route: str, client: httpx.Client
) -> None:
    client.request(method, asked)
    counted = f'rag_app_requests_total{{route="{route}",status="200"}} 1.0'
    assert counted in client.get("/metrics").text


def test_every_line_of_the_log_is_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_command_line = logging.Handler()
    monkeypatch.setattr(of_command_line, "emit", lambda one: print(one.msg, file=sys.stderr))
    monkeypatch.setattr(logging.getLogger("rag_app"), "handlers", [of_command_line])
    with json_log():
        logging.getLogger("rag_app.engine").warning("an index can't be read")
        print("a library's line\nanother", file=sys.stderr)
        print("\r10%\r20%", end="", file=sys.stderr)
        print("\r30%", file=sys.stderr)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.getLogger("some.library").error("broken\npipe")
        logging.getLogger("some.library").info("chatter")
        logging.getLogger("rag_app.server").info("request", extra={"status": 200})
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    said = [line["message"] for line in lines]
    assert said[1:6] == ["a library's line", "another", "10%", "20%", "30%"]
    assert "broken\npipe" in said
    assert "chatter" not in said
    assert any("DeprecationWarning" in line for line in said)
    assert lines[-1]["status"] == 200
    assert said.count("an index can't be read") == 1
    print("plain again", file=sys.stderr)
    assert capsys.readouterr().err == "plain again\n"


def test_failed_jobs_are_logged(
    served: Served, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rag_app.server")
    upload(client, "a", **{"坏.pdf": b"%PDF-1.7 broken", "好.txt": "一句话。"})
    said = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("坏.pdf was not indexed into a: ") for line in said)
    assert any("of a: done" in line for line in said)
