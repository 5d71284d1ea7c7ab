"""Parts of the OpenAPI schema that the types don't give: errors, streams, keys."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Security
from fastapi.security import HTTPBearer
from openai.types import ErrorObject
from pydantic import BaseModel

from rag_app.server.errors import error_body, ollama_body

Responses = dict[int | str, dict[str, Any]]

KEY = Security(
    HTTPBearer(
        scheme_name="key",
        auto_error=False,  # the middleware says who may do what
        description="One of the keys that the server was started with; none is needed without. The "
        "headers `api-key` and `x-api-key` will do too.",
    )
)

TAGS = [
    {"name": "OpenAI", "description": "What clients of OpenAI's API speak."},
    {"name": "Ollama", "description": "What clients of Ollama's API speak."},
    {"name": "Documents", "description": "Indexes, their documents, and what they hold."},
    {"name": "Conversations", "description": "Questions and answers, kept, and rated by people."},
    {"name": "Server", "description": "How the server is, and what it does by default."},
]


class ErrorBody(BaseModel):
    """What is wrong, for people and for programs."""

    error: ErrorObject


class OllamaError(BaseModel):
    """What is wrong."""

    error: str


_LATER = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
}
_ERRORS: Mapping[int, tuple[str, str, str | None, str | None]] = {
    400: ("The request is wrong", "temperature: must be a number", None, "temperature"),
    401: ("A key is needed", "a key is needed: send it", "invalid_api_key", None),
    403: ("Not from here", "pages of http://a.example may not use this server", "origin", None),
    404: ("There is no such thing", "no index '合同'", "index_not_found", None),
    409: ("It does not go together", "there is an index '合同' already", "index_exists", None),
    413: ("Too large", "the request is larger than 8,388,608 bytes", "request_too_large", None),
    429: ("Too many at once", "65 requests are being worked on or wait", "overloaded", None),
    503: ("Not now", "the language model is being loaded", "model_loading", None),
    504: ("It took too long", "the request took longer than 1800 seconds", "timeout", None),
}


def errors(*statuses: int, form: type[BaseModel] = ErrorBody) -> Responses:
    """Return the description of these errors; any other has the same form."""
    described: Responses = {
        "default": {"model": form, "description": "Any other error, in the same form"}
    }
    for status in statuses:
        meaning, message, code, param = _ERRORS[status]
        body = error_body(status, message, code=code, param=param)
        if form is OllamaError:
            body = ollama_body(body)
        described[status] = {
            "model": form,
            "description": meaning,
            "content": {"application/json": {"example": body}},
        }
        if status in (429, 503):
            described[status]["headers"] = _LATER
    return described


def ollama_errors(*statuses: int) -> Responses:
    """Return the description of these errors in the form of Ollama's API."""
    return errors(*statuses, form=OllamaError)


def lines(description: str, example: Mapping[str, Any], whole: type[BaseModel]) -> Responses:
    """Return the description of a stream of lines, each an object of JSON.

    Args:
        description: What the lines are.
        example: One of them.
        whole: The answer where no stream is asked for.
    """
    stream = {"itemSchema": {"type": "object"}, "example": dict(example)}
    said = f"{whole.__doc__} {description}, a line each, where a stream is asked for."
    return {
        200: {
            "model": whole,
            "description": said,
            "content": {"application/x-ndjson": stream},
        }
    }


def streamed(
    description: str,
    example: Mapping[str, Any],
    whole: type[BaseModel] | None = None,
    *,
    named: bool = False,
) -> Responses:
    """Return the description of a stream of events.

    Args:
        description: What the events are.
        example: One of them.
        whole: The answer where no stream is asked for; then ``[DONE]`` ends a stream.
        named: Whether an event has its type as a name, and nothing follows the last.
    """
    name = f"event: {example['type']}\n" if named else ""
    done = "data: [DONE]\n\n" if whole and not named else ""
    text = f"{name}data: {json.dumps(example, ensure_ascii=False)}\n\n{done}"
    event = {"type": "object", "required": ["data"], "properties": {"data": {"type": "string"}}}
    stream = {"itemSchema": event, "example": text}  # as FastAPI describes its own streams
    both: dict[str, Any] = {"content": {"text/event-stream": stream}, "description": description}
    if whole:
        both |= {"model": whole, "description": whole.__doc__ or ""}
    return {200: both}
