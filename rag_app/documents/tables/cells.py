"""The cells of tables: merged ones, and what is a value."""

import re
from collections.abc import Iterable, Sequence

Row = Sequence[str]

SAMPLE = 200
"""Rows by which it is judged what columns hold."""
MOST_SPAN = 1000
"""Columns (HTML's own limit) or rows that a cell may cover."""


class Covered(str):
    """The text of a merged cell in a cell that it covers beside it, which lines of rows skip.

    Example:
        >>> from rag_app.documents.tables import table_lines
        >>> list(table_lines([["姓名", "性别", Covered("性别")], ["李白", "男", Covered("男")]]))
        ['姓名: 李白; 性别: 男']
    """

    __slots__ = ()


class Continued(str):
    """The text of a merged cell in a row below its first; rows of nothing else are left out.

    Example:
        >>> from rag_app.documents.tables import table_lines
        >>> list(table_lines([["型号", "产地"], ["30", "天津"], [Continued("30"), "无锡"]]))
        ['型号: 30; 产地: 天津', '型号: 30; 产地: 无锡']
        >>> list(table_lines([["须知"], [Continued("须知")]]))
        ['须知']
    """

    __slots__ = ()


def goes_on(text: str, cell: str) -> bool:
    """Return whether a cell is one that a merged cell with that text covers below its first."""
    return isinstance(cell, Continued) and cell == text


VALUE = re.compile(
    r"(?:~~)?[-+(−]?\s*[¥￥$€£]?\s*\d[\d.,:/\-–%‰\s年月日号时分秒]*(?:[元万亿%‰)]|e[-+]?\d+)?(?:~~)?"
    r"(?:\[\^\w+\])*|#(?:DIV/0!|N/A|NAME\?|(?:NULL|NUM|REF|VALUE|SPILL|CALC|FIELD|BLOCKED|BUSY)!)",
    re.IGNORECASE,
)
"""A number, date, time, amount or error, also struck through or with notes: what is in a table,
not what names a column of it."""
TOTAL = re.compile(
    r".{0,10}(?:[合总小共累]\s*计|总\s*数|平均[分值数]?)(?:人民币|金额)?(?:[（(]\w{1,4}[)）])?[：:]?"
    r"|(?:grand |sub-?)?totals?|average",
    re.IGNORECASE,
)
"""The name of a row that adds up those above it."""
NOTED = re.compile(r"(?![\d\s：:~～至—–-]+\Z)[^：:]{1,12}[：:]\s*[^\s：:].*")
"""A name with what it says behind a colon, but not times of day alone."""


def cells_once(row: Row) -> list[str]:
    """Return the cells of a row, merged ones once."""
    return [cell for cell in row if not isinstance(cell, Covered)]


def filled_cells(row: Row) -> list[str]:
    """Return the cells of a row that are not empty."""
    return [cell for cell in row if cell]


def one_line(cell: str) -> str:
    """Return a cell, of its kind, without line breaks and runs of spaces."""
    return type(cell)(" ".join(cell.split()))


def span_of(written: str) -> int:
    """Return how many columns or rows a merged cell covers, as a file says; 1 if it is no number.

    Example:
        >>> span_of("3"), span_of("3em"), span_of("100000")
        (3, 1, 1)
    """
    return min(max(int(written), 1), MOST_SPAN) if written.isdecimal() and len(written) < 6 else 1


def spanned(text: str, columns: int) -> list[str]:
    """Return the cells of a merged one that covers so many columns."""
    return [text, *[Covered(text)] * (columns - 1)]


def cover(rows: Sequence[list[str]], left: int, right: int) -> None:
    """Put the text of a merged cell in all that it covers: the columns of rows from its first on.

    Example:
        >>> rows = [["产地", "价格", ""], ["天津"]]
        >>> cover(rows, 1, 3)
        >>> rows
        [['产地', '价格', '价格'], ['天津', '价格', '价格']]
    """
    text = rows[0][left]
    for at, row in enumerate(rows):
        row.extend([""] * (right - len(row)))
        row[left:right] = spanned(Continued(text) if at else text, right - left)


class HiddenColumns(set[int]):
    """Columns, from 0, that are left out of the rows of a sheet.

    Example:
        >>> hidden = HiddenColumns([1, 2])
        >>> hidden.without(["张三", "3204", "", "8101"]), hidden.used
        (['张三', '8101'], {1})
    """

    def __init__(self, columns: Iterable[int] = ()) -> None:
        super().__init__(columns)
        self.used: set[int] = set()
        """Those in which something was left out."""

    def without(self, row: list[str]) -> list[str]:
        """Return the cells of a row that can be seen."""
        if not self:
            return row
        self.used |= {at for at, cell in enumerate(row) if cell and at in self}
        return [cell for at, cell in enumerate(row) if at not in self]


class MergedCells:
    """The rows of a table, one after the other, whose cells may cover those below them.

    Example:
        >>> table = MergedCells()
        >>> table.row([("产地", 1, 2), ("价格", 2, 1)]), table.row([("一月", 1, 1), ("二月", 1, 1)])
        (['产地', '价格', '价格'], ['产地', '一月', '二月'])
    """

    def __init__(self) -> None:
        self._below: dict[int, tuple[int, str]] = {}  # column → rows still covered, and their text

    def row(self, cells: Iterable[tuple[str, int, int]]) -> list[str]:
        """Return the next row, of the text, columns and rows of each cell that begins in it."""
        row: list[str] = []
        self.fill(row)
        for text, columns, rows in cells:
            self.append(row, text, columns, rows)
        return row

    def append(self, row: list[str], text: str, columns: int, rows: int) -> None:
        """Append a cell to a row so far, and those behind it that cells above cover."""
        for part in spanned(text, columns):
            if rows > 1:
                self._below[len(row)] = (rows - 1, part)
            row.append(part)
        self.fill(row)

    def fill(self, row: list[str], columns: int = 0) -> None:
        """Append the cells that those above cover, and empty ones up to so many columns."""
        while len(row) in self._below or len(row) < columns:
            left, text = self._below.pop(len(row), (0, ""))
            if left > 1:
                self._below[len(row)] = (left - 1, text)
            row.append(text if isinstance(text, Covered) or not left else Continued(text))
