"""Summarizing a document: ``refine``, ``stuff`` and ``map_reduce``."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models import LanguageModelLike
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable

from rag_app.chains.citations import Citation, cite
from rag_app.chains.orders import without_orders
from rag_app.chains.prompts import Budget, GivenPrompts, Prompts, Task, segments
from rag_app.chains.results import Summary
from rag_app.chains.streaming import Batch, Call, StepChain, Steps, loaded, made_again
from rag_app.documents.splitters import ChineseTextSplitter
from rag_app.documents.text import SENTENCE_END, Language, language_of
from rag_app.errors import DocumentError
from rag_app.settings import DEFAULTS, SummaryChain

ORDERS_LEFT_OUT = "the text tells its reader what to answer; those sentences were left out"
"""The note of a summary of a text that gives orders."""

PASSAGE_SIZE = 300
"""Most characters of the passages that a sentence is matched to."""

SENTENCE: Mapping[Language, int] = {"zh": 40, "en": 25}
"""Characters or words of one sentence of a summary that is written piece by piece."""

LONGEST = 2
"""Times what it was asked for: a longer reply is not a summary. The default model then copies the
text from its beginning, and never comes to its end."""

BATCH = 8
"""Independent calls handed to the model at once; bounds what an interruption loses."""


SummaryInput = str | Document | Sequence[str | Document] | Mapping[str, Any]
"""A text, or what a loader returns; or that in a dict, as ``input_documents``, ``context`` or
``text``."""


@made_again
def summarize_chain(
    llm: LanguageModelLike | Callable[[], LanguageModelLike],
    kind: SummaryChain = DEFAULTS.summary_chain,
    *,
    prompts: GivenPrompts = None,
    length: int = DEFAULTS.summary_length,
    max_new_tokens: int = DEFAULTS.max_new_tokens,
    step_tokens: int = DEFAULTS.summary_step_tokens,
) -> Runnable[SummaryInput, Summary]:
    """Return a Runnable from a text to its `Summary`; its stream is pieces of the summary.

    Several documents, such as the pages that a loader returns, are read as one. A text that its
    summary would not shorten is returned as it is. Where the model writes much more than it is
    asked for, each piece of what it was given is put in one sentence instead. Sentences that tell
    their reader what to answer are not read, and that is noted. Each sentence of the summary is
    checked against the passages of the text: see `Summary.sentences`.

    Args:
        llm: Any LangChain model, or what returns one when it is first needed; see `rag_chain`.
        kind: ``stuff`` reads the beginning that fits the window and says what it left out.
            ``refine`` reads segment after segment and carries the summary along. ``map_reduce``
            summarizes the segments apart, in batches, and then merges the summaries.
        prompts: In place of the default ones: texts by name, or a folder; see `Prompts`.
        length: Characters (Chinese) or words (English) that the model is asked for.
        max_new_tokens: Kept free for each reply.
        step_tokens: Tokens of text in one step, less where the window is smaller.

    Raises:
        DocumentError: on use, when there is no text.
        ModelError: on use, when the window holds no more than the prompt.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> llm = FakeListChatModel(responses=["Green tea is steamed."], custom_get_token_ids=list)
        >>> text = "Green tea is steamed and then rolled. " * 9 + "Black tea is not."
        >>> summarize_chain(llm, length=10).invoke(text).marked_text
        'Green tea is steamed.[1]'
    """
    templates = Prompts.of(prompts)

    def steps(given: SummaryInput) -> Steps[Summary]:
        document = _document(given)
        whole = document.page_content
        if not whole.strip():
            raise DocumentError("there is no text to summarize")
        text = without_orders(whole)
        if not text.strip():
            raise DocumentError(
                "the text only tells its reader what to answer; nothing is left of it"
            )
        if text != whole:
            yield Summary(notes=(ORDERS_LEFT_OUT,))
        model = yield from loaded(llm, "load_llm")
        budget = Budget.of(model, max_new_tokens)
        reading = _Reading(text, language_of(text), model, templates, budget, length, step_tokens)
        short = reading.size(text) <= length and budget.count(text) < step_tokens
        chains = {"stuff": _stuff, "refine": _refine, "map_reduce": _map_reduce}
        read = _short if short else chains[kind]
        yield from _checked(read(reading), _passages(document))

    return StepChain(steps, f"summarize_{kind}")


def _document(given: SummaryInput) -> Document:
    if isinstance(given, Mapping):
        names = ("input_documents", "context", "text")
        given = next((given[name] for name in names if name in given), given)
    parts = [given] if isinstance(given, str | Document) else given
    if not isinstance(parts, Sequence) or not all(
        isinstance(part, str | Document) for part in parts
    ):
        msg = f"what is summarized is a text, a Document or a list; this is {type(given).__name__}"
        raise DocumentError(msg)
    documents = [part if isinstance(part, Document) else Document(part) for part in parts]
    if len(documents) == 1:
        return documents[0]
    sources = {part.metadata.get("source") for part in documents}
    metadata = {"source": sources.pop()} if len(sources) == 1 else {}
    return Document("\n\n".join(part.page_content for part in documents), metadata=metadata)


def _passages(document: Document) -> tuple[Citation, ...]:
    """Return the passages of a document, without sentences that give orders."""
    chunks = ChineseTextSplitter(PASSAGE_SIZE, 0).split_documents([document])
    return tuple(replace(citation, text=without_orders(citation.text)) for citation in cite(chunks))


def _checked(steps: Steps[Summary], passages: tuple[Citation, ...]) -> Generator[Any, Any, None]:
    """Yield the steps of a summary, the passages it is checked against, and then what is amiss."""
    whole, reply = Summary(citations=passages), None
    yield whole
    while True:
        try:
            step = steps.send(reply)
        except StopIteration:
            break
        reply = yield step
        if isinstance(step, Summary):
            whole += step
        elif isinstance(step, Call) and step.piece and reply:
            whole += step.piece(reply)
    if whole.doubts:
        yield Summary(notes=whole.doubts)


@dataclass(frozen=True)
class _Reading:
    """One text, and how it is summarized."""

    text: str
    language: Language
    llm: LanguageModelLike
    prompts: Prompts
    budget: Budget
    length: int
    step_tokens: int

    def size(self, text: str) -> int:
        """Return the characters (Chinese) or words (English) of a text."""
        return len("".join(text.split()) if self.language == "zh" else text.split())

    def is_long(self, reply: str) -> bool:
        """Return whether a reply is much longer than asked for, or cut off where it is longer."""
        size = self.size(reply)
        cut_off = size > self.length and not SENTENCE_END.search(reply)
        return cut_off or size > LONGEST * self.length

    def prompt(self, task: Task, **values: str) -> list[BaseMessage]:
        values = {"length": str(self.length), **values}
        return self.prompts.messages(task, self.language, **values)

    def batch(self, task: Task, texts: Sequence[str]) -> Batch:
        """Return the calls that summarize texts apart."""
        return Batch(self.llm, [self.prompt(task, context=text) for text in texts])

    def segments(self, task: Task, **values: str) -> list[str]:
        """Return the text in segments that fit the window together with the prompt of ``task``."""
        spare = self.budget.max_new_tokens if values else 0
        left = self.budget.left(self.prompt(task, context="", **values), spare)
        spans = segments(self.text, min(left, self.step_tokens), self.budget.count)
        return [self.text[start:end] for start, end in spans]


def _short(reading: _Reading) -> Steps[Summary]:
    """Summarize a text no longer than a summary may be: what is not shortened stays as it is."""
    reading.budget.left(reading.prompt("summary", context=reading.text))
    yield Summary(step=1, steps=1)
    reply = yield Call(reading.llm, reading.prompt("summary", context=reading.text))
    shorter = reply and reading.size(reply) < reading.size(reading.text)
    yield Summary(reply if shorter else reading.text.strip(), 1, 1)


def _stuff(reading: _Reading) -> Steps[Summary]:
    limit = reading.budget.left(reading.prompt("summary", context=""))
    text = reading.text
    if reading.budget.count(text) > limit:
        _, end = next(segments(text, limit, reading.budget.count))
        left = len(text) - end
        note = (
            f"the text is longer than the model's window: the last {left:,} of {len(text):,} "
            "characters were left out; --chain refine or map_reduce reads them all"
        )
        text = text[:end]
        yield Summary(notes=(note,))
    yield from _last(reading, reading.prompt("summary", context=text), text, 1)


def _refine(reading: _Reading) -> Steps[Summary]:
    parts = reading.segments("refine_summary", summary="")
    total = len(parts)
    summary = ""
    for number, part in enumerate(parts, 1):
        yield Summary(step=number, steps=total)
        given = f"{summary}\n\n{part}".strip()
        if summary:
            prompt = reading.prompt("refine_summary", context=part, summary=summary)
        else:
            prompt = reading.prompt("summary", context=part)
        if number == total:
            yield from _last(reading, prompt, given, total)
            return
        # Shown when whole: an interruption then leaves the last complete summary.
        reply = yield Call(reading.llm, prompt)
        if reading.is_long(reply):
            reply = yield from _shortened(reading, reply, given)
        summary = reply or summary
        yield Summary(summary, number, total)


def _map_reduce(reading: _Reading) -> Steps[Summary]:
    parts = reading.segments("summary")
    total = len(parts) + (len(parts) > 1)
    if len(parts) == 1:
        yield from _last(reading, reading.prompt("summary", context=parts[0]), parts[0], 1)
        return
    summaries: list[str] = []
    for begin in range(0, len(parts), BATCH):
        summaries += yield reading.batch("summary", parts[begin : begin + BATCH])
        yield Summary("\n".join(summaries), len(summaries), total)
    limit = reading.budget.left(reading.prompt("combine_summaries", context=""))
    while len(groups := _grouped(summaries, limit, reading.budget)) > 1:
        summaries = yield reading.batch("combine_summaries", groups)
    prompt = reading.prompt("combine_summaries", context=groups[0])
    yield from _last(reading, prompt, groups[0], total)


def _last(reading: _Reading, prompt: list[BaseMessage], given: str, step: int) -> Steps[Summary]:
    """Stream the reply of the last step, and what takes its place where it is not a summary."""
    reply = yield Call(reading.llm, prompt, partial(Summary, step=step, steps=step))
    if reading.is_long(reply):
        yield Summary(step=step + 1, steps=step + 1)
        text = yield from _shortened(reading, reply, given)
        yield Summary(text, step + 1, step + 1)


def _shortened(reading: _Reading, reply: str, given: str) -> Generator[Batch, Any, str]:
    """Return what was given piece by piece, each in one sentence; a shorter reply stays."""
    wanted = SENTENCE[reading.language]
    count = max(2, round(reading.length / wanted))
    spans = segments(given, -(-reading.budget.count(given) // count), reading.budget.count)
    pieces = [given[start:end] for start, end in spans]
    length = str(min(wanted, reading.length // count))
    prompts = [reading.prompt("sentence_summary", context=piece, length=length) for piece in pieces]
    sentences = yield Batch(reading.llm, prompts)
    text = ("" if reading.language == "zh" else " ").join(
        sentence.strip() for sentence in sentences
    )
    return min(reply, text or reply, key=len)


def _grouped(summaries: Sequence[str], limit: int, budget: Budget) -> list[str]:
    """Return the summaries in order, joined into as few texts as ``limit`` tokens each allow.

    Two go into each text at least, cut where need be, so that merging always comes to an end.
    """
    groups: list[str] = []
    rest = list(summaries)
    while rest:
        taken = max(2, _fitting(rest, limit, budget))
        groups.append(budget.cut("\n\n".join(rest[:taken]), limit))
        rest = rest[taken:]
    return groups


def _fitting(texts: Sequence[str], limit: int, budget: Budget) -> int:
    """Return how many texts from the first on fit ``limit`` tokens, blank lines included."""
    for number, text in enumerate(texts):
        limit -= budget.count(text) + 2
        if limit < 0:
            return number
    return len(texts)
