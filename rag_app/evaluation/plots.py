"""Plots as SVG, drawn in the colours of the page they are on."""

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT = 420, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 30, 36
_ACROSS = _WIDTH - _LEFT - _RIGHT
_DOWN = _HEIGHT - _TOP - _BOTTOM

Point = tuple[float, float]


def histogram(
    title: str, series: Mapping[str, Sequence[float]], low: float, high: float, bins: int = 20
) -> str:
    """Return a histogram of one or two series, each with bars of its own.

    Values below ``low`` are in the first bin, those above ``high`` in the last.
    """
    span = (high - low) or 1.0
    counts = {
        name: [
            sum(_bin(value, low, span, bins) == place for value in values) for place in range(bins)
        ]
        for name, values in series.items()
    }
    most = max((count for row in counts.values() for count in row), default=0) or 1
    step = _ACROSS / bins
    width = step * 0.9 / len(counts)
    bars = []
    for number, (name, row) in enumerate(counts.items()):
        for place, count in enumerate(row):
            if not count:
                continue
            height = _DOWN * count / most
            x = _LEFT + place * step + step * 0.05 + number * width
            start = low + span * place / bins
            tip = f"{name}: {count} from {start:.3g} to {start + span / bins:.3g}"
            bars.append(
                f'<rect class="s{number}" x="{x:.1f}" y="{_TOP + _DOWN - height:.1f}" '
                f'width="{width:.1f}" height="{height:.1f}"><title>{escape(tip)}</title></rect>'
            )
    ticks = [(share, f"{low + span * share:.3g}") for share in (0, 0.25, 0.5, 0.75, 1)]
    return _plot(title, "".join(bars), ticks, [(0.0, "0"), (1.0, str(most))], [*series])


def curve(title: str, across: str, up: str, points: Sequence[Point], diagonal: bool = False) -> str:
    """Return a line through points, both coordinates from 0 to 1."""
    path = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in points)
    drawn = f'<polyline class="line" points="{path}"/>'
    if diagonal:
        drawn = (
            f'<line class="chance" x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/>' + drawn
        )
    ticks = [(share, f"{share:g}") for share in (0, 0.25, 0.5, 0.75, 1)]
    names = (
        f'<text class="axis" x="{_x(0.5)}" y="{_HEIGHT - 4}" text-anchor="middle">'
        f"{escape(across)}</text>"
        f'<text class="axis" x="12" y="{_y(0.5)}" text-anchor="middle" '
        f'transform="rotate(-90 12 {_y(0.5)})">{escape(up)}</text>'
    )
    return _plot(title, drawn + names, ticks, ticks, [])


def roc(scores: Sequence[float], labels: Sequence[bool]) -> list[Point]:
    """Return the ROC curve: false against true positives, as the threshold falls.

    Example:
        >>> roc([0.9, 0.4, 0.6], [True, True, False])
        [(0.0, 0.0), (0.0, 0.5), (1.0, 0.5), (1.0, 1.0)]
    """
    true, false = sum(labels), len(labels) - sum(labels)
    points = [(0.0, 0.0)]
    for score in sorted(set(scores), reverse=True):
        taken = [label for value, label in zip(scores, labels, strict=True) if value >= score]
        hits = sum(taken)
        points.append(((len(taken) - hits) / (false or 1), hits / (true or 1)))
    return points


def risk_coverage(scores: Sequence[float], right: Sequence[bool]) -> list[Point]:
    """Return the share of wrong answers among those that score highest, by how many are taken.

    Example:
        >>> risk_coverage([0.9, 0.1], [True, False])
        [(0.5, 0.0), (1.0, 0.5)]
    """
    pairs = sorted(zip(scores, right, strict=True), key=lambda pair: -pair[0])
    points, wrong = [], 0
    for number, (score, is_right) in enumerate(pairs, 1):
        wrong += not is_right
        if number == len(pairs) or pairs[number][0] < score:
            points.append((number / len(pairs), wrong / number))
    return points


def _bin(value: float, low: float, span: float, bins: int) -> int:
    return min(max(int((value - low) / span * bins), 0), bins - 1)


def _x(share: float) -> float:
    return _LEFT + _ACROSS * share


def _y(share: float) -> float:
    return _TOP + _DOWN * (1 - share)


def _plot(
    title: str,
    drawn: str,
    across: Sequence[tuple[float, str]],
    up: Sequence[tuple[float, str]],
    legend: Sequence[str],
) -> str:
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">',
        f'<text class="title" x="{_LEFT}" y="16">{escape(title)}</text>',
        f'<path class="frame" d="M{_LEFT} {_TOP}V{_TOP + _DOWN}H{_LEFT + _ACROSS}"/>',
    ]
    for share, text in across:
        parts.append(
            f'<text x="{_x(share):.1f}" y="{_TOP + _DOWN + 14}" text-anchor="middle">'
            f"{escape(text)}</text>"
        )
    for share, text in up:
        parts.append(
            f'<text x="{_LEFT - 5}" y="{_y(share) + 4:.1f}" text-anchor="end">{escape(text)}</text>'
        )
    parts.append(drawn)
    for number, name in enumerate(legend if len(legend) > 1 else ()):
        y = _TOP + 8 + 16 * number
        parts.append(
            f'<rect class="s{number}" x="{_x(0.5):.1f}" y="{y - 9}" width="10" height="10"/>'
            f'<text x="{_x(0.5) + 15:.1f}" y="{y}">{escape(name)}</text>'
        )
    return "".join([*parts, "</svg>"])
