"""How the next token is chosen, and what a model is asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

Messages = list[dict[str, str]]
"""A chat: each message has a ``role`` and its ``content``."""
Prompt = str | Messages
"""A text to be continued, or a chat to be put into the model's template and answered."""


@dataclass(frozen=True)
class Sampling:
    """The defaults are those that the Chinese-Alpaca models were published with."""

    temperature: float = 0.2
    """0 takes the likeliest token."""
    top_k: int = 40
    top_p: float = 0.9
    repetition_penalty: float = 1.1
    max_new_tokens: int = 400
    """The prompt is not counted."""
    seed: int = 0


class TextModel(Protocol):
    """A model that is loaded and can be asked."""

    def complete(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        on_text: Callable[[str], None] | None = None,
    ) -> list[str]:
        """Return what the model says to each prompt, without the prompt and the end token.

        Args:
            prompts: Answered together.
            sampling: For all of them.
            on_text: Called with the text as it comes; for a single prompt.

        Raises:
            GenerateError: a prompt is longer than the context.
        """
        ...
