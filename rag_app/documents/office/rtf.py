"""Rich Text Format (specification 1.9.1) → Markdown."""

import re
from dataclasses import dataclass, replace
from unicodedata import category

from rag_app.documents.encodings.damage import SKIPPED
from rag_app.documents.encodings.detection import in_step
from rag_app.documents.encodings.garbage import without_garbage
from rag_app.documents.formats import ExtractedText
from rag_app.documents.office.package import add_run, hidden_notes
from rag_app.documents.office.rtf_tables import RtfRow, grid_rows
from rag_app.documents.pdf.characters import gibberish
from rag_app.documents.tables import table_lines
from rag_app.documents.text import clean, one_blank_line, shown, superscript
from rag_app.errors import DocumentError

_TOKEN = re.compile(
    rb"\\(?P<word>[a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})"
    rb"|\\(?P<symbol>'[^\\{}]{0,2}|[^a-zA-Z])|([{}])|[\r\n]+|([^\\{}\r\n]+)|\\",
    re.S,
)
_CODE_PAGES = {
    77: "mac_roman",
    128: "cp932",
    129: "cp949",
    130: "johab",
    134: "gb18030",
    136: "cp950",
    161: "cp1253",
    162: "cp1254",
    163: "cp1258",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
}
"""Character set of a font → encoding."""
_UNREAD = frozenset(
    """
    fonttbl colortbl stylesheet info pict objdata themedata colorschememapping datastore listtable
    listoverridetable rsidtbl generator xmlnstbl latentstyles fldinst filetbl revtbl pgptbl
    nonshppict bkmkstart bkmkend template userprops xe tc atnid atnauthor atnref atndate
    wgrffmtfilter mmathPr falt panose pn pnseclvl sn sv ftnsep ftnsepc aftnsep aftnsepc
    nonesttables
    """.split()  # noqa: SIM905
)
"""Groups whose text isn't shown."""
_OF_TABLES = frozenset(
    """
    froman fswiss fnil fmodern fscript fdecor ftech fbidi fcharset fprq red green blue sbasedon
    snext slink spriority listid listtemplateid levelnfc leveljc levelstartat levelfollow levelspace
    hyphlead hyphtrail hyphmax lsdpriority lsdlocked
    """.split()  # noqa: SIM905
)
"""Words of tables' entries. Elsewhere the beginning of the table is damaged."""
_SHOWN = frozenset({"shptxt", "shpinst", "annotation", "footnote", "mmath", "pntext", "cs"})
"""What is marked as unknown to old readers, and stands before text all the same."""
_CHARACTERS = {
    "tab": "\t",
    "line": "\n",
    "emdash": "—",
    "endash": "–",
    "emspace": "\u2003",
    "enspace": "\u2002",
    "lquote": "‘",
    "rquote": "’",
    "ldblquote": "“",
    "rdblquote": "”",
    "bullet": "•",
    "nestcell": " ",
    "lbr": "\n",
}
_SYMBOLS = b"{}\\~_-*|:\r\n"
"""What a backslash may be before, other than words and bytes."""
_ROW_END = "\x1e"
"""Stands where a row of a table in a cell ends."""
_COLOURS = re.compile(rb"\\colortbl([^{}]{0,20000})")
_WHITE = re.compile(rb"\\red255\\green255\\blue255(?!\d)")
_LOOKS = frozenset({"v", "deleted", "strike", "striked", "super", "nosupersub", "sub", "cf"})
_BEHIND = frozenset({"highlight", "chcbpat", "cbpat", "cb"})
"""Words that colour what is behind text."""
_MAX_DEPTH = 10_000
_HEADER = re.compile(rb"(?<={)\\rtf[^{}]{0,2000}(?={\\fonttbl)")
_CONTROL = re.compile(rb"\\[a-zA-Z]+(?:-?\d+)? ?")
"""What stands in front of the table of fonts; anything else there is damage."""
_ESCAPE_WITHOUT_SIGN = re.compile(rb"(?<=\\'[0-9a-f]{2})[^\\{}\r\n'](?='[0-9a-f]{2}\\')")
_BLANKED = re.compile(
    rb"(?:\\(?:'[0-9a-f]?|[a-z]{1,20}-?\d*)?)?(?:\0{8,}[^{}\\\r\n]{0,40}|\0+[^{}\\\s]{0,40})"
)
"""Bytes that were lost, and what may be cut by them: the beginning and the end of anything."""
_LOST = b"\\|"
"""What stands for them: a symbol that no reader shows."""
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
_SURELY_DAMAGED = 2
"""Bytes that no program writes."""
_ODD_WORD = re.compile(
    r"(?<!\S)[^\sa-z\"'(]{1,2}"
    r"(?:pard?|q[lcrj]|[sf]?[abfils]\d+|intbl|cell|l?row|trowd)(?:\d+|(?!\S)) ?"
)
_LEFT_OVER = re.compile("'[0-9a-f]{2}")
"""A byte whose sign is lost."""
_REST = re.compile(
    f"(?<={SKIPPED})'?[0-9a-f]{{2}}(?=[{SKIPPED}\u3000-\u9fff])|'[89a-f][0-9a-f](?={SKIPPED})"
    f"|(?<=[\u3041-\u9fff])(?=\\d?[a-f])[89a-f][0-9a-f](?={SKIPPED})"
    "|(?<![!-~])'[89a-f][0-9a-f][!-~]?(?=[\u3041-\u9fff])"
)
"""The same behind bytes that are not a character."""
_SHORT = 4
"""Characters up to which none may be strange."""
_MOST_STRANGE = 0.1
"""Share of characters that nobody writes above which something is not a text."""


@dataclass
class _State:
    """What a group inherits from the one around it."""

    codec: str = ""
    """Empty for that of the document."""
    fallback: int = 1
    """Characters that stand for a Unicode one in old readers."""
    unread: bool = False
    hidden: bool = False
    white: bool = False
    coloured: bool = False
    """Whether there is another colour behind text."""
    struck: bool = False
    raised: bool = False
    table: bool = False
    level: int = 0
    """The level of a heading."""
    fonts: bool = False
    note: bool = False

    def is_hidden(self) -> bool:
        """Return whether text can't be seen: cells of tables may have a colour of their own."""
        return self.hidden or (self.white and not self.coloured and not self.table)


def read_rtf(data: bytes, name: str) -> ExtractedText:
    """Return an RTF file's text; headings, tables and notes as in Markdown.

    Raises:
        DocumentError: it is not RTF, is nested without end, or has no readable characters.
    """
    if not data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{\\rtf"):
        msg = (
            f"{shown(name)} is damaged or not an RTF file; open it in Word or WPS and save it again"
        )
        raise DocumentError(msg)
    reader = _Reader(name)
    text = reader.read(data)
    if gibberish("".join(text.split())):  # old Chinese programs name no encoding, or a Western one
        chinese = _Reader(name, western="gb18030").read(data)
        text = chinese if _strange(chinese) <= _MOST_STRANGE * len(chinese) else text
    strange = _strange(text)
    if len(_NO_RTF.findall(data)) >= _SURELY_DAMAGED:
        text = _ODD_WORD.sub("", text)
    damaged = SKIPPED in text or _LEFT_OVER.search(text)
    kept = without_garbage(_REST.sub("", text), SKIPPED) if damaged else text
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
        self.state = _State()
        self.stack: list[_State] = []
        self.codec = western
        self.fonts: dict[int, str] = {}
        self.font = 0
        self.skip = 0  # characters still to skip after \u
        self.pending = bytearray()
        self.units: list[int] = []  # UTF-16
        self.paragraph: list[str] = []
        self.blocks: list[str] = []
        self.cells: list[str] = []
        self.rows: list[RtfRow] = []
        self.edges: list[int] = []
        self.merges: list[str] = []  # of the cells of the row, such as "vmrg"
        self.merge = ""
        self.starred = False
        self.white: frozenset[int] = frozenset()
        """Numbers of colours."""
        self.left_out = 0
        """Hidden texts."""
        self._leaves_out = False

    def read(self, data: bytes) -> str:
        data = _HEADER.sub(lambda head: b"".join(_CONTROL.findall(head[0])), data, count=1)
        data = _BLANKED.sub(lambda _: _LOST, _ESCAPE_WITHOUT_SIGN.sub(rb"\\", data))
        self.white = _white_colours(data)
        at, end, body = 0, len(data), _end_of_tables(data)
        before, words = None, frozenset(_CONTROL_WORD.findall(data))
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
                self._bytes(_without_codes(text, before, words))
            before = match
        self._end_paragraph()
        self._end_table()
        return one_blank_line(clean("\n\n".join(self.blocks)))

    def _brace(self, *, opens: bool) -> None:
        self._flush()
        self.skip = 0
        self.starred = False
        if opens:
            if len(self.stack) > _MAX_DEPTH:
                msg = f"{shown(self.name)} is nested too deep to be read"
                raise DocumentError(msg)
            self.stack.append(self.state)
            self.state = replace(self.state)
        elif self.stack:
            inner, self.state = self.state, self.stack.pop()
            if inner.note and not self.state.note:
                self._write("]")
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
        elif symbol == b"|" and (self.pending or self.paragraph):
            self._write(SKIPPED)  # what follows begins with a whole character

    def _word(self, word: str, number: int | None) -> None:
        starred, self.starred = self.starred, False
        if word == "nestrow":  # in a group of what only describes it
            self._flush()
            self._add(_ROW_END)
        elif word in _UNREAD or (starred and word not in _SHOWN):
            self._flush()
            self.state.unread = True
            self.state.fonts = word == "fonttbl"
        elif word == "u" and number is not None:
            self._flush_bytes()
            self._unit(number & 0xFFFF)
            self.skip = self.state.fallback
        elif word in {"f", "fcharset", "fprq", "ansicpg", "cchs"}:
            self._font(word, number or 0)
        elif word in _LOOKS or word in _BEHIND:
            self._flush()
            self._look(word, number)
        elif word in _CHARACTERS:
            self._write(_CHARACTERS[word])
        elif word in _OF_TABLES:
            self._flush()
            # Of the document itself it takes only the entry.
            self.state.unread = self.state.unread or len(self.stack) > 1
        else:
            self._layout(word, number)

    def _look(self, word: str, number: int | None) -> None:
        if word in {"v", "deleted"}:
            self.state.hidden = number != 0
        elif word in {"strike", "striked"}:
            self.state.struck = number != 0
        elif word == "cf":
            self.state.white = (number or 0) in self.white
        elif word in _BEHIND:
            self.state.coloured = (number or 0) not in self.white | {0}
        else:
            self.state.raised = word == "super" and number != 0

    def _font(self, word: str, number: int) -> None:
        self._flush()
        if word == "ansicpg":
            codec = _known(f"cp{number}", self.codec)
            self.codec = self.western if codec == "cp1252" else codec
        elif word in {"fcharset", "fprq"} and not self.state.fonts:
            self.state.unread = len(self.stack) > 1
        elif word == "fcharset":
            self.fonts[self.font] = _CODE_PAGES.get(number, "")
        elif word == "f":
            self.font = number
            if not self.state.fonts:
                self.state.codec = self.fonts.get(number, "")

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
            self._write(" [")
            self.state.note = True
        elif word == "plain":
            self._flush()
            self.state.hidden = self.state.struck = self.state.raised = self.state.white = False
        elif not self.state.unread:
            self._table_word(word, number or 0)

    def _table_word(self, word: str, number: int) -> None:
        if word == "cell":
            self.cells.append(self._paragraph_text())
        elif word == "row":
            self._end_row()
        elif word == "trowd":
            self.merges, self.edges, self.merge = [], [], ""
        elif word in {"clvmgf", "clvmrg", "clmgf", "clmrg"}:
            self.merge += word[2:] + " "
        elif word == "cellx":
            self.merges.append(self.merge)
            self.edges.append(number)
            self.merge = ""

    def _end_row(self) -> None:
        self.rows.append(RtfRow(self.cells, self.merges, self.edges))
        self.cells = []

    def _end_paragraph(self) -> None:
        if self.state.unread:
            return
        if self.state.table or self.cells:
            self._flush()
            self.paragraph.append(" ")
            return
        text = self._paragraph_text()
        if text:
            self._end_table()
            self.blocks.append(f"{'#' * self.state.level} {text}" if self.state.level else text)

    def _end_table(self) -> None:
        rows = [*self.rows, RtfRow(self.cells, [], [])] if self.cells else self.rows
        if rows:
            self.blocks.append("\n".join(table_lines(grid_rows(rows))))
        self.rows, self.cells = [], []

    def _paragraph_text(self) -> str:
        self._flush()
        rows = (row.strip() for row in "".join(self.paragraph).split(_ROW_END))
        self.paragraph = []
        return "; ".join(filter(None, rows))

    def _write(self, text: str) -> None:
        self._flush()
        if not self._is_left_out(text):
            self._add(text)

    def _add(self, text: str) -> None:
        add_run(
            self.paragraph,
            superscript(text) if self.state.raised else text,
            struck=self.state.struck,
        )

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

    def _unit(self, unit: int) -> None:
        if not self._is_left_out("?"):
            self.units.append(unit)

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


def _without_codes(text: bytes, before: re.Match[bytes] | None, words: frozenset[bytes]) -> bytes:
    """Return text without what is left of damaged control words.

    Args:
        text: It.
        before: The token before it.
        words: All control words of the file, with their numbers.
    """
    cut = _ONE_DAMAGED.fullmatch(text)
    if cut and before and not before[0].endswith(b" ") and (cut[1] or cut[2]) in words | {b"dbch"}:
        return b""
    word, symbol = (before["word"], before["symbol"]) if before else (None, None)
    if symbol and symbol not in _SYMBOLS:
        text = _WORD_WITHOUT_SIGN.sub(b"", _AFTER_SYMBOL.sub(b"", text))
    elif before and word:
        text = text if before[0].endswith(b" ") else _AFTER_WORD.sub(b"", text)
        text = _WORD_WITHOUT_SIGN.sub(b"", text)
        text = _ENTRY.sub(b"", text) if word.decode() in _OF_TABLES else text
    if _CODE.fullmatch(text):  # the end of a word that is elsewhere, too
        return b"" if any(each.endswith(text.rstrip()) for each in words) else text
    return text


def _white_colours(data: bytes) -> frozenset[int]:
    """Return the numbers of white in the table of colours, none where the page has a colour."""
    table = _COLOURS.search(data)
    if table is None or b"\\background" in data:
        return frozenset()
    entries = enumerate(table[1].split(b";"))
    return frozenset(at for at, entry in entries if _WHITE.search(entry))


def _end_of_tables(data: bytes) -> int:
    """Return where the last table before the first paragraph ends: no text comes before it."""
    first = _FIRST_PARAGRAPH.search(data)
    words = _TABLE_WORD.finditer(data, 0, first.start() if first else len(data))
    return max((word.end() for word in words), default=0)


def _text_of(data: bytes, codecs: tuple[str, str]) -> str:
    """Return text in the encoding of its font, or else of its document."""
    for codec in filter(None, codecs):
        try:
            return in_step(data, data.decode(codec), codec)[0]
        except UnicodeDecodeError:
            continue
    return in_step(data, data.decode(codecs[1], "replace"), codecs[1])[0]


def _known(codec: str, other: str) -> str:
    wider = {"cp936": "gb18030", "cp65001": "utf-8", "cp0": other, "cp10000": "mac_roman"}
    codec = wider.get(codec, codec)
    try:
        b"".decode(codec)
    except LookupError:
        return other
    return codec
