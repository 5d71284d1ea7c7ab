"""Who may use a server: with which keys, to do what and how often, and pages of which origins."""

import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from fastapi import Depends, Request
from pydantic import SecretStr
from starlette.datastructures import Headers

from rag_app.errors import SettingsError
from rag_app.server.errors import ApiError
from rag_app.surroundings import is_loopback

ANY_ORIGIN = "*"
_INDEX = "index:"
_FREE_GUESSES = 10
"""Wrong keys from one address that are answered at once, and how many more each minute."""
_REMEMBERED = 10_000  # addresses, and pairs of an address and a key
_KEY_HEADERS = ("api-key", "x-api-key")
"""In which clients of Azure's and of Anthropic's API send a key."""


@dataclass(frozen=True)
class ApiKey:
    """A key, and what may be done with it.

    Attributes:
        secret: What is sent.
        name: What the log calls it.
        can_write: Whether indexes and documents may be made, changed and deleted with it.
        indexes: Names of those that it opens; None is all.

    Example:
        >>> key = ApiKey.parse("sales sk-1234 read index:合同")
        >>> key.name, key.can_write, key.opens("合同"), key.opens("default")
        ('sales', False, True, False)
    """

    secret: SecretStr
    name: str = ""
    can_write: bool = True
    indexes: frozenset[str] | None = None

    @classmethod
    def parse(cls, line: str) -> Self:
        """Return the key of a line: ``KEY``, or ``NAME KEY [read|write] [index:NAME …]``.

        Raises:
            SettingsError: it is not a key; the message does not repeat it.
        """
        words = line.split()
        if len(words) == 1:
            return cls(SecretStr(words[0]))
        name, secret, *scopes = words
        indexes = {scope.removeprefix(_INDEX) for scope in scopes if scope.startswith(_INDEX)}
        rights = [scope for scope in scopes if not scope.startswith(_INDEX)]
        if rights not in ([], ["read"], ["write"]) or "" in indexes:
            msg = f"the key of {name} has a scope other than read, write and index:NAME"
            raise SettingsError(msg)
        return cls(SecretStr(secret), name, rights != ["read"], frozenset(indexes) or None)

    @classmethod
    def of(cls, key: "ApiKey | str") -> "ApiKey":
        """Return a key as it is, or the text of one with nothing forbidden.

        Raises:
            SettingsError: it is empty.
        """
        found = key if isinstance(key, ApiKey) else cls(SecretStr(key.strip()))
        if not found.secret.get_secret_value().strip():
            msg = "an API key is empty; give --api-key KEY (or RAG_APP_API_KEY), or leave it out"
            raise SettingsError(msg)
        return found

    def opens(self, index: str) -> bool:
        """Return whether an index may be used with it."""
        return self.indexes is None or index in self.indexes


def read_keys(file: Path) -> list[ApiKey]:
    """Return the keys of a file, one in a line; see `ApiKey.parse`. A # begins a comment.

    Raises:
        SettingsError: it can't be read, holds none, or a line is wrong.
    """
    try:
        lines = file.expanduser().read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        msg = f"the key file {file} can't be read ({reason}); check --api-key-file"
        raise SettingsError(msg) from error
    keys = [ApiKey.parse(line) for line in lines if line.strip() and not line.startswith("#")]
    if not keys:
        raise SettingsError(f"the key file {file} holds no key; write one in each line")
    return keys


class KeyCheck:
    """Finds the key that a request sends; whoever guesses is slowed down.

    An address that sent too many wrong keys must wait, with whatever key it comes next. Keys that
    were right from there before are let in all the same, so that a neighbour behind the same proxy
    can lock nobody out.

    Args:
        keys: All that are right.
    """

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._keys = [(key, key.secret.get_secret_value().encode()) for key in keys]
        self._guesses = Rates(_FREE_GUESSES)
        self._known: OrderedDict[tuple[str, int], None] = OrderedDict()

    def find(self, headers: Headers, address: str) -> ApiKey:
        """Return the key that was sent.

        Every key is compared, each in constant time.

        Raises:
            ApiError: 401, none or a wrong one was sent; 429, too many wrong ones were.
        """
        given = _sent_keys(headers)
        if not given:
            raise _refusal("a key is needed: send the header Authorization: Bearer KEY")
        found = [
            number
            for number, (_, key) in enumerate(self._keys)
            if any([hmac.compare_digest(key, sent) for sent in given])  # noqa: C419 - in constant time
        ]
        if found and (address, found[0]) in self._known:
            return self._keys[found[0]][0]
        # Before the answer is known, which would else reveal which guess was right.
        self._guesses.check(address, "wrong keys were sent too often", taken=not found)
        if not found:
            raise _refusal("the key is wrong; check the header Authorization: Bearer KEY")
        self._known[address, found[0]] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return self._keys[found[0]][0]


class Rates:
    """A bucket of tokens for each key: full at first, filled evenly over a minute.

    Args:
        per_minute: Its size.
    """

    def __init__(self, per_minute: int) -> None:
        self._limit = per_minute
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, key: str, problem: str, *, taken: bool = True) -> None:
        """Take a token, or only see that there is one.

        Raises:
            ApiError: 429, there is none.
        """
        now = time.monotonic()
        left, since = self._left.pop(key, (float(self._limit), now))
        left = min(self._limit, left + (now - since) * self._limit / 60)
        self._left[key] = (left - (taken and left >= 1), now)
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
        if left < 1:
            wait = max(1, round((1 - left) * 60 / self._limit))
            msg = f"{problem}; try again in {wait} s"
            raise ApiError(429, msg, code="rate_limited", headers={"Retry-After": str(wait)})


def _sent_keys(headers: Headers) -> list[bytes]:
    """Return every key that a request sends: some clients send a dummy besides the real one."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    sent = [token if kind.lower() == "bearer" else "", *map(headers.get, _KEY_HEADERS)]
    return [key.strip().encode("latin-1") for key in sent if key and key.strip()]


def _refusal(message: str) -> ApiError:
    headers = {"WWW-Authenticate": "Bearer"}
    return ApiError(401, message, code="invalid_api_key", headers=headers)


def sent_key(request: Request) -> ApiKey | None:
    """Return the key that a request came with, None where none is asked for."""
    key: ApiKey | None = getattr(request.state, "key", None)
    return key


def _may_write(request: Request) -> None:
    key = sent_key(request)
    if key is not None and not key.can_write:
        msg = "this key may read only; ask with one that may write"
        raise ApiError(403, msg, code="insufficient_permissions")


WRITE = Depends(_may_write)
"""What routes depend on that change something."""


@dataclass(frozen=True)
class Access:
    """Who may use a server.

    Attributes:
        host: Address that it listens on.
        keys: One of them must be sent; none, and everybody on this machine may.
        origins: Web pages of these origins may use it, besides its own; ``*`` is all pages. They
            are written as browsers send them.

    Raises:
        SettingsError: a key is empty, or there is none and others reach the server; an origin is
            none, or the host.

    Example:
        >>> Access(host="0.0.0.0", keys=["secret"]).is_local
        False
    """

    host: str = "127.0.0.1"
    keys: Sequence[str | ApiKey] = field(default=(), repr=False)
    origins: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.api_keys  # noqa: B018 - says what is wrong with one
        object.__setattr__(self, "origins", tuple(map(_origin, self.origins)))
        if not is_host(self.host):
            msg = f"“{self.host}” is not an address or name of a host; --port says on which port"
            raise SettingsError(msg)
        if not self.keys and not self.is_local:
            raise SettingsError(
                f"{self.host} can be reached from other machines, and there is no key: "
                "give --api-key KEY (or RAG_APP_API_KEY), or keep --host 127.0.0.1"
            )

    @cached_property
    def api_keys(self) -> list[ApiKey]:
        """The keys with their scopes."""
        return [ApiKey.of(key) for key in self.keys]

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine reach it."""
        return is_loopback(self.host)


def _origin(text: str) -> str:
    """Return an origin as browsers send it: no path, small letters, no usual port."""
    if text == ANY_ORIGIN:
        return text
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    usual = {"http": 80, "https": 443}
    plain = host and parts.path in ("", "/") and not (parts.query or parts.username)
    if not plain or not parts.scheme:
        msg = f"--cors-origin {text} is not an origin; give one as http://localhost:3000, or '*'"
        raise SettingsError(msg)
    shown = f"[{host}]" if ":" in str(host) else host
    named = port not in (None, usual.get(parts.scheme))
    return f"{parts.scheme}://{shown}{f':{port}' if named else ''}"


def is_host(text: str) -> bool:
    """Return whether a text is an address or a host name, without a port.

    Example:
        >>> is_host("localhost"), is_host("[::1]"), is_host("127.0.0.1:80"), is_host("http://x")
        (True, True, False, False)
    """
    try:
        return bool(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        return bool(text) and not set(text) & set(":/ ")
