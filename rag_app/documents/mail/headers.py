"""Headers of mails as text (RFC 2047, RFC 5322), the ends of damaged words left out."""

import re
from contextlib import suppress
from email.header import decode_header
from email.message import Message
from email.utils import parsedate_to_datetime

from rag_app.documents.encodings.damage import SKIPPED
from rag_app.documents.encodings.detection import decode
from rag_app.documents.text import HAN
from rag_app.documents.web.html import wider_charset
from rag_app.errors import DocumentError

_LONGEST_HEADER = 20_000
_UTF8 = re.compile(f"[{HAN}]|^[\0-\x7f\xc0-\xff]+$")
"""What only UTF-8 is read as: Han, or Latin letters alone."""
_CUT_WORD = re.compile(r"=\?[!-~]*|[!-~]{0,200}\?=(?![!-~])|[\w-]{3,20}\?[BQbq]\?[!-~]*")
"""What is left of an encoded word (RFC 2047) that can't be decoded."""


def filename(part: Message) -> str:
    """Return the name of a part's file without folders, empty where it has none."""
    name = part.get_filename() or ""
    return re.split(r"[/\\]", _decoded(name))[-1].strip()


def header(message: Message, field: str) -> str:
    """Return a header as text; a date as ``2023-08-15 10:00 +0800``."""
    value = next((str(raw) for key, raw in message.raw_items() if key.lower() == field.lower()), "")
    charset = next((found for part in message.walk() if (found := part.get_content_charset())), "")
    text = " ".join(_decoded(value[:_LONGEST_HEADER], charset).split())
    if field == "Date":
        try:
            return f"{parsedate_to_datetime(text):%Y-%m-%d %H:%M %z}".strip()
        except (ValueError, TypeError, OverflowError):
            return text
    return text


def _decoded(value: str, of_text: str = "") -> str:
    """Return a header without its encoding (RFC 2047), or, where it has none, by its bytes.

    ``of_text`` is the encoding that the text of the mail names.
    """
    raw = value.encode("utf-8", "surrogateescape")
    if not raw.isascii():
        return _CUT_WORD.sub(SKIPPED, _guessed(raw, of_text))
    try:
        parts = decode_header(re.sub(r"\?=\s+=\?", "?==?", value))
    except ValueError:  # damaged base64
        return _CUT_WORD.sub(SKIPPED, value)
    decoded = [
        _CUT_WORD.sub(SKIPPED, part) if isinstance(part, str) else _word(part, charset)
        for part, charset in parts
    ]
    return "".join(decoded)


def _word(raw: bytes, charset: str | None) -> str:
    """Return a word in the encoding that it names; a short one may be valid UTF-8 by chance."""
    with suppress(LookupError, UnicodeDecodeError):
        text = raw.decode(wider_charset(charset or "utf-8"))
        if len(text) < len(raw) and not _UTF8.search(raw.decode("utf-8", "ignore")):
            return text
    return _guessed(raw, charset)


def _guessed(raw: bytes, charset: str | None = None) -> str:
    try:
        return decode(raw, "header", declared=wider_charset(charset or "utf-8"))[0]
    except DocumentError:
        return raw.decode("utf-8", "replace")
