"""markdownify, completed: tables whose rows can be read alone, and tags that it glues together."""

import re
from collections.abc import Iterator
from itertools import pairwise

from bs4.element import NavigableString, PreformattedString, Tag
from markdownify import MarkdownConverter

from rag_app.documents.number_formats.numerals import numeral
from rag_app.documents.tables import table_lines
from rag_app.documents.tables.cells import MOST_SPAN, MergedCells, span_of
from rag_app.documents.web.torn_tags import BLOCKS

_CELLS = ["td", "th"]
_FLOW = ["table", "h1", "h2", "h3", "h4", "h5", "h6", "article", "section", "form"]
"""What stands in the cells of a table that only lays out a page."""
_PARTS = {
    "rowgroup": "tbody", "row": "tr", "columnheader": "th", "rowheader": "th",
    "cell": "td", "gridcell": "td",
}  # fmt: skip
"""Role of a part of a table (ARIA) → the tag that has it."""
_NUMERALS = {
    **dict.fromkeys(("a", "lower-alpha", "lower-latin"), "lowerLetter"),
    **dict.fromkeys(("A", "upper-alpha", "upper-latin"), "upperLetter"),
    **dict.fromkeys(("i", "lower-roman"), "lowerRoman"),
    **dict.fromkeys(("I", "upper-roman"), "upperRoman"),
    **dict.fromkeys(("cjk-ideographic", "simp-chinese-informal"), "chineseCounting"),
    "trad-chinese-informal": "taiwaneseCounting",
}
"""How a list counts (HTML's type, or CSS) → numbering format."""
_COUNTED = re.compile(r"list-style(?:-type)?\s*:\s*([\w-]+)")
_MOST_CHARACTERS = 20_000_000  # characters of a table; spans multiply them


def converter() -> MarkdownConverter:
    """Return a converter of a part of a page into Markdown, without addresses and pictures."""
    return _Converter(
        heading_style="atx",
        bullets="-",
        strip=["a", "img"],
        escape_asterisks=False,
        escape_underscores=False,
    )


class _Converter(MarkdownConverter):
    def convert_table(self, table: Tag, text: str, parent_tags: set[str]) -> str:
        caption = table.caption
        title = _flat(caption) if caption else ""
        outside = " ".join(_outside(table))
        lines = "\n".join([outside, title, *table_lines(table_rows(table), head=_head_rows(table))])
        return f" {lines.strip()} " if "_inline" in parent_tags else f"\n\n{lines.strip()}\n\n"

    def convert_summary(self, tag: Tag, text: str, parent_tags: set[str]) -> str:
        return text if "_inline" in parent_tags else f"\n\n{text.strip()}\n\n"

    convert_button = convert_details = convert_dialog = convert_legend = convert_summary
    convert_header = convert_main = convert_address = convert_figure = convert_summary
    convert_fieldset = convert_form = convert_center = convert_option = convert_summary

    def convert_li(self, tag: Tag, text: str, parent_tags: set[str]) -> str:
        item: str = super().convert_li(tag, text, parent_tags)  # type: ignore[misc]
        return re.sub(r"^\d+(?=\.)", lambda number: _numbered(tag, int(number[0])), item)

    convert_dd = convert_td = convert_th = convert_tr = convert_summary


def _numbered(item: Tag, number: int) -> str:
    """Return the number of an item as its list counts.

    Args:
        item: An item of an ordered list.
        number: Its own, if none of the list said which it is.
    """
    items = [item, *item.find_previous_siblings("li")]
    step = 1
    if item.parent and item.parent.has_attr("reversed"):
        step = -1
        if not item.parent.get("start"):
            number = len(item.find_next_siblings("li")) + 1
        else:
            number -= 2 * (len(items) - 1)
    for distance, each in enumerate(items):
        if str(each.get("value", "")).isdecimal():
            number = int(str(each["value"])) + step * distance
            break
    places = (item, item.parent or item)
    kinds = [str(place.get("type") or "") for place in places]
    kinds += [kind for place in places for kind in _COUNTED.findall(str(place.get("style") or ""))]
    return next(
        (numeral(number, _NUMERALS[kind]) for kind in kinds if kind in _NUMERALS), str(number)
    )


def unfold_layout(part: Tag) -> None:
    """Make blocks of the tables that only lay out a page: those that hold headings or tables.

    What has heads of columns is a table all the same; those in its cells come after it.
    """
    for table in part.find_all(role=["table", "grid", "treegrid"]):
        _make_table(table)
    for table in reversed(part.find_all("table")):
        if any(tag.name == "th" for tag in _own(table)):
            for inner in reversed(table.find_all("table")):
                table.insert_after(inner.extract())
    for table in part.find_all("table"):
        is_none = table.get("role") in {"presentation", "none"} or _lays_out_code(table)
        if is_none or table.find(_FLOW):
            for tag in [*_own(table), table]:
                tag.name = "div"


def _lays_out_code(table: Tag) -> bool:
    """Return whether a table holds code and the numbers of its lines, and nothing else."""
    cells = [tag for tag in _own(table) if tag.name in {"td", "th"}]
    code = [cell for cell in cells if cell.find("pre") is not None]
    others = "".join(cell.get_text() for cell in cells if cell.find("pre") is None).split()
    return bool(code) and all(word.isdecimal() for word in others)


def _make_table(part: Tag) -> None:
    """Give the parts of a table that only their roles make one the names of such parts."""
    if part.name == "table" or part.find(role=["cell", "gridcell"]) is None:
        return
    part.name = "table"
    for tag in part.find_all(role=list(_PARTS)):
        if tag.name not in _PARTS.values():
            tag.name = _PARTS[str(tag["role"])]


def _own(table: Tag) -> Iterator[Tag]:
    """Yield the rows and cells of a table, not those of a table in it."""
    waiting = [table]
    while waiting:
        for tag in waiting.pop().find_all(
            ["thead", "tbody", "tfoot", "tr", "td", "th"], recursive=False
        ):
            yield tag
            waiting.append(tag)


def table_rows(table: Tag) -> list[list[str]]:
    """Return the text of a table's cells; a cell that covers several is repeated in each."""
    _begin_rows(table)
    rows: list[list[str]] = []
    merged = MergedCells()
    seen = 0
    group = None
    for row in table.find_all("tr"):
        if row.parent is not group:  # no cell goes on beyond its group
            merged, group = MergedCells(), row.parent
        # A cell that is not closed holds the next one.
        found = [cell for cell in row.find_all(_CELLS) if cell.find_parent("tr") is row]
        cells = merged.row((cell.text, cell.columns, cell.rows) for cell in _labels_marked(found))
        seen += len(cells) + sum(map(len, cells))
        if seen > _MOST_CHARACTERS:
            break
        rows.append(cells)
    return rows


def _begin_rows(table: Tag) -> None:
    """Put cells that stand in no row into one, as browsers do."""
    for group in [table, *table.find_all(["thead", "tbody", "tfoot"])]:
        if group.find(_CELLS, recursive=False) is None:
            continue
        children = list(group.children)
        group.clear()
        row: Tag | None = None
        for child in children:
            if not isinstance(child, Tag) or child.name not in _CELLS:
                group.append(child)
                row = None if isinstance(child, Tag) else row
                continue
            if row is None:
                row = Tag(name="tr")
                group.append(row)
            row.append(child)


def _outside(table: Tag) -> Iterator[str]:
    """Yield what stands between the cells of a table, which browsers show above it."""
    for text in table.find_all(string=True):
        within = text.find_parent([*_CELLS, "caption", "table"])
        if within is table and not isinstance(text, PreformattedString) and text.strip():
            yield " ".join(text.split())


def _head_rows(table: Tag) -> int:
    """Return how many rows a table begins with in which each cell is a name.

    One cell alone below several names a part of the rows, not their columns.
    """
    count, several = 0, False
    for row in table.find_all("tr"):
        names = len(row.find_all("th"))
        if not names or row.find("td") is not None or (several and names == 1):
            break
        count, several = count + 1, several or names > 1
    return count


class _Cell:
    def __init__(self, tag: Tag) -> None:
        self.text = _flat(tag)
        self.columns = _span(tag, "colspan")
        self.rows = _span(tag, "rowspan")


def _labels_marked(tags: list[Tag]) -> Iterator[_Cell]:
    """Yield the cells of a row; where labels and values take turns, the labels end in a colon."""
    kinds = [tag.name for tag in tags]
    form = len(kinds) > 1 and kinds[0] == "th" and all(a != b for a, b in pairwise(kinds))
    for tag in tags:
        cell = _Cell(tag)
        if form and len(kinds) % 2 == 0 and tag.name == "th" and cell.text:
            cell.text = cell.text.rstrip(":：") + ":"
        yield cell


def _span(tag: Tag, name: str) -> int:
    value = str(tag.get(name, "1")).strip()
    if name == "rowspan" and value == "0":  # to the end of its group
        return MOST_SPAN
    return span_of(value)


def _flat(tag: Tag) -> str:
    """Return the text of a cell in one line."""
    parts: list[str] = []
    for node in tag.descendants:
        if _is_block(node) or _is_block(node.previous_sibling):
            parts.append(" ")
        if isinstance(node, Tag):
            continue
        if isinstance(node, NavigableString) and not isinstance(node, PreformattedString):
            parts.append(node if tag.name not in _CELLS or node.find_parent(_CELLS) is tag else "")
    return " ".join("".join(parts).split())


def _is_block(node: object) -> bool:
    return isinstance(node, Tag) and node.name in BLOCKS
