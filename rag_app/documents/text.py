"""Text as it is indexed and shown: cleaned, its pages joined, its script and language known.

Full-text search takes its terms: bigrams for Han text, words for the rest. Both sides are folded
alike: format characters away, NFKC, traditional characters to simplified ones, case away. Folding
goes character by character, so that a term is the same in whatever company it is.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from operator import add
from typing import Literal

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
"""Han characters, as the inside of a class of a regular expression: Unicode's unified ideographs,
their extensions and compatibility forms."""
HAN_CHARACTER = re.compile(f"[{HAN}]")
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef\u3000-\u303f“”‘’…—·]")
SENTENCE_END = re.compile(r"[。！？；…!?.][”’」』）)】》\"']*\s*$")
"""The end of a text that ends with a sentence."""

Language = Literal["zh", "en"]

_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_OF_TERMINAL = re.compile(
    "\x1b(?:\\[[0-?]{0,30}[ -/]{0,3}[@-~]|\\][^\x07\x1b\n]{0,300}(?:\x07|\x1b\\\\)|[()][0-9AB])"
    "|[^\n]\b"
)
"""Colours and titles (ECMA-48), and what is typed over, as manuals make bold and underlined."""
_DROPPED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\ufeff\ufffe\uffff\ud800-\udfff]")
_FORMAT = "\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufff9-\ufffb"
_TAGS = "\U000e0000-\U000e007f\U000e0100-\U000e01ef"
_INVISIBLE = re.compile(f"[{_FORMAT}{_TAGS}]")
"""Format characters: zero-width ones, marks of direction, variation selectors, tags."""
_JOINED = "\u0590-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u18af"
"""Scripts in which joiners separate words: Hebrew to Arabic, Indic, Burmese, Khmer, Mongolian."""
_PICTURES = "\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff"
_KEPT = (
    f"(?<=[{_JOINED}])[\u200c\u200d]|(?<=[{_PICTURES}#*0-9])[\ufe0e\ufe0f]"
    f"|(?<=[{_PICTURES}\ufe0f])\u200d(?=[{_PICTURES}])|\U0001f3f4[\U000e0020-\U000e007f]+"
)
"""Format characters without which a word or an emoji is another."""
_SEEN = re.compile(f"(?P<kept>{_KEPT})|{_INVISIBLE.pattern}")
_IN_SYMBOLS = re.compile("[\uf06c-\uf0fe]")
SYMBOLS = {
    0x6C: "●", 0x6E: "■", 0x6F: "☐", 0x71: "❑", 0x75: "◆", 0x76: "❖", 0xA7: "▪", 0xA8: "☐",
    0xB7: "•", 0xD8: "➢", 0xDF: "←", 0xE0: "→", 0xE8: "➔", 0xF0: "⇨", 0xFB: "✗", 0xFC: "✓",
    0xFD: "☒", 0xFE: "☑",
}  # fmt: skip
"""Marks of the fonts Symbol and Wingdings, which programs also write as U+F000 and the code."""
_RADICALS = re.compile("[\u2e80-\u2fd5\uf900-\ufad9]")
_LOOKALIKES = dict(
    zip(
        "⺟⺠⻁⻄⻅⻆⻉⻋⻑⻒⻓⻔⻘⻙⻚⻛⻜⻝⻢⻣⻤⻥⻦⻧⻨⻩⻪⻫⻬⻭⻮⻯⻰⻱⻲⻳",
        "母民虎西见角贝车長镸长门青韦页风飞食马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀龟",
        strict=True,
    )
)
"""Radicals that are characters too, which Unicode's normal forms leave apart."""
_SUPERSCRIPTS = str.maketrans("0123456789+-\u2212()ixyknm", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁽⁾ⁱˣʸᵏⁿᵐ")
_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*\n")
_UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_WORD = re.compile(r"[A-Za-z]+")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_LONG_WORD = re.compile(r"[A-Za-z]{2,}")
_FEWEST_WORDS = 5  # Latin words of a passage in English; product names in a table are fewer
_QUOTED = re.compile('《[^》]*》|“[^”]*”|「[^」]*」|"[^"]*"|[(（][^()（）]*[)）]')
_QUESTION_WORDS = "who|whom|whose|what|when|where|which|why|how"
_ENGLISH_QUESTION = re.compile(rf"\W*(?:{_QUESTION_WORDS})\b", re.IGNORECASE)
_ENGLISH_SENTENCE = re.compile(
    rf"\b(?:{_QUESTION_WORDS}|is|are|was|were|do|does|did|can|could|should|will|has|have|had|the|an?"
    r"|of|in|on|at|to|for|from|by|with|about|and|or|me|my|i|we|you|it)\b",
    re.IGNORECASE,
)
_CHINESE_SENTENCE = re.compile(
    "什[么麼]|怎|哪(?!吒)|[谁誰]|多少|多久|几|幾|[吗嗎呢]|如何|是否|请|請|[的了吧]|出自|中文"
)
"""Words that sentences are made of in either language, and hardly ever names."""

# Scripts written without spaces: Han with 々 and 〇, and the Japanese syllabaries.
_UNSPACED = f"\u3005\u3007\u3041-\u3096\u30a1-\u30fa\u30fc{HAN}"
_RUNS = re.compile(f"([{_UNSPACED}]+)|([^\\W_{_UNSPACED}]+)")
_BLOCKS = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0x20000, 0x323B0))

_ASKING = re.compile(
    r"请问|告诉我|为什么|為什麼|为何|為何|什么|什麼|怎么样|怎么|怎麼|怎样|怎樣|如何|多少|多久|多大|多长|多高|几[个年月日次种]"
    r"|哪些|哪个|哪個|哪里|哪裡|哪儿|哪一?[年月日天位种座家所条部]?|谁|誰|是不是|是否|有没有|有沒有|能不能|可以|分别"
    r"|吗|嗎|呢|的|了|是|在|有|和|与|及|\b(?:what|who|when|where|which|why|how|does|did|do|is|are|was"
    r"|were|the|a|an|of|in|to|for|and)\b",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    r"""Return ``text`` with line feeds as its only line ends and without control characters.

    Codes of terminals, control characters, soft hyphens, byte order marks and lone surrogates say
    nothing; SQLite, FTS5 and models trip on them. Format characters, which nobody sees, keep words
    from being found; they stay where they make another word (Persian) or another picture (emoji).
    Radicals, which PDFs hold for the characters that look like them, become those.

    Example:
        >>> clean("价\u200b格\r\n表"), clean("⾏⼈")
        ('价格\n表', '行人')
    """
    if "\x1b" in text or "\b" in text:
        text = _OF_TERMINAL.sub("", text)
    text = _DROPPED.sub("", _LINE_ENDS.sub("\n", text))
    text = _RADICALS.sub(_character, text)
    text = _IN_SYMBOLS.sub(lambda mark: SYMBOLS.get(ord(mark[0]) & 0xFF, mark[0]), text)
    if not _INVISIBLE.search(text):
        return text
    return _SEEN.sub(lambda match: match["kept"] or "", text)


def _character(radical: "re.Match[str]") -> str:
    """Return the character of a radical, or the one that a compatibility form stands for."""
    return _LOOKALIKES.get(radical[0]) or unicodedata.normalize("NFKC", radical[0])


def without_format(text: str) -> str:
    """Return ``text`` without any format character, as it is compared."""
    return _INVISIBLE.sub("", text)


def superscript(text: str) -> str:
    """Return raised text as such where Unicode has all its characters: 10³ is not 103.

    Example:
        >>> "10" + superscript("-3"), "1" + superscript("st")
        ('10⁻³', '1st')
    """
    raised = all(ord(char) in _SUPERSCRIPTS or char.isspace() for char in text)
    return text.translate(_SUPERSCRIPTS) if raised else text


def remark(text: str, *about: str | None) -> str:
    """Return a comment as a line of its document, with what it is on and who wrote it, if known.

    Example:
        >>> remark("请核对。", "B2 300", "张三"), remark("请核对。", "", None)
        ('> 批注（B2 300，张三）: 请核对。', '> 批注: 请核对。')
    """
    named = "，".join(filter(None, about))
    return f"> 批注（{named}）: {text}" if named else f"> 批注: {text}"


def says_something(text: str) -> bool:
    """Return whether ``text`` has a letter, a digit or a symbol, not only marks and bullets."""
    return any(char.isalnum() or unicodedata.category(char)[0] == "S" for char in text)


def one_blank_line(text: str) -> str:
    """Return ``text`` with runs of blank lines made one, and none at its ends."""
    return _BLANK_LINES.sub("\n\n", text).strip()


def lines_of(text: str) -> Iterator[str]:
    r"""Yield what ``text.split("\n")`` returns, without holding a long text twice."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def is_wide(text: str) -> bool:
    """Return whether a character is Chinese, or punctuation of Chinese text."""
    return bool(_WIDE.match(text))


def space_at_break(before: str, after: str) -> str:
    """Return what the end of a line between two characters stands for: nothing amid Han.

    Example:
        >>> space_at_break("并", "上"), space_at_break("e", "上")
        ('', ' ')
    """
    return "" if is_wide(before) and is_wide(after) else " "


def join_pages(pages: Sequence[str]) -> tuple[str, list[int]]:
    """Return pages or slides as one text, a blank line between them, and each one's offset."""
    starts, offset = [], 0
    for page in pages:
        starts.append(offset)
        offset += len(page) + 2
    return "\n\n".join(pages), starts


def shown(path: object) -> str:
    """Return a path for a one-line message: line breaks, turns of direction and no text escaped."""
    return _UNSHOWABLE.sub(lambda match: ascii(match.group())[1:-1], str(path))


def language_of(text: str) -> Language:
    """Return ``zh`` where there is one Han character to four Latin words or more, else ``en``.

    A Chinese question full of English product names is still a Chinese question, and an English
    sentence with names in Chinese is English.

    Example:
        >>> [language_of(text) for text in ("How did 李白 die?", "Kubernetes 的 Pod 怎么重启？")]
        ['en', 'zh']
    """
    sample = text[:4000]
    han = len(HAN_CHARACTER.findall(sample))
    if not han or han * 4 < len(_WORD.findall(sample)):
        return "en"
    sentence = _QUOTED.sub("", sample)
    english = _ENGLISH_QUESTION.match(sentence) or len(_ENGLISH_SENTENCE.findall(sentence)) > 1
    return "en" if english and not _CHINESE_SENTENCE.search(sentence) else "zh"


def is_japanese(text: str) -> bool:
    """Return whether a text is a Japanese sentence; one name in kana makes none.

    Example:
        >>> is_japanese("李白はどこで亡くなりましたか"), is_japanese("《君の名は》是谁导演的电影？")
        (True, False)
    """
    kana = len(_KANA.findall(text))
    return kana > 1 and kana * 3 >= len(HAN_CHARACTER.findall(text))


def language_of_passage(text: str) -> Language | None:
    """Return the language that a passage is in, None where it is mixed or little but numbers.

    Chinese text may be full of names and terms in English; English text holds little Chinese.
    """
    han, words = len(HAN_CHARACTER.findall(text)), len(_LONG_WORD.findall(text))
    if han > words:
        return "zh"
    return "en" if words >= max(_FEWEST_WORDS, 4 * han) else None


@lru_cache(maxsize=1)
def lexical_version() -> str:
    """Return the version of all that the terms of a text depend on besides the text.

    An index whose terms were made under another version gets all of them made again before it is
    written to, since the term index can only delete terms that it is named exactly.
    """
    from importlib.metadata import version

    return f"3/opencc-{version('opencc')}/unicode-{unicodedata.unidata_version}"


def fold(text: str) -> str:
    """Return `text` as it is compared: nothing invisible, NFKC, simplified, case-folded."""
    visible = without_format(text)
    # Most of what NFKC would change in Chinese text is its full-width punctuation.
    quick = visible.translate(_half_width_simplified())
    if unicodedata.is_normalized("NFKC", quick):
        return quick.casefold()
    return unicodedata.normalize("NFKC", visible).translate(_simplified()).casefold()


def simplified(text: str) -> str:
    """Return a text in simplified characters, one for each of its own.

    Example:
        >>> simplified("這本書在哪裡？")
        '这本书在哪里？'
    """
    return text.translate(_simplified())


def document_terms(text: str) -> str:
    """Return the terms of a passage, separated by spaces.

    A run of Han characters gives its bigrams and its last character: with that, every character
    begins some term, and a search for one character is a prefix search.
    """
    terms: list[str] = []
    for han, word in _RUNS.findall(fold(text)):
        if han:
            terms.extend(map(add, han, han[1:]))
            terms.append(han[-1])
        else:
            terms.append(word)
    return " ".join(terms)


def query_terms(question: str) -> list[str]:
    """Return the distinct terms of a question in order; a single Han character is a prefix."""
    terms: dict[str, None] = {}
    for han, word in _RUNS.findall(fold(question)):
        if word or len(han) == 1:
            terms[word or han] = None
        else:
            terms.update((han[i : i + 2], None) for i in range(len(han) - 1))
    return list(terms)


def content_terms(question: str) -> list[str]:
    """Return the terms of a question without the words that only make it a question.

    Where nothing else is left, they are what the question is about.
    """
    return query_terms(_ASKING.sub(" ", question)) or query_terms(question)


def is_prefix(term: str) -> bool:
    """Return whether `term` of a question stands for every term that it begins."""
    return len(term) == 1 and re.match(f"[{_UNSPACED}]", term) is not None


def holds(terms: AbstractSet[str], term: str) -> bool:
    """Return whether a passage of these terms holds one of a question."""
    return term in terms or (is_prefix(term) and any(held.startswith(term) for held in terms))


def match_expression(terms: Sequence[str]) -> str:
    """Return the FTS5 query for any of `terms`.

    Terms hold letters and digits only, and are quoted: nothing in a question is query syntax.
    """
    return " OR ".join(f'"{term}"*' if is_prefix(term) else f'"{term}"' for term in terms)


def spellings_of(character: str) -> tuple[str, ...]:
    """Return a folded character and the traditional ones that are folded to it."""
    return (character, *_traditional().get(character, ()))


@lru_cache(maxsize=1)
def _traditional() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for code, simplified in _simplified().items():
        found.setdefault(simplified, []).append(chr(code))
    return found


@lru_cache(maxsize=1)
def _simplified() -> dict[int, str]:
    """Return the table of traditional characters, from OpenCC's t2s conversion."""
    from opencc import OpenCC

    characters = [chr(code) for first, end in _BLOCKS for code in range(first, end)]
    converted = OpenCC("t2s").convert("\n".join(characters)).split("\n")
    pairs = zip(characters, converted, strict=True)
    return {ord(before): after for before, after in pairs if before != after}


@lru_cache(maxsize=1)
def _half_width_simplified() -> dict[int, str]:
    return {0x3000: " "} | {0xFEE0 + code: chr(code) for code in range(0x21, 0x7F)} | _simplified()
