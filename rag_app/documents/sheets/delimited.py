"""CSV and its kin → text; what separates the values follows from many lines, not from the first."""

import csv
import re
from collections import Counter
from itertools import islice

from rag_app.documents.progress import counted
from rag_app.documents.sheets.table_bounds import TableBounds
from rag_app.documents.tables import table_lines
from rag_app.documents.text import lines_of

_DELIMITERS = ",;\t|，；^"
_MARK = re.compile(r'"?sep=([^\r\n])"?(?:\r\n?|\n)', re.IGNORECASE)
_AS_TEXT = re.compile(r'="([^"]*)"')  # what keeps Excel from taking digits for a number
_SAMPLE_LINES = 200


def read_csv(text: str, name: str) -> str:
    """Return a table of separated values, whatever separates them, as lines of text.

    Raises:
        DocumentError: the table is too large.
    """
    text = text.lstrip("\ufeff")
    if mark := _MARK.match(text):  # Excel's own
        delimiter, text = mark[1], text[mark.end() :]
    else:
        delimiter = _delimiter(text)
    bounds = TableBounds(name)
    lines = (f"{line}\n" for line in lines_of(text))
    rows = counted(csv.reader(lines, delimiter=delimiter, skipinitialspace=True), "rows")
    try:
        return "\n".join(bounds.lines(table_lines(bounds.rows(map(_values, rows)))))
    except csv.Error:  # a quote that never closes: no table, but text all the same
        return text


def _values(row: list[str]) -> list[str]:
    return [text[1] if (text := _AS_TEXT.fullmatch(cell.strip())) else cell for cell in row]


def _delimiter(text: str) -> str:
    """Return the delimiter that splits most lines into the same number of values."""
    sample = list(islice((line for line in lines_of(text) if line.strip()), _SAMPLE_LINES))

    def agreement(delimiter: str) -> tuple[float, int]:
        try:
            rows = list(csv.reader(sample, delimiter=delimiter, skipinitialspace=True))
        except csv.Error:
            return 0.0, 0
        widths = Counter(len(row) for row in rows if len(row) > 1)
        if not widths:
            return 0.0, 0
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
        return count / len(rows), width

    return max(_DELIMITERS, key=agreement)
