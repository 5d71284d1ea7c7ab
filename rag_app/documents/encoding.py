"""The encoding of Chinese text: found by strict decoding and by how common its characters are."""

import codecs
import re
from itertools import islice

from rag_app.documents.character_frequency import frequent, ordinary
from rag_app.documents.text import shown
from rag_app.errors import DocumentError

Found = tuple[str, str]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CANDIDATES = ("utf-16-le", "utf-16-be", "gbk", "gb18030", "big5", "cp950", "big5hkscs")
"""The narrower encoding of a family before the wider: it is named when it is enough."""
_PLAIN = -7.0
_HEAD = 100_000
"""Bytes looked at where the whole would take long."""
_OTHERS = ["cp1252", "cp1251", "cp932", "euc_jp", "cp949"]
"""What else Windows and Unix files are in; a longer list only adds wrong guesses."""
_SAMPLE = 4000
"""Non-ASCII characters that are judged."""
_PLAUSIBLE = -11.5
"""Mean log-probability of a character below which text isn't Chinese in that encoding.

Chinese text has -7 to -10; decoded wrongly it has -12 and less.
"""
_DAMAGE = 0.002
"""Share of characters that may be damaged (a file cut in a character, a bad sector)."""
_CONTROL = re.compile(r"[\x00-\x06\x0e-\x19\x1c-\x1f\x7f]")
_CONTROL_SHARE = 0.01
_FEW = 4
"""Control characters that any text may hold; the loader takes them out."""


def decode(
    data: bytes, name: str, encoding: str | None = None, *, declared: str | None = None
) -> tuple[str, str]:
    """Return the text of ``data`` and the name of its encoding.

    Args:
        data: The bytes of a text file.
        name: What errors call it.
        encoding: Its encoding where known; else it is found out.
        declared: What the file says of itself, believed if it can be true.

    Raises:
        DocumentError: the encoding is unknown, wrong or can't be told, or this isn't text.
    """
    name = shown(name)
    if encoding is not None:
        return _decode_as(data, name, encoding)
    for mark, codec in _BOMS:
        if data.startswith(mark):
            return _decode_as(data, name, codec)
    found = (
        _utf8(data)
        or _declared(data, declared)
        or _chinese(data)
        or _utf8(data, nul=True)
        or _damaged(data)
        or _other_script(data)
    )
    if found is None:
        msg = (
            f"{name} is not text in an encoding that can be told; give it with --encoding "
            "(such as gb18030 or big5), or convert the file if it is binary"
        )
        raise DocumentError(msg)
    if _holds_controls(found[0]):
        msg = f"{name} holds binary data, not text; convert it to text, PDF or DOCX first"
        raise DocumentError(msg)
    return found


def plausibility(text: str) -> float:
    """Return how likely ``text`` is Chinese: the mean log-probability of its non-ASCII characters.

    Four classes of characters share the probability; within a class all are equally likely.
    ASCII tells nothing, so text that holds nothing else is as plausible as Chinese.
    """
    sample = _sample(text)
    return sum(map(_log_probability, sample)) / len(sample) if sample else _PLAIN


def _decode_as(data: bytes, name: str, encoding: str) -> tuple[str, str]:
    try:
        codec = codecs.lookup(encoding).name
        b"-".decode(encoding, "replace")  # refuses codecs such as base64, which make no text
    except (LookupError, ValueError):
        msg = f"unknown encoding {encoding!r}; try utf-8, gb18030 or big5, or leave it out"
        raise DocumentError(msg) from None
    # A mark at the front is no part of the text, whichever way the encoding was written.
    codec = "utf-8-sig" if codec == "utf-8" and data.startswith(codecs.BOM_UTF8) else codec
    try:
        return data.decode(codec), codec
    except UnicodeError as error:
        where = f" at byte {error.start:,}" if isinstance(error, UnicodeDecodeError) else ""
        msg = f"{name} can't be read as {encoding}{where}; give its encoding, or leave it out"
        raise DocumentError(msg) from None


def _utf8(data: bytes, *, nul: bool = False) -> Found | None:
    # UTF-16 without a mark is full of NUL, and often valid UTF-8; true UTF-8 hardly ever has any.
    text = None if b"\0" in data[:_HEAD] and not nul else _strict(data, "utf-8")
    return None if text is None else (text, "utf-8")


def _declared(data: bytes, declared: str | None) -> Found | None:
    try:
        text = _strict(data, declared) if declared else None
    except (LookupError, ValueError):
        return None
    return None if text is None or declared is None else (text, codecs.lookup(declared).name)


def _chinese(data: bytes) -> Found | None:
    found = [
        (plausibility(text), text, codec)
        for codec in _CANDIDATES
        if (text := _strict(data, codec)) is not None
    ]
    # The first of equals: the narrower encoding of a family.
    best = max(found, key=lambda candidate: candidate[0], default=None)
    return best[1:] if best and best[0] > _PLAUSIBLE else None


def _damaged(data: bytes) -> Found | None:
    """Return Chinese text of which a few bytes are wrong, those as U+FFFD."""
    found = []
    for codec in ("utf-8", "gb18030", "cp950"):
        text = data.decode(codec, "replace")
        score = plausibility(text.replace("\ufffd", ""))
        if text.count("\ufffd") <= max(1, _DAMAGE * len(text)) and score > _PLAUSIBLE:
            found.append((score, text, codec))
    return max(found)[1:] if found else None


def _other_script(data: bytes) -> Found | None:
    from charset_normalizer import from_bytes

    match = from_bytes(data[:_HEAD], cp_isolation=_OTHERS).best()
    text = _strict(data, match.encoding) if match else None
    return None if match is None or text is None else (text, match.encoding)


def _strict(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return None


def _holds_controls(text: str) -> bool:
    return len(_CONTROL.findall(text)) > max(_FEW, _CONTROL_SHARE * len(text))


def _sample(text: str) -> str:
    """Return the first characters other than ASCII text; control characters count."""
    runs = islice(re.finditer(r"[^\t-\r -~]{1,64}", text), _SAMPLE)
    return "".join(run.group() for run in runs)[:_SAMPLE]


def _log_probability(char: str) -> float:
    if char in frequent():
        return -7.1  # 0.75 shared by 900
    if char in ordinary():
        return -10.2  # 0.22 by 6,000
    if "一" <= char <= "\u9fff":  # the block of GBK and Big5; beyond it is hardly ever text
        return -14.0
    return -13.0 if "！" <= char <= "～" or "\u2000" <= char <= "\u27ff" else -18.0
