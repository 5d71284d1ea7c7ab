"""The log and the counters: what is in them, and what never is."""

import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag_app.server.middleware.request_log import JsonLines
from rag_app.server.middleware.security import Access
from tests.rag_app.server.serving import serving

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
