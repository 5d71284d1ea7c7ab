"""The ``rag-app`` command line: one small file per command, one boundary for errors."""

import typer

from rag_app.cli import ask, docs, index, serve, status, summarize
from rag_app.cli.boundary import Boundary, root, run

app = typer.Typer(
    cls=Boundary,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(root)
app.command("index")(index.index)
app.command("ask")(ask.ask)
app.command("summarize")(summarize.summarize)
app.command("serve")(serve.serve)
app.command("status")(status.status)
app.add_typer(docs.app, name="docs")


def main() -> None:
    """Run the command line."""
    run(app, "rag-app")
