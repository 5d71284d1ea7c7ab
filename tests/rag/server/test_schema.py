"""Whatever the OpenAPI schema allows, and what it does not: never a 500."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from tests.rag.server.serving import Served, serving


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAG_APP_HOME", str(tmp_path_factory.mktemp("home")))
        with serving(queue_limit=1000) as served:
            yield served


@pytest.mark.slow
def test_no_request_is_a_server_error(application: Served) -> None:
    schema = schemathesis.openapi.from_url(f"{application.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 18

    for operation in operations:

        @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            response = case.call(timeout=30)
            assert response.status_code < 500, response.text

        check()


def test_the_schema_is_complete(application: Served) -> None:
    with application.client() as client:
        described = client.get("/openapi.json").json()
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), f"{method} {path}"
