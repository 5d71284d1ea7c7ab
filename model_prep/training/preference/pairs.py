"""Preference pairs, read from TRL's, LLaMA-Factory's and ShareGPT's formats."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_prep.json_file import is_encodable
from model_prep.training.conversations import LISTS, read_messages
from model_prep.training.dataset_files import Problems, read_objects

PAIR_FORMATS = (
    '{"prompt": …, "chosen": …, "rejected": …}, the prompt as text or as messages, or '
    '"instruction" or "conversations" in its place'
)
_CARRIED = ("system", "tools", "functions")

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
    answers = [value.get(name, value.get(f"{name}_messages")) for name in ("chosen", "rejected")]
    ranked = value.get("output")
    if isinstance(ranked, list) and len(ranked) == 2:  # LLaMA-Factory's earlier format
        answers = ranked
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
    carried = {name: value[name] for name in _CARRIED if name in value}
    prompt = value.get("prompt", value.get("question"))
    named = next((name for name in LISTS if isinstance(value.get(name), list)), None)
    if isinstance(prompt, list) or (prompt is None and isinstance(answer, list)):
        named, before = "messages", prompt or []
    elif isinstance(prompt, str):
        named, before = "messages", [{"role": "user", "content": prompt}]
    elif named:
        before = value[named]
    else:
        parts = {name: value.get(name) for name in ("input", "history") if value.get(name)}
        instruction = value.get("instruction")
        return read_messages({**carried, "instruction": instruction, **parts, "output": answer})
    turns = _answer_turns(answer)
    if turns is None:
        return "chosen and rejected are neither texts nor messages"
    if turns and str(turns[0].get("role")) in {"user", "system"}:
        before = []  # the whole conversation, its prompt included
    return read_messages({**carried, named: [*before, *turns]})


def _answer_turns(answer: Any) -> list[dict[str, Any]] | None:
    """Return an answer as messages."""
    if isinstance(answer, str):
        return [{"role": "assistant", "content": answer}]
    turns = [answer] if isinstance(answer, dict) else answer
    is_list = isinstance(turns, list) and all(isinstance(turn, dict) for turn in turns)
    return turns if is_list else None
