"""Streaming of text as it is generated: each character once it is complete, and every space.

The streamer of transformers starts over after each line, where SentencePiece then takes the first
space of the next one for its own and drops it: code and lists lose their indentation. It also holds
back words until a space follows, and shows the half character that a length limit may end with.
"""

from collections.abc import Callable
from typing import Any

from transformers import TextIteratorStreamer

_BROKEN = "\ufffd"  # what bytes of a character that is not complete are decoded to
_WINDOW = 64  # ids that are decoded again with each new one, at most
_OVERLAP = 8  # ids before the new ones that decide how those are decoded


class TextStream(TextIteratorStreamer):
    """An iterator over the text that ``model.generate(streamer=…)`` makes, for any tokenizer.

    It takes the arguments of ``TextIteratorStreamer`` and can stand wherever that can.
    """

    def put(self, value: Any) -> None:
        """Take the prompt's ids or the next id of one sequence, int64 ``[ids]`` or ``[1, ids]``."""
        if self.skip_prompt and self.next_tokens_are_prompt:
            self.next_tokens_are_prompt = False
            return
        if value.ndim > 1 and len(value) > 1:
            raise ValueError("a stream shows one sequence")
        self.token_cache.extend(value.reshape(-1).tolist())
        text = self._text()
        if text.endswith(_BROKEN):
            return
        self._show(text)
        if len(self.token_cache) > _WINDOW:
            self.token_cache = self.token_cache[-_OVERLAP:]
            self.print_len = len(self._text())

    def end(self) -> None:
        """Show what was held back, except half a character, and end the iteration."""
        self._show(self._text().rstrip(_BROKEN))
        self.token_cache, self.print_len = [], 0
        self.next_tokens_are_prompt = True
        self.on_finalized_text("", stream_end=True)

    def _text(self) -> str:
        return str(self.tokenizer.decode(self.token_cache, **self.decode_kwargs))

    def _show(self, text: str) -> None:
        if len(text) > self.print_len:
            self.on_finalized_text(text[self.print_len :])
            self.print_len = len(text)


class TextCallback(TextStream):
    """Hands text to a function instead of an iterator."""

    def __init__(
        self, tokenizer: Any, on_text: Callable[[str], None], *, skip_prompt: bool = False
    ) -> None:
        super().__init__(tokenizer, skip_prompt=skip_prompt, skip_special_tokens=True)
        self._on_text = on_text

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:  # noqa: ARG002 - the signature is transformers'
        """Hand over text that no longer changes."""
        if text:
            self._on_text(text)
