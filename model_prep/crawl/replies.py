"""JSON objects in what a model wrote, whatever else it wrote around them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Control characters inside strings are what models often forget to escape.
_DECODER = json.JSONDecoder(strict=False)
_THOUGHT = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
_START = re.compile(r'\{(?=\s*["}])')
_KEY = "instruction"
_MOST_CHARACTERS = 100_000
"""Of a reply that are looked at: more than any model writes."""


@dataclass(frozen=True)
class Found:
    """What a reply holds."""

    objects: list[dict[str, Any]]
    """Those with an ``instruction``, wherever they lie; it need not be a string."""
    broken: int
    """Objects that are no JSON, as the last one of a reply that was cut off."""


def find_objects(text: str) -> Found:
    """Find the complete objects in a reply; one that is broken is left out, not mended."""
    text = _THOUGHT.sub("", text[:_MOST_CHARACTERS], count=1)
    objects: list[dict[str, Any]] = []
    broken, end = 0, 0
    start = _START.search(text)
    while start:
        try:
            value, after = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            start = _START.search(text, start.end())
            continue
        objects += _items(value)
        broken += text.count(f'"{_KEY}"', end, start.start())
        end = after
        start = _START.search(text, end)
    return Found(objects, broken + text.count(f'"{_KEY}"', end))


def _items(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects with an instruction, inside whatever they are wrapped in."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict) and isinstance(one.get(_KEY, {}), dict | list):
            waiting += reversed(one.values())
        elif isinstance(one, dict):
            yield one
        elif isinstance(one, list):
            waiting += reversed(one)
