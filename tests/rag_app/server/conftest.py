"""Fixtures: a server over a scripted model and fast embeddings, and a client of it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from rag_app.models.llms.llamacpp import LlamaCppChat
from tests.rag_app.server.serving import LI_BAI, Served, official_of, serving, upload
from tests.scripted import ScriptedLocalChat


@pytest.fixture
def served(home: Path) -> Iterator[Served]:
    with serving() as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as one:
        yield one


@pytest.fixture
def tiny(model: LlamaCppChat, home: Path) -> Iterator[Served]:
    """A server of a file's ``model``, a small one of its own."""
    with serving(llm=model, parallel=2) as running:
        yield running


@pytest.fixture
def schemed(home: Path) -> Iterator[Served]:
    """A server of a model that can be held to a schema."""
    with serving(llm=ScriptedLocalChat(replies=[""])) as running:
        yield running


@pytest.fixture
def official(tiny: Served) -> Iterator[openai.OpenAI]:
    with official_of(tiny) as one:
        yield one


@pytest.fixture
def poets(served: Served, client: httpx.Client) -> Served:
    """An index with one document, and a model that answers from it."""
    upload(client, "诗", **{"李白.txt": LI_BAI})
    served.replies = ["李白在当涂病逝。"]
    return served
