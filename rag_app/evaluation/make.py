"""Question sets drafted by the model from a user's own documents, for the user to correct."""

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from model_prep.json_file import is_json
from rag_app.chains.facts.amounts import AMOUNT
from rag_app.chains.marks import SENTENCE
from rag_app.chains.prompts import Prompts, Task
from rag_app.documents.text import language_of
from rag_app.errors import DocumentError, PromptTooLongError
from rag_app.evaluation.datasets import question_of
from rag_app.evaluation.metrics import contains, tokens
from rag_app.evaluation.outcomes import ranks_of
from rag_app.evaluation.questions import GoldQuestion
from rag_app.evaluation.rows import read_rows, unwritable
from rag_app.index.store.conversations import Conversations
from rag_app.index.store.records import ChunkRecord
from rag_app.models.llms.thoughts import answer_in

if TYPE_CHECKING:
    from rag_app.engine.app import RagApp

_SHORTEST = 30  # characters of a passage that a question is made of
_LONGEST_ANSWER = 60
_TRIES = 5
"""Passages that are tried for each question wanted: some models write none that is usable."""
_LONGEST_QUESTION = 200
_DEPTH = 10  # passages among which the question has to find its own

_DRAFT = re.compile(
    r"(?:问题|question)\s*[:：]\s*(?P<question>.+?)\s*\n+\s*(?:答案|answer)\s*[:：]\s*(?P<answer>.+)",
    re.IGNORECASE,
)
_POINTS_AT_TEXT = re.compile(
    r"资料|(本|上|该|此)文|文中|(这|本)(段|篇)|passage|(the|this) (text|document)", re.IGNORECASE
)
_LABEL = re.compile(r"^(?:问题|question)\s*[:：]\s*", re.IGNORECASE)
_AROUND = " \t\"'“”‘’「」。.；;"  # what may be around an answer that is copied from a passage


@dataclass
class Drafted:
    """What came of drafting."""

    written: int = 0
    """Questions that the file has of this index now."""
    dropped: dict[str, int] = field(default_factory=dict)
    """How many drafts failed a check, by its name."""
    unsure: int = 0
    """Questions of this run that the model did not answer alike, or whose passage is not found."""
    interrupted: bool = False
    """Whether Ctrl-C ended it."""


def draft_questions(
    app: "RagApp",
    path: Path,
    limit: int,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Drafted:
    """Append questions about the indexed documents to a file; return what came of it.

    For a passage drawn at random the model writes a question and copies its answer. What does not
    stand in the passage is dropped, and so is a question that holds its answer, points at the text
    or was there before. Each line says where the answer is, at which rank the question finds
    its document, and whether the model, asked the question, gives that answer (``agrees``): the
    lines to be looked at first are those where it does not. The same call goes on from the file,
    after Ctrl-C too.

    Args:
        app: With the index and the model.
        path: The file, in the format of ``docs_corpus/questions.jsonl``; lines that it has stay.
        limit: Questions that it is to have of this index.
        seed: Draws the passages.
        progress: Called with the questions written and their number.

    Raises:
        DocumentError: the file can't be read or written, or is not a question set; or the index has
            no passage that is long enough.
        IndexStoreError, ModelError: the index or the model is missing.
    """
    chunks = _drawn(app, seed)
    if not chunks:
        msg = f"the index {app.settings.index} holds no text to ask about; index more"
        raise DocumentError(msg)
    rows = _rows(path)
    known = {str(row.get("id")) for row in rows}
    asked = {tuple(tokens(str(row.get("question", "")))) for row in rows}
    tried = max((place for place, chunk in enumerate(chunks, 1) if _id(chunk) in known), default=0)
    report = Drafted(written=sum(_id(chunk) in known for chunk in chunks))
    drafts = _Drafts(app, [chunk.source for chunk in chunks])
    try:
        for chunk in chunks[tried : tried + _TRIES * limit]:
            if progress is not None:
                progress(report.written, limit)
            if report.written >= limit:
                break
            row = drafts.of(chunk, asked)
            if isinstance(row, str):
                report.dropped[row] = report.dropped.get(row, 0) + 1
                continue
            _append(path, row)
            asked.add(tuple(tokens(row["question"])))
            report.written += 1
            report.unsure += not (row["agrees"] and row["rank"])
    except KeyboardInterrupt:
        report.interrupted = True
    return report


def rated_questions(app: "RagApp", path: Path) -> Drafted:
    """Append the questions whose answers people rated on the page to a file.

    Those are left out that a line of the file asks already, and those that nobody said the right
    answer to.

    Args:
        app: With the index.
        path: The file, in the format of ``docs_corpus/questions.jsonl``; lines that it has stay.

    Raises:
        DocumentError: the file can't be read or written, or is not a question set; or nobody said
            what is right.
        IndexStoreError: the ratings can't be read.
    """
    kept = Conversations(app.store.folder)
    lines = kept.questions()
    if not lines:
        raise DocumentError(
            f"nobody has said yet which answers of the index {app.settings.index} are right; rate "
            "some on the page of `rag-app serve`"
        )
    asked = {str(row.get("question", "")).strip() for row in _rows(path)}
    new = [line for line in lines if line["question"].strip() not in asked]
    for line in new:
        _append(path, line)
    left = {"rated without saying what is right": len(kept.ratings()) - len(lines)}
    left["there already"] = len(lines) - len(new)
    dropped = {reason: count for reason, count in left.items() if count}
    return Drafted(written=len(new), dropped=dropped)


class _Drafts:
    """Drafts questions with the model of an application, and checks them."""

    def __init__(self, app: "RagApp", sources: Sequence[str]) -> None:
        self._app = app
        self._prompts = Prompts.of(app.settings.prompts)
        # The file name of each source, or its path where two have the same.
        names: dict[str, set[str]] = {}
        for source in sources:
            names.setdefault(PurePath(source).name, set()).add(source)
        self._names = {
            source: name if len(same) == 1 else source
            for name, same in names.items()
            for source in same
        }

    def of(self, chunk: ChunkRecord, asked: set[tuple[str, ...]]) -> dict[str, Any] | str:
        """Return the line of a question about a passage, or why there is none.

        Where the model's question about the passage is useless, one of its sentences is made into a
        question: small models can do that.
        """
        first = ""
        for draft in (self._of_passage, self._of_sentence):
            try:
                found = draft(chunk)
            except PromptTooLongError:
                return "longer than the model's window"
            fault = found if isinstance(found, str) else _fault(*found, chunk.text, asked)
            if not isinstance(found, str) and not fault:
                return self._row(chunk, *found)
            first = first or fault
        return first

    def _of_passage(self, chunk: ChunkRecord) -> tuple[str, str] | str:
        """Return the question and answer that the model makes of a passage, or what is wrong."""
        found = _DRAFT.search(self._reply("draft_question", chunk, context=chunk.text))
        if found is None:
            return "not in the form that was asked for"
        question, answer = (found[name].splitlines()[0] for name in ("question", "answer"))
        return question.strip(), answer.strip(_AROUND)

    def _of_sentence(self, chunk: ChunkRecord) -> tuple[str, str] | str:
        """Return a question for an amount in the passage, and the amount, or what is wrong."""
        whole = SENTENCE.findall(chunk.text)
        held = [(sentence, amount[0]) for sentence in whole if (amount := AMOUNT.search(sentence))]
        if not held:
            return "no amount to ask for"
        sentence, answer = held[len(held) // 2]
        reply = self._reply("draft_question_of_sentence", chunk, context=sentence, answer=answer)
        question = _LABEL.sub("", reply.strip().split("\n")[0])
        return (question, answer) if question.endswith(("？", "?")) else "no question"

    def _reply(self, task: Task, chunk: ChunkRecord, **values: str) -> str:
        messages = self._prompts.messages(task, language_of(chunk.text), **values)
        llm = self._app.llm
        return answer_in(llm.invoke(messages), llm)

    def _row(self, chunk: ChunkRecord, question: str, answer: str) -> dict[str, Any]:
        start = chunk.text.index(answer)
        gold = GoldQuestion(_id(chunk), question, (answer,), self._names[chunk.source])
        place = {"start": chunk.start + start, "end": chunk.start + start + len(answer)}
        return {
            "id": gold.id,
            "question": question,
            "answers": [answer],
            "document": gold.document,
            "answerable": True,
            **place,
            **self._tried(gold, chunk),
        }

    def _tried(self, gold: GoldQuestion, chunk: ChunkRecord) -> dict[str, Any]:
        """Return how the question fares when it is asked."""
        passages = self._app.retrieve(gold.text, k=_DEPTH)
        rank = ranks_of(passages, {"own": frozenset({chunk.source})})["own"]
        try:
            answer = self._app.ask(gold.text)
        except PromptTooLongError as error:
            return {"rank": rank, "agrees": False, "said": str(error)}
        said = answer.text if answer.answered else ""
        return {"rank": rank, "agrees": bool(said) and gold.is_in(said), "said": said}


def _fault(question: str, answer: str, passage: str, asked: set[tuple[str, ...]]) -> str:
    """Return what is wrong with a draft; empty if nothing."""
    if not answer or answer not in passage:
        return "answer not in the passage"
    if len(answer) > _LONGEST_ANSWER or len(question) > _LONGEST_QUESTION:
        return "too long"
    if not tokens(answer) or len(tokens(question)) < 3:
        return "too short"
    if contains(question, [answer]):
        return "question holds its answer"
    if _POINTS_AT_TEXT.search(question):
        return "question points at the text"
    return "asked before" if tuple(tokens(question)) in asked else ""


def _drawn(app: "RagApp", seed: int) -> list[ChunkRecord]:
    """Return the passages in a random order, one of each document before a second of any."""
    with app.store.read() as snapshot:
        chunks = [chunk for chunk in snapshot.all_chunks() if len(chunk.text) >= _SHORTEST]
    chunks.sort(key=lambda chunk: (chunk.source, chunk.ordinal))
    random.Random(seed).shuffle(chunks)  # noqa: S311 - a sample, no secret
    drawn: Counter[str] = Counter()
    turns: dict[int, list[ChunkRecord]] = {}
    for chunk in chunks:
        drawn[chunk.source] += 1
        turns.setdefault(drawn[chunk.source], []).append(chunk)
    return [chunk for turn in sorted(turns) for chunk in turns[turn]]


def _id(chunk: ChunkRecord) -> str:
    identity = f"{PurePath(chunk.source).name}\0{chunk.text}"
    return f"draft-{hashlib.sha256(identity.encode('utf-8', 'replace')).hexdigest()[:12]}"


def _rows(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a question set that may not be there yet; a half one is cut off."""
    try:
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if data != whole and not is_json(data[len(whole) :]):
            path.write_bytes(whole)
            data = whole
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unwritable(path, error) from error
    if not data.strip():
        return []
    rows = [(number, dict(row)) for number, row in read_rows(path)]
    for number, row in rows:
        question_of(path, number, row)
    return [row for _, row in rows]


def _append(path: Path, row: dict[str, Any]) -> None:
    line = json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            if file.tell():
                file.seek(-1, 2)
                line = line if file.read() == b"\n" else b"\n" + line
            file.write(line)
    except OSError as error:
        raise unwritable(path, error) from error
