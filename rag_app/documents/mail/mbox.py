"""Mailboxes of mails one after the other (mbox, RFC 4155) → Markdown, mail by mail."""

import re
from collections.abc import Iterator
from itertools import pairwise

from rag_app.documents.formats import ExtractedText
from rag_app.documents.parts import ReadPart, read_parts
from rag_app.documents.text import shown
from rag_app.errors import DocumentError

_BEGINNING = re.compile(
    rb"(?:\A|(?<=\n\n)|(?<=\r\n\r\n))From (?=[^\r\n]*\d{4})[^\r\n]*\r?\n(?=>?[\w-]+:)"
)
"""The line above a mail: its sender and when it came."""
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


def read_mbox(data: bytes, name: str, read_part: ReadPart) -> ExtractedText:
    """Return the mails of a mailbox, each under its number.

    Raises:
        DocumentError: no mail begins in it, or none can be read.
    """
    texts, notes = read_parts(_mails(data), read_part)
    if not texts:
        reason = f" ({notes[0]})" if notes else ""
        msg = f"{shown(name)} holds no mail that can be read{reason}; save its mails as eml files"
        raise DocumentError(msg[:380])
    return ExtractedText("\n\n".join(texts), notes=notes)


def _mails(data: bytes) -> Iterator[tuple[str, bytes]]:
    begins = [(line.start(), line.end()) for line in _BEGINNING.finditer(data)]
    for number, ((_, start), (end, _)) in enumerate(pairwise([*begins, (len(data), 0)]), 1):
        yield f"{number}.eml", _QUOTED.sub(rb"\1", data[start:end])
