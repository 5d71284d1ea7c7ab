"""Question sets: what their files and folders hold, checked.

What a file is follows from its content: SQuAD's format, CMRC 2018's own, RGB's lines, our own
`questions.jsonl`, or a folder as BEIR has it. All but ours carry the passages that they ask about.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rag_app.errors import DocumentError
from rag_app.evaluation.formats import answers_of, articles, cmrc, read_as, read_beir, rgb, squad
from rag_app.evaluation.questions import Dataset, GoldPassage, GoldQuestion, drawn
from rag_app.evaluation.rows import Record, parsed, read_rows, read_text, rows_of

__all__ = ["Dataset", "GoldPassage", "GoldQuestion", "drawn", "read_dataset", "read_questions"]

_ANSWER_FIELDS = {"answer", "answers", "answerable", "document", "summary"}
"""Fields of our own lines; any of them says whether there is an answer."""


def read_dataset(path: Path, *, split: str | None = None, noise: float | None = None) -> Dataset:
    """Return the question set of a file or folder.

    Args:
        path: A file, or a folder with ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/``.
        split: Only the questions of this split: of ours as they say, of BEIR by the file's name.
        noise: With RGB's lines, the share of passages that only touch the topic, of the five that
            each question gets; at 1 none holds an answer. By default all passages are taken.

    Raises:
        DocumentError: it is missing, empty, binary, not in UTF-8 or not a question set; or none of
            its answers stands in its passages.
    """
    dataset = read_beir(path, split) if path.is_dir() else _read_file(path, noise)
    if split is not None and not path.is_dir():
        splits = sorted({question.split for question in dataset.questions})
        chosen = tuple(question for question in dataset.questions if question.split == split)
        if not chosen:
            msg = f"{path} has no question of the split {split!r}; it has {', '.join(splits)}"
            raise DocumentError(msg)
        dataset = replace(dataset, questions=chosen)
    return _checked(path, dataset)


def read_questions(path: Path) -> list[GoldQuestion]:
    """Return the questions of a JSON Lines file such as ``docs_corpus/questions.jsonl``.

    Raises:
        DocumentError: the file is missing, or a line isn't a question.
    """
    return [question_of(path, number, row) for number, row in read_rows(path)]


def _read_file(path: Path, noise: float | None = None) -> Dataset:
    """Return the question set of a file."""
    text = read_text(path)
    value = parsed(text)
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        return read_as(path, "SQuAD", lambda: squad(path.name, value["data"]))
    rows = list(rows_of(path, text, value))
    first = rows[0][1] if rows else {}
    if "query" in first and "positive" in first:
        return rgb(path, rows, noise)
    if "context_text" in first:
        return read_as(path, "CMRC 2018", lambda: cmrc(path.name, [row for _, row in rows]))
    if isinstance(first.get("context"), str) and isinstance(first.get("answers"), Mapping):
        return read_as(path, "SQuAD", lambda: squad(path.name, articles([row for _, row in rows])))
    questions = tuple(question_of(path, number, row) for number, row in rows)
    return Dataset(path.name, "questions", questions, notes=_unsaid(path, rows))


def _unsaid(path: Path, rows: list[tuple[int, Record]]) -> tuple[str, ...]:
    """Return what is to be noted of lines that don't say whether there is an answer.

    Raises:
        DocumentError: no line does, and they have fields that may mean it.
    """
    silent = [number for number, row in rows if not row.keys() & _ANSWER_FIELDS]
    if not silent:
        return ()
    unknown = {name for _, row in rows for name in row} - {"question", "id", "split"}
    if len(silent) == len(rows) and unknown:
        raise DocumentError(
            f"no line of {path} has `answers`, `document` or `answerable`, but "
            f"{', '.join(sorted(unknown))}; rename its fields as in rag_app/evaluation/README.md"
        )
    said = (
        f"{len(silent)} questions have neither `answers`, `document` nor `answerable` and count as "
        f"without an answer, such as that of line {silent[0]}"
    )
    return (said,)


def question_of(path: Path, number: int, row: Record) -> GoldQuestion:
    """Return a line of our own format as a question.

    Raises:
        DocumentError: it isn't one.
    """
    try:
        given = row["answers"] if "answers" in row else [row["answer"]] if row.get("answer") else []
        if given is None or isinstance(given, Mapping):
            given = answers_of(given)
        if isinstance(given, str) or not all(isinstance(answer, str) for answer in given):
            raise TypeError("`answers` is a list of texts")
        answerable = row.get("answerable", True)
        answers = tuple(answer for answer in given if answer) if answerable else ()
        text, document, summary = row.get("question"), row.get("document"), row.get("summary", "")
        if not isinstance(text or summary, str) or not (text or summary).strip():
            raise TypeError("`question` is a text")
        if document is not None and not isinstance(document, str):
            raise TypeError("`document` is a file's name")
        if summary and not document:
            raise TypeError("a `summary` needs its `document`")
        name = str(row.get("id", number))
        split = str(row.get("split", "test"))
        told = bool(row.get("answerable")) and not (answers or document)
        return GoldQuestion(
            name, text or "", answers, document, split, summary=summary, has_answer=told
        )
    except (AttributeError, TypeError) as error:
        raise DocumentError(f"{path}:{number} is not a question ({error})") from error


def _checked(path: Path, dataset: Dataset) -> Dataset:
    """Return the dataset with notes on answers that its passages lack.

    Raises:
        DocumentError: there is no question, an id twice, or no answer in any passage.
    """
    if not dataset.questions:
        msg = f"{path} holds no question; see `rag-app eval --help` for what it can be"
        raise DocumentError(msg)
    seen: set[str] = set()
    for question in dataset.questions:
        if question.id in seen:
            msg = f"{path} has two questions with the id {question.id!r}; give each its own"
            raise DocumentError(msg)
        seen.add(question.id)
    empty = [
        question.id
        for question in dataset.questions
        if not (question.text.strip() or question.summary)
    ]
    if empty:
        note = f"questions that are empty and can't be asked: {len(empty)}, such as {empty[0]}"
        dataset = replace(dataset, notes=(*dataset.notes, note))
    texts = {passage.file_name: passage.text for passage in dataset.passages}
    known = (
        [question for question in dataset.questions if question.answers and question.relevant]
        if texts
        else []
    )
    astray = [
        question
        for question in known
        if not question.is_in("\n".join(texts[name] for name in question.relevant))
    ]
    if known and len(astray) == len(known):
        msg = f"no answer of {path} occurs in its passage; are these the right passages?"
        raise DocumentError(msg)
    if not astray:
        return dataset
    note = (
        f"{len(astray)} of {len(known)} answers don't occur in their passages, such as that of "
        f"{astray[0].id}"
    )
    return replace(dataset, notes=(*dataset.notes, note))
