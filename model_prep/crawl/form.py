"""What differs between servers of the same API."""

from dataclasses import dataclass, replace
from typing import Any

_TEXT = {"type": "string"}
_ITEM = {
    "type": "object",
    "properties": {"instruction": _TEXT, "input": _TEXT, "output": _TEXT},
    "required": ["instruction", "input", "output"],
    "additionalProperties": False,
}
_REPLY = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": _ITEM}},
    "required": ["items"],
    "additionalProperties": False,
}
_SCHEMA = {"name": "instruction_data", "strict": True, "schema": _REPLY}
# Tried in this order: not every server takes the first ones.
_FORMATS: tuple[dict[str, Any], ...] = (
    {"response_format": {"type": "json_schema", "json_schema": _SCHEMA}},
    {"response_format": {"type": "json_object"}},
    {},
)
_NEWER_LIMIT = "max_completion_tokens"


@dataclass(frozen=True)
class Form:
    """How a request asks for JSON, and for how much of it."""

    step: int = 0
    limit: str = "max_tokens"
    """What most servers call it; OpenAI's newer models refuse that."""

    @property
    def format(self) -> dict[str, Any]:
        """The request's ``response_format``."""
        return _FORMATS[self.step]

    def after(self, message: str) -> "Form | None":
        """Return the form to try next, when a server refused this one with a message."""
        if _NEWER_LIMIT in message and self.limit != _NEWER_LIMIT:
            return replace(self, limit=_NEWER_LIMIT)
        return replace(self, step=self.step + 1) if self.step + 1 < len(_FORMATS) else None
