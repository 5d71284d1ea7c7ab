"""One item of instruction data, and what makes one unfit to be kept."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from json import dumps
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
_CHOICE = 10
"""Characters up to which an answer may be words of the question."""
_LONG, _RUN, _LEAST_NEW = 100, 6, 0.4
"""Characters of a text that can repeat itself and of a run of it; share of new runs."""


@dataclass(frozen=True)
class Item:
    """An instruction, the material that it works on, and the answer: Alpaca's format."""

    instruction: str
    input: str
    output: str

    @property
    def asked(self) -> str:
        """Everything that the model is shown."""
        return f"{self.instruction}\n{self.input}" if self.input else self.instruction

    def line(self) -> str:
        """Return the item as a line of JSONL."""
        return dumps(asdict(self), ensure_ascii=False) + "\n"


def read_item(value: Mapping[str, Any]) -> Item | None:
    """Return the item that a JSON object holds; other keys are dropped.

    Returns:
        None where a text is missing or no string; ``input`` may be left out, or be null.
    """
    texts = [value.get("instruction"), value.get("input") or "", value.get("output")]
    if not all(isinstance(text, str) for text in texts):
        return None
    instruction, given, output = (str(text).strip() for text in texts)
    return Item(instruction, "" if given.strip("。.()（）").lower() in _NOTHING else given, output)


def fault_of(item: Item) -> str | None:
    """Return why an item is not worth keeping, in a few words; None where it is."""
    for name, text in asdict(item).items():
        fault = _fault_of_text(text, *_LIMITS[name])
        if fault:
            return f"{name} {fault}"
    if _says_nothing(item):
        return "output says nothing"
    if _repeats_itself(item.output):
        return "output repeats itself"
    if _REFUSAL.search(item.output) or _REFUSAL.search(item.instruction):
        return "refusal, or talk about being an AI"
    return None


def _fault_of_text(text: str, least: int, most: int) -> str | None:
    if len(text) < least:
        return "empty or too short"
    if len(text) > most:
        return "too long"
    return None if all(map(_is_readable, text)) else "unreadable"


def _is_readable(char: str) -> bool:
    """Return whether a character can be written as UTF-8 and is no control character."""
    is_control = char < " " and char not in "\n\t\r"
    return not (is_control or char == "\ufffd" or "\ud800" <= char <= "\udfff")


def _says_nothing(item: Item) -> bool:
    # A short one can be a choice among several: "good or bad?"
    copied = item.output in item.instruction and len(item.output) >= _CHOICE
    equal = item.output in (item.instruction, item.input)
    return copied or equal or bool(_PLACEHOLDER.fullmatch(item.output))


def _repeats_itself(text: str) -> bool:
    """Return whether a model got stuck: few of the runs of characters are new."""
    text = _NUMBERING.sub("", text)
    runs = [text[at : at + _RUN] for at in range(len(text) - _RUN + 1)]
    return len(text) >= _LONG and len(set(runs)) < _LEAST_NEW * len(runs)
