"""The chain from a question to its cited answer as one Runnable, and what its parts take."""

import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.language_models import LanguageModelLike
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from rag_app.chains.answer import answer_steps, not_found
from rag_app.chains.citations import Evidence, lacking
from rag_app.chains.confidence import CALIBRATION, WORTH_READING, Calibration, can_judge
from rag_app.chains.nearness import Cosines, nearest_first, nearest_sentences, with_nearest
from rag_app.chains.overview import WholeDocuments
from rag_app.chains.prompts import ABOUT_ITSELF, GivenPrompts, Prompts, refusal_for
from rag_app.chains.questions import addresses_assistant, answer_language, bare_question
from rag_app.chains.questions.conversation import (
    Conversation,
    Question,
    RagInput,
    answered_in_parts,
    condense_question_chain,
    parts_of,
)
from rag_app.chains.questions.overview import overview_of
from rag_app.chains.reading import AnswerOptions, EmbeddingsOf, Reading
from rag_app.chains.results import Answer
from rag_app.chains.streaming import Invoke, StepChain, Steps, loaded, made_again, result_of
from rag_app.chains.translation import (
    in_language_of,
    searched_in_translation,
    translate_question_chain,
)
from rag_app.documents.text import Language, language_of, language_of_passage
from rag_app.errors import SettingsError
from rag_app.index.search.relevance import above_threshold, most_relevant_first
from rag_app.settings import DEFAULTS, AnswerChain, ContextKind

PARTS: Mapping[str, str] = {
    "load_retriever": "embedding model",
    "load_llm": "language model",
    "condense_question": "standalone question",
    "choose_sentences": "sentences chosen",
    "order_passages": "passages ordered",
    "nearest_sentences": "nearest sentences",
    "judge_answer": "own judgement",
    "translate_question": "translated question",
    "read_document": "reading the document",
}
"""What the runs of a chain are called for people."""

FURTHER = 1.5
"""Passages that are searched for where none is relevant, for one that the retriever returns. Of 32
questions in users' own words about six regulations it lets 12 through to an answer where 1 lets 8,
and of 27 near misses 1 either way; for each of both it reads 0.6 and 0.5 passages more."""

Retriever = Runnable[str, list[Document]]


class Asked(TypedDict):
    """What an agent is to give where the chain is its tool."""

    question: str


@made_again
def rag_chain(
    retriever: Retriever | Callable[[str], list[Document]] | Callable[[], Retriever],
    llm: LanguageModelLike | Callable[[], LanguageModelLike],
    *,
    kind: AnswerChain = DEFAULTS.answer_chain,
    threshold: float = DEFAULTS.threshold,
    prompts: GivenPrompts = None,
    max_new_tokens: int = DEFAULTS.max_new_tokens,
    step_tokens: int = DEFAULTS.answer_step_tokens,
    calibration: Calibration = CALIBRATION,
    whole: WholeDocuments | Callable[[], WholeDocuments] | None = None,
    context: ContextKind = DEFAULTS.context,
    embeddings: EmbeddingsOf | None = None,
) -> Runnable[RagInput, Answer]:
    """Return a Runnable from a question to an `Answer` with the passages that it rests on.

    The retriever is part of it: one question is one run in callbacks and traces, with the
    retriever and the calls to the model below it. Its stream is pieces of the answer.

    Args:
        retriever: Any LangChain retriever, or a function that searches. Passages whose metadata
            hold no ``relevance`` are all read, and the answer notes what they lack.
        llm: Any LangChain chat or completion model, or what ``with_retry`` and its kin make of one.
            Retriever and model can be functions that return them, called when they are first
            needed: without a relevant passage no model is, unless the passages are in another
            language, into which it translates the question.
        kind: How the passages are read; see `answer_chain`.
        threshold: Probability below which the question is refused. Passages of a lower relevance
            are not read, except the first where the model can judge whether it answers.
        prompts: In place of the default ones: texts by name, or a folder; see `Prompts`.
        max_new_tokens: Kept free for the answer.
        step_tokens: Tokens of context in one step of ``refine``.
        calibration: The model's, which turns all signals into a probability.
        whole: Answers questions about the documents as a whole, or a function that returns what
            does; by default they are searched for as any other.
        context: What of the passages is read first; see `answer_chain`.
        embeddings: The embeddings of the sentences in them; see there.

    Raises:
        QuestionError: on use, when the question is empty.
        ModelError: on use, when the question alone overflows the model's window.

    Example:
        >>> from langchain_core.documents import Document
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from langchain_core.runnables import RunnableLambda
        >>> tea = Document("Green tea is steamed.", metadata={"source": "tea.txt", "start": 0})
        >>> retriever = RunnableLambda(lambda question: [tea])
        >>> llm = FakeListChatModel(responses=["Steamed."], custom_get_token_ids=list)
        >>> rag_chain(retriever, llm).invoke("How is green tea made?").marked_text
        'Steamed.[1]'
    """
    templates = Prompts.of(prompts)
    how = (max_new_tokens, step_tokens, threshold, calibration, context, embeddings)
    options = AnswerOptions(kind, templates, *how)

    def steps(given: RagInput) -> Steps[Answer]:
        conversation = Conversation.of(given)
        yield from _in_parts(conversation, _parts(conversation.question, whole), steps_of)

    def steps_of(conversation: Conversation) -> Steps[Answer]:
        model = llm
        question, style, wanted = conversation.asked_in()
        overview = _overview_steps(question, whole, alone=not conversation.turns)
        if conversation.turns and not overview:
            model = yield from loaded(model, "load_llm")
            question = yield Invoke(condense_question_chain(model, templates), conversation)
            question = answer_language(question)[1] if wanted else question
            overview = _overview_steps(question, whole)
        if overview:
            yield from overview
            return
        searching = yield from loaded(retriever, "load_retriever")
        passages = yield from _search(searching, question, threshold)
        read_as, nearest = question, list(passages[:1])
        found = most_relevant_first(above_threshold(passages, threshold))
        if language := other_language(question, found, passages):
            model = yield from loaded(model, "load_llm")
            translate = translate_question_chain(model, language, templates)
            searched = searched_in_translation(translate, searching, question, passages)
            read_as, passages = yield from searched
        likely = above_threshold(passages, WORTH_READING * threshold)
        # A poor translation finds nothing; by its meaning the question itself may have.
        likely = likely or (nearest if read_as != question else [])
        if not likely:
            yield from _refusal(question, passages, embeddings)
            return
        likely = most_relevant_first(likely)
        model = yield from loaded(model, "load_llm")
        own = question if read_as == question else ""
        given, cosines = yield from _given(likely, options, model, own)
        if not given:
            yield from _refusal(question, passages, embeddings)
            return
        reading = Reading(options, Question(read_as, given, question, style, cosines), model)
        if notes := (*conversation.notes, *lacking(reading.citations)):
            yield Answer(question, notes=notes)
        answering = answer_steps(reading)
        answered_in = wanted or language_of(question)
        if answered_in != language_of(read_as):
            answering = in_language_of(question, answering, model, templates, answered_in)
        yield from answering

    return StepChain(steps, "rag", input_type=Asked)


def _refusal(
    question: str, passages: Sequence[Document], embeddings: EmbeddingsOf | None
) -> Steps[Answer]:
    """Yield that no passage is relevant, then the sentences nearest to the question."""
    refusal = not_found(question, passages)

    def nearest() -> tuple[Evidence, ...]:
        model = embeddings() if embeddings and passages else None
        return nearest_sentences(bare_question(question), refusal.citations, model, {})

    yield refusal
    yield from with_nearest(nearest)


def _search(
    searching: Retriever, question: str, threshold: float
) -> Generator[Invoke, Any, Sequence[Document]]:
    """Search, and further where no passage is relevant, if the retriever says how many it returns.

    A question in other words than the documents' ranks the passage that answers it lower.
    """
    wording = bare_question(question)
    passages: Sequence[Document] = yield Invoke(searching, wording)
    _require_documents(passages)
    k = getattr(searching, "k", None)
    found = above_threshold(passages, threshold) or other_language(question, [], passages)
    if found or not isinstance(k, int):
        return passages
    passages = yield Invoke(searching.bind(k=math.ceil(FURTHER * k)), wording)
    return passages


def _require_documents(found: Any) -> None:
    """Refuse what is not a list of passages: a retriever may be any function."""
    listed = found if isinstance(found, list | tuple) else [None]
    if not all(isinstance(document, Document) for document in listed):
        kinds = {type(document).__name__ for document in listed}
        what = f"a list of {', '.join(sorted(kinds))}" if listed is found else type(found).__name__
        raise SettingsError(f"the retriever returned {what}, not a list of Documents")


def _given(
    likely: Sequence[Document], options: AnswerOptions, model: LanguageModelLike, question: str
) -> Generator[Invoke, Any, tuple[Sequence[Document], Cosines]]:
    """Return which passages a model reads: below the threshold only one that can judge them.

    Where none reaches it the question may be put in other words, and relevance says little: they
    are read in the order of their nearest sentences, where the question is not a translation.
    """
    relevant = above_threshold(likely, options.threshold)
    if relevant or not can_judge(model):
        return relevant, {}
    given: Sequence[Document] = likely
    cosines: Cosines = {}
    if question and not any("rerank_score" in passage.metadata for passage in likely):
        wording = bare_question(question)
        given, cosines = yield from result_of(
            lambda: nearest_first(wording, likely, options.embedding_model), "order_passages"
        )
    return given if options.kind == "refine" else given[:1], cosines


def _parts(
    question: str, whole: WholeDocuments | Callable[[], WholeDocuments] | None
) -> Sequence[str]:
    """Return the questions that are answered one by one; the question itself where it is one.

    There is none where nothing is asked.
    """
    if addresses_assistant(question):
        return []
    parts = parts_of(question)
    if len(parts) > 1 and (answer_language(question)[0] or _overview_steps(question, whole)):
        return [question]
    return parts


def _in_parts(
    conversation: Conversation,
    parts: Sequence[str],
    steps_of: Callable[[Conversation], Steps[Answer]],
) -> Steps[Answer]:
    """Return the steps that answer the parts of a question; of one part, the conversation's."""
    question = conversation.question
    if not parts:
        return (answer for answer in [Answer(question, refusal_for(ABOUT_ITSELF, question))])
    if len(parts) == 1:
        return steps_of(conversation)

    def follow_up(part: str, history: Sequence[BaseMessage]) -> Steps[Answer]:
        return steps_of(Conversation(part, history))

    return answered_in_parts(question, conversation.history, parts, follow_up)


def _overview_steps(
    question: str,
    whole: WholeDocuments | Callable[[], WholeDocuments] | None,
    *,
    alone: bool = True,
) -> Steps[Answer] | None:
    """Return the steps that answer a question about documents as a whole, None for any other."""
    if whole is None:
        return None
    documents = whole if callable(whole) else lambda: whole
    overview = overview_of(question, lambda: documents().named_in(question), alone=alone)
    return documents().steps(question, overview) if overview else None


def other_language(
    question: str, relevant: Sequence[Document], nearest: Sequence[Document]
) -> Language | None:
    """Return the language to translate a question into, None where it needs no translation.

    That of the most relevant passage decides; where none is relevant, a passage of the other
    language among the nearest is enough: words of one language find nothing in the other.

    Args:
        question: As it was asked.
        relevant: The passages found relevant, best first.
        nearest: All passages found.

    Example:
        >>> other_language("Where did Li Bai die?", [], [Document("李白病逝于当涂。")])
        'zh'
    """
    asked = language_of(question)
    for passage in relevant[:1] or nearest:
        found = language_of_passage(passage.page_content)
        if found and found != asked:
            return found
    return None


class Timings(BaseCallbackHandler):
    """Seconds that the parts of one call took, in ``seconds``.

    One belongs to one call, and is handed to it: ``app.ask(question, config={"callbacks":
    [timings]})``.

    Example:
        >>> from langchain_core.runnables import RunnableLambda
        >>> timings = Timings()
        >>> RunnableLambda(str.upper).invoke("tea", {"callbacks": [timings]})
        'TEA'
        >>> list(timings.seconds)
        ['total']
    """

    run_inline = True  # in the order of the events, though the chain runs in an event loop

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._runs: dict[UUID, tuple[str, float]] = {}
        self._asked: float | None = None
        self._answering: float | None = None

    def on_chain_start(self, *_: Any, run_id: UUID, **kwargs: Any) -> None:
        """Note the beginning of the run, or of a named part."""
        name = PARTS.get(kwargs.get("name") or "")
        if kwargs.get("parent_run_id") is None:
            name = "total"
        if name:
            self._runs[run_id] = name, time.perf_counter()

    def on_chain_end(self, *_: Any, run_id: UUID, **__: Any) -> None:
        """Note how long it took."""
        if run_id not in self._runs:
            return
        name, start = self._runs.pop(run_id)
        if name == "total" and self._answering is not None:
            self.seconds["further text"] = time.perf_counter() - self._answering
        self.seconds[name] = time.perf_counter() - start

    def on_chain_error(self, *_: Any, run_id: UUID, **__: Any) -> None:
        """As an end: Ctrl-C is one."""
        self.on_chain_end(run_id=run_id)

    def on_retriever_start(self, *_: Any, run_id: UUID, **__: Any) -> None:
        """Note the beginning of the retrieval."""
        self._runs[run_id] = "retrieval", time.perf_counter()

    def on_retriever_end(self, *_: Any, run_id: UUID, **__: Any) -> None:
        """Note how long it took."""
        self.on_chain_end(run_id=run_id)

    def on_chat_model_start(self, *_: Any, parent_run_id: UUID | None = None, **__: Any) -> None:
        """Note when the model was first asked for the answer itself."""
        within = self._runs[parent_run_id][0] if parent_run_id in self._runs else "total"
        if self._asked is None and within == "total":
            self._asked = time.perf_counter()

    def on_llm_new_token(self, token: str, **_: Any) -> None:  # type: ignore[override]
        """Note when the first token of the answer came."""
        if token and self._asked is not None and self._answering is None:
            self._answering = time.perf_counter()
            self.seconds["first token"] = self._answering - self._asked
