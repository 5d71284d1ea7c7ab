"""Training samples as tokens, and which of them are targets."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from model_prep.errors import TrainingError, first_line
from model_prep.tokenizer.loading import ALPACA_TEMPLATE
from model_prep.training.conversations import Conversation, read_conversations
from model_prep.training.dataset_files import Problems, read_text

_TOGETHER = 256
"""Samples that are tokenized by one call."""
_STRETCH = 20_000
"""Characters of plain text that are."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Sample:
    """Tokens of one sample."""

    ids: list[int]
    targets: list[bool]
    """For each token, whether it is to be learned."""
    truncated: bool = False


class ConversationEncoder:
    """Encodes conversations with a tokenizer's chat template, or Alpaca's where it has none.

    What is learned is what the assistant says, and the end token after it. Each prompt is encoded
    alone, as it is when the model is asked, and so is each answer: a token never spans the two.

    Args:
        tokenizer: Of the model.
        max_length: Tokens of a sample; what is beyond is cut off.
    """

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        self._tokenizer = tokenizer
        self._template = tokenizer.chat_template or ALPACA_TEMPLATE
        self._max_length = max_length

    def __call__(
        self, conversations: Iterable[Conversation], problems: Problems
    ) -> Iterator[Sample]:
        """Yield a sample for each conversation that leaves something to learn."""
        for group in _groups(self._rendered(conversations, problems), _TOGETHER):
            texts = [text for _, split in group for text, _ in split]
            encoded = iter(encode(self._tokenizer, texts))
            for conversation, split in group:
                sample = self._sample([(next(encoded), target) for _, target in split])
                if any(sample.targets):
                    yield sample
                    continue
                problems.add(
                    conversation.file,
                    conversation.line,
                    "leaves no room for an answer",
                    f"its prompt fills {self._max_length} tokens",
                )

    def _rendered(
        self, conversations: Iterable[Conversation], problems: Problems
    ) -> Iterator[tuple[Conversation, list[tuple[str, bool]]]]:
        """Yield conversations with their parts; what the template refuses is noted."""
        from jinja2 import TemplateError

        for one in conversations:
            try:
                parts = self.parts(one.messages)
            except (TemplateError, TypeError, ValueError) as error:
                kind = "is refused by the model's chat template"
                problems.add(one.file, one.line, kind, first_line(error))
            else:
                yield one, parts

    def _sample(self, parts: list[tuple[list[int], bool]]) -> Sample:
        ids = [token for tokens, _ in parts for token in tokens]
        targets = [target for tokens, target in parts for _ in tokens]
        limit = self._max_length
        return Sample(ids[:limit], targets[:limit], truncated=len(ids) > limit)

    def parts(self, messages: list[dict[str, str]]) -> list[tuple[str, bool]]:
        """Return the text of a conversation in parts, each with whether it is to be learned.

        Raises:
            TrainingError: the template does not begin an answer as it asks for one.
        """
        done, parts = "", list[tuple[str, bool]]()
        for number, message in enumerate(messages):
            if message["role"] != "assistant" or not message["content"].strip():
                continue
            asked = self._render(messages[:number], ask=True)
            said = self._render(messages[: number + 1], ask=False)
            if not (asked.startswith(done) and said.startswith(asked)):
                msg = (
                    "the tokenizer's chat template writes earlier messages anew, so that what is "
                    "to be learned can't be told apart; remove it from the folder, and Alpaca's "
                    "format is used"
                )
                raise TrainingError(msg)
            parts += [(asked[len(done) :], False), (self._with_end(said[len(asked) :]), True)]
            done = said
        return parts

    def _with_end(self, answer: str) -> str:
        """Return an answer with an end token: models that never see one never stop."""
        end = str(self._tokenizer.eos_token or "")
        return answer if end in answer else answer + end

    def _render(self, messages: list[dict[str, str]], *, ask: bool) -> str:
        text: str = self._tokenizer.apply_chat_template(
            messages, chat_template=self._template, tokenize=False, add_generation_prompt=ask
        )
        return text


def encode_texts(
    files: list[Path], encoding: str | None, tokenizer: Any, max_length: int, problems: Problems
) -> Iterator[Sample]:
    """Yield plain text in blocks of ``max_length`` tokens; all are targets but a block's first.

    Each file is a document, with a start token before it where the model has one and an end token
    after it; its last block is as short as it comes.
    """
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    for file in files:
        text = read_text(file, encoding, problems)
        if text is None:
            continue
        waiting = [] if begin is None else [begin]
        for stretch in _stretches(text):
            (ids,) = encode(tokenizer, [stretch])
            waiting += ids
            while len(waiting) > max_length:
                yield _block(waiting[:max_length])
                waiting = waiting[max_length:]
        waiting += [] if end is None else [end]
        for at in range(0, len(waiting), max_length):
            if len(waiting) - at > 1:
                yield _block(waiting[at : at + max_length])


def _block(ids: list[int]) -> Sample:
    return Sample(ids, [False] + [True] * (len(ids) - 1))


def _stretches(text: str) -> Iterator[str]:
    """Yield a text in pieces of whole lines: a tokenizer's memory grows with what it is given."""
    begin = 0
    while begin < len(text):
        end = text.rfind("\n", begin, begin + _STRETCH) + 1 if len(text) > begin + _STRETCH else 0
        yield text[begin : end or begin + _STRETCH]
        begin = end or begin + _STRETCH


def encode(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    """Return the tokens of texts that hold their special tokens already."""
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    return ids


def encode_conversations(
    files: list[Path], encoding: str | None, tokenizer: Any, max_length: int, problems: Problems
) -> Iterator[Sample]:
    """Yield a sample for each conversation of JSON files."""
    read = read_conversations(files, encoding, problems)
    yield from ConversationEncoder(tokenizer, max_length)(read, problems)


def _groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    waiting = iter(items)
    while group := list(islice(waiting, size)):
        yield group
