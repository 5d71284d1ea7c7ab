"""Summarizing a document: ``refine``, ``stuff`` and ``map_reduce``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable

from rag_app.chains.budget import Budget, segments
from rag_app.chains.prompts import Task, messages
from rag_app.chains.streaming import Batch, Call, Steps, replaces, runnable
from rag_app.documents.language import Language, language_of
from rag_app.settings import SummaryChain

BATCH = 8
"""Independent calls handed to the model at once; bounds what an interruption loses."""


@dataclass(frozen=True)
class Summary:
    """A summary, or a piece of one: pieces of a stream add up to the whole.

    A piece of a later step replaces the text of the earlier ones, so that what is there when a
    long summary is interrupted is a summary of the text read so far.
    """

    text: str = ""
    step: int = 0
    """How many steps are done, or under way."""
    steps: int = 0
    """How many steps there are."""
    notes: tuple[str, ...] = ()
    """What the reader should know, such as text that did not fit."""

    def __add__(self, other: "Summary") -> "Summary":
        revised = replaces(self, other)
        return replace(
            self,
            text=other.text if revised else self.text + other.text,
            step=other.step if revised else self.step,
            steps=other.steps or self.steps,
            notes=self.notes + other.notes,
        )


def summarize_chain(
    llm: BaseChatModel,
    kind: SummaryChain = "refine",
    *,
    length: int = 200,
    reply: int = 400,
    step_tokens: int = 3000,
) -> Runnable[str, Summary]:
    """Return a Runnable from a text to its `Summary`; its stream is pieces of the summary.

    Args:
        llm: Any LangChain chat model.
        kind: ``stuff`` reads the beginning that fits the window and says what it left out.
            ``refine`` reads segment after segment and carries the summary along. ``map_reduce``
            summarizes the segments apart, in batches, and then merges the summaries.
        length: Characters (Chinese) or words (English) that the model is asked for.
        reply: Tokens kept free for each reply.
        step_tokens: Tokens of text in one step, less where the window is smaller.

    Raises:
        ModelError: on use, when the window holds no text beside the prompt.
    """
    budget = Budget.of(llm, reply)

    def steps(text: str) -> Steps[Summary]:
        task = _Task(text, language_of(text), budget, length, step_tokens)
        return {"stuff": _stuff, "refine": _refine, "map_reduce": _map_reduce}[kind](task)

    return runnable(steps, llm, f"summarize_{kind}")


@dataclass(frozen=True)
class _Task:
    text: str
    language: Language
    budget: Budget
    length: int
    step_tokens: int

    def prompt(self, task: Task, **values: str) -> list[BaseMessage]:
        return messages(task, self.language, length=str(self.length), **values)

    def segments(self, task: Task, **values: str) -> list[str]:
        """Return the text in segments that fit the window beside the prompt of ``task``."""
        spare = self.budget.reply if values else 0
        room = min(
            self.budget.room(self.prompt(task, context="", **values), spare), self.step_tokens
        )
        spans = segments(self.text, room, self.budget.count)
        return [self.text[start:end] for start, end in spans]


def _stuff(task: _Task) -> Steps[Summary]:
    room = task.budget.room(task.prompt("summary", context=""))
    text = task.text
    if task.budget.count(text) > room:
        _, end = next(segments(text, room, task.budget.count))
        left = len(text) - end
        note = (
            f"the text is longer than the model's window: the last {left:,} of {len(text):,} "
            "characters were left out; --chain refine or map_reduce reads them all"
        )
        text = text[:end]
        yield Summary(notes=(note,))
    yield Call(task.prompt("summary", context=text), lambda delta: Summary(delta, 1, 1))


def _refine(task: _Task) -> Steps[Summary]:
    parts = task.segments("refine_summary", summary="")
    total = len(parts)
    summary = ""
    for number, part in enumerate(parts, 1):
        yield Summary(step=number, steps=total)
        if summary:
            prompt = task.prompt("refine_summary", context=part, summary=summary)
        else:
            prompt = task.prompt("summary", context=part)
        if number == total:
            yield Call(prompt, lambda delta: Summary(delta, total, total))
        else:
            # Shown when whole: an interruption then leaves the last complete summary.
            reply = yield Call(prompt)
            summary = reply or summary
            yield Summary(summary, number, total)


def _map_reduce(task: _Task) -> Steps[Summary]:
    parts = task.segments("summary")
    total = len(parts) + (len(parts) > 1)
    if len(parts) == 1:
        yield Call(task.prompt("summary", context=parts[0]), lambda text: Summary(text, 1, 1))
        return
    summaries: list[str] = []
    for begin in range(0, len(parts), BATCH):
        batch = parts[begin : begin + BATCH]
        summaries += yield Batch([task.prompt("summary", context=part) for part in batch])
        yield Summary("\n".join(summaries), len(summaries), total)
    room = task.budget.room(task.prompt("combine_summaries", context=""))
    while len(groups := _grouped(summaries, room, task.budget)) > 1:
        summaries = yield Batch([task.prompt("combine_summaries", context=text) for text in groups])
    yield Call(
        task.prompt("combine_summaries", context=groups[0]),
        lambda text: Summary(text, total, total),
    )


def _grouped(summaries: Sequence[str], room: int, budget: Budget) -> list[str]:
    """Return the summaries in order, joined into as few texts as ``room`` tokens each allow.

    Two go into each text at least, cut where need be, so that merging always comes to an end.
    """
    groups: list[str] = []
    rest = list(summaries)
    while rest:
        taken = max(2, _fitting(rest, room, budget))
        groups.append(budget.cut("\n\n".join(rest[:taken]), room))
        rest = rest[taken:]
    return groups


def _fitting(texts: Sequence[str], room: int, budget: Budget) -> int:
    """Return how many texts from the first on fit ``room`` tokens, blank lines included."""
    for number, text in enumerate(texts):
        room -= budget.count(text) + 2
        if room < 0:
            return number
    return len(texts)
