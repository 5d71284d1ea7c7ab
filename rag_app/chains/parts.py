"""A question of several parts, answered one by one as a list."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from rag_app.chains.citations import Citation
from rag_app.chains.prompts import NOT_FOUND
from rag_app.chains.results import Answer
from rag_app.chains.streaming import Steps, collected
from rag_app.documents.text import language_of


def answered_in_parts(
    question: str,
    history: Sequence[BaseMessage],
    parts: Sequence[str],
    follow_up: Callable[[str, Sequence[BaseMessage]], Steps[Answer]],
) -> Steps[Answer]:
    """Yield the steps that answer the parts of a question, each as a follow-up of those before.

    The answers are the items of a list; a part that the documents lack is said to be missing.

    Args:
        question: The whole of it.
        history: What was said before.
        parts: See `parts_of`.
        follow_up: Returns the steps that answer a question after a history.
    """
    said = list(history)
    answers: list[Answer] = []
    cited: list[Citation] = []
    shown = ""
    for part in parts:
        answer = yield from collected(follow_up(part, said), Answer())
        answers.append(answer)
        said += [HumanMessage(part), AIMessage(answer.text)]
        known = {(one.source, one.start, one.text) for one in cited}
        new = [one for one in answer.citations if (one.source, one.start, one.text) not in known]
        new = [replace(one, marker=marker) for marker, one in enumerate(new, len(cited) + 1)]
        cited += new
        yield Answer(question, citations=tuple(new))
        if any(one.answered for one in answers):
            text = _listed(one.text for one in answers)
            yield Answer(text=text.removeprefix(shown))
            shown = text
    yield _judged_together(question, parts, answers)


def _judged_together(question: str, parts: Sequence[str], answers: Sequence[Answer]) -> Answer:
    """Return what is to be said of the answers to all parts: how sure the least sure one is."""
    notes = dict.fromkeys(note for answer in answers for note in answer.notes)
    answered = [answer for answer in answers if answer.answered]
    told = [one.confidence for one in answered or answers if one.confidence]
    confidence = min(told, key=lambda one: one.probability, default=None)
    if not answered:
        said = NOT_FOUND[language_of(question)]
        return Answer(text=said, answered=False, notes=tuple(notes), confidence=confidence)
    pairs = zip(parts, answers, strict=True)
    missing = [f"not found in the documents: {part}" for part, one in pairs if not one.answered]
    original = ""
    if any(one.original for one in answers):
        original = _listed(one.original or one.text for one in answers)
    return Answer(notes=(*notes, *missing), confidence=confidence, original=original)


def _listed(texts: Iterable[str]) -> str:
    return "\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1))
