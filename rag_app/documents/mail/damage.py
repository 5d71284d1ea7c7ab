"""Text of a damaged mail without the marks that its parser no longer saw as such.

Marks are ASCII: in each run of it within a line, what the headers of parts are made of is looked
for, whole or cut. A mail that is whole may be about such headers, so nothing is left out there.
"""

import re

_NAMES = ("MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition")
_VALUE = re.compile(
    r"1\.0|[78]bit|quoted-printable|base64|(?:multipart|text|message)/[\w.-]+(?:;.*)?"
    r"|(?:attachment|inline)(?:;.*)?"
)
_CUT_VALUE = re.compile(r"\W*(?:\w[\w/-]*)?\"?; ?(?:charset|boundary)=\S+")
_RUN = re.compile(r"\ufffd?[!-~][ -~]*")
_FOLDED = re.compile(r"^(?:[A-Z]\w*-[\w-]+|Received): .*(?:\n[ \t]+\S.*)*", re.MULTILINE)
"""A header that mails alone have, with the lines that it goes on in."""
_PART = re.compile(
    r"MIME-V|Content-[TDIL]|-Version: 1|ion: 1\.0|\bCont[a-z]{0,3}-?$|Encod(?:ing?)?:"
    r"|(?:charset|boundary|filename|protocol) ?[=\"]|charsetutf|dary=|text/(?:plain|html)"
    r"|(?:multipart|message)/[a-z]{3}|ng: ?[78]bit|(?:printable|base64|rfc822)$"
    r"|^=?\"?(?:u?t)?f-8\"?|=\?[\w-]+\?[BQbq]\?|\?[BQbq]\?\S{1,200}\?=|\?[^\s?]{4,}\?="
    r"|multi-?part message|MIME-encapsulated|\bwith E?SMTPS?A? id \w|^\S*-I[Dd]: <"
    r"|^(?:for \S+; ?)?[A-Z][a-z]{2}, [^a-z]+[A-Z][a-z]{2} [\d: +-]+\([A-Z]{3,4}\)$"
    r"|^-----?(?:BEGIN|END) |^Version: \d|^From \S+@\S+ \w{3} "
    r"|X-[A-Z]\w+[A-Z-]\w*: |\S [A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$"
)
"""What only the headers of a message and of its parts are made of."""
_GLUED = re.compile(
    r"(?:Return-Path|Message-I[Dd]): ?<?[!-~]+|Received: (?:from|by) [ -~]*(?:\n[ \t]+\S.*)*"
)
"""Headers behind what another one, or a line, is cut off at."""
_STYLE = re.compile(
    r"^[\w.#, -]*\{.*|^[a-z-]+:[^\s;]+;\}?$|(?:\b\w{1,2}=\S{1,400};\s*){2,}|^\w{0,4}>$"
)
"""Rules of the style of a page, and fields of a signature."""
_TOKEN = re.compile(
    r"(?!.*(?:://|@))(?=.*\d)(?=.*[A-Za-z])(?:\S{24,}|[A-Za-z0-9+/=]{16,})"
    r"|--\S{6,}|[-=_](?=\S*\d)\S*--|=\w{4}"
)
"""Codes and boundaries: long, without a space, with digits and letters."""
_WORD = re.compile(r"(?<![!-~])(?![!-~]*(?:://|@|www\.))[!-~]{16,}")
_CODE = re.compile(r"[A-Za-z0-9+/]{8,}")
_CHANGE = re.compile(r"[a-z](?=[^a-z])|[A-Z](?=[^A-Za-z])|\d(?=\D)|[+/](?=[^+/])")
"""Where one kind of character ends, as it does all the time in base64, and rarely in words."""


def has_cut_header(text: str) -> bool:
    """Return whether a text holds the end of a header, whose beginning is lost.

    Example:
        >>> has_cut_header("甲ng: 8bit"), has_cut_header("Content-Transfer-Encoding: 8bit")
        (True, False)
    """
    return any(_is_cut(run.strip("\ufffd ")) for run in _RUN.findall(text))


def without_marks(text: str) -> str:
    """Return the text of a damaged mail without what is left of headers, boundaries and codes."""
    text = _GLUED.sub("", _FOLDED.sub("", text))
    text = _RUN.sub(lambda run: "" if _is_mark(run[0]) else run[0], text)
    return _WORD.sub(lambda word: "" if _is_code(word[0], 16, 3) else word[0], text)


def _is_mark(run: str) -> bool:
    words = run.strip("\ufffd ")
    is_code = _TOKEN.fullmatch(run.rstrip()) is not None  # not the rest of an address
    is_code = is_code or (_CODE.fullmatch(words.rstrip("=")) is not None and _is_code(words, 8, 4))
    return is_code or bool(_PART.search(words) or _STYLE.search(words))


def _is_code(word: str, least: int, each: int) -> bool:
    """Return whether a word holds ``least`` characters of base64, of a new kind after ``each``."""
    runs = (run for run in _CODE.findall(word) if len(run) >= least)
    return any(
        run.lower() != run != run.upper()
        and re.search(r"\d", run)
        and each * len(_CHANGE.findall(run)) >= len(run)
        for run in runs
    )


def _is_cut(run: str) -> bool:
    name, _, value = run.partition(": ")
    is_end = any(whole.endswith(name) and whole != name for whole in _NAMES)
    is_cut = bool(name) and is_end and _VALUE.fullmatch(value) is not None
    return is_cut or _CUT_VALUE.fullmatch(run) is not None
