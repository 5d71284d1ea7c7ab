"""Tables → text in which every row can be understood alone.

A row becomes a line ``column: value; column: value``, since a passage from the middle of a table
is read without the table's head. Rows of forms become ``label: value``, rows of tables without a
head ``value | value``.
"""

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import groupby, pairwise

Row = Sequence[str]


class Covered(str):
    """The text of a merged cell in a cell that it covers beside it, which rows without a head skip.

    Example:
        >>> list(table_lines([["姓名", "性别", Covered("性别")], ["李白", "男", Covered("男")]]))
        ['姓名 | 性别', '李白 | 男']
    """

    __slots__ = ()


class Continued(str):
    """The text of a merged cell in a row below its first; rows of nothing else are left out.

    Example:
        >>> list(table_lines([["型号", "产地"], ["30", "天津"], [Continued("30"), "无锡"]]))
        ['型号: 30; 产地: 天津', '型号: 30; 产地: 无锡']
        >>> list(table_lines([["须知"], [Continued("须知")]]))
        ['须知']
    """

    __slots__ = ()


_VALUE = re.compile(
    r"(?:~~)?[-+(−]?\s*[¥￥$€£]?\s*\d[\d.,:/\-–%‰\s年月日号时分秒]*(?:[元万亿%‰)]|e[-+]?\d+)?(?:~~)?"
    r"|#(?:DIV/0!|N/A|NAME\?|NULL!|NUM!|REF!|VALUE!)",
    re.IGNORECASE,
)
"""A number, date, time, amount or error, also struck through: what stands in a table, not what
names a column of it."""
_YEAR = re.compile(
    r"(?:FY|Q[1-4]\s*)?(?:19|20)\d\d(?:年|年度|Q[1-4]|H[12]|E|A)?|\d{1,2}[月日]|[1-4]季度"
)
"""What looks like a value and may name a column all the same."""
_DATE = re.compile(r"(?:(?:19|20)\d\d[-/年])?(\d{1,2})[-/月](\d{1,2})日?|((?:19|20)\d\d)年?")
"""A month and day, or a year."""
_FEWEST_DAYS = 7
"""Numbers that follow each other, as those of days, from which on they may name columns."""
_FIELDS = frozenset(
    """
    姓名 性别 民族 籍贯 出生年月 出生日期 年龄 身份证号 身份证号码 政治面貌 婚姻状况 健康状况 学历
    学位 专业 毕业院校 毕业学校 工作单位 所在单位 单位名称 部门 所在部门 职务 职称 岗位 联系电话
    联系方式 电话 手机 手机号码 电子邮箱 邮箱 通讯地址 家庭住址 住址 地址 邮编 申请人 申请日期
    申请部门 联系人 负责人 工作经历 教育经历 自我评价 备注 照片
    Name Gender Sex Age Nationality Title Position Department Company Employer Address City Country
    Phone Telephone Mobile Fax Email E-mail Birthday Education Occupation Signature FirstName
    LastName FullName JobTitle DateofBirth MaritalStatus ZipCode PhoneNumber EmailAddress
    """.casefold().split()
)
"""Names of fields in forms about persons and those who apply for something."""
_FIELD = re.compile(
    r"\w{0,6}(?:名称|姓名|单位|部门|日期|时间|地点|地址|编号|号码|型号|规格|金额|电话|邮箱|传真|内容|主题"
    r"|事由|原因|备注|说明|意见|方式|类型|类别|等级|职务|职称|期限|账号|开户行|签字|签名|盖章|(?:人|人员))"
    r"(?:[（(]\w{1,6}[)）])?"
)
"""Names of fields in other forms."""
_NOTED = re.compile(r"[^：:]{1,12}[：:]\s*[^\s：:].*")
_FEWEST_FIELDS = 3
"""Of a form that is told by their names alone."""
_TOTAL = re.compile(r".{0,10}(?:[合总小共累]\s*计|总\s*数)|(?:grand |sub-?)?totals?", re.IGNORECASE)
_RECURRING = 2
"""Rows below that say the same in a column as the first one, which then is no head."""
_FAR_ACROSS = 3
"""Columns that the first cell of a row covers besides its own where it only names the row."""
_LONG_LABEL = 60
_SEARCHED = 30
"""Rows in which the head of a table is looked for."""
_SAMPLE = 200
"""Rows below by which a column is judged."""
_MOSTLY = 0.8
_MOST_CELLS = 200_000
"""Of a table that are looked at together; the rows below have the same head, one by one."""


def table_lines(rows: Iterable[Row], *, head: int = 0) -> Iterator[str]:
    """Yield the rows that are not empty as lines, each with the names of its columns.

    The head is the first row of labels above columns of values, wherever it stands: below title
    rows, after a form, or in two rows, whose names are joined (``支出/实际``). Where nothing tells,
    the first row of distinct labels is one. Empty rows part tables; one without a head of its own
    keeps that of the table above it.

    Args:
        rows: Of the table.
        head: As many rows the file itself calls the head, believed where nothing else tells.
    """
    yield from _table_lines(rows, head)


def lines_below(
    rows: Sequence[Row], head: Sequence[str] | None = None
) -> tuple[list[str], Sequence[str]]:
    """Return the lines of a part of a table, and the head that the next part goes on with.

    Args:
        rows: Of the part.
        head: What the part before it returned; None where this is the first.
    """
    if head is None:
        lines = _table_lines(rows)
        found: list[str] = []
        while True:
            try:
                found.append(next(lines))
            except StopIteration as end:
                return found, end.value
    filled = [[_flat(cell) for cell in row] for row in rows if any(cell.strip() for cell in row)]
    for count in (3, 2, 1):  # the head, where it is repeated
        if head and len(filled) >= count and _names(filled[:count]) == list(head):
            filled = filled[count:]
    if filled and _is_labels(filled[0]) and _contrast(filled, 0):
        return lines_below(rows)  # another table
    shown = (_named(head, row) for row in filled) if head else _plain_lines(filled)
    return list(shown), head


def has_labels(rows: Sequence[Row]) -> bool:
    """Return whether a row is labels above columns of which one holds values.

    Example:
        >>> has_labels([["门店", "销售额"], ["常州店", "88.0"]])
        True
        >>> has_labels([["前台在一楼", "食堂在三楼"], ["机房在四楼", "库房在五楼"]])
        False
    """
    return any(_is_labels(row) and _contrast(rows, at) for at, row in enumerate(rows[:_SEARCHED]))


def form_lines(rows: Sequence[Row]) -> list[str]:
    """Return the rows of a form as lines; none is the head of those below.

    Example:
        >>> form_lines([["发货人：", "海丰公司"], ["装货港 宁波", "毛重 16T", ""]])
        ['发货人: 海丰公司', '装货港 宁波 | 毛重 16T']
    """
    block = [[_flat(cell) for cell in row] for row in rows if any(cell.strip() for cell in row)]
    return list(map(_form_line, block) if _is_filled_in(block) else _plain_lines(block))


def _table_lines(rows: Iterable[Row], named: int = 0) -> Generator[str, None, list[str]]:
    head: list[str] = []
    rows = (row for row in rows if not _is_continued(row))
    for filled, group in groupby(rows, key=lambda row: any(cell.strip() for cell in row)):
        if filled:
            block = ([_flat(cell) for cell in row] for row in group)
            head = yield from _block_lines(_first_rows(block), head, named)
            for row in block:
                yield from [_named(head, row)] if head else _plain_lines([row])
            named = 0
    return head


def _first_rows(rows: Iterator[list[str]]) -> list[list[str]]:
    """Return as many rows as tell what a table looks like."""
    cells, found = 0, []
    for row in rows:
        found.append(row)
        cells += len(row)
        if cells > _MOST_CELLS:
            break
    return found


def _is_continued(row: Row) -> bool:
    kinds = {type(cell) for cell in row if cell.strip()}
    return Continued in kinds and kinds <= {Continued, Covered}


def _side_by_side(body: Sequence[Row]) -> list[list[Row]]:
    """Return the tables that stand beside each other, apart by an empty column; [] if it is one.

    Each has a head of its own, and their values begin in different rows, or each names its rows:
    else the empty column may only set off some columns of one table.
    """
    width = max(map(len, body), default=0)
    used = [any(at < len(row) and row[at] for row in body) for at in range(width)]
    runs = [list(run) for filled, run in groupby(range(width), key=used.__getitem__) if filled]
    parts = [[row[run[0] : run[-1] + 1] for row in body] for run in runs]
    alone = sum(any(part[0]) for part in parts) == 1
    begins = [_first_values(part, alone=alone) for part in parts]
    if len(parts) > 1 and None not in begins and _name_their_rows(parts):
        return list(map(_titled, parts))
    if None in begins or len(set(begins)) < 2:
        return []
    columns = [
        (runs[group[0]][0], runs[group[-1]][-1] + 1)
        for group in (list(same) for _, same in groupby(range(len(runs)), begins.__getitem__))
    ]
    return [[row[first:end] for row in body] for first, end in columns]


def _name_their_rows(parts: Sequence[Sequence[Row]]) -> bool:
    """Return whether each of the parts that stand beside each other names its rows.

    They do so under the same name, or by texts that are each another, beside values.
    """
    heads = [_head_rows(part) for part in parts]
    names, named = set(), True
    for part, (start, stop) in zip(parts, heads, strict=True):
        head = part[stop - 1]
        if start > 1 or len(head) < 2 or (start and len(_values(part[0])) > 1):
            return False
        names.add(head[0])
        named = named and _names_rows([row for row in part[stop:] if row[0]])
    return named or len(names) == 1


def _titled(table: Sequence[Row]) -> list[Row]:
    """Return a table with the title above its head in each name of it."""
    start, stop = _head_rows(table)
    title = "".join(table[0]) if start else ""
    names = [f"{title}/{name}" if name else "" for name in _names(table[start:stop])]
    return [names, *table[stop:]] if title else list(table)


def _names_rows(rows: Sequence[Row]) -> bool:
    """Return whether the first cells of rows are texts or dates, each another, beside values."""
    names = [row[0] for row in rows]
    texts = [name for name in names if not _VALUE.fullmatch(name) or _DATE.fullmatch(name)]
    values = any(_VALUE.fullmatch(cell) for row in rows for cell in row[1:] if cell)
    return values and len(names) > 1 and len(set(texts)) == len(names)


def _first_values(table: Sequence[Row], *, alone: bool) -> int | None:
    """Return the row in which the values under a head begin, None where there is no head.

    Args:
        table: Its rows, and those of what stands beside it.
        alone: Whether nothing stands beside the first row, which then needs no values to be a head.
    """
    start, stop = _head_rows(table)
    is_head = start < stop and ((alone and start == 0) or _contrast(table, stop - 1))
    return stop if is_head else None


def _block_lines(
    block: list[list[str]], before: list[str], named: int = 0
) -> Generator[str, None, list[str]]:
    """Yield the lines of one table and return its head.

    Args:
        block: Rows of the table.
        before: The head of the table above it.
        named: Rows that the file calls the head.
    """
    if _is_filled_in(block):
        yield from map(_form_line, block)
        return []
    titles = next((at for at, row in enumerate(block) if not _is_title(row)), len(block))
    if titles == len(block):  # nothing but such rows
        titles = next((at for at, row in enumerate(block) if len(set(_values(row))) > 1), titles)
    yield from ("; ".join(dict.fromkeys(_values(row))) for row in block[:titles])
    body = block[titles:]
    if len(body) > 1 and body[0][0] == "0" and body[1][0] == "1":
        below = [["", *body[0][1:]], *body[1:]]
        body = below if _contrast(below, 0) else body  # its rows are numbered from the head on
    tables = _side_by_side(body)
    for table in tables:
        yield from _table_lines(table)
    if tables:
        return []
    start, stop = _head_rows(body)
    if start == stop and 0 < named - titles < len(body):
        stop = named - titles
    if start == stop:
        width = max(map(len, body), default=0)
        head = before if 1 < len(before) == width and not _is_form(body) else []
    else:
        head = _names(body[start:stop])
    yield from _plain_lines(body[:start])
    if not head:
        yield from _plain_lines(body[stop:])
        return head
    used = {column for row in body[stop:] for column, cell in enumerate(row) if cell}
    if 2 * sum(bool(name) and at in used for at, name in enumerate(head)) < len(_values(head)):
        yield " | ".join(_values(head))  # which would be lost: most of it stands over nothing
    yield from (_named(head, row) for row in body[stop:])
    return head


def _head_rows(body: Sequence[Row]) -> tuple[int, int]:
    """Return where the head begins and ends; nowhere if there is none."""
    if _is_form(body) and _is_marked(body):
        return 0, 0
    for at in range(min(len(body) - 1, _SEARCHED)):
        dated = _is_calendar(body, at)
        if not dated and not (_is_labels(body[at]) and _contrast(body, at)):
            continue
        if _is_of_form(body[at]):
            continue
        if at and _is_laid_out_alike(body[at - 1], body[at]):
            continue
        stop = at + 1
        while stop < len(body) - 1 and (
            _goes_down(body[stop - 1], body[stop])
            or (_is_labels(body[stop]) and _contrast(body, stop))
        ):
            stop += 1
        start = at
        while start and _is_over(body[start - 1], body[start]):
            if start > 1 and _is_laid_out_alike(body[start - 2], body[start - 1]):
                break  # rows of a form
            start -= 1
        return start, stop
    return 0, _first_head(body)


def _is_calendar(body: Sequence[Row], at: int) -> bool:
    """Return whether a row is days that follow each other, or years, above columns of others."""
    first, *dates = body[at] or [""]
    found = [_DATE.fullmatch(date) for date in dates]
    if len(found) < 2 or _VALUE.fullmatch(first):
        return False
    days = [(int(match[1]), int(match[2])) for match in found if match and match[1]]
    years = [int(match[3]) for match in found if match and match[3]]
    if len(days) == len(found):
        rising = all(_is_next_day(day, after) for day, after in pairwise(days))
    else:
        rising = len(years) == len(found) and not first and years == sorted(set(years))
    below = [cell for row in body[at + 1 : at + 1 + _SAMPLE] for cell in row[1:] if cell]
    return rising and not any(map(_DATE.fullmatch, below))


def _is_next_day(day: tuple[int, int], after: tuple[int, int]) -> bool:
    """Return whether a month and day follow others, in the same month or as the first of one."""
    return after in {(day[0], day[1] + 1), (day[0] % 12 + 1, 1)}


def _first_head(body: Sequence[Row]) -> int:
    """Return how many of the first rows are a head, where no values below tell."""
    if len(body) > 2 and _is_dated(*body[:2]):
        return 2
    if not body or not _is_labels(body[0]) or _is_form(body) or _recurs(body):
        return 0
    if _is_distinct(body[0]):
        merged = [_goes_down(above, below) for above, below in pairwise(body[:_SAMPLE])]
        return 2 if len(body) > 2 and merged[0] and not any(merged[1:]) else 1
    return next((rows for rows in (2, 3) if _is_merged_head(body, rows)), 0)


def _recurs(body: Sequence[Row]) -> bool:
    """Return whether a cell of the first row stands below it again and again, as values do."""
    below = [row for row in body[1 : 1 + _SAMPLE] if list(row) != list(body[0])]
    return any(
        cell and sum(at < len(row) and row[at] == cell for row in below) >= _RECURRING
        for at, cell in enumerate(body[0])
    )


def _is_merged_head(body: Sequence[Row], rows: int) -> bool:
    """Return whether the first rows are a head of cells that are merged across and downwards."""
    if len(body) <= rows or not all(_is_labels(row) for row in body[1:rows]):
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
    names = _names(body[:rows])
    return bool(across) and down and all(names) and len(set(names)) == len(names)


def _is_title(row: Row) -> bool:
    """Return whether a row stands above a table: one text, or notes such as ``编制：设备科``."""
    values = _values(row)
    return len(set(values)) <= 1 or all(map(_NOTED.fullmatch, values))


def _is_labels(row: Row) -> bool:
    """Return whether all cells of a row may be names of columns."""
    values = _without_days(_values(row))
    if len(set(values)) < 2 or all(map(_VALUE.fullmatch, values)):
        return False
    if all(map(_NOTED.fullmatch, values)):  # 姓名：王五 | 工号：1034
        return False
    return all(
        len(value) <= _LONG_LABEL and (not _VALUE.fullmatch(value) or _YEAR.fullmatch(value))
        for value in values
    )


def _without_days(values: list[str]) -> list[str]:
    """Return what stands in a row besides the days of a month: ``1 2 3 …``, which name columns."""
    days = [value for value in values if value.isdecimal() and len(value) < 3]
    first = int(days[0]) if days else 0
    if len(days) < _FEWEST_DAYS or days != [str(first + at) for at in range(len(days))]:
        return values
    return [value for value in values if value not in days] + [f"{day}日" for day in days]


def _contrast(body: Sequence[Row], at: int) -> bool:
    """Return whether a column below a row of labels holds values."""
    below = [row for row in body[at + 1 : at + 1 + _SAMPLE] if len(set(row)) > 1 or len(row) < 2]
    for column, label in enumerate(body[at]):
        cells = [row[column] for row in below if column < len(row) and row[column]]
        values = [cell for cell in cells if _VALUE.fullmatch(cell)]
        if not label or not values or len(values) < _MOSTLY * len(cells):
            continue
        if not _VALUE.fullmatch(label) or not all(map(_YEAR.fullmatch, values)):
            return True
    return False


def _is_over(above: Row, below: Row) -> bool:
    """Return whether a row may be the upper one of a head."""
    if _goes_down(above, below):
        return not _is_of_form(above)
    if _is_labels(above) and not below[0] and _is_under(above, below):  # units
        return not _is_of_form(above)
    names = _is_labels(above) or all(map(_YEAR.fullmatch, _values(above)))
    return names and not _is_of_form(above) and _spans(above, below)


def _goes_down(above: Row, below: Row) -> bool:
    """Return whether a cell of a row goes on in the row below, as those of heads in two rows do."""
    cells = zip(above, below, strict=False)
    return any(isinstance(cell, Continued) and cell == label for label, cell in cells)


def _is_under(above: Row, below: Row) -> bool:
    """Return whether each cell of a row stands under one of the row above, not conversely."""
    columns = [{at for at, cell in enumerate(row) if cell} for row in (below, above)]
    return columns[0] < columns[1]


def _is_dated(above: Row, below: Row) -> bool:
    """Return whether two rows are a head of names that go down and days that stand over others."""
    apart = [pair for pair in zip(above, below, strict=False) if not isinstance(pair[1], Continued)]
    return _goes_down(above, below) and all(
        _VALUE.fullmatch(day) and name and not _VALUE.fullmatch(name) for day, name in apart
    )


def _spans(above: Row, below: Row) -> bool:
    """Return whether cells of a row stand over several of the row below it."""
    filled = [cell for cell in above if cell]
    repeated = any(first and first == second for first, second in pairwise(above))
    return (repeated or len(filled) < len(_values(below))) and len(set(filled)) > 1


def _is_laid_out_alike(above: Row, below: Row) -> bool:
    """Return whether two rows say different things in cells that are merged across alike."""
    layouts = [[first == second for first, second in pairwise(row)] for row in (above, below)]
    return layouts[0] == layouts[1] and True in layouts[0] and list(above) != list(below)


def _names(rows: Sequence[Row]) -> list[str]:
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
    values = _values(row)
    return len(set(values)) == len(values)


def _is_form(body: Sequence[Row]) -> bool:
    """Return whether all rows are pairs of a label and its value side by side."""
    if not body or not all(map(_pairs, body)):
        return False
    return _is_marked(body) or all("" in row[1:-1] for row in body)


def _is_marked(body: Sequence[Row]) -> bool:
    return all(label.endswith((":", "：")) for row in body for label, _ in _pairs(row))


def _is_of_form(row: Row) -> bool:
    """Return whether a row is labels that end in a colon, each with its value beside it."""
    cells = _laid_out(row)
    return bool(_pairs(cells)) and _is_marked([cells])


def _pairs(row: Row) -> list[tuple[str, str]]:
    """Return a row as pairs of label and value; [] if it is none."""
    runs = [list(run) for filled, run in groupby(row, key=bool) if filled]
    if any(len(run) % 2 for run in runs):
        return []
    pairs = [(run[at], run[at + 1]) for run in runs for at in range(0, len(run), 2)]
    return [] if any(_VALUE.fullmatch(label) for label, _ in pairs) else pairs


def _is_filled_in(block: Sequence[Row]) -> bool:
    """Return whether labels and values take turns: as in forms that somebody fills in."""
    rows = [_laid_out(row) for row in block]
    labels = {cell for row in rows for cell in row[::2] if len(row) > 1}
    values = [cell for row in rows for cell in row[1::2]]
    personal = {label for label in labels if _compact(label) in _FIELDS}
    named = {label for label in labels if _is_field(label)}
    return (
        sum(not named.isdisjoint(row[::2]) for row in rows) > 1
        and (
            len(personal) > max(1, len(labels) // 4)
            or len(named) >= max(_FEWEST_FIELDS, len(labels) / 2)
        )
        and not any(map(_is_field, values))
        and not any(_VALUE.fullmatch(label) for label in labels)
    )


def _is_field(label: str) -> bool:
    return _compact(label) in _FIELDS or _FIELD.fullmatch(_compact(label)) is not None


def _form_line(row: Row) -> str:
    cells = _laid_out(row)
    pairs = [cells[at : at + 2] for at in range(0, len(cells), 2)]
    named = ([pair[0].rstrip(":："), *pair[1:]] for pair in pairs if any(pair))
    return "; ".join(": ".join(filter(None, pair)) for pair in named)


def _laid_out(row: Row) -> list[str]:
    """Return the cells of a row, merged ones once."""
    return [cell for cell in row if not isinstance(cell, Covered)]


def _compact(label: str) -> str:
    return "".join(label.split()).rstrip(":：").casefold()


def _plain_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield rows that no head names: pairs of a form, or values side by side."""
    rows = [[cell for cell in row if not isinstance(cell, Covered)] for row in rows]
    form = _is_form(rows)
    for row in rows:
        if form or _is_of_form(row):
            yield "; ".join(f"{label.rstrip(':：')}: {value}" for label, value in _pairs(row))
        else:
            yield " | ".join(_values(row))


def _named(head: Row, row: Row) -> str:
    if _is_section(head, row):
        return row[0]
    if _is_note(head, row):
        return "; ".join(dict.fromkeys(_values(row)))
    if _is_of_form(row):
        return next(_plain_lines([row]))
    names = [*head, *[""] * (len(row) - len(head))]
    covered = [cell == row[0] and isinstance(cell, Covered) for cell in row]
    if _TOTAL.fullmatch(row[0]) or sum(covered) >= _FAR_ACROSS:  # of the first column only
        row = ["" if over else cell for over, cell in zip(covered, row, strict=True)]
    named = zip(names, row, strict=False)
    parts = [f"{name}: {cell}" if name else cell for name, cell in named if cell]
    return "; ".join(part for part, _ in groupby(parts))  # a cell merged under one name, once


def _is_note(head: Row, row: Row) -> bool:
    """Return whether a row is signed below a table, as by ``制表：王敏``, not in its columns."""
    values = _values(row)
    first = next((at for at, cell in enumerate(row) if cell), len(head))
    if 2 * first >= len(head) or not _NOTED.fullmatch(values[0]):
        return False
    most = 4 if any(map(_VALUE.fullmatch, values)) else 2
    return most * len(values) < len(_values(head))


def _is_section(head: Row, row: Row) -> bool:
    """Return whether a row is one text that stands across the table."""
    if _VALUE.fullmatch(row[0]):
        return False
    return len(head) > 2 if len(row) == 1 else len(set(row)) == 1


def _values(row: Row) -> list[str]:
    return [cell for cell in row if cell]


def _flat(cell: str) -> str:
    return type(cell)(" ".join(cell.split()))


def spanned(text: str, columns: int) -> list[str]:
    """Return the cells of a merged one that covers so many columns."""
    return [text, *[Covered(text)] * (columns - 1)]
