"""Answers to questions about documents as a whole: summaries that are kept, lists, quotations."""

from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePath
from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models import LanguageModelLike
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig

from rag_app.chains.citations import cite
from rag_app.chains.orders import without_orders
from rag_app.chains.overview.described_document import DescribedDocument, Quote
from rag_app.chains.prompts import Budget, Prompts
from rag_app.chains.questions.overview import Overview
from rag_app.chains.results import Answer
from rag_app.chains.streaming import Call, StepChain, Steps, loaded
from rag_app.documents.text import Language, language_of
from rag_app.errors import QuestionError
from rag_app.index.store.interface import DocumentStore
from rag_app.index.store.records import ChunkRecord, DocumentRecord
from rag_app.index.store.summaries import KeptSummaries
from rag_app.settings import DEFAULTS

LENGTH = {"zh": 100, "en": 60}
"""Characters, or words, that the model is asked for."""
MOST_TOKENS = 200
"""Token limit of a summary: a small model may copy a text that it is to summarize."""
_SHOWN = 10  # documents of which an answer gives more than the name
_NAMED = 50  # documents that an answer names
_MADE = 3
"""Summaries that are made for one answer; until then the others are described by their headings."""
_SEARCHED_NAMES = 20_000
"""Documents up to which a question may name one in part; with more that would take time."""
_QUOTED = {"dates": 20, "conclusion": 3}  # sentences of one document
_WORDS: dict[str, dict[Language, str]] = {
    "count": {"zh": "共有 {count} 份文档。", "en": "There are {count} documents."},
    "named": {
        "zh": "名称中有“{word}”的文档有 {count} 份。",
        "en": "Documents with “{word}” in their names: {count}.",
    },
    "some": {
        "zh": "共有 {count} 份文档，下面是其中的 {shown} 份。",
        "en": "There are {count} documents; these are {shown} of them.",
    },
    "others": {"zh": "其余的例如：{names}。", "en": "Others are: {names}."},
    "headings": {"zh": "标题有：{headings}。", "en": "Its headings: {headings}."},
    "no dates": {"zh": "文档中没有找到日期。", "en": "No dates were found in the documents."},
    "none": {"zh": "还没有文档。", "en": "There are no documents yet."},
    "comma": {"zh": "、", "en": ", "},
}
NOT_YET = "{count} of the documents have no summary yet; the next such question makes more"
"""The note of an answer that describes documents by their headings."""


@dataclass(frozen=True)
class WholeDocuments:
    """What answers questions about the documents of an index as a whole.

    Args:
        store: The index.
        summaries: Those that are kept.
        llm: Returns the model that makes the others.
        prompts: Its prompts.
        within: Path, folder or glob: only documents that match it count.
        search: Returns the passages of a topic.
        max_new_tokens: Kept free for a summary.
    """

    store: DocumentStore
    summaries: KeptSummaries
    llm: Callable[[], LanguageModelLike]
    prompts: Prompts
    within: str | None = None
    search: Callable[[str], Sequence[Document]] | None = None
    max_new_tokens: int = DEFAULTS.max_new_tokens

    def steps(self, question: str, overview: Overview) -> Steps[Answer]:
        """Return the steps that answer such a question."""
        chosen = self._chosen(overview)
        reply = _Reply(question, language_of(question), chosen, word=overview.word)
        reply.details = overview.kind != "list"
        if not (chosen.documents or overview.word):
            yield Answer(question, _WORDS["none"][reply.language], answered=False)
            return
        if overview.kind == "dates":
            yield from _quotations(reply, "dates", DescribedDocument.dates)
        elif overview.kind == "list":
            yield from _list(reply)
        elif overview.kind == "conclusion" and any(
            map(DescribedDocument.conclusions, chosen.documents)
        ):
            yield from _quotations(reply, "conclusion", DescribedDocument.conclusions)
        else:
            yield from self._summaries(reply)

    def missing(
        self, config: RunnableConfig | None = None
    ) -> Iterator[Callable[[], Coroutine[Any, Any, None]]]:
        """Yield what makes each summary that is missing, in the language of its document."""
        with self.store.read() as snapshot:
            self.summaries.sweep(snapshot)
            sources = snapshot.sources()
        for source in sources:
            with self.store.read() as snapshot:
                record = snapshot.document(source)
                document = DescribedDocument.of(record, snapshot) if record else None
            if document and self.summaries.get(document.record, document.language) is None:
                yield partial(self._make, document, config)

    async def _make(self, document: DescribedDocument, config: RunnableConfig | None) -> None:
        chain = StepChain[str, Answer](
            lambda _: self._summary(document, document.language), "summarize_document"
        )
        async for _ in chain.astream(document.name, config):
            pass

    def _summaries(self, reply: "_Reply") -> Steps[Answer]:
        """Tell of each document what it is about."""
        documents, language = reply.chosen.documents, reply.language
        kept = [self.summaries.get(document.record, language) for document in documents]
        missing = [document for document, text in zip(documents, kept, strict=True) if text is None]
        left = max(len(missing) - _MADE, 0)
        yield reply.opening((NOT_YET.format(count=left),) if left else ())
        for document, text in zip(documents, kept, strict=True):
            yield Answer(text=f"{reply.gap}**{document.name}**\n")
            if text is not None:
                yield Answer(text=text)
            elif document in missing[:_MADE]:
                yield from self._summary(document, language)
            else:
                yield Answer(text=_outline(document, language))
        yield reply.closing()

    def _summary(self, document: DescribedDocument, language: Language) -> Steps[Answer]:
        """Summarize a document, streamed as pieces, and keep the summary."""
        text = document.excerpt
        if len(text) > LENGTH["zh"] or language != document.language:
            model = yield from loaded(self.llm, "load_llm")
            messages = self._prompt(document, language, model)
            reply = yield Call(model, messages, _in_one_line)
            text = _whole_sentences(" ".join(reply.split()))
        else:
            text = " ".join(text.split())
            yield Answer(text=text)
        if text:
            self.summaries.keep(document.record, language, text)

    def _prompt(
        self, document: DescribedDocument, language: Language, model: LanguageModelLike
    ) -> list[BaseMessage]:
        budget = Budget.of(model, self.max_new_tokens)
        length = str(LENGTH[language])
        limit = budget.left(self.prompts.messages("summary", language, context="", length=length))
        context = budget.cut(without_orders(document.context), limit)
        return self.prompts.messages("summary", language, context=context, length=length)

    def named_in(self, question: str) -> Iterable[str]:
        """Return the documents that a question may name: of very many those it names in full."""
        with self.store.read() as snapshot:
            sources = snapshot.sources()
        if len(sources) <= _SEARCHED_NAMES:
            return sources
        folded = question.casefold()
        return [source for source in sources if PurePath(source).name.casefold() in folded]

    def _chosen(self, overview: Overview) -> "_Chosen":
        """Return the documents that match; of many, those that an answer says more about."""
        from rag_app.documents.sources import documents_within

        topical = _topical(self.search, overview.topic)
        with self.store.read() as snapshot:
            sources = list(overview.sources or topical)
            if not sources and not overview.word:
                sources = snapshot.sources()
            if self.within:
                meant = documents_within(snapshot.sources(), self.within)
                if not meant:
                    shown = self.within.replace("\0", ", ")
                    msg = f"no indexed document is {shown}; `rag-app docs` lists what is"
                    raise QuestionError(msg)
                others = [] if overview.word else sorted(meant)
                sources = [source for source in sources if source in meant] or others
            described = sources if overview.sources or overview.kind == "list" else _spread(sources)
            records = [snapshot.document(source) for source in described[:_SHOWN]]
            documents = tuple(
                DescribedDocument.of(record, snapshot) for record in records if record
            )
            listed = [snapshot.document(source) for source in sources[: _SHOWN + _NAMED + 1]]
        return _Chosen(tuple(sources), documents, tuple(record for record in listed if record))


@dataclass(frozen=True)
class _Chosen:
    """The documents that a question is about."""

    sources: tuple[str, ...]  # all of them
    documents: tuple[DescribedDocument, ...]  # those of which more than the name is given
    listed: tuple[DocumentRecord, ...]  # as many of all as an answer may name, and one more

    @property
    def names(self) -> list[str]:
        """Names of the others."""
        described = {document.record.source for document in self.documents}
        return [record.place for record in self.listed if record.source not in described]


@dataclass
class _Reply:
    """An answer in the making."""

    question: str
    language: Language
    chosen: _Chosen
    passages: list[ChunkRecord] = field(default_factory=list)
    """Those that it cites; by default the first of each document."""
    details: bool = True  # whether more than the names of documents is given
    word: str = ""  # what all of the documents have in their names
    _begun: bool = False

    @property
    def gap(self) -> str:
        """What stands before the next paragraph."""
        before, self._begun = self._begun, True
        return "\n\n" if before else ""

    def opening(self, notes: tuple[str, ...] = ()) -> Answer:
        """Return what comes before all: the passages, and how many documents there are."""
        firsts = [document.chunks[0] for document in self.chosen.documents]
        found = [chunk.as_document() for chunk in self.passages or firsts]
        count, shown = len(self.chosen.sources), len(self.chosen.documents)
        text = ""
        if count > 1 or self.word:
            some = self.details and shown < count
            text = _WORDS["named" if self.word else "some" if some else "count"][self.language]
            text = self.gap + text.format(count=count, shown=shown, word=self.word)
        return Answer(self.question, text, citations=tuple(cite(found)), notes=notes)

    def closing(self) -> Answer:
        """Return what names the documents of which no more is given."""
        if not (names := self.chosen.names):
            return Answer()
        joined = _WORDS["comma"][self.language].join(names[:_NAMED])
        more = "…" if len(names) > _NAMED else ""
        return Answer(text=self.gap + _WORDS["others"][self.language].format(names=joined + more))


def _quotations(
    reply: _Reply, kind: str, quotes: Callable[[DescribedDocument], list[Quote]]
) -> Iterator[Answer]:
    """Quote sentences of each document."""
    found = {
        document.record.source: quotes(document)[: _QUOTED[kind]]
        for document in reply.chosen.documents
    }
    cited = {chunk.id: chunk for some in found.values() for chunk, _ in some}
    if not cited:
        yield Answer(reply.question, _WORDS["no dates"][reply.language], answered=False)
        return
    reply.passages.extend(cited.values())
    yield reply.opening()
    for document in reply.chosen.documents:
        if some := found[document.record.source]:
            lines = "\n".join(f"- {sentence}" for _, sentence in some)
            yield Answer(text=f"{reply.gap}**{document.name}**\n\n{lines}")
    yield reply.closing()


def _outline(document: DescribedDocument, language: Language) -> str:
    """Return what a document is about without a model: its headings or its first sentence."""
    if headings := document.headings:
        joined = _WORDS["comma"][language].join(headings[:8])
        return _WORDS["headings"][language].format(headings=joined)
    return document.first_sentence


def _in_one_line(text: str, *, again: bool = False) -> Answer:
    return Answer(text=text.replace("\n", " "), again=again)


def _whole_sentences(text: str) -> str:
    """Return a text without the sentence that it is cut off in, if there are others."""
    return text[: max(map(text.rfind, "。！？!?")) + 1] or text


def _list(reply: _Reply) -> Iterator[Answer]:
    """Name the documents."""
    yield reply.opening()
    names = [record.place for record in reply.chosen.listed]
    more = ["- …"] if len(names) > _NAMED else []
    yield Answer(text=reply.gap + "\n".join([*(f"- **{name}**" for name in names[:_NAMED]), *more]))


def _spread(sources: Sequence[str]) -> list[str]:
    """Return some of the documents, from beginning to end of their names."""
    count = min(len(sources), _SHOWN)
    return [sources[number * len(sources) // count] for number in range(count)]


def _topical(search: Callable[[str], Sequence[Document]] | None, topic: str) -> list[str]:
    """Return the documents in which a topic is found, the most relevant first."""
    if not (search and topic):
        return []
    found = [str(passage.metadata.get("source", "")) for passage in search(topic)]
    return list(dict.fromkeys(filter(None, found)))
