"""Characters → fragments → lines of text, with spaces only where the page has them."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median

from rag_app.documents.pdf.bidi import is_mark, is_rtl, logical_order
from rag_app.documents.pdf.characters import HYPHEN, Char, Space
from rag_app.documents.text import is_wide, superscript

_BREAK = 1.0  # gap, in sizes of the text, at which a line may be two: columns, or cells of a table
_SAME_LINE = 0.5  # share of the lower height by which two things of one line overlap
_BESIDE = 0.35  # the same of what is set smaller, as exponents and indices are
_SMALLER = 0.85
_RAISED = 0.25  # sizes by which an exponent stands above the line
_LITTLE, _HIGH = 0.95, 0.4
"""The same of one that is hardly smaller, but higher."""
_WORD_GAP = 0.2  # gap between Latin letters, in sizes of the text, that is a space
_GUESSED_GAP = 0.05
"""The same where PDFium takes it for a space: letters that lean over it leave little."""
_HAN_GAP = 0.8  # the same between Chinese characters, which have no spaces between them
_MIXED_GAP = 0.5
_TRACKED = 0.12  # gap above which Chinese characters are set apart for the looks of it
_LETTERS = 4  # letters beside others above which they may be set apart too
_EVEN, _MOSTLY_EVEN = 0.06, 0.75
"""Sizes by which their gaps may differ, and the share of them that do not differ more."""
_CHINESE = 0.3  # share of a line that is Chinese above which numbers are broken where the line ends
_ADDRESS = re.compile(f"[/@_\\d][\\w.-]*{HYPHEN}$")
"""A line's last word that is a piece of an address or a code, whose hyphens are its own."""
_LABEL = re.compile(r"[^\W\d_][^:：，。；,;.!?\d]{1,11}[:：]")
"""A label, no part of a sentence, that its value follows on the same line."""
_JOINT = re.compile(r"(?:\w[-/]|://)$")


@dataclass(eq=False)
class Fragment:
    """Neighbouring characters of one line."""

    chars: list[Char]
    left: float = field(init=False)
    right: float = field(init=False)
    bottom: float = field(init=False)
    top: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = min(char.left for char in self.chars)
        self.right = max(char.right for char in self.chars)
        self.bottom = min(char.bottom for char in self.chars)
        self.top = max(char.top for char in self.chars)

    @cached_property
    def size(self) -> float:
        """The size of its text, in points."""
        return median(char.size for char in self.chars)

    @cached_property
    def bold(self) -> bool:
        """Whether all of it is."""
        return all(char.bold for char in self.chars)

    @cached_property
    def is_rtl(self) -> bool:
        """Whether most of its letters are read to the left."""
        return mostly_rtl(self.chars)

    @cached_property
    def text(self) -> str:
        """What is written, spaces included."""
        return spell(self.chars)


def fragments(chars: Iterable[Char]) -> list[Fragment]:
    """Return fragments of neighbouring characters, in the order in which the PDF draws them."""
    found: list[list[Char]] = []
    for char in chars:
        if found and _continues(found[-1], char):
            found[-1].append(char)
        else:
            found.append([char])
    return [Fragment(group) for group in _rejoined(found)]


def _continues(group: Sequence[Char], char: Char) -> bool:
    before = group[-1]
    if not _level(before, char):
        return False
    size = max(before.size, char.size)
    # Between Chinese and Latin is a space that says nothing of the others.
    alike = len(group) > 1 and is_wide(before.text) == is_wide(group[-2].text)
    tracking = max(before.left - group[-2].right, 0.0) if alike else 0.0
    if is_rtl(char.text) and is_rtl(before.text):
        return max(char.left - before.right, before.left - char.right) < _BREAK * size
    # The letters of a ligature share one box.
    onwards = char.left > before.left - 0.3 * size
    return onwards and char.left - before.right < _BREAK * size + 3 * min(tracking, size)


def _level(first: Char | Fragment, second: Char | Fragment) -> bool:
    shared = min(first.top, second.top) - max(first.bottom, second.bottom)
    small, large = sorted((first.size, second.size))
    least = _SAME_LINE if small > _SMALLER * large else _BESIDE
    return shared > least * min(first.top - first.bottom, second.top - second.bottom)


def _rejoined(groups: list[list[Char]]) -> Iterator[list[Char]]:
    """Join fragments of one line that were not drawn one after the other, such as exponents."""
    rest = sorted(groups, key=lambda group: (-round(group[0].middle), group[0].left))
    done: list[list[Char]] = []
    for group in rest:
        for other in reversed(done[-6:]):
            if _continues(other, group[0]):
                other.extend(group)
                break
        else:
            done.append(group)
    yield from done


def rows(parts: Iterable[Fragment]) -> list[list[Fragment]]:
    """Return fragments by rows, from the top; within a row from the left."""
    found: list[list[Fragment]] = []
    for part in sorted(parts, key=lambda part: -(part.top + part.bottom)):
        for row in reversed(found[-3:]):
            if _level(row[0], part) and not any(_overlap(part, other) for other in row):
                row.append(part)
                break
        else:
            found.append([part])
    return [sorted(row, key=lambda part: part.left) for row in found]


def _overlap(first: Fragment, second: Fragment) -> bool:
    return min(first.right, second.right) - max(first.left, second.left) > 0.3 * first.size


def line_of(row: Sequence[Fragment]) -> Fragment:
    """Return the fragments of a row as one."""
    return row[0] if len(row) == 1 else Fragment([char for part in row for char in part.chars])


def spell(chars: Sequence[Char]) -> str:
    """Return the text of one line, given its characters from left to right."""
    text = _spell_rtl(chars) if any(is_rtl(char.text) for char in chars) else _spelled(chars)
    return text[:-1].replace(HYPHEN, "-") + text[-1:]  # only at its end it may part a word


def _spelled(chars: Sequence[Char]) -> str:
    tracking = _tracking(chars)
    text, raised = "", ""
    before: Char | None = None
    base: Char | None = None
    """What the exponent that is being read stands beside."""
    for char in chars:
        space = " " if before is not None and _is_space(before, char, tracking) else ""
        if base is not None and not space and _is_raised(base, char):
            raised += char.text
        else:
            text += superscript(raised) + space + char.text
            raised, base = "", char
        before = char
    return text + superscript(raised)


def _spell_rtl(chars: Sequence[Char]) -> str:
    """Return the text of a line that holds right-to-left writing."""
    leftwards = mostly_rtl(chars)
    texts: list[str] = []
    before: Char | None = None
    for char in _with_marks(_from_the_left(chars)):
        if before is not None:
            # What is before a letter that is read to the left stands on its right.
            is_turned = is_rtl(before.text) or (leftwards and not are_rightwards(before, char))
            later = before if is_turned else char
            if _is_space(before, char._replace(spaced=later.spaced), 0.0):
                texts.append(" ")
        texts.append(char.text)
        before = char
    return "".join(texts[at] for at in logical_order(texts))


def _from_the_left(chars: Sequence[Char]) -> list[Char]:
    """Return the characters of a line with those between words that are read to the right sorted.

    All of them are where the line is read to the left.
    """
    if mostly_rtl(chars):
        return sorted(chars, key=lambda char: char.left)
    found: list[Char] = []
    for is_rightwards, group in itertools.groupby(chars, are_rightwards):
        run = list(group)
        found += run if is_rightwards else sorted(run, key=lambda char: char.left)
    return found


def mostly_rtl(chars: Sequence[Char]) -> bool:
    """Return whether most letters are read to the left."""
    leftwards = sum(is_rtl(char.text) for char in chars)
    return leftwards > 0 and 2 * leftwards > sum(char.text.isalpha() for char in chars)


def are_rightwards(*chars: Char) -> bool:
    """Return whether all are letters or digits that are read to the right."""
    return all(char.text.isalnum() and not is_rtl(char.text) for char in chars)


def _with_marks(chars: Sequence[Char]) -> list[Char]:
    """Return letters with what shares their box: their marks, the rest of a ligature."""
    found: list[Char] = []
    for char in chars:
        if is_mark(char.text):
            continue
        before = found[-1] if found else None
        if before and is_rtl(char.text) and (char.left, char.right) == (before.left, before.right):
            found[-1] = before._replace(text=_ligature(before.text, char.text))
        else:
            found.append(char)
    for mark in filter(lambda char: is_mark(char.text), chars):
        middle = mark.left + mark.right
        at = min(
            range(len(found)),
            key=lambda at: abs(found[at].left + found[at].right - middle),
            default=-1,
        )
        if at >= 0:
            found[at] = found[at]._replace(text=found[at].text + mark.text)
    return found


def _ligature(first: str, second: str) -> str:
    """Return the letters of a ligature, which PDFium may have turned round; most begin with lam."""
    return first + second if first == "\u0644" else second + first


def _is_raised(base: Char, char: Char) -> bool:
    """Return whether a character stands above another's line as an exponent, not as cents do."""
    smaller, raised = char.size / base.size, (char.bottom - base.bottom) / base.size
    high = (smaller <= _SMALLER and raised > _RAISED) or (smaller < _LITTLE and raised > _HIGH)
    return high and base.text not in ".,"


def _tracking(chars: Sequence[Char]) -> float:
    """Return by how many sizes the characters of a line are set apart; 0 if they touch."""
    pairs = list(itertools.pairwise(chars))
    wide = [
        (after.left - before.right) / after.size
        for before, after in pairs
        if is_wide(before.text) and is_wide(after.text)
    ]
    if len(wide) > 1:
        usual = median(wide)
        return usual if usual > _TRACKED else 0.0
    letters = [
        (after.left - before.right) / after.size
        for before, after in pairs
        if before.text.isalpha() and after.text.isalpha() and after.spaced is not Space.WRITTEN
    ]
    if len(letters) < _LETTERS or 3 * len(letters) < 2 * len(pairs):
        return 0.0
    usual = median(letters)
    even = sum(abs(gap - usual) < _EVEN for gap in letters) > _MOSTLY_EVEN * len(letters)
    return usual if usual > _WORD_GAP and even else 0.0


def _is_space(before: Char, char: Char, tracking: float) -> bool:
    gap = (char.left - before.right) / max(char.size, before.size)
    written = char.spaced is Space.WRITTEN
    if "\u3000" in (before.text, char.text):
        return False
    wide = is_wide(before.text) + is_wide(char.text)
    if wide and tracking:
        return gap > 1.6 * tracking + 0.3
    if wide:
        usual, least = (_HAN_GAP, _TRACKED) if wide == 2 else (_MIXED_GAP, 0.05)
        return gap > usual or (written and gap > least)
    if written:
        return gap > tracking - _WORD_GAP
    guessed = char.spaced is Space.GUESSED and not tracking
    alike = char.size == before.size and _level(before, char)
    least = _GUESSED_GAP if alike else _WORD_GAP / 2
    return gap > tracking + _WORD_GAP or (guessed and gap > least)


def glue(before: str, line: str) -> tuple[str, str]:
    """Return the text before, and what is between it and the line that goes on from it."""
    if before.endswith(HYPHEN):
        parts_word = line[:1].islower() and not _ADDRESS.search(before)
        return before.removesuffix(HYPHEN), "" if parts_word else "-"
    first, last = line[:1], before[-1:]
    if is_wide(first) or is_wide(last) or _JOINT.search(before):
        return before, ""
    if first.isdigit() and last.isdigit() and _is_chinese(before + line):
        return before, ""
    return before, " "


def join(before: str, line: str) -> str:
    """Return a line with the one that it goes on in."""
    text, between = glue(before, line)
    return f"{text}{between}{line}"


def join_in_cell(before: str, line: str) -> str:
    """Return the text of a cell with its next line; labels with their values are lines apart."""
    return f"{before} {line}" if are_fields(before, line) else join(before, line)


def label(text: str) -> str:
    """Return the label that a line begins with and that its value follows; "" where none does."""
    found = _LABEL.match(text)
    return found[0] if found else ""


def are_fields(*texts: str) -> bool:
    """Return whether lines begin with labels that their values follow."""
    return all(map(label, texts))


def _is_chinese(text: str) -> bool:
    return sum(map(is_wide, text)) > _CHINESE * len(text)
