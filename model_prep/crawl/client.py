"""One model behind an OpenAI-compatible API, asked with patience."""

from collections.abc import Awaitable, Callable
from itertools import count
from types import TracebackType
from typing import Any, Self

import openai

from model_prep.crawl.form import Form
from model_prep.crawl.prompts import Prompt
from model_prep.crawl.report import Report
from model_prep.crawl.retry import may_pass, seconds_before
from model_prep.crawl.settings import CrawlOptions
from model_prep.errors import CrawlError

_ITEM_TOKENS = 250
_MOST_TOKENS = 4000
"""That are asked for without `--max-tokens`: most servers allow so many."""
_LONGEST_WAIT = 600.0
"""Seconds that a server may ask us to wait."""

Sleep = Callable[[float], Awaitable[None]]
Note = Callable[[str], None]


class Client:
    """Sends requests, again where that may help, and counts them.

    Args:
        options: Whom to ask and how.
        report: Where requests, retries and tokens are counted.
        note: Told of each wait.
        sleep: How to wait.

    Raises:
        CrawlError: the address is none.
    """

    def __init__(self, options: CrawlOptions, report: Report, note: Note, sleep: Sleep) -> None:
        self._options, self._report = options, report
        self._note, self._sleep = note, sleep
        self._form = Form()
        self._answered = False
        try:
            self._api = openai.AsyncOpenAI(
                base_url=options.base_url,
                api_key=options.api_key or "none",
                timeout=options.timeout,
                max_retries=0,  # it is done here, counted and told of
            )
        except Exception as error:  # of the HTTP library, which is another with each version
            msg = f"{options.server} can't be asked ({error}); check --base-url"
            raise CrawlError(msg) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._api.close()

    async def ask(self, prompt: Prompt) -> str | None:
        """Return what the model says; None where the server takes others but not this prompt.

        Raises:
            CrawlError: the server refuses, or does not answer after all tries.
        """
        for attempt in count(1):
            try:
                return await self._send(prompt)
            except openai.APIError as error:
                if not may_pass(error):
                    raise self._refused(error) from error
                await self._wait(error, attempt)
                self._report.retries += 1
        raise AssertionError  # count() has no end

    async def _send(self, prompt: Prompt) -> str | None:
        """Send a request once, or in several forms where the server is not known yet."""
        needed = min(_ITEM_TOKENS * len(prompt.lines) + 200, _MOST_TOKENS)
        request: dict[str, Any] = {
            "model": self._options.model,
            "messages": prompt.messages,
            "temperature": self._options.temperature,
        }
        # Its types know neither other servers' models nor a request that is put together.
        create: Any = self._api.chat.completions.create
        while True:
            form = self._form
            limit = {form.limit: self._options.max_tokens or needed}
            self._report.requests += 1
            try:
                reply = await create(**request, **limit, **form.format)
            except ValueError:
                return ""  # what came is no JSON
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if form is not self._form:
                    continue  # another request has found out meanwhile
                if self._answered:
                    self._note(f"{self._options.server} {self._said(error)}")
                    return None
                simpler = form.after(error.message)
                if not simpler:
                    raise
                self._form = simpler
            else:
                return self._text(reply)

    def _text(self, reply: Any) -> str:
        """Return the text of a reply, which may be anything that a server sends."""
        self._answered = True
        usage = getattr(reply, "usage", None)
        self._report.prompt_tokens += _number(usage, "prompt_tokens")
        self._report.completion_tokens += _number(usage, "completion_tokens")
        try:
            text = reply.choices[0].message.content
        except (AttributeError, TypeError, IndexError):
            return ""
        return text if isinstance(text, str) else ""

    async def _wait(self, error: openai.APIError, attempt: int) -> None:
        server, tries = self._options.server, self._options.tries
        seconds, said = seconds_before(attempt, error), self._said(error)
        if attempt >= tries:
            often = "once" if tries == 1 else f"{tries} times"
            msg = f"{server} {said}, {often}; the same command goes on when it answers again"
            raise CrawlError(msg)
        if seconds > _LONGEST_WAIT:
            minutes = f"{seconds / 60:,.0f} minutes"
            msg = f"{server} {said}, and asks to wait {minutes}; the same command goes on then"
            raise CrawlError(msg)
        self._note(f"{server} {said}; try {attempt + 1} of {tries} in {seconds:.0f} s")
        await self._sleep(seconds)

    def _said(self, error: openai.APIError) -> str:
        """Return what a server did, in a few words that never hold the key."""
        if isinstance(error, openai.APITimeoutError):
            return f"gave no answer in {self._options.timeout:g} s"
        if isinstance(error, openai.APIConnectionError):
            return "can't be reached"
        body = error.body if isinstance(error.body, dict) else {}
        text = " ".join(str(body.get("message") or error.message).split())
        if self._options.api_key:
            text = text.replace(self._options.api_key, "***")
        text = text if len(text) <= 200 else f"{text[:200]}…"
        return f"answered {getattr(error, 'status_code', 'with an error')} ({text})"

    def _refused(self, error: openai.APIError) -> CrawlError:
        server, said = self._options.server, self._said(error)
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return CrawlError(f"{server} refused the key; set OPENAI_API_KEY, or give --api-key")
        if isinstance(error, openai.NotFoundError):
            return CrawlError(f"{server} {said}; check --base-url (it often ends in /v1), --model")
        if error.code == "insufficient_quota":
            return CrawlError(f"{server} {said}; the account is used up: top it up")
        return CrawlError(f"{server} {said}; check --model, --items and --max-tokens")


def _number(usage: Any, name: str) -> int:
    number = getattr(usage, name, 0)
    return number if isinstance(number, int) else 0
