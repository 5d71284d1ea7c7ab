"""Prompts for instruction data: topics × kinds of task with constraints, drawn at random."""

import json
import random
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from model_prep.crawl.items import Item
from model_prep.errors import UsageError

_TEXTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
EXAMPLES = {tuple(example.pop("line")): Item(**example) for example in _TEXTS["examples"]}
"""By their line of a prompt. They are shown to the model; a copy of one is a duplicate."""
TOPICS = Path(__file__).with_name("topics.txt")
TASKS = Path(__file__).with_name("tasks.txt")
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
_MOST_BYTES = 4_000_000
_ITEM_TOKENS = 250
_MOST_TOKENS = 4000  # that are asked for without `--max-tokens`: most servers allow so many
_LONGEST = 200  # characters of a line: each goes into a prompt as it is


@dataclass(frozen=True)
class Prompt:
    """A request for as many items as it has lines.

    Example:
        >>> print(Prompt((("天文", "写一首诗", "不超过二十个字"),)).messages[-1]["content"])
        请写 1 条：
        1. 天文：写一首诗（不超过二十个字）
    """

    lines: tuple[tuple[str, str, str], ...]
    """Topic, kind of task and constraint of each item."""

    @property
    def messages(self) -> list[dict[str, str]]:
        """The chat; what all requests have in common comes first, for servers that keep it."""
        items = [asdict(item) for item in EXAMPLES.values()]
        return [
            {"role": "system", "content": _TEXTS["rules"]},
            {"role": "user", "content": _request(list(EXAMPLES))},
            {"role": "assistant", "content": json.dumps({"items": items}, ensure_ascii=False)},
            {"role": "user", "content": _request(self.lines)},
        ]

    as_json = True
    """The server is asked for JSON."""

    @property
    def max_tokens(self) -> int:
        """The token limit of the reply."""
        return min(_ITEM_TOKENS * len(self.lines) + 200, _MOST_TOKENS)

    @property
    def echoes(self) -> list[str]:
        """What a model writes that makes no item of a line but copies it."""
        pairs = [(task, f"{task}，{constraint}") for _, task, constraint in self.lines]
        return [text for pair in pairs for text in pair]


@dataclass(frozen=True)
class TextPrompt:
    """A request for plain text.

    Example:
        >>> TextPrompt([{"role": "user", "content": "李白是谁？"}]).as_json
        False
    """

    messages: list[dict[str, str]]
    max_tokens: int = 200
    """The token limit of the reply."""
    as_json = False


class PromptSampler:
    """Draws prompts.

    Example:
        >>> PromptSampler(["天文"], ["写一首诗"], ["押韵"]).draw(2).lines[1]
        ('天文', '写一首诗', '押韵')
    """

    def __init__(
        self,
        topics: Sequence[str],
        tasks: Sequence[str],
        constraints: Sequence[str],
        seed: str | None = None,
    ) -> None:
        self._lists = (topics, tasks, constraints)
        self._random = random.Random(seed)  # noqa: S311 - no secret is made

    def draw(self, count: int) -> Prompt:
        """Return a request for ``count`` items."""
        topics, tasks, constraints = (self._draw(names, count) for names in self._lists)
        return Prompt(tuple(zip(topics, tasks, constraints, strict=True)))

    def _draw(self, names: Sequence[str], count: int) -> list[str]:
        """Return ``count`` of them, none twice before each was drawn once."""
        drawn: list[str] = []
        while len(drawn) < count:
            drawn += self._random.sample(names, min(len(names), count - len(drawn)))
        return drawn


def _request(drawn: Sequence[tuple[str, str, str]]) -> str:
    lines = (
        f"{number}. {topic}：{task}（{constraint}）"
        for number, (topic, task, constraint) in enumerate(drawn, 1)
    )
    text: str = _TEXTS["request"]
    return text.format(count=len(drawn), lines="\n".join(lines))


def read_list(file: Path) -> list[str]:
    """Return the lines of a UTF-8 file, each once; blank lines are passed over.

    Raises:
        UsageError: the file is missing, empty, or not a text of this form.
    """
    try:
        if not file.is_file():
            raise _unusable(file, "it is a folder or a device" if file.exists() else "no such file")
        if file.stat().st_size > _MOST_BYTES:
            raise _unusable(file, f"it is larger than {_MOST_BYTES / 1e6:.0f} MB")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _unusable(file, error.strerror or type(error).__name__) from error
    except UnicodeDecodeError as error:
        raise _unusable(file, "it is not UTF-8; save it as UTF-8") from error
    lines = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not lines:
        raise _unusable(file, "it is empty")
    for line in lines:
        if len(line) > _LONGEST or not line.isprintable():
            what = f"longer than {_LONGEST} characters" if line.isprintable() else "no plain text"
            raise _unusable(file, f"a line is {what}: {line[:20]!r}")
    return lines


def _unusable(file: Path, reason: str) -> UsageError:
    return UsageError(f"{file} can't be used ({reason}); write one topic or task on each line")
