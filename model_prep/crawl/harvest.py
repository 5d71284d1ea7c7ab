"""What is kept of replies."""

from collections import Counter

from model_prep.crawl.filter import Texts
from model_prep.crawl.items import Item, fault_of, read_item
from model_prep.crawl.prompts import EXAMPLES, Prompt
from model_prep.crawl.replies import find_objects
from model_prep.crawl.report import Report
from model_prep.crawl.settings import CrawlOptions
from model_prep.crawl.store import ItemsFile
from model_prep.errors import CrawlError

_MOST_BARREN = 10
"""Replies in a row that give nothing, after which it makes no sense to go on."""


class Harvest:
    """Takes what is worth keeping out of replies.

    Args:
        file: Where items go; those that are there are compared with.
        report: Where items are counted.
        options: How many are wanted, and how different.

    Raises:
        CrawlError: rapidfuzz is not installed.
    """

    def __init__(self, file: ItemsFile, report: Report, options: CrawlOptions) -> None:
        self._file, self._report, self._options = file, report, options
        shown = (item.asked for item in [*EXAMPLES.values(), *file.items])
        self._kept = Texts(options.similarity, shown)
        self._barren: list[Counter[str]] = []

    @property
    def missing(self) -> int:
        """Items that are still wanted."""
        return self._options.count - self._report.total

    def take(self, reply: str | None, prompt: Prompt) -> None:
        """Write a reply's good items.

        Raises:
            CrawlError: many replies in a row had none.
        """
        items, rejected = self._sorted(reply, prompt)
        self._report.rejected += rejected
        self._file.append(items)
        self._report.kept += len(items)
        self._barren = [] if items else [*self._barren, rejected]
        if len(self._barren) >= _MOST_BARREN:
            reasons = sum(self._barren, Counter[str]()).most_common()
            listed = ", ".join(f"{number} × {reason}" for reason, number in reasons)
            msg = (
                f"{_MOST_BARREN} replies in a row gave nothing to keep ({listed}); try another "
                "--model, more --topics, fewer --items, or a higher --similarity"
            )
            raise CrawlError(msg)

    def _sorted(self, reply: str | None, prompt: Prompt) -> tuple[list[Item], Counter[str]]:
        """Return the items to keep, and how many others there were, by reason."""
        if reply is None:
            return [], Counter({"prompt refused by the server": 1})
        found = find_objects(reply)
        rejected = Counter({"broken or cut off": found.broken} if found.broken else {})
        echoes = Texts(self._options.similarity, prompt.echoes)
        items: list[Item] = []
        for value in found.objects:
            item = read_item(value)
            fault = self._fault(item, echoes, items) if item else "a text is missing"
            if item and not fault:
                items.append(item)
                self._kept.add(item.asked)
            else:
                rejected[str(fault)] += 1
        if not found.objects and not found.broken:
            rejected["reply without items"] += 1
        return items, rejected

    def _fault(self, item: Item, echoes: Texts, items: list[Item]) -> str | None:
        fault = fault_of(item)
        if fault:
            return fault
        if echoes.hold(item.asked):
            return "prompt copied"
        if self._kept.hold(item.asked):
            return "duplicate"
        return "more than wanted" if len(items) >= self.missing else None
