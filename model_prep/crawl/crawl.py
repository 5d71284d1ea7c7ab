"""The crawl: requests for instruction data until the file holds as much as wanted."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

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
from model_prep.progress import CountProgress

_Reply = TypeVar("_Reply")
PairsMade = Coroutine[object, object, list[RefusalPair] | str]


def crawl(
    options: CrawlOptions,
    *,
    report: CrawlReport | None = None,
    progress: CountProgress | None = None,
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
        _begin(report, options, file, note)
        # With the number of items, so that a crawl that goes on draws other prompts than before.
        seed = None if options.seed is None else f"{options.seed} {len(file.items)}"
        prompts = PromptSampler(topics, tasks, read_list(CONSTRAINTS), seed)
        progress(report.total, options.count)
        if kept.missing > 0:
            client = Client(options, report, note, sleep)
            asyncio.run(_ask(client, prompts, kept, options, progress))
    return report


def _begin(report: CrawlReport, options: CrawlOptions, file: ItemsFile[Any], note: Note) -> None:
    report.output, report.wanted = str(options.output), options.count
    report.at_start, report.cut_off = len(file.items), file.cut_off
    report.price_in, report.price_out = options.price_in, options.price_out
    if file.cut_off:
        note(f"cut {file.cut_off} bytes of a half line off {options.output}")


def _crawl_pairs(
    options: CrawlOptions,
    passages_file: Path,
    report: CrawlReport,
    progress: CountProgress,
    note: Note,
    sleep: Sleep,
) -> CrawlReport:
    """Make preference pairs until the file holds as many as wanted, or nothing is left to ask."""
    passages = read_passages(passages_file)
    own = read_own_questions(options.questions, options.split) if options.questions else None
    with open_lines(options.output, PAIRS) as file:
        _begin(report, options, file, note)
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
    progress: CountProgress,
) -> None:
    replies = _replies(lambda: next(waiting, None), options.concurrency)
    async with aclosing(client), aclosing(replies):
        async for made in replies:
            if isinstance(made, str):
                report.rejected[made] += 1
                continue
            file.append(made)
            report.kept += len(made)
            progress(report.total, options.count)
            if report.total >= options.count:
                return


async def _ask(
    client: Client,
    prompts: PromptSampler,
    kept: ItemFilter,
    options: CrawlOptions,
    progress: CountProgress,
) -> None:
    """Keep requests going, no more than what is missing may need, until nothing is missing."""
    asked: list[Prompt] = []
    """Those without a reply yet."""

    async def reply_to(prompt: Prompt) -> tuple[Prompt, str | None]:
        return prompt, await client.ask(prompt)

    def draw() -> Coroutine[object, object, tuple[Prompt, str | None]] | None:
        items = min(options.items, kept.missing - sum(len(prompt.lines) for prompt in asked))
        if items <= 0:
            return None
        asked.append(prompts.draw(items))
        return reply_to(asked[-1])

    replies = _replies(draw, options.concurrency)
    async with aclosing(client), aclosing(replies):
        async for prompt, reply in replies:
            asked.remove(prompt)
            kept.take(reply, prompt)
            progress(options.count - kept.missing, options.count)
            if kept.missing <= 0:
                return


async def _replies(
    draw: Callable[[], Coroutine[object, object, _Reply] | None], concurrency: int
) -> AsyncGenerator[_Reply]:
    """Yield what requests come to, as many of them at a time as may be.

    Args:
        draw: Makes the next request; None where there is none to be made now.
        concurrency: The most at a time.
    """
    pending: set[asyncio.Task[_Reply]] = set()
    try:
        while True:
            while len(pending) < concurrency and (request := draw()):
                pending.add(asyncio.create_task(request))
            if not pending:
                return
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            # Good replies before the error that another one may have ended with.
            for task in sorted(done, key=lambda task: task.exception() is not None):
                yield task.result()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
