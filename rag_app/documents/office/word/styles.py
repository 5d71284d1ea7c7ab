"""The looks of Word's paragraphs and runs: styles and properties (ECMA-376, 17.3 and 17.7)."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from rag_app.documents.office.package import Element, tag, value

_LEVEL = re.compile(r"(?:heading|标题)\s*(\d)", re.IGNORECASE)
_UNREADABLE = 4  # half points
_WHITE = re.compile("(?:F[A-F]){3}", re.IGNORECASE)
_COLOURED = frozenset(map(tag, ("w:tc", "w:txbxContent", "w:shd", "w:pStyle", "w:highlight")))
"""What may make it dark behind white text: cells and text boxes have styles of their own."""


class Style(NamedTuple):
    """What a style says of its paragraphs and runs."""

    level: int | None = None
    number: str | None = None
    number_level: int = 0
    linked: tuple[str, ...] = ()
    """The ids of the style and of the one that numbers its paragraphs, as lists name them."""
    bold: bool = False
    hidden: bool = False
    struck: bool = False
    raised: bool = False


def is_set(switch: Element | None, default: bool) -> bool:
    """Return whether a property is on."""
    return default if switch is None else value(switch) not in ("0", "false", "off")


def font_of(run: Element) -> str:
    """Return the font of a run's Latin characters, "" where it has none of its own."""
    return value(run.find(f"{tag('w:rPr')}/{tag('w:rFonts')}"), "w:ascii") or ""


def is_initial(properties: Element) -> bool:
    """Return whether a paragraph is the large letter that the next one begins with."""
    frame = properties.find(tag("w:framePr"))
    return value(frame, "w:dropCap") in {"drop", "margin"}


def is_mark_hidden(properties: Element | None) -> bool:
    """Return whether the end of a paragraph, with its number, can't be seen."""
    if properties is None:
        return False
    return is_set(properties.find(f"{tag('w:rPr')}/{tag('w:vanish')}"), default=False)


def is_unseen(run: Element, properties: Element) -> bool:
    """Return whether a run is too small to be read, or white on a white page."""
    size = value(properties.find(tag("w:sz"))) or ""
    if size.isdecimal() and int(size) <= _UNREADABLE:
        return True
    colour = value(properties.find(tag("w:color"))) or ""
    if not _WHITE.fullmatch(colour):
        return False
    around = {each.tag for each in run.iterancestors()} & _COLOURED
    paragraph = next(run.iterancestors(tag("w:p")), run).find(tag("w:pPr"))
    for each in (properties, paragraph):
        if each is not None:
            around |= {found.tag for found in each} & _COLOURED
    return not around and run.getroottree().find(f".//{tag('w:background')}") is None


def styles_by_id(root: Element | None) -> dict[str, Style]:
    """Return what a style says of the paragraphs that have it, by its id."""
    found = () if root is None else root.iter(tag("w:style"))
    items = {value(item, "w:styleId") or "": item for item in found}

    def style(key: str, depth: int = 0) -> Style:
        item = items.get(key)
        if item is None or depth > 10:
            return Style()
        based = value(item.find(tag("w:basedOn")))
        found = style(based, depth + 1) if based else Style()
        named = _LEVEL.fullmatch(value(item.find(tag("w:name"))) or "")
        if named:
            found = found._replace(level=int(named[1]) - 1)
        properties = item.find(tag("w:pPr"))
        if properties is not None:
            outline = value(properties.find(tag("w:outlineLvl")))
            if outline and outline.isdigit():
                found = found._replace(level=int(outline))
            own = properties.find(tag("w:numPr"))
            if own is not None:
                found = found._replace(
                    number=value(own.find(tag("w:numId"))) or found.number,
                    number_level=int(value(own.find(tag("w:ilvl"))) or 0),
                    linked=(key,),
                )
        run = item.find(tag("w:rPr"))
        found = found if run is None else _looked(run, found)
        return found._replace(linked=(key, *found.linked))

    return {key: style(key) for key in items}


def _looked(properties: Element, style: Style) -> Style:
    """Return a style with what the properties of runs say."""
    bold, hidden = (properties.find(tag(name)) for name in ("w:b", "w:vanish"))
    marks = [properties.find(tag(name)) for name in ("w:strike", "w:dstrike")]
    marks = [mark for mark in marks if mark is not None]
    raised = value(properties.find(tag("w:vertAlign")))
    return style._replace(
        bold=is_set(bold, style.bold),
        hidden=is_set(hidden, style.hidden),
        struck=any(is_set(mark, default=False) for mark in marks) if marks else style.struck,
        raised=style.raised if raised is None else raised == "superscript",
    )


def look_of(run: Element, style: Style, styles: Mapping[str, Style]) -> Style:
    """Return the look of a run: its own properties, else those of its style and its paragraph's.

    Args:
        run: The run.
        style: That of its paragraph.
        styles: Those of the document.
    """
    properties = run.find(tag("w:rPr"))
    if properties is None:
        return style
    own = styles.get(value(properties.find(tag("w:rStyle"))) or "", Style())
    look = _looked(
        properties,
        style._replace(
            hidden=style.hidden or own.hidden,
            struck=style.struck or own.struck,
            raised=style.raised or own.raised,
        ),
    )
    return look._replace(hidden=look.hidden or is_unseen(run, properties))


def is_bold(paragraph: Element, styles: Mapping[str, Style]) -> bool:
    """Return whether all that a paragraph says is in bold type."""
    style = styles.get(value(paragraph.find(f"{tag('w:pPr')}/{tag('w:pStyle')}")) or "")
    by_style = style is not None and style.bold
    runs = (run for run in paragraph.iter(tag("w:r")) if run.findtext(tag("w:t"), "").strip())
    bold = [is_set(run.find(f"{tag('w:rPr')}/{tag('w:b')}"), by_style) for run in runs]
    return bool(bold) and all(bold)
