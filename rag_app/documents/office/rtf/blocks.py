"""Blocks of an RTF file: paragraphs, and the cells and rows of tables."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from rag_app.documents.office.package import add_run
from rag_app.documents.tables import table_lines
from rag_app.documents.tables.cells import Continued, Covered, spanned
from rag_app.documents.text import clean, one_blank_line, remark

_ROW_END = "\x1e"  # stands where a row of a table in a cell ends
_NEAR = 60  # twips (a twentieth of a point) within which edges of cells are one


class RtfBlocks:
    """Collects the text of a file as Markdown.

    Example:
        >>> blocks = RtfBlocks()
        >>> blocks.add("总则", struck=False)
        >>> blocks.end_paragraph(level=1, in_table=False)
        >>> blocks.text()
        '# 总则'
    """

    def __init__(self) -> None:
        self._paragraph: list[str] = []
        self._blocks: list[str] = []
        self._cells: list[str] = []
        self._rows: list[_Row] = []
        self._edges: list[int] = []
        self._merges: list[str] = []  # of the cells of the row, such as "vmrg"
        self._merge = ""
        self._remarks: list[str] = []  # comments, which are after their paragraph
        self._table_remarks: list[str] = []  # comments in the rows of a table, which are after it
        self._around: list[str] | None = None
        """The paragraph that a comment is on, while that is read."""

    @property
    def begun(self) -> bool:
        """Whether a paragraph has begun."""
        return bool(self._paragraph)

    def add(self, text: str, *, struck: bool) -> None:
        """Add text to the paragraph."""
        add_run(self._paragraph, text, struck=struck)

    def begin_remark(self) -> bool:
        """Begin a comment in the paragraph; return whether none is read already."""
        if self._around is not None:
            return False
        self._around, self._paragraph = self._paragraph, []
        return True

    def end_remark(self) -> None:
        """End the comment, and go on with the paragraph that it is on."""
        if self._around is None:
            return
        text = " ".join(self._paragraph_text().split())
        self._remarks += [remark(text)] if text else []
        self._paragraph, self._around = self._around, None

    def end_nested_row(self) -> None:
        """End a row of a table that is in a cell."""
        self._paragraph.append(_ROW_END)

    def end_paragraph(self, *, level: int, in_table: bool) -> None:
        """End a paragraph, which is a heading where it has a level; in a cell it goes on."""
        if in_table or self._cells or self._around is not None:
            self._paragraph.append(" ")
            return
        text = self._paragraph_text()
        if text:
            self._end_table()
            self._blocks.append(f"{'#' * level} {text}" if level else text)
        self._blocks += self._remarks
        self._remarks = []

    def obey(self, word: str, number: int) -> None:
        """Obey a word of tables; others do nothing."""
        if word == "cell":
            self._cells.append(self._paragraph_text())
        elif word == "row":
            self._rows.append(_Row(self._cells, self._merges, self._edges))
            self._cells = []
            self._table_remarks += self._remarks
            self._remarks = []
        elif word == "trowd":
            self._merges, self._edges, self._merge = [], [], ""
        elif word in {"clvmgf", "clvmrg", "clmgf", "clmrg"}:
            self._merge += word[2:] + " "
        elif word == "cellx":
            self._merges.append(self._merge)
            self._edges.append(number)
            self._merge = ""

    def text(self) -> str:
        """End all, and return it."""
        if self._around is not None:  # of a damaged file
            self.end_remark()
            self.end_paragraph(level=0, in_table=False)
        self._end_table()
        self._blocks += self._remarks
        return one_blank_line(clean("\n\n".join(self._blocks)))

    def _end_table(self) -> None:
        rows = [*self._rows, _Row(self._cells, [], [])] if self._cells else self._rows
        if rows:
            self._blocks.append("\n".join(table_lines(_grid_rows(rows))))
        self._blocks += self._table_remarks
        self._rows, self._cells, self._table_remarks = [], [], []

    def _paragraph_text(self) -> str:
        rows = (row.strip() for row in "".join(self._paragraph).split(_ROW_END))
        self._paragraph = []
        return "; ".join(filter(None, rows))


class _Row(NamedTuple):
    """A row as it is written."""

    cells: list[str]
    merges: list[str]
    """How each cell is merged: ``vmrg`` with the one above, ``mrg`` with the one before."""
    edges: list[int]  # where each ends, in twips


def _grid_rows(rows: Sequence[_Row]) -> list[list[str]]:
    """Return the rows of a table, in which a merged cell stands in each place that it covers."""
    columns = _columns(rows)
    found: list[list[str]] = []
    for row in rows:
        above = found[-1] if found else []
        cells: list[str] = []
        for number, own in enumerate(row.cells):
            merge = row.merges[number].split() if number < len(row.merges) else []
            text = own
            if "vmrg" in merge and len(cells) < len(above):
                text = Continued(above[len(cells)])
            elif "mrg" in merge and cells:
                text = Covered(cells[-1])
            end = _column(columns, row.edges[number]) if number < len(row.edges) else 0
            cells += spanned(text, max(end - len(cells), 1))
        found.append(cells)
    return found


def _columns(rows: Sequence[_Row]) -> list[int]:
    """Return where the columns end; none where the cells of rows don't say."""
    if any(row.edges != sorted(row.edges) or len(row.edges) != len(row.cells) for row in rows):
        return []
    columns: list[int] = []
    for edge in sorted({edge for row in rows for edge in row.edges}):
        if not columns or edge - columns[-1] > _NEAR:
            columns.append(edge)
    return columns


def _column(columns: Sequence[int], edge: int) -> int:
    """Return how many columns end at an edge or before it."""
    return bisect_left(columns, edge - _NEAR) + 1 if columns else 0
