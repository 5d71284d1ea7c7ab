"""Parts of an Office file (ECMA-376, part 2): XML trees, and what they refer to."""

import posixpath
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from io import BytesIO

from lxml import etree

_STRICT = b"http://purl.oclc.org/ooxml/"
_NAMES = {
    "w": "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "m": "http://schemas.openxmlformats.org/officeDocument/2006/math",
    "r": "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
    "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
    "c": "http://schemas.openxmlformats.org/drawingml/2006/chart",
    "dgm": "http://schemas.openxmlformats.org/drawingml/2006/diagram",
    "p": "http://schemas.openxmlformats.org/presentationml/2006/main",
}
_STRICT_NAMES = {
    _STRICT + b"spreadsheetml/main": b"http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    _STRICT + b"presentationml/main": _NAMES["p"].encode(),
    _STRICT + b"drawingml/spreadsheetDrawing": (
        b"http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"
    ),
    _STRICT + b"wordprocessingml/main": _NAMES["w"].encode(),
    _STRICT + b"officeDocument/math": _NAMES["m"].encode(),
    _STRICT + b"officeDocument/relationships": _NAMES["r"].encode(),
    _STRICT + b"drawingml/main": _NAMES["a"].encode(),
    _STRICT + b"drawingml/chart": _NAMES["c"].encode(),
    _STRICT + b"drawingml/diagram": _NAMES["dgm"].encode(),
}
Element = etree._Element
_TYPES = "[Content_Types].xml"
LARGE = 20 * 2**20
"""Bytes of a part that is read piece by piece only."""
_PLURAL = re.compile(r"s\b")
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")


@cache
def tag(name: str) -> str:
    """Return ``prefix:name`` as lxml writes it."""
    prefix, _, local = name.partition(":")
    return f"{{{_NAMES[prefix]}}}{local}"


def local_name(name: object) -> str:
    """Return a name of lxml's without its namespace; of a comment's tag one that no element has."""
    return str(name).rpartition("}")[2]


def value(element: Element | None, name: str = "w:val") -> str | None:
    """Return an attribute, None where the element or the attribute is missing."""
    return None if element is None else element.get(tag(name))


def unescaped(text: str) -> str:
    r"""Return text without the escapes of characters that XML can't hold (ECMA-376, 22.9.2.19).

    Example:
        >>> unescaped("一_x000D_\n二_x005F_x000D_")
        '一\r\n二_x000D_'
    """
    return _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text) if "_x" in text else text


def unread_notes(unread: Mapping[str, int]) -> list[str]:
    """Return a note for each kind of thing in a file that was not read, with how many there are.

    Example:
        >>> unread_notes({"pictures": 2, "embedded objects": 1})
        ['1 embedded object was not read', '2 pictures were not read']
    """
    return [f"{_counted(count, what)} not read" for what, count in sorted(unread.items())]


def hidden_notes(hidden: Mapping[str, int]) -> list[str]:
    """Return a note for each kind of thing that a reader does not see, with how many there are."""
    kinds = [(f"hidden {what}", count) for what, count in hidden.items() if count]
    return [f"{_counted(count, what)} left out" for what, count in kinds]


def _counted(count: int, what: str) -> str:
    return f"{count} {what} were" if count > 1 else f"1 {_PLURAL.sub('', what, count=1)} was"


def uncalculated_notes(formulas: int) -> list[str]:
    """Return a note of formulas that no program has calculated, [] where there are none."""
    what = "formulas have no stored result and were left out"
    advice = "open and save the workbook in a spreadsheet program"
    return [f"{formulas} {what}; {advice}"] if formulas else []


def _transitional(data: bytes) -> bytes:
    """Return XML with the names of ISO/IEC 29500 Strict written as those of Transitional."""
    if _STRICT in data:
        for strict, usual in _STRICT_NAMES.items():
            data = data.replace(strict, usual)
    return data


def parsed(data: bytes) -> Element:
    """Return the root of a part's XML."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        collect_ids=False,  # one that is there twice is no damage
    )
    return etree.fromstring(_transitional(data), parser)


def without_fallbacks(root: Element) -> Element:
    """Put in the place of each ``mc:AlternateContent`` what the newest programs show; return root.

    Programs that know what is in it show the first choice, others the fallback (ECMA-376, part 3).
    """
    for item in list(root.iter(tag("mc:AlternateContent"))):
        parent, chosen = item.getparent(), choice(item)
        if parent is not None and chosen is not item:
            at = parent.index(item)
            parent[at : at + 1] = list(chosen)
    return root


def choice(item: Element) -> Element:
    """Return one of the ways in which a file says the same thing: the first, else the fallback.

    Of what is written by hand, that is its picture.
    """
    fallback = item.find(tag("mc:Fallback"))
    for chosen in item.findall(tag("mc:Choice")):
        if fallback is None or chosen.find("{*}contentPart") is None:
            return chosen
    return item if fallback is None else fallback


def rewritten(data: bytes, part: Callable[[str, bytes], bytes | None] | None = None) -> bytes:
    """Return an Office file whose XML has the usual names, and parts as ``part`` returns them.

    It is what libraries read that know neither strict files nor whatever ``part`` mends; a part is
    left out where that returns None. Parts of over `LARGE` bytes stay as they are, but styles.
    """
    file = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for item in old.infolist():
            if item.file_size > LARGE and not item.filename.endswith("/styles.xml"):
                copy = zipfile.ZipInfo(plain_name(item.filename))
                copy.compress_type = zipfile.ZIP_DEFLATED
                with old.open(item) as source, new.open(copy, "w") as target:
                    shutil.copyfileobj(source, target)
                continue
            is_xml = item.filename.endswith((".xml", ".rels"))
            before = _transitional(old.read(item)) if is_xml else old.read(item)
            content = before if part is None else part(item.filename, before)
            if content is not None:
                new.writestr(plain_name(item.filename), content)
    return file.getvalue()


def plain_name(part: str) -> str:
    r"""Return the name of a part as it should be; some programs write others.

    Example:
        >>> plain_name("xl\\workbook.xml"), plain_name("[content_types].xml")
        ('xl/workbook.xml', '[Content_Types].xml')
    """
    return _TYPES if part.lower() == _TYPES.lower() else part.replace("\\", "/")


def is_strict(data: bytes, part: str) -> bool:
    """Return whether the XML of a part has the names of ISO/IEC 29500 Strict."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        return part in archive.namelist() and _STRICT in archive.read(part)


class Package:
    """The parts of an Office file that passed `check_archive`."""

    def __init__(self, data: bytes) -> None:
        self._archive = zipfile.ZipFile(BytesIO(data))
        self._names = {plain_name(name): name for name in self._archive.namelist()}

    def bytes_of(self, part: str) -> bytes | None:
        """Return a part's content, None where there is no such part."""
        return self._archive.read(self._names[part]) if part in self._names else None

    def tree(self, part: str) -> Element | None:
        """Return the root of a part's XML, None where there is no such part."""
        data = self.bytes_of(part)
        return None if data is None else parsed(data)

    def targets(self, part: str) -> dict[str, str]:
        """Return the parts that ``part`` refers to, by the ids of the references."""
        return {key: target for key, _, target in self._relations(part)}

    def related(self, part: str, kind: str) -> str:
        """Return the part of a kind, such as ``styles``, that ``part`` refers to; "" if none."""
        found = [(relation.endswith(f"/{kind}"), to) for _, relation, to in self._relations(part)]
        named = next((to for _, to in found if to.endswith(f"/{kind}.xml")), "")
        return next((to for is_kind, to in found if is_kind), named)

    def _relations(self, part: str) -> Iterator[tuple[str, str, str]]:
        """Yield the id, type and target of each reference within the file."""
        folder, name = posixpath.split(part)
        root = self.tree(posixpath.join(folder, "_rels", f"{name}.rels"))
        for relation in () if root is None else root:
            target = relation.get("Target") or ""
            if relation.get("TargetMode") == "External" or not relation.get("Id"):
                continue
            path = target.lstrip("/") if target.startswith("/") else posixpath.join(folder, target)
            key, kind = str(relation.get("Id")), str(relation.get("Type"))
            yield key, kind, posixpath.normpath(path)

    def main(self, kind: str) -> str:
        """Return the part that a package is about: the one with relationship type ``kind``."""
        root = self.tree("_rels/.rels")
        for relation in () if root is None else root:
            if str(relation.get("Type")).endswith(f"/{kind}"):
                return str(relation.get("Target")).lstrip("/")
        return ""


def struck_through(text: str) -> str:
    """Return text that is struck through, and no longer holds, as Markdown has it."""
    words = text.strip()
    return text.replace(words, f"~~{words}~~") if words else text


def add_run(out: list[str], text: str, *, struck: bool) -> None:
    """Add the text of a run; what is struck through goes on with what is before it."""
    if not struck or not text.strip():
        out.append(text)
    elif out and out[-1].startswith("~~") and out[-1].endswith("~~") and text[0].strip():
        out[-1] = f"{out[-1][:-2]}{struck_through(text)[2:]}"
    else:
        out.append(struck_through(text))
