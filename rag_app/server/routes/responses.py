"""``/v1/responses``."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query

from rag_app.errors import PromptTooLongError
from rag_app.server.completions.responses import ChatResponse, ResponseEvents
from rag_app.server.completions.stored import Stored, StoredResponses
from rag_app.server.errors import ApiError
from rag_app.server.routes.completions import Answers
from rag_app.server.schemas.openapi import errors, streamed
from rag_app.server.schemas.responses import (
    RESPONSE_EVENT,
    DeletedResponse,
    InputItems,
    ModelResponse,
    ResponseRequest,
    own_param,
)

ResponseId = Annotated[str, Path(description="Of a response.", examples=["resp_5f0c"])]

router = APIRouter(prefix="/v1", tags=["OpenAI"])


@router.post(
    "/responses",
    response_model=None,
    responses={
        **errors(400, 404, 409, 413, 503, 504),
        **streamed("Pieces of the response", RESPONSE_EVENT, ModelResponse, named=True),
    },
)
async def responses(request: ResponseRequest, answers: Answers, stored: Stored) -> Any:
    """Answer as a chat does, in the items and events of OpenAI's newer API.

    The response is kept for thirty days, unless `store` is false.
    """
    items = await asyncio.to_thread(request.items, stored.item)
    if previous := request.previous_response_id:
        items = [*await asyncio.to_thread(_said_before, stored, previous), *items]
    request = request.with_items(items)
    with _own_params():
        generation = await answers.generation(request.to_chat())
    keep = None if request.store is False else partial(stored.add, items=items)
    response = ChatResponse(generation, request, request.model or answers.llm_id, keep)
    with _own_params():
        return await answers.answer(response, stream=request.stream, form=ResponseEvents(response))


@router.get(
    "/responses/{response_id}",
    response_model=None,
    responses={200: {"model": ModelResponse}, **errors(400, 404)},
)
def show_response(
    response_id: ResponseId,
    stored: Stored,
    stream: Annotated[bool, Query(description="Refused.", examples=[False])] = False,
) -> dict[str, Any]:
    """Show a response that is kept."""
    if stream:
        msg = "stream is not supported: a stored response is complete; leave it out"
        raise ApiError(400, msg, code="unsupported_parameter", param="stream")
    return stored.response(response_id)


@router.delete("/responses/{response_id}", responses=errors(404))
def delete_response(response_id: ResponseId, stored: Stored) -> DeletedResponse:
    """Delete a response that is kept."""
    stored.delete(response_id)
    return DeletedResponse(id=response_id)


@router.get("/responses/{response_id}/input_items", responses=errors(400, 404))
def list_input_items(
    response_id: ResponseId,
    stored: Stored,
    limit: Annotated[int, Query(ge=1, le=100, description="Most items.", examples=[20])] = 20,
    order: Annotated[
        Literal["asc", "desc"], Query(description="The oldest or newest first.", examples=["asc"])
    ] = "desc",
    after: Annotated[
        str | None, Query(description="Id of the item before.", examples=["msg_5f0c"])
    ] = None,
) -> InputItems:
    """List what a response answers, with what was said before it."""
    items = stored.items(response_id)
    return InputItems.page(items if order == "asc" else items[::-1], limit, after)


def _said_before(stored: StoredResponses, previous: str) -> list[dict[str, Any]]:
    """Return what was said up to a response, and the response's own items.

    Raises:
        ApiError: 400, it is not kept.
    """
    try:
        return [*stored.items(previous), *stored.response(previous)["output"]]
    except ApiError as error:
        code, param = "previous_response_not_found", "previous_response_id"
        raise ApiError(400, error.detail, code=code, param=param) from error


@contextmanager
def _own_params() -> Iterator[None]:
    """Rename the field in an error, where a chat has another name for it."""
    try:
        yield
    except ApiError as error:
        error.param = own_param(error.param)
        raise
    except PromptTooLongError as error:
        code = "context_length_exceeded"
        raise ApiError(400, str(error), code=code, param="input") from error
