"""Text in pictures: scans, photographs of pages, screenshots; read offline by PP-OCR.

The models are in the wheel of ``rapidocr`` (extra ``ocr``); nothing is fetched.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from rag_app.documents.formats import ExtractedText
from rag_app.documents.ocr_lines import Line, characters_of, sizes_of, skew
from rag_app.documents.pdf.characters import LONGEST_SIDE, Char, PageCharacters, Space
from rag_app.documents.pdf.page_text import INSTALL_OCR, page_of, text_of
from rag_app.documents.pdf.reader import ReadPicture
from rag_app.documents.text import shown
from rag_app.errors import DocumentError
from rag_app.settings import OcrMode
from rag_app.surroundings import physical_cores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

_MOST_PIXELS = 200_000_000
_SMALLEST = 40  # pixels of a side below which a picture holds no lines
_SKEWED = 0.006  # radians by which lines may rise and still stand where a level line would
_TALL = 1.5
"""Height to width above which a line of several characters is written downwards, or turned."""
_MOSTLY = 0.5
_TURNED = 0.85  # confidence above which a page is taken to be the right way up
_SEARCHED = 1280  # pixels of a side above which lines are looked for in a smaller copy
_LOOKED_AT = 3  # lines from which a page's orientation is found
_UNSURE = 0.8  # confidence below which a line is said to be uncertain
_INK = 60  # shades of grey, of 256, by which ink differs from paper
_LEAST = 0.3  # confidence below which a line is not one
_ZERO = re.compile(
    "(?<=[一二三四五六七八九十〇])[OoDQ0○]+(?=[一二三四五六七八九十〇年月日号])"
    "|(?<=[一二][〇一二三四五六七八九OoDQ0○。口])[OoDQ0○。口](?=[〇一二三四五六七八九OoDQ0○。口]年)"
    "|(?<=[一二])[OoDQ0○。口](?=[〇一二三四五六七八九OoDQ0○。口]{2}年)"
    "|(?<=[一二][〇一二三四五六七八九OoDQ0○。口]{2})[OoDQ0○。口](?=年)"
)
_ONE_READER = Lock()
_STORED_AS = 2  # number of the form in which pictures that were read are kept


def is_available() -> bool:
    """Return whether the extra ``ocr`` is installed."""
    return all(find_spec(name) for name in ("rapidocr", "onnxruntime"))


class KeptPictures(Protocol):
    """Keeps what was read in pictures, which takes seconds a page."""

    def get(self, key: bytes) -> bytes | None:
        """Return what was kept under a key, None where nothing was."""

    def keep(self, key: bytes, value: bytes) -> None:
        """Keep a value."""


def reader_of(mode: OcrMode, name: str, kept: KeptPictures | None = None) -> ReadPicture | None:
    """Return the reader of pictures, None where none are to be read or none can.

    Raises:
        DocumentError: they are always to be read, and nothing can.
    """
    if mode == "never":
        return None
    if is_available():
        return read_picture if kept is None else _keeping(read_picture, kept)
    if mode == "always":
        raise DocumentError(f"{shown(name)}: pictures can't be read here; {INSTALL_OCR}")
    return None


def _keeping(read: ReadPicture, kept: KeptPictures) -> ReadPicture:
    """Return a reader that reads no picture twice."""
    versions = " ".join(version(package) for package in ("rag-app", "rapidocr"))

    def read_once(image: "Image") -> PageCharacters:
        what = f"{versions} {_STORED_AS} {image.mode} {image.size}\0"
        key = hashlib.sha256(what.encode() + image.tobytes()).digest()
        found = kept.get(key)
        if found is not None:
            chars, turn, unsure = json.loads(found)
            known = [Char(*place)._replace(spaced=Space(spaced)) for *place, spaced in chars]
            return PageCharacters(known, turn=turn, unsure=unsure)
        page = read(image)
        chars = [[*char[:6], char.spaced.value] for char in page.chars]
        kept.keep(key, json.dumps([chars, page.turn, page.unsure]).encode())
        return page

    return read_once


def picture_lines(data: bytes, read: ReadPicture) -> list[str]:
    """Return the lines in a picture of a document; none of what is damaged or too small."""
    from PIL import Image

    try:
        with Image.open(BytesIO(data)) as image:
            if min(image.size) < _SMALLEST or image.width * image.height > _MOST_PIXELS:
                return []
            image.load()
            return text_of([page_of(read(image))]).text.splitlines()
    except OSError:  # a drawing, or damaged: the document shows no text there either
        return []


def _opaque(image: "Image") -> "Image":
    """Return a picture on white, where it is transparent, as pages show it."""
    from PIL import Image

    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def read_picture(image: "Image") -> PageCharacters:
    """Return the characters in a picture, upright, with the share of them that is uncertain."""
    image = _opaque(image)
    if max(image.size) > LONGEST_SIDE:
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    found, turn, before = _found(image), "", image
    if _is_tall(found):
        by, confidence = _best_turn(image, found, (90, 270))
        # A line of a turned page is turned back and read with ease, characters on their sides not.
        if confidence >= _TURNED:
            image = image.rotate(by, expand=True)
            lines = _read_all(image, _found(image))
        else:
            lines, turn = _read_all(image, found, _read_downwards), "vertical"
    else:
        lines = _read_all(image, found)
        if lines and _confidence(lines) < _TURNED and _best_turn(image, lines, (0, 180))[0]:
            image = image.rotate(180)
            lines = _read_all(image, _found(image))
    angle = 0.0 if turn else skew(lines)
    sizes = sizes_of(lines, downwards=bool(turn))
    chars = [
        char
        for line, size in zip(lines, sizes, strict=True)
        for char in characters_of(line, angle, image.height, turn, size)
    ]
    unsure = sum(len(line.text) for line in lines if line.score < _UNSURE)
    moved = image is not before or abs(angle) > _SKEWED
    return PageCharacters(
        chars, turn=turn, unsure=unsure, quarter=None if moved else int(bool(turn))
    )


@cache
def _engine() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "error",
            # More threads than cores wait for each other, and wait busily.
            "EngineConfig.onnxruntime.intra_op_num_threads": physical_cores(),
            # As many lines are found as in the whole picture, in a third of the time.
            "Det.limit_type": "max",
            "Det.limit_side_len": _SEARCHED,
        }
    )


def _found(image: "Image") -> list[Line]:
    """Return where there are lines on a page, not yet read."""
    import numpy as np

    with _ONE_READER:
        result = _engine()(np.asarray(image), use_det=True, use_cls=False, use_rec=False)
    boxes = () if result.boxes is None else result.boxes
    return [Line("", 0.0, tuple((float(x), float(y)) for x, y in box)) for box in boxes]


def _is_tall(lines: Sequence[Line]) -> bool:
    """Return whether most lines go down the page."""
    tall = sum(line.height for line in lines if line.height > _TALL * line.width)
    return tall > _MOSTLY * sum(max(line.width, line.height) for line in lines)


def _read_all(
    image: "Image",
    lines: Sequence[Line],
    read: "Callable[[Image, Line], Line] | None" = None,
) -> list[Line]:
    found = [(read or _read)(image, line) for line in lines]
    return [line for line in found if line.text and line.score >= _LEAST]


def _read(image: "Image", line: Line) -> Line:
    part = _part(image, line)
    if line.height > _TALL * line.width:
        part = part.rotate(90, expand=True)
    return _text_in(part)._replace(corners=line.corners)


def _ink(image: "Image") -> "NDArray[np.bool_]":
    """Return which pixels are of another grey than the paper, rows first."""
    import numpy as np

    grey = np.asarray(image.convert("L"), dtype=np.int16)
    return np.asarray(np.abs(grey - np.median(grey)) > _INK)


def _part(image: "Image", line: Line) -> "Image":
    """Return the picture of a line."""
    from PIL.Image import Resampling, Transform

    upper_left, upper_right, lower_right, lower_left = line.corners
    quad = (*upper_left, *lower_left, *lower_right, *upper_right)
    size = (max(1, round(line.width)), max(1, round(line.height)))
    return image.transform(size, Transform.QUAD, quad, Resampling.BICUBIC)


def _best_turn(image: "Image", lines: Sequence[Line], angles: Sequence[int]) -> tuple[int, float]:
    """Return by which of the angles the longest lines are read best, and how surely."""
    longest = sorted(lines, key=lambda line: -max(line.width, line.height))[:_LOOKED_AT]
    parts = [_part(image, line) for line in longest]

    def confidence(angle: int) -> float:
        return _confidence([_text_in(part.rotate(angle, expand=True)) for part in parts])

    return max(((angle, confidence(angle)) for angle in angles), key=lambda found: found[1])


def _text_in(image: "Image") -> Line:
    """Return what a picture of nothing but a line says."""
    import numpy as np

    with _ONE_READER:
        result = _engine()(np.asarray(image), use_det=False, use_cls=False, use_rec=True)
    text, score = (result.txts[0], float(result.scores[0])) if result.txts else ("", 0.0)
    (width, height) = image.size
    text = _ZERO.sub(lambda zeros: "〇" * len(zeros[0]), text)
    return Line(text, score, ((0, 0), (width, 0), (width, height), (0, height)))


def _confidence(lines: Sequence[Line]) -> float:
    length = sum(len(line.text) for line in lines)
    return sum(line.score * len(line.text) for line in lines) / length if length else 0.0


def _read_downwards(image: "Image", line: Line) -> Line:
    """Return a line that is written downwards, read with its characters side by side."""
    from PIL import Image as Pictures

    xs, ys = [x for x, _ in line.corners], [y for _, y in line.corners]
    column = image.crop((int(min(xs)), int(min(ys)), math.ceil(max(xs)), math.ceil(max(ys))))
    cells = _cells(column)
    if len(cells) < 2:
        return _read(image, line)
    size = max(max(cell.size) for cell in cells) + 4
    strip = Pictures.new("RGB", (size * len(cells), size), "white")
    for number, cell in enumerate(cells):
        place = (number * size + (size - cell.width) // 2, (size - cell.height) // 2)
        strip.paste(cell, place)
    read = _text_in(strip)._replace(corners=line.corners)
    return read if read.score >= _UNSURE else max(read, _read(image, line), key=lambda it: it.score)


def _cells(column: "Image") -> list["Image"]:
    """Return the characters of a column, parted where there is no ink."""
    import numpy as np

    ink = _ink(column)
    across = np.flatnonzero(ink.any(axis=0)).tolist() or [0, column.width]
    left, right = across[0], across[-1] + 1
    cells: list[tuple[int, int]] = []
    start = None
    for row, inked in enumerate(np.append(ink.any(axis=1), False).tolist()):
        if inked and start is None:
            start = row
        elif not inked and start is not None:
            if cells and row - cells[-1][0] <= 1.05 * (right - left):  # parts of one character
                cells[-1] = (cells[-1][0], row)
            else:
                cells.append((start, row))
            start = None
    return [column.crop((left, top, right, bottom)) for top, bottom in cells]


def read_image(data: bytes, name: str, read: ReadPicture | None = None) -> ExtractedText:
    """Return the text in the pictures of an image file, which may have several pages.

    Raises:
        DocumentError: it is damaged or far too large, holds no text, or nothing can read it here.
    """
    from PIL import Image, ImageOps, ImageSequence

    if read is None:
        raise DocumentError(f"{shown(name)} is a picture; {INSTALL_OCR}")
    try:
        with Image.open(BytesIO(data)) as file:
            if file.width * file.height > _MOST_PIXELS:
                msg = f"{shown(name)} has {file.width:,} x {file.height:,} pixels; make it smaller"
                raise DocumentError(msg)
            frames = [ImageOps.exif_transpose(f.copy()) for f in ImageSequence.Iterator(file)]
    except DocumentError:
        raise
    except Exception as error:  # of the decoders, for each way of being damaged
        msg = f"{shown(name)} is damaged or not a picture; get it or save it again"
        raise DocumentError(msg) from error
    result = text_of([page_of(read(frame)) for frame in frames])
    if not result.text:
        raise DocumentError(f"{shown(name)} is a picture in which nothing can be read")
    return result
