"""The formats of question sets that others published: SQuAD, CMRC 2018, RGB, BEIR."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, product
from pathlib import Path
from typing import Any

from rag_app.errors import DocumentError
from rag_app.evaluation.questions import Dataset, GoldPassage, GoldQuestion
from rag_app.evaluation.rows import Record, read_rows, read_text

RGB_PASSAGES = 5
"""That a question of RGB gets where a share of noise is asked for, as in its paper (Chen et al.
2024, arXiv 2309.01431)."""
_MOST_WORDINGS = 8  # wordings of an answer of several parts, each with its own wordings


def read_beir(folder: Path, split: str | None = None) -> Dataset:
    """Return the question set of a folder as BEIR has it (Thakur et al. 2021, arXiv 2104.08663).

    Raises:
        DocumentError: a file is missing or wrong.
    """
    judged = _qrels(folder, split)
    corpus, queries = _part(folder, "corpus.jsonl"), _part(folder, "queries.jsonl")
    texts = {}
    for number, row in read_rows(corpus):
        parts = (_field(corpus, number, row, name) for name in ("title", "text"))
        texts[_id(corpus, number, row)] = "\n".join(filter(None, parts))
    passages = tuple(GoldPassage(name, text) for name, text in texts.items() if text.strip())
    names = {passage.id: passage.file_name for passage in passages}
    questions = []
    for number, row in read_rows(queries):
        name = _id(queries, number, row)
        grades = judged.get(name, {})
        relevant = {
            names[document]: grade for document, grade in grades.items() if document in names
        }
        if relevant:
            text = _field(queries, number, row, "text")
            questions.append(GoldQuestion(name, text, (), next(iter(relevant)), grades=relevant))
    lost = sorted({document for grades in judged.values() for document in grades} - names.keys())
    said = f"{len(lost)} relevant documents are not in {corpus.name}, such as {lost[:1]}"
    notes = (said,) if lost else ()
    return Dataset(folder.resolve().name, "BEIR", tuple(questions), passages, notes)


def _part(folder: Path, name: str) -> Path:
    """Return a file of a folder, compressed where only that is there."""
    packed = folder / f"{name}.gz"
    return packed if packed.exists() and not (folder / name).exists() else folder / name


def _qrels(folder: Path, split: str | None) -> dict[str, dict[str, int]]:
    """Return the documents that are relevant to each query, with their grades."""
    files = [file for kind in ("tsv", "jsonl") for file in sorted(folder.glob(f"qrels/*.{kind}"))]
    files = files or [*folder.glob("qrels.tsv")]
    wanted = [file for file in files if file.stem == (split or "test")] or (
        files if split is None and len(files) == 1 else []
    )
    if not wanted:
        names = ", ".join(file.stem for file in files) or "none"
        raise DocumentError(
            f"{folder} has no qrels/{split or 'test'}.tsv (splits: {names}); a folder holds "
            "corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv as BEIR's do"
        )
    judged: dict[str, dict[str, int]] = {}
    for number, given in _judgements(wanted[0]):
        try:
            query, document, grade = str(given[0]), str(given[-2]), float(given[-1])
        except (IndexError, ValueError, TypeError) as error:
            msg = f"{wanted[0]}:{number} is not `query-id TAB corpus-id TAB score`"
            raise DocumentError(msg) from error
        if grade > 0:
            judged.setdefault(query, {})[document] = max(round(grade), 1)
    return judged


def _judgements(path: Path) -> Iterator[tuple[int, Sequence[Any]]]:
    """Yield the fields of each line: query, document and grade; TREC has one more between."""
    if path.suffix == ".jsonl":
        for number, row in read_rows(path):
            yield number, [row.get(name) for name in ("query-id", "corpus-id", "score")]
        return
    for number, line in enumerate(read_text(path).split("\n"), 1):
        fields = line.split("\t") if "\t" in line else line.split()
        if line.strip() and not (number == 1 and not _is_number(fields[-1])):
            yield number, fields


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _id(path: Path, number: int, row: Record) -> str:
    found = row.get("_id", row.get("id"))
    if not isinstance(found, str | int):
        raise DocumentError(f"{path}:{number} has no `_id`")
    return str(found)


def _field(path: Path, number: int, row: Record, name: str) -> str:
    value = row.get(name) or ""
    if not isinstance(value, str):
        raise DocumentError(f"{path}:{number}: `{name}` is not text")
    return value


def read_as(path: Path, kind: str, read: Callable[[], Dataset]) -> Dataset:
    """Return what ``read`` does; a structure that isn't the format's is the user's error."""
    try:
        return read()
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise DocumentError(f"{path} is not in {kind}'s format ({error!r})") from error


class _Names:
    """Gives each passage a name of its own."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, wanted: object) -> str:
        name, number = str(wanted), 1
        while name in self._taken:
            number += 1
            name = f"{wanted}-{number}"
        self._taken.add(name)
        return name


def squad(name: str, articles: list[Any]) -> Dataset:
    """Return the articles of a file in SQuAD's format."""
    names = _Names()
    passages: list[GoldPassage] = []
    questions: list[GoldQuestion] = []
    for article in articles:
        several = len(article["paragraphs"]) > 1
        for number, paragraph in enumerate(article["paragraphs"], 1):
            whole = str(article.get("id") or article.get("title") or "passage")
            given = paragraph.get("id") or (f"{whole}-{number}" if several else whole)
            passage = GoldPassage(names.of(given), paragraph["context"].strip())
            passages.append(passage)
            for item in paragraph["qas"]:
                texts = () if item.get("is_impossible") else answers_of(item.get("answers"))
                document = passage.file_name if texts else None
                key = str(item.get("id", len(questions) + 1))
                questions.append(GoldQuestion(key, item["question"] or "", texts, document))
    return Dataset(name, "SQuAD", tuple(questions), tuple(passages))


def articles(rows: list[Record]) -> list[Any]:
    """Return lines with a question and its context each, as Hugging Face has SQuAD, as SQuAD's."""
    contexts: dict[tuple[str, str], list[Record]] = {}
    for row in rows:
        contexts.setdefault((str(row.get("title") or ""), row["context"]), []).append(row)
    return [
        {"title": title, "paragraphs": [{"context": context, "qas": questions}]}
        for (title, context), questions in contexts.items()
    ]


def answers_of(given: Any) -> tuple[str, ...]:
    """Return the wordings of SQuAD's answers: objects with a text, or one with several.

    Some of those in CMRC 2018's own files are numbers, 147 among them as 147.0.
    """
    texts = given.get("text") or () if isinstance(given, Mapping) else given or ()
    texts = [text["text"] if isinstance(text, Mapping) else text for text in texts]
    texts = [text if isinstance(text, str) else f"{text:.15g}" for text in texts]
    return tuple(dict.fromkeys(text for text in texts if text.strip()))


def cmrc(name: str, rows: list[Record]) -> Dataset:
    """Return the rows of a file in CMRC 2018's own format."""
    names, passages, questions = _Names(), [], []
    for row in rows:
        passage = GoldPassage(names.of(row["context_id"]), row["context_text"].strip())
        passages.append(passage)
        for item in row["qas"]:
            texts = answers_of(item["answers"])
            questions.append(
                GoldQuestion(str(item["query_id"]), item["query_text"], texts, passage.file_name)
            )
    return Dataset(name, "CMRC 2018", tuple(questions), tuple(passages))


def rgb(path: Path, rows: list[tuple[int, Record]], noise: float | None) -> Dataset:
    """Return RGB's lines; a passage that several questions share is one document."""
    passages: dict[str, GoldPassage] = {}
    questions = []
    for number, row in rows:
        try:
            positive, negative = _texts(row["positive"]), _texts(row.get("negative"))
            parts = _parts(row["answer"])
            text, name = row["query"].strip(), str(row.get("id", number))
        except (KeyError, TypeError, AttributeError) as error:
            msg = f"{path}:{number} is not a line of RGB's format ({error!r})"
            raise DocumentError(msg) from error
        if noise is not None:
            wrong = min(math.ceil(RGB_PASSAGES * noise), len(negative))
            right = 0 if noise == 1 else min(RGB_PASSAGES - wrong, len(positive))
            positive, negative = positive[:right], negative[: RGB_PASSAGES - right]
        for passage in (*positive, *negative):
            passages.setdefault(passage, GoldPassage(f"p{len(passages) + 1:05}", passage))
        grades = {passages[passage].file_name: 1 for passage in positive}
        answers = _wordings(parts) if grades and parts else ()
        several = parts if len(parts) > 1 and answers else ()
        document = next(iter(grades), None)
        questions.append(GoldQuestion(name, text, answers, document, grades=grades, parts=several))
    return Dataset(path.name, "RGB", tuple(questions), tuple(passages.values()))


def _texts(given: list[Any] | None) -> list[str]:
    flat = [
        text
        for answer in given or ()
        for text in (answer if isinstance(answer, list) else [answer])
    ]
    return [text.strip() for text in dict.fromkeys(flat) if text.strip()]


def _parts(answer: Any) -> tuple[tuple[str, ...], ...]:
    """Return the parts of an answer, all of which are needed, each with its wordings."""
    parts = answer if isinstance(answer, list) else [answer]
    wordings = [
        [
            str(wording)
            for wording in (part if isinstance(part, list) else [part])
            if wording not in (None, "")
        ]
        for part in parts
    ]
    return tuple(tuple(part) for part in wordings if part)


def _wordings(parts: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    return tuple("、".join(chosen) for chosen in islice(product(*parts), _MOST_WORDINGS))
