"""Whatever the OpenAPI schema allows, and what it does not: never a 500, and as it says."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings

from tests.rag_app.server.serving import Served, serving, upload


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAG_APP_HOME", str(tmp_path_factory.mktemp("home")))
        with serving(queue_limit=1000) as served:
            yield served


@pytest.fixture(scope="module")
def described(application: Served) -> dict[str, Any]:
    with application.client() as client:
        schema: dict[str, Any] = client.get("/openapi.json").json()
    return schema


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


@pytest.mark.slow
def test_no_request_is_a_server_error_or_answered_otherwise_than_described(
    application: Served,
) -> None:
    import schemathesis  # takes as long as all quick tests of this file
    from schemathesis.specs.openapi import checks

    as_described = [
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]
    schema = schemathesis.openapi.from_url(f"{application.url}/openapi.json")
    found = [result.ok() for result in schema.get_all_operations()]
    assert len(found) >= 18

    for operation in found:

        @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            response = case.call(timeout=30)
            assert response.status_code < 500, response.text
            case.validate_response(response, checks=as_described)

        check()


def test_the_schema_is_complete(described: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in described["tags"]}
    for method, path, operation in operations(described):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        assert set(operation["tags"]) <= tags, where
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], where
            assert parameter["schema"]["examples"], where
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert list(examples(content, described)), where
        missing = expected_statuses(path, operation) - operation["responses"].keys()
        assert not missing, where
        for status, response in operation["responses"].items():
            assert response["description"], where
            for content in response["content"].values():
                assert content.get("schema") or content.get("itemSchema"), where
                assert status == "default" or list(examples(content, described)), where


def expected_statuses(path: str, operation: dict[str, Any]) -> set[str]:
    """The statuses that such an operation must document."""
    keyed = {"401", "429"} if path != "/health" else {"503"}
    body = {"400", "413"} if "requestBody" in operation else set()
    named = {"404"} if "{" in path else set()
    success = {"202"} if operation["operationId"] == "upload_documents" else {"200"}
    success = {"201"} if operation["operationId"] == "create_index" else success
    asks = path.endswith(("completions", "summary", "responses", "/chat", "/generate"))
    return success | {"403", "default"} | keyed | body | named | ({"503", "504"} if asks else set())


def examples(content: dict[str, Any], described: dict[str, Any]) -> Iterator[Any]:
    """What a media type gives as examples, itself or in its schema."""
    schema = content.get("schema", {})
    if "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "example" in content:
        yield content["example"]
    yield from schema.get("examples", ())


def test_streams_are_described_as_streams(described: dict[str, Any]) -> None:
    streaming = {
        operation["operationId"]
        for _, _, operation in operations(described)
        if "text/event-stream" in operation["responses"].get("200", {}).get("content", {})
    }
    assert streaming == {
        "chat_completions", "completions", "responses", "summarize", "follow_job",
    }  # fmt: skip


def test_streams_of_lines_are_described_as_such(described: dict[str, Any]) -> None:
    streaming = {
        path
        for _, path, operation in operations(described)
        if "application/x-ndjson" in operation["responses"].get("200", {}).get("content", {})
    }
    assert streaming == {"/api/chat", "/api/generate"}


@pytest.mark.slow
def test_examples_are_what_they_exemplify(described: dict[str, Any]) -> None:
    for method, path, operation in operations(described):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        for part in [*bodies, *operation["responses"].values()]:
            for content in part["content"].values():
                schema = {**content.get("schema", {}), "components": described["components"]}
                for example in examples(content, described):
                    problems = list(jsonschema_rs.validator_for(schema).iter_errors(example))
                    assert not problems, f"{method} {path}: {problems[0]}"


def test_answers_are_as_described(application: Served, described: dict[str, Any]) -> None:
    with application.client() as client:
        upload(client, "合同", **{"李白.txt": "李白晚年投奔族叔，宝应元年在当涂病逝。"})
        (document,) = client.get("/v1/indexes/合同/documents").json()["data"]
        given = {"index": "合同", "document": document["id"], "model": "rag:合同"}
        ask = {"messages": [{"role": "user", "content": "李白在哪里病逝？"}]}
        about = {**ask, "model": "rag:合同", "threshold": 0}
        for path, body in (
            ("/v1/models", None),
            ("/v1/models/{model}", None),
            ("/v1/indexes", None),
            ("/v1/indexes/{index}", None),
            ("/v1/indexes/{index}/documents", None),
            ("/v1/indexes/{index}/documents/{document}/text", None),
            ("/v1/indexes/{index}/documents/{document}/summary", {}),
            ("/v1/indexes/{index}/search", {"query": "当涂"}),
            ("/v1/chat/completions", ask),
            ("/v1/chat/completions", about),
            ("/v1/responses", {"input": "李白在哪里病逝？"}),
            ("/v1/responses", {"input": "李白在哪里病逝？", "model": "rag:合同"}),
            ("/v1/completions", {"prompt": ["甲", "乙"]}),
            ("/v1/embeddings", {"input": "甲"}),
            ("/v1/embeddings", {"input": "甲", "encoding_format": "base64"}),
            ("/api/version", None),
            ("/api/tags", None),
            ("/api/ps", None),
            ("/api/show", {"model": "rag:合同"}),
            ("/api/chat", {**ask, "stream": False}),
            ("/api/chat", {**about, "stream": False}),
            ("/api/generate", {"prompt": "甲", "stream": False}),
            ("/api/embed", {"input": "甲"}),
            ("/api/embeddings", {"prompt": "甲"}),
            ("/v1/settings", None),
            ("/health", None),
            ("/v1/models/{index}", None),
        ):
            method = "get" if body is None else "post"
            answer = client.request(method, path.format(**given), json=body)
            operation = described["paths"].get(path, described["paths"]["/v1/models/{model}"])
            content = operation[method]["responses"][str(answer.status_code)]["content"]
            schema = {
                **content["application/json"]["schema"],
                "components": described["components"],
            }
            jsonschema_rs.validator_for(schema).validate(answer.json())
