"""Characters of a PDF page that a reader does not see.

They are of the page's own colour, drawn without ink, covered, clipped, or in a layer that is off.
A page is drawn with its text and without: what changes no pixel is not seen, whatever the reason.
"""

from collections.abc import Sequence
from ctypes import byref, c_int, c_uint, c_void_p, cast
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pypdfium2 import PdfPage
from pypdfium2 import raw as pdfium

from rag_app.documents.pdf.rules import Box, picture_boxes

_LARGEST = 1500  # pixels of a page's longer side; up to that, a point is a pixel
_MOST_OBJECTS = 50_000
"""Objects of a page; a map or a plan of more is not drawn only to be looked at."""
_SEEN = 6  # levels of 255 by which pixels differ where something is seen
_EDGE = 30  # the same of neighbouring pixels in a picture of writing
_FEW = 3
"""Characters in a row above which they are unseen: dots and thin letters may change no pixel."""
_SCAN = 0.5  # share of the page above which a picture over text is what the text was read from
_WRITING = 0.4
"""Share of the characters of a text that are on writing in a picture, if it was read there."""
_FINE = 1000  # parts of a pixel in which PDFium is asked for places


class Drawn(NamedTuple):
    """A character, its box, and PDFium's text object that it belongs to, with its `address`."""

    text: str
    box: Box
    item: Any
    key: int


def address(item: object) -> int:
    """Return the address of an object of PDFium's, the same for the same object; 0 for none."""
    return cast(item, c_void_p).value or 0  # type: ignore[arg-type]


def unseen(page: PdfPage, drawn: Sequence[Drawn]) -> set[int]:
    """Return which characters, by their places in ``drawn``, a reader does not see.

    What was read in a picture and lies invisibly over or under it is seen: in the picture.
    """
    items = {each.key: each.item for each in drawn if each.item}
    is_large = pdfium.FPDFPage_CountObjects(page.raw) > _MOST_OBJECTS
    if not items or is_large or min(page.get_size()) < 1:
        return set()
    modes = {key: pdfium.FPDFTextObj_GetTextRenderMode(item) for key, item in items.items()}
    inkless = {key for key, mode in modes.items() if mode == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE}
    with_text = _pixels(page) if len(inkless) < len(items) else None
    without = _pixels_without_text(page)
    boxes, beyond = _boxes(page, drawn, without.shape)
    # What is seen through letters is seen.
    clip = pdfium.FPDF_TEXTRENDERMODE_CLIP
    blank = [each.text.isspace() or modes.get(each.key, clip) == clip for each in drawn]
    seen = beyond | blank | _differ(without if with_text is None else with_text, without, boxes)
    hidden = [
        each.key in inkless or (not seen[at] and _is_drawable(each, without, box))
        for at, (each, box) in enumerate(zip(drawn, boxes, strict=True))
    ]
    runs = [list(run) for is_hidden, run in groupby(range(len(drawn)), hidden.__getitem__)
            if is_hidden]  # fmt: skip
    found = {at for run in runs if len(run) >= _FEW for at in run}
    if not found:
        return found
    # Where there is writing there are edges.
    edges = np.zeros(without.shape[:2], dtype=bool)
    edges[:, 1:] = _apart(without[:, 1:], without[:, :-1]) > _EDGE
    return found - _read_in_pictures(page, drawn, found, inkless, _holds(edges, boxes))


def _pixels(page: PdfPage) -> NDArray[np.uint8]:
    """Return how a page looks, as shape (height, width, 4): blue, green, red and a filler."""
    scale = min(1.0, _LARGEST / max(page.get_size()))
    bitmap = page.render(scale=scale, may_draw_forms=False, draw_annots=False, prefer_bgrx=True)
    return np.array(bitmap.to_numpy())


def _pixels_without_text(page: PdfPage) -> NDArray[np.uint8]:
    # More than those of its characters, which PDFium gives once where they are drawn twice.
    texts = [item for item in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_TEXT])
             if pdfium.FPDFPageObj_SetIsActive(item.raw, False)]  # fmt: skip
    try:
        return _pixels(page)
    finally:
        for item in texts:
            pdfium.FPDFPageObj_SetIsActive(item.raw, True)


def _boxes(
    page: PdfPage, drawn: Sequence[Drawn], shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return boxes in pixels as shape (boxes, 4), and which of them lie beyond the page's edge.

    They are left, top, right, bottom: at least a pixel, and on the page.
    """
    height, width = shape[:2]
    right, down = c_int(), c_int()

    def place(x: float, y: float) -> tuple[float, float]:
        size = (width * _FINE, height * _FINE)
        pdfium.FPDF_PageToDevice(page.raw, 0, 0, *size, 0, x, y, byref(right), byref(down))
        return right.value / _FINE, down.value / _FINE

    origin, across, up = (np.array(place(*at)) for at in ((0, 0), (1000, 0), (0, 1000)))
    turn = np.array([across - origin, up - origin]) / 1000
    corners = np.array([each.box for each in drawn]).reshape(-1, 2, 2) @ turn + origin
    low, high = np.floor(corners.min(axis=1)), np.ceil(corners.max(axis=1))
    beyond = ((low < 0) | (high > [width, height])).any(axis=1)
    low = np.clip(low, 0, [width - 1, height - 1])
    high = np.clip(high, low + 1, [width, height])
    return np.hstack([low, high]).astype(np.int64), beyond


def _differ(
    first: NDArray[np.uint8], second: NDArray[np.uint8], boxes: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return in which boxes two pictures differ."""
    changed = first.view(np.uint32)[:, :, 0] != second.view(np.uint32)[:, :, 0]
    changed[changed] = _apart(first[changed], second[changed]) > _SEEN
    return _holds(changed, boxes)


def _apart(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return by how many levels the colours of pixels differ at most."""
    apart: NDArray[np.int16] = np.abs(first[..., :3].astype(np.int16) - second[..., :3]).max(
        axis=-1
    )
    return apart


def _holds(marked: NDArray[np.bool_], boxes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which boxes hold pixels that are marked."""
    height, width = marked.shape
    sums = np.zeros((height + 1, width + 1), dtype=np.int32)
    np.cumsum(marked, axis=0, out=sums[1:, 1:])
    np.cumsum(sums, axis=1, out=sums)
    left, top, right, bottom = boxes.T
    counts = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return np.asarray(counts > 0)


def _is_drawable(each: Drawn, ground: NDArray[np.uint8], box: NDArray[np.int64]) -> bool:
    """Return whether PDFium would draw a character, or its colour is that of the ground.

    For files that don't bring their fonts, it has none of Chinese.
    """
    font = pdfium.FPDFTextObj_GetFont(each.item)
    if each.text.isascii() or pdfium.FPDFFont_GetIsEmbedded(font):
        return True
    red, green, blue, alpha = (c_uint() for _ in range(4))
    pdfium.FPDFPageObj_GetFillColor(each.item, byref(red), byref(green), byref(blue), byref(alpha))
    left, top, right, bottom = box
    colour = np.array([blue.value, green.value, red.value], dtype=np.uint8)
    apart = _apart(ground[top:bottom, left:right], colour).max()
    return bool(min(apart, alpha.value) <= _SEEN)


def _read_in_pictures(
    page: PdfPage,
    drawn: Sequence[Drawn],
    hidden: set[int],
    inkless: set[int],
    on_writing: NDArray[np.bool_],
) -> set[int]:
    """Return which hidden characters stand where a picture shows writing."""
    width, height = page.get_size()
    areas = ((right - left) * (top - bottom) for left, bottom, right, top in picture_boxes(page))
    is_scan = float(max(areas, default=0.0) / (width * height)) > _SCAN
    texts: list[list[int]] = []
    before = -1
    for at in sorted(hidden):
        if not (is_scan or drawn[at].key in inkless):
            continue
        # Some programs draw each character by itself.
        if before >= 0 and (drawn[at].key == drawn[before].key or len(texts[-1]) < _FEW):
            texts[-1].append(at)
        else:
            texts.append([at])
        before = at
    read = [text for text in texts if on_writing[text].mean() >= _WRITING]
    if read:
        read += [text for text in texts if len(text) < _FEW]
    return {at for text in read for at in text}
