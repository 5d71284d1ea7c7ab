"""Reasoning that a model writes before its answer, separated from it as both stream."""

import re
from typing import Any

from langchain_core.messages import AIMessageChunk

from rag_app.errors import ModelError

_BEGIN, _END = "<think>", "</think>"
_OPENING = re.compile(r"deepseek[-_.]?r1|qwq|thinking|reasoner", re.IGNORECASE)
REASONING = "reasoning_content"
"""What DeepSeek's API, llama.cpp and vLLM call it, in a message and in ``additional_kwargs``."""


def begins_thinking(name: str) -> bool:
    """Return whether a model is known to begin with its reasoning, which its template opens.

    Example:
        >>> begins_thinking("deepseek-ai/DeepSeek-R1-0528"), begins_thinking("qwen3-8b")
        (True, False)
    """
    return bool(_OPENING.search(name))


def opens_thoughts(prompt: str) -> bool:
    """Return whether a prompt ends with the tag that opens the reasoning."""
    return prompt.rstrip().endswith(_BEGIN)


def parted(reply: str, *, opened: bool = False) -> tuple[str, str]:
    """Return the answer in a reply, and the reasoning before it; the answer may be yet to come.

    Args:
        reply: Its tags may both be there, or the one at the end alone.
        opened: The prompt has the one at the beginning.

    Example:
        >>> parted("<think>Which of the two?</think> The first.")
        ('The first.', 'Which of the two?')
        >>> parted("Which of the two?</think> The first.")
        ('The first.', 'Which of the two?')
        >>> parted("Which of the two?", opened=True)
        ('', 'Which of the two?')
    """
    begun = reply.lstrip()
    if begun.startswith(_BEGIN):
        opened, reply = True, begun.removeprefix(_BEGIN)
    thoughts, end, answer = reply.partition(_END)
    if end:
        return answer.lstrip(), thoughts.lstrip()
    return ("", reply.lstrip()) if opened else (reply, "")


class Thoughts:
    """Parts one reply of a model as it streams.

    Args:
        llm: The model; it may say in ``opens_thoughts`` that its replies begin with reasoning
            without a tag. What is learned of that from the reply is kept there.

    Example:
        >>> thoughts = Thoughts(None)
        >>> pieces = [AIMessageChunk(content=part) for part in ("<", "think>So", "</think>", "A")]
        >>> [thoughts.add(piece).text for piece in pieces]
        ['', '', '', 'A']
    """

    def __init__(self, llm: Any) -> None:
        self._llm = llm
        self._opened = bool(getattr(llm, "opens_thoughts", False))
        self._whole = ""
        self._cut = False
        self._shown = self._thought = 0
        self.text = ""
        """The answer so far."""
        self.restarted = False
        """Whether what was shown of the answer turned out to be reasoning with the last piece."""

    def add(self, chunk: AIMessageChunk) -> AIMessageChunk:
        """Split a piece of a reply into answer and reasoning."""
        if chunk.additional_kwargs.get(REASONING):  # whoever runs the model parts them
            self._opened = False
        end = chunk.response_metadata.get("finish_reason")
        self._cut = self._cut or end == "length"
        self._whole += chunk.text
        return self._piece(chunk, ended=bool(end))

    def close(self) -> AIMessageChunk:
        """Return what was held back until the reply ended."""
        return self._piece(AIMessageChunk(content=""), ended=True)

    def _piece(self, chunk: AIMessageChunk, *, ended: bool) -> AIMessageChunk:
        answer, thoughts = parted(self._whole, opened=self._opened)
        self.restarted = False
        over = _END in self._whole
        if over and not self._opened and not self._whole.lstrip().startswith(_BEGIN):
            self.restarted, self._shown = self._shown > 0, 0
            self._opened = True
            if "opens_thoughts" in getattr(type(self._llm), "model_fields", ()):
                self._llm.opens_thoughts = True
        elif ended and not self._cut and self._opened and not over:
            answer, self._opened = thoughts, False  # it did not reason this time
        self.text = answer
        more = self._more(answer, self._shown, ended=ended)
        reasoning = self._more(thoughts, self._thought, ended=ended)
        self._shown += len(more)
        self._thought += len(reasoning)
        if more == chunk.text and not reasoning:
            return chunk
        extra = chunk.additional_kwargs | ({REASONING: reasoning} if reasoning else {})
        return chunk.model_copy(update={"content": more, "additional_kwargs": extra})

    def _more(self, text: str, given: int, *, ended: bool) -> str:
        """Return what is new of a text, without what may become a tag."""
        if not ended:
            if not given and _BEGIN.startswith(text.strip()):
                return ""
            held = (n for n in range(len(_END) - 1, 0, -1) if text.endswith(_END[:n]))
            text = text[: len(text) - next(held, 0)]
        return text[given:]


def answer_in(reply: Any, llm: Any) -> str:
    """Return the answer of a complete reply, without the reasoning before it."""
    thoughts = Thoughts(llm)
    thoughts.add(as_chunk(reply))
    thoughts.close()
    return thoughts.text.strip()


def as_chunk(reply: Any) -> AIMessageChunk:
    """Return a chat model's message, or a completion model's string, as a piece of a stream.

    Raises:
        ModelError: it is neither.
    """
    if isinstance(reply, AIMessageChunk):
        return reply
    text = reply if isinstance(reply, str) else getattr(reply, "text", None)
    if not isinstance(text, str):
        kind = type(reply).__name__
        msg = f"the model replied with {kind}, not with text; leave out `with_structured_output`"
        raise ModelError(msg)
    text = str(text)
    return AIMessageChunk(content=text, response_metadata=getattr(reply, "response_metadata", {}))
