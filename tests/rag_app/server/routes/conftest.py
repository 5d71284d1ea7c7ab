"""A browser for the tests of the page, in each language that the page speaks and on each device."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.rag_app.server.browser import Browser


DEVICE_OF = {"zh-CN": "desk", "en-US": "phone"}
"""What the page is read on: the language of longer words where there is less room."""


@pytest.fixture(scope="module", params=DEVICE_OF)
def browser(request: pytest.FixtureRequest) -> "Iterator[Browser]":
    from tests.rag_app.server.browser import started  # selenium may not be there

    with started(request.param) as one:
        yield one


@pytest.fixture
def device(request: pytest.FixtureRequest, browser: "Browser") -> str:
    """What the page is read on in the browser's language."""
    return DEVICE_OF[request.node.callspec.params["browser"]]
