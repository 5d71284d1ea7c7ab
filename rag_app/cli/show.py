"""Answers and summaries on the terminal: text on stdout, everything else on stderr."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from rag_app.chains.citations import Citation
    from rag_app.chains.confidence import Confidence
    from rag_app.chains.results import Answer, Summary
    from rag_app.engine.ahead import Ahead
    from rag_app.index.indexing.preview import IndexPreview
    from rag_app.index.indexing.report import Failure, IndexReport

_MANY_STEPS = 3  # steps of a summary from which it is said how long it will take


@cache
def _console() -> "Console":
    """Return what writes to stderr; an answer is shown before it is loaded."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def __getattr__(name: str) -> "Console":
    """Return ``messages``, the console of stderr."""
    if name != "messages":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _console()


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def name(text: str) -> "Text":
    """Return a name for a table: as it is, except what would move the cursor or turn the text."""
    from rich.text import Text

    return Text(_line(text))


def _line(text: str) -> str:
    from rag_app.documents.text import shown

    return shown(text)


def count_of(number: int, name: str, names: str = "") -> str:
    """Return a number of things in words, whose plural is ``names``, by default with an s.

    Example:
        >>> count_of(1, "passage"), count_of(1200, "index", "indexes")
        ('1 passage', '1,200 indexes')
    """
    return f"{number:,} {name if number == 1 else names or f'{name}s'}"


def to_stdout(text: str, end: str = "\n") -> None:
    """Write ``text`` as it is and flush; lone surrogates of odd file names are replaced."""
    sys.stdout.write(text.encode("utf-8", "replace").decode("utf-8") + end)
    sys.stdout.flush()


def print_json(value: object) -> None:
    """Write one JSON document on one line, escaped where stdout's encoding lacks a character."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, default=str)
    to_stdout(text)


def answer(
    pieces: "Iterator[Answer]", *, stream: bool, shown: "Ahead | None" = None
) -> "tuple[Answer, bool]":
    """Show an answer as it comes; return it, and whether Ctrl-C cut it short.

    Where ``stream`` is true the text appears as it is generated, with its checked marks; a later
    step's text follows on a new line. While it is waited for, a terminal shows the sentence that
    may carry it. Otherwise the text appears once, when it is complete. What is ``shown`` already is
    not shown again.
    """
    from rag_app.chains.results import Answer, deltas

    whole, cut = Answer(), False
    written = len(shown.text) if shown else 0
    hinted = (shown is not None and shown.hinted) or not sys.stderr.isatty()
    try:
        for delta in deltas(pieces, marks=Answer.marker):
            whole = delta.whole
            if stream and not hinted and delta.piece and delta.piece.likely:
                _console().print(_escape(delta.piece.likely_line), style="dim")
            if stream and delta.replaces:
                to_stdout("")
                _console().print("[dim]refined:[/dim]")
            if stream:
                to_stdout(delta.text[written:], end="")
                written = max(written - len(delta.text), 0)
    except KeyboardInterrupt:
        cut = True
    to_stdout("" if stream else whole.marked_text)
    return whole, cut


def sources(answer: "Answer", *, context: bool) -> None:
    """Show how sure an answer is and where it comes from, with ``context`` the passages as well.

    All of it goes to stderr.
    """
    for note in answer.notes:
        _console().print(f"[yellow]note:[/yellow] {_escape(note)}")
    if answer.confidence:
        _console().print(_confidence_line(answer.confidence))
    if not answer.citations:
        return
    evidence = answer.evidence
    _console().print("[bold]Sources[/bold]" if answer.answered else "[bold]Nearest passages[/bold]")
    for citation in answer.citations:
        _console().print(_source_line(citation), style="dim" if not answer.answered else None)
        quoted = [evidence] if evidence else answer.nearest
        for each in quoted:
            if each.marker == citation.marker:
                sentence = each.sentence if evidence else each.line
                _console().print(_escape(_line(f"    “{sentence}”")), style="italic")
        if context or not (answer.answered or answer.nearest):
            _console().print(_escape(_passage(citation, whole=context)), style="dim")


def _confidence_line(confidence: "Confidence") -> str:
    signals = confidence.signals
    parts = [f"{confidence.probability:.0%} that the passages answer"]
    if signals.relevance is not None:
        parts.append(f"relevance {signals.relevance:.0%}")
    if signals.judgement is not None:
        parts.append(f"the model's own judgement {signals.judgement:+.1f}")
    if signals.sentence is not None:
        parts.append(f"of the sentence alone {signals.sentence:+.1f}")
    if signals.unmatched:
        parts.append(f"the passages lack {', '.join(signals.unmatched)}")
    if signals.supported is not None:
        parts.append(f"{'a' if signals.supported else 'no'} passage holds the words of the answer")
    colour = {"sure": "green", "doubtful": "yellow", "refused": "red"}[confidence.verdict]
    verdict = f"[{colour} bold]{confidence.verdict.capitalize()}[/]"
    return f"{verdict}: {_escape(', '.join(parts))}"


def _source_line(citation: "Citation") -> str:
    parts = []
    if citation.start is not None:
        parts.append(f"characters {citation.start}-{citation.end}")
    if citation.relevance is not None:
        parts.append(f"{citation.relevance:.0%} relevant")
    if citation.copies:
        names = ", ".join(_copy_name(source, citation) for source in citation.copies)
        parts.append(f"the same in {names}")
    return _escape(_line(f"[{citation.marker}] {citation.place}  {', '.join(parts)}".rstrip()))


def _copy_name(source: str, citation: "Citation") -> str:
    """Return the name of a document that says the same, with its folder if only that differs."""
    path = PurePath(source)
    return path.name if path.name != citation.name else "/".join(path.parts[-2:])


def _passage(citation: "Citation", *, whole: bool) -> str:
    text = citation.text if whole else citation.text[:80].replace("\n", " ") + "…"
    return "\n".join(f"    {line}" for line in text.splitlines())


def answer_json(answer: "Answer", timings: Mapping[str, float]) -> dict[str, Any]:
    """Return an answer as JSON values, with its marks, its evidence and the seconds it took."""
    computed: dict[str, Any] = {
        "marked_text": answer.marked_text,
        "supported": answer.supported,
        "evidence": asdict(answer.evidence) if answer.evidence else None,
    }
    streamed = ("likely", "message")
    values = {name: value for name, value in asdict(answer).items() if name not in streamed}
    return {**values, **computed, "timings": dict(timings)}


def summary(pieces: "Iterator[Summary]", *, stream: bool) -> "tuple[Summary, bool]":
    """Show a summary as its last step comes; return it, and whether Ctrl-C cut it short.

    On a terminal each sentence has the marks of the passages that support it, or the flag; what is
    written to a file or a pipe has none.
    """
    from rag_app.chains.results import Summary, deltas

    whole, cut, shown = Summary(), False, False
    estimate = _Estimate()
    status = _console().status("Reading…")
    status.start()
    try:
        for delta in deltas(pieces, marks=Summary.marker if stream else None):
            whole = delta.whole
            if whole.steps > 1:
                step = max(delta.piece.step if delta.piece else 0, whole.step)
                left = estimate.at(step, whole.steps)
                status.update(f"Reading: step {step} of {whole.steps}{left}")
            if stream and delta.text and whole.step == whole.steps:
                status.stop()
                to_stdout(delta.text, end="")
                shown = True
    except KeyboardInterrupt:
        cut = True
    status.stop()
    text = whole.marked_text if sys.stdout.isatty() else whole.text
    to_stdout("" if shown else text)
    for note in whole.notes:
        _console().print(f"[yellow]note:[/yellow] {_escape(note)}")
    _where(whole)
    if cut:
        done = f" after step {whole.step} of {whole.steps}" if whole.steps > 1 else ""
        _console().print(f"[yellow]interrupted{done}; this is what there is[/yellow]")
    return whole, cut


def _where(summary: "Summary") -> None:
    """Show the passages that a summary's sentences come from, and their share of all."""
    cited = summary.cited
    if not cited:
        return
    total = len(summary.citations)
    _console().print(f"[bold]Sources[/bold] {len(cited)} of {total} passages")
    for citation in cited:
        _console().print(_source_line(citation))


class _Estimate:
    """Tells how long the steps of a summary will take, once the first ones have shown it."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._first = self._step = 0
        self._left = ""

    def at(self, step: int, steps: int) -> str:
        """Return what to say of the time left at the beginning of a step."""
        if not self._first:
            self._first, self._started = step, time.monotonic()
            if steps > _MANY_STEPS:
                _console().print(f"{steps} steps; the first ones show how long it will take")
        elif step > self._step:
            each = (time.monotonic() - self._started) / (step - self._first)
            minutes = max(round(each * (steps - step + 1) / 60), 1)
            if not self._left and steps > _MANY_STEPS:
                _console().print(
                    f"about {minutes} min to go; Ctrl-C ends with what there is by then"
                )
            self._left = f", about {minutes} min to go"
        self._step = max(self._step, step)
        return self._left


def summary_json(
    source: object, summary: "Summary", timings: Mapping[str, float]
) -> dict[str, Any]:
    """Return a summary as JSON values, with its source and the seconds each part took.

    Its citations are those that support a sentence; coverage is their share of all passages.
    """
    checked = {
        "citations": [asdict(citation) for citation in summary.cited],
        "marked_text": summary.marked_text,
        "sentences": [asdict(sentence) for sentence in summary.sentences],
        "coverage": summary.coverage,
    }
    own = {name: getattr(summary, name) for name in ("text", "step", "steps", "notes")}
    return {"source": str(source), **own, **checked, "timings": dict(timings)}


def index_report(report: "IndexReport") -> None:
    """Show what a run of indexing did, on stderr."""
    done = {
        "added": report.added,
        "updated": report.updated,
        "renamed": report.renamed,
        "removed": report.removed,
        "unchanged": report.unchanged,
        "failed": len(report.failed),
    }
    parts = ", ".join(f"{count} {name}" for name, count in done.items() if count) or "nothing to do"
    passages = count_of(report.chunks, "passage")
    _console().print(f"documents: {parts}; {passages} in {report.seconds:.1f} s")
    if report.placed:
        found = "is found" if report.placed == 1 else "are found"
        _console().print(
            f"{count_of(report.placed, 'document')} {found} by the names of folders too from now on"
        )
    skipped(report.skipped)
    texts: dict[str, list[str]] = {}
    for note in report.notes:
        texts.setdefault(note.source, []).append(note.text)
    for source, notes in texts.items():
        _console().print(_line(f"{source}: {'; '.join(notes)}"), style="yellow", markup=False)
    failures(report.failed)


def index_preview(preview: "IndexPreview") -> None:
    """Show what a run of indexing would do: files on stdout, the rest on stderr."""
    for what, files in (("new", preview.new), ("changed", preview.changed)):
        for source in files:
            to_stdout(f"{what:<8} {_line(source)}")
    _console().print(f"{len(preview.unchanged)} unchanged; nothing was indexed")
    skipped(preview.skipped)
    failures(preview.failed)


def skipped(counts: Mapping[str, Mapping[str, int]]) -> None:
    """Show how many files were passed over, a line for each reason."""
    for reason, kinds in counts.items():
        total = sum(kinds.values())
        files = count_of(total, "file")
        listed = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
        were = "was skipped" if total == 1 else "were skipped"
        what = f"{files} {reason} {were}: {listed}"
        _console().print(what, style="dim", markup=False)


def failures(failed: "Sequence[Failure]") -> None:
    """Show what could not be read."""
    for failure in failed:
        named = failure.source in failure.reason or PurePath(failure.source).name in failure.reason
        line = failure.reason if named else f"{failure.source}: {failure.reason}"
        _console().print(_line(line), style="red", markup=False)


def timings(seconds: Mapping[str, float]) -> None:
    """Show where the time went, on stderr."""
    for name, value in seconds.items():
        _console().print(f"{value:8.2f} s  {name}")


def print_table(table: "Table") -> None:
    """Show a table on stdout, folded to the width of a terminal; nothing of it is left out."""
    from rich.console import Console

    for column in table.columns:
        column.overflow = "fold"
    width = None if sys.stdout.isatty() else 10_000
    Console(width=width, highlight=False).print(table)
