"""The one sentence that settles a question for yes or no which passages seem not to answer.

Asked whether passages hold the answer, a model says no where the answer is no. Shown the nearest
sentence alone, and asked for yes, no or nothing said, it tells more.
"""

import math
from collections.abc import Generator, Mapping
from typing import Any

from langchain_core.language_models import LanguageModelLike
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable

from rag_app.chains.completion import denies
from rag_app.chains.confidence import asked_to_judge, judging, of_any
from rag_app.chains.prompts import Prompts
from rag_app.chains.streaming import Invoke

_NEAR = 0.029
"""Nearness from which on a sentence is on the matter of a question, so that its no is one to it.

Of 15 questions about docs_corpus to which a sentence says no in other words, the nearest one
reaches it and says no for 7, and of 14 without an answer for none; of 10 about two regulations and
a manual for 3, and of 14 without one for 1."""

_SETTLED = 3.4
"""Judgement, with the nearness below, from which on the sentence is the answer.

Of 48 questions about docs_corpus in users' words 8 reach it, all by a sentence that settles them,
and of 40 near misses none; so do 10 of 48 others, 2 by another sentence, and none of 40; about
eight regulations and a manual 8 of 35, and of 26 near misses 1. At 3.0, above every near miss of
the first 40, 14 of the second 48 do, and 2 of the second 40."""

_NEARNESS = 40.0
"""What is added to a judgement for how much nearer than usual the sentence is, as a cosine."""

_LEANING = 0.3  # share of log P(yes) - log P(no) that is taken off: a model leans to yes

_YES = frozenset({"是", "有", "能", "可以", "对", "yes"})
_NO = frozenset({"不是", "不", "否", "no"})
_UNSAID = frozenset({"没说", "没有", "没", "未", "沒說", "沒有", "沒", "nothing"})


def settles_chain(llm: LanguageModelLike) -> Runnable[list[BaseMessage], float | None]:
    """Return a Runnable from the messages of a question for yes, no or nothing said to a judgement.

    It is log P(yes or no) - log P(nothing said), less where yes is likelier than no; None where the
    model gives no log probabilities.
    """

    def settles(logprobs: Mapping[str, float]) -> float:
        yes, no = of_any(logprobs, _YES), of_any(logprobs, _NO)
        either = max(yes, no) + math.log1p(math.exp(-abs(yes - no)))
        return either - of_any(logprobs, _UNSAID) - _LEANING * (yes - no)

    return judging(llm, settles)


def settling(
    question: str, sentence: str, nearness: float, llm: LanguageModelLike | None, prompts: Prompts
) -> Generator[Invoke, Any, str]:
    """Return a sentence where it settles a Chinese question for yes or no, else nothing.

    Whether it is yes or no, readers see by the sentence.

    Args:
        question: Without words on the form of the answer.
        sentence: The nearest to it; may be empty.
        nearness: By how much nearer than usual, as a cosine.
        llm: What is asked where the sentence is not a near one that says no; nothing by default.
        prompts: The templates.
    """
    if nearness >= _NEAR and denies(sentence):
        return sentence
    if not sentence or llm is None:
        return ""
    asked = prompts.messages("answer", "zh", context=sentence, question=question, style="")
    ask = prompts.text("judge_yes_or_no", "zh")
    judgement = yield Invoke(settles_chain(llm), asked_to_judge(asked, ask))
    settled = judgement is not None and judgement + _NEARNESS * nearness >= _SETTLED
    return sentence if settled else ""
