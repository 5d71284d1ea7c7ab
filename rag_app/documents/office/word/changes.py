"""Tracked changes of a Word document as they end, and what the fields of its forms hold."""

from rag_app.documents.office.package import Element, tag, value

_TICKED, _EMPTY = "☒", "☐"


def accepted(root: Element) -> Element:
    """Take deleted rows and ends of paragraphs out of a part (ECMA-376, 17.13.5); return it.

    Deleted runs stay: whoever reads paragraphs skips them.
    """
    for row in list(root.iter(tag("w:tr"))):
        if row.find(f"{tag('w:trPr')}/{tag('w:del')}") is not None:
            _remove(row)
    for paragraph in list(root.iter(tag("w:p"))):
        below = paragraph.getnext()
        if _ends_deleted(paragraph) and below is not None and below.tag == tag("w:p"):
            at = 0 if below.find(tag("w:pPr")) is None else 1
            below[at:at] = [item for item in paragraph if item.tag != tag("w:pPr")]
            _remove(paragraph)
    return root


def field_value(start: Element) -> str:
    """Return what a field of a form shows that has no text of its own: a choice or a box.

    Args:
        start: The ``w:fldChar`` that begins it, with ``w:ffData`` (ECMA-376, 17.16.17).
    """
    box = start.find(f"{tag('w:ffData')}/{tag('w:checkBox')}")
    if box is not None:
        state = box.find(tag("w:checked"))
        state = box.find(tag("w:default")) if state is None else state
        off = state is None or value(state) in {"0", "false", "off"}
        return _EMPTY if off else _TICKED
    choices = start.find(f"{tag('w:ffData')}/{tag('w:ddList')}")
    if choices is None:
        return ""
    chosen = value(choices.find(tag("w:result"))) or value(choices.find(tag("w:default"))) or "0"
    entries = [value(entry) or "" for entry in choices.iter(tag("w:listEntry"))]
    return entries[int(chosen)] if chosen.isdecimal() and int(chosen) < len(entries) else ""


def _ends_deleted(paragraph: Element) -> bool:
    marks = paragraph.find(f"{tag('w:pPr')}/{tag('w:rPr')}")
    return marks is not None and any(
        marks.find(tag(name)) is not None for name in ("w:del", "w:moveFrom")
    )


def _remove(item: Element) -> None:
    parent = item.getparent()
    if parent is not None:
        parent.remove(item)
