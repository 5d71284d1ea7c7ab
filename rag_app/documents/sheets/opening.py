"""Workbooks opened by openpyxl, without what it fails at or would make too many cells of."""

import re
import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from lxml import etree

from rag_app.documents.archive import ROOT
from rag_app.documents.office.package import LARGE, is_strict, parsed, plain_name, rewritten

if TYPE_CHECKING:
    from rag_app.documents.sheets.book_reader import BookReader

_UNCALCULATED = re.compile(
    rb"<(?:\w+:)?c (?![^>]*\bt=\"str\")[^>]*>"
    rb"\s*<(?:\w+:)?f(?:\s[^>]*)?(?:/>|>[^<]*</(?:\w+:)?f>)"
    rb"\s*(?:<(?:\w+:)?v\s*/>\s*|<(?:\w+:)?v></(?:\w+:)?v>\s*)?</(?:\w+:)?c>"
)
"""A cell with a formula and no value; an empty text is one."""
_TO_CALCULATE = re.compile(rb"fullCalcOnLoad=[\"'](?:1|true)")
_GUESSED = re.compile(
    rb"(<(?:\w+:)?f(?:\s[^>]*)?(?:/>|>[^<]*</(?:\w+:)?f>)\s*)<(?:\w+:)?v>0</(?:\w+:)?v>"
)
"""A formula and the value of one that was never calculated."""
_STYLE = re.compile(rb'(<(?:\w+:)?(?:c|row|col)\b[^>]*?)\s(?:s|style)="\d*"')
_FONTS_THAT_TELL = re.compile(b"<strike|superscript")
"""Fonts that matter in cells that hold their own text."""
_MAX_MERGED = 100_000  # cells of a sheet that take the value of a merged one
_COVERING = re.compile(rb"<(?:\w+:)?(?:mergeCell|hyperlink)\s[^<>]*>")
"""What openpyxl makes a cell for wherever it covers one: a few bytes could ask for 16 billion."""
_COVERED = re.compile(
    rb"\sref\s*=\s*[\"']\$?([A-Z]{1,3})\$?(\d{1,7})(?::\$?([A-Z]{1,3})\$?(\d{1,7}))?[\"']"
)
_ROOT = re.compile(rb"<((?:\w+:)?worksheet)\b[^>]*>")
_KEPT = re.compile(
    rb"<(?:\w+:)?(cols|sheetData|mergeCells)\b(?:[^>]*/>|.*?</(?:\w+:)?\1\s*>)", re.DOTALL
)
"""What of a sheet is needed to read its cells."""
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_MOST_FORMATS = 2**15
_STYLES = "xl/styles.xml"
_LARGE_STYLES = 5 * 2**20  # bytes of styles of which only the formats of numbers are read
_BESIDE_CELLS = ("docProps/", "xl/pivot", "xl/worksheets/_rels/")
_OF_THE_BOOK = re.compile(
    rb"<(?:\w+:)?(pivotCaches|definedNames|bookViews|extLst)\b(?:[^>]*/>|.*?</(?:\w+:)?\1\s*>)",
    re.DOTALL,
)
_PIVOT = re.compile(
    rb"<(?:\w+:)?(?:Relationship\b[^>]*/pivotTable[^>]*>|pivotCaches\b.*?</(?:\w+:)?pivotCaches\s*>)",
    re.DOTALL,
)
"""What leads openpyxl to the data of pivot tables, of which it makes an object for each cell."""
_ODD_STATE = re.compile(
    rb"(<(?:\w+:)?sheet\b[^>]*?)\sstate=\"(?!visible\"|hidden\"|veryHidden\")\w*\""
)
_TROUBLES = (TypeError, ValueError, AttributeError, LookupError, OverflowError)
"""openpyxl's, mostly with what is not needed here."""


def open_workbook(data: bytes) -> tuple["BookReader", list[str]]:
    """Return a workbook, and what of it could not be read."""
    if is_strict(data, "xl/workbook.xml"):
        data = rewritten(data)
    with zipfile.ZipFile(BytesIO(data)) as archive:
        sheets = list(_sheets(archive))
        row_by_row = sum(item.file_size for item in sheets) > LARGE
        fonts = not row_by_row and any(_FONTS_THAT_TELL.search(archive.read(s)) for s in sheets)
        pivots = any("pivotCache" in name for name in archive.namelist())
        styles = [item for item in archive.infolist() if item.filename == _STYLES]
    if sum(item.file_size for item in styles) > _LARGE_STYLES:  # openpyxl compares each with each
        data = rewritten(data, _with_formats_only)
    if pivots and not row_by_row:
        data = rewritten(data, _without_pivots)
    try:
        return _opened(data, row_by_row, fonts), []
    except SyntaxError:  # XML that breaks off, maybe in a sheet
        row_by_row, what = True, "comments and merged cells"
    except _TROUBLES:
        data, what = rewritten(data, _cells_only), "comments"
    try:
        note = f"parts of it are damaged: {what} were not read"
        return _opened(data, row_by_row, fonts), [note]
    except (SyntaxError, *_TROUBLES):
        data = rewritten(data, _with_formats_only)
    try:
        note = "the styles are damaged: fonts and colours were not read"
        return _opened(data, row_by_row, fonts), [note]
    except (SyntaxError, *_TROUBLES):
        data = rewritten(data, _unstyled)
        note = "the styles are damaged: dates and percentages are plain numbers"
        return _opened(data, row_by_row, fonts), [note]


def _opened(data: bytes, row_by_row: bool, fonts: bool) -> "BookReader":
    from rag_app.documents.sheets.book_reader import BookReader

    return BookReader(data, row_by_row=row_by_row, fonts=fonts, guessed=_is_to_calculate(data))


def _without_pivots(part: str, content: bytes) -> bytes | None:
    """Leave out the data of pivot tables; what they show is in the cells."""
    if "pivotCache" in part:
        return None
    named = part.endswith(".rels") or part == "xl/workbook.xml"
    return _PIVOT.sub(b"", content) if named else content


def _cells_only(part: str, content: bytes) -> bytes | None:
    """Leave out what lies beside the cells."""
    if part.startswith(_BESIDE_CELLS):
        return None
    if part == "xl/workbook.xml":
        return _ODD_STATE.sub(rb"\1", _OF_THE_BOOK.sub(b"", content))
    root = _ROOT.search(content[:ROOT])
    if root is None:
        return content
    kept = b"".join(match[0] for match in _KEPT.finditer(content))
    return root[0] + kept + b"</" + root[1] + b">"


def _with_formats_only(part: str, content: bytes) -> bytes | None:
    """Leave out of the styles what is not the format of numbers."""
    if part != _STYLES:
        return content
    try:
        root = parsed(content)
    except etree.XMLSyntaxError:
        return None
    formats = {
        int(number): str(item.get("formatCode"))
        for item in root.iter("{*}numFmt")
        if (number := str(item.get("numFmtId"))).isdecimal() and item.get("formatCode")
    }
    cells = root.find("{*}cellXfs")
    used = [] if cells is None else [str(item.get("numFmtId") or 0) for item in cells]
    plain = etree.Element("styleSheet", nsmap={None: _MAIN})
    numbers = etree.SubElement(plain, "numFmts")
    for key, code in formats.items():
        etree.SubElement(numbers, "numFmt", numFmtId=str(key), formatCode=code)
    looks = etree.SubElement(plain, "cellXfs")
    for number in used:
        known = number.isdecimal() and int(number) < _MOST_FORMATS
        etree.SubElement(looks, "xf", numFmtId=number if known else "0")
    return etree.tostring(plain)


def _unstyled(part: str, content: bytes) -> bytes | None:
    """Leave out the styles, and what in a sheet refers to them."""
    if part == _STYLES:
        return None
    return _STYLE.sub(rb"\1", content) if _is_sheet(content) else content


def without_traps(data: bytes) -> bytes:
    """Return a workbook without what covers more cells than its sheets can have in memory."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        misnamed = any(plain_name(name) != name for name in archive.namelist())
        small = (item for item in _sheets(archive) if item.file_size <= LARGE)
        contents = map(archive.read, small)
        trapped = misnamed or any(_bounded("", content) != content for content in contents)
    return rewritten(data, _bounded) if trapped else data


def _sheets(archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """Yield the sheets of a workbook, which may be anywhere in it."""
    for item in archive.infolist():
        with archive.open(item) as file:
            if _is_sheet(file.read(ROOT)):
                yield item


def _is_sheet(content: bytes) -> bool:
    return _ROOT.search(content[:ROOT].replace(b"\0", b"")) is not None


def _bounded(_: str, content: bytes) -> bytes:
    if not _is_sheet(content) or len(content) > LARGE:
        return content
    if b"\0" in content[:4]:  # UTF-16
        content = etree.tostring(parsed(content))
    room = _MAX_MERGED

    def bounded(covering: "re.Match[bytes]") -> bytes:
        nonlocal room
        room -= (cells := _cells_covered(covering[0]))
        if cells > 0 and room >= 0:
            return covering[0]
        room += cells
        return b""

    return _COVERING.sub(bounded, content)


def _cells_covered(covering: bytes) -> int:
    """Return how many cells an element covers, 0 if it does not say so clearly."""
    from openpyxl.utils import column_index_from_string

    found = _COVERED.search(covering)
    if found is None or not covering.endswith(b"/>"):
        return 0
    left, top, right, bottom = found.groups()
    if right is None:
        return 1
    first, last = (int(column_index_from_string(each.decode())) for each in (left, right))
    return max(last - first + 1, 0) * max(int(bottom) - int(top) + 1, 0)


def without_guesses(data: bytes) -> bytes:
    """Return a workbook without the zeros that programs store until a formula is calculated."""
    if not _is_to_calculate(data):
        return data

    def without(part: str, content: bytes) -> bytes | None:
        return _GUESSED.sub(rb"\1", content) if part.startswith("xl/worksheets/sheet") else content

    return rewritten(data, without)


def _is_to_calculate(data: bytes) -> bool:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        names = archive.namelist()
        book = archive.read("xl/workbook.xml") if "xl/workbook.xml" in names else b""
    return _TO_CALCULATE.search(book) is not None


def uncalculated(data: bytes) -> int:
    """Return how many formulas have no stored result."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        return sum(
            len(_UNCALCULATED.findall(archive.read(item)))
            for item in archive.infolist()
            if item.filename.startswith("xl/worksheets/") and item.file_size <= LARGE
        )
