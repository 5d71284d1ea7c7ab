"""What a PDF says is written on its page, read by PDFium: characters, each once and upright."""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from ctypes import byref, c_double, c_int, create_string_buffer
from typing import NamedTuple

from pypdfium2 import PdfPage, PdfTextPage
from pypdfium2 import raw as pdfium

from rag_app.documents.pdf.characters import (
    HYPHEN,
    Char,
    PageCharacters,
    Space,
    turned_upright,
    upright,
)
from rag_app.documents.pdf.rules import Box
from rag_app.documents.pdf.slanted import level, quarter_of, slanted_lines
from rag_app.documents.pdf.visibility import Drawn, address, unseen

_HYPHENS = f"\x02\ufffe\xad{HYPHEN}"
"""PDFium's own marks of a hyphen at a line's end, by its version, and what fonts name one."""
_UNBROKEN_HYPHEN = 0x2011
_BULLET = "\u2022"  # what stands alone in a font of signs that does not say which they are
_BOLD = 600  # font weight above which text is bold; 400 is normal, 700 bold
_BOLD_NAME = re.compile(rb"bold|black|heavy|simhei|heiti|fzhei|fzxbs", re.IGNORECASE)
"""Of a font, whose weight most files don't give; Chinese headings are set in Hei beside Song."""
_LATIN_ENDS = "\u0590"  # where the letters end that are read to the right, side by side
_FONT_NAME = 100  # bytes of its name that are looked at
_LEAST_VERTICAL = 0.3
"""Share of the characters of a page that stand below the one before, in vertical writing."""
_SHADOW = 0.2
"""Distance, in sizes, within which the same character is the same again; at most half its width."""
_DOUBLE = frozenset("ft")  # what stands twice in ligatures: ff, ffi, tt


def page_characters(page: PdfPage) -> PageCharacters:
    """Return the characters of ``page``, each once, turned upright."""
    with closing(page.get_textpage()) as textpage:
        turned, slanted, unmapped, hidden = _read(page, textpage)
    box = page.get_bbox()
    by_turn: dict[int, list[Char]] = {}
    for quarter, chars in turned.items():
        shown = list(_on_page(chars, box))
        hidden += len(chars) - len(shown)
        by_turn[quarter] = [turned_upright(char, quarter) for char in _once(shown)]
    if not by_turn:
        return PageCharacters([], slanted=slanted, unmapped=unmapped, hidden=hidden)
    main = max(by_turn, key=lambda quarter: len(by_turn[quarter]))
    chars = by_turn.pop(main)
    found = PageCharacters(
        chars,
        aside=tuple(text for text in by_turn.values() if text),
        slanted=slanted,
        unmapped=unmapped,
        quarter=main,
        hidden=hidden,
    )
    if main == 0 and _is_vertical(chars):
        chars = [upright(char) for char in _set_upright(chars)]
        return found._replace(chars=chars, turn="vertical", quarter=1)
    return found


def _on_page(chars: Sequence[Char], box: Box) -> Iterator[Char]:
    """Yield what the page shows, and what goes on from it beyond the edge of the paper."""
    left, bottom, right, top = box
    before: Char | None = None
    for char in chars:
        middle = (char.left + char.right) / 2
        shown = left - 1 <= middle <= right + 1 and bottom - 1 <= char.middle <= top + 1
        goes_on = before and abs(char.bottom - before.bottom) < 1 and char.left - before.right < 1
        if shown or goes_on:
            yield char
            before = char
        else:
            before = None


class _Layer(NamedTuple):
    """The characters of a page in the order in which they are drawn, seen or not."""

    chars: list[Char]
    turns: list[tuple[int, bool]]
    """By how many quarters each is turned, and whether its line stands aslant."""
    drawn: list[Drawn]
    unmapped: str  # characters that have no meaning


def _read(
    page: PdfPage, textpage: PdfTextPage
) -> tuple[dict[int, list[Char]], tuple[list[Char], ...], str, int]:
    """Return what a reader sees.

    These are the characters by how many quarters they are turned, slanted lines, the characters
    that have no meaning, and how many more there are that are not seen.
    """
    layer = _layer(textpage)
    hidden = unseen(page, layer.drawn)
    lines = slanted_lines(layer.chars, [is_slanted for _, is_slanted in layer.turns])
    taken = hidden.union(*lines)
    turned: dict[int, list[Char]] = {}
    for at, (char, (quarter, _)) in enumerate(zip(layer.chars, layer.turns, strict=True)):
        if at not in taken:
            turned.setdefault(quarter, []).append(char)
    seen = ([layer.chars[at] for at in line if at not in hidden] for line in lines)
    slanted = tuple([*level(line)] for line in seen if line)
    return turned, slanted, layer.unmapped, len(hidden)


def _layer(textpage: PdfTextPage) -> _Layer:
    layer = _Layer([], [], [], "")
    unmapped: list[str] = []
    spaced = Space.NONE
    styles: dict[tuple[int, float], tuple[float, bool]] = {}
    for index in range(textpage.count_chars()):
        text = _text_at(textpage, index)
        if not text:
            continue
        if text.isspace() and text != "\u3000":
            written = pdfium.FPDFText_IsGenerated(textpage.raw, index) != 1
            spaced = Space.WRITTEN if written or spaced is Space.WRITTEN else Space.GUESSED
            continue
        is_unmapped = pdfium.FPDFText_HasUnicodeMapError(textpage.raw, index) == 1
        is_bullet = is_unmapped and text in _HYPHENS and spaced is not Space.NONE
        is_hyphen = pdfium.FPDFText_IsHyphen(textpage.raw, index) == 1 or text in _HYPHENS
        if is_bullet or (is_unmapped and not is_hyphen):
            unmapped.append(text)
        text = _BULLET if is_bullet else HYPHEN if is_hyphen else text
        raw_size = pdfium.FPDFText_GetFontSize(textpage.raw, index)
        item = pdfium.FPDFText_GetTextObject(textpage.raw, index)
        key = (address(item), raw_size)
        if key not in styles:
            styles[key] = _style(textpage, index, raw_size)
        size, bold = styles[key]
        quarter, is_slanted = quarter_of(pdfium.FPDFText_GetCharAngle(textpage.raw, index))
        turn = (quarter, is_slanted and _is_slanted(textpage, index))
        from_origin = spaced is Space.GUESSED and turn == (0, False) and "A" <= text < _LATIN_ENDS
        (left, bottom, right, top), ink = _boxes(textpage, index, from_origin=from_origin)
        low, high = (bottom, top) if top > bottom else (ink[1], ink[3])
        size = size or top - bottom or 1.0
        layer.chars.append(Char(text, left, low, right, high, size, bold, spaced))
        layer.turns.append(turn)
        layer.drawn.append(Drawn(text, ink, item, key[0]))
        spaced = Space.NONE
    return layer._replace(unmapped="".join(unmapped))


def _boxes(textpage: PdfTextPage, index: int, *, from_origin: bool) -> tuple[Box, Box]:
    """Return the box of a character's advance, as high as its font, and that of its ink.

    Ink that stands before the place of a letter, as in italics, hides the space before it:
    ``from_origin`` leaves it out.
    """
    loose = pdfium.FS_RECTF()
    pdfium.FPDFText_GetLooseCharBox(textpage.raw, index, byref(loose))
    left, right, bottom, top = (c_double() for _ in range(4))
    pdfium.FPDFText_GetCharBox(
        textpage.raw, index, byref(left), byref(right), byref(bottom), byref(top)
    )
    if from_origin:
        x, y = c_double(), c_double()
        pdfium.FPDFText_GetCharOrigin(textpage.raw, index, byref(x), byref(y))
        loose.left = x.value if loose.left < x.value < loose.right else loose.left
    advance = (loose.left, loose.bottom, loose.right, loose.top)
    return advance, (left.value, bottom.value, right.value, top.value)


def _text_at(textpage: PdfTextPage, index: int) -> str:
    """Return a character; "" for the second half of one that PDFium gives as two (UTF-16)."""
    code = pdfium.FPDFText_GetUnicode(textpage.raw, index)
    if code == _UNBROKEN_HYPHEN:
        return "-"
    if 0xD800 <= code < 0xDC00:
        low = pdfium.FPDFText_GetUnicode(textpage.raw, index + 1)
        if 0xDC00 <= low < 0xE000:
            return chr(0x10000 + ((code - 0xD800) << 10) + low - 0xDC00)
    elif 0xDC00 <= code < 0xE000 and index:
        high = pdfium.FPDFText_GetUnicode(textpage.raw, index - 1)
        if 0xD800 <= high < 0xDC00:
            return ""
    return chr(code) if code and not 0xD800 <= code < 0xE000 and code < 0x110000 else "\ufffd"


def _is_slanted(textpage: PdfTextPage, index: int) -> bool:
    """Return whether a character's line stands aslant; in italics only the character does."""
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFText_GetMatrix(textpage.raw, index, byref(matrix))
    return quarter_of(math.atan2(matrix.b, matrix.a) % (2 * math.pi))[1]


def _style(textpage: PdfTextPage, index: int, raw_size: float) -> tuple[float, bool]:
    """Return the size in points and whether the font is bold, of a character's text object."""
    matrix = pdfium.FS_MATRIX()
    scale = 1.0
    if pdfium.FPDFText_GetMatrix(textpage.raw, index, byref(matrix)):
        scale = math.hypot(matrix.c, matrix.d) or 1.0
    return raw_size * scale, _is_bold(textpage, index)


def _is_bold(textpage: PdfTextPage, index: int) -> bool:
    """Return whether a character is bold: by its font's weight or name, or made so by a stroke."""
    if pdfium.FPDFText_GetFontWeight(textpage.raw, index) >= _BOLD:
        return True
    item = pdfium.FPDFText_GetTextObject(textpage.raw, index)
    if (
        item
        and pdfium.FPDFTextObj_GetTextRenderMode(item) == pdfium.FPDF_TEXTRENDERMODE_FILL_STROKE
    ):
        return True
    name = create_string_buffer(_FONT_NAME)
    pdfium.FPDFText_GetFontInfo(textpage.raw, index, name, _FONT_NAME, c_int())
    return _BOLD_NAME.search(name.value) is not None


def _once(chars: Iterable[Char]) -> Iterator[Char]:
    """Yield each character once, though bold or a shadow may be made by drawing it twice.

    The letters of a ligature share one box.
    """
    seen: dict[tuple[str, int, int], Char] = {}
    before: Char | None = None
    for char in chars:
        if before == char and char.text in _DOUBLE:
            before = None
            yield char
            continue
        before = char
        x, y = round(char.left), round(char.bottom)
        near = (seen.get((char.text, x + dx, y + dy)) for dx in (0, -1, 1) for dy in (0, -1, 1))
        if any(other and _covers(other, char) for other in near):
            before = None
            continue
        seen[char.text, x, y] = char
        yield char


def _covers(first: Char, second: Char) -> bool:
    apart = max(abs(first.left - second.left), abs(first.bottom - second.bottom))
    return apart < min(_SHADOW * first.size, (first.right - first.left) / 2)


def _set_upright(chars: Sequence[Char]) -> Iterator[Char]:
    """Yield the characters of vertical writing, digits that share a place one below the other."""
    group: list[Char] = []
    for char in (*chars, None):
        if char and group and _shares_place(group[-1], char):
            group.append(char)
            continue
        left = min((each.left for each in group), default=0)
        right = max((each.right for each in group), default=0)
        for at, each in enumerate(group):
            height = (each.top - each.bottom) / len(group)
            top = each.top - at * height
            yield each._replace(left=left, right=right, bottom=top - height, top=top)
        group = [char] if char else []


def _shares_place(before: Char, after: Char) -> bool:
    """Return whether two digits or letters stand in one place of a column (text-combine)."""
    level = abs(after.bottom - before.bottom) < _SHADOW * before.size
    return (
        level
        and (before.text + after.text).isascii()
        and 0 <= after.left - before.left < before.size
    )


def _is_vertical(chars: Sequence[Char]) -> bool:
    """Return whether characters are followed by the one below them, and more than by others.

    So are the parts of high brackets in formulas, which are few.
    """
    down = across = 0
    for before, after in itertools.pairwise(chars):
        if not "\u2e80" <= after.text <= "\uffef":
            continue
        aside = abs(after.left - before.left)
        below = before.bottom - after.bottom
        if aside < after.size * 0.3 and 0.5 * after.size < below < 2.5 * after.size:
            down += 1
        elif abs(below) < after.size * 0.3 and 0 < after.left - before.left < 2.5 * after.size:
            across += 1
    return down > max(across, _LEAST_VERTICAL * len(chars))
