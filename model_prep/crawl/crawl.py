"""The crawl: requests for instruction data until the file holds as much as wanted."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing
from itertools import islice
from pathlib import Path

from model_prep.crawl.client import Client, Note, Sleep
from model_prep.crawl.filter import ItemFilter
from model_prep.crawl.prompts import CONSTRAINTS, TASKS, TOPICS, Prompt, PromptSampler, read_list
from model_prep.crawl.refusals import (
    PAIRS,
    RefusalPair,
    drawn,
    drawn_questions,
    pairs_about,
    pairs_of,
    read_own_questions,
    read_passages,
)
from model_prep.crawl.report import CrawlReport
from model_prep.crawl.settings import CrawlOptions
from model_prep.crawl.store import ItemsFile, open_items, open_lines

PairsMade = Coroutine[object, object, list[RefusalPair] | str]


def crawl(
    options: CrawlOptions,
    *,
    report: CrawlReport | None = None,
    progress: Callable[[int, int], None] | None = None,
    note: Note | None = None,
    sleep: Sleep = asyncio.sleep,
) -> CrawlReport:
    """Ask for items until the file holds as many as wanted; those that are there count.

    With ``options.passages`` they are preference pairs; see `model_prep.crawl.refusals`.

    Every reply's items are on the disk before the next is looked at, so that a crawl can be ended
    at any moment: the same call goes on.

    Args:
        options: What to ask, and whom.
        report: Is filled in as it goes: for a caller that wants it although this raises.
        progress: Called with the items that there are and that are wanted.
        note: Called with messages, a line each.
        sleep: How to wait before a request is sent again.

    Raises:
        UsageError: a list of topics or tasks can't be used.
        OutputError: the file holds something else, can't be written, or another crawl writes it.
        DiskSpaceError: the disk is full.
        CrawlError: the API refuses, does not answer, or gives nothing that can be kept.
    """
    report = report if report is not None else CrawlReport()
    progress, note = progress or (lambda *_: None), note or (lambda _: None)
    if options.passages is not None:
        return _crawl_pairs(options, options.passages, report, progress, note, sleep)
    topics = read_list(options.topics or TOPICS)
    tasks = read_list(options.tasks or TASKS)
    with open_items(options.output) as file:
        kept = ItemFilter(file, report, options)
        report.output, report.wanted = str(options.output), options.count
        if file.cut_off:
            note(f"cut {file.cut_off} bytes of a half line off {options.output}")
        report.at_start, report.cut_off = len(file.items), file.cut_off
        report.price_in, report.price_out = options.price_in, options.price_out
        # With the number of items, so that a crawl that goes on draws other prompts than before.
        seed = None if options.seed is None else f"{options.seed} {len(file.items)}"
        prompts = PromptSampler(topics, tasks, read_list(CONSTRAINTS), seed)
        progress(report.total, options.count)
        if kept.missing > 0:
            client = Client(options, report, note, sleep)
            asyncio.run(_ask(client, prompts, kept, options, progress))
    return report


def _crawl_pairs(
    options: CrawlOptions,
    passages_file: Path,
    report: CrawlReport,
    progress: Callable[[int, int], None],
    note: Note,
    sleep: Sleep,
) -> CrawlReport:
    """Make preference pairs until the file holds as many as wanted, or nothing is left to ask."""
    passages = read_passages(passages_file)
    own = read_own_questions(options.questions, options.split) if options.questions else None
    with open_lines(options.output, PAIRS) as file:
        report.output, report.wanted = str(options.output), options.count
        report.at_start, report.cut_off = len(file.items), file.cut_off
        report.price_in, report.price_out = options.price_in, options.price_out
        done = {pair.passage for pair in file.items}
        progress(report.total, options.count)
        if report.total < options.count:
            client = Client(options, report, note, sleep)
            waiting: Iterator[PairsMade]
            if own is None:
                texts = drawn(passages, done, options.seed)
                waiting = (pairs_of(text, passages, client) for text in texts)
            else:
                questions = drawn_questions(own, done, options.seed)
                waiting = (pairs_about(question, passages, client) for question in questions)
            asyncio.run(_ask_pairs(client, waiting, file, options, report, progress))
    if report.total < options.count:
        left = f"no passage is left: {passages_file}"
        if own is not None:
            left = f"no question is left: {options.questions}"
        note(f"{left} gave {report.total:,} pairs")
    return report


async def _ask_pairs(
    client: Client,
    waiting: Iterator[PairsMade],
    file: ItemsFile[RefusalPair],
    options: CrawlOptions,
    report: CrawlReport,
    progress: Callable[[int, int], None],
) -> None:
    pending: set[asyncio.Task[list[RefusalPair] | str]] = set()
    async with aclosing(client):
        try:
            while report.total < options.count:
                for pairs in islice(waiting, options.concurrency - len(pending)):
                    pending.add(asyncio.create_task(pairs))
                if not pending:
                    break
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=lambda task: task.exception() is not None):
                    made = task.result()
                    if isinstance(made, str):
                        report.rejected[made] += 1
                        continue
                    file.append(made)
                    report.kept += len(made)
                    progress(report.total, options.count)
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)


async def _ask(
    client: Client,
    prompts: PromptSampler,
    kept: ItemFilter,
    options: CrawlOptions,
    progress: Callable[[int, int], None],
) -> None:
    """Keep requests going, no more than what is missing may need, until nothing is missing."""
    pending: dict[asyncio.Task[str | None], Prompt] = {}
    async with aclosing(client):
        try:
            while kept.missing > 0:
                while len(pending) < options.concurrency:
                    expected = sum(len(prompt.lines) for prompt in pending.values())
                    items = min(options.items, kept.missing - expected)
                    if items <= 0:
                        break
                    prompt = prompts.draw(items)
                    pending[asyncio.create_task(client.ask(prompt))] = prompt
                done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                # Good replies before the error that another one may have ended with.
                for task in sorted(done, key=lambda task: task.exception() is not None):
                    kept.take(task.result(), pending.pop(task))
                    progress(options.count - kept.missing, options.count)
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
