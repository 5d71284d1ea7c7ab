"""``model-prep crawl``: instruction data from a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from model_prep.cli import options
from model_prep.cli.terminal import count_bar, say
from model_prep.crawl.settings import CrawlOptions

if TYPE_CHECKING:
    from model_prep.crawl.report import CrawlReport


def crawl(
    output: Annotated[
        Path, typer.Argument(metavar="OUT.jsonl", help="Items are added to it; it need not exist.")
    ],
    count: Annotated[int, Option(min=1, help="Items that the file is to hold.")] = 20,
    model: Annotated[str, Option(help="As the server names it.")] = CrawlOptions.model,
    base_url: Annotated[
        str, Option(envvar="OPENAI_BASE_URL", help="Any OpenAI-compatible API.")
    ] = CrawlOptions.base_url,
    api_key: Annotated[
        str | None, Option(envvar="OPENAI_API_KEY", help="Better in the environment.")
    ] = None,
    topics: Annotated[
        Path | None, Option(help="One on each line; by default the built-in ones.")
    ] = None,
    tasks: Annotated[
        Path | None, Option(help="One on each line; by default the built-in ones.")
    ] = None,
    passages: Annotated[
        Path | None,
        Option(
            metavar="PASSAGES.jsonl",
            help="Make preference pairs about these instead: right answers and refusals.",
        ),
    ] = None,
    questions: Annotated[
        Path | None,
        Option(
            metavar="QUESTIONS.jsonl",
            help="Of your own, as `rag-app eval` takes them: pairs about these, not about drafts.",
        ),
    ] = None,
    split: Annotated[str | None, Option(help="Only the questions of this split.")] = None,
    items: Annotated[
        int, Option(min=1, max=100, help="Items of a request; a small model does better with 5.")
    ] = CrawlOptions.items,
    concurrency: Annotated[
        int, Option(min=1, max=256, help="Requests at a time.")
    ] = CrawlOptions.concurrency,
    similarity: Annotated[
        float, Option(min=0.01, max=1, help="ROUGE-L F1 of a duplicate.")
    ] = CrawlOptions.similarity,
    temperature: Annotated[
        float, Option(min=0, max=2, help="Of sampling.")
    ] = CrawlOptions.temperature,
    max_tokens: Annotated[
        int | None, Option(min=1, help="Tokens of a reply; by default set by --items.")
    ] = None,
    timeout: Annotated[
        float, Option(min=0.01, max=86_400, help="Seconds until a reply is complete.")
    ] = CrawlOptions.timeout,
    tries: Annotated[int, Option(min=1, help="Times a request is sent.")] = CrawlOptions.tries,
    seed: Annotated[int | None, Option(help="Draws the same prompts again.")] = None,
    price_in: Annotated[
        float | None, Option(min=0, max=1e9, help="Price of a million tokens of prompts.")
    ] = None,
    price_out: Annotated[
        float | None, Option(min=0, max=1e9, help="Price of a million tokens of replies.")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print the report as JSON on stdout.")] = False,
) -> None:
    """Make instruction data by asking a model; the same command goes on where it ended."""
    settings = CrawlOptions(
        output, count, model, base_url, api_key, topics=topics, tasks=tasks, items=items,
        passages=passages, questions=questions, split=split,
        concurrency=concurrency, similarity=similarity, temperature=temperature,
        max_tokens=max_tokens, timeout=timeout, tries=tries, seed=seed, price_in=price_in,
        price_out=price_out,
    )  # fmt: skip
    from model_prep.crawl.crawl import crawl as run
    from model_prep.crawl.report import CrawlReport

    report = CrawlReport()
    try:
        with count_bar() as progress:
            run(settings, report=report, progress=progress, note=say)
    finally:  # it is wanted at Ctrl-C and errors too
        if report.output and as_json:
            options.print_json(report.values())
        elif report.output:
            say("\n".join(_lines(report)))


def _lines(report: "CrawlReport") -> list[str]:
    goes_on = "" if report.total >= report.wanted else "; the same command goes on"
    held = f"{report.output} holds {report.total:,} items of {report.wanted:,}"
    sent = f"{report.requests:,} requests ({report.retries:,} of them again)"
    tokens = f"{report.prompt_tokens:,} tokens read and {report.completion_tokens:,} written"
    cost = "" if report.cost is None else f", which cost {report.cost:,.4f}"
    lines = [f"{held}, {report.kept:,} of them new{goes_on}", f"{sent}, {tokens}{cost}"]
    if report.rejected:
        reasons = (f"{count:,} × {reason}" for reason, count in report.rejected.most_common())
        lines.append(f"rejected: {', '.join(reasons)}")
    return lines
