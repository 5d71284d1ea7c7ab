"""A browser for the tests of the page, in each language that the page speaks."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.rag_app.server.browser import Browser


@pytest.fixture(scope="module", params=["zh-CN", "en-US"])
def browser(request: pytest.FixtureRequest) -> "Iterator[Browser]":
    from tests.rag_app.server.browser import started  # selenium may not be there

    with started(request.param) as one:
        yield one
