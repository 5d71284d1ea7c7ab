"""XML → text: books as Markdown, exports of notes and wikis page by page, else ``name: value``."""

import base64
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from rag_app.documents.archive import expand_entities
from rag_app.documents.encodings.detection import decode
from rag_app.documents.formats import ExtractedText
from rag_app.documents.markup.mediawiki import mediawiki_markdown
from rag_app.documents.markup.outlines import xml_outline
from rag_app.documents.tables import table_lines
from rag_app.documents.tables.cells import MergedCells, span_of
from rag_app.documents.text import HAN, HAN_CHARACTER, clean
from rag_app.documents.web.html import declared_charset, page_markdown, words_of_markup
from rag_app.documents.web.structured import is_blob, notes_of_blobs

if TYPE_CHECKING:
    from lxml.etree import _Element

_BOOKS = frozenset({"FictionBook", "book", "article", "chapter", "TEI", "TEI.2", "tt"})
"""Roots of FictionBook, DocBook, JATS, TEI and TTML."""
_SECTIONS = frozenset({"section", "chapter", "part", "appendix", "sec", "div"})
_TITLES = frozenset({"title", "head", "article-title"})
_PROSE = frozenset({"p", "para", "simpara", "v", "l", "ab", "code", "item"})
"""Elements of books whose names say nothing."""
_CODE = frozenset({"programlisting", "screen", "literallayout"})  # those whose lines are kept
_TABLES = frozenset({"table", "informaltable"})
_ROWS, _CELLS = frozenset({"row", "tr"}), frozenset({"entry", "td", "th", "cell"})
_REPLACED = frozenset({"orig", "sic", "abbr"})
"""What an editor's reading stands beside, in a ``choice`` of TEI."""
_SAYING = frozenset({"text", "title", "label", "name", "value", "note", "description"})
"""Attributes of XML that hold words for readers."""
_NAMING = frozenset({"name", "key"})  # attributes that say what the text of their element is
_WORDS = re.compile(rf"[{HAN}]|\w\s+\w")  # a name that is none of programs
_DRAWINGS = frozenset({"mxfile", "mxGraphModel"})
_MOST_DRAWN = 20_000_000  # bytes of a drawing that is packed
_MOST_CELLS = 200_000  # cells of a table of a book in which one may cover others


class _Export(NamedTuple):
    page: str  # name of the element of a page, which has a title
    text: str
    to_markdown: Callable[[str], str]


_EXPORTS: Mapping[str, _Export] = {
    "mediawiki": _Export("page", "text", mediawiki_markdown),
    "en-export": _Export("note", "content", page_markdown),
}
"""Root → how a file holds pages in another markup."""


def read_xml(data: bytes, name: str, encoding: str | None = None) -> ExtractedText:
    """Return the text of an XML file; where an element holds nothing else, after its name."""
    text, codec = decode(data, name, encoding, declared=declared_charset(data))
    root = _root(expand_entities(re.sub(r"^\ufeff?\s*<\?xml.*?\?>", "", text, flags=re.S), name))
    blobs = [0]
    if export := _EXPORTS.get(_local_name(root)):
        lines = _exported(root, export)
    elif outline := xml_outline(root):
        lines = iter([outline])
    else:
        lines = _element_lines(_unpacked(root), blobs)
    return ExtractedText(clean("\n".join(lines)), codec, notes=notes_of_blobs(blobs))


def _root(markup: str) -> "_Element":
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True
    )
    return etree.fromstring(markup.strip().encode(), parser)


def _exported(root: "_Element", export: _Export) -> Iterator[str]:
    """Yield the pages of an export, each under its title."""
    for page in root.iter(f"{{*}}{export.page}"):
        title = page.findtext("{*}title") or ""
        texts = [element.text or "" for element in page.iter(f"{{*}}{export.text}")]
        yield f"\n# {' '.join(title.split())}\n"
        yield from map(export.to_markdown, texts[-1:])  # the last of its versions


def _unpacked(root: "_Element") -> "_Element":
    """Return a drawing of draw.io with what it packs, and its labels, which are pages, as text."""
    if _local_name(root) not in _DRAWINGS:
        return root
    for diagram in list(root.iter("diagram")):
        if diagram.text and diagram.text.strip():
            inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            packed = inflate.decompress(base64.b64decode(diagram.text), _MOST_DRAWN)
            diagram.text = None
            diagram.append(_root(unquote(packed.decode())))
    for cell in root.iter():
        for label in ("value", "label"):
            if "<" in (text := cell.get(label, "")):
                cell.set(label, " ".join(page_markdown(text).split()))
    return root


def _element_lines(root: "_Element", blobs: list[int]) -> Iterator[str]:
    waiting = [root]
    book, drawing = _local_name(root) in _BOOKS, _local_name(root) in _DRAWINGS
    if book:
        _take_readings(root)
    before: set[str] = set()
    while waiting:
        element = waiting.pop()
        inner = list(element)
        if book and _local_name(element) in _TABLES and (table := list(_table(element))):
            yield from table
            continue
        own = [element.text, *(child.tail for child in inner)]
        if not any(text and text.strip() for text in own):
            waiting.extend(reversed(inner))
            said = _said(element)
            # One that was before is that of a link to what has this title.
            if len(said) > 1 or not before.issuperset(said.values()):
                yield "; ".join(
                    dict.fromkeys(said.values()) if drawing else map(": ".join, said.items())
                )
            before.update(said.values())
            continue
        text = _text(element)
        if is_blob(text):
            blobs[0] += 1
        elif book and _local_name(element) in _CODE:
            yield f"```\n{''.join(map(str, element.itertext())).strip(chr(10))}\n```"
        elif text:
            before.add(text)
            yield (_label(element) if book else _named(element)) + text


def _local_name(element: "_Element") -> str:
    return str(element.tag).rpartition("}")[2]


def _text(element: "_Element") -> str:
    """Return the words of an element in one line."""
    for end in element.iter("{*}br"):
        end.tail = f" {end.tail or ''}"
    return words_of_markup(" ".join("".join(map(str, element.itertext())).split()))


def _take_readings(book: "_Element") -> None:
    """Leave out what an editor's reading stands beside."""
    for choice in book.iter("{*}choice"):
        others = [child for child in choice if _local_name(child) in _REPLACED]
        for other in others if len(others) < len(choice) else []:
            other.text = None
            del other[:]


def _table(table: "_Element") -> Iterator[str]:
    """Yield the lines of a table of a book after what is beside its rows, none without cells."""
    rows: list[_Element] = []
    beside: list[str] = []
    waiting = [table]
    while waiting:
        element = waiting.pop()
        tail = (element.tail or "").strip() if element is not table else ""
        if _local_name(element) in _ROWS:
            rows.append(element)
        elif element.text and element.text.strip():
            beside.append(_text(element))
        else:
            waiting.extend(reversed(element))
        if tail:
            beside.append(" ".join(tail.split()))
    if any(map(_row_cells, rows)):
        heads = sum(_local_name(row.getparent()) == "thead" for row in rows)  # type: ignore[arg-type]
        yield from ("", *beside, *table_lines(_cells(rows), head=heads), "")


def _row_cells(row: "_Element") -> list["_Element"]:
    return [cell for cell in row if _local_name(cell) in _CELLS]


def _cells(rows: list["_Element"]) -> list[list[str]]:
    """Return the text of the cells of rows; those of a large table cover no others."""
    merged = MergedCells()
    cells: list[list[str]] = []
    size = 0
    for row in rows:
        found = ((_text(cell), *_spans(cell)) for cell in _row_cells(row) or [row])
        if size > _MOST_CELLS:
            cells.append([text for text, *_ in found])
            continue
        cells.append(merged.row(found))
        size += len(cells[-1])
    return cells


def _spans(cell: "_Element") -> tuple[int, int]:
    """Return how many columns and rows a cell covers, in the ways of HTML, TEI and CALS."""
    columns, rows = (cell.get(f"{way}span", cell.get(f"{way}s", "1")) for way in ("col", "row"))
    more, first, last = cell.get("morerows", "0"), cell.get("namest", ""), cell.get("nameend", "")
    begin, end = (re.sub(r"\D", "", name) for name in (first, last))
    if begin and end:
        columns = str(int(end) - int(begin) + 1)
    if more.isdecimal() and more != "0":
        rows = str(int(more) + 1)
    return span_of(columns), span_of(rows)


def _label(element: "_Element") -> str:
    """Return what stands before the text of an element of a book: a heading's mark, or its name."""
    name = _local_name(element)
    above = [_local_name(each) for each in element.iterancestors()]
    if name in _TITLES or (name == "p" and above[:1] == ["title"]):
        level = sum(each.rstrip("0123456789") in _SECTIONS | {"sect"} for each in above)
        return f"\n{'#' * min(level + 1, 6)} "
    return "" if name in _PROSE or len(element) else f"{name}: "


def _named(element: "_Element") -> str:
    """Return what stands before the text of an element of data: its name, and what it is of."""
    of = [text for key, text in _attributes(element).items() if key in _NAMING and text]
    if of:
        return f"{' '.join([_local_name(element), *of])}: "
    return "" if len(element) else f"{_local_name(element)}: "


def _attributes(element: "_Element") -> dict[str, str]:
    return {key.lower(): " ".join(str(text).split()) for key, text in element.attrib.items()}


def _said(element: "_Element") -> dict[str, str]:
    """Return what the attributes of an element without text say, as those of drawings do."""
    said = {
        key.rpartition("}")[2]: text
        for key, text in _attributes(element).items()
        if text and (key in _SAYING or HAN_CHARACTER.search(text))
    }
    is_link = str(element.tag).endswith("link")  # whose title is that of another file
    is_code = said.keys() == {"name"} and not _WORDS.search(said["name"])
    return {} if is_link or (is_code and not _holds_text(element)) else said


def _holds_text(element: "_Element") -> bool:
    """Return whether what is in an element, or in that, is text: its name says of what."""
    near = (each for child in element for each in (child, *child))
    return any(each.text and each.text.strip() for each in near)
