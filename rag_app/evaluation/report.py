"""The report of a run: one HTML page without outside parts, with figures, plots and failures."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from rag_app.evaluation.figures import Comparison, Figure
from rag_app.evaluation.outcomes import FAILURES, Outcome, OutcomeKind
from rag_app.evaluation.plots import curve, histogram, risk_coverage, roc
from rag_app.evaluation.rows import unwritable

_MOST_CASES = 200  # cases of one kind that are shown
_LONGEST = 1500  # characters of a passage that are shown

_EXPLAINED: Mapping[OutcomeKind, str] = {
    "not retrieved": "No relevant document was found, nor the answer in another one.",
    "retrieved but wrong": "The document was found, and the answer lacks the gold answer.",
    "wrongly refused": "The document was found, and the question was refused.",
    "wrongly answered": "The documents have no answer, and one was given.",
    "uncited": "The answer is right, and no passage is marked as its source.",
    "failed": "The question could not be asked.",
}

_STYLE = """
:root{color-scheme:light dark;--fg:#1f2328;--dim:#656d76;--bg:#fff;--box:#f6f8fa;--rule:#d0d7de;
--a:#0969da;--b:#bc4c00}
@media (prefers-color-scheme:dark){:root{--fg:#e6edf3;--dim:#8d96a0;--bg:#0d1117;--box:#161b22;
--rule:#30363d;--a:#4493f8;--b:#f0883e}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:60rem;
margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}
td,th{padding:.2rem .6rem;border-bottom:1px solid var(--rule);text-align:left}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.about,dt,.dim{color:var(--dim)}
dl{display:grid;grid-template-columns:fit-content(12rem) minmax(0,1fr);gap:.1rem .8rem;
margin:.3rem 0}
dd{margin:0;white-space:pre-wrap}dd,dt,h1,summary{overflow-wrap:anywhere}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr));gap:1rem}
.wide{overflow-x:auto}
@media (max-width:40rem){table{font-size:13px}dl{grid-template-columns:1fr}
.figures tr{display:grid;grid-template-columns:1fr 4rem 7.6rem 3rem;
border-bottom:1px solid var(--rule)}
.figures :is(td,th){border:0;padding:.1rem .2rem;overflow-wrap:anywhere}
.figures :is(td.about,th[colspan]){grid-column:1/-1}.figures th:empty{display:none}}
svg{width:100%;height:auto;background:var(--box);border-radius:6px}
svg text{font-size:11px;fill:var(--dim)}svg .title{font-size:13px;fill:var(--fg)}
svg .frame{fill:none;stroke:var(--rule)}svg .s0{fill:var(--a)}svg .s1{fill:var(--b)}
svg .line{fill:none;stroke:var(--a);stroke-width:2}svg .chance{stroke:var(--rule)}
details{background:var(--box);border-radius:6px;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer}
"""


def write_report(
    path: Path,
    made: Mapping[str, Any],
    outcomes: Sequence[Outcome],
    figures: Sequence[Figure],
    comparisons: Sequence[Comparison] = (),
) -> None:
    """Write the report of a run.

    Raises:
        DocumentError: the file can't be written.
    """
    text = report_page(made, outcomes, figures, comparisons)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise unwritable(path, error) from error


def check_writable(path: Path | None) -> None:
    """Check that a report, if one is wanted, can be written, before anything is run for it.

    Raises:
        DocumentError: the file can't be written.
    """
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            new = not file.tell()
        if new:
            path.unlink()
    except OSError as error:
        raise unwritable(path, error) from error


def report_page(
    made: Mapping[str, Any],
    outcomes: Sequence[Outcome],
    figures: Sequence[Figure],
    comparisons: Sequence[Comparison] = (),
) -> str:
    """Return the report as HTML; see `write_report`."""
    title = f"Evaluation: {made.get('dataset', '')}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="dim">{len(outcomes):,} questions; intervals: bootstrap over documents</p>',
        _figures(figures),
        _comparisons(comparisons),
        f'<h2>Plots</h2><div class="plots">{"".join(_plots(outcomes))}</div>',
        *_failures(outcomes),
        "<h2>How it was made</h2>",
        _list({name: value for name, value in made.items() if value is not None}),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def _figures(figures: Sequence[Figure]) -> str:
    rows, group = [], ""
    for figure in figures:
        if figure.group != group:
            group = figure.group
            rows.append(f'<tr><th colspan="5">{escape(group)}</th></tr>')
        estimate = figure.estimate
        interval = f"{estimate.low:.3f} – {estimate.high:.3f}"
        cells = (f"{estimate.value:.3f}", interval, f"{estimate.count:,}")
        numbers = "".join(f'<td class="n">{cell}</td>' for cell in cells)
        about = f'<td class="about">{escape(figure.about)}</td>'
        rows.append(f"<tr><td>{escape(figure.name)}</td>{numbers}{about}</tr>")
    head = _head("figure", "value", "95 % interval", "asked", "")
    return f'<h2>Figures</h2><table class="figures">{head}{"".join(rows)}</table>'


def _comparisons(comparisons: Sequence[Comparison]) -> str:
    if not comparisons:
        return ""
    rows = []
    for each in comparisons:
        change = each.difference
        interval = f"{change.low:+.3f} – {change.high:+.3f}"
        cells = (f"{each.value:.3f}", f"{each.other:.3f}", f"{change.value:+.3f}", interval,
                 f"{change.p:.4f}", f"{change.count:,}")  # fmt: skip
        numbers = "".join(f'<td class="n">{cell}</td>' for cell in cells)
        rows.append(f"<tr><td>{escape(each.name)}</td>{numbers}</tr>")
    head = _head("figure", "here", "there", "difference", "95 % interval", "p", "questions")
    table = f"<table>{head}{''.join(rows)}</table>"
    return f'<h2>Against the other run</h2><div class="wide">{table}</div>'


def _head(*names: str) -> str:
    first, *rest = names
    cells = "".join(f'<th class="n">{escape(name)}</th>' for name in rest)
    return f"<tr><th>{escape(first)}</th>{cells}</tr>"


def _plots(outcomes: Sequence[Outcome]) -> Iterable[str]:
    told = [outcome for outcome in outcomes if outcome.probability is not None]
    scores = [outcome.probability or 0.0 for outcome in told]
    if told:
        groups = {
            "answerable": [outcome for outcome in told if outcome.question.answerable],
            "not answerable": [outcome for outcome in told if not outcome.question.answerable],
        }
        series = {
            name: [outcome.probability or 0.0 for outcome in group]
            for name, group in groups.items()
            if group
        }
        yield histogram("Probability that the documents answer", series, 0.0, 1.0)
        if len(series) > 1:
            points = roc(scores, [outcome.question.answerable for outcome in told])
            yield curve("Refusal", "unanswerable let through", "answerable answered", points, True)
    answered = [
        outcome
        for outcome in told
        if outcome.asked and outcome.question.answers and not outcome.refused
    ]
    if answered:
        right = [outcome.right for outcome in answered]
        points = risk_coverage([outcome.probability or 0.0 for outcome in answered], right)
        yield curve("Wrong among the surest answers", "share answered", "share wrong", points)
    seconds = [outcome.cost.seconds for outcome in outcomes if not outcome.error]
    if seconds:
        series = {"whole answer": seconds}
        first = [
            outcome.cost.first_token for outcome in outcomes if outcome.cost.first_token is not None
        ]
        if first:
            series = {"first token": first, **series}
        yield histogram("Seconds a question", series, 0.0, max(seconds))


def _failures(outcomes: Sequence[Outcome]) -> Iterable[str]:
    for kind in FAILURES:
        cases = [outcome for outcome in outcomes if outcome.verdict == kind]
        if not cases:
            continue
        yield f'<h2>{kind.capitalize()}: {len(cases):,}</h2><p class="dim">{_EXPLAINED[kind]}</p>'
        yield from map(_case, cases[:_MOST_CASES])
        if len(cases) > _MOST_CASES:
            yield f'<p class="dim">… and {len(cases) - _MOST_CASES:,} more</p>'


def _case(one: Outcome) -> str:
    question = one.question
    known = {
        "answer": one.error or one.answer.text or "–",
        "gold": " / ".join(question.answers) or "–",
        "documents": ", ".join(
            f"{name} (rank {rank})" if rank else f"{name} (not found)"
            for name, rank in one.ranks.items()
        ),
        "retrieved": ", ".join(one.retrieved),
        "probability": "" if one.probability is None else f"{one.probability:.3f}",
        "notes": "; ".join(one.answer.notes),
    }
    passages = {
        f"[{citation.marker}] {citation.place}": citation.text[:_LONGEST]
        for citation in one.answer.citations
    }
    summary = f"Summary of {question.document}" if question.summary else "(empty)"
    shown = question.text.strip() or summary
    return (
        f'<details><summary>{escape(shown)} <span class="dim">{escape(question.id)}</span>'
        f"</summary>{_list({name: value for name, value in known.items() if value})}"
        f"{_list(passages)}</details>"
    )


def _list(values: Mapping[str, Any]) -> str:
    items = (f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>"
             for name, value in values.items())  # fmt: skip
    return f"<dl>{''.join(items)}</dl>"
