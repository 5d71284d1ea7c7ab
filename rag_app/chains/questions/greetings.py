"""Texts that ask nothing of documents: greetings, thanks, questions who answers here, and what."""

import re

from rag_app.chains.questions import CLAUSE

_EDGES = re.compile(r"^\W+|\W+$")
_GREETING = re.compile(
    r"(?:你|您|你们|大家|各位)?好[呀啊吗]?|(?:早上|上午|中午|下午|晚上)好|嗨|哈[喽啰]|在[吗嗎]"
    r"|(?:非常|十分)?(?:谢谢|感谢|多谢|謝謝|感謝|多謝)(?:你们?|您|大家|啦|了)*"
    r"|辛苦(?:你|您)?了?|再[见見]|拜拜"
    r"|(?:hello|hi|hey)(?: there| all| everyone)?|good (?:morning|afternoon|evening|night)"
    r"|(?:many )?thanks(?: (?:a lot|so much|very much|again))?|thank you(?: (?:so|very) much)?"
    r"|(?:good ?)?bye|cheers",
    re.IGNORECASE,
)
_WHAT = "(?:什[么麼]|啥|哪些)"
_ASKS_WHO_ANSWERS = re.compile(
    rf"(?:请问|請問)?[你您](?:是(?:谁|誰|(?:做|干)?什[么麼](?:的)?)|叫什[么麼](?:名字)?"
    rf"|[都还]?(?:能够?|会|會|可以)(?:[帮幫为給给]我们?)?(?:做|干|回答)?[些点]?{_WHAT}(?:事情?|问题|忙)?"
    rf"|[都还]?有{_WHAT}(?:功能|本事|能力|用处?))"
    r"|(?:who|what) are you|what can you help(?: me)? with|(?:how )?can you help me"
    r"|what(?: else)? (?:can|could|do) you do(?: for me)?",
    re.IGNORECASE,
)


def addresses_assistant(text: str) -> bool:
    """Return whether all clauses of a text are such; one that only begins so asks something.

    Example:
        >>> [addresses_assistant(text) for text in ("你好，你能做什么？", "Thanks!", "谢安是谁？")]
        [True, True, False]
    """
    clauses = [_EDGES.sub("", clause) for clause, _ in CLAUSE.findall(text)]
    return any(clauses) and all(
        _GREETING.fullmatch(clause) or _ASKS_WHO_ANSWERS.fullmatch(clause)
        for clause in filter(None, clauses)
    )
