"""Prompts, and how the next token is chosen: the defaults of generation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Messages = list[dict[str, str]]
"""A chat: each message has a ``role`` and its ``content``."""
Prompt = str | Messages
"""A text to be continued, or a chat to be put into the model's template and answered."""

CONTEXT_LENGTH = 4096
"""Tokens of a GGUF model's prompt and answer together; memory is taken for all of them."""
BATCH_SIZE = 4
"""Prompts that are answered together."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen; the defaults are those that Chinese-Alpaca was published with.

    Each default stands as an attribute of the class too, such as ``Sampling.max_new_tokens``.

    Example:
        >>> Sampling(temperature=0).generate_options()
        {'max_new_tokens': 400, 'repetition_penalty': 1.1, 'do_sample': False}
    """

    temperature: float = 0.2
    """0 takes the likeliest token."""
    top_k: int = 40
    top_p: float = 0.9
    repetition_penalty: float = 1.1
    max_new_tokens: int = 400
    """The prompt is not counted."""
    seed: int = 0

    def generate_options(self) -> dict[str, Any]:
        """Return the arguments of transformers' ``generate``, which takes no seed: see `seeded`."""
        options = {
            "max_new_tokens": self.max_new_tokens,
            "repetition_penalty": self.repetition_penalty,
            "do_sample": self.temperature > 0,
        }
        if self.temperature > 0:
            options |= {
                "temperature": self.temperature,
                "top_p": self.top_p,
                "top_k": self.top_k,
            }
        return options


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
