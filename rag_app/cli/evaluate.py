"""``rag-app eval``: figures of a question set, with their intervals."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model_prep.cli.boundary import INTERRUPTED
from rag_app.cli import options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rag_app.evaluation.make import Drafted
    from rag_app.evaluation.outcomes import Outcome
    from rag_app.evaluation.predictions import EvaluationRun
    from rag_app.settings import Settings

_OUTPUT = "Output"
_DRAFTS = "Questions from your documents"
_DRAFTED = 20
_CALIBRATION = "How sure a model is"


@options.with_settings(
    *("context", "prompts", "k", "retriever", "reranker", "threshold", "embedding"),
    *options.MODEL,
    answer_chain=options.chain("refine|stuff"),
)
def evaluate(
    *,
    dataset: Annotated[
        Path | None,
        typer.Argument(
            help="Questions of your own (JSON Lines), a file in SQuAD's, CMRC's or RGB's format, "
            "or a folder as BEIR's; see rag_app/evaluation/README.md."
        ),
    ] = None,
    index: options.Index = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Ask this many questions, sampled by document with --seed."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Only questions of this split.")] = None,
    noise: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="With RGB's lines: the share of passages without an answer."
        ),
    ] = None,
    retrieval_only: Annotated[
        bool, typer.Option("--retrieval-only", help="Call no language model.")
    ] = False,
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.jsonl",
            help="Keep each answer as it comes; the same command goes on from there.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.html",
            help="Write a page with figures, plots and failures.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="OTHER.jsonl",
            help="Test the difference from the predictions of another run, question by question.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Fit how sure answers of --llm are, from questions with and without an answer, "
            "for `ask` and `serve` to use.",
            rich_help_panel=_CALIBRATION,
        ),
    ] = False,
    make: Annotated[
        Path | None,
        typer.Option(
            metavar="QUESTIONS.jsonl",
            help="Instead draft --limit questions about indexed documents, for you to correct.",
            rich_help_panel=_DRAFTS,
        ),
    ] = None,
    from_index: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME|DIR",
            help="The index that they are about; by default --index.",
            rich_help_panel=_DRAFTS,
        ),
    ] = None,
    rated: Annotated[
        bool,
        typer.Option(
            "--rated",
            help="With --make: take the questions whose answers were rated on the page of `serve`.",
            rich_help_panel=_DRAFTS,
        ),
    ] = False,
    as_json: options.Json = False,
    **given: Any,
) -> None:
    """Measure retrieval, answers, refusals, citations and cost on a question set.

    A set that carries its passages is asked over them, unless --index is given; questions of your
    own are asked over the index. --seed draws the questions too. Ctrl-C ends with what there is.
    """
    from rag_app.settings import load_settings

    if (dataset is None) == (make is None):
        raise typer.BadParameter("name a DATASET, or --make QUESTIONS.jsonl")
    if calibrate and (retrieval_only or make or compare or report):
        raise typer.BadParameter("--calibrate goes with a DATASET and --predictions alone")
    if rated and not make:
        raise typer.BadParameter("--rated goes with --make QUESTIONS.jsonl")
    # What is read of a passage is not to depend on what was asked before.
    settings = load_settings(index=from_index or index, cache_size=0.0, **given)
    if make is not None:
        if rated:
            _take_rated(settings, make, as_json=as_json)
        else:
            _draft(settings, make, limit or _DRAFTED, as_json=as_json)
        return
    assert dataset is not None  # noqa: S101 - one of the two is there
    from rag_app.cli import figures, show
    from rag_app.cli.progress import evaluating, indexing
    from rag_app.engine import RagApp
    from rag_app.evaluation import calibration
    from rag_app.evaluation.datasets import drawn, read_dataset
    from rag_app.evaluation.predictions import evaluate as run_of
    from rag_app.evaluation.predictions import read_predictions
    from rag_app.evaluation.report import check_writable
    from rag_app.evaluation.run import Evaluation

    seed = settings.seed or 0
    found = read_dataset(dataset, split=split, noise=noise)
    figures.notes(found.notes)
    questions = drawn(found.questions, limit, seed)
    if calibrate:
        calibration.check(questions, str(dataset))
    check_writable(report)
    others = read_predictions(compare, questions)[1] if compare is not None else {}
    with RagApp(settings=settings) as app:
        with indexing() as progress:
            asked = calibration.answering_all(app) if calibrate else app
            evaluation = Evaluation(asked, found, own_index=index is not None, indexing=progress)
        figures.notes(evaluation.notes)
        with evaluating() as telling:
            run = run_of(
                evaluation, questions, predictions, retrieval_only=retrieval_only, progress=telling
            )
        evaluation.close()
    if not calibrate:
        _show(run, others, seed, compare, report, as_json=as_json)
    elif not run.interrupted:
        _keep_calibration(settings, [*run.outcomes.values()], as_json=as_json)
    if run.interrupted:
        done = f"interrupted after {len(run.outcomes):,} of {run.wanted:,} questions"
        show.messages.print(done, style="yellow")
        raise typer.Exit(INTERRUPTED)


def _show(
    run: "EvaluationRun",
    others: "Mapping[str, Outcome]",
    seed: int,
    compare: Path | None,
    report: Path | None,
    *,
    as_json: bool,
) -> None:
    """Print the figures of a run, against those of another one if wanted, and write the report."""
    from rag_app.cli import figures, show
    from rag_app.evaluation.figures import compare as comparisons
    from rag_app.evaluation.figures import figures_of
    from rag_app.evaluation.report import write_report

    outcomes = [*run.outcomes.values()]
    shown = figures_of(outcomes, seed)
    compared = [*comparisons(run.outcomes, others, seed)]
    if as_json:
        show.print_json(figures.figures_json(run.made, shown, compared))
    else:
        figures.figures(shown)
        if compare is not None:
            figures.comparisons(compared, str(compare))
    if report is not None:
        write_report(report, run.made, outcomes, shown, compared)


def _keep_calibration(settings: "Settings", outcomes: "list[Outcome]", *, as_json: bool) -> None:
    """Fit a calibration, keep it, and say what came of it."""
    from rag_app.cli import figures, show
    from rag_app.engine.calibrations import keep_calibration
    from rag_app.evaluation import calibration

    samples = calibration.samples_of(outcomes)
    found = calibration.fit(samples)
    if not found.judged:
        figures.notes(["the model gave no log probabilities: fitted without its own judgement"])
    about = calibration.about(samples, settings.seed or 0)
    path, name = keep_calibration(settings, found, about)
    if as_json:
        made = {"model": name, "file": str(path), "weights": asdict(found), **about}
        show.print_json(made)
        return
    for figure, value in about["figures"].items():
        low, high = value["interval"]
        said = (
            f"{figure}: {value['value']:.3f} ({low:.3f} – {high:.3f}, {value['count']} questions)"
        )
        show.to_stdout(said)
    show.messages.print(f"{name} is calibrated in {path}", markup=False, soft_wrap=True)


def _draft(settings: "Settings", path: Path, limit: int, *, as_json: bool) -> None:
    """Draft questions and say what came of it."""
    from rag_app.cli.progress import evaluating
    from rag_app.engine import RagApp
    from rag_app.evaluation.make import draft_questions

    with RagApp(settings=settings) as app, evaluating() as telling:
        drafted = draft_questions(
            app, path, limit, seed=settings.seed or 0,
            progress=lambda done, total: telling("drafting", done, total),
        )  # fmt: skip
    said = f"{drafted.written} questions in {path}, {drafted.unsure} to be looked at first"
    _say(drafted, f"{said}; dropped", as_json=as_json)
    if drafted.interrupted:
        raise typer.Exit(INTERRUPTED)


def _take_rated(settings: "Settings", path: Path, *, as_json: bool) -> None:
    """Take the questions that people rated and say what came of it."""
    from rag_app.engine import RagApp
    from rag_app.evaluation.make import rated_questions

    with RagApp(settings=settings) as app:
        drafted = rated_questions(app, path)
    _say(drafted, f"{drafted.written} rated questions added to {path}; left out", as_json=as_json)


def _say(drafted: "Drafted", said: str, *, as_json: bool) -> None:
    from rag_app.cli import show

    if as_json:
        show.print_json(asdict(drafted))
    dropped = ", ".join(f"{count} {reason}" for reason, count in drafted.dropped.items())
    show.messages.print(f"{said}: {dropped or 'none'}", markup=False, soft_wrap=True)
