"""``model-prep crawl``: instruction data from a model."""

import json
from typing import TYPE_CHECKING

import typer

from model_prep.cli import crawl_options as options
from model_prep.cli.progress import count_bar
from model_prep.crawl.settings import CrawlOptions

if TYPE_CHECKING:
    from model_prep.crawl.report import Report


def crawl(
    output: options.Output,
    count: options.Count,
    model: options.Model = CrawlOptions.model,
    base_url: options.BaseUrl = CrawlOptions.base_url,
    api_key: options.ApiKey = None,
    topics: options.Topics = None,
    tasks: options.Tasks = None,
    items: options.Items = CrawlOptions.items,
    concurrency: options.Concurrency = CrawlOptions.concurrency,
    similarity: options.Similarity = CrawlOptions.similarity,
    temperature: options.Temperature = CrawlOptions.temperature,
    max_tokens: options.MaxTokens = None,
    timeout: options.Timeout = CrawlOptions.timeout,
    tries: options.Tries = CrawlOptions.tries,
    seed: options.Seed = None,
    price_in: options.PriceIn = None,
    price_out: options.PriceOut = None,
    as_json: options.Json = False,
) -> None:
    """Make instruction data by asking a model; the same command goes on where it ended."""
    told = CrawlOptions(
        output, count, model, base_url, api_key, topics=topics, tasks=tasks, items=items,
        concurrency=concurrency, similarity=similarity, temperature=temperature,
        max_tokens=max_tokens, timeout=timeout, tries=tries, seed=seed, price_in=price_in,
        price_out=price_out,
    )  # fmt: skip
    from model_prep.crawl.crawl import crawl as run
    from model_prep.crawl.report import Report

    report = Report()
    try:
        with count_bar() as progress:
            run(told, report=report, progress=progress, note=lambda it: typer.echo(it, err=True))
    finally:  # it is wanted at Ctrl-C and errors too
        if report.output and as_json:
            typer.echo(json.dumps(report.values(), ensure_ascii=False))
        elif report.output:
            typer.echo("\n".join(_lines(report)), err=True)


def _lines(report: "Report") -> list[str]:
    goes_on = "" if report.total >= report.wanted else "; the same command goes on"
    held = f"{report.output} holds {report.total:,} items of {report.wanted:,}"
    sent = f"{report.requests:,} requests ({report.retries:,} of them again)"
    tokens = f"{report.prompt_tokens:,} tokens read and {report.completion_tokens:,} written"
    cost = "" if report.cost is None else f", which cost {report.cost:,.4f}"
    lines = [f"{held}, {report.kept:,} of them new{goes_on}", f"{sent}, {tokens}{cost}"]
    if report.rejected:
        reasons = ", ".join(f"{number:,} × {why}" for why, number in report.rejected.most_common())
        lines.append(f"rejected: {reasons}")
    return lines
