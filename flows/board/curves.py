"""Small line charts as plain numbers; the template draws them as SVG, so that they print and need no script."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT = 520, 240
LEFT, RIGHT, TOP, BOTTOM = 56, 10, 10, 30
MOST_POINTS = 400
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line: its name, and `x,y x,y …` in the picture; `last` is where it ends."""

    name: str
    points: str
    last: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A picture of lines over steps. Ticks: where, and what stands there. `told`: the same in words."""

    title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    told: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    bottom: int = HEIGHT - BOTTOM


def chart(title: str, lines: Mapping[str, Points]) -> Chart:
    """A chart of the lines, each of at least one (step, value), all finite."""
    drawn = {name: _thinned(list(points)) for name, points in lines.items()}
    xs, ys = zip(*(p for points in drawn.values() for p in points), strict=True)
    x_range, y_range = _span(min(xs), max(xs), 0), _span(min(ys), max(ys), 0.04)

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return _scaled(point[0], x_range, LEFT, WIDTH - RIGHT), _scaled(point[1], y_range, HEIGHT - BOTTOM, TOP)

    told = "; ".join(f"{name} from {p[0][1]:.4g} to {p[-1][1]:.4g}" for name, p in drawn.items())
    return Chart(
        title=title,
        lines=tuple(
            Line(name=name, points=" ".join(f"{x:g},{y:g}" for x, y in map(place, points)), last=place(points[-1]))
            for name, points in drawn.items()
        ),
        x_ticks=tuple((place((t, 0))[0], f"{t:g}") for t in _ticks(*x_range) if t == int(t)),
        y_ticks=tuple((place((0, t))[1], f"{t:g}") for t in _ticks(*y_range)),
        told=f"{told}, over {len(set(xs))} steps",
    )


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Values with their intervals, one after another: each `(x, y, low, high, name)` in the picture."""

    title: str
    marks: tuple[tuple[float, float, float, float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    told: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    bottom: int = HEIGHT - BOTTOM


def spread(title: str, values: Sequence[tuple[str, float, float, float]]) -> Spread:
    """A picture of (name, value, low, high) in the order given."""
    ends = [end for _, *three in values for end in three]
    span = _span(min(ends), max(ends), 0.06)

    def height(value: float) -> float:
        return _scaled(value, span, HEIGHT - BOTTOM, TOP)

    step = (WIDTH - LEFT - RIGHT) / len(values)
    marks = [
        (round(LEFT + step * (place + 0.5), 1), height(value), height(low), height(high), name)
        for place, (name, value, low, high) in enumerate(values)
    ]
    told = "; ".join(f"{name}: {value:.3f} ({low:.3f} to {high:.3f})" for name, value, low, high in values)
    ticks = tuple((height(t), f"{t:g}") for t in _ticks(*span))
    return Spread(title=title, marks=tuple(marks), y_ticks=ticks, told=told)


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    step = max(1, -(-len(points) // MOST_POINTS))
    return points[::step] if step == 1 or (len(points) - 1) % step == 0 else [*points[::step], points[-1]]


def _span(low: float, high: float, room: float) -> tuple[float, float]:
    extra = (high - low) * room or (abs(high) * 0.05 or 0.5) * (low == high)
    return low - extra, high + extra


def _scaled(value: float, span: tuple[float, float], start: float, end: float) -> float:
    return round(start + (value - span[0]) / (span[1] - span[0]) * (end - start), 1)


def _ticks(low: float, high: float) -> list[float]:
    """Four or so round numbers in between."""
    rough = (high - low) / 4
    size = 10 ** math.floor(math.log10(rough))
    step = min((f * size for f in (1, 2, 5, 10)), key=lambda s: abs(s - rough))
    first = math.ceil(low / step) * step
    return [float(f"{first + i * step:.10g}") for i in range(12) if first + i * step <= high]


def learning(history: Mapping[str, Points]) -> list[Chart]:
    """A chart for each quantity that changed from step to step; those of training and validation are on one."""
    by_name: dict[str, dict[str, Points]] = {}
    for key, points in history.items():
        part, _, name = key.partition("_")
        known = part in ("train", "validation") and bool(name)
        if len({step for step, _ in points}) > 1 and any(a[1] != b[1] for a, b in pairwise(points)):
            by_name.setdefault(name if known else key, {})[part if known else key] = points
    return [chart(name, lines) for name, lines in sorted(by_name.items(), key=lambda one: ("loss" not in one[0], one))]
