"""What a question asks, by its wording: bare, in what language, to compute what, for what kind.

Search looks for the bare question: words such as 请用表格列出 stand in no passage that answers it,
and being rare would count for more than what is asked. The model is given the question as asked.
Questions in traditional characters are compared in simplified ones.
"""

import re
from typing import Literal

from rag_app.documents.text import Language, fold, simplified

_POLITE = (
    r"(?:请|麻烦|劳驾|烦请|帮我|帮忙|能否|能不能|可不可以|可以|直接|尽量|尽可能|最好|务必"
    r"|并且?|并|再|都|也|来|给我|你|您|我){0,5}"
)
_MEDIUM = (
    r"(?:英文|英语|中文|汉语|繁体字?|简体字?|日文|日语|表格|列表|清单|要点|条目|一个|个"
    r"|json|markdown|html|csv|通俗(?:易懂)?|口语|大白话|专业|书面|分点|分条|逐条|分步骤?|完整|准确"
    r"|详细|详尽|具体|尽量|简短|简要|简洁|简单|简明(?:扼要)?"
    r"|(?:不超过|不多于|最多|至少|大约|约)?[\d一二两三五十百几]+个?(?:字|词|句话|段话|条|点)(?:以内|之内|左右|内)?"
    r"|像[^，。]{1,12}(?:一样|那样|似的))"
)
_FORM = r"(?:的?(?:形式|方式|格式|语言|语气|篇幅|文字|话|样子))?"
_SAY = (
    r"(?:回答|作答|答复|答|说明|说说|说|解释|解答|描述|阐述|介绍|列出|列举|列|输出|呈现"
    r"|展示|给出|写出|写|整理|总结|概括|告诉|讲解|讲讲|讲)(?:一下|下|我|给我|出来|来)*"
)
_ENOUGH = r"(?:就行|就好|就可以|即可|吧|了|一点|些)?"
_ASK = (
    r"(?:我?(?:还|也|就|有)?(?:想|要|需要)(?:请)?(?:问|了解|知道|咨询|打听|查)(?:一下|下|你|您|个问题)*"
    r"|(?:请问|请教|告诉我)(?:一下|下|你|您|个问题)*|(?:查|问)(?:一)?(?:下|查))"
)
_LEADS = re.compile(
    rf"{_POLITE}(?:(?:(?:用|以|按照?|通过)\s*)?(?:{_MEDIUM}\s*)+{_FORM}{_SAY}|{_ASK})[\s:：]*"
    rf"|(?:请|麻烦|帮我|直接){_SAY}[\s:：]*"
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
    rf"|(?:不要|不用|别|无需){_SAY}"
    r"|(?:please\s+)?(?:answer|reply|respond|explain|write|list|give|show|describe|keep)\b.{0,40}"
    r"|(?:in\s+)?(?:english|chinese|detail|brief)(?:\s+please)?|briefly|please",
    re.IGNORECASE,
)
_COURTESY = re.compile(
    r"(?:你|您|大家|各位)?好[呀啊]?|早上好|上午好|下午好|晚上好|嗨|哈喽|在吗|打扰(?:一下|了)?"
    r"|(?:非常|多)?(?:谢|感谢)[^？]{0,8}|辛苦了?|(?:不好意思|抱歉)"
    r"|(?:hello|hi|hey|dear)\b.{0,20}|good\s+(?:morning|afternoon|evening)|thank.{0,20}|cheers",
    re.IGNORECASE,
)
"""What is said for politeness beside a question; `_GREETING` is all that a text says."""
_ROLE = (
    r"(?:员工|职员|同事|学生|同学|老师|教师|记者|编辑|研究(?:员|者|生)|游客|顾客|客户|用户|读者|市民|居民|家长"
    r"|会计|经理|助理|秘书|律师|医生|工程师|程序员|开发者|实习生|负责人|新人|新手|来的|游的)"
)
"""Who asks; not those of whom documents speak, such as 孕妇."""
_INTRODUCTION = re.compile(
    rf"(?:我|我们|本人)(?:是|刚).{{0,15}}{_ROLE}|作为.{{0,10}}{_ROLE}|(?:我|本人)(?:叫|姓).{{1,10}}"
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
    rf"|(?:和|与|跟|同|还是|、).+(?:哪|谁).{{0,6}}(?:更|比较|较|{_MORE}(?=一?[些点]|多少|几|[呢啊]?(?:\W|$)))"
    rf"|(?:哪|谁).{{0,12}}(?:最|更){_MORE}"
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
CLAUSE = re.compile(r"((?:[^，,。！!？?；;：:\n.]|[.,:](?=\S))+)([，,。！!？?；;：:\n.\s]*)")

_IN_LANGUAGE = re.compile(
    rf"{_POLITE}(?:务必|一律|只|必须)?[用以](?:(?P<en>英文|英语)|(?P<zh>中文|汉语|简体中文))(?:来|进行)?"
    rf"(?:回答|作答|答复|回复|说明|解释|输出|描述|介绍|总结|概括|列出){_ENOUGH}[\s，,。.！!；;：:]*"
    r"|(?:(?:please\s+)?(?:answer|reply|respond|write|explain)(?:\s+(?:me|it|this|always))*\s+"
    r"|(?<!called)(?<!known as)(?<!named)(?<!mean)(?<! say)(?<! used),?\s+)"
    r"in\s+(?:(?P<english>english)|(?P<chinese>chinese))(?:\s+please)?(?:[\s.!:,;]+|(?=[?？]?\s*$))",
    re.IGNORECASE,
)
"""A wish for the language of an answer."""
_EDGES = re.compile(r"^\W+|\W+$")
_GREETING = re.compile(
    r"(?:你|您|你们|大家|各位)?好[呀啊吗]?|(?:早上|上午|中午|下午|晚上)好|嗨|哈[喽啰]|在吗"
    r"|(?:非常|十分)?(?:谢谢|感谢|多谢)(?:你们?|您|大家|啦|了)*"
    r"|辛苦(?:你|您)?了?|再见|拜拜"
    r"|(?:hello|hi|hey)(?: there| all| everyone)?|good (?:morning|afternoon|evening|night)"
    r"|(?:many )?thanks(?: (?:a lot|so much|very much|again))?|thank you(?: (?:so|very) much)?"
    r"|(?:good ?)?bye|cheers"
    r"|こんにち[はわ]|こんばん[はわ]|おはよう(?:ございます)?|(?:どうも)?ありがとう(?:ございま(?:す|した))?"
    r"|bonjour|merci|hola|gracias|hallo|danke|안녕하세요|감사합니다",
    re.IGNORECASE,
)
_WHAT = "(?:什么|啥|哪些)"
_ASKS_WHO_ANSWERS = re.compile(
    rf"(?:请问)?[你您](?:是(?:谁|(?:做|干)?什么(?:的)?)|叫什么(?:名字)?"
    rf"|[都还]?(?:能够?|会|可以)(?:[帮为给]我们?)?(?:做|干|回答)?[些点]?{_WHAT}(?:事情?|问题|忙)?"
    rf"|[都还]?有{_WHAT}(?:功能|本事|能力|用处?))"
    r"|(?:who|what) are you|what can you help(?: me)? with|(?:how )?can you help me"
    r"|what(?: else)? (?:can|could|do) you do(?: for me)?",
    re.IGNORECASE,
)


def answer_language(text: str) -> tuple[Language | None, str]:
    """Return the language that an answer is to have, None where nobody says, and the rest.

    Example:
        >>> answer_language("请用英文回答：李白是怎样去世的？")
        ('en', '李白是怎样去世的？')
        >>> answer_language("How did Li Bai die, in Chinese please?")
        ('zh', 'How did Li Bai die?')
        >>> answer_language("What is Li Bai called in English?")
        (None, 'What is Li Bai called in English?')
    """
    found = [*_IN_LANGUAGE.finditer(simplified(text))]
    if not found:
        return None, text
    wanted: Language = "en" if found[0]["en"] or found[0]["english"] else "zh"
    for wish in reversed(found):
        text = text[: wish.start()] + text[wish.end() :]
    return wanted, text.strip()


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
    for clause, end in CLAUSE.findall(question):
        asked = _without_leads(clause.strip())
        if asked and not _says_nothing(asked, asks="?" in end or "？" in end):
            kept.append(asked + end)
    return "".join(kept).strip(" ，,：:\n") or question.strip()


def _without_leads(clause: str) -> str:
    while (lead := _LEADS.match(simplified(clause))) and lead.end():
        clause = clause[lead.end() :]
    return _TRAILS.sub("", clause)


def _says_nothing(clause: str, *, asks: bool) -> bool:
    clause = simplified(clause)
    if _COURTESY.fullmatch(clause) or _FORM_ALONE.fullmatch(clause):
        return True
    return not asks and _INTRODUCTION.fullmatch(clause) is not None


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
        >>> asks_to_compute("李白與杜甫誰大幾歲？"), asks_to_compute("父亲和叔父受谁重用？")
        (True, False)
    """
    return bool(_COMPUTES.search(fold(question))) and not _COMPUTED.search(fold(sentence))


AskedFor = Literal["several", "explanation", "amount", "thing"]

_ASKS_SEVERAL = re.compile("哪些|哪[几两二三四五六七八九十]|包括什么|列举(?!一)|分别(?!.*还有)")
_THING_ASKED = "[科形类型种名样人单属事]|东西"
_ASKS_EXPLANATION = re.compile(
    r"^为什么(?!\W*$)|(?<![称译名叫作视变成改认选封分定义评荐释类化列划属聘之任升誉尊推拜转误])"
    rf"为什么(?!{_THING_ASKED}|\W*$)|[是因]为什么(?!{_THING_ASKED})|为何(?!\W*$)|^(?!.*[谁哪]).*原因|何以"
)
_ASKS_AMOUNT = re.compile("多少|多[长高深远重宽厚久大]|几(?![乎何])")
_ASKS_ONE = re.compile("何时|哪[一个位年月日天]|第[一二三]|最|唯一|首")
_ASKS_TIME = re.compile("日期|何时|什么时|哪一?[年月天日]|几[月号点]|[哪何]年")
_ASKS_THING = re.compile("什么(?!时[候间期代])|谁|为何")

_ASKS_HOW = re.compile(
    r"怎[样么]|如何"
    r"|\bhow\b(?!\s+(?:many|much|long|old|far|often|tall|high|deep|big|large|wide|fast|heavy)\b)",
    re.IGNORECASE,
)


def asks_time(question: str) -> bool:
    """Return whether a question is when something is.

    Example:
        >>> asks_time("对支付租金的日期怎样规定？"), asks_time("租金按什么支付？")
        (True, False)
    """
    return _ASKS_TIME.search(fold(question)) is not None


def asked_for(question: str) -> AskedFor | None:
    """Return the unit that an answer must be whole in; None for a time, or for one of its kind.

    Example:
        >>> [asked_for(question) for question in ("有哪些湖", "为什么人会做梦", "有多深", "叫什么")]
        ['several', 'explanation', 'amount', 'thing']
        >>> asked_for("最大的湖叫什么")
    """
    question = fold(question)
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
    return bool(_ASKS_HOW.search(fold(question)))


_ASKS_WHETHER = re.compile(r"吗\s*\??$|是否|[能可]否|([可能会是要该])不\1|有没有")


def asks_whether(question: str) -> bool:
    """Return whether a Chinese question, without words on the form of the answer, is for yes or no.

    Example:
        >>> [asks_whether(question) for question in ("可以挂失吗？", "能不能退货？", "多久退货？")]
        [True, True, False]
    """
    return bool(_ASKS_WHETHER.search(fold(question)))


def asks_for_whole(question: str) -> bool:
    """Return whether a short answer may lack a part: of a list, a reason, a range or a sentence.

    Example:
        >>> asks_for_whole("市内有哪些湖？"), asks_for_whole("李白是怎样去世的？")
        (True, False)
    """
    return bool(asked_for(question)) or asks_time(question) or asks_whether(question)


def addresses_assistant(text: str) -> bool:
    """Return whether a text greets, thanks or asks who answers here and what, and nothing more.

    Example:
        >>> [addresses_assistant(text) for text in ("你好，你能做什么？", "Thanks!", "谢安是谁？")]
        [True, True, False]
    """
    clauses = [_EDGES.sub("", clause) for clause, _ in CLAUSE.findall(simplified(text))]
    return any(clauses) and all(
        _GREETING.fullmatch(clause) or _ASKS_WHO_ANSWERS.fullmatch(clause)
        for clause in filter(None, clauses)
    )
