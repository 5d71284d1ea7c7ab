"""Errors as OpenAI's API gives them: one object, the right status, never a traceback."""

import logging
import os
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException as StarletteHTTPException

from model_prep.validation import invalid_reason
from rag_app.errors import (
    DocumentError,
    EmbeddingMismatchError,
    IndexStoreError,
    ModelError,
    PromptTooLongError,
    QuestionError,
    RagAppError,
    SchemaError,
    SettingsError,
)
from rag_app.settings import indexes_folder

_STATUS: Mapping[type, int] = {
    SettingsError: 400,
    QuestionError: 400,
    DocumentError: 400,
    EmbeddingMismatchError: 409,
    IndexStoreError: 503,
    ModelError: 503,
    PromptTooLongError: 400,
    SchemaError: 400,
    TimeoutError: 504,
}
_log = logging.getLogger("rag_app.server")

OLLAMA = "/api/"
"""What the paths of Ollama's API begin with."""
ONE, MANY = "(one)", "(many)"
"""How pydantic names the two forms of a field that is one or a list; clients don't."""
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "service_unavailable",
    504: "timeout_error",
}


class ApiError(HTTPException):
    """An error for the client.

    Args:
        status: HTTP status.
        message: One line: what is wrong, what to do.
        code: For programs, such as ``model_not_found``.
        param: The field of the request that is wrong.
        headers: To be sent with it.

    Example:
        >>> body_of(ApiError(404, "no index 'a'", code="index_not_found"))["error"]["type"]
        'not_found_error'
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers=dict(headers or {}))
        self.code = code
        self.param = param


def error_body(
    status: int, message: str, *, code: str | None = None, param: str | None = None
) -> dict[str, Any]:
    """Return the error object of OpenAI's API."""
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def ollama_body(body: dict[str, Any]) -> dict[str, Any]:
    """Return an error as Ollama's API gives it: its message alone."""
    return {"error": body["error"]["message"]}


def response_to(path: str, status: int, body: dict[str, Any], headers: Any = None) -> JSONResponse:
    """Return the response to a request for ``path`` that is an error, as its API gives them."""
    shown = ollama_body(body) if path.startswith(OLLAMA) else body
    return JSONResponse(shown, status, headers=dict(headers or {}))


def status_of(error: BaseException) -> int:
    """Return the HTTP status that says who can correct ``error``."""
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)


def body_of(error: BaseException) -> dict[str, Any]:
    """Return the error object for what went wrong in mid-stream."""
    if isinstance(error, ApiError):
        return error_body(error.status_code, error.detail, code=error.code, param=error.param)
    if isinstance(error, PromptTooLongError):
        code = "context_length_exceeded"
        return error_body(status_of(error), str(error), code=code, param="messages")
    if isinstance(error, RagAppError):
        return error_body(status_of(error), _public(str(error)))
    if isinstance(error, TimeoutError):
        return error_body(504, "the request took too long and was given up", code="timeout")
    return error_body(500, "unexpected error; see the server's log")


def _public(message: str) -> str:
    """Return a message without the server's own folders: clients know indexes by name."""
    return message.replace(f"{indexes_folder()}{os.sep}", "")


_NEAR = 20  # characters before and after a fault in JSON that are shown
_UNREADABLE: Mapping[type[Exception], str] = {
    UnicodeDecodeError: "the body is not UTF-8; send JSON in UTF-8",
    RecursionError: "the body is nested too deeply",
}


def _unrouted(request: Request, error: StarletteHTTPException) -> ApiError:
    """Return the error of a request that no route takes, or whose body is not a form."""
    asked, headers = f"{request.method} {request.url.path}", error.headers
    if error.status_code == 404:
        msg = f"there is no {asked}; see /openapi.json"
        return ApiError(404, msg, code="unknown_url", headers=headers)
    if error.status_code == 405:
        msg = f"{asked} is not allowed; see /openapi.json"
        return ApiError(405, msg, code="method_not_supported", headers=headers)
    for kind, msg in _UNREADABLE.items():
        if error.status_code == 400 and isinstance(error.__cause__, kind):
            return ApiError(400, msg, code="invalid_json", headers=headers)
    return ApiError(error.status_code, str(error.detail), headers=headers)


def _invalid(request: Request, problem: Mapping[str, Any], body: Any) -> ApiError:
    """Return the error of a request that is not as its schema says.

    Args:
        request: Its headers are looked at.
        problem: The first that was found.
        body: What was read of the request, as far as that could be done.
    """
    if problem["type"] == "json_invalid":
        reason = problem.get("ctx", {}).get("error", "")
        at = problem["loc"][-1]
        # There it is seen which quotes a shell has taken away, or left.
        near = str(body)[max(0, at - _NEAR) : at + _NEAR]
        msg = f"the body is not valid JSON: {reason} at character {at}, near {near!r}"
        return ApiError(400, msg, code="invalid_json")
    sent = request.headers.get("content-type", "")
    # What is not said to be JSON is not read as such.
    if problem["loc"] == ("body",) and isinstance(body, bytes | FormData):
        named = f"not {sent}" if sent else "it is missing"
        msg = f"the header Content-Type must be application/json; {named}"
        return ApiError(400, msg, code="invalid_content_type")
    if problem["type"] == "missing" and problem["loc"] == ("body",):
        return ApiError(400, "there is no body; send JSON", code="invalid_json")
    if problem["type"] == "model_attributes_type" and problem["loc"] == ("body",):
        kind = "a string; is it encoded twice?" if isinstance(body, str) else "something else"
        msg = f"the body must be a JSON object; it is {kind}"
        return ApiError(400, msg, code="invalid_json")
    if problem["loc"][:2] == ("body", "files"):
        msg = (
            "send multipart/form-data in which each part named files has a filename; "
            "filename* alone is not read"
        )
        return ApiError(400, msg, param="files")
    place = ".".join(str(part) for part in problem["loc"] if part not in ("body", ONE, MANY))
    reason = invalid_reason(problem)
    message = f"{place}: {reason}" if place else reason
    return ApiError(400, message, param=place or None)


def install(app: FastAPI) -> None:
    """Have ``app`` answer every error with the standard object."""

    @app.exception_handler(StarletteHTTPException)
    async def http(request: Request, error: StarletteHTTPException) -> JSONResponse:
        if not isinstance(error, ApiError):
            error = _unrouted(request, error)
        return response_to(request.url.path, error.status_code, body_of(error), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        body = body_of(_invalid(request, error.errors()[0], error.body))
        return response_to(request.url.path, 400, body)

    async def other(request: Request, error: Exception) -> JSONResponse:
        if (status := status_of(error)) != 500:
            return response_to(request.url.path, status, body_of(error))
        _log.error("unexpected error", exc_info=error)
        # uvicorn closes the connection after it, and the next request must not be sent on it.
        return response_to(request.url.path, 500, body_of(error), {"Connection": "close"})

    for kind in (RagAppError, TimeoutError, Exception):
        app.add_exception_handler(kind, other)
