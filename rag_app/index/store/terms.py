"""Terms for full-text search: bigrams for Han text, words for the rest.

Both sides are folded alike: format characters away, NFKC, traditional characters to simplified
ones, case away. Folding goes character by character, so that a term is the same in whatever company
it is.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from operator import add

from rag_app.documents.text import HAN, without_format

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


@lru_cache(maxsize=1)
def lexical_version() -> str:
    """Return what the terms of a text depend on besides the text.

    An index whose terms were made under another version gets all of them made again before it is
    written to, since the term index can only delete terms that it is named exactly.
    """
    return f"3/opencc-{version('opencc')}/unicode-{unicodedata.unidata_version}"


def fold(text: str) -> str:
    """Return `text` as it is compared: nothing invisible, NFKC, simplified, case-folded."""
    visible = without_format(text)
    # Most of what NFKC would change in Chinese text is its full-width punctuation.
    quick = visible.translate(_half_width_simplified())
    if unicodedata.is_normalized("NFKC", quick):
        return quick.casefold()
    return unicodedata.normalize("NFKC", visible).translate(_simplified()).casefold()


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
