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
            messages: As in OpenAI's API. What a template refuses is told as turns of a user and an
                assistant.

        Raises:
            TemplateError: it refuses those too.
        """
        escaped = self.control_tokens.escape_messages(messages)
        if self._template is None:
            paragraphs = [f"{_text(message['content'])}\n\n" for message in escaped]
            return "".join([start_of(self._tokenizer), *paragraphs])
        from jinja2 import TemplateError

        try:
            return self._applied(escaped)
        except TemplateError:
            # Gemma's and Mistral's take no system message, or none but first, and no two of a kind.
            return self._applied(alternating(escaped))

    def _applied(self, messages: Sequence[Mapping[str, Any]]) -> str:
        text: str = self._tokenizer.apply_chat_template(
            messages, chat_template=self._template, tokenize=False, add_generation_prompt=True
        )
        return text

    def encode(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return the tokens of the prompt that `render` returns."""
        ids: list[int] = self._tokenizer.encode(self.render(messages), add_special_tokens=False)
        return ids


def is_regular(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a user and an assistant take turns, after what the system says, if anything.

    Example:
        >>> is_regular([{"role": "system"}, {"role": "user"}]), is_regular([{"role": "assistant"}])
        (True, False)
    """
    roles = [message["role"] for message in messages]
    turns = roles[roles[:1] == ["system"] :]
    return all(role == ("user", "assistant")[at % 2] for at, role in enumerate(turns))


def alternating(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    r"""Return messages as turns, a user's first; what is neither's is the user's.

    Example:
        >>> alternating([{"role": "system", "content": "a"}, {"role": "user", "content": "b"}])
        [{'role': 'user', 'content': 'a\n\nb'}]
    """
    turns = [{"role": "user", "content": ""}]
    for message in messages:
        role = "assistant" if message["role"] == "assistant" else "user"
        text = _text(message["content"])
        if turns[-1]["role"] == role:
            said = turns[-1]["content"]
            turns[-1]["content"] = f"{said}\n\n{text}" if said else text
        else:
            turns.append({"role": role, "content": text})
    return turns


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part if isinstance(part, str) else part.get("text", "") for part in content)
    return content or ""
