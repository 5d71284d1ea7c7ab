"""``rag-app ask``: answer a question from the index."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model_prep.cli.boundary import INTERRUPTED
from rag_app.cli import options

if TYPE_CHECKING:
    from rag_app.engine.command_engine import CommandEngine
    from rag_app.settings import Settings


@options.with_settings(
    *("index", "store", "context", "prompts", "keep_alive", "cache_size"),
    *("within", "k", "retriever", "reranker", "threshold", "embedding", *options.MODEL),
    answer_chain=options.chain("refine|stuff"),
)
def ask(
    *,
    question: Annotated[
        str | None, typer.Argument(help="The question; without one, a prompt asks for them.")
    ] = None,
    file_path: options.FilePath = None,
    show_context: Annotated[
        bool, typer.Option("--show-context", help="Show the passages the model was given.")
    ] = False,
    as_json: options.Json = False,
    no_stream: options.NoStream = False,
    show_timings: options.Timings = False,
    **given: Any,
) -> None:
    """Answer a question from the indexed documents and show where the answer is."""
    from model_prep.json_file import is_encodable
    from rag_app.engine.command_engine import CommandEngine, Seconds, Turns, parts
    from rag_app.errors import QuestionError
    from rag_app.settings import load_settings

    settings = load_settings(**given)

    history: Turns = []

    def reply(engine: CommandEngine, text: str) -> bool:
        """Answer one question; return whether Ctrl-C cut the answer short."""
        if not is_encodable(text):
            raise QuestionError("the question is not valid text; write it in UTF-8")
        seconds: Seconds = {}
        with closing(engine.answer(text, history, seconds)) as pieces:
            from rag_app.cli import show  # while the engine works

            if as_json:
                answer, cut = reduce(add, pieces), False
                show.print_json(show.answer_json(answer, seconds))
            else:
                stream = not no_stream and sys.stdout.isatty()
                answer, cut = show.answer(pieces, stream=stream, shown=engine.ahead)
        if not as_json:
            show.sources(answer, context=show_context)
        if cut:
            what = "interrupted; this is what there is" if answer.text else "interrupted"
            show.messages.print(what, style="yellow")
        if show_timings:
            show.timings(parts(seconds))
        history.extend([("human", text), ("ai", answer.text)])
        return cut

    with _asked(settings, file_path) as engine:
        if question is not None:
            if reply(engine, question):
                raise typer.Exit(INTERRUPTED)
            return
        engine.preload()
        while text := _next_question():
            reply(engine, text)


@contextmanager
def _asked(settings: "Settings", file_path: str | None) -> "Iterator[CommandEngine]":
    """Give what is asked: the index, or a file alone, which is indexed for this."""
    from rag_app.engine.command_engine import CommandEngine

    if file_path is None:
        with closing(CommandEngine(settings)) as engine:
            yield engine
        return
    from tempfile import TemporaryDirectory

    from rag_app.engine import RagApp
    from rag_app.errors import DocumentError

    with TemporaryDirectory() as folder:
        own = settings.model_copy(update={"index": folder, "store": "local"})
        with RagApp(settings=own) as app:
            report = app.index([file_path])
        if report.failed:
            raise DocumentError(f"{report.failed[0].source}: {report.failed[0].reason}")
        with closing(CommandEngine(own, resident=False)) as engine:
            yield engine


def _next_question() -> str:
    """Read a question from stdin; empty at an empty line, the end of input or Ctrl-C."""
    prompt = "question (empty to end): "
    try:
        if sys.stdin.isatty() and sys.stdout.isatty():
            with suppress(ImportError):  # Windows edits lines without it
                import readline  # noqa: F401 - input() then edits lines and keeps a history
            return input(prompt).strip()
        if sys.stdin.isatty():
            print(prompt, end="", file=sys.stderr, flush=True)  # noqa: T201
        return sys.stdin.readline().strip()
    except (KeyboardInterrupt, EOFError):
        return ""
