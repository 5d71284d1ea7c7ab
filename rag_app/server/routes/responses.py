"""``/v1/responses``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter

from rag_app.errors import PromptTooLongError
from rag_app.server.completions.responses import ChatResponse, ResponseEvents
from rag_app.server.errors import ApiError
from rag_app.server.routes.completions import Answers
from rag_app.server.schemas.openapi import errors, events
from rag_app.server.schemas.responses import (
    RESPONSE_EVENT,
    ModelResponse,
    ResponseRequest,
    own_param,
)

router = APIRouter(prefix="/v1", tags=["OpenAI"])


@router.post(
    "/responses",
    response_model=None,
    responses={
        **errors(400, 404, 409, 413, 503, 504),
        **events("Pieces of the response", RESPONSE_EVENT, ModelResponse, named=True),
    },
)
async def responses(request: ResponseRequest, answers: Answers) -> Any:
    """Answer as a chat does, in the items and events of OpenAI's newer API; nothing is stored."""
    with _own_params():
        generation = await answers.generation(request.to_chat())
    response = ChatResponse(generation, request, request.model or answers.llm_id)
    with _own_params():
        return await answers.answer(response, stream=request.stream, form=ResponseEvents(response))


@contextmanager
def _own_params() -> Iterator[None]:
    """Have an error name the field of the request, where a chat has another."""
    try:
        yield
    except ApiError as error:
        error.param = own_param(error.param)
        raise
    except PromptTooLongError as error:
        code = "context_length_exceeded"
        raise ApiError(400, str(error), code=code, param="input") from error
