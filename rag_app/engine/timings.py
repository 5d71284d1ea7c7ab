"""How long the parts of a call took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rag_app.chains.answer import Answer
    from rag_app.chains.summarize import Summary

    Piece = TypeVar("Piece", Answer, Summary)


class Timings(dict[str, float]):
    """Seconds by part."""

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Begin anew: the block is the whole call."""
        self.clear()
        with self.part("total"):
            yield

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Note how long the block takes."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self[name] = time.perf_counter() - start

    def watched(self, pieces: "Iterator[Piece]") -> "Iterator[Piece]":
        """Pass pieces on and note when the first text came and how long the rest took."""
        start = time.perf_counter()
        first: float | None = None
        try:
            for piece in pieces:
                if first is None and piece.text:
                    first = time.perf_counter()
                    self["first token"] = first - start
                yield piece
        finally:
            if first is not None:
                self["further text"] = time.perf_counter() - first
