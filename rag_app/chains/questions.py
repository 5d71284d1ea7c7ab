"""What a question asks, by its wording: bare, in parts, something to compute, whole documents.

Search looks for the bare question: words such as 请用表格列出 stand in no passage that answers it,
and being rare would count for more than what is asked. The model is given the question as asked.

Questions about documents as a whole (what they are about, which there are, dates, conclusions) no
passage answers, so they are not searched for. They are told by their wording, which must be about
documents in general, or one that the question names, from end to end.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import Literal, get_args

from rag_app.documents.text import HAN_CHARACTER, Language

_POLITE = (
    r"(?:请|請|麻烦|麻煩|劳驾|烦请|帮我|幫我|帮忙|幫忙|能否|能不能|可不可以|可以|直接|尽量|儘量|尽可能|最好|务必"
    r"|并且?|並|再|都|也|来|給我|给我|你|您|我){0,5}"
)
_MEDIUM = (
    r"(?:英文|英语|英語|中文|汉语|繁体字?|简体字?|日文|日语|表格|列表|清单|要点|要點|条目|一个|一個|个|個"
    r"|json|markdown|html|csv|通俗(?:易懂)?|口语|大白话|专业|书面|分点|分點|分条|逐条|分步骤?|完整|准确"
    r"|详细|詳細|详尽|具体|尽量|简短|简要|简洁|簡短|簡要|简单|簡單|简明(?:扼要)?"
    r"|(?:不超过|不多于|最多|至少|大约|约)?[\d一二两三五十百几]+个?(?:字|词|句话|段话|条|点)(?:以内|之内|左右|内)?"
    r"|像[^，。]{1,12}(?:一样|那样|似的))"
)
_FORM = r"(?:的?(?:形式|方式|格式|语言|语气|篇幅|文字|话|样子))?"
_SAY = (
    r"(?:回答|作答|答复|答|说明|說明|说说|说|說|解释|解釋|解答|描述|阐述|介绍|介紹|列出|列举|列|输出|呈现"
    r"|展示|给出|写出|写|整理|总结|概括|告诉|告訴|讲解|讲讲|讲)(?:一下|下|我|给我|出来|来)*"
)
_ENOUGH = r"(?:就行|就好|就可以|即可|吧|了|一点|些)?"
_ASK = (
    r"(?:我?(?:还|還|也|就|有)?(?:想|要|需要)(?:请|請)?(?:问|問|了解|知道|咨询|打听|查)(?:一下|下|你|您|个问题)*"
    r"|(?:请问|請問|请教|請教|告诉我|告訴我)(?:一下|下|你|您|个问题)*|(?:查|问|問)(?:一)?(?:下|查))"
)
_LEADS = re.compile(
    rf"{_POLITE}(?:(?:(?:用|以|按照?|通过)\s*)?(?:{_MEDIUM}\s*)+{_FORM}{_SAY}|{_ASK})[\s:：]*"
    rf"|(?:请|請|麻烦|麻煩|帮我|幫我|直接){_SAY}[\s:：]*"
    r"|(?:please\s+)?(?:(?:could|can|would|will)\s+you\s+(?:please\s+)?)?"
    r"(?:tell\s+me|let\s+me\s+know|explain\s+to\s+me)\s+"
    r"|(?:i\s+am|i'm)\s+new\b[^,.?]{0,20}\s+and\s+(?=i\b|would\b|need\b|want\b)"
    r"|(?:(?:i\s+)?(?:would\s+like|want|need)\s+to\s+(?:know|ask)|may\s+i\s+ask|please)\s+",
    re.IGNORECASE,
)
_TRAILS = re.compile(
    r"\s+in\s+(?:english|chinese|detail|a\s+table|bullet\s+points|json|markdown)(?:\s+please)?$"
    r"|\s+please$",
    re.IGNORECASE,
)
_FORM_ALONE = re.compile(
    rf"{_POLITE}(?:(?:(?:用|以|按照?|通过)\s*)?(?:{_MEDIUM}\s*)+{_FORM}(?:{_SAY})?{_ENOUGH}|{_SAY}(?:(?:{_MEDIUM}\s*)+{_FORM})?{_ENOUGH})"
    rf"|(?:不要|不用|别|无需|無需){_SAY}"
    r"|(?:please\s+)?(?:answer|reply|respond|explain|write|list|give|show|describe|keep)\b.{0,40}"
    r"|(?:in\s+)?(?:english|chinese|detail|brief)(?:\s+please)?|briefly|please",
    re.IGNORECASE,
)
_GREETING = re.compile(
    r"(?:你|您|大家|各位)?好[呀啊]?|早上好|上午好|下午好|晚上好|嗨|哈喽|在吗|在嗎|打扰(?:一下|了)?"
    r"|(?:非常|多)?(?:谢|感谢|謝|感謝)[^？]{0,8}|辛苦了?|(?:不好意思|抱歉)"
    r"|(?:hello|hi|hey|dear)\b.{0,20}|good\s+(?:morning|afternoon|evening)|thank.{0,20}|cheers",
    re.IGNORECASE,
)
_ROLE = (
    r"(?:员工|員工|职员|同事|学生|同学|老师|教师|记者|编辑|研究(?:员|者|生)|游客|顾客|客户|用户|读者|市民|居民|家长"
    r"|会计|经理|助理|秘书|律师|医生|工程师|程序员|开发者|实习生|负责人|新人|新手|来的|游的)"
)
"""Who asks; not those of whom documents speak, such as 孕妇."""
_INTRODUCTION = re.compile(
    rf"(?:我|我们|我們|本人)(?:是|刚|剛).{{0,15}}{_ROLE}|作为.{{0,10}}{_ROLE}|(?:我|本人)(?:叫|姓).{{1,10}}"
    r"|我?(?:正|正在|在)(?:写|做|准备|学).{1,12}|(?:领导|老师|老板|经理)(?:要|让|叫)我.{1,15}"
    r"|(?:i\s+am|i'm)\s+(?:new|a|an|the|from)\b.{0,40}|my\s+name\s+is\b.{1,40}",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"\s*(?:[(（]?\d{1,3}[)）.、:：](?!\d)\s*|\d{1,2}(?=[此这该]))")
"""The number of a question in a list."""
_MORE = "[多少高低大小长短早晚快慢贵重轻远近深浅老新强弱]"
_COMPUTES = re.compile(
    rf"相差|差(?:了|距)?(?:多少|几)|差值|之和|总和|合计|加起来|加在一起"
    rf"|比.+{_MORE}(?:了|出)?(?:多少|几)|几倍|多少倍"
    rf"|(?:和|与|跟|同|还是|、).+(?:哪|谁).{{0,6}}(?:更|比较|较|{_MORE})|(?:哪|谁).{{0,12}}(?:最|更){_MORE}"
    r"|(?:相比|对比|比较一?下)|(?:有|是)(?:什么|哪些|何)(?:不同|区别|差别|差异|异同|相同|共同)"
    r"|\b(?:compare|compared|difference|differ|altogether|sum of|combined"
    r"|how (?:much|many) (?:more|less|fewer|longer|higher|older|larger|times)"
    r"|(?:which|who|whose)\b.*\b(?:more|less|fewer|most|least|\w{3,}(?:er|est) than|\w{3,}est))\b",
    re.IGNORECASE,
)
"""What asks to compare, count or add up."""
_COMPUTED = re.compile(
    rf"[共总]|合计|平均|相差|之和|倍|差(?:额|距|值)|[比最更较]|相比|不同|区别|差异|{_MORE}于|超过|不[如及]"
    r"|\b(?:total|altogether|average|sum|difference|differ\w*|than|most|least|\w{3,}est|times)\b",
    re.IGNORECASE,
)
"""What a sentence says that compares, counts or adds up itself."""
_CLAUSE = re.compile(r"((?:[^，,。！!？?；;：:\n.]|[.,:](?=\S))+)([，,。！!？?；;：:\n.\s]*)")

_ASKS = re.compile(
    r"什[么麼]|[谁誰哪几幾吗嗎]|多(?:少|[久长大高远重深宽快])|[怎何]|是否|能否|是不是|有[没沒]有|[呢多]$"
    r"|\b(?:who|whom|whose|what|which|when|where|why|how)\b",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"(?<!无论)(?<!不管)(?:(?:是|叫|做|有|要|归|属|于)"
    r"(?:什[么麼].{0,4}|[谁誰]|哪.{1,4}|多少.{0,3}|[几幾].{1,3})"
    r"|[吗嗎]|多[久长大高远重]|何[时地处人年]|怎[么麼]?[样办算]|多少|什[么麼]时候|哪[里儿年天]|[谁誰])$"
)
"""How a clause ends that is a question by itself, wherever a comma follows it."""
_CONDITION = re.compile("如果|假如|若|无论|不管|不论|只要|即使|满|超过|不足|达到")
_JOINED = re.compile(
    r"(?<=.{4})(?=以及|还有|另外)|[，,](?=[^，,。？?]{1,20}呢[？?]?$)|,?\s+and\s+(?=(?:who|what|which|when|where|why|how)\b)",
    re.IGNORECASE,
)
_AND = re.compile(r"^(?:另外|还有|以及|并且|而且|同时|那么|and\b|also\b|[，,\s])+", re.IGNORECASE)
_OPEN = re.compile(r"[《〈“「『（(][^》〉”」』）)]*$")
_MOST_PARTS = 4


_IN_LANGUAGE = re.compile(
    rf"{_POLITE}(?:务必|一律|只|必须)?[用以](?:(?P<en>英文|英语|英語)|(?P<zh>中文|汉语|漢語|简体中文))(?:来|進行|进行)?"
    rf"(?:回答|作答|答复|回复|说明|說明|解释|解釋|输出|描述|介绍|介紹|总结|概括|列出){_ENOUGH}[\s，,。.！!；;：:]*"
    r"|(?:(?:please\s+)?(?:answer|reply|respond|write|explain)(?:\s+(?:me|it|this|always))*\s+|,?\s+)"
    r"in\s+(?:(?P<english>english)|(?P<chinese>chinese))(?:\s+please)?(?:[\s.!:,;]+|(?=[?？]?\s*$))",
    re.IGNORECASE,
)
"""A wish for the language of an answer."""


def answer_language(text: str) -> tuple[Language | None, str]:
    """Return the language that an answer is to have, None where nobody says, and the rest.

    Example:
        >>> answer_language("请用英文回答：李白是怎样去世的？")
        ('en', '李白是怎样去世的？')
        >>> answer_language("How did Li Bai die, in Chinese please?")
        ('zh', 'How did Li Bai die?')
    """
    found = _IN_LANGUAGE.search(text)
    if found is None:
        return None, text
    wanted: Language = "en" if found["en"] or found["english"] else "zh"
    return wanted, _IN_LANGUAGE.sub("", text).strip()


def bare_question(question: str) -> str:
    """Return what is searched for: the question without words that ask for nothing in documents.

    Where nothing else is left, it is the question.

    Example:
        >>> bare_question("你好，我是新员工，想问一下年假有几天？请用表格列出。")
        '年假有几天？'
        >>> bare_question("3、年假有几天？")
        '年假有几天？'
        >>> bare_question("Hello! Could you tell me who Li Bai was, in English please?")
        'who Li Bai was'
    """
    kept = []
    if number := _NUMBERED.match(question):
        question = question[number.end() :]
    for clause, end in _CLAUSE.findall(question):
        asked = _without_leads(clause.strip())
        if asked and not _says_nothing(asked, asks="?" in end or "？" in end):
            kept.append(asked + end)
    return "".join(kept).strip(" ，,：:\n") or question.strip()


def _without_leads(clause: str) -> str:
    while (lead := _LEADS.match(clause)) and lead.end():
        clause = clause[lead.end() :]
    return _TRAILS.sub("", clause)


def _says_nothing(clause: str, *, asks: bool) -> bool:
    if _GREETING.fullmatch(clause) or _FORM_ALONE.fullmatch(clause):
        return True
    return not asks and _INTRODUCTION.fullmatch(clause) is not None


def parts_of(question: str) -> list[str]:
    """Return the questions that a question is made of, in order; the whole where it is one.

    A later part may need what is said in those before it, as a follow-up does.

    Example:
        >>> parts_of("李白是哪里人，杜甫的墓又在哪里？")
        ['李白是哪里人', '杜甫的墓又在哪里']
        >>> parts_of("Who was Li Bai, and when did he die?")
        ['Who was Li Bai', 'when did he die']
        >>> parts_of("合同满几个月，公司要赔多少？")
        ['合同满几个月，公司要赔多少？']
    """
    parts: list[str] = []
    part = ""
    for clause, end in _CLAUSE.findall(_JOINED.sub("？", question)):
        part += clause
        alone = "?" in end or "？" in end
        alone = alone or bool(_ASKED.search(clause) and not _CONDITION.search(part))
        if alone and not _OPEN.search(part):
            parts.append(_AND.sub("", part))
            part = ""
        else:
            part += end
    if parts and not _ASKS.search(part):
        parts[-1] += f"？{part}" if part else ""
    else:
        parts.append(_AND.sub("", part))
    several = 1 < len(parts) <= _MOST_PARTS and all(map(_asks_alone, parts))
    return [one.strip(" ，,。") for one in parts] if several else [question]


def _asks_alone(part: str) -> bool:
    """Return whether a part asks, and says of what: 为什么 alone belongs to what is before it."""
    said = re.sub(r"[是为的了有在又那和]", "", _ASKS.sub("", part))
    return bool(_ASKS.search(part)) and bool(re.search(r"\w{2}|[A-Za-z\d]", said))


def asks_to_compute(question: str, sentence: str = "") -> bool:
    """Return whether a question asks to compare, count or add up what documents say.

    Args:
        question: Any.
        sentence: What carries its answer; where it compares or adds up itself, nothing is left to.

    Example:
        >>> asks_to_compute("李白和杜甫谁活得更久？"), asks_to_compute("李白活了多少岁？")
        (True, False)
        >>> asks_to_compute("杜甫比李白小多少岁？", "杜甫比李白小十一岁。")
        False
    """
    return bool(_COMPUTES.search(question)) and not _COMPUTED.search(sentence)


AskedFor = Literal["several", "explanation", "amount", "thing"]

_ASKS_SEVERAL = re.compile(
    "哪些|哪[几幾两兩二三四五六七八九十]|包括什[么麼]|列[举舉](?!一)|分别|分別"
)
_ASKS_EXPLANATION = re.compile(
    "(?<![称译名叫作视变成改认选封分定评荐释类化列划属聘之任升誉尊推拜转误])[为為]什[么麼](?![科形类型种名人单属？?]|$)"
    "|[是因][为為]什[么麼]|[为為]何|原因|何以"
)
_ASKS_AMOUNT = re.compile("多少|多[长長高深远遠重宽寬厚久大]|[几幾](?![乎何])")
_ASKS_ONE = re.compile("何[时時]|哪[一个個位年月日天]|第[一二三]|最|唯一|首")
_ASKS_TIME = re.compile("日期|何[时時]|什[么麼][时時]|哪一?[年月天日]|几[月号点]|[哪何]年")
_ASKS_THING = re.compile("什[么麼](?!时[候间])|[谁誰]")

_ASKS_HOW = re.compile(
    r"怎[样樣么麼]|如何"
    r"|\bhow\b(?!\s+(?:many|much|long|old|far|often|tall|high|deep|big|large|wide|fast|heavy)\b)",
    re.IGNORECASE,
)


def asks_time(question: str) -> bool:
    """Return whether a question is when something is.

    Example:
        >>> asks_time("对支付租金的日期怎样规定？"), asks_time("租金按什么支付？")
        (True, False)
    """
    return _ASKS_TIME.search(question) is not None


def asked_for(question: str) -> AskedFor | None:
    """Return what an answer has to be whole in; None for a time, or for one of its kind.

    Example:
        >>> [asked_for(question) for question in ("有哪些湖", "为何关闭", "有多深", "又叫什么")]
        ['several', 'explanation', 'amount', 'thing']
        >>> asked_for("最大的湖叫什么")
    """
    if _ASKS_SEVERAL.search(question):
        return "several"
    if _ASKS_EXPLANATION.search(question):
        return "explanation"
    if _ASKS_AMOUNT.search(question):
        return "amount"
    one = _ASKS_ONE.search(question)
    return "thing" if _ASKS_THING.search(question) and not one else None


def asks_how(question: str) -> bool:
    """Return whether a question asks how something goes, which seldom stands in one sentence.

    Example:
        >>> asks_how("李白是怎样去世的？"), asks_how("李白是哪年去世的？")
        (True, False)
        >>> asks_how("How is tea made?"), asks_how("How old was Li Bai?")
        (True, False)
    """
    return bool(_ASKS_HOW.search(question))


_ASKS_WHETHER = re.compile(r"[吗嗎]\s*[？?]?$|是否|[能可]否|([可能会是要该])不\1|有[没沒]有")


def asks_whether(question: str) -> bool:
    """Return whether a Chinese question, without words on the form of the answer, is for yes or no.

    Example:
        >>> [asks_whether(question) for question in ("可以挂失吗？", "能不能退货？", "多久退货？")]
        [True, True, False]
    """
    return bool(_ASKS_WHETHER.search(question))


OverviewKind = Literal["about", "list", "dates", "conclusion"]

_WORD = re.compile(r"(?<!\?P)<(\w+)>")
_SIGNS = ("noun", "gist", "date", "conclusion", "sum_up", "one")
"""Words of which every such Chinese question holds one."""
_SIGNS_EN = (
    r"\b(?:about|say|discuss|cover|contain|describe|summari[sz]e|summary|overview|outline|topics?"
    r"|dates?|years?|deadlines?|conclu\w+|list|how many|which|in|(?:kind|sort|type)s? of|findings?"
    r"|takeaways?|points?|messages?|gist)\b"
)
_COMMON = ("noun", "gist", "date", "conclusion", "document_en", "date_en")
"""Words that name no document, though one may be called so."""
_QUOTES = re.compile('[《》〈〉“”"‘「」『』`]')
_EDGES = " \t\n，,。.！!？?；;：:…~"
_POLITELY = re.compile(
    r"^(?:(?:你好|您好|请问|請問|请|請|麻烦|帮我|帮忙|能否|能不能|可以|可否|我想(?:问|知道|了解)(?:一下)?"
    r"|(?:我)?想|快速|先|看看|看一下|告诉我|给我|用[一两三几\d]+句话|简单|简要|详细|hello|hi|please|briefly"
    r"|(?:can|could|would) you|tell me|give me|show me)"
    r"[，,\s]*)+",
    re.IGNORECASE,
)
_FORM_AT_END = re.compile(
    r"(?:[,，]\s*(?:用|以)?|\s*(?:用|以))(?:列表|表格|要点)(?:的?形式|列出)?$"
    r"|,? (?:in|as|with) (?:an? )?(?:(?:one|two|three|\d+|few|short) )?"
    r"(?:sentences?|words?|lines?|paragraphs?|table|list|bullets?(?: points)?|brief|short|general)"
    r"$",
    re.IGNORECASE,
)
_YEAR = re.compile(r"^(?:\d{4}(?:年度?)?(?:\d{1,2}月)?|\d[\d.]*)[\s_.、-]*")
_VERSION = re.compile(
    r"[\s_.-]*(?:[(（](?:\d+|终稿|定稿|最终版?|副本|修订版?|final|copy)[)）]|v?\d[\d.]*|终稿|定稿|最终版|副本"
    r"|修订版|(?<=[\s_-])(?:final|copy|draft))$",
    re.IGNORECASE,
)
_NAMED = {"zh": "这份文档", "en": "this document"}
_SHORTEST = 2
"""Characters of a name that a question may mean."""


@dataclass(frozen=True)
class Overview:
    """A question about documents as a whole."""

    kind: OverviewKind
    sources: tuple[str, ...] = ()
    """The documents that it names; all where there is none."""
    topic: str = ""
    """What they are to be about, where it says so."""


def overview_of(
    question: str, sources: Callable[[], Iterable[str]], *, alone: bool = True
) -> Overview | None:
    """Return what a question asks about documents as a whole, None where it asks something else.

    Args:
        question: As it was asked.
        sources: Returns the documents there are; called where the question may name one.
        alone: Whether nothing was said before, so that 总结一下 means the documents.

    Example:
        >>> overview_of("《合同.pdf》主要讲了什么？", lambda: ["/资料/合同.pdf", "/资料/手册.pdf"])
        Overview(kind='about', sources=('/资料/合同.pdf',), topic='')
        >>> overview_of("What are these documents about?", lambda: [])
        Overview(kind='about', sources=(), topic='')
        >>> overview_of("合同什么时候到期？", lambda: ["/资料/合同.pdf"])
    """
    wordings = [_plain(question), _plain(bare_question(question))]
    if alone and any(pattern.fullmatch(one) for pattern in _wordings().alone for one in wordings):
        return Overview("about")
    if not any(map(_wordings().may_be.search, wordings)):
        return None
    if found := _matched(wordings):
        kind, topic = found
        return Overview(kind, (), topic)
    named, texts = _with_names(wordings, sources())
    if found := _matched(texts):
        return Overview(found[0], named)
    return None


@dataclass(frozen=True)
class _Wordings:
    """The patterns of ``questions.toml``."""

    patterns: tuple[tuple[OverviewKind, re.Pattern[str]], ...]
    may_be: re.Pattern[str]
    """Finds something in every such question: others need not know the names of documents."""
    common: re.Pattern[str]
    alone: tuple[re.Pattern[str], ...]


@cache
def _wordings() -> _Wordings:
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    words = {name: text.replace("\n", "") for name, text in table["words"].items()}

    def filled(text: str, topics: int = 1) -> str:
        while found := _WORD.search(text):
            text = f"{text[: found.start()]}(?:{words[found[1]]}){text[found.end() :]}"
        return text.replace("?P<topic>", "?:", max(text.count("?P<topic>") - topics, 0))

    def any_of(names: Iterable[str], more: str) -> re.Pattern[str]:
        return re.compile("|".join([*(filled(f"<{name}>") for name in names), more]), re.IGNORECASE)

    patterns = tuple(
        (kind, re.compile(filled(text), re.IGNORECASE))
        for kind in get_args(OverviewKind)
        for text in table["patterns"][kind]
    )
    return _Wordings(
        patterns,
        any_of(_SIGNS, filled(f"<tells><what>|{_SIGNS_EN}")),
        any_of(_COMMON, "$"),
        tuple(re.compile(filled(text), re.IGNORECASE) for text in table["alone"]["about"]),
    )


def _plain(question: str) -> str:
    text = " ".join(question.split()).strip(_EDGES)
    text = _POLITELY.sub("", text).strip(_EDGES) or text
    return _FORM_AT_END.sub("", text).strip(_EDGES) or text


def _matched(wordings: Iterable[str]) -> tuple[OverviewKind, str] | None:
    for text in dict.fromkeys(_QUOTES.sub("", wording) for wording in wordings):
        for kind, pattern in _wordings().patterns:
            if match := pattern.fullmatch(text):
                return kind, (match.groupdict().get("topic") or "").strip()
    return None


def _with_names(wordings: list[str], sources: Iterable[str]) -> tuple[tuple[str, ...], list[str]]:
    """Return the documents that a question names, and its wordings with a noun in their place."""
    folded = wordings[0].casefold()
    found: dict[str, list[str]] = {}
    for source in sources:
        for name in _names(source):
            if name.casefold() in folded:
                found.setdefault(name.casefold(), []).append(source)
                break
    if not found:
        return (), []
    named: list[str] = []

    def replaced(match: re.Match[str]) -> str:
        named.extend(found[match[1].casefold()])
        return _NAMED["zh"] if chinese else f" {_NAMED['en']} "

    # At once and the longest first: some names are parts of others.
    names = "|".join(map(re.escape, sorted(found, key=len, reverse=True)))
    edges = (r"\s?[《“\"'「『]?(?<![a-z0-9_])", r"(?![a-z0-9_])[》”\"'」』]?\s?")
    pattern = re.compile(f"{edges[0]}({names}){edges[1]}", re.IGNORECASE)
    chinese = HAN_CHARACTER.search(pattern.sub("", wordings[0])) is not None
    texts = [" ".join(pattern.sub(replaced, text).split()) for text in wordings]
    texts = [re.sub(r"\b(?:the|this) this document", "this document", text) for text in texts]
    return tuple(dict.fromkeys(named)), texts


def _names(source: str) -> Iterator[str]:
    """Yield what a question may call a document: its file's name, as it is and as people say it.

    They leave out the suffix, the year before it and the version behind it, and say spaces for
    dashes.
    """
    path = PurePath(source)
    yield path.name
    plain = _VERSION.sub("", path.stem)
    forms = [path.stem, plain, _YEAR.sub("", path.stem), _YEAR.sub("", plain)]
    for name in dict.fromkeys([*forms, *(re.sub(r"[-_]+", " ", form) for form in forms)]):
        if len(name) >= _SHORTEST and not _wordings().common.fullmatch(name):
            yield name
