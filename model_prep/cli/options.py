"""Options that several commands have, and how their values are read and printed."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model_prep.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

OutputDir = Annotated[Path, typer.Option(help="Must be empty or not exist.")]
ShardSize = Annotated[
    str, typer.Option("--max-shard-size", help="Largest safetensors file, such as 5GB or 900MB.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
PushToHub = Annotated[
    str | None,
    typer.Option(
        metavar="NAME/REPOSITORY", help="Push the result to the hub too; HF_TOKEN is needed."
    ),
]
ModelsFolder = Annotated[
    Path | None, typer.Option("--dir", help="Where models are; by default the cache folder.")
]

SHARD_SIZE = "5GB"
_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def with_dashes(name: str) -> str:
    """Return an option's name for one with underscores, as the family's scripts have them.

    Click passes the values of choices through here too: ``q8_0`` and ``q4_k_m`` stay as they are.
    """
    return re.sub(r"(?<=[a-z]{2})_", "-", name)


def parse_size(text: str) -> int:
    """Return the bytes of ``5GB``, ``500 MB``, ``2GiB`` or plain digits.

    Raises:
        UsageError: it is not a size of this form, or zero.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]I?B|)", text.strip().upper())
    size = int(float(found[1]) * _UNITS[found[2]]) if found else 0
    if size < 1:
        raise UsageError(f"{text!r} is not a size; write it as 5GB, 500MB or 2GiB")
    return size


def check_push(repo: str | None) -> None:
    """Check before any work that the result can be pushed, where that is asked for.

    Raises:
        PushError: it can't.
    """
    if repo:
        from model_prep.catalog.hub_results import require_hub

        require_hub(repo)


def push(path: Path, repo: str | None) -> None:
    """Push a result, where that is asked for.

    Raises:
        PushError: the hub refuses.
    """
    if repo:
        from model_prep.catalog.hub_results import push_to_hub
        from model_prep.cli.terminal import say

        say(f"{path} pushed: {push_to_hub(path, repo)}")


def print_json(value: "DataclassInstance | dict[str, Any] | list[Any] | None") -> None:
    """Print a result on stdout."""
    plain = value if value is None or isinstance(value, dict | list) else asdict(value)
    typer.echo(json.dumps(plain, default=str, ensure_ascii=False))
