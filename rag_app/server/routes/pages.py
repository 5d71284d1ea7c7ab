"""The routes of the pages of documents: their pictures, and where passages are on them."""

import asyncio

from fastapi import APIRouter, Response

from rag_app.documents.formats import LineBox
from rag_app.documents.page_image import PageImage
from rag_app.server.index_registry import IndexRegistry, Registry, shown_name
from rag_app.server.page_images import MOST_PAGES, Pages, lines_of
from rag_app.server.schemas.indexes import DocumentId, IndexName
from rag_app.server.schemas.openapi import errors
from rag_app.server.schemas.pages import DocumentPage, DocumentPages, Offset, PageBox, PageNumber

router = APIRouter(prefix="/v1/indexes/{index}/documents/{document}", tags=["Documents"])
_BYTES = {"type": "string", "format": "binary"}
_PICTURE = {"image/png": {"schema": _BYTES, "example": "\x89PNG\r\n\x1a\n"}}


@router.get("/pages", responses=errors(400, 404, 409, 503, 504))
async def document_pages(
    index: IndexName,
    document: DocumentId,
    registry: Registry,
    pages: Pages,
    start: Offset = None,
    end: Offset = None,
) -> DocumentPages:
    """Say on which pages of a PDF or of a picture a passage is, and where on them."""
    found = await asyncio.to_thread(_Found, registry, index, document, start, end)
    drawn = [
        (number, await pages.get(found.document, found.name, number)) for number in found.numbers
    ]
    return DocumentPages(
        total=drawn[0][1].pages,
        data=[
            DocumentPage(
                page=number, width=image.width, height=image.height, boxes=found.on(number, image)
            )
            for number, image in drawn
        ],
    )


@router.get(
    "/pages/{number}.png",
    response_class=Response,
    responses={**errors(400, 404, 409, 503, 504), 200: {"content": _PICTURE}},
)
async def page_picture(
    index: IndexName, document: DocumentId, number: PageNumber, registry: Registry, pages: Pages
) -> Response:
    """Return the picture of a page of a PDF, or of an image file."""
    found = await asyncio.to_thread(_Found, registry, index, document)
    image = await pages.get(found.document, found.name, number)
    return Response(image.png, media_type="image/png", headers={"Cache-Control": "no-store"})


class _Found:
    """A document, and where a passage of it is."""

    def __init__(
        self,
        registry: IndexRegistry,
        index: str,
        document: str,
        start: int | None = None,
        end: int | None = None,
    ) -> None:
        engine = registry.engine(index)
        self.document = registry.document(index, document)
        self.name = shown_name(self.document.source, engine.store.folder)
        self.numbers, self._lines = [1], list[LineBox]()
        if start is None:
            return
        end = start + 1 if end is None else end
        with engine.store.read() as snapshot:
            chunks = [
                chunk
                for chunk in snapshot.chunks_of(self.document.source)
                if chunk.start < end and chunk.end > start
            ]
        self._lines = lines_of(chunks, start, end)
        known = {line.page for line in self._lines} or {chunk.page or 1 for chunk in chunks}
        self.numbers = sorted(known)[:MOST_PAGES] or [1]

    def on(self, number: int, image: PageImage) -> list[PageBox]:
        """Return where the passage is on a page."""
        boxes = (image.share_of(line[3:]) for line in self._lines if line.page == number)
        names = PageBox.model_fields
        return [PageBox(**dict(zip(names, box, strict=True))) for box in boxes if box]
