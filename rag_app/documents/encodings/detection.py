"""The encoding of a text: found by strict decoding and by how common its characters are.

Chinese is expected; Japanese and Korean must be much likelier than it to be believed.
"""

import codecs
import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import islice
from math import log

from rag_app.documents.encodings.character_frequency import (
    FREQUENT,
    frequent,
    frequent_hangul,
    hangul,
    ordinary,
    ordinary_chinese,
    ordinary_japanese,
    ordinary_kanji,
)
from rag_app.documents.encodings.damage import (
    SKIPPED,
    Language,
    ascii_in_step,
    decoded_utf8,
    resynced,
    seems_shifted,
)
from rag_app.documents.encodings.garbage import without_garbage, without_strays
from rag_app.documents.encodings.rare import as_euc_tw, holds_designations, iso_2022_cn, utf_32
from rag_app.documents.encodings.single_byte import best_single_byte
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
_JAPANESE = ("euc_jp", "cp932")
_KOREAN = ("euc_kr", "cp949")
_ODDS = 10.0
"""Log-odds against a text being Japanese or Korean rather than Chinese, before it is looked at."""
_MIXED = "utf-8+gb18030"
"""The name of text of which some lines are in the one and some in the other."""
_SIMPLIFIED = "iso2022_cn"
"""The name of what Python has no codec for."""
_SEVEN_BIT = (
    (b"\x1b$)C", "iso2022_kr"),
    (b"\x1b$B", "iso2022_jp"),
    (b"\x1b$@", "iso2022_jp"),
    (b"\x1b$B", "iso2022_jp_ext"),
    (b"~{", "hz"),
    (b"+", "utf-7"),
)
"""Marks of the encodings that shift between ASCII and others (RFC 1557, 1468, 1843, 2152)."""
_PLAIN = -7.0
_HEAD = 100_000
"""Bytes looked at where the whole would take long."""
_SOME = 0.1
_KANA, _HANGUL = re.compile("[\u3041-\u30f6]"), re.compile("[\uac00-\ud7a3]")
_LETTER = re.compile("[A-Za-z]")
_SHIFTING = {*_CANDIDATES}
"""Encodings of two bytes a character, in which a lost byte spoils what follows."""
_CERTAIN = 4
"""Characters of UTF-8 to each damaged one that no other encoding has by chance."""
_CERTAIN_LEAST = 8
_LOST = 10.0
"""Log-odds against a place at which bytes of UTF-8 are lost."""
_RANKED = 600
"""How many of the frequent characters are in order."""
_SHORT = 64
"""Bytes in which all characters of another encoding may be UTF-8 by chance."""
_SAMPLE = 4000
"""Non-ASCII characters that are judged."""
_PLAUSIBLE = -11.5
"""Mean log-probability of a character below which text isn't Chinese in that encoding.

Chinese text has -7 to -10; decoded wrongly it has -12 and less.
"""
_PLAUSIBLE_SHORT = -11.0
"""The same of a text of a few characters, which bytes of other encodings make by chance."""
_DAMAGE = 0.002
"""Share of characters that may be damaged (a file cut in a character, a bad sector)."""
_DAMAGE_OF_UTF8 = 0.02
_CONTROL = re.compile(r"[\x00-\x06\x0e-\x19\x1c-\x1f\x7f]")
_CONTROL_SHARE = 0.01
_BINARY = re.compile(
    r"(?:[\x01-\x06\x0e-\x19\x1c-\x1f\x7f][^\x01-\x06\x0e-\x19\x1c-\x1f\x7f]{0,15}){12}"
)
"""Many control characters near each other: a piece of a binary file amid the text."""
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
            return _readable(data, *in_step(data, *_decode_as(data, name, codec)), name)
    found = (
        _seven_bit(data)
        or _utf32(data)
        or _declared_chinese(data, declared)
        or _utf8(data)
        or _mostly_utf8(data)
        or _declared(data, declared)
        or _east_asian(data)
        or _utf8(data, nul=True)
        or _damaged(data)
        or _declared(data, declared, damaged=True)
        or best_single_byte(data)
    )
    if found is None:
        msg = (
            f"{name} is not text in an encoding that can be detected; give it with --encoding "
            "(such as gb18030 or big5), or convert the file if it is binary"
        )
        raise DocumentError(msg)
    if _holds_controls(found[0]):
        msg = f"{name} holds binary data, not text; convert it to text, PDF or DOCX first"
        raise DocumentError(msg)
    found = _or_foreign(data, *found)
    _check_known(data, *found, name)
    return _readable(data, *in_step(data, *found), name)


def _or_foreign(data: bytes, text: str, codec: str) -> Found:
    """Return text as EUC-JP or EUC-KR where it is that, and damaged, so that it seemed Chinese."""
    if codec not in _SHIFTING or codec.startswith("utf-16"):
        return text, codec
    for other, letters, share in (("euc_jp", _KANA, 0.3), ("euc_kr", _HANGUL, 0.6)):
        found = letters.findall(_sample(data.decode(other, "replace")))
        language = _language(other)
        if language is None or len(found) <= max(_CERTAIN_LEAST, share * len(_sample(text))):
            continue
        foreign = resynced(data, other, language)
        known = foreign.replace(SKIPPED, "")
        own = max(plausibility(text), _mean(text, language.log_probability))
        gain = _mean(known, language.log_probability) - own
        lost = len(foreign) - len(known)
        if gain * len(_sample(known)) - _LOST * lost > _ODDS:
            return foreign, other
    return text, codec


def _readable(data: bytes, text: str, codec: str, name: str) -> Found:
    """Return text without the pieces that are not writing: U+FFFD stands for each.

    What is valid UTF-8 is what its writer wrote. Other encodings read almost any bytes as text.
    """
    if codec not in _SHIFTING | {"utf-16"} and SKIPPED not in text:
        return text, codec
    damaged = codec in _SHIFTING and SKIPPED in text
    kept = without_garbage(text, SKIPPED, damaged=damaged)
    if kept is None:
        msg = f"{name} is damaged: most of it is not text; get it or save it again"
        raise DocumentError(msg)
    if text.count(SKIPPED) > data.count(SKIPPED.encode()) and _is_chinese(kept):
        kept = without_strays(kept, SKIPPED)
    return kept, codec


def in_step(data: bytes, text: str, codec: str) -> Found:
    """Return text that is in step again behind bytes that were lost, and its encoding.

    Args:
        data: The bytes.
        text: What they are in the encoding.
        codec: Its name; text in others than those of Chinese is returned as it is.
    """
    if codec == "utf-16":
        data, codec = data[2:], "utf-16-le" if data.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
        return in_step(data, text, codec)[0], "utf-16"
    if codec.startswith("utf-16"):
        text = ascii_in_step(text)
    language = _language(codec)
    chinese = not codec.startswith("utf-16") or _is_chinese(text)
    if language is None or not chinese:
        return text, codec
    if not (SKIPPED in text or seems_shifted(text, language.common())):
        return text, codec
    return resynced(data, codec, language), codec


def _language(codec: str) -> Language | None:
    """Return what the text of an encoding of two bytes a character is made of."""
    if codec in _JAPANESE:
        return Language(_japanese, ordinary_japanese)
    if codec in _KOREAN:
        return Language(_korean, hangul)
    return Language(_by_rank, ordinary_chinese) if codec in _SHIFTING else None


def _is_chinese(text: str) -> bool:
    sample = _sample(text)
    return _SOME * len(sample) < sum(char in frequent() for char in sample)


def plausibility(text: str) -> float:
    """Return how likely ``text`` is Chinese: the mean log-probability of its non-ASCII characters.

    Four classes of characters share the probability; within a class all are equally likely.
    ASCII proves nothing, so text that holds nothing else is as plausible as Chinese.
    """
    return _mean(text, _log_probability)


def _mean(text: str, log_probability: Callable[[str], float]) -> float:
    sample = _sample(text)
    return sum(map(log_probability, sample)) / len(sample) if sample else _PLAIN


def _decode_as(data: bytes, name: str, encoding: str) -> tuple[str, str]:
    if encoding == _MIXED:
        return _line_by_line(data, "replace"), _MIXED
    if encoding == _SIMPLIFIED and (text := iso_2022_cn(data)) is not None:
        return text, _SIMPLIFIED
    try:
        codec = codecs.lookup(encoding).name
        b"-".decode(encoding, "replace")  # refuses codecs such as base64, which make no text
    except (LookupError, ValueError):
        msg = f"unknown encoding {encoding!r}; try utf-8, gb18030 or big5, or leave it out"
        raise DocumentError(msg) from None
    # A mark at the front is not part of the text, whichever way the encoding was written.
    codec = "utf-8-sig" if codec == "utf-8" and data.startswith(codecs.BOM_UTF8) else codec
    try:
        return data.decode(codec, _errors(codec)), codec
    except UnicodeError as error:
        where = f" at byte {error.start:,}" if isinstance(error, UnicodeDecodeError) else ""
        msg = f"{name} can't be read as {encoding}{where}; give its encoding, or leave it out"
        raise DocumentError(msg) from None


def _errors(codec: str) -> str:
    return "windows-936" if codec in {"gbk", "gb18030", "gb2312"} else "strict"


def _euro(error: UnicodeError) -> tuple[str, int]:
    """Return € for the byte 0x80, as Windows' code page 936 has it."""
    if isinstance(error, UnicodeDecodeError) and error.object[error.start] == 0x80:
        return "€", error.start + 1
    raise error


codecs.register_error("windows-936", _euro)


def _seven_bit(data: bytes) -> Found | None:
    """Return text of bytes below 128 that shift between ASCII and two bytes to a character."""
    if not data.isascii():
        return None
    for mark, codec in _SEVEN_BIT:
        text = _strict(data, codec) if mark in data else None
        certain = mark[:1] == b"\x1b"  # what people type may hold ~{
        if text and (certain or (len(_sample(text)) >= 4 and plausibility(text) > _PLAUSIBLE)):
            return text, codec
    text = iso_2022_cn(data)
    return None if text is None else (text, _SIMPLIFIED)


def _utf32(data: bytes) -> Found | None:
    codec = utf_32(data)
    text = _strict(data, codec) if codec else None
    return (text, codec) if text and codec else None


def _check_known(data: bytes, text: str, codec: str, name: str) -> None:
    """Refuse text in an encoding that is not read, which others read as text.

    Raises:
        DocumentError: it is in one.
    """
    what = "ISO 2022" if data.isascii() and codec == "utf-8" and holds_designations(data) else ""
    if codec in _SHIFTING and not codec.startswith("utf-16"):
        other = as_euc_tw(data[:_HEAD])
        likelier = plausibility(other) > max(plausibility(text) + 1, _PLAUSIBLE)
        what = "EUC-TW" if len(other) >= _CERTAIN_LEAST and likelier else ""
    if what:
        msg = f"{name} is in {what}, which is not read; convert it to UTF-8, such as with iconv"
        raise DocumentError(msg)


def _utf8(data: bytes, *, nul: bool = False) -> Found | None:
    # UTF-16 without a mark is full of NUL, and often valid UTF-8; true UTF-8 hardly ever has any.
    text = None if b"\0" in data[:_HEAD] and not nul else _strict(data, "utf-8")
    return None if text is None else (text, "utf-8")


def _mostly_utf8(data: bytes) -> Found | None:
    """Return UTF-8 of which a few bytes are wrong, those as U+FFFD.

    By chance, text in another encoding has one valid sequence to several that are not.
    """
    if data[:_HEAD].count(0) > max(1, _DAMAGE * len(data[:_HEAD])):  # UTF-16, without a mark
        return None
    text = data.decode("utf-8", "replace")
    if not _is_certain(text) or _mixed(data):
        return None
    few = text.count(SKIPPED) <= max(1, _DAMAGE_OF_UTF8 * len(text))
    return (decoded_utf8(data), "utf-8") if few else None


def _is_certain(text: str) -> bool:
    """Return whether bytes that were decoded as UTF-8, where need be with U+FFFD, are UTF-8."""
    right = sum(map(len, re.findall(r"[^\x00-\x7f\ufffd]+", text)))
    return right >= max(_CERTAIN_LEAST, _CERTAIN * text.count(SKIPPED))


def _declared(data: bytes, declared: str | None, *, damaged: bool = False) -> Found | None:
    """Return text in the encoding that it names; where a few bytes are wrong, those as U+FFFD."""
    try:
        if not declared:
            return None
        text = data.decode(declared, "replace") if damaged else _strict(data, declared)
    except (LookupError, ValueError):
        return None
    if text is None or text.count(SKIPPED) > max(1, _DAMAGE * len(text)):
        return None
    return text, codecs.lookup(declared).name


def _declared_chinese(data: bytes, declared: str | None) -> Found | None:
    """Return short Chinese text that is valid UTF-8 by chance, as 通知 in GBK is."""
    if declared is None or len(data) > _SHORT or declared.startswith("utf"):
        return None
    other, found = _strict(data, "utf-8"), _declared(data, declared)
    if other is None or found is None or not _sample(other) or max(other) >= "\u0800":
        return None
    return found if all(char in frequent() for char in _sample(found[0])) else None


def _east_asian(data: bytes) -> Found | None:
    best = _best(data, _CANDIDATES, _log_probability)
    mixed = _mixed(data)
    if mixed is not None and (best is None or plausibility(mixed[0]) > best[0]):
        return mixed
    size = len(_sample(best[1])) if best else 0
    for codecs_, log_probability in ((_JAPANESE, _japanese), (_KOREAN, _korean)):
        other = _best(data, codecs_, log_probability)
        if other is None or other[0] <= _PLAUSIBLE:
            continue
        if best is None or (other[0] - best[0] > 1 and (other[0] - best[0]) * size > _ODDS):
            best, size = other, len(_sample(other[1]))
    torn = _torn_utf8(data, best[0] * size if best else None)
    if torn is not None:
        return torn
    return best[1:] if best and best[0] > _least(size) else None


def _least(size: int) -> float:
    """Return the plausibility that so many characters must have."""
    return _PLAUSIBLE if size >= _CERTAIN_LEAST else _PLAUSIBLE_SHORT


def _torn_utf8(data: bytes, other: float | None) -> Found | None:
    """Return UTF-8 cut in some characters where that is likelier than another reading is.

    Args:
        data: The bytes.
        other: The log-probability of the other reading, None where there is none.
    """
    text = data.decode("utf-8", "replace")
    lost = re.findall(f"{SKIPPED}+", text)
    sample = _sample(text.replace(SKIPPED, ""))
    written = len(sample) + len(_LETTER.findall(text))
    if len(sample) < max(2, len(lost)) or not _SOME * written < len(sample):
        return None
    score = sum(map(_log_probability, sample))
    likelier = score - _LOST * len(lost) > (other if other is not None else float("-inf"))
    believed = likelier and score / len(sample) > _PLAUSIBLE
    return (decoded_utf8(data), "utf-8") if believed else None


def _best(
    data: bytes, candidates: Sequence[str], log_probability: Callable[[str], float]
) -> tuple[float, str, str] | None:
    """Return the likeliest reading: its mean log-probability, its text and its encoding."""
    found = [
        (_mean(text, log_probability), text, codec)
        for codec in candidates
        if (text := _strict(data, codec)) is not None
    ]
    # The first of equals: the narrower encoding of a family.
    return max(found, key=lambda candidate: candidate[0], default=None)


def _mixed(data: bytes) -> Found | None:
    """Return text that is UTF-8 in some lines and GB 18030 in the others, as logs of two programs.

    Both must be plausible: single lines of GBK can be valid UTF-8 by chance.
    """
    lines = [line for line in data.split(b"\n") if not line.isascii()]
    unicode = b"\n".join(line for line in lines if _strict(line, "utf-8") is not None)
    others = b"\n".join(line for line in lines if _strict(line, "utf-8") is None)
    national = _strict(others, "gb18030")
    if b"\0" in data[:_HEAD] or not unicode or not national:
        return None
    score = plausibility(national)
    torn = others.decode(errors="ignore")  # UTF-8, cut in a character, of which the rest is right
    mostly = 2 * len(_sample(torn).encode()) >= len(_sample(others.decode("latin-1")))
    damaged = mostly and plausibility(torn) >= score
    damaged = damaged or _is_certain(others.decode(errors="replace"))
    if damaged or min(score, plausibility(unicode.decode())) <= _PLAUSIBLE:
        return None
    return _line_by_line(data, _errors("gb18030")), _MIXED


def _line_by_line(data: bytes, errors: str) -> str:
    lines = []
    for line in data.split(b"\n"):
        text = _strict(line, "utf-8")
        lines.append(line.decode("gb18030", errors) if text is None else text)
    return "\n".join(lines)


def _damaged(data: bytes) -> Found | None:
    """Return Chinese text of which a few bytes are wrong, those as U+FFFD."""
    found = []
    for codec in ("utf-8", "gb18030", "cp950"):
        text, _ = in_step(data, data.decode(codec, "replace"), codec)
        known = text.replace(SKIPPED, "")
        score = plausibility(known)
        few = text.count(SKIPPED) <= max(2, _DAMAGE * len(text))
        if few and score > _least(len(_sample(known))):
            found.append((score, text, codec))
    return max(found)[1:] if found else None


def _strict(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec, _errors(codec))
    except UnicodeDecodeError:
        return None


def _holds_controls(text: str) -> bool:
    crowded = _BINARY.search(text) is not None
    return crowded or len(_CONTROL.findall(text)) > max(_FEW, _CONTROL_SHARE * len(text))


def _sample(text: str) -> str:
    """Return the first characters other than ASCII text; control characters count."""
    runs = islice(re.finditer(r"[^\t-\r -~]{1,64}", text), _SAMPLE)
    return "".join(run.group() for run in runs)[:_SAMPLE]


def _log_probability(char: str) -> float:
    if char in frequent():
        return -7.1  # 0.75 shared by 900
    if char in ordinary():
        return -10.2  # 0.22 by 6,000
    if "０" <= char <= "９":
        return -10.2
    if "一" <= char <= "\u9fff":  # the block of GBK and Big5; beyond it is hardly ever text
        return -14.0
    return -13.0 if "！" <= char <= "～" or "\u2000" <= char <= "\u27ff" else -18.0


def _by_rank(char: str) -> float:
    """Return the same as `_log_probability`, finer, where readings are compared."""
    if "\u3001" <= char <= "\u301c":  # punctuation
        return max(_log_probability(char), -10.2)
    at = _rank().get(char)
    return _log_probability(char) if at is None else -3.2 - 0.7 * log(at + 1)  # 的: 0.04


@cache
def _rank() -> dict[str, int]:
    return {char: at for at, char in enumerate(FREQUENT[:_RANKED])}


def _japanese(char: str) -> float:
    if "\u3041" <= char <= "\u3093" or char in "、。ー「」・":
        return -5.0  # 0.6 shared by 90
    if "\u30a1" <= char <= "\u30f6":
        return -6.8  # 0.1 by 86
    if char in ordinary_kanji():
        return -9.2  # 0.3 by 3,000
    return -13.0 if "！" <= char <= "～" or "\u2000" <= char <= "\u9fff" else -18.0


def _korean(char: str) -> float:
    if char in frequent_hangul():
        return -5.5  # 0.7 shared by 170
    if "\uac00" <= char <= "\ud7a3":
        return -9.2 if char in hangul() else -13.0  # 0.25 by 2,350; 0.02 by 8,800
    return -13.0 if "！" <= char <= "～" or "\u2000" <= char <= "\u9fff" else -18.0
