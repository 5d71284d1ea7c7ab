"""CSV and its kin → text; what separates the values is told by many lines, not by the first."""

import csv
from collections import Counter
from io import StringIO

from rag_app.documents.tables import table_lines

_DELIMITERS = ",;\t|，；^"
_SAMPLE_LINES = 200


def read_csv(text: str) -> str:
    """Return a table of separated values, whatever separates them, as lines of text."""
    lines = text.lstrip("\ufeff").split("\n")
    delimiter = ""
    if lines[0].lower().startswith("sep=") and len(lines[0].strip()) == 5:  # Excel's own mark
        delimiter, lines = lines[0].strip()[4], lines[1:]
    delimiter = delimiter or _delimiter(lines)
    try:
        rows = list(csv.reader(StringIO("\n".join(lines)), delimiter=delimiter))
    except csv.Error:  # a quote that never closes: no table, but text all the same
        return text
    return "\n".join(table_lines(rows))


def _delimiter(lines: list[str]) -> str:
    """Return what parts most lines into one and the same number of values."""
    sample = [line for line in lines if line.strip()][:_SAMPLE_LINES]

    def agreement(delimiter: str) -> tuple[float, int]:
        try:
            rows = list(csv.reader(sample, delimiter=delimiter))
        except csv.Error:
            return 0.0, 0
        widths = Counter(len(row) for row in rows if len(row) > 1)
        if not widths:
            return 0.0, 0
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
        return count / len(rows), width

    return max(_DELIMITERS, key=agreement)
