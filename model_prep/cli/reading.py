"""What the user types."""

import sys

import typer


def read_line() -> str:
    """Return a line of stdin; empty at an empty one, at the end of input and at Ctrl-C."""
    if sys.stdin.isatty():
        typer.echo("> ", nl=False, err=True)
    try:
        return sys.stdin.readline().strip()
    except KeyboardInterrupt:
        return ""
