"""The picture of a page: of a PDF's, or of those that an image file holds.

What a file holds may mean harm or take long. A server therefore has its pages drawn in a process
of its own, which can be ended: ``python -m rag_app.documents.page_image FILE KIND HASH NUMBER``
writes a line of JSON and the PNG.
"""

import hashlib
import json
import sys
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from rag_app.documents.pdf.characters import LONGEST_SIDE
from rag_app.documents.text import shown
from rag_app.errors import DocumentError

if TYPE_CHECKING:
    from PIL.Image import Image

KINDS = frozenset({"pdf", "image"})
"""Formats that have pages which can be drawn."""
SIDE = 1800
"""Pixels of the longer side of a picture, at most."""
_DPI = 300  # dots an inch, at most: a stamp is not drawn as large as a poster

Box = tuple[float, float, float, float]


class FileChangedError(DocumentError):
    """The file is not the one that was indexed."""


class NoSuchPageError(DocumentError):
    """A document has fewer pages."""


_ERRORS = {kind.__name__: kind for kind in (FileChangedError, NoSuchPageError, DocumentError)}


@dataclass(frozen=True)
class PageImage:
    """A page as a picture.

    Attributes:
        pages: How many the document has.
        width: Pixels.
        height: Pixels.
        place: How places on the page become shares of the picture's sides from its upper left
            corner: (a, b, c, d, e, f) stands for ``(a x + b y + c, d x + e y + f)``.
        png: The picture.

    Example:
        >>> page = PageImage(1, 100, 200, (1 / 50, 0, 0, 0, -1 / 100, 1), b"")
        >>> page.share_of((10, 80, 35, 90))
        (0.2, 0.1, 0.7, 0.2)
    """

    pages: int
    width: int
    height: int
    place: tuple[float, ...]
    png: bytes = field(repr=False)

    def share_of(self, box: Box) -> Box | None:
        """Return where a box (left, bottom, right, top) is: its left, top, right and bottom.

        None where it is not on the page.
        """
        a, b, c, d, e, f = self.place
        corners = [(a * x + b * y + c, d * x + e * y + f) for x, y in (box[:2], box[2:])]
        (left, right), (top, bottom) = (sorted(side) for side in zip(*corners, strict=True))
        if min(right, bottom) <= 0 or max(left, top) >= 1:
            return None
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, 1), min(bottom, 1)
        return round(left, 4), round(top, 4), round(right, 4), round(bottom, 4)

    def dump(self) -> bytes:
        """Return what `loaded` reads."""
        values = {name: value for name, value in asdict(self).items() if name != "png"}
        return json.dumps(values).encode() + b"\n" + self.png


def loaded(data: bytes) -> PageImage:
    """Return the page that a process wrote.

    Raises:
        DocumentError: it wrote why there is none.
    """
    head, _, png = data.partition(b"\n")
    values = json.loads(head)
    if "error" in values:
        raise _ERRORS[values["error"]](values["message"])
    return PageImage(**{**values, "place": tuple(values["place"])}, png=png)


def page_image(path: Path, kind: str, digest: str, number: int) -> PageImage:
    """Return a page of a file.

    Args:
        path: The file.
        kind: Its format, of `KINDS`.
        digest: SHA-256 of the file that is meant, hexadecimal.
        number: The number of the page, 1-based.

    Raises:
        FileChangedError: the file is gone, or is another now.
        NoSuchPageError: it has fewer pages.
        DocumentError: the page is damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"the file of {shown(path.name)} is not there any more; add it again to see its pages"
        raise FileChangedError(msg) from error
    if hashlib.sha256(data).hexdigest() != digest:
        msg = f"{shown(path.name)} was changed since it was indexed; index it again"
        raise FileChangedError(msg)
    try:
        return (_pdf_page if kind == "pdf" else _picture)(data, path.name, number)
    except DocumentError:
        raise
    except Exception as error:  # of the parsers, for each way of being damaged
        msg = f"page {number} of {shown(path.name)} is damaged and can't be shown"
        raise DocumentError(msg) from error


def _pdf_page(data: bytes, name: str, number: int) -> PageImage:
    import pypdfium2

    document = pypdfium2.PdfDocument(data)
    document.init_forms()  # what was filled in is shown
    _check(number, len(document), name)
    page = document[number - 1]
    scale = min(_DPI / 72, (SIDE - 1) / max(*page.get_size(), 1))
    image = page.render(scale=scale).to_pil()
    return _made(image, len(document), _place(page.get_bbox(), page.get_rotation()))


def _place(box: Box, rotation: int) -> tuple[float, ...]:
    """Return `PageImage.place` of a page that is shown turned clockwise by so many degrees."""
    left, bottom, right, top = box
    across, up = 1 / (right - left), 1 / (top - bottom)
    x, y = (across, 0, -left * across), (0, up, -bottom * up)
    turned = {0: (x, _back(y)), 90: (y, x), 180: (_back(x), y), 270: (_back(y), _back(x))}
    shares = turned[rotation]
    return (*shares[0], *shares[1])


def _back(share: tuple[float, float, float]) -> tuple[float, float, float]:
    a, b, c = share
    return (-a, -b, 1 - c)


def _picture(data: bytes, name: str, number: int) -> PageImage:
    from PIL import Image, ImageOps

    with Image.open(BytesIO(data)) as file:
        pages = getattr(file, "n_frames", 1)
        _check(number, pages, name)
        file.seek(number - 1)
        image = ImageOps.exif_transpose(file.copy())
    image = image if image.mode in {"1", "L", "RGB"} else image.convert("RGB")
    if max(image.size) > LONGEST_SIDE:  # as it was read
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    place = (1 / image.width, 0, 0, 0, -1 / image.height, 1)
    image.thumbnail((SIDE, SIDE))
    return _made(image, pages, place)


def _check(number: int, pages: int, name: str) -> None:
    if not 1 <= number <= pages:
        raise NoSuchPageError(f"{shown(name)} has {pages} pages, no page {number}")


def _made(image: "Image", pages: int, place: tuple[float, ...]) -> PageImage:
    file = BytesIO()
    image.save(file, "PNG")
    return PageImage(pages, image.width, image.height, place, file.getvalue())


def main() -> None:
    """Write the page that the command line names."""
    path, kind, digest, number = sys.argv[1:]
    try:
        out = page_image(Path(path), kind, digest, int(number)).dump()
    except DocumentError as error:
        out = json.dumps({"error": type(error).__name__, "message": str(error)}).encode()
    sys.stdout.buffer.write(out)


if __name__ == "__main__":
    main()
