"""Traces: what they hold, what they never hold, and that nothing is imported without them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rag_app.engine import RagApp, telemetry
from tests.http_server import running, url_of
from tests.paths import ROOT
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.server.serving import LI_BAI, serving, upload
from tests.scripted import ScriptedChatModel

QUESTION = "李白在哪里病逝？"
ANSWER = "李白在当涂病逝。"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What is traced."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry.start(provider)
    yield exporter
    telemetry.stop()


def parent_of(span: ReadableSpan, spans: tuple[ReadableSpan, ...]) -> ReadableSpan | None:
    ids = {one.context.span_id: one for one in spans if one.context}
    return ids.get(span.parent.span_id) if span.parent else None


def named(spans: tuple[ReadableSpan, ...], begin: str) -> ReadableSpan:
    (found,) = [span for span in spans if span.name.startswith(begin)]
    return found


def assert_no_text(spans: tuple[ReadableSpan, ...]) -> None:
    text = json.dumps([json.loads(span.to_json()) for span in spans], ensure_ascii=False)
    assert not any(word in text for word in ("李白", "病逝", "当涂"))


def test_an_answer_is_one_trace_without_its_text(
    spans: InMemorySpanExporter, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "a.txt"
    file.write_text(LI_BAI, encoding="utf-8")
    llm = ScriptedChatModel(replies=[ANSWER])
    with RagApp(llm=llm, embeddings=HashingEmbeddings(), threshold=0.0) as app:
        app.index([file])
        assert app.ask(QUESTION).text.startswith("李白")
    found = spans.get_finished_spans()
    search, call = named(found, "retrieve"), named(found, "chat ScriptedChatModel")
    assert (search.attributes or {})["passages"] == 1
    roots = [span for span in found if parent_of(span, found) is None]
    assert [span.name for span in roots] == ["rag"]
    assert {span.context.trace_id for span in found if span.context} == {
        roots[0].context.trace_id if roots[0].context else 0
    }
    assert (call.attributes or {})["gen_ai.operation.name"] == "chat"
    assert_no_text(found)


def test_a_request_goes_on_the_trace_of_its_client(spans: InMemorySpanExporter, home: Path) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    body = {"model": "rag:诗", "messages": [{"role": "user", "content": QUESTION}]}
    llm = ScriptedChatModel(replies=[ANSWER])
    with serving(llm=llm, threshold=0.0) as served, served.client() as client:
        upload(client, "诗", **{"甲.txt": LI_BAI})
        spans.clear()
        headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
        client.post("/v1/chat/completions", json={**body, "stream": True}, headers=headers)
        client.post("/v1/indexes/诗/search", json={"query": QUESTION})
        client.get("/v1/indexes/没有")
    found = spans.get_finished_spans()
    chat = named(found, "POST /v1/chat/completions")
    assert chat.context
    assert f"{chat.context.trace_id:032x}" == trace_id
    call = named(found, "chat ScriptedChatModel")
    assert call.context
    assert call.context.trace_id == chat.context.trace_id
    assert (call.attributes or {})["gen_ai.usage.output_tokens"] == len(ANSWER)
    search = named(found, "POST /v1/indexes/{index}/search")
    (retrieval,) = [span for span in found if parent_of(span, found) is search]
    assert retrieval.name.startswith("retrieve")
    missing = named(found, "GET /v1/indexes/{index}")
    assert (missing.attributes or {})["http.response.status_code"] == 404
    assert_no_text(found)
    assert "诗" not in "".join(span.to_json() for span in found)


def test_what_fails_says_its_kind_only(spans: InMemorySpanExporter, home: Path) -> None:
    def fail(_: str) -> str:
        raise ValueError(QUESTION)

    llm = ScriptedChatModel(replies=[fail])
    with pytest.raises(ValueError, match="李白"):
        llm.invoke(QUESTION)
    (call,) = spans.get_finished_spans()
    assert (call.attributes or {})["error.type"] == "ValueError"
    assert not call.status.is_ok
    assert_no_text((call,))


CODE = """
import sys
from rag_app.engine import RagApp, telemetry
from tests.scripted import ScriptedChatModel
RagApp()
ScriptedChatModel(replies=["x"]).invoke("李白")
telemetry.stop()
print("rag_app.engine.spans" in sys.modules)
"""


def run(**environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**clean, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.slow
def test_without_the_extra_commands_say_so_in_one_line(home: Path, tmp_path: Path) -> None:
    (tmp_path / "opentelemetry.py").write_text("raise ImportError('not installed')")
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "rag_app", "docs"],
        env={**os.environ, "PYTHONPATH": paths, "OTEL_TRACES_EXPORTER": "otlp"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    warning, error = done.stderr.splitlines()
    assert warning.startswith("rag-app: warning: traces are asked for, not sent: pip install")
    assert error.startswith("rag-app: no index in ")


@pytest.mark.slow
def test_the_standard_variables_decide(home: Path) -> None:
    assert run() == "False\n"
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

    with running(Collector) as server:
        endpoint = url_of(server)
        assert run(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_SDK_DISABLED="true") == "False\n"
        assert received == []
        assert run(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_SERVICE_NAME="lib") == "True\n"
    ((path, body),) = received
    assert path == "/v1/traces"
    assert b"lib" in body
    assert "李白".encode() not in body
