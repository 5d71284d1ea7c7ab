"""The cells of tables: merged ones, and what is a value."""

import re
from collections.abc import Sequence

Row = Sequence[str]


class Covered(str):
    """The text of a merged cell in a cell that it covers beside it, which rows without a head skip.

    Example:
        >>> from rag_app.documents.tables import table_lines
        >>> list(table_lines([["姓名", "性别", Covered("性别")], ["李白", "男", Covered("男")]]))
        ['姓名 | 性别', '李白 | 男']
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


VALUE = re.compile(
    r"(?:~~)?[-+(−]?\s*[¥￥$€£]?\s*\d[\d.,:/\-–%‰\s年月日号时分秒]*(?:[元万亿%‰)]|e[-+]?\d+)?(?:~~)?"
    r"|#(?:DIV/0!|N/A|NAME\?|NULL!|NUM!|REF!|VALUE!)",
    re.IGNORECASE,
)
"""A number, date, time, amount or error, also struck through: what is in a table, not what
names a column of it."""
NOTED = re.compile(r"[^：:]{1,12}[：:]\s*[^\s：:].*")


def cells_once(row: Row) -> list[str]:
    """Return the cells of a row, merged ones once."""
    return [cell for cell in row if not isinstance(cell, Covered)]


def filled_cells(row: Row) -> list[str]:
    """Return the cells of a row that are not empty."""
    return [cell for cell in row if cell]


def one_line(cell: str) -> str:
    """Return a cell, of its kind, without line breaks and runs of spaces."""
    return type(cell)(" ".join(cell.split()))


def spanned(text: str, columns: int) -> list[str]:
    """Return the cells of a merged one that covers so many columns."""
    return [text, *[Covered(text)] * (columns - 1)]
