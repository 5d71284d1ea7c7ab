"""Limits of a file's tables: as much is read as fits in memory with what is made of it."""

from collections.abc import Iterable, Iterator

from rag_app.documents.tables.cells import Row
from rag_app.documents.text import shown
from rag_app.errors import DocumentError

MAX_CELLS = 20_000_000
"""A few bytes of a workbook can claim sixteen billion cells."""
MAX_CHARACTERS = 120_000_000
"""Characters of the lines that rows become; a million rows of eight columns have 100 million."""


class TableBounds:
    """Counts the cells and characters of one file."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._cells = MAX_CELLS
        self._read = MAX_CHARACTERS
        self._written = MAX_CHARACTERS

    def rows(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield rows.

        Raises:
            DocumentError: they have too many cells, or characters: many cells can share one text.
        """
        for row in rows:
            self._cells -= len(row) + 1
            self._read -= sum(map(len, row))
            if self._cells < 0:
                raise self._too_much(MAX_CELLS, "cells")
            if self._read < 0:
                raise self._too_much(MAX_CHARACTERS, "characters")
            yield row

    def lines(self, lines: Iterable[str]) -> Iterator[str]:
        """Yield the lines that rows have become.

        Raises:
            DocumentError: they have too many characters.
        """
        for line in lines:
            self._written -= len(line) + 1
            if self._written < 0:
                raise self._too_much(MAX_CHARACTERS, "characters with the names of columns")
            yield line

    def _too_much(self, most: int, what: str) -> DocumentError:
        return DocumentError(
            f"{shown(self._name)} has more than {most:,} {what}; "
            "save the rows and columns needed as files of their own"
        )
