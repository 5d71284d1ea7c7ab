"""Numbers, names, times and things that a question asks for and that a text is not about."""

import re
from collections import Counter
from collections.abc import Iterator

from rag_app.chains.facts import Facts
from rag_app.chains.facts.amounts import DIGITS, UNITS, asked_unit, in_digits, other_unit
from rag_app.chains.questions import asks_whether
from rag_app.documents.text import HAN, fold, language_of

_NO_AMOUNT = re.compile(
    rf"(?<![{DIGITS}])(?:[{DIGITS}](?!号)|[{DIGITS}]{{2,}}"
    rf"(?!个?{UNITS}|[{DIGITS}倍名人次项条款届号]))(?![{DIGITS}])|\d+\s*/\s*\d+|\d+世[纪紀]|\d+年代|\d+(?:st|nd|rd|th|s)\b"
)
"""Numbers of a question that texts may put otherwise: a digit or a number in Chinese without a
unit, as in the name 山本五十六, a fraction, a century, a decade, an English ordinal."""
_KIND = re.compile("(?:[省县镇州市某]|先生|女士|经理|主任|教授|有限公司|集团)$")
_NO_NAME = re.compile(
    "[我你您他她它这那本该此其哪谁何什为是有在从于对按除如怎几多当由被把将与和及或了着还最每各某请若会以的]"
)
"""Characters of words that a question begins with where that is not a name."""
_WHOLE = 3  # characters of the longest name that a question is taken to begin with
_NO_BEGINNING = re.compile(
    "[一二三四五六七八九十第比简依据全现目开始共吃搭签设研负能帮反靠拿往逛爬跑想坐叫刚去给买]|连上|中国|世界|国际|人类|影响"
    "|普通|一般|任何|所有|部分|其他|大型|小型"
)
"""What a question begins with that is not a name, or one that texts need not say."""
_NO_OTHER = re.compile(
    rf"{_NO_NAME.pattern}|[{DIGITS}等所种项座条家名位只个最更很又也都不没无成系们]"
)
"""Characters that no name has before the word of a question's subject, as in 最大潮差."""
_MOSTLY = 0.6  # share of what is before a word that is one name where a text is about that
_NO_SUBJECT = re.compile(
    "毕业|期间|时期|时候|出生|去世|逝世|担任|出任|结婚|生前|死后|发生|开始|分布|生存|出现|位于|管理"
)
"""What follows a name and is not part of what it names."""
_ERA = re.compile("[夏商周秦汉晋隋唐宋辽金元明清][代朝]")
"""A dynasty as a time: texts write it before a reign too, as in 清康熙二十三年."""
_TIME = re.compile("[古近现当历同年][代期]|民国|今年")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?=年(?!代))")
_OTHER_TIMES = re.compile(
    "[去上前次翌明后]一?年|第二年|同[期比]|以[来后前]|[自从至到起截]|年[前后代]"
)
"""With one of these a sentence speaks of other years than the one it names."""
_AT_MOST = r"最[高多长久晚迟]|至多|上限|封顶|不[得能应可]?(?:超过|高于|多于|大于)"
_AT_LEAST = r"最[低少短早]|至少|下限|起码|不[得能应可]?(?:低于|少于|小于|短于)"
_UPPER, _LOWER = re.compile(_AT_MOST), re.compile(_AT_LEAST)
_BOUNDS = (
    (_UPPER, re.compile(rf"{_AT_MOST}|以下|之?内|不足|[不未]满|最大"), _LOWER),
    (_LOWER, re.compile(rf"{_AT_LEAST}|以上|(?<!不)(?<!不[得能应可])超过|[起满]|最小"), _UPPER),
)
"""What asks for a bound, what says one of that kind, and what one of the opposite kind."""
_HEADS = "假费率税证"
"""Words of one character that end the names of things of a kind, as in 婚假 and 产假."""
_NO_MODIFIER = re.compile(r"[休放请应付收交缴退免发领持办麼么]")
"""Characters before such a word that do something to it."""
_ENDS_NOUN = re.compile(r"[的要需是有多几可能什怎何哪每由为属叫位最至一共总？?，]|$")
"""What follows a noun that is asked about."""
_CLAUSES = re.compile(r"[^。！？；;\n]+")
_TIMES = "年|月|日|天|周|季度|小时"
_ASKS_RATE = re.compile(
    rf"每一?({_TIMES})(?!几)[^，,。？?]*(?:多少|几(?![点月号]))|(?:多少|几)[^，,。？?]*每一?({_TIMES})"
)
_RATE = (
    rf"[每各均/]|(?<![{DIGITS}\d元这那当同今去前本上下次后第]){{time}}|(?<![这那])[一全]{{time}}"
)
"""What says that an amount is for each year, and not for one of them: 每年, 年产, 全年."""
_ASKS_ONE = re.compile("谁|哪|多少|几|何时|何地|什么时候|多[长久高远深重大]")
"""What asks for a fact; several ask for several."""


def unmatched(question: str, text: str, document: str = "") -> frozenset[str]:
    """Return the numbers and names of a question that are nowhere in a text.

    A passage about another year, model or product than is asked about lacks them, as it lacks the
    name that a question begins with where it has another one before the same word. Words of an
    English question count where they hold a digit: others may be names that the text translates.

    Args:
        question: What is asked.
        text: What is read for it.
        document: What else is known of the text's document: a model, such as WM-800, may be named
            in the title alone. The years and numbers of other passages say nothing about this one.

    Example:
        >>> sorted(unmatched("WM-900在2023年卖了多少台？", "WM-800在2023年卖了八台。"))
        ['wm-900']
        >>> sorted(unmatched("临江图书馆有多少册书？", "临溪图书馆有三万册书。"))
        ['临江']
        >>> text = "清康熙二十三年，另雇渡夫六名。"
        >>> [sorted(unmatched(f"{era}代渡夫有几名？", text)) for era in "清明"]
        [[], ['明代']]
    """
    asked, held = Facts.of(question), Facts.of(text)
    # Numbers and letters that stand together, as in v2.3, Python3 and 350kW.
    parts = set(re.findall(r"\d+(?:\.\d+)*|[a-z]+", fold(in_digits(text))))
    words = asked.words - held.all_words - Facts.of(document).all_words - parts
    if language_of(question) == "en":
        words = frozenset(word for word in words if any(char.isdigit() for char in word))
    phrases = {
        phrase
        for phrase in asked.phrases
        if phrase not in held.letters
        and _may_be_known(phrase, held.phrases)
        and not _names_place(phrase, asked.letters, held.letters)
    }
    numbers = _named_numbers(question) - held.numbers.keys() - parts
    return frozenset(words | numbers | phrases | _other_subject(question, text, document))


def _named_numbers(question: str) -> set[str]:
    """Return the numbers of a question that a text about the same has.

    Amounts in a question for yes or no are the asker's own case, which rules need not name: 15岁
    is below 十六周岁.
    """
    numbers = Facts.of(_NO_AMOUNT.sub(" ", question)).numbers
    if not asks_whether(question):
        return set(numbers)
    return {number for number, units in numbers.items() if "" in units} | years(question)


def _may_be_known(phrase: str, others: frozenset[str]) -> bool:
    """Return whether a text would have a name: it has others of its kind, or it is a title."""
    kind = _KIND.search(phrase)
    return any(other.endswith(kind[0]) for other in others) if kind else True


def _names_place(phrase: str, asked: str, held: str) -> bool:
    """Return whether letters have the name of a place that they are asked about: 晋中 of 晋中市."""
    named = re.search(f"([{HAN}]{{2}})[省县镇州市]", asked[: asked.find(phrase) + len(phrase)][-3:])
    return named is not None and named[1] in held


def _other_subject(question: str, text: str, document: str) -> set[str]:
    """Return the name that a question begins with if a text has others before the same word."""
    lines = re.sub(r"[^\S\n]+", "", fold(f"{text}\n{document}"))
    letters = "".join(lines.split())
    for name, word in _subjects(question):
        if _TIME.fullmatch(name) or (_ERA.fullmatch(name) and name[0] in letters):
            continue
        lacks = not any(name[at : at + 2] in letters for at in range(len(name) - 1))
        if lacks and _other(name, word, lines):
            return {name}
    return set()


def _subjects(question: str) -> Iterator[tuple[str, str]]:
    """Yield what may be the name that a question begins with, and the two characters after it."""
    folded = fold(question.strip())
    for length in (2, _WHOLE):
        name, word = folded[:length], folded[length : length + 2]
        whole = re.fullmatch(rf"[{HAN}]{{{length + 2}}}", name + word)
        if not whole or _NO_NAME.search(name + word) or _NO_BEGINNING.match(name):
            continue
        if not _NO_SUBJECT.match(word) and folded.count(word) == 1:
            yield name, word


def _other(name: str, word: str, lines: str) -> str:
    """Return what folded lines have before a word in place of a name that they lack.

    A text about something else of the kind names it again and again, and somewhere begins a clause
    with it: 临溪 before 图书馆, but not 订立 before 书面合同.
    """
    cut = len(name) == _WHOLE and name[-1]  # of a name of two characters and a longer word
    found = [
        match[1]
        for match in re.finditer(f"([{HAN}]{{2}}){word}", lines)
        if match[1][-1] != cut and not _NO_OTHER.search(match[1])
    ]
    for other, times in Counter(found).most_common(1):
        if times > _MOSTLY * len(found) and re.search(f"(?<![{HAN}]){other}{word}", lines):
            return other
    return ""


def of_another(question: str, answer: str, sentence: str = "", text: str = "") -> frozenset[str]:
    """Return what a question asks for if its answer is of another year, rate, unit, bound, thing.

    Args:
        question: Without words on the form of the answer.
        answer: All of it.
        sentence: The sentence of a passage that carries the answer.
        text: All passages that were read.

    Example:
        >>> sorted(of_another("始华湖潮汐电站有多少台机组？", "25.4万千瓦"))
        ['台']
        >>> sorted(of_another("2024年的广告收入是多少？", "216万元", "2023年广告收入216万元。"))
        ['2024']
        >>> sorted(of_another("比例最高是多少？", "5%", "比例均不得低于5%。"))
        ['最高']
        >>> sorted(of_another("婚假有几天？", "98天", "女职工生育享受98天产假。"))
        ['婚假']
    """
    several = len(_ASKS_ONE.findall(fold(question))) > 1
    unit = frozenset[str]() if several else other_unit(question, answer)
    thing = frozenset[str]() if several else _other_thing(question, sentence, _letters(text))
    time = _other_year(question, sentence) | _other_rate(question, sentence)
    return time | unit | _other_bound(question, sentence) | thing


def may_be_of_another(question: str, text: str) -> bool:
    """Return whether `of_another` can find anything of a question that is answered from a text."""
    if (
        years(question)
        or asked_unit(question) is not None
        or _ASKS_RATE.search(question) is not None
    ):
        return True
    said, letters = _CLAUSES.findall(text), _letters(text)
    return any(
        _other_bound(question, sentence) or _other_thing(question, sentence, letters)
        for sentence in said
    )


def _other_bound(question: str, sentence: str) -> frozenset[str]:
    """Return the bound that is asked for where a sentence says the opposite one alone."""
    asked = [bounds for bounds in _BOUNDS if bounds[0].search(question)]
    if len(asked) != 1:
        return frozenset()
    ((bound, same, opposite),) = asked
    other = opposite.search(sentence) and not same.search(sentence)
    return frozenset(bound.findall(question)[:1] if other else [])


def _other_thing(question: str, sentence: str, letters: str) -> frozenset[str]:
    """Return what is asked about where a sentence speaks of another of its kind alone.

    The text with these letters speaks of both, as of 羊毛程序 and 快洗程序, and the question begins
    with it; of what `_HEADS` ends, of any.
    """
    asked, said = _letters(question), _letters(sentence)
    for match in re.finditer(f"(?:(?<=的)|(?<![{HAN}]))(?=([{HAN}]{{2}})([{HAN}]{{2}}))", asked):
        name, word = match.groups()
        if (
            f"{name}{word}" in letters
            and _ENDS_NOUN.match(asked, match.end(2))
            and not _NO_OTHER.search(name + word)
            and not any(char in said for char in name)
            and _of_others(word, said)
        ):
            return frozenset({name + word})
    for match in re.finditer(f"([{HAN}])([{_HEADS}])", asked):
        if _ENDS_NOUN.match(asked, match.end()) and _is_modifier(match[1]):
            others = re.findall(f"([{HAN}]){match[2]}", said)
            if match[0] not in said and any(map(_is_modifier, others)):
                return frozenset({match[0]})
    return frozenset()


def _letters(text: str) -> str:
    return fold("".join(text.split()))


def _of_others(word: str, letters: str) -> bool:
    """Return whether a word is there, each time after what begins a clause."""
    places = [match.start() for match in re.finditer(word, letters)]
    before = [re.search(f"(?<![{HAN}])[{HAN}]{{2,4}}$", letters[:place]) for place in places]
    return bool(before) and all(word and not _NO_NAME.search(word[0]) for word in before)


def _is_modifier(char: str) -> bool:
    return not _NO_MODIFIER.match(char) and not _NO_OTHER.match(char)


def _other_year(question: str, sentence: str) -> frozenset[str]:
    asked, named = years(question), years(sentence)
    if len(asked) != 1 or len(named) != 1 or _OTHER_TIMES.search(sentence):
        return frozenset()
    return asked - named


def _other_rate(question: str, sentence: str) -> frozenset[str]:
    """Return what a question asks an amount for each of, where a sentence has that of one alone."""
    asked = _ASKS_RATE.search(question)
    time = asked and (asked[1] or asked[2])
    if not time or not sentence or re.search(_RATE.format(time=time), fold(sentence)):
        return frozenset()
    return frozenset({f"每{time}"})


def years(text: str) -> frozenset[str]:
    """Return the years that a text names in digits."""
    return frozenset(_YEAR.findall(in_digits(text)))
