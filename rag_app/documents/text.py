"""What is taken out of every text before offsets are counted in it."""

import re

_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_DROPPED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\ufeff\ufffe\uffff\ud800-\udfff]")
_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*\n")


def clean(text: str) -> str:
    """Return ``text`` with line feeds as its only line ends and without control characters.

    Control characters, soft hyphens, byte order marks and lone surrogates say nothing; SQLite,
    FTS5 and models trip on them.
    """
    return _DROPPED.sub("", _LINE_ENDS.sub("\n", text))


def one_blank_line(text: str) -> str:
    """Return ``text`` with runs of blank lines made one, and none at its ends."""
    return _BLANK_LINES.sub("\n\n", text).strip()
