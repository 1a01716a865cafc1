"""Recounts a run's tables of the test set from `moe-dist evaluate --per-sample FILE`: exact, or it fails.

    moe-dist evaluate RUN --per-sample samples.csv
    python3 Tests/Reference/tables_check.py samples.csv RUN [--chosen-expert-answers]

Counted are confusion.csv and expert_class.csv; with --chosen-expert-answers, where the prediction is the chosen expert's own
class (a rule that asks one expert), expert_class_correct.csv, too. The account of the ranks in summary.json is checked
against itself: what was sent adds up to the bytes that the phases counted, and answers to the rows that experts ran on.
"""

import csv
import json
import sys


def table(path, first):
    with open(path, newline="", encoding="utf-8") as file:
        heading, *rows = csv.reader(file)
    assert heading[0] == first, heading
    assert [row[0] for row in rows] == [str(number) for number in range(len(rows))], "rows are numbered"
    return [[int(cell) for cell in row[1:]] for row in rows]


def recounted(like, pairs):
    counts = [[0] * len(row) for row in like]
    for row, column in pairs:
        counts[row][column] += 1
    return counts


def check(name, found, pairs):
    expected = recounted(found, pairs)
    assert found == expected, f"{name}: {found} is not {expected}"
    print(f"{name}: {len(found)} x {len(found[0])} counts, {sum(map(sum, found))} samples")


def check_account(account):
    ranks = account["between_ranks"]
    bytes_dispatched, rows_combined = ranks["bytes_dispatched"], ranks["rows_combined"]
    assert sum(map(sum, bytes_dispatched)) == account["bytes_dispatched"], "bytes of samples"
    # The scores of a gate on rank 0 travel in the same phase as the answers.
    assert sum(map(sum, ranks["bytes_combined"])) <= account["bytes_combined"], "bytes of answers"
    experts = account["experts"]
    for rank, row in enumerate(rows_combined):
        computed = sum(expert["rows_computed"] for expert in experts if expert["rank"] == rank)
        assert sum(row) == computed, f"rank {rank} answers {row}, its experts ran on {computed} rows"
        assert bytes_dispatched[rank][rank] == 0 == ranks["bytes_combined"][rank][rank], "a rank sends nothing to itself"
    assert sum(sum(row) for row in ranks["rows_dispatched"]) <= sum(expert["rows_selected"] for expert in experts)
    print(f"between {len(rows_combined)} ranks: {account['bytes_dispatched']} bytes of samples")


def main():
    samples, run, *options = sys.argv[1:]
    with open(samples, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    label, predicted, expert = ([int(row[key]) for row in rows] for key in ("label", "prediction", "expert"))
    check("confusion.csv", table(f"{run}/confusion.csv", "true"), zip(label, predicted))
    check("expert_class.csv", table(f"{run}/expert_class.csv", "expert"), zip(expert, label))
    if "--chosen-expert-answers" in options:
        right = [(e, c) for e, c, p in zip(expert, label, predicted) if c == p]
        check("expert_class_correct.csv", table(f"{run}/expert_class_correct.csv", "expert"), right)
    with open(f"{run}/summary.json", encoding="utf-8") as file:
        check_account(json.load(file)["account"])


main()
