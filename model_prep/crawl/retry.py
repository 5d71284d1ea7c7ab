"""Whether a request is sent again, and after how long."""

import random
from email.utils import parsedate_to_datetime
from math import isfinite
from time import time

import openai

_LONGEST_BACKOFF = 60.0
"""Seconds."""
_RETRIED = {408, 409, 425, 429}
"""Statuses, beside all from 500 on."""


def may_pass(error: openai.APIError) -> bool:
    """Return whether an error may be gone when the request is sent again."""
    status = getattr(error, "status_code", None)
    if status is None:
        return True  # no connection, no answer in time, or one that broke off
    return (status in _RETRIED or status >= 500) and error.code != "insufficient_quota"


def seconds_before(attempt: int, error: openai.APIError) -> float:
    """Return how long to wait: what the server asks for, else twice as long each time.

    Args:
        attempt: Of the one that failed, from 1.
        error: What it failed with.
    """
    jitter = random.random()  # noqa: S311 - so that clients don't come back all at once
    asked = _retry_after(error)
    if asked is not None:
        return asked + jitter
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
