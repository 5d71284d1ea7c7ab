"""Text in pictures: scans, photographs of pages, screenshots; read offline by PP-OCR.

The models lie in the wheel of ``rapidocr`` (extra ``ocr``); nothing is fetched.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from statistics import median
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from rag_app.documents.formats import ExtractedText
from rag_app.documents.pdf.characters import Char, PageCharacters, upright
from rag_app.documents.pdf.lines import is_wide
from rag_app.documents.pdf.reader import INSTALL_OCR, ReadPicture, page_of, text_of
from rag_app.documents.text import shown
from rag_app.errors import DocumentError
from rag_app.settings import OcrMode

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST_PIXELS = 200_000_000
_SMALLEST = 40
"""Pixels of a side below which a picture holds no lines."""
_LONGEST = 4000
"""Pixels of a side above which a picture is made smaller."""
_TALL = 1.5
"""Height to width from which on a line of several characters is written downwards, or turned."""
_MOSTLY = 0.5
_TURNED = 0.85
"""Confidence from which on a page is taken to lie the right way up."""
_ALIKE = 0.35
"""Share by which lines differ in height though their text is of one size."""
_SEARCHED = 1280
"""Pixels of a side above which lines are looked for in a smaller copy."""
_LOOKED_AT = 3
"""Lines by which it is told how a page lies."""
_UNSURE = 0.8
"""Confidence below which a line is said to be uncertain."""
_ONE_READER = Lock()


class _Line(NamedTuple):
    text: str
    score: float
    corners: tuple[tuple[float, float], ...]
    """From the upper left one clockwise, in pixels, y downwards."""

    @property
    def width(self) -> float:
        return math.dist(self.corners[0], self.corners[1])

    @property
    def height(self) -> float:
        return math.dist(self.corners[0], self.corners[3])


def is_available() -> bool:
    """Return whether the extra ``ocr`` is installed."""
    return all(find_spec(name) for name in ("rapidocr", "onnxruntime"))


def reader_of(mode: OcrMode, name: str) -> ReadPicture | None:
    """Return what reads pictures, None where none are to be read or nothing can.

    Raises:
        DocumentError: they are always to be read, and nothing can.
    """
    if mode == "never":
        return None
    if is_available():
        return read_picture
    if mode == "always":
        msg = f"{shown(name)}: pictures can't be read here; {INSTALL_OCR}"
        raise DocumentError(msg)
    return None


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


def read_picture(image: "Image") -> PageCharacters:
    """Return the characters in a picture, upright, with the share of them that is uncertain."""
    image = image.convert("RGB")
    if max(image.size) > _LONGEST:
        image.thumbnail((_LONGEST, _LONGEST))
    lines = _lines(image)
    turn = ""
    tall = _is_mostly(lines, lambda line: line.height > _TALL * line.width and len(line.text) > 1)
    if tall or _confidence(lines) < _TURNED:
        by, confidence = _best_turn(image, lines, (90, 270) if tall else (0, 180))
        # A line of a turned page is turned back and read with ease, characters on their sides not.
        if tall and confidence < _TURNED:
            lines, turn = [_read_downwards(image, line) for line in lines], "vertical"
        elif by:
            image = image.rotate(by, expand=True)
            lines = _lines(image)
    angle = 0.0 if turn else _skew(lines)
    usual = median(line.width if turn else line.height for line in lines) if lines else 0.0
    chars = [char for line in lines for char in _chars(line, angle, image.height, turn, usual)]
    unsure = sum(len(line.text) for line in lines if line.score < _UNSURE)
    return PageCharacters(chars, turn=turn, unsure=unsure)


@cache
def _engine() -> Any:
    import psutil
    from rapidocr import RapidOCR

    # More threads than cores wait for each other, and wait busily.
    threads = psutil.cpu_count(logical=False) or 1
    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.text_score": 0.3,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            # As many lines are found as in the whole picture, in a third of the time.
            "Det.limit_type": "max",
            "Det.limit_side_len": _SEARCHED,
        }
    )


def _lines(image: "Image") -> list[_Line]:
    import numpy as np

    with _ONE_READER:
        result = _engine()(np.asarray(image), use_det=True, use_cls=False, use_rec=True)
    if result.txts is None:
        return []
    return [
        _Line(text, float(score), tuple((float(x), float(y)) for x, y in box))
        for text, score, box in zip(result.txts, result.scores, result.boxes, strict=True)
    ]


def _best_turn(image: "Image", lines: Sequence[_Line], angles: Sequence[int]) -> tuple[int, float]:
    """Return by which of the angles the longest lines are read best, and how surely."""
    from PIL.Image import Transform

    def confidence(angle: int) -> float:
        return _confidence([_read_line(part.rotate(angle, expand=True)) for part in parts])

    parts = []
    for line in sorted(lines, key=lambda line: -len(line.text))[:_LOOKED_AT]:
        upper_left, upper_right, lower_right, lower_left = line.corners
        quad = (*upper_left, *lower_left, *lower_right, *upper_right)
        size = (max(1, round(line.width)), max(1, round(line.height)))
        parts.append(image.transform(size, Transform.QUAD, quad))
    return max(((angle, confidence(angle)) for angle in angles), key=lambda found: found[1])


def _read_line(image: "Image") -> _Line:
    """Return what a picture of nothing but a line says."""
    import numpy as np

    with _ONE_READER:
        result = _engine()(np.asarray(image), use_det=False, use_cls=False, use_rec=True)
    text, score = (result.txts[0], float(result.scores[0])) if result.txts else ("", 0.0)
    (width, height) = image.size
    return _Line(text, score, ((0, 0), (width, 0), (width, height), (0, height)))


def _is_mostly(lines: Sequence[_Line], holds: Callable[[_Line], bool]) -> bool:
    length = sum(len(line.text) for line in lines)
    return sum(len(line.text) for line in lines if holds(line)) > _MOSTLY * length


def _confidence(lines: Sequence[_Line]) -> float:
    length = sum(len(line.text) for line in lines)
    return sum(line.score * len(line.text) for line in lines) / length if length else 0.0


def _skew(lines: Sequence[_Line]) -> float:
    """Return by how many radians the lines of a page rise to the right."""
    angles = [
        math.atan2(line.corners[0][1] - line.corners[1][1], line.corners[1][0] - line.corners[0][0])
        for line in lines
        if line.width > 3 * line.height
    ]
    return median(angles) if angles else 0.0


def _chars(line: _Line, angle: float, height: int, turn: str, usual: float) -> list[Char]:
    """Return the characters of a line, its length shared among them by their usual widths."""
    if not line.text:
        return []
    cos, sin = math.cos(angle), math.sin(angle)
    points = [
        (x * cos - (height - y) * -sin, (height - y) * cos - x * sin) for x, y in line.corners
    ]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    bottom, top = min(y for _, y in points), max(y for _, y in points)
    widths = [2 if is_wide(char) else 1 for char in line.text]
    if turn:
        step = (top - bottom) / len(line.text)
        down = [
            Char(char, left, top - (n + 1) * step, right, top - n * step, usual)
            for n, char in enumerate(line.text)
        ]
        return [upright(char) for char in down if not char.text.isspace()]
    step = (right - left) / sum(widths)
    own = top - bottom
    size = 0.8 * (usual if abs(own - usual) < _ALIKE * usual else own)
    found, at = [], left
    for char, width in zip(line.text, widths, strict=True):
        if not char.isspace():
            found.append(Char(char, at, bottom, at + width * step, top, size))
        at += width * step
    return found


def _read_downwards(image: "Image", line: _Line) -> _Line:
    """Return a line that is written downwards, read again with its characters side by side."""
    xs, ys = [x for x, _ in line.corners], [y for _, y in line.corners]
    column = image.crop((int(min(xs)), int(min(ys)), math.ceil(max(xs)), math.ceil(max(ys))))
    cells = _cells(column)
    if len(cells) < 2:
        return line
    size = max(column.width, *(bottom - top for top, bottom in cells)) + 4
    from PIL import Image as Pictures

    strip = Pictures.new("RGB", (size * len(cells), size), "white")
    for number, (top, bottom) in enumerate(cells):
        cell = column.crop((0, top, column.width, bottom))
        place = (number * size + (size - cell.width) // 2, (size - cell.height) // 2)
        strip.paste(cell, place)
    read = _read_line(strip)
    return line if read.score <= line.score else read._replace(corners=line.corners)


def _cells(column: "Image") -> list[tuple[int, int]]:
    """Return the top and bottom of each character of a column, parted where there is no ink."""
    import numpy as np

    grey = np.asarray(column.convert("L"), dtype=np.int16)
    paper = np.median(grey)
    inked = (np.abs(grey - paper) > 60).any(axis=1)
    cells: list[tuple[int, int]] = []
    start = None
    for row, ink in enumerate(np.append(inked, False).tolist()):
        if ink and start is None:
            start = row
        elif not ink and start is not None:
            if cells and row - cells[-1][0] <= 1.05 * column.width:  # parts of one character
                cells[-1] = (cells[-1][0], row)
            else:
                cells.append((start, row))
            start = None
    return cells


def read_image(data: bytes, name: str, read: ReadPicture | None = None) -> ExtractedText:
    """Return the text in the pictures of an image file, which may have several pages.

    Raises:
        DocumentError: it is damaged or far too large, holds no text, or nothing can read it here.
    """
    from PIL import Image, ImageOps, ImageSequence

    if read is None:
        msg = f"{shown(name)} is a picture; {INSTALL_OCR}"
        raise DocumentError(msg)
    try:
        with Image.open(BytesIO(data)) as file:
            if file.width * file.height > _MOST_PIXELS:
                msg = f"{shown(name)} has {file.width:,} x {file.height:,} pixels; make it smaller"
                raise DocumentError(msg)
            frames = [ImageOps.exif_transpose(f.copy()) for f in ImageSequence.Iterator(file)]
    except DocumentError:
        raise
    except Exception as error:  # of the decoders, for each way of being damaged
        msg = f"{shown(name)} is damaged or no picture; get it or save it anew"
        raise DocumentError(msg) from error
    result = text_of([page_of(read(frame)) for frame in frames])
    if not result.text:
        msg = f"{shown(name)} is a picture in which nothing can be read"
        raise DocumentError(msg)
    return result._replace(boxes=())
