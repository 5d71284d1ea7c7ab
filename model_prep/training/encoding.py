"""Training samples as tokens, with the labels of those that are learned."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from model_prep.errors import first_line
from model_prep.inference.chat_template import alternating
from model_prep.tokenizer.loading import ALPACA_TEMPLATE, default_template, start_of
from model_prep.training.conversations import Conversation, read_conversations
from model_prep.training.dataset_files import Problems, read_documents

IGNORED = -100
"""Label of a token that is not learned: that of PyTorch's cross entropy."""
_TOGETHER = 256  # conversations that are tokenized by one call
_STRETCH = 20_000  # characters of plain text that are

Parts = list[tuple[str, bool | None]]
"""The text of a conversation, each part with whether it is learned.

None: an end token that is learned, and that the template does not show.
"""


@dataclass(frozen=True)
class Sample:
    """Tokens of one sample.

    Example:
        >>> Sample(ids=[1, 320, 7, 2], labels=[IGNORED, IGNORED, 7, 2]).truncated
        False
    """

    ids: list[int]
    labels: list[int]
    """For each token itself where it is learned, else -100; see `sample_of`."""
    truncated: bool = False


def encode_conversations(
    files: list[Path], encoding: str | None, tokenizer: Any, max_length: int, problems: Problems
) -> Iterator[Sample]:
    """Yield a sample for each conversation of files that leaves something to learn.

    What is learned is what the assistant says, and the end token after it. Each prompt is encoded
    alone, as it is when the model is asked, and so is each answer: a token never spans the two.
    Where the template shows earlier messages otherwise, each answer has a sample of its own.

    Args:
        files: JSON, JSON Lines or tables.
        encoding: The encoding of the files, where it is not one of the usual ones.
        tokenizer: Its chat template is used, or Alpaca's where it has none.
        max_length: Tokens of a sample; what is beyond is cut off.
        problems: Conversations that the template refuses or that have no room are noted here.
    """
    conversations = read_conversations(files, encoding, problems)
    rendered = _rendered(conversations, tokenizer, problems)
    while group := list(islice(rendered, _TOGETHER)):
        texts = [text for _, parts in group for text, _ in parts]
        encoded = iter(encode(tokenizer, texts))
        for conversation, parts in group:
            sample = sample_of([(next(encoded), learned) for _, learned in parts], max_length)
            if any(label != IGNORED for label in sample.labels):
                yield sample
                continue
            problems.add(
                conversation.file,
                conversation.line,
                "leaves no room for an answer",
                f"its prompt fills {max_length} tokens",
            )


def _rendered(
    conversations: Iterable[Conversation], tokenizer: Any, problems: Problems
) -> Iterator[tuple[Conversation, Parts]]:
    """Yield conversations with the parts of their samples; what the template refuses is noted."""
    from jinja2 import TemplateError

    for conversation in conversations:
        try:
            samples = parts_of(conversation.messages, tokenizer)
        except (TemplateError, TypeError, ValueError) as error:
            kind = "is refused by the model's chat template"
            problems.add(conversation.file, conversation.line, kind, first_line(error))
        else:
            yield from ((conversation, parts) for parts in samples)


def parts_of(messages: list[dict[str, str]], tokenizer: Any) -> list[Parts]:
    """Return a conversation in parts: prompts, and the answers after them, which are learned.

    They are one sample; where the template shows earlier messages otherwise once others follow, as
    Qwen3's leaves out what was thought before earlier answers, a new one begins there. What it
    refuses is told as turns of a user and an assistant, as when the model is asked.

    Raises:
        TemplateError: it refuses those too.
        ValueError: the template does not begin an answer as it asks for one, or leaves out a
            message.
    """
    from jinja2 import TemplateError

    try:
        return _parts_of(messages, tokenizer)
    except TemplateError:
        return _parts_of(alternating(messages), tokenizer)


def _parts_of(messages: list[dict[str, str]], tokenizer: Any) -> list[Parts]:
    samples: list[Parts] = []
    done = ""
    for index, message in enumerate(messages):
        if message["role"] != "assistant" or not message["content"].strip():
            continue
        prompt = _render(messages[:index], tokenizer, add_generation_prompt=True)
        answered = _render(messages[: index + 1], tokenizer, add_generation_prompt=False)
        if not answered.startswith(prompt):
            raise ValueError("it shows an answer differently from how it asks for one")
        if not (samples and prompt.startswith(done)):
            samples.append([])
            done = ""
        answer, end = answered[len(prompt) :], str(tokenizer.eos_token or "")
        _require_shown([message], answer)
        _require_shown(messages[:index], prompt)
        # Models that never see an end token never stop.
        samples[-1] += [(prompt[len(done) :], False), (answer, True)]
        samples[-1] += [] if end in answer else [(end, None)]
        done = answered
    return samples


def _require_shown(messages: list[dict[str, str]], text: str) -> None:
    """Check that messages stand in a text; templates cut their spaces, and what was thought.

    Raises:
        ValueError: one does not.
    """
    for message in messages:
        if message["content"].rpartition("</think>")[2].strip() not in text:
            raise ValueError(f"it leaves out what the {message['role']} says")


def _render(messages: list[dict[str, str]], tokenizer: Any, *, add_generation_prompt: bool) -> str:
    text: str = tokenizer.apply_chat_template(
        messages,
        chat_template=default_template(tokenizer) or ALPACA_TEMPLATE,
        tokenize=False,
        add_generation_prompt=add_generation_prompt,
    )
    return text


def sample_of(parts: list[tuple[list[int], bool | None]], max_length: int) -> Sample:
    """Return the sample of encoded parts, each with whether it is learned, cut to a length.

    A later prompt follows an answer as the template has it: an end token that it does not show
    there is the label of the prompt's first token, which is none itself.

    Example:
        >>> sample_of([([5], False), ([6], True), ([2], None), ([7, 8], False)], 9)
        Sample(ids=[5, 6, 7, 8], labels=[-100, 6, 2, -100], truncated=False)
    """
    ids: list[int] = []
    labels: list[int] = []
    end: list[int] = []
    for tokens, learned in parts:
        if learned is None:
            end = tokens[:1]
            continue
        ids += tokens
        labels += tokens if learned else [*end, *[IGNORED] * len(tokens)][: len(tokens)]
        end = []
    ids, labels = [*ids, *end], [*labels, *end]
    return Sample(ids[:max_length], labels[:max_length], truncated=len(ids) > max_length)


def encode_texts(
    files: list[Path], encoding: str | None, tokenizer: Any, max_length: int, problems: Problems
) -> Iterator[Sample]:
    """Yield plain text in blocks of ``max_length`` tokens; all are learned but a block's first.

    Each file, or each ``text`` of JSON, is a document, with a start token before it where the
    model has one, and an end token after it; its last block is as short as it comes.
    """
    begin = tokenizer.bos_token_id if start_of(tokenizer) else None
    end = tokenizer.eos_token_id
    documents = (text for file in files for text in read_documents(file, encoding, problems))
    for text in documents:
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
    return Sample(ids, [IGNORED, *ids[1:]])


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
