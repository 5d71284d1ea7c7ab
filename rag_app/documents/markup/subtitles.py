"""Subtitles (SRT, WebVTT, SBV, ASS, LRC) → what is said, under headings of when it is said."""

import re
from collections.abc import Iterator
from html import unescape
from typing import NamedTuple

from rag_app.documents.text import HAN_CHARACTER, SENTENCE_END, space_at_break

_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})(?:[.,:](\d{1,3}))?"
_CUE = re.compile(rf"[ \t]*{_TIME}[ \t]*(?:-->|,)[ \t]*{_TIME}(?:[ \t].*)?|.*-->.*")
"""The line of times of SRT and WebVTT, also damaged, and that of SBV."""
_DIALOGUE = re.compile(rf"Dialogue:[^,]*,\s*{_TIME}\s*,\s*{_TIME}\s*,(?:[^,]*,){{6}}(.*)")
"""A line of ASS whose fields are in the usual order."""
_ASS = re.compile(r"\[Script Info\]|^Dialogue:\s*\d+,\d:\d\d:", re.MULTILINE)
_LYRIC = re.compile(r"((?:\[\d{1,3}:\d{1,2}(?:[.:]\d{1,3})?\])+)(.*)")
_LYRIC_TIME = re.compile(r"\[(\d+):(\d+)")
_LYRIC_HEAD = re.compile(r"\[(ti|ar|al):(.+)\]", re.IGNORECASE)
_SPEAKER = re.compile(r"<v(?:\.[\w.-]+)*[ \t]+([^>]+)>")
_NAMED = re.compile(r"[^\s\d:：][^:：]{0,39}[:：] ?(?=\S)")  # who speaks
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]*>|<\d[\d:.]*>|\{\\[^{}]*\}|</>")
_TORN = re.compile(
    r"</[a-z]{1,2}(?![a-z])>?|(?<![A-Za-z0-9)\]])<[a-z](?:\.[\w.-]{1,60})?(?![!-~])"
    r"|<?/?[a-z]?\Z(?<=[</])|\{\\[!-z|~]*|[!-~]{0,60}\d,,[!-~]*"
    r"|Dialogue: ?\d*|\[Script Info\]|WEBVTT"
    r"|(?:\d{0,3}:){1,3}\d\d[.,]\d{3}|(?:\d{0,3}:){2}\d\d[.,]\d\d"
    r"|(?<![\w-])[a-z]{0,8}:(?:start|end|middle|center)\b|\b(?:line:\d+%?|(?:position|size):\d+%)"
)
"""What is left of tags, times, fields and settings that are damaged."""
_STYLE = re.compile(r"\{[^{}]*\}|[!-~]?\\[a-z][^{}\s]{0,60}\}")
"""What no player of ASS shows."""
_DRAWING = re.compile(r"\{[^{}]*\\p[1-9]")
"""What follows draws lines, in ASS."""
_BREAK = re.compile(r"\\[Nn]")
_HEADING = re.compile(r"\A#+ ")
"""What marks songs, and other languages; headings of Markdown too."""
_SENTENCES = 0.2
"""Share of cues that end a sentence where sentences are marked at all."""
_PAUSE = 4.0
"""Seconds after which a sentence is over."""
_SECTION = 400
"""Characters from which on a new heading says the time."""


class Cue(NamedTuple):
    """What is shown at once."""

    start: float
    """Seconds from the beginning."""
    end: float
    lines: list[str]


def subtitles_markdown(text: str) -> str:
    r"""Return what subtitles say, without their numbers, times and styles.

    Where they mark the ends of sentences, a line is a sentence or more; else it is a cue.

    Example:
        >>> subtitles_markdown("1\n00:01:05,000 --> 00:01:07,000\n<i>水泵</i>每年\n检修。\n")
        '## 00:01:05\n\n水泵每年检修。'
    """
    cues = list(_cues(text))
    if not (cues or _ASS.search(text) or text.startswith("WEBVTT")):  # it is something else
        return text
    cues = [cue for cue in cues if cue.lines]
    title = [" – ".join(match[2].strip() for match in _LYRIC_HEAD.finditer(text))]
    return "\n\n".join(filter(None, [*title, *_sections(_without_repeats(cues))]))


def _cues(text: str) -> Iterator[Cue]:
    lines = text.split("\n")
    if lyrics := [match for line in lines if (match := _LYRIC.fullmatch(line.strip()))]:
        timed = [
            (60.0 * int(minute) + int(second), match[2])
            for match in lyrics
            for minute, second in _LYRIC_TIME.findall(match[1])
        ]
        yield from (
            Cue(at, at, _spoken([said])) for at, said in sorted(timed, key=lambda it: it[0])
        )
        return
    if _ASS.search(text):  # fonts and pictures may stand before and behind what is said
        for match in filter(None, map(_DIALOGUE.match, lines)):
            drawn = _DRAWING.search(match[9])
            said = [] if drawn else _spoken(_BREAK.split(_STYLE.sub("", match[9])))
            yield Cue(_seconds(*match.groups()[:4]), _seconds(*match.groups()[4:8]), said)
        return
    times = [(at, match) for at, line in enumerate(lines) if (match := _CUE.fullmatch(line))]
    ends = [*(at for at, _ in times), len(lines)][1:]
    start = end = 0.0
    for (at, match), after in zip(times, ends, strict=True):
        if match[2]:
            start, end = _seconds(*match.groups()[:4]), _seconds(*match.groups()[4:])
        said = _own_lines(lines[at + 1 : after], last=after == len(lines))
        yield Cue(start, end, _spoken(said))


def _seconds(hours: str | None, minutes: str, seconds: str, parts: str | None) -> float:
    return 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds) + float(f"0.{parts or 0}")


def _own_lines(lines: list[str], *, last: bool) -> list[str]:
    """Return the lines of a cue without the name of the next one, and notes behind it."""
    texts = "\n".join(lines).strip().split("\n\n")
    if not last and lines and lines[-1].strip() and len(texts) > 1:
        texts.pop()  # the number or name of the next
    elif not last and lines and lines[-1].strip().isdecimal():
        return lines[:-1]
    notes = ("NOTE", "STYLE", "REGION")
    return [line for part in texts if not part.startswith(notes) for line in part.split("\n")]


def _spoken(lines: list[str]) -> list[str]:
    """Return lines without their styles."""
    named = (_SPEAKER.sub(r"\1: ", line) for line in lines)
    texts = (" ".join(unescape(_TORN.sub("", _TAG.sub("", line))).split()) for line in named)
    return [said for text in texts if (said := _HEADING.sub("", text))]


def _by_language(lines: list[str]) -> list[str]:
    """Return lines that go on in the next one as one, where both are in one language."""
    said: list[str] = []
    for line in lines:
        if said and not line.startswith("-") and _is_han(said[-1]) == _is_han(line):
            said[-1] = _joined(said[-1], line)
        else:
            said.append(line)
    return said


def _is_han(text: str) -> bool:
    return HAN_CHARACTER.search(text) is not None


def _joined(text: str, more: str) -> str:
    return f"{text}{space_at_break(text[-1], more[0])}{more}"


def _without_repeats(cues: list[Cue]) -> list[Cue]:
    """Return cues without what was shown before, as captions that roll up show each line again."""
    kept: list[Cue] = []
    before: list[str] = []
    for cue in cues:
        fresh = [line for line in cue.lines if line not in before]
        before = cue.lines
        if fresh:
            kept.append(cue._replace(lines=_by_language(fresh)))
    return kept


def _sections(cues: list[Cue]) -> Iterator[str]:
    """Yield what is said, in sections of some length, each under the time at which it begins."""
    section: list[str] = []
    for start, line in _lines(cues):
        if sum(map(len, section)) >= _SECTION:
            yield "\n".join(section)
            section = []
        section += [line] if section else [f"## {_clock(start)}\n", line]
    if section:
        yield "\n".join(section)


def _lines(cues: list[Cue]) -> Iterator[tuple[float, str]]:
    """Yield the lines and when each begins; cues of one sentence are a line."""
    ends = sum(SENTENCE_END.search(line) is not None for cue in cues for line in cue.lines)
    punctuated = ends > _SENTENCES * len(cues)
    start, text, until = 0.0, "", 0.0
    for cue in cues:
        for at, line in enumerate(cue.lines):
            name = _NAMED.match(text)
            more = line.removeprefix(name[0]) if name else line
            goes_on = (
                punctuated
                and text
                and at == 0
                and cue.start - until < _PAUSE
                and not SENTENCE_END.search(text)
                and not line.startswith("-")
                and _is_han(text) == _is_han(line)
                and not (name and _NAMED.match(more))
            )
            if goes_on:
                text = _joined(text, more)
                continue
            if text:
                yield start, text
            start, text = cue.start, line
        until = cue.end
    if text:
        yield start, text


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}"
