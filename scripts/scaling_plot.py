"""Draws the speed-ups of scripts/scaling-benchmark as one self-contained SVG: a panel per model and mode."""

import html
import math
import statistics
from dataclasses import dataclass


@dataclass
class Point:
    """One measurement: a model, a gate placement, a mode and a number of ranks."""

    model: str
    gate: str
    mode: str
    ranks: int
    rows: int
    rates: list[float]
    speedups: list[float]
    predicted: float | None
    bound: float


COLOURS = {"root": "#0072b2", "replicated": "#d55e00"}
WIDTH, HEIGHT = 250, 200
LEFT, TOP, GAP_X, GAP_Y = 52, 74, 46, 64


class Axis:
    """Numbers of ranks to a length: linear up to 8, binary logarithm beyond."""

    def __init__(self, low: float, high: float, length: float, logarithmic: bool):
        self.transform = math.log2 if logarithmic else float
        self.first, self.last = self.transform(low), self.transform(high)
        self.length = length

    def __call__(self, value: float) -> float:
        return (self.transform(value) - self.first) / (self.last - self.first) * self.length


def line(points: list[tuple[float, float]], colour: str, style: str = "", width: float = 1.5) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" {style}/>'


def text(x: float, y: float, content: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{html.escape(content)}</text>'


def panel(points: list[Point], left: float, top: float) -> list[str]:
    """One model in one mode; x: ranks, y: speed-up."""
    ranks = sorted({point.ranks for point in points} | {1})
    most = max(ranks[-1], 2)
    logarithmic = most > 8
    values = [value for point in points for value in [*point.speedups, point.bound]]
    low = min([1.0 if logarithmic else 0.0, *values])
    high = 1.08 * max([most, *values])
    across = Axis(1, most, WIDTH - 20, logarithmic)
    up = Axis(low, high, HEIGHT, logarithmic)

    def at(rank: float, speedup: float) -> tuple[float, float]:
        return left + 10 + across(rank), top + HEIGHT - up(speedup)

    ticks = [2**n for n in range(int(math.log2(most)) + 1)] if logarithmic else list(range(0, most + 1))
    parts = [f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>']
    for tick in ticks:
        y = at(1, tick)[1]
        parts.append(line([(left, y), (left + WIDTH, y)], "#ddd", width=0.7))
        parts.append(text(left - 6, y + 4, str(tick), 'text-anchor="end"'))
    for rank in ranks:
        parts.append(text(at(rank, high)[0], top + HEIGHT + 15, str(rank), 'text-anchor="middle"'))
    parts.append(line([at(rank, rank) for rank in ranks], "#777"))
    for gate, colour in COLOURS.items():
        series = sorted((point for point in points if point.gate == gate and point.ranks > 1), key=lambda p: p.ranks)
        if not series:
            continue
        start = at(1, 1)
        parts.append(line([start, *(at(p.ranks, p.bound) for p in series)], colour, 'stroke-dasharray="6 4"', 1))
        predicted = [at(p.ranks, p.predicted) for p in series if p.predicted is not None]
        if predicted:
            parts.append(line([start, *predicted], colour, 'stroke-dasharray="1.5 3"', 1.2))
        parts.append(line([start, *(at(p.ranks, statistics.median(p.speedups)) for p in series)], colour))
        for p in series:
            x, y = at(p.ranks, statistics.median(p.speedups))
            spread = [(x, at(p.ranks, end)[1]) for end in (min(p.speedups), max(p.speedups))]
            title = f"{p.model}, {p.gate}, {p.mode}, {p.ranks} ranks: {statistics.median(p.speedups):.2f}"
            parts.append(line(spread, colour, width=1))
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"><title>{html.escape(title)}</title></circle>')
    return parts


def legend() -> list[str]:
    entries = [("gate on rank 0", COLOURS["root"], ""), ("gate replicated", COLOURS["replicated"], ""),
               ("Amdahl bound", "#444", 'stroke-dasharray="6 4"'), ("predicted by plan", "#444", 'stroke-dasharray="1.5 3"'),
               ("ideal", "#777", "")]  # fmt: skip
    parts = []
    for index, (label, colour, style) in enumerate(entries):
        x = LEFT + 142 * index
        parts += [line([(x, 38), (x + 24, 38)], colour, style), text(x + 30, 42, label)]
    return parts


def plot(points: list[Point]) -> str:
    """The whole picture; one-rank measurements are the origin of every line."""
    models = list(dict.fromkeys(point.model for point in points))
    modes = list(dict.fromkeys(point.mode for point in points if point.ranks > 1)) or ["strong"]
    width = max(LEFT + len(models) * (WIDTH + GAP_X), LEFT + 5 * 142)
    height = TOP + len(modes) * (HEIGHT + GAP_Y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        text(LEFT, 22, "Speed-up over one rank; marks are medians of the repeats, bars reach from the smallest to the largest",
             'font-size="13"'),
        *legend(),
    ]  # fmt: skip
    for row, mode in enumerate(modes):
        for column, model in enumerate(models):
            left, top = LEFT + column * (WIDTH + GAP_X), TOP + row * (HEIGHT + GAP_Y)
            of_panel = [p for p in points if p.model == model and p.mode == mode and p.ranks > 1]
            parts.append(text(left, top - 6, f"{model}, {mode} scaling", 'font-weight="bold"'))
            parts += panel(of_panel, left, top)
            parts.append(text(left + WIDTH / 2, top + HEIGHT + 30, "ranks", 'text-anchor="middle"'))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"
