"""Recomputes the metrics of `moe-dist evaluate --json` from `--per-sample FILE` and compares them to 1e-6.

    moe-dist evaluate RUN --json --per-sample samples.csv >metrics.json
    python3 Tests/Reference/metrics_check.py samples.csv metrics.json [--chosen-expert-answers]

The file has the columns sample,label,prediction,expert,p0,p1,…. Checked are error, I(E;Y) with the true class, H_s, H_u,
task entropy, shares and dead experts. With --chosen-expert-answers the prediction is the chosen expert's own class (a
rule that asks one expert), so that I(E;Y) by the authors' definition can be computed, too. Uses NumPy where it can be
imported, otherwise Python's doubles and exact sums.
"""

import csv
import json
import math
import sys
from collections import Counter

try:
    import numpy
except ImportError:
    numpy = None

LIMIT = 1e-6


def total(values):
    values = list(values)
    return float(numpy.sum(values, dtype=numpy.float64)) if numpy else math.fsum(values)


def entropy(weights):
    """H in bits."""
    return total(-p * math.log2(p) for p in weights if p > 0)


def mutual_information(pairs):
    """I in bits between the two members of the pairs, from their counts."""
    rows = len(pairs)
    together, first, second = Counter(pairs), Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    return total(n / rows * math.log2(n * rows / (first[a] * second[b])) for (a, b), n in together.items())


def mean_of(probabilities):
    """The mean of p over samples, [E]."""
    return [total(column) / len(probabilities) for column in zip(*probabilities)]


def metrics(path, chosen_expert_answers):
    with open(path, newline="", encoding="utf-8") as file:
        header, *lines = csv.reader(file)
    experts = len(header) - 4
    assert header == ["sample", "label", "prediction", "expert", *[f"p{e}" for e in range(experts)]], header
    assert lines, "no samples"
    labels, predictions, chosen = ([int(line[column]) for line in lines] for column in [1, 2, 3])
    p = [[float(value) for value in line[4:]] for line in lines]
    for row in p:
        assert abs(sum(row) - 1) < 1e-5, f"p sums to {sum(row)}"
    rows = len(lines)
    of_class = {c: [row for row, label in zip(p, labels) if label == c] for c in set(labels)}
    shares = [chosen.count(e) / rows for e in range(experts)]
    found = {
        "rows": rows,
        "error": sum(a != b for a, b in zip(labels, predictions)) / rows,
        "mutual_information_true": mutual_information(list(zip(chosen, labels))),
        "sample_entropy": total(map(entropy, p)) / rows,
        "usage_entropy": entropy(mean_of(p)),
        "task_entropy": total(entropy(mean_of(members)) for members in of_class.values()) / len(of_class),
        "expert_share": shares,
        "dead_experts": sum(chosen.count(e) * 20 * experts < rows for e in range(experts)),
    }
    if chosen_expert_answers:
        found["mutual_information"] = mutual_information(list(zip(chosen, predictions)))
    return found


def difference(found, expected):
    if isinstance(found, list):
        if not isinstance(expected, list) or len(found) != len(expected):
            return math.inf
        return max(map(difference, found, expected))
    return abs(found - expected) if isinstance(expected, (int, float)) else math.inf


def main(samples, program, *options):
    with open(program, encoding="utf-8") as file:
        expected = json.load(file)
    found = metrics(samples, "--chosen-expert-answers" in options)
    wrong = 0
    for name, value in found.items():
        off = difference(value, expected.get(name))
        wrong += not off <= LIMIT
        print(f"{name}: {value} here, {expected.get(name)} there, difference {off:.1e}")
    print(f"{len(found)} figures with {'NumPy ' + numpy.__version__ if numpy else 'exact sums'}, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
