"""Forms: labels with their values beside them."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from rag_app.documents.tables.cells import VALUE, Continued, Covered, Row, cells_once, filled_cells

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
    r"|对象|题目|版本号?|事由|原因|备注|说明|意见|方式|类型|类别|等级|职务|职称|期限|账号|开户行|签字|签名|盖章|(?:人|人员))"
    r"(?:[（(]\w{1,6}[)）])?"
)
"""Names of fields in other forms."""
_CODE = re.compile(r"(?!(?:19|20)\d\d|Q\d)[!-~]*\d[!-~]*\S{0,3}")
"""A number or amount that is no year or quarter, as may name a column."""
_DIGIT = re.compile(r"\d")
_FEWEST_ROWS = 2
_FEWEST_FIELDS = 3  # fields of a form that is recognized by their names alone


def is_form(body: Sequence[Row]) -> bool:
    """Return whether all rows are pairs of a label and its value side by side."""
    if not body or not all(map(label_pairs, body)):
        return False
    return is_marked(body) or all("" in row[1:-1] for row in body)


def is_marked(body: Sequence[Row]) -> bool:
    """Return whether all labels of pairs end in a colon."""
    return all(label.endswith((":", "：")) for row in body for label, _ in label_pairs(row))


def sections(block: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Return the parts of a form, each with its name, which a cell beside all its rows says.

    Example:
        >>> from rag_app.documents.tables.cells import Continued
        >>> sections([["经历", "单位"], [Continued("经历"), "一中"], ["备注", "无"]])
        [('经历', [['单位'], ['一中']]), ('', [['备注', '无']])]
    """
    found: list[tuple[str, list[Row]]] = []
    for at, row in enumerate(block):
        below = block[at + 1] if at + 1 < len(block) else [""]
        if isinstance(row[0], Continued) and found:
            found[-1][1].append(row[1:])
        elif isinstance(below[0], Continued):
            found.append((row[0], [row[1:]]))
        elif found and not found[-1][0]:
            found[-1][1].append(row)
        else:
            found.append(("", [row]))
    return found


def is_row_of_form(row: Row) -> bool:
    """Return whether a row is labels that end in a colon, each with its value beside it."""
    cells = cells_once(row)
    return bool(label_pairs(cells)) and is_marked([cells])


def is_row_of_fields(row: Row) -> bool:
    """Return whether a row is several names of a form's fields, each with its value beside it."""
    pairs = label_pairs(cells_once(row))
    return (
        len(pairs) > 1
        and all(_is_field(label) for label, _ in pairs)
        and not any(_is_field(value) for _, value in pairs)
    )


def begins_form(body: Sequence[Row]) -> bool:
    """Return whether the first row is one of a form.

    Its labels end in a colon, or it begins with a field's name above a row of fields, and its
    last value may be missing.
    """
    first, *below = map(cells_once, body[:2])
    if is_row_of_form(first):
        return not first[-1].endswith((":", "："))
    is_named = _is_field(first[0]) and not any(map(_is_field, first[1::2]))
    return is_named and any(map(is_row_of_fields, below))


def label_pairs(row: Row) -> list[tuple[str, str]]:
    """Return a row as pairs of label and value; [] if it is not one."""
    runs = [list(run) for filled, run in groupby(row, key=bool) if filled]
    if any(len(run) % 2 for run in runs):
        return []
    pairs = [(run[at], run[at + 1]) for run in runs for at in range(0, len(run), 2)]
    return [] if any(VALUE.fullmatch(label) for label, _ in pairs) else pairs


def is_filled_in(block: Sequence[Row]) -> bool:
    """Return whether labels and values take turns: as in forms that somebody fills in."""
    if _is_specification(block) or all(map(is_row_of_form, block)):
        return True
    rows = [cells_once(row) for row in block]
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
        and not any(VALUE.fullmatch(label) for label in labels)
    )


def _is_specification(block: Sequence[Row]) -> bool:
    """Return whether each row is several names, most of all with an amount beside them."""
    rows = [row for row in map(cells_once, block) if len(row) > 1]
    if len(rows) < _FEWEST_ROWS or not all(map(label_pairs, rows)):
        return False
    label, value = rows[0][:2]
    if any(len(row) < 4 for row in rows) and not (_is_field(label) and _CODE.fullmatch(value)):
        return False
    pairs = [label_pairs(row) for row in rows]
    labels = [label for row in pairs for label, _ in row]
    amounts = [[bool(_DIGIT.search(value)) for _, value in row] for row in pairs]
    named = len(set(labels)) == len(labels) and not any(map(_DIGIT.search, labels))
    return named and all(map(any, amounts)) and 2 * sum(map(sum, amounts)) >= len(labels)


def _is_field(label: str) -> bool:
    return _compact(label) in _FIELDS or _FIELD.fullmatch(_compact(label)) is not None


def form_line(row: Row) -> str:
    """Return a row of a form that somebody fills in as one line."""
    cells = cells_once(row)
    pairs: Sequence[Row] = label_pairs(cells)  # of which empty cells may be between them
    pairs = pairs or [cells[at : at + 2] for at in range(0, len(cells), 2)]
    named = ([pair[0].rstrip(":："), *pair[1:]] for pair in pairs if any(pair))
    return "; ".join(": ".join(filter(None, pair)) for pair in named)


def _compact(label: str) -> str:
    return "".join(label.split()).rstrip(":：").casefold()


def plain_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield rows that no head names: pairs of a form, or values side by side."""
    rows = [[cell for cell in row if not isinstance(cell, Covered)] for row in rows]
    form = is_form(rows)
    for row in rows:
        if form or is_row_of_form(row) or is_row_of_fields(row):
            yield "; ".join(f"{label.rstrip(':：')}: {value}" for label, value in label_pairs(row))
        else:
            yield " | ".join(filled_cells(row))
