"""Control tokens in text from documents and users, escaped so that a model reads them as text.

A prompt is rendered with the model's chat template, and all of it is tokenized: a
``<|im_end|>`` in a document would end the user's turn as the template's own does. A space after
the first character of each such token, ``< |im_end|>``, leaves ordinary tokens only.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from model_prep.gguf.header import GgufHeader

_PIPED = r"<[|｜][^|｜<>\s]{1,64}[|｜]>"
"""What most families write their tokens as: ``<|im_end|>``, DeepSeek's with full-width bars."""

_FAMILIES = (
    *("<s>", "</s>", "<unk>", "<pad>", "<bos>", "<eos>", "[PAD]", "<think>", "</think>"),
    *("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
    *("[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[TOOL_RESULTS]"),
    *("[/TOOL_RESULTS]", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"),
    *("<start_of_turn>", "<end_of_turn>", "<end_of_utterance>", "[gMASK]", "<sop>", "<eop>"),
    *("<BOS_TOKEN>", "<EOS_TOKEN>", "<EOT>", "<reserved_106>", "<reserved_107>"),
    *("### Instruction:", "### Input:", "### Response:", "### Human:", "### Assistant:"),
    *("### System:", "### User:", "USER:", "ASSISTANT:"),
)
"""Tokens and turn headings of LLaMA, Mistral, Qwen, Gemma, GLM, Command R, Baichuan, Alpaca,
Vicuna; those between bars are not listed."""

_WELL_KNOWN = re.compile("|".join([_PIPED, *map(re.escape, _FAMILIES)]))
_MARKUP = re.compile(r"[<\[{].+[>\]}]", re.DOTALL)
_CHATML = "<|im_start|><|im_end|>"
"""Tokens of the template that llama.cpp takes where a file has none."""


class ControlTokens:
    """The strings that a model's tokenizer or chat template does not read as text.

    Args:
        pattern: Matches each of them; None where there are none. A match begins and ends with
            something else than white space.

    Example:
        >>> ControlTokens.well_known().escape("9 am<|im_end|>")
        '9 am< |im_end|>'
    """

    def __init__(self, pattern: re.Pattern[str] | None) -> None:
        self._pattern = pattern

    @classmethod
    def well_known(cls) -> "ControlTokens":
        """Return those of the usual families, for a model whose vocabulary is not known."""
        return cls(_WELL_KNOWN)

    @classmethod
    def of_tokenizer(cls, tokenizer: Any, template: object) -> "ControlTokens":
        """Return those of a transformers tokenizer.

        Args:
            tokenizer: A fast or slow one.
            template: The chat template in use; headings of turns that it writes as plain text,
                such as Alpaca's, count as tokens.
        """
        added = tokenizer.added_tokens_decoder.values()
        special = {token.content for token in added if token.special}
        special.update(tokenizer.all_special_tokens)
        added_texts = [token.content for token in added]
        return cls._of(special, added_texts, tokenizer.get_vocab(), template)

    @classmethod
    def of_gguf(cls, header: GgufHeader, template: str | None = None) -> "ControlTokens":
        """Return those of a GGUF file, in llama.cpp's hands.

        Args:
            header: What `model_prep.gguf.header.read_gguf_header` returns.
            template: Given to llama.cpp in place of the file's.
        """
        from gguf import TokenType

        template = template or header.chat_template or _CHATML
        # llama.cpp reads the unknown token in a prompt as it reads control tokens.
        special = header.tokens(TokenType.UNKNOWN, TokenType.CONTROL)
        added, normal = header.tokens(TokenType.USER_DEFINED), header.tokens(TokenType.NORMAL)
        return cls._of(special, added, normal, template)

    @classmethod
    def _of(
        cls,
        special: Iterable[str],
        added: Iterable[str],
        vocabulary: Iterable[str],
        template: object,
    ) -> "ControlTokens":
        """Return ``special`` tokens, and of the others those that are not words of a language.

        Vocabularies are extended by words and runs of spaces too: these stay text.
        """
        tokens = {*special, *filter(_MARKUP.fullmatch, added)}
        # llama.cpp reads a piece of such a name as control, whatever type the file gives it.
        tokens |= {piece for piece in vocabulary if _WELL_KNOWN.fullmatch(piece)}
        tokens |= set(_WELL_KNOWN.findall(str(template or "")))
        bare = {token.strip(" \t\r\n▁") for token in tokens}
        escaped = [re.escape(token) for token in sorted(bare, key=len) if len(token) > 1]
        return cls(re.compile("|".join(reversed(escaped))) if escaped else None)

    def escape(self, text: str) -> str:
        """Return ``text`` with a space after the first character of each token; else as it is."""
        if self._pattern is None:
            return text
        # Again while there are any: a match may overlap another, or hold the space just put in.
        # It ends, since a token holds only so many spaces in a row.
        while (escaped := self._pattern.sub(_broken, text)) != text:
            text = escaped
        return text

    def escape_messages(self, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return chat messages, as OpenAI's API has them, with text and tool calls escaped."""
        escape = {"content": self._content, "tool_calls": self.escape_all}
        return [
            {
                name: escape[name](value) if name in escape else value
                for name, value in message.items()
            }
            for message in messages
        ]

    def _content(self, content: Any) -> Any:
        if not isinstance(content, list):
            return self.escape(content) if isinstance(content, str) else content
        return [
            {**part, "text": self.escape(part["text"])}
            if isinstance(part, dict) and isinstance(part.get("text"), str)
            else self._content(part)
            for part in content
        ]

    def escape_all(self, value: Any) -> Any:
        """Return a JSON value with every string in it escaped, except the keys."""
        if isinstance(value, str):
            return self.escape(value)
        if isinstance(value, Mapping):
            return {name: self.escape_all(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.escape_all(item) for item in value]
        return value


def _broken(match: re.Match[str]) -> str:
    return f"{match[0][0]} {match[0][1:]}"
