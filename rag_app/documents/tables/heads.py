"""Heads of tables, and the names that they give to columns."""

import re
from collections.abc import Sequence
from itertools import pairwise, starmap
from statistics import median

from rag_app.documents.tables.cells import (
    NOTED,
    SAMPLE,
    TOTAL,
    VALUE,
    Continued,
    Covered,
    Row,
    cells_once,
    filled_cells,
    goes_on,
)
from rag_app.documents.tables.forms import begins_form, is_form, is_row_of_fields, is_row_of_form
from rag_app.documents.tables.periods import (
    PERIOD,
    YEAR,
    is_calendar,
    is_counted,
    is_ordered,
    is_period,
    is_periods,
    without_days,
)
from rag_app.documents.text import HAN_CHARACTER

_RECURRING = 2
"""Rows below that say the same in a column as the first one, which then is not a head."""
_DEEPEST_HEAD = 3  # rows of a head
_MOST_STATED = 4
"""Rows of the head of a statement; more above its last one are of a form, if no cell goes down."""
_FEW_ROWS = 12  # rows of a table in which one such row is enough
_MOST_PAIRS = 40
"""Rows of names with texts beside some and values beside others, up to which none is a head."""
_DIGITS, _LETTER = re.compile(r"[0-9]+"), re.compile(r"[A-Za-z]")
_LONG_LABEL = 60
_SHORT_NAME = 4
"""Characters of Chinese up to which a text names a column rather than says something."""
_WORD = re.compile(r"[A-Za-z]+")
_SEARCHED = 30  # rows in which the head of a table is looked for
_MOSTLY = 0.8
_NONE = "-–—－/"  # what stands where there is no value


def has_labels(rows: Sequence[Row]) -> bool:
    """Return whether a row is labels above columns of which one holds values.

    Example:
        >>> has_labels([["门店", "销售额"], ["常州店", "88.0"]])
        True
        >>> has_labels([["前台在一楼", "食堂在三楼"], ["机房在四楼", "库房在五楼"]])
        False
    """
    return any(
        is_labels(row) and has_values_below(rows, at) for at, row in enumerate(rows[:_SEARCHED])
    )


def head_rows(body: Sequence[Row]) -> tuple[int, int]:
    """Return where the head begins and ends; nowhere if there is none."""
    if all(map(is_row_of_form, body)):
        return 0, 0
    for at in range(min(len(body) - 1, _SEARCHED)):
        dated = is_calendar(body, at) or is_periods(body, at) or (not at and is_counted(body))
        if not dated and not (is_labels(body[at]) and has_values_below(body, at)):
            continue
        if begins_form(body[at : at + 2]) or _is_across(body[at]):
            continue
        if at and (_is_laid_out_alike(body[at - 1], body[at]) or _is_among_rows(body, at)):
            continue
        stop = at + 1
        while stop < len(body) - 1 and (
            _is_merged_down(body, stop) or (is_labels(body[stop]) and has_values_below(body, stop))
        ):
            stop += 1
        start = at
        while start and _is_over(body, start):
            if start > 1 and _is_laid_out_alike(body[start - 2], body[start - 1]):
                break  # rows of a form
            start -= 1
        while start < stop - 1 and _is_form_above(body[start], body[start + 1]):
            start += 1
        return (stop - 1 if _are_of_form(body[start:stop]) else start), stop
    notes = int(_is_note_over(body))
    return notes, notes + _first_head(body[notes:])


def _are_of_form(head: Sequence[Row]) -> bool:
    """Return whether the rows of a head, but the last, are too many for one in which none go on."""
    return len(head) > _MOST_STATED and not any(starmap(_goes_down, pairwise(head)))


def _is_among_rows(body: Sequence[Row], at: int) -> bool:
    """Return whether a row fills the columns of the one above it, and a head is above that.

    It then names none of them: there are rows of texts above rows of values in tables of both.
    """
    above, row = body[at - 1], body[at]
    columns = [
        {at for at, cell in enumerate(each) if cell and not isinstance(cell, Covered)}
        for each in (above, row)
    ]
    return (
        columns[0] == columns[1]
        and any(
            is_labels(row) and not is_row_of_fields(row)
            for row in body[max(at - _SEARCHED, 0) : at]
        )
        and not is_row_of_form(above)
        and not is_row_of_fields(above)
        and not _is_over(body, at)
    )


def _first_head(body: Sequence[Row]) -> int:
    """Return how many of the first rows are a head, where no values below tell."""
    if len(body) > 2 and _is_dated(*body[:2]):
        return 2
    if not body or not is_labels(body[0]) or begins_form(body) or is_form(body):
        return 0
    if any(map(PERIOD.fullmatch, body[0])):  # what begins and ends
        return 0
    over_others = next((rows for rows in (2, 3) if _is_merged_head(body, rows)), 0)
    if over_others or not _is_distinct(body[0]) or _is_pairs(body) or _recurs(body):
        return over_others
    merged = [_goes_down(above, below) for above, below in pairwise(body[:SAMPLE])]
    return 2 if len(body) > 2 and merged[0] and not any(merged[1:]) else 1


def _is_note_over(body: Sequence[Row]) -> bool:
    """Return whether the first row is notes beside each other above a head: a date, a place."""
    if len(body) < 3:
        return False
    notes, head, *below = body
    width = max(map(len, body[:SAMPLE]))
    full = len(filled_cells(cells_once(head))) == width == len(head)
    beside = any(cell and at < len(notes) and notes[at] for at, cell in enumerate(head))
    return (
        full
        and beside
        and len(filled_cells(notes)) < width
        and is_labels(head)
        and _is_distinct(head)
        and all(len(row) == width and row[0] for row in below[:SAMPLE])
    )


def _is_pairs(body: Sequence[Row]) -> bool:
    """Return whether two columns are names with texts beside them, the first as long as others.

    Up to forty names may have texts beside some, and values beside others.
    """
    body = [row for row in body if row[1:2] and not isinstance(row[1], Covered)]  # not across
    texts = [row[1] for row in body if row[1]]
    if any(any(row[2:]) for row in body) or len(texts) < 2:
        return False
    values = sum(map(bool, map(VALUE.fullmatch, texts[1:])))
    if len(body) <= _MOST_PAIRS and 0 < values < len(texts) - 1:
        return True
    if len(texts) < len(body):
        return False
    first, *below = map(_width, texts)
    return first > _SHORT_NAME and 2 * first >= median(below)


def _width(text: str) -> int:
    """Return how long a text is, in characters of Chinese; a word counts two."""
    return len(HAN_CHARACTER.findall(text)) + 2 * len(_WORD.findall(text))


def _recurs(body: Sequence[Row]) -> bool:
    """Return whether a cell of the first row, or a code like it, is below it as values are.

    So is one that goes on beside rows below: a photo's. What has names may have one for names.
    """
    below = [row for row in body[1 : 1 + SAMPLE] if list(row) != list(body[0])]
    for at, cell in enumerate(body[0]):
        cells = [row[at] for row in below if at < len(row)]
        beside = sum(goes_on(cell, each) for each in cells)
        if cell and beside > 1 and beside >= min(_DEEPEST_HEAD, len(below)):
            return True
        cells = [each for each in cells if not isinstance(each, (Continued, Covered))]
        fewest = 1 if at and len(body) <= _FEW_ROWS else _RECURRING
        if cell and cells and (cells.count(cell) >= fewest or _is_coded(cell, *cells)):
            return True
    return False


def _is_coded(*cells: str) -> bool:
    """Return whether all cells are codes of one form, ``P-01`` and ``Q-12``, or addresses."""
    if all("@" in cell for cell in cells):
        return True
    forms = {_LETTER.sub("a", _DIGITS.sub("0", cell)) for cell in cells}
    return len(forms) == 1 and "0" in forms.pop()


def _is_merged_head(body: Sequence[Row], rows: int) -> bool:
    """Return whether the first rows are a head of cells that are merged across and downwards."""
    if len(body) <= rows or not all(is_labels(row) for row in body[1:rows]):
        return False
    if _goes_down(*body[rows - 1 : rows + 1]):
        return False
    top, bottom = body[0], body[rows - 1]
    if len(top) != len(bottom):
        return False
    across = {at for at, (first, second) in enumerate(pairwise(top)) if first and first == second}
    across |= {at + 1 for at in across}
    down = all(
        at in across or cell in {below, ""} or not below
        for at, (cell, below) in enumerate(zip(top, bottom, strict=True))
    )
    names = column_names(body[:rows])
    return bool(across) and down and all(names) and len(set(names)) == len(names)


def is_labels(row: Row) -> bool:
    """Return whether all cells of a row may be names of columns."""
    values = without_days(filled_cells(row))
    if len(set(values)) < 2 or all(map(VALUE.fullmatch, values)):
        return False
    notes = list(map(NOTED.fullmatch, values))
    if notes[0] and 2 * sum(map(bool, notes)) > len(notes):  # 姓名：王五 | 工号：1034
        return False
    periods = list(dict.fromkeys(value for value in values if PERIOD.fullmatch(value)))
    named = periods if len(periods) > 1 and is_ordered(periods) else []
    return all(
        len(value) <= _LONG_LABEL
        and (not VALUE.fullmatch(value) or value in named or YEAR.fullmatch(value))
        for value in values
    )


def has_values_below(body: Sequence[Row], at: int) -> bool:
    """Return whether a column below a row of labels holds values."""
    below = [
        row
        for row in body[at + 1 : at + 1 + SAMPLE]
        if (len(set(row)) > 1 or len(row) < 2)
        and not TOTAL.fullmatch("".join(row[:1]))
        and not _is_across(row)
    ]
    is_lower = not body[at][0] and all(row[0] for row in below)  # of a head; all rows have a name
    for column, label in enumerate(body[at]):
        cells = [row[column] for row in below if column < len(row) and row[column]]
        cells = [cell for cell in cells if not isinstance(cell, Covered)]
        cells = [cell for cell in cells if cell.strip(_NONE)] if is_lower else cells
        values = [cell for cell in cells if VALUE.fullmatch(cell)]
        if not label.strip(_NONE) or not values or len(values) < _MOSTLY * len(cells):
            continue
        if not VALUE.fullmatch(label) or not all(map(is_period, values)):
            return True
    return False


def _is_across(row: Row) -> bool:
    """Return whether a row is names with values in a layout of its own."""
    once = cells_once(row)
    covered = sum(isinstance(cell, Covered) for cell in row[len(row) // 2 :])
    if len(once) == 2 and all(once) and covered > 1:  # the value covers the other columns
        return True
    return len(once) < len(row) and is_row_of_fields(row)


def _is_over(body: Sequence[Row], at: int) -> bool:
    """Return whether the row above one may be the upper one of a head."""
    above, below = body[at - 1 : at + 1]
    if is_row_of_form(above):
        return False
    if _goes_down(above, below) or (is_labels(above) and not below[0] and _is_under(body, at)):
        return True  # also units
    names = is_labels(above) or all(map(YEAR.fullmatch, filled_cells(above)))
    return names and not is_row_of_fields(above) and _spans(above, below)


def _is_form_above(row: Row, below: Row) -> bool:
    """Return whether a label ends in a colon in a row, and the row below it is of another kind."""
    return row[0].endswith((":", "：")) and below[0] not in ("", row[0])


def _goes_down(above: Row, below: Row) -> bool:
    """Return whether a cell of a row goes on in the row below, as those of heads in two rows do."""
    return any(starmap(goes_on, zip(above, below, strict=False)))


def _is_merged_down(body: Sequence[Row], at: int) -> bool:
    """Return whether a cell above a row goes on in it, and ends there or in the next row.

    One that stands beside more rows, or beside the last one, names these, not a column; so does
    the first one of a list in a form whose other names are of one column each.
    """
    in_form = at > 1 and len(filled_cells(cells_once(body[at - 2]))) > 1
    if in_form and _names_rows(body[at - 1], body[at]):
        return False
    below = body[at + 1 : at + _DEEPEST_HEAD]
    return any(
        goes_on(label, cell)
        and any(len(row) <= column or not isinstance(row[column], Continued) for row in below)
        for column, (label, cell) in enumerate(zip(body[at - 1], body[at], strict=False))
    )


def _names_rows(above: Row, below: Row) -> bool:
    """Return whether only the first cell of a row goes on below, and none goes on beside it."""
    continued = [at for at, cell in enumerate(below) if isinstance(cell, Continued)]
    return continued == [0] and not any(isinstance(cell, (Covered, Continued)) for cell in above)


def _is_under(body: Sequence[Row], at: int) -> bool:
    """Return whether each cell of a row is under one of the row above, not conversely.

    Only the first two rows of a table whose next row has a name may fill the same columns.
    """
    below, above = ({at for at, cell in enumerate(row) if cell} for row in (body[at], body[at - 1]))
    return below < above or (below == above and at == 1 and any(body[at + 1][:1]))


def _is_dated(above: Row, below: Row) -> bool:
    """Return whether two rows are a head of names that go down and days that are over others."""
    apart = [pair for pair in zip(above, below, strict=False) if not isinstance(pair[1], Continued)]
    return _goes_down(above, below) and all(
        VALUE.fullmatch(day) and name and not VALUE.fullmatch(name) for day, name in apart
    )


def _spans(above: Row, below: Row) -> bool:
    """Return whether cells of a row stand over several of the row below it."""
    filled = [cell for cell in above if cell]
    repeated = any(first and first == second for first, second in pairwise(above))
    return (repeated or len(filled) < len(filled_cells(below))) and len(set(filled)) > 1


def _is_laid_out_alike(above: Row, below: Row) -> bool:
    """Return whether two rows say different things in cells that are merged across alike."""
    layouts = [[first == second for first, second in pairwise(row)] for row in (above, below)]
    return layouts[0] == layouts[1] and True in layouts[0] and list(above) != list(below)


def column_names(rows: Sequence[Row]) -> list[str]:
    """Return the names of the columns: those of several rows of a head, joined."""
    width = max(map(len, rows))
    names: list[list[str]] = [[] for _ in range(width)]
    for number, row in enumerate(rows):
        over = ""
        for column in range(width):
            cell = row[column] if column < len(row) else ""
            over = cell or over
            name = over if number < len(rows) - 1 and not cell else cell
            below = rows[-1][column] if column < len(rows[-1]) else ""
            if name and (cell or below) and name not in names[column]:
                names[column].append(name)
    return ["/".join(parts) for parts in names]


def _is_distinct(row: Row) -> bool:
    """Return whether no cell is like another, but those that a merged one covers."""
    values = filled_cells(cells_once(row))
    return len(set(values)) == len(values)
