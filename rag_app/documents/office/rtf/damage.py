"""Remains of damaged control words of RTF: codes that are no text."""

import re

from rag_app.documents.encodings.damage import SKIPPED
from rag_app.documents.encodings.garbage import without_garbage
from rag_app.documents.office.rtf.words import OF_TABLES, SYMBOLS

_HEADER = re.compile(rb"(?<={)\\rtf[^{}]{0,2000}(?={\\fonttbl)")
_CONTROL = re.compile(rb"\\[a-zA-Z]+(?:-?\d+)? ?")
"""What stands in front of the table of fonts; anything else there is damage."""
_ESCAPE_WITHOUT_SIGN = re.compile(rb"(?<=\\'[0-9a-f]{2})[^\\{}\r\n'](?='[0-9a-f]{2}\\')")
_BLANKED = re.compile(
    rb"(?:\\(?:'[0-9a-f]?|[a-z]{1,20}-?\d*)?)?(?:\0{8,}[^{}\\\r\n]{0,40}|\0+[^{}\\\s]{0,40})"
)
"""Bytes that were lost, and what may be cut by them: the beginning and the end of anything."""
_LOST = b"\\|"  # what stands for them: a symbol that no reader shows
_WORDS = (
    rb"ansi|pard|yr|mo|dy|hr|plain|trowd|intbl|itap|outlinelevel|uc|[flr]?i|[lr]in|sa|sb|sl|slmult|q[lcrj]|fs"
    rb"|afs|af|cf|cb|fcs|lang\w*|a?deff|a?deflang\w*|themelang\w*|stshf\w+|(?:hi|db|lo|rtl|ltr)ch|fprq|fcharset"
    rb"|widctlpar|nowidctlpar|aspalpha|aspnum|faauto|\w*rsid|kerning|cgrid|expnd\w*|viewkind"
)
_WORD_WITHOUT_SIGN = re.compile(
    rb"\A(?:[^\w\s'\"(]{1,2}(?:%b)\Z|[^\w\s'\"(]{0,2}(?:%b)-?\d+(?:\s|\Z)|\S{0,8}ellx\d+\s?)+"
    % (_WORDS, _WORDS)
)
"""Control words whose backslash is damaged."""
_AFTER_SYMBOL = re.compile(rb"\A(?:[0-9a-f]{2}\Z|[a-z]{1,20}-?\d+ ?|[a-z]{2,20}\Z)")
_AFTER_WORD = re.compile(
    rb"\A[^\w\s,.;:!?()\"'+*/=<>%&#@-]{1,2}[a-z]{1,20}(?:-?\d{2,6} ?|\Z)"
    rb"|\A[a-z]{2,20}-?\d{1,6} ?|\A[~`^|]\Z|\A[\0-\x1f\x80-\xff]\d{1,6} ?"
)
"""What is left of control words behind an unknown symbol, and behind words that are cut."""
_CODE = re.compile(rb"[a-z]{3,20}-?\d{1,6} ?")
_CONTROL_WORD = re.compile(rb"\\([a-z]{3,}(?:-?\d+)?)")
_ONE_DAMAGED = re.compile(
    rb"[^\w\s,.;:!?()\"'+*/=<>%&#@$-]{1,2}([a-z]{3,20}(?:-?\d+)?)|[A-Z](hich|dbch|loch|[a-z]{3,20}-?\d+)"
)
"""A control word with another sign."""
_ENTRY = re.compile(rb"\A[^;]{0,60};")
_TABLE_WORD = re.compile(
    rb"\\(?:froman|fswiss|fnil|fmodern|fcharset|red\d|green\d|blue\d|sbasedon|snext)"
)
_FIRST_PARAGRAPH = re.compile(rb"\\(?:pard?|cell|sectd?)(?![a-z])")
_NO_RTF = re.compile(
    rb"[\0-\x08\x0b\x0c\x0e-\x1f]|(?<=\\)[\x80-\xff]|(?<=[a-z\d])[\x80-\xff](?=[a-z]{2}|\\)"
)
_SURELY_DAMAGED = 2  # bytes that no program writes
_ODD_WORD = re.compile(
    r"(?<!\S)[^\sa-z\"'(]{1,2}"
    r"(?:pard?|q[lcrj]|[sf]?[abfils]\d+|intbl|cell|l?row|trowd)(?:\d+|(?!\S)) ?"
)
_LEFT_OVER = re.compile("'[0-9a-f]{2}")  # a byte whose sign is lost
_REST = re.compile(
    f"(?<={SKIPPED})'?[0-9a-f]{{2}}(?=[{SKIPPED}\u3000-\u9fff])|'[89a-f][0-9a-f](?={SKIPPED})"
    f"|(?<=[\u3041-\u9fff])(?=\\d?[a-f])[89a-f][0-9a-f](?={SKIPPED})"
    r"|(?<![!-~])\\?'[89a-f][0-9a-f][!-~]?(?=[\u3041-\u9fff])"
)
"""The same behind bytes that are not a character."""


def mended(data: bytes) -> bytes:
    """Return RTF with a symbol that no reader shows where bytes of it are lost."""
    data = _HEADER.sub(lambda head: b"".join(_CONTROL.findall(head[0])), data, count=1)
    return _BLANKED.sub(lambda _: _LOST, _ESCAPE_WITHOUT_SIGN.sub(rb"\\", data))


def control_words(data: bytes) -> frozenset[bytes]:
    """Return all control words of a file, with their numbers."""
    return frozenset(_CONTROL_WORD.findall(data))


def without_codes(text: bytes, before: re.Match[bytes] | None, words: frozenset[bytes]) -> bytes:
    """Return a token of text without what is left of damaged control words.

    ``words`` are all control words of the file, with their numbers.
    """
    cut = _ONE_DAMAGED.fullmatch(text)
    if cut and before and not before[0].endswith(b" ") and (cut[1] or cut[2]) in words | {b"dbch"}:
        return b""
    word, symbol = (before["word"], before["symbol"]) if before else (None, None)
    if symbol and symbol not in SYMBOLS:
        text = _WORD_WITHOUT_SIGN.sub(b"", _AFTER_SYMBOL.sub(b"", text))
    elif before and word:
        text = text if before[0].endswith(b" ") else _AFTER_WORD.sub(b"", text)
        text = _WORD_WITHOUT_SIGN.sub(b"", text)
        text = _ENTRY.sub(b"", text) if word.decode() in OF_TABLES else text
    if _CODE.fullmatch(text):  # the end of a word that is elsewhere, too
        return b"" if any(each.endswith(text.rstrip()) for each in words) else text
    return text


def end_of_tables(data: bytes) -> int:
    """Return where the last table before the first paragraph ends: no text comes before it."""
    first = _FIRST_PARAGRAPH.search(data)
    words = _TABLE_WORD.finditer(data, 0, first.start() if first else len(data))
    return max((word.end() for word in words), default=0)


def without_left_over(data: bytes, text: str) -> str | None:
    """Return a text without what is left of the codes of damaged RTF, None where most is no text.

    Args:
        data: The file.
        text: What was read of it.
    """
    if len(_NO_RTF.findall(data)) >= _SURELY_DAMAGED:
        text = _ODD_WORD.sub("", text)
    if SKIPPED not in text and not _LEFT_OVER.search(text):
        return text
    return without_garbage(_REST.sub("", text), SKIPPED)
