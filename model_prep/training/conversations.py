"""Conversations to be learned, in the formats of Alpaca, ShareGPT, OpenAI, TRL and others."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from model_prep.json_file import is_encodable
from model_prep.training.dataset_files import Problems, read_objects

_ROLES = {
    "system": "system", "developer": "system", "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant",
}  # fmt: skip
_SYSTEM = ("system", "system_prompt")
LISTS = ("conversations", "messages", "conversation")
"""Keys of a list of messages, or of questions with their answers."""
QUESTION = ("instruction", "prompt", "query", "question", "human", "问题", "指令")
_INPUT = ("input", "输入", "context")
_ALONE = ("input", "输入", "content")
"""What is asked where there is no question: Firefly's and AdvertiseGen's."""
_ANSWER = (
    "output", "response", "completion", "answer", "target", "assistant", "回答", "答案", "输出",
    "summary",
)  # fmt: skip
"""Names of the columns of published data: Alpaca's, TRL's, ms-swift's, Dolly's and so on."""
_BESIDE = (*QUESTION, "options", "choices")
"""Of these a question has one: what stands in another would be lost."""
_TURNS = (("role", "content"), ("from", "value"))
"""Keys of a message's role and text; either kind stands in either list."""
_OF_OBJECTS = ("tools", "functions", "images", "image", "videos", "video", "audios", "audio")
_OF_MESSAGES = ("tool_calls", "function_call", "reasoning_content", "reasoning", "thinking")
"""What else objects and messages may carry: trained without it they would teach something else."""
_LABELS = ("label", "kto_tag")  # true or false next to an answer: is it a good one?
COLUMNS = {
    "prompt": (*QUESTION, *_INPUT, "content"), "query": _INPUT, "response": _ANSWER,
    "messages": LISTS, "system": _SYSTEM, "history": ("history",), "kto_tag": _LABELS,
    "chosen": ("chosen",), "rejected": ("rejected",),
    **dict.fromkeys(("tools", "images", "videos", "audios"), _OF_OBJECTS),
}  # fmt: skip
"""What each column of LLaMA-Factory's may be called in a file."""
TAGS = {
    "role_tag": ("from", "role"), "content_tag": ("value", "content"),
    **{f"{role}_tag": tuple(name for name in _ROLES if _ROLES[name] == role)
       for role in ("system", "user", "assistant")},
}  # fmt: skip
"""The same of what its messages have, and of who says them."""
_WEIGHTS = ("loss_weight", "weight", "train", "training", "loss", "output_with_loss")
"""How much is learned: LLaMA-Factory's, OpenAI's, Axolotl's, ms-swift's and XTuner's names."""
_MOSS = {"Human": "human", "MOSS": "assistant", "Commands": "tools", "Inner Thoughts": "thinking"}
"""What a turn of MOSS's own files has, and what others call that."""
_MOSS_MARKS = re.compile(r"^\s*<\|[^|]+\|>:?\s*|\s*<eo\w>\s*$")
_SPEAKERS = re.compile(r"\s*(?:</s>)?\s*(?:<s>|###) ?(Human|Assistant|System): ?")
"""What separates the turns in a text of Llama-Chinese's or Guanaco's."""
_UNKNOWN = "has not the keys of a known format"
FORMATS = (
    '{"instruction": …, "input": …, "output": …}, {"prompt": …, "completion": …}, '
    '{"conversations": [{"from": …, "value": …}]} '
    'or {"messages": [{"role": …, "content": …}]}'
)


@dataclass(frozen=True)
class Conversation:
    """Messages of which the assistant's are learned.

    Example:
        >>> turns = [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "您好"}]
        >>> Conversation(turns, Path("data.jsonl"), line=1).messages[-1]["role"]
        'assistant'
    """

    messages: list[dict[str, str]]
    """``role`` (system, user, assistant) and ``content``; the last is the assistant's."""
    file: Path
    line: int


def read_conversations(
    files: list[Path], encoding: str | None, problems: Problems
) -> Iterator[Conversation]:
    """Yield the conversations of files; anything else is noted and left out."""
    for file in files:
        for line, value in read_objects(file, encoding, problems):
            messages = read_messages(value)
            if isinstance(messages, str):
                held = ", ".join(name for name in value if value[name] is not None)[:80]
                keys = f"its keys: {held}" if messages == _UNKNOWN else ""
                problems.add(file, line, messages, keys)
            elif not all(is_encodable(message["content"]) for message in messages):
                problems.add(file, line, "holds half a character, or a byte that is not text")
            else:
                yield Conversation(messages, file, line)


def read_messages(value: dict[str, Any]) -> list[dict[str, str]] | str:
    """Return the messages of an object, or what is wrong with it."""
    if isinstance(value.get("chat"), dict):
        value = _from_moss(value)
    if carried := next((name for name in _OF_OBJECTS if value.get(name)), None):
        return f"has {carried}, which are not trained here"
    if _is_pair(value):
        return "has two answers, of which one is preferred: `model-prep prefer` learns from them"
    if any(str(value.get(name)).lower() == "false" for name in _LABELS):
        return "has an answer that is labelled as bad"
    system = next((value[name] for name in _SYSTEM if value.get(name)), "")
    if not isinstance(system, str):
        return "system is not text"
    messages: list[dict[str, str]] | str = _UNKNOWN
    listed, answered = _held(value, LISTS), _held(value, _ANSWER)
    asked = _held(value, QUESTION) or _held(value, _ALONE)
    has_turns = listed and isinstance(value[listed], list) and value[listed]
    is_alpaca = answered == "output" and asked in QUESTION
    if asked and answered and (is_alpaca or not has_turns):
        messages = _single_turn(value, asked, value[answered])
    elif listed:
        messages = _turns(value[listed], listed)
    elif _SPEAKERS.match(text := str(value.get("text")).rstrip().removesuffix("</s>")):
        _, *parts = _SPEAKERS.split(text)
        spoken = zip(parts[::2], parts[1::2], strict=True)
        messages = _turns(
            [{"from": by.lower(), "value": said.strip()} for by, said in spoken], "text"
        )
    if not system.strip() or isinstance(messages, str) or messages[0]["role"] == "system":
        return messages
    return [{"role": "system", "content": system}, *messages]


def _from_moss(value: dict[str, Any]) -> dict[str, Any]:
    """Return MOSS's conversation, ``turn_1`` and so on with marks about each text, as Firefly's."""
    turns = []
    for _, turn in sorted(value["chat"].items(), key=lambda item: (len(item[0]), item[0])):
        if turn is None:  # Parquet has as many turns for all as the longest has
            continue
        items = turn.items() if isinstance(turn, dict) else ()
        texts = {_MOSS[key]: _MOSS_MARKS.sub("", str(text)) for key, text in items if key in _MOSS}
        turns.append({name: "" if text == "None" else text for name, text in texts.items()})
    return {"system": value.get("meta_instruction"), "conversation": turns}


def _is_pair(value: dict[str, Any]) -> bool:
    """Return whether an object has two answers, and no conversation that ends with one."""
    if not (value.get("chosen") and value.get("rejected")) or "output" in value:
        return False
    turns = next((value[name] for name in LISTS if value.get(name)), None)
    last = turns[-1] if isinstance(turns, list) else None
    speaker = last.get("role", last.get("from")) if isinstance(last, dict) else None
    return _ROLES.get(str(speaker)) != "assistant"


def _held(value: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """Return the first of some names that an object has a value for."""
    return next((name for name in names if value.get(name) is not None), None)


def _single_turn(value: dict[str, Any], name: str, answer: Any) -> list[dict[str, str]] | str:
    """Return the messages of a question with its answer: texts, or messages as TRL has them.

    Inputs are part of the question; where there is no instruction, as in Firefly's, all of it.
    """
    asked = value[name]
    if isinstance(asked, list) and isinstance(answer, list):
        return _turns([*asked, *answer], name)
    stated = [name for name in _BESIDE if value.get(name)]
    if len(stated) > 1 and value.get("output") is None:  # Alpaca's has its own input
        return f"has {' and '.join(stated)}, of which only the first would be trained"
    parts = [asked, *(value[key] for key in _INPUT if key != name and value.get(key))]
    if not all(isinstance(text, str) for text in (*parts, answer)):
        return "instruction, input and output are not all text"
    # An input is joined to its instruction with a newline, as the family was trained.
    prompt = "\n".join(part for part in parts if part.strip())
    if not prompt or not answer.strip():
        return "instruction or output is empty"
    turns = _history(value.get("history") or [])
    if turns is None:
        return "history is not a list of questions and answers"
    return [*turns, *_turn(prompt, answer)]


def _history(pairs: Any) -> list[dict[str, str]] | None:
    """Return the messages of earlier questions and answers, None where they are something else."""
    if not isinstance(pairs, list):
        return None
    messages = []
    for pair in pairs:
        is_pair = isinstance(pair, list) and len(pair) == 2
        if not is_pair or not all(isinstance(text, str) and text.strip() for text in pair):
            return None
        messages += _turn(*pair)
    return messages


def _turn(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def _text(content: Any) -> str | None:
    """Return a message's text: one, or parts of which each is one; None where it has others."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    parts = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
    texts = [part.get("text", part.get("value")) for part in parts]
    strings = [text for text in texts if isinstance(text, str)]
    return "".join(strings) if strings and len(strings) == len(content) else None


def _turn_messages(turn: dict[str, Any], name: str) -> list[dict[str, str]] | str:
    """Return a message, those of a question with its answer, or what is wrong with them."""
    role, content = next((keys for keys in _TURNS if turn.get(keys[0])), _TURNS[0])
    if carried := next((key for key in _OF_MESSAGES if turn.get(key)), None):
        return f"has {carried} in a message, which is not trained here"
    is_pair = not turn.get(role) and _held(turn, _ANSWER) and not _held(turn, LISTS)
    speaker = "assistant" if is_pair else _ROLES.get(str(turn.get(role)))
    weights = [turn[key] for key in _WEIGHTS if turn.get(key) is not None]
    if any(weight != (speaker == "assistant") for weight in weights):
        return "weighs its messages, where all answers are learned alike here"
    if is_pair:
        return read_messages(turn)
    text = _text(turn.get(content))
    if speaker is None or text is None:
        return f"a message of {name} has no known {role} or no text in {content}"
    return [{"role": speaker, "content": text}]


def _turns(turns: Any, name: str) -> list[dict[str, str]] | str:
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        return f"{name} is not a list of messages with role and content"
    messages = []
    for turn in turns:
        read = _turn_messages(turn, name)
        if isinstance(read, str):
            return read
        # An empty system message is none: the template may have its own.
        messages += [
            message for message in read if message["role"] != "system" or message["content"].strip()
        ]
    while messages and messages[-1]["role"] != "assistant":
        messages.pop()  # nothing is learned from what comes after the last answer
    speakers = [message["role"] for message in messages if message["role"] != "system"]
    if not speakers or speakers[0] != "user":
        return f"{name} has no answer of the assistant to a user"
    if any(speaker == next_speaker for speaker, next_speaker in pairwise(speakers)):
        return f"user and assistant do not take turns in {name}"
    if not any(turn["content"].strip() for turn in messages if turn["role"] == "assistant"):
        return "the assistant's messages are empty"
    return messages
