"""File names as messages show them."""

import re

_UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def shown(path: object) -> str:
    """Return a path for a one-line message: line breaks and bytes that are no text escaped."""
    return _UNSHOWABLE.sub(lambda match: ascii(match.group())[1:-1], str(path))
