"""Turns the runs of scripts/scaling-benchmark into CSV lines and a table.

usage: scaling_report.py header
       scaling_report.py line RUN MODEL MODE RANKS REPEAT ROWS     one repeat, from RUN/summary.json
       scaling_report.py table CSV                                  medians, speed-up, bound

The bound is Amdahl's for a gate that one rank computes: bound(N) = T1 / min over placements of the largest rank's load,
where rank 0 carries the gate, an expert is not divided, and loads are the FLOPs that the one-rank run counted.
"""

import csv
import itertools
import json
import pathlib
import statistics
import sys

COLUMNS = ["model", "mode", "ranks", "repeat", "rows", "step_seconds", "samples_per_second", "gate_flops", "expert_flops"]


def line(run: str, model: str, mode: str, ranks: str, repeat: str, rows: str) -> None:
    summary = json.loads((pathlib.Path(run) / "summary.json").read_text())
    seconds = summary["timing"]["step_seconds_median"]
    account = summary["account"]
    gate = account["gate_forward_flops"] + account["gate_backward_flops"]
    experts = " ".join(str(expert["forward_flops"] + expert["backward_flops"]) for expert in account["experts"])
    csv.writer(sys.stdout).writerow(
        [model, mode, ranks, repeat, rows, seconds, int(rows) / seconds, gate, experts]
    )


def smallest_largest_load(gate: float, experts: list[float], ranks: int) -> float:
    """The load of the busiest rank under the best placement; rank 0 has the gate."""
    if ranks == 1:
        return gate + sum(experts)
    if ranks ** len(experts) <= 300_000:
        placements = itertools.product(range(ranks), repeat=len(experts))
        return min(largest_load(gate, experts, ranks, placement) for placement in placements)
    # Too many placements to try: the longest expert first, to the least loaded rank (at most 4/3 of the best).
    loads = [gate] + [0.0] * (ranks - 1)
    for expert in sorted(experts, reverse=True):
        loads[loads.index(min(loads))] += expert
    return max(loads)


def largest_load(gate: float, experts: list[float], ranks: int, placement: tuple[int, ...]) -> float:
    loads = [gate] + [0.0] * (ranks - 1)
    for expert, rank in enumerate(placement):
        loads[rank] += experts[expert]
    return max(loads)


def quantile(values: list[float], share: float) -> float:
    """Linear between the order statistics; of few repeats the ends are the smallest and the largest."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])


def table(path: str) -> None:
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    rates: dict[tuple[str, str, int], list[float]] = {}
    for row in rows:
        key = (row["model"], row["mode"], int(row["ranks"]))
        rates.setdefault(key, []).append(float(row["samples_per_second"]))
    loads = {
        row["model"]: (float(row["gate_flops"]), [float(flops) for flops in row["expert_flops"].split()])
        for row in rows
        if row["ranks"] == "1"
    }

    print()
    print(f"{'model':14} {'mode':7} {'ranks':>5} {'samples/s':>11} {'p10':>11} {'p90':>11} "
          f"{'speed-up':>9} {'ideal':>6} {'bound':>6} {'of bound':>9}")
    for (model, mode, ranks), values in rates.items():
        median = statistics.median(values)
        speedup = median / statistics.median(rates[(model, "strong", 1)])
        bound = smallest_largest_load(*loads[model], 1) / smallest_largest_load(*loads[model], ranks)
        print(f"{model:14} {mode:7} {ranks:5d} {median:11.0f} {quantile(values, 0.1):11.0f} {quantile(values, 0.9):11.0f} "
              f"{speedup:9.2f} {ranks:6d} {bound:6.2f} {speedup / bound:9.0%}")
    print()
    print("samples/s: rows of the batch over the median step of a repeat; median, p10 and p90 over the repeats.")
    print("speed-up: against one rank with the batch of one rank. bound: T1 / largest load of the best placement,")
    print("from the FLOPs counted on one rank, with the gate on rank 0; a bound below ideal is the gate's, not the exchange's.")


match sys.argv[1:]:
    case ["header"]:
        csv.writer(sys.stdout).writerow(COLUMNS)
    case ["line", *arguments] if len(arguments) == 6:
        line(*arguments)
    case ["table", path]:
        table(path)
    case _:
        sys.exit(__doc__)
