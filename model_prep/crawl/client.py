"""The client of an OpenAI-compatible API: requests, formats a server takes, and retries."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from itertools import count
from math import isfinite
from time import time
from typing import Any

import httpx2
import openai

from model_prep.crawl.prompts import Prompt, TextPrompt
from model_prep.crawl.report import CrawlReport
from model_prep.crawl.settings import CrawlOptions
from model_prep.errors import CrawlError

_LONGEST_WAIT = 600.0
"""Seconds that a server may ask us to wait."""
_LONGEST_BACKOFF = 60.0
"""Seconds."""
_RETRIED = {408, 409, 425, 429}
"""Statuses, besides all from 500 on."""
_UNPAID = 402
LONGEST_ANSWER = 8 * 2**20
"""Bytes, as they are sent."""


def _object(**properties: Any) -> dict[str, Any]:
    """Return the JSON schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


_TEXT = {"type": "string"}
_ITEM = _object(instruction=_TEXT, input=_TEXT, output=_TEXT)
_REPLY = _object(items={"type": "array", "items": _ITEM})
_SCHEMA = {"name": "instruction_data", "strict": True, "schema": _REPLY}
# Tried in this order: not every server takes the first ones.
_FORMATS: tuple[dict[str, Any], ...] = (
    {"response_format": {"type": "json_schema", "json_schema": _SCHEMA}},
    {"response_format": {"type": "json_object"}},
    {},
)
_NEWER_LIMIT = "max_completion_tokens"

Sleep = Callable[[float], Awaitable[None]]
Note = Callable[[str], None]


@dataclass(frozen=True)
class _RequestFormat:
    """How a request asks for JSON, and for how much of it: servers of the same API differ."""

    step: int = 0
    limit: str = "max_tokens"
    """What most servers call it; OpenAI's newer models refuse that."""

    @property
    def response_format(self) -> dict[str, Any]:
        """The keyword argument of that name, or none."""
        return _FORMATS[self.step]

    def after(self, message: str) -> "_RequestFormat | None":
        """Return the format to try next, when a server refused this one with a message."""
        if _NEWER_LIMIT in message and self.limit != _NEWER_LIMIT:
            return replace(self, limit=_NEWER_LIMIT)
        return replace(self, step=self.step + 1) if self.step + 1 < len(_FORMATS) else None


class Client:
    """Sends requests, again where that may help, and counts them.

    Raises:
        CrawlError: the address is not a URL.
    """

    def __init__(
        self, options: CrawlOptions, report: CrawlReport, note: Note, sleep: Sleep
    ) -> None:
        self._options, self._report = options, report
        self._note, self._sleep = note, sleep
        self._format = _RequestFormat()
        self._answered = False
        try:
            self._api = openai.AsyncOpenAI(
                base_url=options.base_url,
                api_key=options.api_key or "none",
                timeout=options.timeout,
                http_client=http_client(),
                max_retries=0,  # it is done here, counted and reported
            )
        except Exception as error:  # of the HTTP library, which is another with each version
            msg = f"{options.server} can't be asked ({error}); check --base-url"
            raise CrawlError(msg) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def ask(self, prompt: Prompt | TextPrompt) -> str | None:
        """Return what the model says; None where the server takes others but not this prompt.

        Raises:
            CrawlError: the server refuses, or does not answer after all tries.
        """
        for attempt in count(1):
            try:
                return await self._send(prompt)
            except openai.APIError as error:
                if not _may_pass(error):
                    raise self._refused(error) from error
                await self._wait(error, attempt)
                self._report.retries += 1
        raise AssertionError  # count() has no end

    async def _send(self, prompt: Prompt | TextPrompt) -> str | None:
        """Send a request once, or in several formats where the server is not known yet."""
        request: dict[str, Any] = {
            "model": self._options.model,
            "messages": prompt.messages,
            "temperature": self._options.temperature,
        }
        # Its types know neither other servers' models nor a request that is put together.
        create: Any = self._api.chat.completions.create
        while True:
            current = self._format
            limit = {current.limit: self._options.max_tokens or prompt.max_tokens}
            form = current.response_format if prompt.as_json else {}
            self._report.requests += 1
            try:
                # The library's own bound is that of each piece, which a server may drip.
                async with asyncio.timeout(self._options.timeout):
                    reply = await create(**request, **limit, **form)
            except TimeoutError as error:
                no_request: Any = None
                raise openai.APITimeoutError(no_request) from error
            except ValueError:
                return self._no_completion("no JSON")
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if current is not self._format:
                    continue  # another request has found out meanwhile
                if self._answered:
                    self._note(f"{self._options.server} {self._described(error)}")
                    return None
                simpler = current.after(error.message)
                if not simpler:
                    raise
                self._format = simpler
            else:
                return self._text(reply)

    def _text(self, reply: Any) -> str | None:
        """Return the text of a reply, which may be anything that a server sends."""
        try:
            text = reply.choices[0].message.content
        except (AttributeError, TypeError, IndexError):
            said = _message(getattr(reply, "error", None))
            return self._no_completion(said or str(getattr(reply, "model_extra", None) or reply))
        self._answered = True
        usage = getattr(reply, "usage", None)
        self._report.prompt_tokens += _number(usage, "prompt_tokens")
        self._report.completion_tokens += _number(usage, "completion_tokens")
        return _without_thoughts(text) if isinstance(text, str) else ""

    def _no_completion(self, said: str) -> str | None:
        """Note a reply that is none of a chat, or raise where the server has sent no other yet."""
        request: Any = None
        error = openai.APIError(said, request, body=None)
        if not self._answered:
            raise error
        self._note(f"{self._options.server} {self._described(error)}")
        return None

    async def _wait(self, error: openai.APIError, attempt: int) -> None:
        server, tries = self._options.server, self._options.tries
        seconds, problem = _seconds_before(attempt, error), self._described(error)
        if attempt >= tries:
            often = "once" if tries == 1 else f"{tries} times"
            check = "" if isinstance(error, openai.APIStatusError) else "check --base-url; "
            remedy = f"{check}the same command goes on when it answers again"
            raise CrawlError(f"{server} {problem}, {often}; {remedy}")
        if seconds > _LONGEST_WAIT:
            minutes = f"{seconds / 60:,.0f} minutes"
            msg = f"{server} {problem}, and asks to wait {minutes}; the same command goes on then"
            raise CrawlError(msg)
        self._note(f"{server} {problem}; try {attempt + 1} of {tries} in {seconds:.0f} s")
        await self._sleep(seconds)

    def _described(self, error: openai.APIError) -> str:
        """Return what a server did, in a few words that never hold the key."""
        if isinstance(error, openai.APITimeoutError):
            return f"gave no answer in {self._options.timeout:g} s"
        if isinstance(error.__cause__, AnswerTooLongError):
            return f"sent more than {LONGEST_ANSWER // 2**20} MB to one request"
        if isinstance(error, openai.APIConnectionError):
            cause = self._shortened(str(error.__cause__ or ""))
            return f"can't be reached ({cause})" if cause else "can't be reached"
        text = self._shortened(str(_message(error.body) or error.message))
        if not isinstance(error, openai.APIStatusError):
            return f"sent no chat completion ({text})"
        answer, response = f"answered {error.status_code} ({text})", error.response
        return f"redirects to {response.url} and {answer}" if response.history else answer

    def _shortened(self, text: str) -> str:
        """Return what a server said in one line, without the key."""
        text = " ".join(text.split())
        if self._options.api_key:
            text = text.replace(self._options.api_key, "***")
        return text if len(text) <= 200 else f"{text[:200]}…"

    def _refused(self, error: openai.APIError) -> CrawlError:
        answer = f"{self._options.server} {self._described(error)}"
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            remedy = "check the key: set OPENAI_API_KEY, or give --api-key"
        elif isinstance(error, openai.NotFoundError):
            remedy = "check --base-url (it often ends in /v1), --model"
        elif error.code == "insufficient_quota" or getattr(error, "status_code", 0) == _UNPAID:
            remedy = "the account is used up: top it up"
        else:
            remedy = "check --model, --items and --max-tokens"
        return CrawlError(f"{answer}; {remedy}")


def _message(error: Any) -> str | None:
    """Return the message of an error object, which some servers send as text alone."""
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else None


def _without_thoughts(text: str) -> str:
    """Return what a reasoning model says after thinking; nothing where it came to no end.

    Its chat template may have begun the thought already, so that the reply holds its end alone.
    """
    thought, end, answer = text.partition("</think>")
    if end:
        return answer
    return "" if thought.lstrip().startswith("<think>") else text


def _number(usage: Any, name: str) -> int:
    number = getattr(usage, name, 0)
    return number if isinstance(number, int) else 0


def _may_pass(error: openai.APIError) -> bool:
    """Return whether an error may be gone when the request is sent again."""
    status = getattr(error, "status_code", None)
    if status is None:
        return True  # no connection, no answer in time, or one that broke off
    return (status in _RETRIED or status >= 500) and error.code != "insufficient_quota"


def _seconds_before(attempt: int, error: openai.APIError) -> float:
    """Return how long to wait after a failed attempt (from 1): as asked, else twice as long."""
    jitter = random.random()  # noqa: S311 - so that clients don't come back all at once
    retry_after = _retry_after(error)
    if retry_after is not None:
        return retry_after + jitter
    return min(2.0**attempt, _LONGEST_BACKOFF) * (0.5 + jitter / 2)


def _retry_after(error: openai.APIError) -> float | None:
    """Return the header of that name in seconds: it holds them, or a date (RFC 9110, 10.2.3)."""
    response = getattr(error, "response", None)
    text = response.headers.get("retry-after", "").strip() if response is not None else ""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time()
        except (ValueError, OverflowError):
            return None
    return max(seconds, 0.0) if isfinite(seconds) else None


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
