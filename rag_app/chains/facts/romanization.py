"""Chinese names in English texts: matched with passages and written by their pinyin.

A small model that translates a question writes the characters of a name that it does not know as
it likes, 林西 for the Linxi that the documents call 临溪, and gives 贺知章 another name in English.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

from rag_app.documents.text import HAN, HAN_CHARACTER

_CAPITALIZED = re.compile(r"[A-Z][a-z]*(?:['’][a-z]{2,})?(?:[ -][A-Z][a-z]*(?:['’][a-z]{2,})?)*")
_WORD = re.compile(r"[A-Z][a-z]*(?:['’][a-z]{2,})?")
_LONGEST = 4  # characters of a name, and words of one
_NO_NAME = re.compile("[的了是在有与及或]|[一二三四五六七八九十百千]{2}")
_SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎"
    "余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文"
    "施洪严牛温芦俞安葛章伍申尤毕聂焦向柳邢路岳齐梅莫庄辛管祝左涂谷祁时舒耿卜詹关苗凌费纪靳盛童欧裴"
)
_COMPOUND = "欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐|夏侯|司徒"
_SURNAME_READINGS = {"曾": "zeng", "尉迟": "yuchi"}
"""Where it is another than that of the same characters elsewhere."""
FULL_NAME = rf"(?:{_COMPOUND}|[{_SURNAMES}])[{HAN}]{{1,2}}"
"""A surname and a given name, as part of a regular expression."""
_PERSON = re.compile(
    rf"(?:.*[长师员授理任士事记人家帝\s])?(?:({_COMPOUND})|([{_SURNAMES}]))([{HAN}]{{1,2}})"
)
"""A name, with the title before it, if there is one."""

_GIVEN_NAME = re.compile(
    "(?:(?:[bpmfdtnlgkhjqxrzcsyw]|zh|ch|sh)?(?:[ae](?:i|ng?)?|ao|er|ou?|ong|i(?:a|an|ang|ao|e|ng?|ong|u)?"
    "|u(?:a|ai|ang?|e|i|n|o)?)){1,2}"
)
"""One or two syllables of pinyin."""


@lru_cache(maxsize=4096)
def _readings(char: str) -> frozenset[str]:
    """Return the pinyin of a Han character, as English writes it, nothing for another one."""
    if not HAN_CHARACTER.match(char):
        return frozenset()
    from pypinyin import Style, pinyin

    (found,) = pinyin(char, style=Style.NORMAL, heteronym=True)
    return frozenset(reading.replace("v", u) for reading in found for u in ("u", "yu", "v"))


def spellings(name: str, text: str) -> Counter[str]:
    """Return the parts of a Chinese text that read as a name in pinyin, of two characters or more.

    Example:
        >>> spellings("Linxi", "临溪图书馆在临溪市。")
        Counter({'临溪': 2})
        >>> spellings("Luo Guiying", "种植户罗桂英")
        Counter({'罗桂英': 1})
    """
    letters = "".join(filter(str.isalpha, name.lower()))
    return Counter(
        text[start:end]
        for start, char in enumerate(text)
        if char >= "\u3400"
        for end in _ends(text, start, letters)
        if end - start > 1 and not _NO_NAME.search(text, start, end)
    )


def _ends(text: str, start: int, letters: str, taken: int = 0) -> Iterator[int]:
    """Yield where a reading of the characters from ``start`` on has used up the letters."""
    if not letters:
        yield start
    elif start < len(text) and taken < _LONGEST:
        for reading in _readings(text[start]):
            if letters.startswith(reading):
                yield from _ends(text, start + 1, letters[len(reading) :], taken + 1)


def _names(text: str) -> Iterator[list[re.Match[str]]]:
    """Yield the capitalized words of an English text that follow each other, longest runs first."""
    for run in _CAPITALIZED.finditer(text):
        words = list(_WORD.finditer(text, run.start(), run.end()))
        for length in range(min(len(words), _LONGEST), 0, -1):
            yield from (words[at : at + length] for at in range(len(words) - length + 1))


def with_han_names(question: str, texts: Iterable[str]) -> str:
    """Return an English question with the names that Chinese texts hold as they write them.

    Example:
        >>> with_han_names("How many books does the Linxi library hold?", ["临溪图书馆新馆"])
        'How many books does the 临溪 library hold?'
    """
    whole, spans = "\n".join(texts), list[tuple[int, int, str]]()
    for words in _names(question):
        start, end = words[0].start(), words[-1].end()
        apart = all(end <= begun or ended <= start for begun, ended, _ in spans)
        if apart and (found := spellings(question[start:end], whole)):
            spans.append((start, end, found.most_common(1)[0][0]))
    for start, end, name in sorted(spans, reverse=True):
        question = question[:start] + name + question[end:]
    return question


def with_names_as_asked(answer: str, question: str) -> str:
    """Return a Chinese answer in which the names of an English question stand as it writes them.

    Example:
        >>> with_names_as_asked("临溪图书馆", "Who runs the Linxi library?")
        'Linxi 图书馆'
    """
    for words in _names(question):
        name = question[words[0].start() : words[-1].end()]
        for written in spellings(name, answer):
            answer = answer.replace(written, f" {name} ")
    return " ".join(answer.split(" ")).strip()


def absent_names(question: str, translation: str, text: str) -> frozenset[str]:
    """Return the names of an English question that Chinese passages lack.

    Those are names that its translation writes by their sound. Others, such as Canada, are
    translated, and of them nothing is known.

    Example:
        >>> sorted(absent_names("Where is Wang Wei's grave?", "王维墓在哪里？", "杜甫葬于偃师。"))
        ['Wang Wei']
    """
    return frozenset(
        name
        for words in _names(question)
        if spellings(name := question[words[0].start() : words[-1].end()], translation)
        and not spellings(name, text)
    )


def invented_persons(translation: str, original: str, question: str) -> list[str]:
    """Return the Chinese persons that an English translation names and its original does not.

    Example:
        >>> invented_persons("It was founded by Cheng Renshan.", "由程仁山创办", "By whom?")
        []
        >>> invented_persons("It was founded by Chen Renshan.", "由程仁山创办", "By whom?")
        ['Chen Renshan']
    """
    found = (run.group() for run in _CAPITALIZED.finditer(translation))
    return [
        name
        for name in found
        if _is_person(name.split()) and name not in question and not spellings(name, original)
    ]


def _is_person(words: list[str]) -> bool:
    """Return whether capitalized words are a Chinese surname and a given name in pinyin."""
    family, *given = (word.lower() for word in words)
    if len(given) not in (1, 2) or not _GIVEN_NAME.fullmatch("".join(given)):
        return False
    from pypinyin import Style, lazy_pinyin

    return family in lazy_pinyin([*_SURNAMES, *_COMPOUND.split("|")], style=Style.NORMAL)


def with_person_in_pinyin(translation: str, original: str) -> str:
    """Return an English answer that is nothing but a Chinese person's name, in its right pinyin.

    Example:
        >>> with_person_in_pinyin("Duo Fu", "杜甫"), with_person_in_pinyin("Wenzhou", "温州")
        ('Du Fu', 'Wenzhou')
    """
    words = translation.strip(". ").split()
    spelt = len(words) in (2, 3) and all(map(_CAPITALIZED.fullmatch, words))
    spelt = spelt and all(_GIVEN_NAME.fullmatch(word.lower()) for word in words)
    return (person_in_english(original.strip("。 ")) if spelt else None) or translation


def person_in_english(name: str) -> str | None:
    """Return the name of a Chinese person in pinyin, None for what does not look like one.

    Example:
        >>> [person_in_english(name) for name in ("副局长何静", "贺知章", "芬迪湾")]
        ['He Jing', 'He Zhizhang', None]
    """
    found = _PERSON.fullmatch(name)
    if found is None:
        return None
    from pypinyin import Style, lazy_pinyin

    surname, given = found[1] or found[2], found[3]
    read = lazy_pinyin(surname + given, style=Style.NORMAL)
    family = _SURNAME_READINGS.get(surname) or "".join(read[: len(surname)])
    words = (family, "".join(read[len(surname) :]))
    return " ".join(word.replace("v", "u").capitalize() for word in words)
