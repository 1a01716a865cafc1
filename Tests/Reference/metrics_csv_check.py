"""Compares metrics.csv of a run with metrics.jsonl, number by number, by pandas where it is installed.

    metrics_csv_check.py RUN
"""

import csv
import json
import sys

try:
    import pandas
except ImportError:
    pandas = None


def flat(line):
    """The columns of a line, by their names."""
    cells = {}
    for key, value in line.items():
        if key == "layers":
            for gate in value[1:]:
                cells |= {
                    f"layer_{gate['layer']}_{name}": figure
                    for name, figure in flat(gate).items()
                    if name != "layer"
                }
        elif isinstance(value, list):
            cells |= {f"{key}_{index}": element for index, element in enumerate(value)}
        else:
            cells[key] = value
    return cells


def rows(path):
    """The lines of the table, with None for what is empty."""
    if pandas is None:
        with open(path, newline="", encoding="utf-8") as file:
            return [{key: text or None for key, text in row.items()} for row in csv.DictReader(file)]
    table = pandas.read_csv(path, dtype=str)
    return table.astype(object).where(table.notna(), None).to_dict("records")


def main(run):
    with open(f"{run}/metrics.jsonl", encoding="utf-8") as file:
        expected = [flat(json.loads(line)) for line in file]
    found = rows(f"{run}/metrics.csv")
    assert expected and len(found) == len(expected), f"{len(found)} lines for {len(expected)}"
    cells = 0
    for number, (line, row) in enumerate(zip(expected, found)):
        assert line.keys() <= row.keys(), f"line {number} lacks {line.keys() - row.keys()}"
        for key, text in row.items():
            value = line.get(key)
            same = text == value if value is None or key == "split" else float(text) == value
            assert same, f"line {number}, {key}: {text} for {value}"
            cells += 1
    if pandas is not None:
        numbers = pandas.read_csv(f"{run}/metrics.csv").drop(columns="split")
        assert all(kind.kind in "if" for kind in numbers.dtypes), numbers.dtypes
    print(f"{len(found)} lines, {cells} cells by {'pandas ' + pandas.__version__ if pandas else 'csv'}: as metrics.jsonl")


main(*sys.argv[1:])
