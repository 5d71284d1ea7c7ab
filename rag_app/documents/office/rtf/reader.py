"""Rich Text Format (specification 1.9.1) → Markdown."""

import re
from dataclasses import replace
from unicodedata import category

from rag_app.documents.encodings.damage import SKIPPED
from rag_app.documents.encodings.east_asian import in_step
from rag_app.documents.encodings.legibility import gibberish
from rag_app.documents.encodings.likelihood import PLAUSIBLE, plausibility, sample_of
from rag_app.documents.formats import ExtractedText
from rag_app.documents.office.package import hidden_notes
from rag_app.documents.office.rtf.blocks import RtfBlocks
from rag_app.documents.office.rtf.damage import (
    control_words,
    end_of_tables,
    mended,
    without_codes,
    without_left_over,
)
from rag_app.documents.office.rtf.state import RtfState, symbol_fonts, white_colours
from rag_app.documents.office.rtf.words import (
    BEHIND,
    CHARACTERS,
    CODE_PAGES,
    LOOKS,
    OF_TABLES,
    SHOWN,
    UNREAD,
    known_codec,
)
from rag_app.documents.office.symbol_fonts import symbols
from rag_app.documents.text import shown, superscript
from rag_app.errors import DocumentError

_TOKEN = re.compile(
    rb"\\(?P<word>[a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})"
    rb"|\\(?P<symbol>'[^\\{}]{0,2}|[^a-zA-Z])|([{}])|[\r\n]+|([^\\{}\r\n]+)|\\",
    re.S,
)
_MAX_DEPTH = 10_000
_CERTAIN = 16  # characters of Chinese from which on damaged text is Chinese for certain
_SHORT = 4  # characters up to which none may be strange
_MOST_STRANGE = 0.1  # share of characters that nobody writes above which something is not a text


def read_rtf(data: bytes, name: str) -> ExtractedText:
    """Return an RTF file's text; headings, tables and notes as in Markdown.

    Raises:
        DocumentError: it is not RTF, is nested without end, or has no readable characters.
    """
    if not data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{\\rtf"):
        raise DocumentError(
            f"{shown(name)} is damaged or not an RTF file; open it in Word or WPS and save it again"
        )
    reader = _Reader(name)
    text = reader.read(data)
    if gibberish("".join(text.split())):  # old Chinese programs name no encoding, or a Western one
        chinese = _Reader(name, western="gb18030").read(data)
        whole = _strange(chinese) <= _MOST_STRANGE * len(chinese)
        known = sample_of(chinese.replace(SKIPPED, ""))
        certain = len(known) >= _CERTAIN and plausibility(known) > PLAUSIBLE
        text = chinese if whole or certain else text
    strange = _strange(text)
    kept = without_left_over(data, text)
    few = 1 if len(text) > _SHORT else 0
    if strange > max(few, _MOST_STRANGE * len(text)) or kept is None:
        msg = f"{shown(name)} is damaged, or its encoding is not the one it names; save it again"
        raise DocumentError(msg)
    lost = kept.count(SKIPPED)
    notes = hidden_notes({"texts": reader.left_out})
    notes += [f"{lost} damaged places were left out; get it or save it again"] if lost else []
    return ExtractedText(kept, notes=notes)


def _strange(text: str) -> int:
    """Return how many characters nobody writes."""
    return sum(category(char) in {"Cn", "Co"} for char in text) + text.count(SKIPPED)


class _Reader:
    def __init__(self, name: str, western: str = "cp1252") -> None:
        self.name = name
        self.western = western
        self.state = RtfState()
        self.stack: list[RtfState] = []
        self.codec = western
        self.fonts: dict[int, str] = {}
        self.font = 0
        self.skip = 0  # characters still to skip after \u
        self.pending = bytearray()
        self.units: list[int] = []  # UTF-16
        self.blocks = RtfBlocks()
        self.starred = False
        self.white: frozenset[int] = frozenset()  # numbers of colours
        self.symbols: dict[int, str] = {}  # numbers of fonts of symbols, with their names
        self.left_out = 0  # hidden texts
        self._leaves_out = False

    def read(self, data: bytes) -> str:
        data = mended(data)
        self.white = white_colours(data)
        self.symbols = symbol_fonts(data)
        at, end, body = 0, len(data), end_of_tables(data)
        before, words = None, control_words(data)
        while at < end and (match := _TOKEN.match(data, at)):
            at = match.end()
            word, number, code, symbol, brace, text = match.groups()
            if word == b"bin":
                at += min(max(int(number or 0), 0), end - at)
            elif word:
                self._word(word.decode(), None if number is None else int(number))
            elif code:
                self._bytes(bytes([int(code, 16)]))
            elif symbol:
                self._symbol(symbol)
            elif brace:
                self._brace(opens=brace == b"{")
                if not self.stack:  # what follows the document is not part of it
                    break
            elif text and at > body:
                self._bytes(without_codes(text, before, words))
            before = match
        self._end_paragraph()
        return self.blocks.text()

    def _brace(self, *, opens: bool) -> None:
        self._flush()
        self.skip = 0
        self.starred = False
        if opens:
            if len(self.stack) > _MAX_DEPTH:
                raise DocumentError(f"{shown(self.name)} is nested too deep to be read")
            self.stack.append(self.state)
            self.state = replace(self.state)
        elif self.stack:
            inner, self.state = self.state, self.stack.pop()
            if inner.note and not self.state.note:
                self._write("]")
            if inner.remark and not self.state.remark:
                self.blocks.end_remark()
            # Paragraph formats reach beyond their group.
            self.state.table, self.state.level = inner.table, inner.level

    def _symbol(self, symbol: bytes) -> None:
        if symbol == b"*":
            self.starred = True
        elif symbol in b"{}\\":
            self._bytes(symbol)
        elif symbol in b"~_-":
            self._write({b"~": "\u00a0", b"_": "-", b"-": ""}[symbol])
        elif symbol.startswith(b"'") or symbol.isdigit():
            self._write(SKIPPED)
        elif symbol in b"\r\n":
            self._end_paragraph()
        elif symbol == b"|" and (self.pending or self.blocks.begun):
            self._write(SKIPPED)  # what follows begins with a whole character

    def _word(self, word: str, number: int | None) -> None:
        starred, self.starred = self.starred, False
        if word == "nestrow":  # in a group of what only describes it
            self._flush()
            self.blocks.end_nested_row()
        elif word in UNREAD or (starred and word not in SHOWN):
            self._flush()
            self.state.unread = True
            self.state.fonts = word == "fonttbl"
        elif word == "u" and number is not None:
            self._flush_bytes()
            if not self._is_left_out("?"):
                self.units.append(number & 0xFFFF)
            self.skip = self.state.fallback
        elif word in {"f", "fcharset", "fprq", "ansicpg", "cchs"}:
            self._font(word, number or 0)
        elif word in LOOKS or word in BEHIND:
            self._flush()
            self.state.look(word, number, self.white)
        elif word in CHARACTERS:
            self._write(CHARACTERS[word])
        elif word in OF_TABLES:
            self._flush()
            # Of the document itself it takes only the entry.
            self.state.unread = self.state.unread or len(self.stack) > 1
        else:
            self._layout(word, number)

    def _font(self, word: str, number: int) -> None:
        self._flush()
        if word == "ansicpg":
            codec = known_codec(f"cp{number}", self.codec)
            self.codec = self.western if codec == "cp1252" else codec
        elif word in {"fcharset", "fprq"} and not self.state.fonts:
            self.state.unread = len(self.stack) > 1
        elif word == "fcharset":
            self.fonts[self.font] = CODE_PAGES.get(number, "")
        elif word == "f":
            self.font = number
            if not self.state.fonts:
                self.state.symbols = self.symbols.get(number, "")
                self.state.codec = "latin-1" if self.state.symbols else self.fonts.get(number, "")

    def _layout(self, word: str, number: int | None) -> None:
        """Obey what ends paragraphs, cells and rows, and what describes them."""
        if word == "uc":
            self.state.fallback = max(number or 0, 0)
        elif word in {"par", "page", "sect", "column"}:
            self._end_paragraph()
        elif word == "pard":
            self.state.table, self.state.level = False, 0
        elif word == "intbl":
            self.state.table = True
        elif word == "outlinelevel" and number is not None and number < 6:
            self.state.level = number + 1
        elif word in {"footnote", "annotation"} and not self.state.unread:
            self._begin_note(word)
        elif word == "plain":
            self._flush()
            self.state.make_plain()
        elif not self.state.unread:
            if word == "cell":
                self._flush()
            self.blocks.obey(word, number or 0)

    def _begin_note(self, word: str) -> None:
        self._flush()
        if word == "annotation":
            self.state.remark = self.state.remark or self.blocks.begin_remark()
        else:
            self._write(" [")
            self.state.note = True

    def _end_paragraph(self) -> None:
        if not self.state.unread:
            self._flush()
            self.blocks.end_paragraph(level=self.state.level, in_table=self.state.table)

    def _write(self, text: str) -> None:
        self._flush()
        if not self._is_left_out(text):
            self._add(text)

    def _add(self, text: str) -> None:
        text = symbols(text, self.state.symbols)
        raised = superscript(text) if self.state.raised else text
        self.blocks.add(raised, struck=self.state.struck)

    def _is_left_out(self, text: str | bytes) -> bool:
        """Return whether text is not shown; what of it is hidden is counted as it begins."""
        hidden = not self.state.unread and self.state.is_hidden()
        if hidden and text.strip() and not self._leaves_out:
            self.left_out += 1
        self._leaves_out = hidden and (self._leaves_out or bool(text.strip()))
        return hidden or self.state.unread

    def _bytes(self, data: bytes) -> None:
        if self.skip:
            skipped = min(self.skip, len(data))
            self.skip -= skipped
            data = data[skipped:]
        if data and not self._is_left_out(data):
            self._flush_units()
            self.pending += data

    def _flush(self) -> None:
        self._flush_bytes()
        self._flush_units()

    def _flush_bytes(self) -> None:
        if self.pending:
            self._add(_text_of(bytes(self.pending), (self.state.codec, self.codec)))
            self.pending.clear()

    def _flush_units(self) -> None:
        if self.units:
            data = b"".join(unit.to_bytes(2, "little") for unit in self.units)
            self._add(data.decode("utf-16-le", "replace"))
            self.units.clear()


def _text_of(data: bytes, codecs: tuple[str, str]) -> str:
    """Return text in the encoding of its font, or else of its document."""
    for codec in filter(None, codecs):
        try:
            return in_step(data, data.decode(codec), codec)[0]
        except UnicodeDecodeError:
            continue
    return in_step(data, data.decode(codecs[1], "replace"), codecs[1])[0]
