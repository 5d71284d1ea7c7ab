"""The HTTP client of crawl: what a server sends to one request is bounded."""

from collections.abc import AsyncIterator

import httpx2
import openai

LONGEST_ANSWER = 8 * 2**20
"""Bytes, as they are sent."""


class AnswerTooLongError(httpx2.ReadError):
    """A server sent more than `LONGEST_ANSWER`, and might have gone on for ever."""


def http_client() -> openai.DefaultAsyncHttpxClient:
    """Return a client that is as the library's own, and raises `AnswerTooLongError`."""
    return openai.DefaultAsyncHttpxClient(event_hooks={"response": [_bound]})


async def _bound(response: httpx2.Response) -> None:
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > LONGEST_ANSWER:
                raise AnswerTooLongError("the answer is too long")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
