"""Requests passed on to the OpenAI-compatible server that holds the model."""

import asyncio
from typing import Any

import httpx2
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from rag_app.models.llms.load_balancer import AsyncFailoverClient, NoServerError
from rag_app.models.llms.openai import CompatibleChat
from rag_app.server.errors import ApiError
from rag_app.server.event_stream import ServerSentEvents, send_part, while_wanted
from rag_app.server.queueing import Place

_KEPT_HEADERS = ("content-type", "retry-after")
_CONNECT_SECONDS = 10.0


class Relay(Response):
    """The answer of another server, as it comes; given up when the client goes away.

    Args:
        llm: Says where the server is, or several are, and which model they hold.
        path: Below the server's ``/v1``.
        body: The client's request; its model is replaced.
        place: In the queue, left when the answer is over.
        seconds: Time that the answer may take.
    """

    def __init__(
        self,
        llm: CompatibleChat,
        path: str,
        body: dict[str, Any],
        place: Place,
        seconds: float,
    ) -> None:
        super().__init__()
        self._servers = llm.servers
        self._url = f"{self._servers.urls[0]}/{path}"
        self._authorization = {"Authorization": f"Bearer {llm.key}"} if llm.key else {}
        self._body = {**body, "model": llm.model_name}
        self._place = place
        self._seconds = seconds
        self._answer: httpx2.Response | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and its answer back."""
        try:
            if await while_wanted(scope, receive, self._relay(send)):
                await send({"type": "http.response.body", "body": b""})
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL, ApiError) as error:
            problem = error if isinstance(error, ApiError) else self._problem(error)
            if self._answer is None:
                raise problem from error
            # The status is sent already: a reader of a stream gets an event, others see it cut off.
            if not self._answer.headers.get("content-type", "").startswith("text/event-stream"):
                raise
            events = ServerSentEvents()
            await send_part(send, events.failure(problem) + events.end, last=True)
        finally:
            self._place.leave()

    async def _relay(self, send: Send) -> bool:
        async with (
            asyncio.timeout(self._seconds),
            AsyncFailoverClient(
                self._servers,
                timeout=httpx2.Timeout(None, connect=_CONNECT_SECONDS),
                follow_redirects=False,
            ) as client,
            client.stream(
                "POST", self._url, json=self._body, headers=self._authorization
            ) as answer,
        ):
            if answer.status_code == 401:
                # Of this server's key, not the client's; the body may repeat it.
                msg = "the model's server refused this server's key; set RAG_APP_LLM_API_KEY"
                raise ApiError(502, msg, code="upstream_refused")
            self._answer = answer
            await send(_start(answer))
            async for block in answer.aiter_bytes():
                await send({"type": "http.response.body", "body": block, "more_body": True})
        return True

    def _problem(self, error: Exception) -> ApiError:
        if isinstance(error, NoServerError):
            return ApiError(503, str(error), code="upstream_unreachable")
        if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
            msg = f"the model's server at {self._url} does not answer"
            return ApiError(503, msg, code="upstream_unreachable")
        if isinstance(error, TimeoutError):
            msg = f"the model's server took longer than {self._seconds:g} seconds"
            return ApiError(504, msg, code="timeout")
        reason = str(error) or type(error).__name__
        return ApiError(502, f"the model's server failed ({reason})", code="upstream_failed")


def _start(answer: httpx2.Response) -> Message:
    headers = [
        (name.encode(), answer.headers[name].encode())
        for name in _KEPT_HEADERS
        if name in answer.headers
    ]
    return {"type": "http.response.start", "status": answer.status_code, "headers": headers}


def use_content(messages: list[dict[str, Any]]) -> None:
    """Have messages say ``content`` where they say its other name, which only we understand."""
    for message in messages:
        other = message.pop("message", None)
        if message.get("content") is None and other is not None:
            message["content"] = other
