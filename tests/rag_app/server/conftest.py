"""Fixtures: a server over a scripted model and fast embeddings, and a client of it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.rag_app.server.serving import Served, serving


@pytest.fixture
def served(home: Path) -> Iterator[Served]:
    with serving() as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as one:
        yield one
