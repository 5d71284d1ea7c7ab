"""The filter of items: faults, near-duplicates, copies of the prompt."""

from collections import Counter
from collections.abc import Sequence

from model_prep.crawl.items import Item, find_objects, read_item
from model_prep.crawl.prompts import EXAMPLES, Prompt
from model_prep.crawl.report import CrawlReport
from model_prep.crawl.settings import CrawlOptions
from model_prep.crawl.store import ItemsFile
from model_prep.errors import CrawlError

_MOST_EMPTY_REPLIES = 10
"""Replies in a row that give nothing, after which it makes no sense to go on."""


def is_similar(text: str, others: Sequence[str], similarity: float) -> bool:
    """Return whether the ROUGE-L F1 (Lin 2004) of a text and another reaches a similarity.

    On characters, that is 2·LCS / (m + n): the length of their longest common subsequence against
    their own lengths, and one minus the normalized Indel distance, which rapidfuzz computes
    bit-parallel.

    Raises:
        CrawlError: rapidfuzz is not installed.

    Example:
        >>> is_similar("abxdefgh", ["abcdef"], 0.7)
        True
    """
    try:
        from rapidfuzz import process
        from rapidfuzz.distance import Indel
    except ImportError as error:
        raise CrawlError("crawl needs rapidfuzz; run: pip install 'rag-app[train]'") from error
    compare = Indel.normalized_similarity
    return process.extractOne(text, others, scorer=compare, score_cutoff=similarity) is not None


class ItemFilter:
    """Keeps the good items of replies.

    Raises:
        CrawlError: rapidfuzz is not installed.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from model_prep.crawl.store import open_items
        >>> reply = '[{"instruction": "Add 1 and 2.", "output": "3"}, {"instruction": "Sing."}]'
        >>> report = CrawlReport()
        >>> with TemporaryDirectory() as folder, open_items(Path(folder) / "out.jsonl") as file:
        ...     kept = ItemFilter(file, report, CrawlOptions(Path(folder), count=9))
        ...     kept.take(reply, Prompt(()))
        >>> report.kept, dict(report.rejected)
        (1, {'a text is missing': 1})
    """

    def __init__(self, file: ItemsFile[Item], report: CrawlReport, options: CrawlOptions) -> None:
        self._file, self._report, self._options = file, report, options
        self._prompts = [item.prompt for item in [*EXAMPLES.values(), *file.items]]
        self._is_similar("", [])  # where rapidfuzz is missing it fails now, before any request
        self._empty_replies: list[Counter[str]] = []

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
        self._empty_replies = [] if items else [*self._empty_replies, rejected]
        if len(self._empty_replies) >= _MOST_EMPTY_REPLIES:
            reasons = sum(self._empty_replies, Counter[str]()).most_common()
            listed = ", ".join(f"{count} × {reason}" for reason, count in reasons)
            raise CrawlError(
                f"{_MOST_EMPTY_REPLIES} replies in a row gave nothing to keep ({listed}); try "
                "another --model, more --topics, fewer --items, or a higher --max-tokens or "
                "--similarity"
            )

    def _sorted(self, reply: str | None, prompt: Prompt) -> tuple[list[Item], Counter[str]]:
        """Return the items to keep, and how many others there were, by reason."""
        if reply is None:
            return [], Counter({"prompt refused by the server": 1})
        found = find_objects(reply)
        rejected = Counter({"broken or cut off": found.broken} if found.broken else {})
        items: list[Item] = []
        for value in found.objects:
            item = read_item(value)
            fault = self._fault(item, prompt, items) if item else "a text is missing"
            if item and not fault:
                items.append(item)
                self._prompts.append(item.prompt)
            else:
                rejected[str(fault)] += 1
        if not found.objects and not found.broken:
            rejected["reply without items"] += 1
        return items, rejected

    def _fault(self, item: Item, prompt: Prompt, items: list[Item]) -> str | None:
        if item.fault:
            return item.fault
        if self._is_similar(item.prompt, prompt.echoes):
            return "prompt copied"
        if self._is_similar(item.prompt, self._prompts):
            return "duplicate"
        return "more than wanted" if len(items) >= self.missing else None

    def _is_similar(self, text: str, others: Sequence[str]) -> bool:
        return is_similar(text, others, self._options.similarity)
