"""Question sets: what their files and folders hold, checked.

What a file is follows from its content: SQuAD's format, CMRC 2018's own, RGB's lines, our own
`questions.jsonl`, or a folder as BEIR has it. All but ours carry the passages that they ask about.
"""

from dataclasses import replace
from pathlib import Path

from rag_app.errors import DocumentError
from rag_app.evaluation import formats
from rag_app.evaluation.questions import Dataset, GoldPassage, GoldQuestion, drawn

__all__ = ["Dataset", "GoldPassage", "GoldQuestion", "drawn", "read_dataset", "read_questions"]


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
    dataset = formats.read_beir(path, split) if path.is_dir() else formats.read_file(path, noise)
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
    return [formats.question_of(path, number, row) for number, row in formats.read_rows(path)]


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
