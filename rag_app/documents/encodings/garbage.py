"""Pieces of text that are not writing: what damaged bytes or a damaged map of a font leave behind.

Such a piece holds a crowd of characters that no writer puts beside each other: replacement and
private characters, rare Han, single letters of scripts that are in words, signs within words.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

from rag_app.documents.encodings.character_frequency import frequent, ordinary, ordinary_kanji
from rag_app.documents.encodings.damage import SKIPPED
from rag_app.documents.text import HAN

_SCRIPTS = (
    "\u0100-\u024f\u0530-\u058f\u0700-\u08ff\u0980-\u0dff\u1000-\u10ff\u1200-\u1dff\u1e00-\u1eff"
    "\u2c00-\u2dff\ua4d0-\uabff\uac00-\ud7a3\ufb00-\ufdff\ufe70-\ufefc"
)
"""Letters that are in words, and hardly ever alone: of Latin with rare marks, Armenian, Indic,
Burmese, Georgian, Ethiopic, Korean and others."""
_PINYIN = "àáèéêìíòóùúüĀÁāáĒēĚěĪīǏǐŌōǑǒŪūǓǔǕǖǗǘǙǚǛǜǍǎŃńŇňǸǹḿ"
"""Letters with the marks of tones, which do stand alone."""
_BESIDE = f"{HAN}，。、；：（）"
_WORD = f"A-Za-zÀ-ÿ{_SCRIPTS}"
_LONE = re.compile(
    f"(?<![{_WORD}])(?![{_PINYIN}])[{_SCRIPTS}](?![{_WORD}])"
    f"|(?<![{_WORD}])(?:(?![{_PINYIN}])[\u0100-\u024f]){{2,}}(?![{_WORD}])"
    f"|(?<=[{_BESIDE}])(?:(?![{_PINYIN}ÅØø×÷])[À-ÿ])+(?![{_WORD}])"
    f"|(?<![{_WORD}])(?:(?![{_PINYIN}ÅØø×÷])[À-ÿ])+(?=[{_BESIDE}])"
)
_KOREAN = re.compile("[\uac00-\ud7a3]{2}")
_BYTES = re.compile("[\ufffd\ue000-\uf8ff]|'[0-9a-f]{2}(?![0-9a-z])")
"""What stands for bytes that are none of a character: also codes of RTF that lost their sign."""
_SIGN = re.compile(f"(?<=[{HAN}])[\u2100-\u214f\u2300-\u245f\u2600-\u27bf\u2800-\u2bff](?=[{HAN}])")
_IDEOGRAPH = re.compile(f"[{HAN}]")
_OTHERS = (
    "\u0180-\u02af\u0370-\u1fff\u2c00-\u2fdf\u3041-\u31ff\ua000-\udfff\ufb00-\ufdff\ufe70-\ufefc"
)
_STRAY = re.compile(
    f"[{HAN}]|(?<![A-Za-z{_OTHERS}])(?P<other>[{_OTHERS}])(?![A-Za-z{_OTHERS}])"
    f"|(?P<sign>[\ue000-\uf8ff]|{_SIGN.pattern})"
)
"""Han, letters of other scripts that stand alone, private characters, and signs within words."""
_CODES = rf"(?=[^{SKIPPED}\s]*[a-z0-9])[\x00-\x08\x0e-\x1f!-~]{{3,16}}"
_FIRST_CODES = re.compile(rf"\A(?![A-Z]?[a-z]*{SKIPPED}){_CODES}{SKIPPED}")
_LAST_CODES = re.compile(rf"(?<={SKIPPED})[^{SKIPPED}{HAN}]{{0,3}}{_CODES}{SKIPPED}*\s*\Z")
_LAST_PIECE = re.compile(
    rf"(?<=[。！？.!?\n])[^\s{SKIPPED}{HAN}，。、]{{0,6}}{SKIPPED}[^{HAN}，。、\n]{{0,12}}\s*\Z"
)
_BEFORE_HAN = re.compile(
    rf"\A[\0-\x1f]*[!-~]{{0,3}}{SKIPPED}(?=[\0-\x1f!-~]*[a-z!-/:-@])[\0-\x1f!-~]{{1,4}}(?=[{HAN}])"
)
_BEFORE_HEADING = re.compile(rf"\A[\0-\x1f]*{SKIPPED}\S{{1,12}}?(?=#{{1,6}} )")
_UNUSUAL = (
    "\u0100-\u10ff\u1200-\u1fff\u2100-\u214f\u2300-\u27bf\u2800-\u2fff\ua000-\uabff\ue000-\uf8ff"
)
"""Letters of other scripts than those of Korean and Japanese, signs, private characters."""
_SYLLABLE, _FEW_SYLLABLES = re.compile("[\uac00-\ud7a3]"), 0.1
"""Of Korean, and the share of a text below which it is in another language."""
_FOREIGN_WORD = re.compile(
    "[\u0370-\u03ff\u1f00-\u1fff]{3,}|[\u0400-\u052f]{3,}|[\u0530-\u10ff\u1200-\u1eff]{3,}"
)
_RUN, _FEWEST, _FEWEST_BESIDE = re.compile(r"x(?:\.{0,3}x)*"), 4, 3
"""Unusual characters near each other, how many there are at least, and beside such a run."""
_UNUSUAL_CHARACTER, _NO_HAN = re.compile(f"[{HAN}{_UNUSUAL}]"), re.compile(f"[{_UNUSUAL}]")
_STRAYS_EACH = 3  # for each place at which bytes are lost
_LOST_OR_ODD = re.compile("[\x80-\xff\ufffd]")
_LINE, _ODD_LETTERS, _LOST_LETTERS = 40, 12, 5
"""Where a map is torn: of so many characters, so many are not ASCII, and so many are lost."""
_STRONG, _WEAK = 1.5, 1.0
_NEAR, _AROUND = 16, 100
"""Characters."""
_CROWD_NEAR, _CROWD_AROUND = 6.0, 8.0
"""Weight of odd characters within so many above which a piece is not writing."""
_DAMAGED_AROUND, _LONE_NEAR = 6.0, 5.0
"""The same, of text known to be damaged, and of text with single letters of other scripts."""
_MOST = 0.5  # share of a text


@cache
def _known() -> frozenset[str]:
    rows = (bytes([row, cell]) for row in range(0xD8, 0xF8) for cell in range(0xA1, 0xFF))
    second_level = "".join(each.decode("gb2312", "ignore") for each in rows)
    return ordinary() | frequent() | ordinary_kanji() | frozenset(second_level)


def without_garbage(text: str, mark: str, *, damaged: bool = False) -> str | None:
    """Return ``text`` with ``mark`` in place of each piece that is not writing, None if most is.

    Of text that is known to be damaged, less is believed.

    Example:
        >>> without_garbage("会议在周三。\ufffd5\ufffdˬ\ufffd\ufffd\ufffd7\ufffd请准时到。", "…")
        '会议在周三。…请准时到。'
    """
    kept: list[str] = []
    at = lost = 0
    for start, end in _crowds(_odd(text), around=_DAMAGED_AROUND if damaged else _CROWD_AROUND):
        kept += [text[at:start], mark]
        at, lost = end, lost + end - start
    return None if lost > _MOST * len(text) else "".join([*kept, text[at:]])


def without_strays(text: str, mark: str) -> str:
    """Return Chinese text with ``mark`` for what damage alone puts in it.

    That is a character that is there once, and hardly anywhere else, and codes before the first
    lost bytes and behind the last.

    Example:
        >>> without_strays("面积从\ufffd方米厊到百平方米，会议\ufffd开。", "\ufffd")
        '面积从\ufffd方米\ufffd到百平方米，会议\ufffd开。'
    """
    seen = Counter(text)
    rare = (
        match[0]
        for match in _STRAY.finditer(text)
        if match["other"] or match["sign"] or match[0] not in _known()
    )
    doubtful = {char for char in rare if seen[char] == 1}
    if len(doubtful) <= _STRAYS_EACH * (seen[SKIPPED] + 1):  # else it is about rare things
        text = text.translate({ord(char): mark for char in doubtful})
    text = _FIRST_CODES.sub(mark, text)
    text = _BEFORE_HAN.sub(mark, _BEFORE_HEADING.sub(mark, text))
    return _LAST_PIECE.sub(mark, _LAST_CODES.sub(mark, text))


def holds_lost_letters(text: str) -> bool:
    """Return whether lost characters stand in a crowd, among letters of one byte.

    It is how a line reads, without spaces, whose font's map is torn.
    """
    odd = [match.start() for match in _LOST_OR_ODD.finditer(text)]
    for first, last in zip(odd, odd[_ODD_LETTERS - 1 :], strict=False):
        if last - first < _LINE and text.count(SKIPPED, first, last + 1) >= _LOST_LETTERS:
            return True
    return False


def holds_lone_letters(text: str) -> bool:
    """Return whether single letters of other scripts stand within text, without spaces, in a crowd.

    It is how a page reads whose font's map is damaged in part.
    """
    lone = [(at, weight) for at, weight in _lone(text)]
    if len(lone) < 2:
        return False
    rare = [(at, _WEAK) for at in _rare(text)] if not text.isascii() else []
    dense = _crowds(sorted([*lone, *rare]), near=_LONE_NEAR, around=float("inf"))
    return any(True for _ in dense) or any(True for _ in _crowds(lone))


def torn_runs(text: str) -> list[tuple[int, int]]:
    """Return where characters stand beside each other that have nothing in common.

    It is what a line of codes of two bytes reads as from where a digit of them is lost.

    Example:
        >>> torn_runs("开始计算。譵ѹ螶㴅ⓐ请假")
        [(5, 10)]
    """
    if not _NO_HAN.search(text):
        return []
    text = _FOREIGN_WORD.sub(lambda word: "a" * len(word[0]), text)
    syllables = len(_SYLLABLE.findall(text)) < _FEW_SYLLABLES * len(text)
    marks = "".join("x" if _is_unusual(char, syllables=syllables) else "." for char in text)
    runs = [run for run in _RUN.finditer(marks) if run[0].count("x") >= _MOST * len(run[0])]
    # Where one is certain, less is believed of the rest.
    certain = any(
        run[0].count("x") >= _FEWEST and _are_unlike(text[run.start() : run.end()]) for run in runs
    )
    return [run.span() for run in runs if certain and run[0].count("x") >= _FEWEST_BESIDE]


def _are_unlike(text: str) -> bool:
    """Return whether Han and something else are among the unusual characters of a text."""
    kinds = {_block(char) for char in text if _is_unusual(char)}
    return "Han" in kinds and len(kinds) > 1


def _is_unusual(char: str, *, syllables: bool = False) -> bool:
    if syllables and _SYLLABLE.match(char):
        return True
    return bool(_UNUSUAL_CHARACTER.match(char)) and char not in _known() and char not in _PINYIN


def _block(char: str) -> str:
    if _IDEOGRAPH.match(char):
        return "Han"
    return "Private" if "\ue000" <= char <= "\uf8ff" else hex(ord(char) >> 8)


def _odd(text: str) -> list[tuple[int, float]]:
    """Return where odd characters stand, and how odd each is."""
    odd = [*_lone(text), *((at, _WEAK) for at in _rare(text))]
    odd += [(match.start(), _STRONG) for match in _BYTES.finditer(text)]
    odd += [(match.start(), _WEAK) for match in _SIGN.finditer(text)]
    return sorted(odd)


def _lone(text: str) -> Iterator[tuple[int, float]]:
    korean = _KOREAN.search(text) is not None
    for match in _LONE.finditer(text):
        if not (korean and "\uac00" <= match[0] <= "\ud7a3"):
            yield from ((at, _STRONG) for at in range(match.start(), match.end()))


def _rare(text: str) -> Iterator[int]:
    known = _known()
    return (match.start() for match in _IDEOGRAPH.finditer(text) if match[0] not in known)


def _crowds(
    odd: list[tuple[int, float]], *, near: float = _CROWD_NEAR, around: float = _CROWD_AROUND
) -> Iterator[tuple[int, int]]:
    """Yield the pieces, one after the other, from the first odd character to the last."""
    spans: list[tuple[int, int]] = []
    for width, least in ((_NEAR, near), (_AROUND, around)):
        first, weight, strong = 0, 0.0, 0
        for at, own in odd:
            weight += own
            strong += own == _STRONG
            while odd[first][0] <= at - width:
                weight -= odd[first][1]
                strong -= odd[first][1] == _STRONG
                first += 1
            if weight >= least and strong:  # rare Han alone are a text about rare things
                spans.append((odd[first][0], at + 1))
    start = end = -1
    for span in sorted(spans):
        if span[0] > end:
            if end > 0:
                yield start, end
            start = span[0]
        end = max(end, span[1])
    if end > 0:
        yield start, end
