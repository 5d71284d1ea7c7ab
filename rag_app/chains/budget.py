"""What fits: budgets counted in tokens of the model in use, never in characters."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from rag_app.documents.splitters import ChineseTextSplitter
from rag_app.errors import PromptTooLongError

DEFAULT_WINDOW = 4096
"""Tokens; for a model that does not say how long its context is."""

TEMPLATE_TOKENS = 64
"""Upper bound on what a chat template adds around two messages."""

CountTokens = Callable[[str], int]


@dataclass(frozen=True)
class Budget:
    """How much one call to a model may hold, in its own tokens."""

    window: int
    reply: int
    count: CountTokens

    @classmethod
    def of(cls, llm: BaseChatModel, reply: int) -> "Budget":
        """Return the budget of ``llm`` with ``reply`` tokens kept free for its answer."""
        window = (llm.profile or {}).get("max_input_tokens") or DEFAULT_WINDOW
        return cls(window=window, reply=reply, count=llm.get_num_tokens)

    def room(self, prompt: Sequence[BaseMessage], spare: int = 0) -> int:
        """Return the tokens left for context beside ``prompt``, a prompt with empty context.

        Args:
            prompt: The chat messages without their context.
            spare: Tokens kept free for what else the prompt will hold, such as an earlier answer.

        Raises:
            PromptTooLongError: the prompt alone does not fit.
        """
        used = sum(self.count(message.text) for message in prompt) + TEMPLATE_TOKENS
        left = self.window - self.reply - spare - used
        if left < 1:
            msg = (
                f"the prompt takes {used} of the model's {self.window} tokens and "
                f"{self.reply + spare} are kept for the answer: shorten the question, "
                "lower --max-new-tokens or raise RAG_APP_CONTEXT_LENGTH"
            )
            raise PromptTooLongError(msg)
        return left

    def cut(self, text: str, room: int) -> str:
        """Return the longest beginning of ``text`` that ``room`` tokens surely hold."""
        while (tokens := self.count(text)) > room:
            text = text[: min(len(text) - 1, int(len(text) * room / tokens))]
        return text


def pack(texts: Sequence[str], room: int, count: CountTokens) -> list[int]:
    """Return the indices of the texts, in rank order, that together fit ``room`` tokens.

    A text that does not fit is passed over, since a shorter one of lower rank may still fit.
    """
    kept = []
    for index, text in enumerate(texts):
        tokens = count(text)
        if tokens <= room:
            kept.append(index)
            room -= tokens
    return kept


def segments(text: str, room: int, count: CountTokens) -> Iterator[tuple[int, int]]:
    """Yield consecutive spans ``(start, end)`` of ``text`` of at most ``room`` tokens each.

    Spans end where the splitter likes to end a chunk, and together hold all but white space.
    """
    ratio = max(count(text[:4000]) / max(len(text[:4000]), 1), 0.05)
    splitter = ChineseTextSplitter(chunk_size=max(int(room / ratio), 1), chunk_overlap=0)
    for start, end in splitter.spans(text):
        yield from _halve(text, start, end, room, count)


def _halve(
    text: str, start: int, end: int, room: int, count: CountTokens
) -> Iterator[tuple[int, int]]:
    """Split a span until each part fits; denser text than the sample's needs it."""
    if count(text[start:end]) <= room or end - start == 1:
        yield start, end
        return
    splitter = ChineseTextSplitter(chunk_size=max((end - start) // 2, 1), chunk_overlap=0)
    for left, right in splitter.spans(text[start:end]):
        yield from _halve(text, start + left, start + right, room, count)
