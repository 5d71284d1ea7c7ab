"""How the pieces of a stream add up."""

from typing import Protocol


class Piece(Protocol):
    """A text, or a part of one, and which model call it comes from."""

    @property
    def text(self) -> str:
        """The text; empty where the piece tells something else."""

    @property
    def step(self) -> int:
        """A later one revises the earlier ones."""


def replaces(whole: Piece, piece: Piece) -> bool:
    """Return whether a piece takes the place of the text that came before it."""
    return bool(piece.text) and piece.step > whole.step
