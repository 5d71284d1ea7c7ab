"""A run that is kept, interrupted and gone on with."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_prep.progress import Progress
from rag_app.evaluation.outcomes import Outcome
from rag_app.evaluation.predictions import PredictionFile
from rag_app.evaluation.questions import GoldQuestion
from rag_app.evaluation.run import Evaluation


@dataclass(frozen=True)
class EvaluationRun:
    """What a run brought."""

    made: dict[str, Any]
    """How it was made; see `Evaluation.fingerprint`."""
    outcomes: dict[str, Outcome]
    """By the questions' ids, in their order."""
    wanted: int
    """Questions that were to be asked."""
    interrupted: bool = False
    """Whether Ctrl-C ended it."""


def evaluate(
    evaluation: Evaluation,
    questions: Sequence[GoldQuestion],
    predictions: Path | None = None,
    *,
    retrieval_only: bool = False,
    progress: Progress | None = None,
) -> EvaluationRun:
    """Ask questions; return the outcomes, those that a file has of an earlier run among them.

    Ctrl-C ends the run with what there is by then.

    Args:
        evaluation: The set, and what it is asked of.
        questions: Those of the set.
        predictions: File that keeps each outcome as it comes; see `PredictionFile`.
        retrieval_only: Call no language model.
        progress: Called with how far the run is.

    Raises:
        SettingsError: the file holds predictions that were made otherwise.
        DocumentError: the file can't be read or written.
        ModelError, IndexStoreError: as `Evaluation.run`; what came before is in the file.
    """
    made = evaluation.fingerprint(retrieval_only=retrieval_only)
    found: dict[str, Outcome] = {}
    interrupted = False
    with ExitStack() as stack:
        file = None
        if predictions is not None:
            file = stack.enter_context(PredictionFile(predictions, made))
            found = file.outcomes(questions)
        left = [question for question in questions if question.id not in found]
        try:
            for outcome in evaluation.run(left, retrieval_only=retrieval_only, progress=progress):
                found[outcome.question.id] = outcome
                if file is not None:
                    file.add(outcome)
        except KeyboardInterrupt:
            interrupted = True
    ordered = {question.id: found[question.id] for question in questions if question.id in found}
    return EvaluationRun(made, ordered, len(questions), interrupted)
