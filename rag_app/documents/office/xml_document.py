"""Word and PowerPoint documents in one XML file, which many programs export as .doc → Markdown.

Word 2003's own XML has the elements of later files under another name; what stands elsewhere in
those is put there. Flat OPC (ISO/IEC 29500-2, annex) holds the parts of a later file as they are.
"""

import base64
import binascii
import zipfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import TYPE_CHECKING

from lxml import etree

from rag_app.documents.formats import ExtractedText
from rag_app.documents.office.package import Element, local_name, parsed, tag, value
from rag_app.documents.office.pptx import read_pptx
from rag_app.documents.office.word.docx import read_docx

if TYPE_CHECKING:
    from rag_app.documents.pdf.reader import ReadPicture

_WORD_2003 = b"http://schemas.microsoft.com/office/word/2003/wordml"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_MERGED = {"w:vmerge": "w:vMerge", "w:hmerge": "w:hMerge"}
_SYMBOLS = ("Symbol", "Wingdings")
_MARGINS = {"w:hdr": "header", "w:ftr": "footer"}


def read_xml_document(
    data: bytes, name: str, read_picture: "ReadPicture | None" = None
) -> ExtractedText:
    """Return the text of a document as that of the file that later programs write.

    Raises:
        DocumentError: it is damaged, or unpacks to too much.
    """
    root = parsed(data.replace(_WORD_2003, tag("w:p")[1:].partition("}")[0].encode()))
    flat = str(root.tag).endswith("}package")
    parts = dict(_flat_parts(root) if flat else _parts_of_2003(root))
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    slides = any(part.startswith("ppt/") for part in parts)
    return (read_pptx if slides else read_docx)(file.getvalue(), name, read_picture)


def _flat_parts(root: Element) -> Iterator[tuple[str, bytes]]:
    kinds = []
    for part in root.iter("{*}part"):
        written = _written(part)
        name, kind = written.get("name", ""), written.get("contentType", "")
        xml, binary = part.find("{*}xmlData/*"), part.findtext("{*}binaryData")
        kinds.append(f'<Override PartName="{name}" ContentType="{kind}"/>')
        if xml is not None:
            yield name.lstrip("/"), etree.tostring(xml)
        elif binary is not None:
            try:
                yield name.lstrip("/"), base64.b64decode(binary)
            except binascii.Error:
                continue
    types = f'<Types xmlns="{_PACKAGE}/content-types">{"".join(kinds)}</Types>'
    yield "[Content_Types].xml", types.encode()


def _written(element: Element) -> dict[str, str]:
    """Return the attributes of an element by their names without namespaces."""
    return {local_name(key): str(text) for key, text in element.attrib.items()}


def _parts_of_2003(root: Element) -> Iterator[tuple[str, bytes]]:
    for old, new in _MERGED.items():
        for item in root.iter(tag(old)):
            item.tag = tag(new)
    for item in list(root.iter("{*}annotation")):
        _accept(item)
    for properties in list(root.iter(tag("w:listPr"))):
        _write_number(properties)
    notes = {kind: _taken(root, kind) for kind in ("footnote", "endnote", "comment")}
    margins = list(_margins(root))
    body, styles = root.find(tag("w:body")), root.find(tag("w:styles"))
    yield "word/document.xml", _part("document", [] if body is None else [body])
    yield "word/styles.xml", _part("styles", [] if styles is None else list(styles))
    kinds = {"styles": "styles"}
    for kind, found in notes.items():
        yield f"word/{kind}s.xml", _part(f"{kind}s", found)
        kinds[f"{kind}s"] = f"{kind}s"
    for key, kind, part in margins:
        yield f"word/{key}.xml", etree.tostring(part)
        kinds[key] = kind
    yield (
        "word/_rels/document.xml.rels",
        _relations({key: (kind, f"{key}.xml") for key, kind in kinds.items()}),
    )
    yield "_rels/.rels", _relations({"main": ("officeDocument", "word/document.xml")})


def _part(name: str, content: list[Element]) -> bytes:
    root = etree.Element(tag(f"w:{name}"))
    root.extend(content)
    return etree.tostring(root)


def _relations(targets: Mapping[str, tuple[str, str]]) -> bytes:
    items = "".join(
        f'<Relationship Id="{key}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for key, (kind, target) in targets.items()
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{items}</Relationships>'.encode()


def _accept(annotation: Element) -> None:
    """Make a change that is tracked, or a comment, an element of later files."""
    kind = value(annotation, "w:type") or ""
    names = {"Word.Deletion": "w:del", "Word.Insertion": "w:ins", "Word.Comment": "w:comment"}
    if kind in names:
        author = next((text for key, text in annotation.attrib.items() if "author" in str(key)), "")
        annotation.tag = tag(names[kind])
        annotation.set(tag("w:author"), str(author))


def _write_number(properties: Element) -> None:
    """Put the number of a paragraph, which is written beside it, before its text."""
    paragraph = next(properties.iterancestors(tag("w:p")), None)
    shown = properties.find("{*}t")
    if paragraph is None or shown is None:
        return
    written = _written(shown)
    bullet = written.get("font", "").startswith(_SYMBOLS)
    run = etree.Element(tag("w:r"))
    etree.SubElement(run, tag("w:t")).text = "- " if bullet else f"{written.get('val', '')} "
    paragraph.insert(1 if paragraph.find(tag("w:pPr")) is not None else 0, run)


def _taken(root: Element, kind: str) -> list[Element]:
    """Return the notes of a kind, and leave references to them in their places."""
    found: list[Element] = []
    for note in list(root.iter(tag(f"w:{kind}"))):
        parent, key = note.getparent(), str(len(found) + 1)
        if parent is None or value(note, "w:type") in {"separator", "continuation-separator"}:
            continue
        reference = etree.Element(tag(f"w:{kind}Reference"))
        reference.set(tag("w:id"), key)
        parent.replace(note, reference)
        note.attrib.pop(tag("w:type"), None)
        note.set(tag("w:id"), key)
        found.append(note)
    return found


def _margins(root: Element) -> Iterator[tuple[str, str, Element]]:
    """Yield the id, kind and root of each head or foot of pages, and refer to it."""
    for name, kind in _MARGINS.items():
        for number, part in enumerate(list(root.iter(tag(name)))):
            parent, key = part.getparent(), f"{kind}{number}"
            if parent is None:
                continue
            reference = etree.Element(tag(f"w:{kind}Reference"))
            reference.set(tag("r:id"), key)
            parent.replace(part, reference)
            yield key, kind, part
