"""Token budgets: what fits a model's window, counted in its own tokens."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from langchain_core.language_models import BaseLanguageModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable

from rag_app.documents.splitters import ChineseTextSplitter
from rag_app.errors import PromptTooLongError

_log = logging.getLogger(__name__)

DEFAULT_WINDOW = 4096
"""Tokens; for a model that does not say how long its context is."""

TEMPLATE_TOKENS = 64
"""Upper bound on what a chat template adds around two messages."""

CountTokens = Callable[[str], int]
LanguageModel = BaseLanguageModel[Any] | Runnable[Any, Any]
"""A chat or completion model, or what ``with_retry`` and its kin make of one."""


@dataclass(frozen=True)
class Budget:
    """How much one call to a model may hold, in its own tokens.

    Example:
        >>> budget = Budget(window=100, max_new_tokens=20, count=len)
        >>> budget.cut("a long text", 6)
        'a long'
    """

    window: int
    max_new_tokens: int
    count: CountTokens

    @classmethod
    def of(cls, llm: LanguageModel, max_new_tokens: int) -> "Budget":
        """Return the budget of ``llm`` with ``max_new_tokens`` kept free for its reply."""
        model = _model_of(llm)
        profile = getattr(model, "profile", None) or {}
        window = profile.get("max_input_tokens") or DEFAULT_WINDOW
        return cls(window, max_new_tokens, token_counter(model))

    def left(self, prompt: Sequence[BaseMessage], spare: int = 0) -> int:
        """Return the tokens left for context beside ``prompt``, a prompt with empty context.

        Args:
            prompt: The chat messages without their context.
            spare: Tokens kept free for what else the prompt will hold, such as an earlier answer.

        Raises:
            PromptTooLongError: the prompt alone does not fit.
        """
        used = sum(self.count(message.text) for message in prompt) + TEMPLATE_TOKENS
        left = self.window - self.max_new_tokens - spare - used
        if left < 1:
            msg = (
                f"the prompt takes {used} of the model's {self.window} tokens and "
                f"{self.max_new_tokens + spare} are kept for the answer: shorten the question, "
                "lower --max-new-tokens or raise RAG_APP_CONTEXT_LENGTH"
            )
            raise PromptTooLongError(msg)
        return left

    def cut(self, text: str, limit: int) -> str:
        """Return the longest beginning of ``text`` that ``limit`` tokens surely hold."""
        while (tokens := self.count(text)) > limit:
            text = text[: min(len(text) - 1, int(len(text) * limit / tokens))]
        return text


def _model_of(llm: LanguageModel) -> LanguageModel:
    """Return the model in what ``bind``, ``with_retry`` and ``with_fallbacks`` make of it."""
    for name in ("bound", "runnable"):
        if not isinstance(llm, BaseLanguageModel) and isinstance(
            inner := getattr(llm, name, None), Runnable
        ):
            return _model_of(inner)
    return llm


def token_counter(llm: LanguageModel) -> CountTokens:
    """Return what counts the tokens of a model.

    LangChain's default fetches GPT-2's tokenizer, which is right for no model of ours: one that
    has no counter of its own is taken to have a token for each character, and that is logged once.
    """
    if not isinstance(llm, BaseLanguageModel):
        return len
    own = (getattr(type(llm), name) for name in ("get_num_tokens", "get_token_ids"))
    defaults = (BaseLanguageModel.get_num_tokens, BaseLanguageModel.get_token_ids)
    if llm.custom_get_token_ids or any(a is not b for a, b in zip(own, defaults, strict=True)):
        return llm.get_num_tokens
    _warn_of(type(llm).__name__)
    return len


@cache
def _warn_of(name: str) -> None:
    _log.warning(
        "%s does not count tokens, so each character counts as one; give it custom_get_token_ids",
        name,
    )


def pack(texts: Sequence[str], limit: int, count: CountTokens) -> list[int]:
    """Return the indices of the texts, in rank order, that together fit ``limit`` tokens.

    A text that does not fit is passed over, since a shorter one of lower rank may still fit.
    """
    kept = []
    for index, text in enumerate(texts):
        tokens = count(text)
        if tokens <= limit:
            kept.append(index)
            limit -= tokens
    return kept


def segments(text: str, limit: int, count: CountTokens) -> Iterator[tuple[int, int]]:
    """Yield consecutive spans ``(start, end)`` of ``text`` of at most ``limit`` tokens each.

    Spans end where the splitter likes to end a chunk, and together hold all but white space.
    """
    ratio = max(count(text[:4000]) / max(len(text[:4000]), 1), 0.05)
    splitter = ChineseTextSplitter(chunk_size=max(int(limit / ratio), 1), chunk_overlap=0)
    for start, end in splitter.spans(text):
        yield from _halve(text, start, end, limit, count)


def _halve(
    text: str, start: int, end: int, limit: int, count: CountTokens
) -> Iterator[tuple[int, int]]:
    """Split a span until each part fits; denser text than the sample's needs it."""
    if count(text[start:end]) <= limit or end - start == 1:
        yield start, end
        return
    splitter = ChineseTextSplitter(chunk_size=max((end - start) // 2, 1), chunk_overlap=0)
    for left, right in splitter.spans(text[start:end]):
        yield from _halve(text, start + left, start + right, limit, count)
