"""Chats as prompts: a tokenizer's chat template, and messages whose control tokens are escaped."""

from collections.abc import Mapping, Sequence
from typing import Any

from model_prep.inference.control_tokens import ControlTokens
from model_prep.tokenizer.loading import default_template, start_of


class ChatTemplate:
    """The chat template of a transformers tokenizer; the control tokens of a prompt are all its.

    Args:
        tokenizer: Fast, slow or exact.
        default: A Jinja template for a tokenizer without one, such as
            `model_prep.tokenizer.loading.ALPACA_TEMPLATE`. None: the messages' texts follow each
            other as paragraphs.

    Attributes:
        control_tokens: Those of the tokenizer and of the template.

    Example:
        >>> from tokenizers import Tokenizer, models
        >>> from transformers import PreTrainedTokenizerFast
        >>> words = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
        >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
        >>> template = ChatTemplate(tokenizer, "Q: {{ messages[0].content }} A:")
        >>> template.render([{"role": "user", "content": "What is <unk>?"}])
        'Q: What is < unk>? A:'
    """

    def __init__(self, tokenizer: Any, default: str | None = None) -> None:
        self._tokenizer = tokenizer
        self._template = default_template(tokenizer) or default
        self.control_tokens = ControlTokens.of_tokenizer(tokenizer, self._template)

    def render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """Return the prompt, up to where the answer begins; its start token is in the text.

        Args:
            messages: As in OpenAI's API.
        """
        escaped = self.control_tokens.escape_messages(messages)
        if self._template is None:
            paragraphs = [f"{_text(message['content'])}\n\n" for message in escaped]
            return "".join([start_of(self._tokenizer), *paragraphs])
        text: str = self._tokenizer.apply_chat_template(
            escaped, chat_template=self._template, tokenize=False, add_generation_prompt=True
        )
        return text

    def encode(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return the tokens of the prompt that `render` returns."""
        ids: list[int] = self._tokenizer.encode(self.render(messages), add_special_tokens=False)
        return ids


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part if isinstance(part, str) else part.get("text", "") for part in content)
    return content or ""
