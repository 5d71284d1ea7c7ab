"""The options of ``model-prep crawl``."""

from pathlib import Path
from typing import Annotated

import typer

Opt = typer.Option

Output = Annotated[
    Path, typer.Argument(metavar="OUT.jsonl", help="Items are added to it; it need not exist.")
]
Count = Annotated[int, Opt("--count", min=1, help="Items that the file shall hold.")]
Model = Annotated[str, Opt("--model", help="As the server names it.")]
BaseUrl = Annotated[
    str, Opt("--base-url", envvar="OPENAI_BASE_URL", help="Any OpenAI-compatible API.")
]
ApiKey = Annotated[
    str | None, Opt("--api-key", envvar="OPENAI_API_KEY", help="Better in the environment.")
]
Topics = Annotated[Path | None, Opt("--topics", help="One on each line; by default our own.")]
Tasks = Annotated[Path | None, Opt("--tasks", help="One on each line; by default our own.")]
Items = Annotated[
    int, Opt("--items", min=1, max=100, help="Of a request; a small model does better with 5.")
]
Concurrency = Annotated[int, Opt("--concurrency", min=1, max=256, help="Requests at a time.")]
Similarity = Annotated[
    float, Opt("--similarity", min=0.01, max=1, help="ROUGE-L F1 of a duplicate.")
]
Temperature = Annotated[float, Opt("--temperature", min=0, max=2)]
MaxTokens = Annotated[
    int | None, Opt("--max-tokens", min=1, help="Of a reply; by default by --items.")
]
Timeout = Annotated[float, Opt("--timeout", min=0.01, help="Seconds until a reply is whole.")]
Tries = Annotated[int, Opt("--tries", min=1, help="Times a request is sent.")]
Seed = Annotated[int | None, Opt("--seed", help="Draws the same prompts again.")]
PriceIn = Annotated[float | None, Opt("--price-in", min=0, help="Of a million tokens of prompts.")]
PriceOut = Annotated[
    float | None, Opt("--price-out", min=0, help="Of a million tokens of replies.")
]
Json = Annotated[bool, Opt("--json", help="Print the report as JSON on stdout.")]
