"""Instruction data through an OpenAI-compatible API, until there is as much as wanted."""

import asyncio
from collections.abc import Callable

from model_prep.crawl import lists
from model_prep.crawl.client import Client, Note, Sleep
from model_prep.crawl.harvest import Harvest
from model_prep.crawl.prompts import Prompt, Prompts
from model_prep.crawl.report import Report
from model_prep.crawl.settings import CrawlOptions
from model_prep.crawl.store import open_items


def crawl(
    options: CrawlOptions,
    *,
    report: Report | None = None,
    progress: Callable[[int, int], None] | None = None,
    note: Note | None = None,
    sleep: Sleep = asyncio.sleep,
) -> Report:
    """Ask for items until the file holds as many as wanted; those that are there count.

    Every reply's items are on the disk before the next is looked at, so that a crawl can be ended
    at any moment: the same call goes on.

    Args:
        options: What to ask, and whom.
        report: Is filled in as it goes: for a caller that wants it although this raises.
        progress: Told how many of how many items there are.
        note: Told of waits, in a line each.
        sleep: How to wait before a request is sent again.

    Raises:
        UsageError: a list of topics or tasks can't be used.
        OutputError: the file holds something else, can't be written, or another crawl writes it.
        DiskSpaceError: the disk is full.
        CrawlError: the API refuses, does not answer, or gives nothing that can be kept.
    """
    report = report if report is not None else Report()
    show, say = progress or (lambda *_: None), note or (lambda _: None)
    topics = lists.read_list(options.topics or lists.TOPICS)
    tasks = lists.read_list(options.tasks or lists.TASKS)
    constraints = lists.read_list(lists.CONSTRAINTS)
    with open_items(options.output) as file:
        harvest = Harvest(file, report, options)
        report.output, report.wanted = str(options.output), options.count
        if file.cut_off:
            say(f"cut {file.cut_off} bytes of a half line off {options.output}")
        report.at_start, report.cut_off = len(file.items), file.cut_off
        report.price_in, report.price_out = options.price_in, options.price_out
        # With the number of items, so that a crawl that goes on draws other prompts than before.
        seed = None if options.seed is None else f"{options.seed} {len(file.items)}"
        prompts = Prompts(topics, tasks, constraints, seed)
        show(report.total, options.count)
        if harvest.missing > 0:
            client = Client(options, report, say, sleep)
            asyncio.run(_ask(client, prompts, harvest, options, show))
    return report


async def _ask(
    client: Client,
    prompts: Prompts,
    harvest: Harvest,
    options: CrawlOptions,
    show: Callable[[int, int], None],
) -> None:
    """Keep requests going, no more than what is missing may need, until nothing is missing."""
    asked: dict[asyncio.Task[str | None], Prompt] = {}
    async with client:
        try:
            while harvest.missing > 0:
                while len(asked) < options.concurrency:
                    expected = sum(len(prompt.lines) for prompt in asked.values())
                    items = min(options.items, harvest.missing - expected)
                    if items <= 0:
                        break
                    prompt = prompts.draw(items)
                    asked[asyncio.create_task(client.ask(prompt))] = prompt
                done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                # Good replies before the error that another one may have ended with.
                for task in sorted(done, key=lambda one: one.exception() is not None):
                    harvest.take(task.result(), asked.pop(task))
                    show(options.count - harvest.missing, options.count)
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
