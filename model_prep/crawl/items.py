"""Items of instruction data: finding them in a model's replies, and telling good from bad."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

_LIMITS = {"instruction": (4, 1000), "input": (0, 4000), "output": (1, 8000)}
"""Least and most characters of each text."""
_NOTHING = {"无", "无输入", "空", "空字符串", "none", "null", "n/a", "<noinput>", "noinput"}
"""What models write for an input that there is none of."""
_AI = r"\s*(AI|人工智能|(大型?)?语言模型|聊天机器人)\s*((大型?)?语言模型|模型|助手|程序|系统)*"
_REFUSAL = re.compile(
    # Followed by what ends the phrase: an engineer of artificial intelligence may speak.
    rf"(作为|我(只)?是)(一[个名款位])?{_AI}\s*([，,。.！!我]|$)"
    r"|\bas an? (AI|(large )?language model)\b|\bI('m| am) (an AI|a (large )?language model)\b"
    r"|^(很?抱歉|对不起|不好意思)[，,！!。\s]*(但)?我?(们)?(无法|不能|没有办法|没办法)"
    r"|^I('m| am) sorry,? but I (can't|cannot)",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"[\s.…。、,，_\-—*]*|[xX×]{3,}|[<\[【(（]?(此处|这里)?省略.{0,8}")
_NUMBERING = re.compile(r"^\s*\d+\s*[.、)）:：]", re.MULTILINE)
_CHOICE = 10  # characters up to which an answer may be words of the question
_LONG, _RUN, _LEAST_NEW = 100, 6, 0.4
"""Characters of a text that can repeat itself and of a run of it; share of new runs."""

# Control characters inside strings are what models often forget to escape.
_DECODER = json.JSONDecoder(strict=False)
_START = re.compile(r'\{(?=\s*["}])')
_KEY = "instruction"
_MOST_CHARACTERS = 100_000  # characters of a reply that are looked at: more than any model writes


@dataclass(frozen=True)
class Item:
    """An instruction, the material that it works on, and the answer: Alpaca's format.

    Example:
        >>> Item("Write a haiku.", "", "As an AI language model, I ...").fault
        'refusal, or talk about being an AI'
    """

    instruction: str
    input: str
    output: str

    @property
    def prompt(self) -> str:
        """Everything that a model is shown of it."""
        return f"{self.instruction}\n{self.input}" if self.input else self.instruction

    def line(self) -> str:
        """Return the item as a line of JSONL."""
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"

    @property
    def fault(self) -> str | None:
        """Why it is not worth keeping, in a few words; None where it is."""
        for name, text in asdict(self).items():
            if fault := _fault_of_text(text, *_LIMITS[name]):
                return f"{name} {fault}"
        if self._says_nothing():
            return "output says nothing"
        if _repeats_itself(self.output):
            return "output repeats itself"
        if _REFUSAL.search(self.output) or _REFUSAL.search(self.instruction):
            return "refusal, or talk about being an AI"
        return None

    def _says_nothing(self) -> bool:
        # A short one can be a choice among several: "good or bad?"
        copied = self.output in self.instruction and len(self.output) >= _CHOICE
        equal = self.output in (self.instruction, self.input)
        return copied or equal or bool(_PLACEHOLDER.fullmatch(self.output))


def read_item(value: Mapping[str, Any]) -> Item | None:
    """Return the item that a JSON object holds; other keys are dropped.

    Returns:
        None where a text is missing or not a string; ``input`` may be left out, or be null.
    """
    texts = [value.get("instruction"), value.get("input") or "", value.get("output")]
    if not all(isinstance(text, str) for text in texts):
        return None
    instruction, given, output = (str(text).strip() for text in texts)
    return Item(instruction, "" if given.strip("。.()（）").lower() in _NOTHING else given, output)


def _fault_of_text(text: str, least: int, most: int) -> str | None:
    if len(text) < least:
        return "empty or too short"
    if len(text) > most:
        return "too long"
    return None if all(map(_is_readable, text)) else "unreadable"


def _is_readable(char: str) -> bool:
    """Return whether a character can be written as UTF-8 and is not a control character."""
    is_control = char < " " and char not in "\n\t\r"
    return not (is_control or char == "\ufffd" or "\ud800" <= char <= "\udfff")


def _repeats_itself(text: str) -> bool:
    """Return whether a model got stuck: few of the runs of characters are new."""
    text = _NUMBERING.sub("", text)
    runs = [text[at : at + _RUN] for at in range(len(text) - _RUN + 1)]
    return len(text) >= _LONG and len(set(runs)) < _LEAST_NEW * len(runs)


@dataclass(frozen=True)
class FoundObjects:
    """JSON objects of a reply.

    Example:
        >>> found = find_objects('Sure! [{"instruction": "Add 1 and 2.", "output": "3"}, {"instr')
        >>> found.objects[0]["output"], found.broken
        ('3', 0)
    """

    objects: list[dict[str, Any]]
    """Those with an ``instruction``, wherever they are; it need not be a string."""
    broken: int
    """Objects that are not JSON, such as the last one of a reply that was cut off."""


def find_objects(text: str) -> FoundObjects:
    """Find the complete objects in a reply; one that is broken is left out, not repaired."""
    text = text[:_MOST_CHARACTERS]
    objects: list[dict[str, Any]] = []
    broken, end = 0, 0
    start = _START.search(text)
    while start:
        try:
            value, after = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            start = _START.search(text, start.end())
            continue
        objects += _items(value)
        broken += text.count(f'"{_KEY}"', end, start.start())
        end = after
        start = _START.search(text, end)
    return FoundObjects(objects, broken + text.count(f'"{_KEY}"', end))


def _items(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects with an instruction, inside whatever they are wrapped in."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict) and not isinstance(value.get(_KEY, {}), dict | list):
            yield value
        elif isinstance(value, dict | list):
            waiting += reversed(value.values() if isinstance(value, dict) else value)
