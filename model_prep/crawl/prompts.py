"""Prompts for instruction data: topics × kinds of task with constraints, drawn at random."""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from model_prep.crawl.items import Item
from model_prep.errors import UsageError

_RULES = """\
你是编写中文指令数据的专家。用户每次给出若干行“题材：任务（要求）”，
你为每一行写一条数据，是一个 JSON 对象：
- instruction：一个人向助手提出的任务，围绕这一行的题材，写出具体的事情，不能照抄这一行的文字；
- input：要翻译、改写、概括或分析的原文，必须完整地写出来；任务不需要原文时写 ""；
- output：助手对任务的回答，正确、完整，不是把 input 重复一遍。
各条的句式和内容都要不同，只用文字就能完成。只输出 {"items": [数据, 数据, …]}，不加任何说明。\
"""
_REQUEST = "请写 {count} 条：\n{lines}"

EXAMPLES = {
    ("园艺与阳台种菜", "说出自己的处境，征求建议", "回答分成三点"): Item(
        "我家阳台朝北，每天只有两三个小时能晒到太阳，可以种哪些菜？",
        "",
        "1. 叶菜，如生菜、菠菜和小白菜，半阴的地方也能长好。\n"
        "2. 葱、韭菜和薄荷，需要的光不多，还可以剪了再长。\n"
        "3. 各种芽苗菜，几乎不用晒太阳，一周左右就能吃。",
    ),
    ("职场沟通", "改写给出的一段话，换一种语气", "任务不超过十五个字"): Item(
        "把这句话改得委婉一些。",
        "你交上来的表格错得一塌糊涂，赶紧重做。",
        "表格里有几处数据可能需要再核对一下，麻烦您抽空调整后重新发给我，谢谢。",
    ),
    ("铁路与航空", "解一道有具体数字的应用题", "没有别的要求"): Item(
        "一列货车每小时行驶 60 千米，3 小时 30 分钟能走多远？",
        "",
        "3 小时 30 分钟是 3.5 小时，60 × 3.5 = 210，所以能走 210 千米。",
    ),
}
"""By their line of a prompt. They are shown to the model; a copy of one is a duplicate."""

TOPICS = Path(__file__).with_name("topics.txt")
TASKS = Path(__file__).with_name("tasks.txt")
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
_MOST_BYTES = 4_000_000
_LONGEST = 200
"""Characters of a line: each goes into a prompt as it is."""


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
            {"role": "system", "content": _RULES},
            {"role": "user", "content": _request(list(EXAMPLES))},
            {"role": "assistant", "content": json.dumps({"items": items}, ensure_ascii=False)},
            {"role": "user", "content": _request(self.lines)},
        ]

    @property
    def echoes(self) -> list[str]:
        """What a model writes that makes no item of a line but copies it."""
        pairs = [(task, f"{task}，{constraint}") for _, task, constraint in self.lines]
        return [text for pair in pairs for text in pair]


class PromptSampler:
    """Draws prompts.

    Args:
        topics: What items can be about.
        tasks: What items can ask for.
        constraints: How an item shall be.
        seed: The same seed draws the same prompts.

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
    return _REQUEST.format(count=len(drawn), lines="\n".join(lines))


def read_list(file: Path) -> list[str]:
    """Return the lines of a UTF-8 file, each once; blank lines are passed over.

    Raises:
        UsageError: the file is missing, empty, or no such text.
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
