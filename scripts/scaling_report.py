"""Turns the runs of scripts/scaling-benchmark into a table (text and CSV) and a plot.

usage: scaling_report.py begin DIR                                              makes DIR/runs.csv, DIR/predictions.csv
       scaling_report.py line CSV RUN MODEL GATE MODE RANKS REPEAT ROWS         one repeat, from RUN/summary.json
       scaling_report.py prediction CSV JSON MODEL GATE MODE RANKS ROWS         what plan says of that step
       scaling_report.py table DIR       prints medians, speed-up, prediction, bound; writes DIR/scaling.csv and .svg

The bound is Amdahl's: bound(N) = T1 / min over placements of the largest rank's load. Loads are the FLOPs that the
one-rank run counted; an expert is not divided; the gate is rank 0's (root) or divided in whole blocks (replicated).
"""

import csv
import itertools
import json
import pathlib
import statistics
import sys

from scaling_plot import Point, plot

RUN_COLUMNS = ["model", "gate", "mode", "ranks", "repeat", "rows", "step_seconds", "gate_flops", "expert_flops"]
PREDICTION_COLUMNS = ["model", "gate", "mode", "ranks", "rows", "step_seconds"]
TABLE_COLUMNS = [
    "model", "gate", "mode", "ranks", "rows", "samples_per_second", "samples_per_second_p10", "samples_per_second_p90",
    "speedup", "speedup_p10", "speedup_p90", "predicted", "bound", "ideal",
]  # fmt: skip
# Rows of a block, the unit in which a batch is divided among ranks: the default of --block-rows.
BLOCK_ROWS = 128


def append(path: str | pathlib.Path, values: list) -> None:
    with open(path, "a", newline="") as file:
        csv.writer(file).writerow(values)


def read(path: pathlib.Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def begin(directory: str) -> None:
    for name, columns in [("runs.csv", RUN_COLUMNS), ("predictions.csv", PREDICTION_COLUMNS)]:
        path = pathlib.Path(directory, name)
        path.unlink(missing_ok=True)
        append(path, columns)


def line(path: str, run: str, model: str, gate: str, mode: str, ranks: str, repeat: str, rows: str) -> None:
    summary = json.loads(pathlib.Path(run, "summary.json").read_text())
    account = summary["account"]
    # Per row of the batch, so that strong and weak runs can be compared.
    gate_flops = (account["gate_forward_flops"] + account["gate_backward_flops"]) / account["rows"]
    experts = [(e["forward_flops"] + e["backward_flops"]) / account["rows"] for e in account["experts"]]
    append(path, [model, gate, mode, ranks, repeat, rows, summary["timing"]["step_seconds_median"], gate_flops,
                  " ".join(map(str, experts))])  # fmt: skip


def prediction(path: str, plan: str, model: str, gate: str, mode: str, ranks: str, rows: str) -> None:
    plans = json.loads(pathlib.Path(plan).read_text())["plans"]
    append(path, [model, gate, mode, ranks, rows] + [p["step_seconds"] for p in plans if p["gate_placement"] == gate])


# ---- The bound -------------------------------------------------------------------------------------------------


def gate_loads(gate: float, placement: str, rows: int, ranks: int) -> list[float]:
    """The gate's FLOPs per row of the batch on every rank; replicated: rank r has the blocks [rK/N, (r+1)K/N) of K."""
    if placement == "root":
        return [gate] + [0.0] * (ranks - 1)
    blocks = -(-rows // BLOCK_ROWS)
    edges = [min(rank * blocks // ranks * BLOCK_ROWS, rows) for rank in range(ranks + 1)]
    return [gate * (end - first) / rows for first, end in itertools.pairwise(edges)]


def smallest_largest_load(base: list[float], experts: list[float]) -> float:
    """The load of the busiest rank under the best placement of the experts on ranks that have a load already."""
    ranks = len(base)
    if len(set(experts)) > 1 and ranks ** len(experts) <= 300_000:
        return min(largest_load(base, experts, placement) for placement in itertools.product(range(ranks), repeat=len(experts)))
    # The longest expert first, to the least loaded rank: the best for equal experts; for too many placements to try,
    # at most 4/3 of the best.
    loads = list(base)
    for expert in sorted(experts, reverse=True):
        loads[loads.index(min(loads))] += expert
    return max(loads)


def largest_load(base: list[float], experts: list[float], placement: tuple[int, ...]) -> float:
    loads = list(base)
    for expert, rank in enumerate(placement):
        loads[rank] += experts[expert]
    return max(loads)


# ---- The table -------------------------------------------------------------------------------------------------


def quantile(values: list[float], share: float) -> float:
    """Linear between the order statistics; of few repeats the ends are the smallest and the largest."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])


def points(directory: pathlib.Path) -> list[Point]:
    runs, predictions = read(directory / "runs.csv"), read(directory / "predictions.csv")
    rates: dict[tuple[str, str, str, int], dict[str, float]] = {}
    rows_of: dict[tuple[str, str, str, int], int] = {}
    for run in runs:
        key = (run["model"], run["gate"], run["mode"], int(run["ranks"]))
        rates.setdefault(key, {})[run["repeat"]] = int(run["rows"]) / float(run["step_seconds"])
        rows_of[key] = int(run["rows"])
    predicted = {
        (p["model"], p["gate"], p["mode"], int(p["ranks"])): int(p["rows"]) / float(p["step_seconds"]) for p in predictions
    }
    flops = {
        run["model"]: (float(run["gate_flops"]), [float(value) for value in run["expert_flops"].split()])
        for run in runs
        if run["ranks"] == "1"
    }
    result = []
    for key, repeats in rates.items():
        model, gate, mode, ranks = key
        alone = (model, "root", "strong", 1)
        speedups = [rate / rates[alone][repeat] for repeat, rate in repeats.items() if repeat in rates[alone]]
        of_gate, of_experts = flops[model]
        load = smallest_largest_load(gate_loads(of_gate, gate, rows_of[key], ranks), of_experts)
        result.append(
            Point(
                model, gate, mode, ranks, rows_of[key], list(repeats.values()), speedups,
                predicted=predicted[key] / predicted[alone] if key in predicted and alone in predicted else None,
                bound=(of_gate + sum(of_experts)) / load,
            )
        )  # fmt: skip
    return result


def table(path: str) -> None:
    directory = pathlib.Path(path)
    found = points(directory)
    with open(directory / "scaling.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(TABLE_COLUMNS)
        for p in found:
            spread = [f(values) for values in (p.rates, p.speedups) for f in (statistics.median, lowest, highest)]
            writer.writerow([p.model, p.gate, p.mode, p.ranks, p.rows, *spread,
                             "" if p.predicted is None else p.predicted, p.bound, p.ranks])  # fmt: skip
    print()
    print(f"{'model':14} {'gate':10} {'mode':7} {'ranks':>5} {'samples/s':>10} {'speed-up':>9} {'p10':>6} {'p90':>6} "
          f"{'predicted':>9} {'bound':>6} {'ideal':>5} {'of bound':>9}")  # fmt: skip
    for p in found:
        measured = statistics.median(p.speedups)
        predicted = "-" if p.predicted is None else f"{p.predicted:.2f}"
        print(f"{p.model:14} {p.gate:10} {p.mode:7} {p.ranks:5d} {statistics.median(p.rates):10.0f} {measured:9.2f} "
              f"{lowest(p.speedups):6.2f} {highest(p.speedups):6.2f} {predicted:>9} {p.bound:6.2f} {p.ranks:5d} "
              f"{measured / p.bound:9.0%}")  # fmt: skip
    print()
    print("samples/s: rows of the batch over the median step of a repeat; speed-up: against one rank in the same repeat, in")
    print("weak scaling with a batch that grows with the ranks; medians, p10 and p90 over the repeats. predicted: by plan.")
    print("bound: T1 / largest load of the best placement, from the FLOPs counted on one rank; root: rank 0 has the gate,")
    print("replicated: blocks of the batch are divided. A bound below ideal is the model's, not the exchange's.")
    for p in found:
        if max(p.rates) > 1.5 * min(p.rates):
            print(f"NOTE: repeats of {p.model}, {p.gate}, {p.mode}, {p.ranks} ranks differ by more than a half; "
                  "the machine was not quiet, measure again")  # fmt: skip
    (directory / "scaling.svg").write_text(plot(found))


def lowest(values: list[float]) -> float:
    return quantile(values, 0.1)


def highest(values: list[float]) -> float:
    return quantile(values, 0.9)


def main() -> None:
    match sys.argv[1:]:
        case ["begin", directory]:
            begin(directory)
        case ["line", *arguments] if len(arguments) == 8:
            line(*arguments)
        case ["prediction", *arguments] if len(arguments) == 7:
            prediction(*arguments)
        case ["table", directory]:
            table(directory)
        case _:
            sys.exit(__doc__)


main()
