"""Pictures of the pages of documents, drawn by processes that can be ended, and kept a while."""

import asyncio
import os
import sys
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from rag_app.documents import page_image
from rag_app.documents.formats import LineBox
from rag_app.documents.page_image import FileChangedError, NoSuchPageError, PageImage
from rag_app.server.errors import ApiError
from rag_app.surroundings import import_path

if TYPE_CHECKING:
    from rag_app.index.store.records import ChunkRecord, DocumentRecord

_AT_ONCE = 2
_SECONDS = 30.0  # for one page
_MOST_BYTES = 32 * 2**20  # bytes of pictures that are kept
MOST_PAGES = 3
"""On which a passage is shown."""


class PageImages:
    """Draws pages and keeps the last ones."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, int, int], PageImage] = OrderedDict()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def get(self, document: "DocumentRecord", name: str, number: int) -> PageImage:
        """Return a page.

        Raises:
            ApiError: 404, there is none, or its file is gone; 409, the file was changed; 504, it
                took too long.
            DocumentError: the page is damaged.
        """
        if document.loader not in page_image.KINDS:
            msg = f"{name} has no pages that can be shown; GET its text"
            raise ApiError(404, msg, code="no_pages")
        try:
            changed = await asyncio.to_thread(lambda: Path(document.source).stat().st_mtime_ns)
        except OSError as error:
            msg = f"the file of {name} is not there any more; add it again to see its pages"
            raise ApiError(404, msg, code="file_missing") from error
        key = (document.source, document.content_hash, changed, number)
        async with self._slots:
            if key not in self._kept:
                self._keep(key, await self._drawn(document, name, number))
            self._kept.move_to_end(key)
            return self._kept[key]

    def _keep(self, key: tuple[str, str, int, int], page: PageImage) -> None:
        self._kept[key] = page
        while len(self._kept) > 1 and sum(len(page.png) for page in self._kept.values()) > (
            _MOST_BYTES
        ):
            self._kept.popitem(last=False)

    async def _drawn(self, document: "DocumentRecord", name: str, number: int) -> PageImage:
        arguments = (document.source, document.loader or "", document.content_hash, str(number))
        process = await asyncio.create_subprocess_exec(
            # Without -P, a file of the working folder would take a module's place: html.py, say.
            *(sys.executable, "-P", "-m", page_image.__name__, *arguments),
            env={**os.environ, "PYTHONPATH": import_path()},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(_SECONDS):
                out, _ = await process.communicate()
            if process.returncode:
                msg = f"page {number} of {name} can't be shown; get the file or save it again"
                raise ApiError(400, msg, code="page_unreadable")
            return page_image.loaded(out)
        except TimeoutError as error:
            msg = f"page {number} of {name} took longer than {_SECONDS:g} seconds to draw"
            raise ApiError(504, msg, code="timeout") from error
        except NoSuchPageError as error:
            raise ApiError(404, str(error), code="page_not_found") from error
        except FileChangedError as error:
            raise ApiError(409, str(error), code="file_changed") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def lines_of(chunks: Sequence["ChunkRecord"], start: int, end: int) -> list[LineBox]:
    """Return where the text from ``start`` to ``end`` of a document stands on its pages."""
    found: dict[LineBox, None] = {}
    for chunk in chunks:
        for values in chunk.extra.get("boxes", ()):
            box = LineBox(*values)
            if box.start < end and box.end > start:
                text = chunk.text[max(box.start - chunk.start, 0) : box.end - chunk.start]
                found[box if "\n" in text else _cut(box, start, end)] = None
    return sorted(found)


def _cut(box: LineBox, start: int, end: int) -> LineBox:
    """Return the part of a line that some of its characters take, all about as wide."""
    shares = [(min(max(at, box.start), box.end) - box.start) for at in (start, end)]
    first, last = (share / max(box.end - box.start, 1) for share in shares)
    if box.right - box.left >= box.top - box.bottom:
        wide = box.right - box.left
        return box._replace(left=box.left + first * wide, right=box.left + last * wide)
    tall = box.top - box.bottom
    return box._replace(top=box.top - first * tall, bottom=box.top - last * tall)


def _page_images(request: Request) -> PageImages:
    images: PageImages = request.app.state.page_images
    return images


Pages = Annotated[PageImages, Depends(_page_images)]
"""The pictures of pages, as a parameter of a route."""
