"""Questions in another language than the documents': searched and read in theirs, answered in its.

A small model reads best in the language of what it reads, and the words of an answer can be checked
against a passage in that language alone. So the question is translated, the answer is found and
checked as for any other question, and then translated back.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models import LanguageModelLike
from langchain_core.runnables import Runnable

from rag_app.chains.facts.english_amounts import (
    amount_in_english,
    keeps_numbers,
    with_english_amounts,
    year_of_reign,
)
from rag_app.chains.facts.romanization import (
    invented_persons,
    person_in_english,
    with_han_names,
    with_names_as_asked,
    with_person_in_pinyin,
)
from rag_app.chains.prompts import NO_ANSWER, NOT_FOUND, Prompts, refusal_for
from rag_app.chains.questions import bare_question
from rag_app.chains.results import Answer
from rag_app.chains.streaming import Call, Invoke, StepChain, Steps, collected
from rag_app.documents.text import Language, language_of
from rag_app.index.search.relevance import relevance_of

UNTRANSLATED = "in the documents' words: its translation got numbers or names wrong"
"""The note of an answer that is left in another language than the question."""

_LONGEST = 300  # characters by which a translation may be longer than what it translates
_QUESTION_WORDS: Mapping[Language, Sequence[tuple[re.Pattern[str], str]]] = {
    "zh": [
        (re.compile(rf"\b(?:{asked})\b", re.IGNORECASE), word)
        for asked, word in (
            ("how often", "多久一次"), ("how long", "多久"), ("how old", "多少岁"),
            ("how many|how much", "多少"), ("(?:which|what) year", "哪一年"), ("who|whom", "谁"),
            ("where", "哪里"), ("when", "什么时候"), ("why", "为什么"), ("how", "怎么"),
            ("which", "哪"),
        )
    ],
    "en": [
        (re.compile(asked), word)
        for asked, word in (
            ("谁", "who"), ("哪一?年|什么时候|何时", "when"), ("哪里|哪儿|何处", "where"),
            ("为什么|为何", "why"), ("多久|多长时间", "how long"), ("多少|几", "how many"),
            ("怎么|怎样|如何", "how"), ("哪", "which"),
        )
    ],
}  # fmt: skip
"""What asks in the other language; the first that is found counts."""
_SEARCHES = 2  # translations of one question that are searched for, at most
_LETTER = re.compile(r"[^\W\d_]")
_ASKS_WHO = re.compile(r"\b(?:who|whom)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"[。！？；\n]\s*\S")
"""Matches in a Chinese answer that is more than a phrase."""
_ENGLISH_WORD = re.compile(r"[A-Za-z0-9][\w'’.-]*")
_VERBS = re.compile(
    "is|are|was|were|be|must|should|can|could|will|would|has|have|had|did|does|do|takes"
)
_BETWEEN = re.compile(
    "the|an?|to|in|on|at|of|for|from|by|with|and|you|it|that|this|as|one|before|after|been"
)
_ASKS_FOR = re.compile(r"\b(?:who|whom|whose|what|which|where|when|how)\b", re.IGNORECASE)
_STEM = 5  # letters that identify a word in any of its forms
_LABEL = re.compile(
    r"^(?:问题|译文|中文|翻译|答案|question|translation|answer)\s*[:：]\s*", re.IGNORECASE
)


def translate_question_chain(
    llm: LanguageModelLike, language: Language, prompts: Prompts | None = None
) -> StepChain[str, str]:
    """Return a Runnable from a question to its translation, nothing where the model has none."""
    templates = prompts or Prompts()

    def steps(question: str) -> Steps[str]:
        messages = templates.messages("translate_question", language, question=question)
        translated = _usable((yield Call(llm, messages)), question, language)
        if translated and not _asks_the_same(translated, question):
            values = {"question": question, "asks": _question_word(question, language)}
            messages = templates.messages("retranslate_question", language, **values)
            again = _usable((yield Call(llm, messages)), question, language)
            translated = again if _asks_the_same(again, question) else translated
        yield translated

    return StepChain(steps, "translate_question")


def _asks_the_same(translation: str, question: str) -> bool:
    """Return whether a translation is a question with the numbers of the other: else it answers."""
    asks = translation.rstrip().endswith(("?", "？"))
    return asks and keeps_numbers(translation, question, "")


def _question_word(question: str, language: Language) -> str:
    """Return the word of a language that asks what a question in another one does."""
    found = (word for pattern, word in _QUESTION_WORDS[language] if pattern.search(question))
    return next(found, "什么" if language == "zh" else "what")


def searched_in_translation(
    translate: Runnable[str, str],
    searching: Runnable[str, list[Document]],
    question: str,
    passages: Sequence[Document],
) -> Generator[Any, Any, tuple[str, Sequence[Document]]]:
    """Search for the translation of a question; return that, and the passages of all searches.

    Names that are Chinese ones in pinyin are written as the passages found so far write them, and
    where the search brings more of them, the question is translated again. What the model has no
    translation for stays as it is.
    """
    found, read_as, named = passages, question, ""
    for _ in range(_SEARCHES):
        before = named
        named = with_han_names(question, [passage.page_content for passage in found])
        if named == before or not (translated := (yield Invoke(translate, named))):
            break
        read_as = translated
        found = merged(found, (yield Invoke(searching, bare_question(translated))))
    return read_as, found


def merged(passages: Sequence[Document], more: Sequence[Document]) -> list[Document]:
    """Return the passages of two searches, each once and as the search that rates it higher does.

    There are as many as the longer search found, the most relevant.
    """
    best: dict[str, Document] = {}
    for passage in [*passages, *more]:
        key = passage.id or passage.page_content
        if key not in best or relevance_of(passage) > relevance_of(best[key]):
            best[key] = passage
    ranked = sorted(best.values(), key=relevance_of, reverse=True)
    return ranked[: max(len(passages), len(more))]


def in_language_of(
    question: str,
    steps: Steps[Answer],
    llm: LanguageModelLike,
    prompts: Prompts,
    language: Language | None = None,
) -> Generator[Any, Any, None]:
    """Yield the steps of an answer in another language, and then the answer in the question's.

    Where a ``language`` is given, it is answered in that.

    The answer in the documents' words is not shown as it comes; it is kept as ``original``.
    """
    whole = yield from collected(
        steps,
        Answer(question),
        lambda piece: replace(piece, question=question, text="", confidence=None),
    )
    language = language or language_of(question)
    if not whole.answered:
        texts = NOT_FOUND if whole.text in NOT_FOUND.values() else NO_ANSWER
        said = refusal_for(texts, question, language)
        yield Answer(text=said, step=whole.step + 1, confidence=whole.confidence)
        return
    read = "\n".join(citation.text for citation in whole.citations)
    text, wrong = year_of_reign(whole.text.strip("。 "), read) or whole.text, False
    if language_of(text) == language or not _LETTER.search(text):
        pass
    elif language_of(question) == language == "en" and (short := _short_in_english(text, question)):
        text = short
    else:
        translated = yield from _translated(question, text, llm, prompts, language)
        text, wrong = translated or text, not translated
    note = f"in the documents' words: {whole.text}" if text != whole.text else ""
    note = UNTRANSLATED if wrong else note
    notes = (note,) if note else ()
    last = Answer(text=text, original=whole.text, step=whole.step + 1, notes=notes)
    yield replace(last, confidence=whole.confidence)


def _translated(
    question: str, answer: str, llm: LanguageModelLike, prompts: Prompts, language: Language
) -> Generator[Any, Any, str]:
    """Return an answer in another language; empty where translations are wrong.

    One that says other numbers, or names another person, is made again with the amounts written
    in English. Where the model translates nothing, the answer stays as it is.
    """
    wrong, named = False, with_names_as_asked(answer, question)
    for written in dict.fromkeys((named, with_english_amounts(named))):
        values = {"question": question, "answer": written}
        reply = yield Call(llm, prompts.messages("translate_answer", language, **values))
        translated = _usable(reply, answer, language)
        if translated and _says_the_same(translated, answer, question):
            short = translated if _SENTENCE.search(answer) else phrase_alone(translated, question)
            return with_person_in_pinyin(short, answer) if language == "en" else short
        wrong = wrong or bool(translated)
    return "" if wrong else answer


def _says_the_same(translation: str, answer: str, question: str) -> bool:
    """Return whether a translation has the numbers of an answer, and no persons of its own."""
    persons = language_of(question) == "en" and invented_persons(translation, answer, question)
    return keeps_numbers(translation, answer, question) and not persons


def _short_in_english(answer: str, question: str) -> str | None:
    """Return an amount, a date or the name of a person in English, None for any other answer."""
    if _ASKS_WHO.search(question) and (person := person_in_english(answer.strip("。 "))):
        return person
    return amount_in_english(answer, question)


def phrase_alone(translation: str, question: str) -> str:
    """Return an English answer to a question without the sentence that restates the question.

    Example:
        >>> question = "What must be removed from the machine?"
        >>> phrase_alone("You must remove the transport bolts.", question)
        'transport bolts'
        >>> phrase_alone("the bolts of the machine", question)
        'the bolts of the machine'
    """
    asked = {word[:_STEM].lower() for word in _ENGLISH_WORD.findall(question)}
    verb = False
    if not _ASKS_FOR.search(question):
        return translation
    for match in _ENGLISH_WORD.finditer(translation):
        word = match.group().lower()
        if _VERBS.fullmatch(word):
            verb = True
        elif not _BETWEEN.fullmatch(word) and word[:_STEM] not in asked:
            return translation[match.start() :].rstrip(". ") if verb else translation
    return translation


def _usable(reply: str, original: str, language: Language) -> str:
    """Return a translation without a label; nothing where the model did something else."""
    text = _LABEL.sub("", reply.strip()).strip()
    fits = len(text) <= 4 * len(original) + _LONGEST
    return text if fits and language_of(text) == language else ""
