"""Preference pairs, read from the formats of TRL, ms-swift and others, and as tokens.

Also LLaMA-Factory's and ShareGPT's. Of a pair two samples are made, one of each answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_prep.errors import first_line
from model_prep.json_file import is_encodable
from model_prep.training.conversations import COLUMNS, LISTS, QUESTION, read_messages
from model_prep.training.dataset_files import Problems, read_objects
from model_prep.training.encoding import IGNORED, Sample, encode, parts_of, sample_of

PAIR_FORMATS = (
    '{"prompt": …, "chosen": …, "rejected": …}, the prompt as text or as messages, or '
    '"instruction" or "conversations" in its place'
)
_ANSWERS = ("{}", "{}_messages", "response_{}", "{}_response")
"""What chosen and rejected answers are called."""

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class PreferencePair:
    """A prompt with an answer that is preferred to another one.

    Example:
        >>> asked = [{"role": "user", "content": "李白是谁？"}]
        >>> PreferencePair(asked, "唐代诗人。", "不知道。", Path("pairs.jsonl"), line=1).chosen
        '唐代诗人。'
    """

    prompt: Messages
    """``role`` and ``content``; the last is the user's."""
    chosen: str
    rejected: str
    file: Path
    line: int


def read_pairs(
    files: list[Path], encoding: str | None, problems: Problems
) -> Iterator[PreferencePair]:
    """Yield the pairs of files; anything else is noted and left out."""
    for file in files:
        for line, value in read_objects(file, encoding, problems):
            pair = _pair(value, file, line)
            if isinstance(pair, str):
                problems.add(file, line, pair)
            else:
                yield pair


def _pair(value: dict[str, Any], file: Path, line: int) -> PreferencePair | str:
    """Return the pair of an object, or what is wrong with it."""
    answers = [
        next(
            (value[key] for name in _ANSWERS if value.get(key := name.format(side)) is not None),
            None,
        )
        for side in ("chosen", "rejected")
    ]
    ranked = value.get("output")
    if isinstance(ranked, list) and len(ranked) == 2:  # LLaMA-Factory's earlier format
        answers = ranked
    elif answers[0] is None and answers[1] is not None:  # ms-swift's: one beside the preferred
        own = read_messages(value)
        if isinstance(own, str):
            return own
        value, answers[0] = {"messages": own[:-1]}, own[-1:]
    if any(answer is None for answer in answers):
        return "has no chosen and rejected answer"
    read = [_conversation(value, answer) for answer in answers]
    chosen, rejected = read
    if isinstance(chosen, str) or isinstance(rejected, str):
        return chosen if isinstance(chosen, str) else str(rejected)
    good, bad = chosen[-1]["content"], rejected[-1]["content"]
    return _fault(chosen, rejected) or PreferencePair(chosen[:-1], good, bad, file, line)


def _fault(chosen: Messages, rejected: Messages) -> str | None:
    """Return what is wrong with two conversations as a pair; None where nothing is."""
    if chosen[:-1] != rejected[:-1]:
        return "chosen and rejected answer different prompts"
    if not all(is_encodable(message["content"]) for message in [*chosen, rejected[-1]]):
        return "holds half a character, or a byte that is not text"
    if not all(messages[-1]["content"].strip() for messages in (chosen, rejected)):
        return "chosen or rejected is empty"
    return "chosen and rejected are the same" if chosen == rejected else None


def _conversation(value: dict[str, Any], answer: Any) -> Messages | str:
    """Return the messages of a prompt and one of its answers, or what is wrong with them."""
    turns = _answer_turns(answer)
    if turns is None:
        return "chosen and rejected are neither texts nor messages"
    before = _prompt(value)
    is_whole = turns and str(turns[0].get("role")) in {"user", "system"}
    if is_whole or (isinstance(before, str) and isinstance(answer, list)):
        before = []  # the answer has the prompt too
    if isinstance(before, str):
        return before
    carried = (*COLUMNS["system"], *COLUMNS["tools"])
    held = {name: value[name] for name in carried if name in value}
    return read_messages({**held, "messages": [*before, *turns]})


def _prompt(value: dict[str, Any]) -> list[Any] | str:
    """Return the messages that both answers answer, or what is wrong with them."""
    lists = (value.get(name) for name in (*QUESTION, *LISTS))
    listed = next((turns for turns in lists if isinstance(turns, list)), None)
    if listed is not None and not any(isinstance(value.get(name), str) for name in QUESTION):
        return listed
    asked = {name: value[name] for name in (*COLUMNS["prompt"], "history") if value.get(name)}
    messages = read_messages({**asked, "output": "…"})
    return messages if isinstance(messages, str) else messages[:-1]


def _answer_turns(answer: Any) -> list[dict[str, Any]] | None:
    """Return an answer as messages."""
    if isinstance(answer, str):
        return [{"role": "assistant", "content": answer}]
    turns = [answer] if isinstance(answer, dict) else answer
    is_list = isinstance(turns, list) and all(isinstance(turn, dict) for turn in turns)
    return turns if is_list else None


def encode_pairs(
    files: list[Path], encoding: str | None, tokenizer: Any, max_length: int, problems: Problems
) -> Iterator[Sample]:
    """Yield two samples for each pair: its prompt with the chosen, and with the rejected answer.

    Only the answers have labels, with the end token after them; earlier answers of the assistant
    belong to the prompt.

    Args:
        files: JSON and JSON Lines.
        encoding: The encoding of the files, where it is not one of the usual ones.
        tokenizer: Its chat template is used, or Alpaca's where it has none.
        max_length: Tokens of a sample; what is beyond is cut off.
        problems: Pairs that the template refuses or that have no room are noted here.
    """
    from jinja2 import TemplateError

    for pair in read_pairs(files, encoding, problems):
        try:
            samples = [
                _sample(pair.prompt, answer, tokenizer, max_length)
                for answer in (pair.chosen, pair.rejected)
            ]
        except (TemplateError, TypeError, ValueError) as error:
            kind = "is refused by the model's chat template"
            problems.add(pair.file, pair.line, kind, first_line(error))
            continue
        chosen, rejected = samples
        if chosen.ids != rejected.ids and all(map(_has_labels, samples)):
            yield from samples
        else:
            kind, detail = "leaves no room for its answers", f"in {max_length} tokens"
            problems.add(pair.file, pair.line, kind, detail)


def _sample(prompt: Messages, answer: str, tokenizer: Any, max_length: int) -> Sample:
    parts = parts_of([*prompt, {"role": "assistant", "content": answer}], tokenizer)[-1]
    encoded = encode(tokenizer, [text for text, _ in parts])
    last = len(parts) - 1
    return sample_of([(ids, number == last) for number, ids in enumerate(encoded)], max_length)


def _has_labels(sample: Sample) -> bool:
    return any(label != IGNORED for label in sample.labels)
