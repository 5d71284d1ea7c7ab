"""Failover among servers of one model: round robin over those that answer, retries on the next."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any
from urllib.request import getproxies

import httpx2
import openai

from rag_app.errors import ModelError

COOLDOWN_SECONDS = 10.0
_UNAVAILABLE = (502, 503)
_LOST = (httpx2.ConnectTimeout, httpx2.NetworkError, httpx2.RemoteProtocolError)
"""Before a response began; other time-outs are the request's own."""
_SERVER = "server"  # extension of a request: the URL of the server that it was sent to

_log = logging.getLogger("rag_app.models")


class NoServerError(httpx2.ConnectError):
    """None of several servers answers; says what each of them did."""


class LoadBalancer:
    """Chooses which server of a model is sent a request, and which one when that fails.

    One that can't be reached, or is unavailable (502, 503), is asked after all others for some
    seconds. What is sent must be idempotent: another server may have begun to work on it.

    Args:
        urls: The servers, such as ``http://host:8000/v1``; requests are made for the first.
        cooldown: Seconds for which one that failed comes last.
        clock: Seconds that only grow.

    Example:
        >>> balancer = LoadBalancer(["http://a/v1", "http://b/v1"])
        >>> balancer.order(), balancer.order()
        (['http://a/v1', 'http://b/v1'], ['http://b/v1', 'http://a/v1'])
        >>> balancer.set_aside("http://b/v1", "503")
        >>> balancer.order(), balancer.order()
        (['http://a/v1', 'http://b/v1'], ['http://a/v1', 'http://b/v1'])
    """

    def __init__(
        self,
        urls: Sequence[str],
        cooldown: float = COOLDOWN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.urls = list(dict.fromkeys(url.rstrip("/") for url in urls))
        self._cooldown = cooldown
        self._clock = clock
        self._turns = count()
        self._until = dict.fromkeys(self.urls, 0.0)

    def order(self) -> list[str]:
        """Return the servers in the order in which the next request tries them."""
        now = self._clock()
        healthy = [url for url in self.urls if self._until[url] <= now]
        others = sorted(
            (url for url in self.urls if url not in healthy), key=self._until.__getitem__
        )
        first = next(self._turns) % max(len(healthy), 1)
        return [*healthy[first:], *healthy[:first], *others]

    def set_aside(self, url: str, reason: str) -> None:
        """Put a server last for some seconds."""
        now = self._clock()
        if self._until[url] <= now:
            _log.warning("%s is set aside for %g seconds (%s)", url, self._cooldown, reason)
        self._until[url] = now + self._cooldown

    def asked(self, request: httpx2.Request | None) -> str:
        """Return the server that a request was sent to; the first where that is not known."""
        return str(request.extensions.get(_SERVER, self.urls[0])) if request else self.urls[0]

    def attempts(self, request: httpx2.Request) -> Iterator["_Attempt"]:
        """Direct a request at one server after the other.

        Raises:
            NoServerError: there are several, and none is left to try.
        """
        failures: list[str] = []
        path = request.url.raw_path.removeprefix(_prefix(self.urls[0]))
        for url in self.order():
            request.url = httpx2.URL(url).copy_with(raw_path=_prefix(url) + path)
            request.headers["Host"] = request.url.netloc.decode("ascii")
            request.extensions = {**request.extensions, _SERVER: url}
            yield _Attempt(self, url, failures)
        msg = f"none of the model's servers answers: {', '.join(failures)}"
        raise NoServerError(msg, request=request)


class _Attempt:
    """One attempt at one of the servers.

    A server that is the only one has no other: its errors and responses are what they are.
    """

    def __init__(self, balancer: LoadBalancer, url: str, failures: list[str]) -> None:
        self._balancer = balancer
        self._url = url
        self._failures = failures
        self._alone = len(balancer.urls) == 1

    @contextmanager
    def noting_failure(self) -> Iterator[None]:
        """End a failure that another server may make good."""
        try:
            yield
        except _LOST as error:
            if self._alone:
                raise
            self._fail(str(error) or type(error).__name__)

    def is_answered(self, response: httpx2.Response) -> bool:
        """Return whether the response is the request's; if not, it must be closed."""
        if self._alone or response.status_code not in _UNAVAILABLE:
            return True
        self._fail(f"status {response.status_code}")
        return False

    def _fail(self, reason: str) -> None:
        self._failures.append(f"{self._url} ({reason})")
        self._balancer.set_aside(self._url, reason)


class FailoverClient(openai.DefaultHttpxClient):
    """An HTTP client that sends each request to a server that answers it."""

    def __init__(self, balancer: LoadBalancer, **options: Any) -> None:
        super().__init__(**options)
        self._balancer = balancer

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request; errors are httpx's and `LoadBalancer.attempts`'s."""
        for attempt in self._balancer.attempts(request):
            with attempt.noting_failure():
                response = super().send(request, **options)
                if attempt.is_answered(response):
                    return response
                response.close()
        raise AssertionError  # attempts end with an error

    def __del__(self) -> None:
        self.close()  # nobody else knows when the model is no longer used


class AsyncFailoverClient(openai.DefaultAsyncHttpxClient):
    """`FailoverClient` for asyncio."""

    def __init__(self, balancer: LoadBalancer, **options: Any) -> None:
        super().__init__(**options)
        self._balancer = balancer

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request; errors are httpx's and `LoadBalancer.attempts`'s."""
        for attempt in self._balancer.attempts(request):
            with attempt.noting_failure():
                response = await super().send(request, **options)
                if attempt.is_answered(response):
                    return response
                await response.aclose()
        raise AssertionError  # attempts end with an error


def check_proxies() -> None:
    """Check that clients can use the proxies that the environment names.

    Raises:
        ModelError: one is not the address of a proxy, or of an unknown kind.
    """
    for scheme, proxy in getproxies().items():
        if scheme not in ("http", "https", "all"):
            continue
        try:
            httpx2.Proxy(proxy if "://" in proxy else f"http://{proxy}")
        except (ValueError, httpx2.InvalidURL) as error:
            raise ModelError(
                f"the proxy of {scheme.upper()}_PROXY can't be used ({error}); correct or unset it"
            ) from error


def _prefix(url: str) -> bytes:
    return httpx2.URL(url).raw_path.rstrip(b"/")
