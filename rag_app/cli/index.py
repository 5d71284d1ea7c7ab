"""``rag-app index`` and ``reembed``: an index brought up to date with files, or with a model."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer

from model_prep.cli.boundary import INTERRUPTED
from rag_app.cli import options
from rag_app.cli.options import SOME_FAILED


@options.with_settings(
    *("index", "store", "ocr", "embedding"),
    chunk_size=options.setting(int, "Characters of a passage (default 600)."),
    chunk_overlap=options.setting(
        int, "Characters that neighbouring passages share (default 100)."
    ),
)
def index(
    *,
    paths: Annotated[
        list[str], typer.Argument(help="Files, folders, globs, URLs, or - for stdin.")
    ],
    encoding: options.Encoding = None,
    loader: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="A LangChain loader: of langchain-community (extra `community`), or module:Class.",
        ),
    ] = None,
    exclude: options.Exclude = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="What to call standard input, such as 备忘.txt; else `-`."),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Drop documents whose files are gone.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be indexed.")
    ] = False,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(
            metavar="local|ray", help="Read and embed here, or with Ray (extra `cluster`)."
        ),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDR", help="Address of a Ray cluster, or `auto`; else Ray starts here."
        ),
    ] = None,
    as_json: options.Json = False,
    **given: Any,
) -> None:
    """Index documents; what has not changed since is skipped.

    Exit code 3: some files could not be read, the others are indexed.
    """
    from rag_app.cli import show
    from rag_app.cli.progress import indexing
    from rag_app.engine import RagApp

    if address is not None and engine != "ray":
        raise typer.BadParameter("--address needs --engine ray")
    if name is not None:
        _check_name(name, paths)
    with RagApp(**given) as app:
        if dry_run:
            preview = app.preview(paths, encoding=encoding, loader=loader, exclude=exclude or [])
            show.print_json(asdict(preview)) if as_json else show.index_preview(preview)
            return
        with indexing() as progress:
            report = app.index(
                paths, encoding=encoding, loader=loader, prune=prune, exclude=exclude or [],
                stdin_name=name, progress=progress, engine=engine, address=address,
            )  # fmt: skip
    if as_json:
        shown = asdict(report)
        del shown["written"]  # as long as the index
        show.print_json(shown)
    else:
        show.index_report(report)
    if report.failed:
        done = report.added or report.updated or report.unchanged or report.renamed
        raise typer.Exit(SOME_FAILED if done else 1)


@options.with_settings(
    *("index", "store"),
    embedding=options.setting(
        str,
        "The other model; by default that of an unfinished run, or of the settings.",
        "NAME|DIR|URL",
    ),
)
def reembed(*, as_json: options.Json = False, **given: Any) -> None:
    """Embed all passages of an index again, with another model.

    Until that is done the index is asked and changed as before; then the new vectors take the
    place of the old ones at once. Interrupted, the same command goes on.
    """
    from rag_app.cli import show
    from rag_app.cli.progress import counting
    from rag_app.engine import RagApp

    state = (0, 0)
    with RagApp(**given) as app:
        try:
            with counting("embedding again") as progress:

                def note(done: int, total: int) -> None:
                    nonlocal state
                    state = done, total
                    progress(done, total)

                count = app.reembed(note, again=False)
        except KeyboardInterrupt:
            done, total = state
            left = f"interrupted; {done:,} of {total:,} passages are embedded again"
            show.messages.print(
                f"{left}; the same command goes on, the old vectors serve until then"
            )
            raise typer.Exit(INTERRUPTED) from None
        with app.store.read() as snapshot:
            name = snapshot.meta().embedding
    if as_json:
        show.print_json({"embedding": name, "passages": count})
    elif state[1] or count:
        show.messages.print(
            f"embedded {show.count_of(count, 'passage')} again, with {name}", markup=False
        )
    else:
        show.messages.print(
            f"the vectors are those of {name} already; --embedding names another", markup=False
        )


def _check_name(name: str, paths: list[str]) -> None:
    if "-" not in paths:
        raise typer.BadParameter("--name is for standard input; name it as -")
    if not name.strip() or "/" in name or "\0" in name:
        raise typer.BadParameter("--name is a file's name, without folders")
