"""What a command makes of the events that the resident engine sends."""

from contextlib import closing
from dataclasses import asdict
from unittest.mock import Mock

import pydantic
import pytest

from rag_app.chains.results import Answer
from rag_app.engine import ahead
from rag_app.engine.command_engine import CommandEngine
from rag_app.engine.resident import Events
from rag_app.settings import Settings

QUESTION = "李白在哪里病逝？"
ANSWER = "在当涂病逝。"


def events() -> Events:
    for text in ANSWER:
        yield {"piece": asdict(Answer(text=text))}


def test_nothing_is_built_between_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """While pydantic builds what reads them, it swallows a Ctrl-C, and the answer goes on."""
    adapter = Mock(wraps=pydantic.TypeAdapter)
    monkeypatch.setattr(pydantic, "TypeAdapter", adapter)
    monkeypatch.setattr(ahead, "sent", [ahead.Ahead(QUESTION, events())])
    with closing(CommandEngine(Settings())) as engine:
        pieces = [*engine.answer(QUESTION, [], {})]
    assert "".join(piece.text for piece in pieces) == ANSWER
    assert adapter.call_count == 1
