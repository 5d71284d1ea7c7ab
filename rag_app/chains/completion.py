"""Answers that are cut short, completed from the passage that they are copied from.

A small model that is to be brief gives one item of a list, or some words of the clause that says
why. What is added is in the passage right next to what it copied, in the same sentence.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter

from rag_app.chains.citations import Citation
from rag_app.chains.facts.amounts import DIGITS, UNITS
from rag_app.chains.marks import SENTENCE
from rag_app.chains.questions import AskedFor, asked_for, asks_time, asks_whether
from rag_app.documents.text import content_terms, document_terms, fold

_AND = "、|[，,]?(?:以及|还有)|[和与](?![他她它其])|及|或"
_JOINS = re.compile(rf"\s*(?:{_AND})")
_JOINED = re.compile(rf"(?:{_AND})\s*$")
_LISTED = re.compile(r"、\s*$")
"""What joins an item to those before it and nothing else: 与 may mean with whom."""
_SUCH_AS = re.compile(rf"{_JOINS.pattern}|[，,](?:包[括含]|[例比诸]?如)")
_ITEMS = re.compile(rf"\s*(?:{_AND}|[，,；;])\s*")
_INTRODUCES = re.compile(
    "包括|包含|分别|例如|诸如|譬如|[曾历担出兼]任|主要|(?<![还但可若只凡于])是(?!否)"
    "|有(?![机限效关色害形])|(?<![华行认成作以因])为(?![了何])|[称如于由：:]"
    "|(?<![可所予难])以(?![及下上来外前后内])"
)
"""Behind the last of these a list begins."""
_BECAUSE = re.compile("因(?![此而果])为?|由于|为了|鉴于|出于|(?:原因|理由|目的)[是为在]")
_BUT = re.compile("但是?|不过|却|而且?|另外|然而|其实")
_NUMBER = rf"(?:\d[\d.,]*|[{DIGITS}]+)[万亿]?"
_UNIT = f"(?:{UNITS}|公尺|公分|[℃倍个名人岁台枚条颗对层种件株只位]|°[CF])"
_TO_NUMBER = r"\s*[至到~～—–-]\s*(?:约|大约)?"
_FROM = re.compile(rf"{_NUMBER}{_UNIT}?{_TO_NUMBER}$")
_TO = re.compile(rf"{_TO_NUMBER}{_NUMBER}{_UNIT}?(?![年月日\d])")
_TIME = re.compile(
    rf"\d{{4}}\s*年|[\d{DIGITS}元正腊]\s*(?:[月日号]|点钟?|世纪)|周[一二三四五六日]|星期"
)
"""When something is; 五年 and 30天 are how long."""
_NUMERALS = frozenset(f"0123456789{DIGITS}")
_AND_SO_ON = re.compile("(?<![平高初中上下同相])等(?![级于待候到同])")
_ASKS = re.compile("哪.|什[么麼]|[谁誰]")
_PERIOD = re.compile("(?:时期|年间|时代|世纪|朝)$")
_CLOSED = re.compile("[^（(]*?(?=[）)])")
_STOPS = frozenset("，,；;：:。！？!?\n")
_PAIRS = {"（": "）", "(": ")", "《": "》", "〈": "〉", "「": "」", "『": "』", "“": "”", "[": "]"}
_CLOSING = {closing: opening for opening, closing in _PAIRS.items()}
_EDGE = " 　，,；;：:。"
_YES_OR_NO = re.compile("[可以能行会是对需要用应该属于包括含算允许有的得,]")
"""What an answer of yes or no consists of, besides words of the question."""
_NO = re.compile("[不没未无否禁]")
_DENIES = re.compile(
    "不(?![仅但同足少断限论管变锈久]|动产|超过|[低高多少大小]于)|没有|未(?![来成])|禁止|严禁|谢绝"
    "|无(?![论线形])|免(?![疫税])|除外"
)
_REQUIRES = re.compile("必须|(?<![无不])须(?![知发])")
_SAME_MATTER = 0.75  # share of a question's terms above which a sentence says yes or no to it
HELD = 40
"""Characters of an answer before which a part of a list or a clause may be put."""
_LONGEST = 200  # characters of a completed answer; what is longer is neither a list nor a clause


def completed(question: str, answer: str, citations: Sequence[Citation]) -> str:
    """Return an answer with the rest of the list or the clause of a passage that it is a part of.

    One to a question for several things, or for what or who, has all items that are listed with
    it; one to a question for a reason has its clauses whole, and an amount the other end of its
    range. One to a question for a time, without any, has the clause of its sentence that says when,
    and a bare yes or no the sentence that says so.
    Others, and those that no passage says word for word, stay as they are.

    Args:
        question: What is answered, without words on the form of the answer.
        answer: All of it.
        citations: The passages that it is read from.

    Example:
        >>> parks = Citation(1, "parks.txt", "市内有东湖、西湖和南湖。因堤坝年久失修，东湖已关闭。")
        >>> completed("市内有哪些湖？", "东湖", [parks])
        '东湖、西湖和南湖'
        >>> completed("东湖为什么关闭？", "年久失修", [parks])
        '堤坝年久失修'
    """
    asked = asked_for(question)
    said = answer.strip().rstrip("。.")
    if said and asks_whether(question) and _says_yes_or_no(question, said):
        told = _told(question, said, citations)
        return answer.strip().replace(said, f"{said}：{told}") if told else answer
    if said and asks_time(question) and not (_NUMERALS & set(said) or _PERIOD.search(fold(said))):
        clause = _time_clause(question, said, citations)
        return answer.strip().replace(said, f"{said}，{clause}") if clause else answer
    if asked is None or len(said) < 2 or (place := _place(question, said, citations)) is None:
        return answer
    sentence, start, end = place
    first, last = _whole(asked, question, sentence, start, end)
    if not _are_alike(asked, question, said, (sentence[first:start], sentence[end:last])):
        return answer
    if len(said) > HELD:
        text = said + sentence[end:last].rstrip(_EDGE)
    else:
        text = sentence[first:last].strip(_EDGE)
    if not len(said) < len(text) <= _LONGEST:
        return answer
    return text + "。" if answer.rstrip().endswith("。") else text


def _are_alike(asked: AskedFor, question: str, said: str, added: Iterable[str]) -> bool:
    """Return whether the items of a list that an answer is one of answer the question too.

    Those do not that it names itself, where it asks for one thing or for others than it names
    (除了…还有哪些), nor those much longer than the one thing it asks for.
    """
    items = [item.strip(_EDGE).removesuffix("等") for part in added for item in _ITEMS.split(part)]
    asks_others = asked == "thing" or (asked == "several" and "除" in question)
    if asks_others and any(len(item) > 1 and item in question for item in items):
        return False
    return asked != "thing" or max(map(len, items)) <= max(6, 2 * len(said))


def is_denied(question: str, citations: Sequence[Citation]) -> bool:
    """Return whether a sentence of some passages says no to a question for yes or no.

    A model that is asked whether passages answer such a question says no to the question itself.

    Example:
        >>> rules = Citation(1, "rules.txt", "用人单位不得扣押劳动者的居民身份证。")
        >>> is_denied("用人单位可以扣押劳动者的身份证吗？", [rules])
        True
    """
    return bool(_sentence(question, citations, no=True))


def denies(sentence: str) -> bool:
    """Return whether a sentence says no to something.

    Example:
        >>> denies("不得扣押身份证。"), denies("不动产要登记。")
        (True, False)
    """
    return _DENIES.search(fold(sentence)) is not None


def _denies_matter(question: str, sentence: str) -> bool:
    """Return whether a sentence says no to a question, not only to a way of what it asks about.

    What says how something must be done allows it; a no in a later clause is then one to something
    else, unless that clause has a character of the question beside those of any no.

    Example:
        >>> rule = "叠放时必须使用连接架，不可颠倒。"
        >>> _denies_matter("两台机器可以叠放吗？", rule), _denies_matter("可以颠倒吗？", rule)
        (False, True)
    """
    folded = fold(sentence)
    required = _REQUIRES.search(folded)
    if required is None or _DENIES.search(folded, 0, required.start()):
        return _DENIES.search(folded) is not None
    asked = set("".join(content_terms(question))) - set("不可能得")
    denying = filter(_DENIES.search, re.split("[,;]", folded[required.end() :]))
    return any(asked & set(clause) for clause in denying)


def _says_yes_or_no(question: str, said: str) -> bool:
    """Return whether an answer says nothing but yes or no and words of the question."""
    return not set(_NO.sub("", _YES_OR_NO.sub("", fold(said)))) - set(fold(question))


def _told(question: str, said: str, citations: Sequence[Citation]) -> str:
    """Return the sentence that says the same yes or no; nothing where one says no, and it yes."""
    if no := _sentence(question, citations, no=True):
        return no if _NO.search(fold(said)) else ""
    return "" if _NO.search(fold(said)) else _sentence(question, citations, no=False)


def _sentence(question: str, citations: Sequence[Citation], *, no: bool) -> str:
    """Return the sentence on the matter of a question that says no, or the one that does not."""
    fitting = (
        sentence
        for sentence in _sentences(citations)
        if len(sentence) <= _LONGEST and _denies_matter(question, sentence) is no
    )
    sentence, share = _nearest(question, fitting)
    return sentence.strip(_EDGE) if share >= _SAME_MATTER else ""


def _sentences(citations: Sequence[Citation]) -> Iterator[str]:
    return chain.from_iterable(SENTENCE.findall(citation.text_shown) for citation in citations)


def _nearest(question: str, sentences: Iterable[str]) -> tuple[str, float]:
    """Return the sentence that holds most of a question's terms, the first of several; their share.

    It is empty where there is no sentence.
    """
    asked = set(content_terms(question))

    def share(sentence: str) -> float:
        return len(asked & set(document_terms(sentence).split())) / max(len(asked), 1)

    shares = ((sentence, share(sentence)) for sentence in sentences)
    return max(shares, key=itemgetter(1), default=("", 0.0))


def may_begin_earlier(question: str, begun: str, citations: Sequence[Citation]) -> bool:
    """Return whether an answer that begins so may be completed by words before it.

    Until it may not, or is longer than ``HELD``, it can't be shown without being taken back.

    Example:
        >>> depth = Citation(1, "depth.txt", "水深4至6米，宽20米。")
        >>> [may_begin_earlier("水深多少米？", begun, [depth]) for begun in ("6", "20")]
        [True, False]
    """
    asked = asked_for(question)
    if asked is None or len(begun) > HELD:
        return False
    return any(
        _whole(asked, question, sentence, *match.span())[0] < match.start()
        for sentence in _sentences(citations)
        for match in re.finditer(re.escape(begun), sentence)
    )


def _whole(asked: AskedFor, question: str, sentence: str, start: int, end: int) -> tuple[int, int]:
    """Return where that begins and ends in a sentence which a part of it belongs to."""
    if asked == "amount":
        before, after = _FROM.search(sentence, 0, start), _TO.match(sentence, end)
        return before.start() if before else start, after.end() if after else end
    clauses = list(_clauses(sentence))
    if asked == "explanation":
        first, last = _clause(sentence, *_around(clauses, start, end), start, end)
        tail = sentence[end:last]
        again = next((len(tail[at:]) for at in range(len(tail) - 1) if tail[at:] in question), 0)
        return first, last - again
    joins = _JOINED if asked == "several" else _LISTED
    return _list(question, sentence, clauses, start, end, joins)


def _time_clause(question: str, said: str, citations: Sequence[Citation]) -> str:
    """Return the clause that says when, of the sentence that an answer has its words from.

    Of several sentences it is the one that holds most of the question's terms; where it has no
    such clause, or more than one, nothing is returned.
    """
    words = set(content_terms(said))
    holding = (
        sentence
        for sentence in _sentences(citations)
        if words <= set(document_terms(sentence).split())
    )
    found, share = _nearest(question, holding)
    if not share:
        return ""
    clauses = [found[start:end].strip(_EDGE) for start, end in _clauses(found)]
    dated = [clause for clause in clauses if _TIME.search(fold(clause)) and said not in clause]
    return dated[0] if len(dated) == 1 else ""


def _place(question: str, said: str, citations: Sequence[Citation]) -> tuple[str, int, int] | None:
    """Return the sentence that an answer is copied from and where it begins and ends in it.

    Of several it is the one that holds most of the question's terms, and of those the first.
    """
    spans = {
        sentence: span for sentence in _sentences(citations) if (span := _span(said, sentence))
    }
    sentence, _ = _nearest(question, spans)
    return (sentence, *spans[sentence]) if spans else None


def _span(said: str, sentence: str) -> tuple[int, int] | None:
    """Return where a sentence holds an answer: its words in a row, or items of one list."""
    if said in sentence:
        found = [match.span() for match in re.finditer(re.escape(said), sentence)]
        listed = [
            at
            for at in found
            if _JOINED.search(sentence, 0, at[0]) or _JOINS.match(sentence, at[1])
        ]
        return (listed or found)[0]
    items = [item.removesuffix("等") for item in _ITEMS.split(said)]
    if len(items) < 2 or not all(len(item) > 1 and item in sentence for item in items):
        return None
    start = min(map(sentence.find, items))
    end = max(sentence.find(item) + len(item) for item in items)
    every = _ITEMS.split(sentence[start:end])
    whole = len(items) < len(every) and set(items) <= set(every)
    return (start, end) if whole and not _STOPS & set(sentence[start:end]) else None


def _clauses(sentence: str) -> Iterator[tuple[int, int]]:
    """Yield where the clauses of a sentence begin and end; within brackets none does."""
    begun, opened = 0, ""
    for place, char in enumerate(sentence):
        if char in _PAIRS:
            opened += char
        elif opened and _CLOSING.get(char) == opened[-1]:
            opened = opened[:-1]
        elif char in _STOPS and not opened:
            yield begun, place
            begun = place + 1
    yield begun, len(sentence)


def _around(clauses: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    """Return the clauses around a part of a sentence."""
    first = max(begin for begin, _ in clauses if begin <= start)
    return first, min((stop for _, stop in clauses if stop >= end), default=end)


def _clause(sentence: str, first: int, last: int, start: int, end: int) -> tuple[int, int]:
    """Return a clause from the word after the one that makes it a reason, up to the consequence."""
    if _BECAUSE.match(sentence, start):
        first = start
    elif words := [*_BECAUSE.finditer(sentence, first, start)]:
        first = words[-1].end()
    else:
        but = _BUT.match(sentence, first, start)
        return but.end() if but else first, last
    came = sentence.find("而", end, last)
    return first, came if came >= 0 else last


def _list(
    question: str,
    sentence: str,
    clauses: Sequence[tuple[int, int]],
    start: int,
    end: int,
    joins: re.Pattern[str],
) -> tuple[int, int]:
    """Return the list that a part of a sentence belongs to; that part itself if there is none."""
    first, last = start, end
    single = joins is _JOINED and not _ITEMS.search(sentence[start:end])
    goes_on = _SUCH_AS if single else _JOINS
    before = sentence[_around(clauses, start, end)[0] : start]
    if joined := joins.search(before):
        items = before[: joined.start()]
        head = items.partition("、")[0]
        introductions = [
            match.end() for match in _INTRODUCES.finditer(head) if match.end() < len(head)
        ]
        begin = max(introductions, default=0)
        if items[begin:] and (begin or head[-2:] not in question):
            first = start - len(before) + begin
    while last + 1 < clauses[-1][1] and goes_on.match(sentence, last):
        stop = min(stop for _, stop in clauses if stop > last + 1)
        rest = sentence[last:stop]
        more = _AND_SO_ON.search(rest) or _CLOSED.match(rest)
        last = last + more.end() if more else stop - _repeated(question, rest)
        if more:
            break
    return first, last


def _repeated(question: str, items: str) -> int:
    """Return how many characters at the end of the last item only repeat the question."""
    behind = _ASKS.split(question)[-1].rstrip("？?。的")
    *others, item = _ITEMS.split(items)
    for length in range(min(len(behind), len(item) - 1), 1, -1):
        tail = item[-length:]
        if tail in behind and not any(other.endswith(tail) for other in others if other):
            return length
    return 0
