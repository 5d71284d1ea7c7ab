"""What a model itself says on whether passages answer a question, in log probabilities.

Asked whether the passages hold the answer, a model says yes to nearly every question, but how much
likelier its yes is than its no tells answerable questions from others. It is asked after the very
prompt of the answer, so that one that keeps its prefix reads only the last words.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import Runnable, RunnableLambda

from rag_app.errors import ModelError

_log = logging.getLogger(__name__)

JUDGEMENT = "judge_answer"
"""The name of the run, and a tag of the call to the model."""

_YES = frozenset({"有", "是", "yes"})
_NO = frozenset({"没有", "没", "无", "否", "不", "沒有", "沒", "無", "no"})
_ALTERNATIVES = 20
"""Tokens whose log probabilities are asked for; OpenAI's API gives no more."""


def can_judge(llm: BaseChatModel) -> bool:
    """Return whether a model gives the log probabilities that a judgement is made of."""
    return bool(getattr(llm, "gives_logprobs", False))


def judge_chain(llm: BaseChatModel) -> Runnable[list[BaseMessage], float | None]:
    """Return a Runnable from the messages of a yes-no question to log P(yes) - log P(no).

    The answer is None where the model, or the server behind it, gave no log probabilities, or
    refused to be asked for them.
    """
    options = {"logprobs": True, "top_logprobs": _ALTERNATIVES, "max_tokens": 1, "temperature": 0.0}
    asked = llm.bind(**options) | RunnableLambda(_log_odds, name="log_odds")
    refused: Runnable[Any, Any] = RunnableLambda(_left_out, name="left_out")
    chain = asked.with_fallbacks([refused], exceptions_to_handle=(ModelError,))
    return chain.with_config(run_name=JUDGEMENT, tags=[JUDGEMENT])


def asked_to_judge(prompt: Sequence[BaseMessage], question: str) -> list[BaseMessage]:
    """Return the messages of ``prompt`` with another question after the last of them."""
    *before, last = prompt
    return [*before, HumanMessage(f"{last.text}\n\n{question}")]


def _log_odds(reply: BaseMessage) -> float | None:
    tokens = (reply.response_metadata.get("logprobs") or {}).get("content")
    alternatives: list[Mapping[str, Any]] = tokens[0].get("top_logprobs") if tokens else []
    if not alternatives:
        _log.warning("the model gives no log probabilities, so its own judgement is left out")
        return None
    logprobs = {entry["token"]: float(entry["logprob"]) for entry in alternatives}
    lowest = min(logprobs.values())
    return _of_any(logprobs, _YES, lowest) - _of_any(logprobs, _NO, lowest)


def _left_out(_: list[BaseMessage]) -> None:
    _log.warning("the model refuses to give log probabilities: its own judgement is left out")


def _of_any(logprobs: Mapping[str, float], words: frozenset[str], lowest: float) -> float:
    """Return the log probability of any of some words, at most ``lowest`` for none of them."""
    found = [value for token, value in logprobs.items() if token.strip().lower() in words]
    return math.log(sum(map(math.exp, found))) if found else lowest
