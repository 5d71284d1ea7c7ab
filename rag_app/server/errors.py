"""Errors as OpenAI's API gives them: one object, the right status, never a traceback."""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from rag_app.errors import (
    DocumentError,
    EmbeddingMismatchError,
    IndexStoreError,
    ModelError,
    PromptTooLongError,
    QuestionError,
    RagAppError,
    SettingsError,
)

_STATUS: Mapping[type, int] = {
    SettingsError: 400,
    QuestionError: 400,
    DocumentError: 400,
    EmbeddingMismatchError: 409,
    IndexStoreError: 503,
    ModelError: 503,
    PromptTooLongError: 400,
    TimeoutError: 504,
}
_log = logging.getLogger("rag_app.server")

ONE, MANY = "(one)", "(many)"
"""How pydantic names the two forms of a field that is one or a list; clients don't."""
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
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


def status_of(error: BaseException) -> int:
    """Return the HTTP status that says who can correct ``error``."""
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)


def body_of(error: BaseException) -> dict[str, Any]:
    """Return the error object for what went wrong in mid-stream."""
    if isinstance(error, ApiError):
        return error_body(error.status_code, error.detail, code=error.code, param=error.param)
    if isinstance(error, RagAppError):
        return error_body(status_of(error), str(error))
    if isinstance(error, TimeoutError):
        return error_body(504, "the request took too long and was given up", code="timeout")
    return error_body(500, "unexpected error; see the server's log")


def _response(status: int, body: Any, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(body, status, headers=dict(headers or {}))


def install(app: FastAPI) -> None:
    """Have ``app`` answer every error with the standard object."""

    @app.exception_handler(StarletteHTTPException)
    async def http(_: Request, error: StarletteHTTPException) -> JSONResponse:
        code, param = getattr(error, "code", None), getattr(error, "param", None)
        body = error_body(error.status_code, str(error.detail), code=code, param=param)
        return _response(error.status_code, body, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part not in ("body", ONE, MANY))
        message = f"{place}: {first['msg']}" if place else str(first["msg"])
        return _response(400, error_body(400, message, param=place or None))

    async def other(_: Request, error: Exception) -> JSONResponse:
        if (status := status_of(error)) == 500:
            _log.error("unexpected error", exc_info=error)
        return _response(status, body_of(error))

    for kind in (RagAppError, TimeoutError, Exception):
        app.add_exception_handler(kind, other)
