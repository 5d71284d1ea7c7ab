"""Figures of an evaluation on the terminal, and as JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rag_app.cli import show

if TYPE_CHECKING:
    from rag_app.evaluation.figures import Comparison, Figure


def figures(found: "Sequence[Figure]") -> None:
    """Show figures with their intervals as a table on stdout."""
    from rich.table import Table

    table = Table("figure", "value", "95 % interval", "questions", "", box=None, pad_edge=False)
    for column in table.columns[1:4]:
        column.justify = "right"
    group = ""
    for figure in found:
        if figure.group != group:
            group = figure.group
            table.add_row(f"[bold]{group}[/bold]")
        estimate = figure.estimate
        interval = f"{_number(estimate.low)} – {_number(estimate.high)}"
        row = (figure.name, _number(estimate.value), interval, f"{estimate.count:,}")
        table.add_row(*row, figure.about)
    show.print_table(table)


def notes(texts: Sequence[str]) -> None:
    """Show what is odd about a question set, on stderr."""
    for text in texts:
        show.messages.print(f"note: {text}", style="yellow", markup=False)


def comparisons(found: "Sequence[Comparison]", other: str) -> None:
    """Show how two runs differ as a table on stdout."""
    from rich.table import Table

    names = ("figure", "here", "there", "difference", "95 % interval", "p", "questions")
    table = Table(*names, title=f"against {other}", title_justify="left", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for each in found:
        change = each.difference
        interval = f"{_number(change.low)} – {_number(change.high)}"
        values = (_number(each.value), _number(each.other), f"{change.value:+.3f}", interval)
        table.add_row(each.name, *values, f"{change.p:.4f}", f"{change.count:,}")
    show.print_table(table)


def figures_json(
    run: dict[str, Any], found: "Sequence[Figure]", compared: "Sequence[Comparison]"
) -> dict[str, Any]:
    """Return a run, its figures by group and name, and the comparisons, as JSON values."""
    groups: dict[str, dict[str, Any]] = {}
    for figure in found:
        groups.setdefault(figure.group, {})[figure.name] = figure.estimate.to_json()
    values = {"run": run, "figures": groups}
    if compared:
        values["compared"] = {each.name: each.to_json() for each in compared}
    return values


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"
