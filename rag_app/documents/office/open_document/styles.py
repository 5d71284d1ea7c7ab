"""Styles of OpenDocument files (ODF 1.3): what they hide, strike through and raise."""

import re
from collections.abc import Sequence

from rag_app.documents.office.open_document.parts import MAX_DEPTH, tag
from rag_app.documents.office.package import Element

_RAISED = re.compile(r"super|[1-9]\d*(?:\.\d+)?%")
"""Where text is on its line, as OpenDocument says it: lowered with "sub" or a minus."""
_WHITE = re.compile("#(?:f[a-f]){3}", re.IGNORECASE)
_COLOURED = tuple(map(tag, ("table:table-cell", "draw:text-box", "draw:custom-shape", "draw:page")))
"""What may make it dark behind white text."""


class TextStyles:
    """What the styles of a document say of its text and of its slides.

    Args:
        roots: The parts of the document that have styles.
    """

    def __init__(self, roots: Sequence[Element]) -> None:
        struck = _properties(roots, "style:text-line-through-style")
        self._struck = {style for style, line in struck.items() if line != "none"}
        raised = _properties(roots, "style:text-position")
        self._raised = {style for style, place in raised.items() if _RAISED.match(place)}
        self._fonts = _fonts(roots)
        displayed = _properties(roots, "text:display")
        self._hidden = {style for style, how in displayed.items() if how == "none"}
        behind = _properties(roots, "fo:background-color", any_properties=True)
        self._coloured = {style for style, colour in behind.items() if colour != "transparent"}
        colours = _properties(roots, "fo:color")
        self._white = {style for style, colour in colours.items() if _WHITE.fullmatch(colour)}
        pages = (page for root in roots for page in root.iter(tag("style:page-layout-properties")))
        if any(page.get(tag("fo:background-color")) for page in pages):
            self._white.clear()
        visible = _properties(roots, "presentation:visibility", any_properties=True)
        self._hidden_pages = {style for style, how in visible.items() if how == "hidden"}

    def hides(self, item: Element) -> bool:
        """Return whether text is not shown, or white where nothing dark is behind it."""
        style = item.get(tag("text:style-name"))
        if style not in self._white or style in self._hidden:
            return style in self._hidden
        around = {each.get(tag("text:style-name")) for each in (item, *item.iterancestors())}
        return not around & self._coloured and next(item.iterancestors(*_COLOURED), None) is None

    def hides_slide(self, page: Element) -> bool:
        """Return whether a slide is not shown."""
        return page.get(tag("draw:style-name")) in self._hidden_pages

    def strikes(self, item: Element) -> bool:
        """Return whether text, or the text of a cell, is struck through."""
        names = (item.get(tag("text:style-name")), item.get(tag("table:style-name")))
        return any(name in self._struck for name in names)

    def raises(self, item: Element) -> bool:
        """Return whether text is a superscript."""
        return item.get(tag("text:style-name")) in self._raised

    def font(self, item: Element) -> str:
        """Return the font of text, "" if its style names none."""
        return self._fonts.get(str(item.get(tag("text:style-name"))), "")


def _fonts(roots: Sequence[Element]) -> dict[str, str]:
    """Return the fonts of text by the names of styles."""
    faces = {
        str(face.get(tag("style:name"))): str(face.get(tag("svg:font-family")))
        for root in roots
        for face in root.iter(tag("style:font-face"))
    }
    named = _properties(roots, "style:font-name")
    fonts = {style: faces.get(name, name) for style, name in named.items()}
    fonts |= _properties(roots, "fo:font-family")
    return {style: font.strip("'\"") for style, font in fonts.items()}


def _properties(
    roots: Sequence[Element], name: str, *, any_properties: bool = False
) -> dict[str, str]:
    """Return what the styles say of text, by their names: their own or a parent's word."""
    parents: dict[str, str] = {}
    own: dict[str, str] = {}
    for style in (style for root in roots for style in root.iter(tag("style:style"))):
        key = str(style.get(tag("style:name")))
        parents[key] = str(style.get(tag("style:parent-style-name")))
        for properties in style.iter(None if any_properties else tag("style:text-properties")):
            if said := properties.get(tag(name)):
                own[key] = str(said)
    return {style: said for style in parents if (said := _inherited(style, parents, own))}


def _inherited(style: str, parents: dict[str, str], own: dict[str, str]) -> str:
    for _ in range(MAX_DEPTH):  # parents may go round
        if style in own or style not in parents:
            break
        style = parents[style]
    return own.get(style, "")
