"""Requests passed on to the OpenAI-compatible server that holds the model."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx2
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rag_app.models.llms.load_balancer import AsyncFailoverClient, NoServerError
from rag_app.models.llms.openai import CompatibleChat
from rag_app.server.errors import ApiError
from rag_app.server.event_stream import STREAM_HEADERS, ServerSentEvents, kept_alive, send_part
from rag_app.server.queueing import QueuePlace, while_wanted

_KEPT_HEADERS = {"content-type", "retry-after"}
_CONNECT_SECONDS = 10.0


class Relay(Response):
    """The answer of another server, as it comes; given up when the client goes away.

    A stream that must wait for its turn begins at once, and says so; an error of the other server
    is then an event of it.

    Args:
        llm: Says where the server is, or several are, and which model they hold.
        path: Below the server's ``/v1``.
        body: The client's request; its model is replaced.
        place: In the queue, left when the answer is over; only a stream may have to wait there.
        seconds: Time that the answer may take.
    """

    def __init__(
        self,
        llm: CompatibleChat,
        path: str,
        body: dict[str, Any],
        place: QueuePlace,
        seconds: float,
    ) -> None:
        super().__init__()
        self._servers = llm.servers
        self._url = f"{self._servers.urls[0]}/{path}"
        self._authorization = {"Authorization": f"Bearer {llm.key}"} if llm.key else {}
        self._body = {**body, "model": llm.model_name}
        self._place = place
        self._seconds = seconds
        self._begun = ""  # the content type that was sent, empty before

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and its answer back."""
        try:
            if await while_wanted(scope, receive, self._relay(send)):
                await send({"type": "http.response.body", "body": b""})
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL, ApiError) as error:
            problem = error if isinstance(error, ApiError) else self._problem(error)
            if not self._begun:
                raise problem from error
            # The status is sent already: a reader of a stream gets an event, others see it cut off.
            if not self._begun.startswith("text/event-stream"):
                raise
            events = ServerSentEvents()
            await send_part(send, events.failure(problem) + events.end, last=True)
        finally:
            self._place.leave()

    async def _relay(self, send: Send) -> bool:
        async with asyncio.timeout(self._seconds):
            if self._place.must_wait:
                await self._wait(send)
            await self._place.wait()
            await self._pass_on(send)
        return True

    async def _wait(self, send: Send) -> None:
        """Begin a stream, and wait for the slot."""
        events = ServerSentEvents()
        await self._start(send, 200, {**STREAM_HEADERS, "content-type": events.media_type})
        await send_part(send, events.waiting)
        async with kept_alive(send, events.waiting):
            await self._place.wait()

    async def _pass_on(self, send: Send) -> None:
        async with (
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
            if not self._begun:
                kept = {
                    name: answer.headers[name] for name in _KEPT_HEADERS & answer.headers.keys()
                }
                await self._start(send, answer.status_code, kept)
            elif answer.is_error:
                problem = b"data: " + b" ".join((await answer.aread()).split()) + b"\n\n"
                await send_part(send, problem + ServerSentEvents().end)
                return
            async for block in answer.aiter_bytes():
                await send_part(send, block)

    async def _start(self, send: Send, status: int, headers: Mapping[str, str]) -> None:
        self._begun = headers.get("content-type", "unknown")
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})

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


def use_content(messages: list[dict[str, Any]]) -> None:
    """Rename ``message`` to ``content`` in messages: only this server understands the former."""
    for message in messages:
        other = message.pop("message", None)
        if message.get("content") is None and other is not None:
            message["content"] = other
