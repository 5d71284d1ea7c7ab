"""A run: every question of a set searched for and answered, with what that cost."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import CallbackManagerForRetrieverRun, UsageMetadataCallbackHandler
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig

from model_prep.progress import Progress
from rag_app.chains.answer import not_found
from rag_app.chains.citations import cite
from rag_app.chains.confidence import CALIBRATION
from rag_app.chains.prompts import LANGUAGES, VARIABLES, Prompts, Task
from rag_app.chains.questions import bare_question
from rag_app.chains.results import Answer
from rag_app.errors import PromptTooLongError, QuestionError
from rag_app.evaluation.outcomes import Cost, Outcome, names_of, ranks_of
from rag_app.evaluation.questions import Dataset, GoldQuestion
from rag_app.evaluation.work_index import GoldSources, over_passages
from rag_app.index.search.relevance import above_threshold, most_relevant_first
from rag_app.index.search.retriever import POOL

if TYPE_CHECKING:
    from rag_app.engine.app import RagApp
    from rag_app.index.indexing.report import ProgressCallback

DEPTH = 30
"""Passages that are retrieved for the ranks."""
_NAMES_KEPT = 10  # names of retrieved documents in an outcome
_DECISIVE = (
    "retriever", "k", "within", "threshold", "llm", "llm_name", "context_length", "quantize",
    "temperature", "top_p", "top_k", "repetition_penalty", "max_new_tokens", "answer_chain",
    "context", "answer_step_tokens", "summary_chain", "summary_length", "summary_step_tokens",
)  # fmt: skip
"""Settings that decide about answers."""


class Evaluation:
    """Asks a question set of an index.

    Args:
        app: With the models, and the index where ``own_index`` is true.
        dataset: The questions.
        own_index: Whether they are asked over the application's index although the set carries
            passages of its own.
        indexing: Called while those are indexed.

    Raises:
        IndexStoreError: there is no index, or it can't be read or written.
        DocumentError: the index has none of the documents that are asked about.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from rag_app import RagApp
        >>> from rag_app.evaluation.questions import GoldPassage
        >>> passage = GoldPassage("tea", "Green tea is steamed.")
        >>> question = GoldQuestion("1", "How is green tea made?", ("steamed",), "tea.txt")
        >>> app = RagApp(embeddings=DeterministicFakeEmbedding(size=8))
        >>> evaluation = Evaluation(app, Dataset("tea", "questions", (question,), (passage,)))
        >>> [outcome.rank for outcome in evaluation.run([question], retrieval_only=True)]
        [1]
    """

    def __init__(
        self,
        app: "RagApp",
        dataset: Dataset,
        *,
        own_index: bool = False,
        indexing: "ProgressCallback | None" = None,
    ) -> None:
        carried = bool(dataset.passages) and not own_index
        self.app = over_passages(app, dataset.passages, indexing) if carried else app
        self.dataset = dataset
        with self.app.store.read() as snapshot:
            documents = list(snapshot.documents())
            self._embedding = snapshot.meta().fingerprint
        sources = [document.source for document in documents]
        self.gold = GoldSources(dataset, sources, app.settings.index)
        missing = self.gold.missing
        self.notes = (
            [f"not in the index: {len(missing)} of the set's documents, such as {missing[0]}"]
            if missing
            else []
        )
        content = (
            []
            if carried
            else [[document.content_hash, document.settings] for document in documents]
        )
        self._index = hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def close(self) -> None:
        """Release the index."""
        self.app.close()

    def fingerprint(self, *, retrieval_only: bool) -> dict[str, Any]:
        """Return what decides about the outcomes, as JSON values."""
        settings = self.app.settings
        wanted = _DECISIVE[:4] if retrieval_only else _DECISIVE
        values = {name: getattr(settings, name) for name in wanted}
        if settings.temperature and not retrieval_only:
            values["seed"] = settings.seed
        if not retrieval_only:
            values["prompts"] = _prompts_digest(settings.prompts)
            # Models that are not one file are known by their names.
            path = Path(settings.llm).expanduser()
            values["llm_file"] = (
                [path.stat().st_size, path.stat().st_mtime_ns] if path.is_file() else None
            )
            if (calibration := self.app.calibration) != CALIBRATION:
                values["calibration"] = asdict(calibration)
        sizes = {name: getattr(settings, name) for name in ("chunk_size", "chunk_overlap")}
        return {
            "dataset": self.dataset.name,
            "questions": self.dataset.fingerprint,
            "index": self._index,
            "embedding": self._embedding,
            "retrieval_only": retrieval_only,
            **sizes,
            **values,
        }

    def run(
        self,
        questions: Sequence[GoldQuestion],
        *,
        retrieval_only: bool = False,
        progress: Progress | None = None,
    ) -> Iterator[Outcome]:
        """Yield the outcome of each question, in the order in which a model answers them soonest.

        Questions that read the same passages are asked one after another, so that a model that
        keeps what it read need not read it again.

        Args:
            questions: Those of the set.
            retrieval_only: Call no language model; a question is answered where a passage's
                relevance reaches the threshold.
            progress: Called before each step.

        Raises:
            ModelError: a model is missing or fails.
            IndexStoreError: the index can't be read.
        """
        tell = progress or (lambda *_: None)
        found: list[tuple[GoldQuestion, list[Document], float]] = []
        for number, question in enumerate(questions):
            tell("searching", number, len(questions))
            start = time.perf_counter()
            passages = self._passages(question)
            seconds = time.perf_counter() - start
            if retrieval_only:
                yield self._retrieved(question, passages, seconds)
            else:
                found.append((question, passages, seconds))
        found.sort(key=lambda pair: self._reading_order(pair[1]))
        for number, (question, passages, seconds) in enumerate(found):
            tell("asking", number, len(found))
            yield self._asked(question, passages, seconds)
        tell("done", len(questions), len(questions))

    def _passages(self, question: GoldQuestion) -> list[Document]:
        depth = max(DEPTH, self.app.settings.k)
        text = question.text.strip()
        if not text or len(text) > self.app.settings.max_question_chars:
            return []
        return self.app.retrieve(text, k=depth)

    def _reading_order(self, passages: Sequence[Document]) -> tuple[str, ...]:
        settings = self.app.settings
        read = above_threshold(passages[: settings.k], settings.threshold)
        return tuple(passage.id or passage.page_content for passage in most_relevant_first(read))

    def _outcome(self, question: GoldQuestion, passages: Sequence[Document]) -> Outcome:
        ranks = ranks_of(passages, self.gold.of(question.relevant))
        return Outcome(question, ranks, Answer(), retrieved=names_of(passages)[:_NAMES_KEPT])

    def _retrieved(
        self, question: GoldQuestion, passages: Sequence[Document], seconds: float
    ) -> Outcome:
        first = passages[: self.app.settings.k]
        answer = not_found(question.text, first)
        if above_threshold(first, self.app.settings.threshold):
            answer = Answer(question.text, citations=tuple(cite(first)))
        outcome = self._outcome(question, passages)
        return replace(outcome, answer=answer, cost=Cost(seconds), asked=False)

    def _asked(
        self, question: GoldQuestion, passages: Sequence[Document], seconds: float
    ) -> Outcome:
        outcome = self._outcome(question, passages)
        kept = self._kept(passages)
        meter = Meter(seconds if kept else 0.0)
        try:
            answer = self._answer(question, kept, meter)
        except (PromptTooLongError, QuestionError) as error:
            failed = Answer(question.text, answered=False)
            return replace(outcome, answer=failed, cost=meter.cost(), error=str(error))
        return replace(outcome, answer=answer, cost=meter.cost())

    def _kept(self, passages: Sequence[Document]) -> Sequence[Document]:
        """Return those whose first ones a search for fewer finds too, none where that is not sure.

        It is where the deeper search needed no larger pools, and no reranker read more for it.
        """
        depth, ranks = max(DEPTH, self.app.settings.k), ("dense_rank", "lexical_rank")
        furthest = max(
            (passage.metadata.get(rank, 0) for passage in passages for rank in ranks), default=0
        )
        settled = self.app.settings.reranker is None and furthest <= POOL
        return passages if settled and len(passages) == depth else ()

    def _answer(self, question: GoldQuestion, kept: Sequence[Document], meter: "Meter") -> Answer:
        config = RunnableConfig(callbacks=[meter])
        if question.summary:
            sources = sorted(*self.gold.of(question.relevant).values())
            if not sources:
                raise QuestionError(f"{question.document} is not in the index")
            text = Document(self.app.text_of(sources[0]), metadata={"source": sources[0]})
            summary = self.app.summarize(text, config=config)
            return Answer(question.text, summary.text, notes=summary.notes)
        whole, asked = Answer(), question.text
        if kept:
            found = _KeptRetriever(
                retriever=self.app.retriever,
                question=bare_question(asked),
                kept=list(kept),
                k=self.app.settings.k,
            )
            pieces = self.app.chain(found).stream(asked, config)
        else:
            pieces = self.app.stream(asked, config=config)
        for piece in pieces:
            if piece.text:
                meter.text_came()
            whole += piece
        return whole


class Meter(UsageMetadataCallbackHandler):
    """Counts what one question costs, as a callback of LangChain's.

    Args:
        seconds: Spent on it before.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self._calls = 0
        self._start = time.perf_counter() - seconds
        self._first: float | None = None

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        """Count a call."""
        self._calls += 1

    def text_came(self) -> None:
        """Note when the first text came."""
        if self._first is None and self._calls:
            self._first = time.perf_counter() - self._start

    def cost(self) -> Cost:
        """Return what it cost so far; tokens are None where the model doesn't report them."""
        usage = list(self.usage_metadata.values())
        told = bool(usage) or not self._calls
        read = sum(each["input_tokens"] for each in usage) if told else None
        kept = [each.get("input_token_details", {}).get("cache_read") for each in usage]
        known = [count for count in kept if count is not None]
        return Cost(
            time.perf_counter() - self._start,
            self._first,
            self._calls,
            read,
            None if read is None or len(known) < len(kept) else read - sum(known),
            sum(each["output_tokens"] for each in usage) if told else None,
        )


class _KeptRetriever(BaseRetriever):
    """Finds the passages kept for a question, and searches for any other."""

    retriever: Any
    question: str
    kept: list[Document]
    k: int

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - a search is a run of its own
        k: int | None = None,
    ) -> list[Document]:
        k = k or self.k
        if query == self.question and k <= len(self.kept):
            return self.kept[:k]
        return list(self.retriever.invoke(query, k=k))


def _prompts_digest(given: Any) -> str:
    """Return a digest of all prompts in use."""
    prompts = Prompts.of(given)
    texts = []
    for task, variables in VARIABLES.items():
        if task in ("system", "style"):  # one begins all messages, the other is of none here
            continue
        values = {name: f"{{{name}}}" for name in variables if name != "unchanged"}
        for language in LANGUAGES:
            messages = prompts.messages(cast("Task", task), language, **values)
            texts.append([message.text for message in messages])
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()
