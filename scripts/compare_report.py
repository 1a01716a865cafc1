"""Keeps the runs of scripts/compare-pytorch as CSV and turns them into tables.

usage: compare_report.py begin CSV RANKS LEVELS ROW...   makes the file, or drops these rows at these levels from it
       compare_report.py ours CSV RUN ROW RANKS BATCH ROUND PLACEMENT LEVEL      adds a run of ours
       compare_report.py theirs CSV JSON ROW RANKS BATCH ROUND NAME LEVEL          adds one of PyTorch (plain, stronger)
       compare_report.py table CSV MARKDOWN               prints the table, and writes it as Markdown

Runs of the same round, a name that no other invocation uses, are compared with each other. LEVELS has commas between.
"""

import csv
import json
import os
import pathlib
import statistics
import sys

COLUMNS = [
    "row", "ranks", "batch", "round", "side", "level", "gate_placement", "kernels",
    "step_seconds", "step_p10", "step_p90", "peak_memory_bytes", "parameters", "experts_used",
]  # fmt: skip
LABELS = {
    "mnist": "MNIST, 5 experts",
    "fashion": "FashionMNIST, 5 experts",
    "attentive": "FashionMNIST, attentive gate",
    "similarity": "FashionMNIST, similarity regulariser",
    "top-1": "FashionMNIST, top-1 of 64 experts",
    "cifar": "CIFAR-100, 20 wide experts",
    "cifar-small": "CIFAR-100, 20 small experts",
}


def read(path: str) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def begin(path: str, ranks: str, levels: str, *rows: str) -> None:
    lines = read(path) if os.path.exists(path) else []

    def stays(line: dict[str, str]) -> bool:
        return line["ranks"] != ranks or line["row"] not in rows or line["level"] not in levels.split(",")

    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(line for line in lines if stays(line))


def add(path: str, **values) -> None:
    with open(path, "a", newline="") as file:
        csv.DictWriter(file, COLUMNS).writerow(values)


def parameters(checkpoint: pathlib.Path) -> int:
    """Trained parameters in a checkpoint: the numbers that have a moment."""
    with open(checkpoint, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    moments = [tensor["data_offsets"] for name, tensor in header.items() if name.endswith(".m")]
    return sum(end - first for first, end in moments) // 4


def ours(path: str, run: str, row: str, ranks: str, batch: str, round: str, placement: str, level: str) -> None:
    directory = pathlib.Path(run)
    summary = json.loads((directory / "summary.json").read_text())
    timing = summary["timing"]
    add(
        path, row=row, ranks=ranks, batch=batch, round=round, side="ours", level=level, gate_placement=placement,
        kernels=json.loads((directory / "run.json").read_text())[0]["processor_levels"][0],
        step_seconds=timing["step_seconds_median"], step_p10=timing["step_seconds_p10"],
        step_p90=timing["step_seconds_p90"],
        peak_memory_bytes=max(rank["peak_memory_bytes"] for rank in timing["ranks"]),
        parameters=parameters(directory / summary["checkpoint"]),
        experts_used=sum(expert["rows_selected"] > 0 for expert in summary["account"]["experts"]),
    )  # fmt: skip


def theirs(path: str, file: str, row: str, ranks: str, batch: str, round: str, name: str, level: str) -> None:
    found = json.loads(pathlib.Path(file).read_text())
    add(
        path, row=row, ranks=ranks, batch=batch, round=round, side=name, level=level,
        step_seconds=found["step_seconds_median"], step_p10=found["step_seconds_p10"],
        step_p90=found["step_seconds_p90"], peak_memory_bytes=found["peak_memory_bytes"],
        parameters=found["parameters"], experts_used=found["experts_used"],
    )  # fmt: skip


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median, p10 and p90, linear between the order statistics; of few rounds close to smallest and largest."""
    ordered = sorted(values)

    def at(share: float) -> float:
        position = share * (len(ordered) - 1)
        low = int(position)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (position - low) * (ordered[high] - ordered[low])

    return statistics.median(ordered), at(0.1), at(0.9)


class Entry:
    """One line of the table: a row of the comparison at one level."""

    def __init__(self, lines: list[dict[str, str]], row: str, ranks: str, level: str):
        of_row = [line for line in lines if (line["row"], line["ranks"], line["level"]) == (row, ranks, level)]
        self.row, self.ranks, self.level = row, ranks, level
        mine = {line["round"]: line for line in of_row if line["side"] == "ours"}
        self.sides = {"ours": mine} | {
            side: {line["round"]: line for line in of_row if line["side"] == side and line["round"] in mine}
            for side in ("plain", "stronger")
        }
        first = next(iter(mine.values()))
        self.kernels, self.placement = first["kernels"], first["gate_placement"]
        counts = {line["parameters"] for line in of_row}
        if len(counts) > 1:
            sys.exit(f"{row}: the sides differ in their numbers of parameters: {', '.join(sorted(counts))}")

    def rates(self, side: str) -> list[float]:
        """Samples per second of every round."""
        return [int(line["batch"]) / float(line["step_seconds"]) for line in self.sides[side].values()]

    def ratios(self, side: str) -> list[float]:
        """Time of a PyTorch program over our time, round by round."""
        return [
            float(line["step_seconds"]) / float(self.sides["ours"][round]["step_seconds"])
            for round, line in self.sides[side].items()
        ]

    def memory(self, side: str) -> float:
        """MB of the largest process."""
        return max(float(line["peak_memory_bytes"]) for line in self.sides[side].values()) / 1e6

    def used(self, side: str) -> float:
        return statistics.median(float(line["experts_used"]) for line in self.sides[side].values())


def entries(lines: list[dict[str, str]]) -> list[Entry]:
    keys = dict.fromkeys(
        (line["row"], line["ranks"], line["level"]) for line in lines if line["side"] == "ours"
    )
    order = list(LABELS)
    return [Entry(lines, *key) for key in sorted(keys, key=lambda key: (int(key[1]), order.index(key[0])))]


def disturbed(entry: Entry) -> list[str]:
    """The programs of which one round took more than half as long again as another: figures not to be trusted."""
    return [side for side in entry.sides if entry.sides[side] and max(entry.rates(side)) > 1.5 * min(entry.rates(side))]


def text_table(table: list[Entry]) -> None:
    print()
    print(f"{'row':12} {'N':>3} {'gate':10} {'level':9} {'kernels':7} {'program':9} "
          f"{'samples/s':>10} {'p10':>10} {'p90':>10} {'ratio':>7} {'p10':>6} {'p90':>6} {'MB':>6} {'experts':>7}")  # fmt: skip
    for entry in table:
        for side in (side for side in entry.sides if entry.sides[side]):
            rate = "%10.0f %10.0f %10.0f" % spread(entry.rates(side))
            ratio = " " * 21 if side == "ours" else "%7.2f %6.2f %6.2f" % spread(entry.ratios(side))
            print(f"{entry.row:12} {entry.ranks:>3} {entry.placement:10} {entry.level:9} {entry.kernels:7} {side:9} "
                  f"{rate} {ratio} {entry.memory(side):6.0f} {entry.used(side):7.0f}")  # fmt: skip
    print()
    print("samples/s: batch over the median step of a run; median, p10 and p90 of the rounds.")
    print("ratio: PyTorch's step over ours in the same round. plain: as a PyTorch user would write it; stronger: hand-fused,")
    print("or channels last. MB: largest resident memory, for us of the largest rank. experts: that had rows (ours: in the run).")
    for entry in table:
        if sides := disturbed(entry):
            print(f"NOTE: {entry.row}, {entry.level}: rounds of {', '.join(sides)} differ by more than a half; "
                  "the machine was not quiet, measure again")  # fmt: skip


def markdown(table: list[Entry], path: str) -> None:
    def ratio(entry: Entry, side: str) -> str:
        return "%.1f (%.1f … %.1f)" % spread(entry.ratios(side)) if entry.sides[side] else ""

    def rate(entry: Entry, side: str) -> str:
        return f"{statistics.median(entry.rates(side)):,.0f}".replace(",", " ") if entry.sides[side] else ""

    lines = [
        "| model | ranks, gate | level | moe-dist samples/s | PyTorch samples/s | ratio (p10 … p90) "
        "| stronger PyTorch samples/s | ratio (p10 … p90) | MB per rank | MB of PyTorch |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for entry in table:
        lines.append(
            f"| {LABELS[entry.row]} | {entry.ranks}, {entry.placement} | {entry.kernels} "
            f"| {rate(entry, 'ours')} | {rate(entry, 'plain')} | {ratio(entry, 'plain')} "
            f"| {rate(entry, 'stronger')} | {ratio(entry, 'stronger')} "
            f"| {entry.memory('ours'):.0f} | {entry.memory('plain'):.0f} |"
        )
    pathlib.Path(path).write_text("\n".join(lines) + "\n")


def main() -> None:
    match sys.argv[1:]:
        case ["begin", path, ranks, levels, *rows]:
            begin(path, ranks, levels, *rows)
        case ["ours", *arguments] if len(arguments) == 8:
            ours(*arguments)
        case ["theirs", *arguments] if len(arguments) == 8:
            theirs(*arguments)
        case ["table", path, to]:
            table = entries(read(path))
            text_table(table)
            markdown(table, to)
        case _:
            sys.exit(__doc__)


main()
