"""Predictions: a run that is kept in a file, interrupted and gone on with.

A file has a line that says how they were made, and a line for each question.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

from model_prep.progress import Progress
from rag_app.errors import DocumentError, SettingsError
from rag_app.evaluation.outcomes import Outcome
from rag_app.evaluation.questions import GoldQuestion
from rag_app.evaluation.run import Evaluation

_FORMAT = 1


class PredictionFile:
    """Keeps the outcomes of a run as they come, so that the same run goes on from there.

    A line that a killed run left half-written is dropped.

    Args:
        path: The file; made if it isn't there.
        run: What decides about the predictions; those of another run are not mixed in.

    Raises:
        SettingsError: the file holds the predictions of another run.
        DocumentError: it can't be read or written, or holds something else.
    """

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        self.path = path
        header = {"format": _FORMAT, **run}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = path.open("r+b" if path.exists() else "x+b")
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            self.rows = self._open(header)
        except BaseException:
            self._close()
            raise

    def _open(self, header: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        data = self._file.read()
        whole = data[: data.rfind(b"\n") + 1]
        if not whole:
            if data and not _is_begun(data):
                raise _foreign(self.path, 1)
            self._file.seek(0)
            self._file.truncate()
            self._write({"run": header})
            return {}
        found, rows = _parsed(self.path, whole)
        if found != json.loads(json.dumps(header)):
            raise SettingsError(
                f"{self.path} was made with {_differences(found, header)}; name another file, or "
                "delete it to start again"
            )
        self._file.seek(len(whole))
        self._file.truncate()
        return rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def outcomes(self, questions: Iterable[GoldQuestion]) -> dict[str, Outcome]:
        """Return the outcomes that the file has of these questions, by their ids."""
        return _outcomes(self.path, self.rows, questions)

    def add(self, outcome: Outcome) -> None:
        """Write an outcome; it survives the end of the process.

        Raises:
            DocumentError: the file can't be written.
        """
        self._write(outcome.to_json())

    def _write(self, row: Mapping[str, Any]) -> None:
        line = json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace")
        try:
            self._file.write(line + b"\n")
            self._file.flush()
        except OSError as error:
            raise _unusable(self.path, error) from error

    def _close(self) -> None:
        with suppress(OSError):  # of a line that could not be written, which was said
            self._file.close()


def read_predictions(
    path: Path, questions: Iterable[GoldQuestion]
) -> tuple[Mapping[str, Any], dict[str, Outcome]]:
    """Return how the predictions of a file were made, and those of these questions, by their ids.

    Raises:
        DocumentError: the file can't be read or holds something else.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unusable(path, error) from error
    run, rows = _parsed(path, data[: data.rfind(b"\n") + 1])
    return run, _outcomes(path, rows, questions)


def _parsed(path: Path, data: bytes) -> tuple[Mapping[str, Any], dict[str, Mapping[str, Any]]]:
    run: Any = None
    rows: dict[str, Mapping[str, Any]] = {}
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            row = json.loads(line)
            if number == 1:
                run = dict(row["run"])
            else:
                rows[row["id"]] = row
        except (ValueError, KeyError, TypeError) as error:
            raise _foreign(path, number) from error
    if run is None:
        raise _foreign(path, 1)
    return run, rows


def _outcomes(
    path: Path, rows: Mapping[str, Mapping[str, Any]], questions: Iterable[GoldQuestion]
) -> dict[str, Outcome]:
    found = {}
    for question in questions:
        row = rows.get(question.id)
        if row is None or row.get("question") != question.text:
            continue
        try:
            found[question.id] = Outcome.from_json(question, row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = repr(error).splitlines()[0]
            msg = f"{path}: the prediction of {question.id} can't be read ({reason}); delete it"
            raise DocumentError(msg) from error
    return found


def _is_begun(data: bytes) -> bool:
    """Return whether a file without a complete line is one of ours whose run was killed at once."""
    start = b'{"run":'
    return data.startswith(start) or start.startswith(data)


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    names = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    return ", ".join(f"{name} {_shown(found.get(name))}, not {_shown(wanted.get(name))}"
                     for name in names[:3])  # fmt: skip


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 50 else f"{text[:12]}…"


def _foreign(path: Path, number: int) -> DocumentError:
    return DocumentError(f"{path}:{number} is not a prediction of rag-app eval; name another file")


def _unusable(path: Path, error: OSError) -> DocumentError:
    return DocumentError(f"{path} can't be used ({error.strerror or error}); name another file")


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
