"""Encodings of two bytes a character: the likeliest, and text in step behind lost bytes."""

import codecs
import re
from collections.abc import Callable, Sequence

from rag_app.documents.encodings.character_frequency import (
    hangul,
    ordinary_chinese,
    ordinary_japanese,
)
from rag_app.documents.encodings.damage import (
    SKIPPED,
    Language,
    ascii_in_step,
    resynced,
    seems_shifted,
)
from rag_app.documents.encodings.likelihood import (
    CERTAIN_LEAST,
    PLAUSIBLE,
    by_rank,
    chinese,
    is_chinese,
    japanese,
    korean,
    least_plausibility,
    mean,
    plausibility,
    sample_of,
)
from rag_app.documents.encodings.named import DAMAGE, Found, strict
from rag_app.documents.encodings.utf8 import LOST, mixed_lines, torn_utf8

_CANDIDATES = ("utf-16-le", "utf-16-be", "gbk", "gb18030", "big5", "cp950", "big5hkscs")
"""The narrower encoding of a family before the wider: it is named when it is enough."""
_JAPANESE = ("euc_jp", "cp932")
_KOREAN = ("euc_kr", "cp949")
SHIFTING = {*_CANDIDATES}
"""Encodings of two bytes a character, in which a lost byte spoils what follows."""
_ODDS = 10.0
"""Log-odds against a text being Japanese or Korean rather than Chinese, before it is looked at."""
_EACH = 4
"""Characters to each damaged one that text of two bytes each has; fewer are made of any bytes."""
_KANA, _HANGUL = re.compile("[\u3041-\u30f6]"), re.compile("[\uac00-\ud7a3]")


def east_asian(data: bytes) -> Found | None:
    """Return the likeliest reading without a wrong byte, or but for bytes torn out of UTF-8."""
    best = _best(data, _CANDIDATES, chinese)
    mixed = mixed_lines(data)
    if mixed is not None and (best is None or plausibility(mixed[0]) > best[0]):
        return mixed
    size = len(sample_of(best[1])) if best else 0
    for codecs_, log_probability in ((_JAPANESE, japanese), (_KOREAN, korean)):
        other = _best(data, codecs_, log_probability)
        if other is None or other[0] <= PLAUSIBLE:
            continue
        if best is None or (other[0] - best[0] > 1 and (other[0] - best[0]) * size > _ODDS):
            best, size = other, len(sample_of(other[1]))
    torn = torn_utf8(data, best[0] * size if best else None)
    if torn is not None:
        return torn
    return best[1:] if best and best[0] > least_plausibility(size) else None


def _best(
    data: bytes, candidates: Sequence[str], log_probability: Callable[[str], float]
) -> tuple[float, str, str] | None:
    """Return the likeliest reading: its mean log-probability, its text and its encoding."""
    found = [
        (mean(text, log_probability), text, codec)
        for codec in candidates
        if (text := strict(data, codec)) is not None
    ]
    # The first of equals: the narrower encoding of a family.
    return max(found, key=lambda candidate: candidate[0], default=None)


def or_foreign(data: bytes, text: str, codec: str) -> Found:
    """Return text as EUC-JP or EUC-KR where it is that, and damaged, so that it seemed Chinese."""
    if codec not in SHIFTING or codec.startswith("utf-16"):
        return text, codec
    for other, letters, share in (("euc_jp", _KANA, 0.3), ("euc_kr", _HANGUL, 0.6)):
        found = letters.findall(sample_of(data.decode(other, "replace")))
        language = _language(other)
        if language is None or len(found) <= max(CERTAIN_LEAST, share * len(sample_of(text))):
            continue
        foreign = resynced(data, other, language)
        known = foreign.replace(SKIPPED, "")
        own = max(plausibility(text), mean(text, language.log_probability))
        gain = mean(known, language.log_probability) - own
        lost = len(foreign) - len(known)
        if gain * len(sample_of(known)) - LOST * lost > _ODDS:
            return foreign, other
    return text, codec


def damaged_chinese(data: bytes) -> Found | None:
    """Return Chinese text of which a few bytes are wrong, those as U+FFFD."""
    found = []
    for codec in ("utf-8", "gb18030", "cp950"):
        text, _ = in_step(data, data.decode(codec, "replace"), codec)
        known = text.replace(SKIPPED, "")
        score = plausibility(known)
        lost, size = text.count(SKIPPED), len(sample_of(known))
        few = lost <= max(2, DAMAGE * len(text))
        certain = codec == "utf-8" or lost * _EACH <= size
        if few and certain and score > least_plausibility(size):
            found.append((score, text, codec))
    return max(found)[1:] if found else None


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
    chinese = not codec.startswith("utf-16") or is_chinese(text)
    if language is None or not chinese:
        return text, codec
    if not (SKIPPED in text or seems_shifted(text, language.common())):
        return text, codec
    return resynced(data, codec, language), codec


def _language(codec: str) -> Language | None:
    """Return what the text of an encoding of two bytes a character is made of."""
    if codec in _JAPANESE:
        return Language(japanese, ordinary_japanese)
    if codec in _KOREAN:
        return Language(korean, hangul)
    return Language(by_rank, ordinary_chinese) if codec in SHIFTING else None
