"""What `predict` and `show` say of images, and what a run has recorded of a few, against `evaluate --per-sample`.

    sample_details_check.py predict ANSWERS SAMPLES.csv expectation|full|renormalised
    sample_details_check.py show SHOWN.json ANSWERS SAMPLES.csv
    sample_details_check.py record RUN SAMPLES.csv [IMAGES.gz]

ANSWERS.csv, .jsonl and .safetensors have all columns, of the same images as SAMPLES.csv. Floats are compared by their
bits; the mixture is made again in double precision from gate and answers. Reads safetensors by itself, and once more by
the package of that name where it is installed.
"""

import base64
import csv
import gzip
import json
import math
import struct
import sys
import tempfile

from image_wall_check import decode


def single(text):
    """The float32 that a decimal text means, as a number."""
    return struct.unpack("<f", struct.pack("<f", float(text)))[0]


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def lists(rows, prefix):
    """The columns prefix_0, prefix_1, … of every row; None for an empty one."""
    names = [name for name in rows[0] if name.startswith(prefix) and name[len(prefix) :].replace("_", "").isdigit()]
    return [[single(row[name]) if row[name] else None for name in names] for row in rows]


def read_safetensors(path):
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    tensors, end = {}, 0
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        assert first == end, f"{name} begins at {first}, not {end}"
        end = last
        count = math.prod(entry["shape"])
        letter = {"F32": "f", "I32": "i"}[entry["dtype"]]
        tensors[name] = (entry["shape"], struct.unpack(f"<{count}{letter}", body[first:last]))
    assert end == len(body)
    try:
        from safetensors.numpy import load_file
    except ImportError:
        return tensors
    for name, tensor in load_file(path).items():
        shape, values = tensors[name]
        assert list(tensor.shape) == shape
        assert all(a == b or (a != a and b != b) for a, b in zip(tensor.ravel().tolist(), values)), name
    return tensors


# Every so many images are looked at in full.
STRIDE = 7


def predict(stem, samples, rule):
    rows, known = read_csv(stem + ".csv"), read_csv(samples)
    n = len(rows)
    assert n == len(known) > 0
    for name, other in (("sample", "sample"), ("class", "prediction"), ("expert", "expert")):
        assert [row[name] for row in rows] == [row[other] for row in known], name
    rows, known = rows[::STRIDE], known[::STRIDE]
    mixture, gates, answers = lists(rows, "p_"), lists(rows, "gate_"), lists(rows, "answer_")
    experts, classes = len(gates[0]), len(mixture[0])
    assert len(answers[0]) == experts * classes and experts == sum(1 for name in known[0] if name[0] == "p" and name[1:].isdigit())
    idle = 0
    for row, (said, expected) in enumerate(zip(rows, known)):
        assert [said[f"gate_{e}"] for e in range(experts)] == [expected[f"p{e}"] for e in range(experts)]
        p = mixture[row]
        assert said["probability"] == said[f"p_{said['class']}"] and single(said["probability"]) == max(p)
        of = [answers[row][e * classes : (e + 1) * classes] for e in range(experts)]
        ran = [e for e in range(experts) if of[e][0] is not None]
        idle += experts - len(ran)
        mass = sum(gates[row][e] for e in ran)
        for c in range(classes):
            value = sum(gates[row][e] * of[e][c] for e in ran)
            if rule == "renormalised":
                value /= mass
            elif rule == "full":
                value += max(1 - mass, 0) / classes
            assert abs(value - p[c]) < 2e-6, f"row {row}, class {c}: {value} and {p[c]}"
    assert (idle == 0) == (rule == "expectation"), f"{idle} answers are missing"

    lines = list(open(stem + ".jsonl"))
    assert len(lines) == n
    for row, line in enumerate(lines[::STRIDE]):
        said = json.loads(line)
        assert [str(said[key]) for key in ("sample", "class", "expert")] == [rows[row][key] for key in ("sample", "class", "expert")]
        assert single(said["probability"]) == single(rows[row]["probability"])
        assert list(map(single, said["distribution"])) == mixture[row] and list(map(single, said["gate"])) == gates[row]
        flat = [None if of is None else single(of[c]) for of in said["answers"] for c in range(classes)]
        assert flat == answers[row]

    tensors = read_safetensors(stem + ".safetensors")
    shapes = {name: shape for name, (shape, _) in tensors.items()}
    assert shapes == {
        "class": [n], "probability": [n], "expert": [n], "distribution": [n, classes], "gate": [n, experts],
        "answers": [n, experts, classes],
    }, shapes
    for name, values in (("distribution", mixture), ("gate", gates), ("answers", answers)):
        width = math.prod(shapes[name][1:])
        for row, expected in enumerate(values):
            found = tensors[name][1][row * STRIDE * width : (row * STRIDE + 1) * width]
            assert all(a == b or (a is None and b != b) for a, b in zip(expected, found)), name
    for name in ("class", "expert", "probability"):
        assert all(single(row[name]) == value for row, value in zip(rows, tensors[name][1][::STRIDE])), name
    print(f"{n} images, {len(rows)} in full, {idle} answers of experts that did not run")


def show(path, stem, samples):
    shown, known = json.load(open(path)), {row["sample"]: row for row in read_csv(samples)}
    answers = [json.loads(line) for line in open(stem + ".jsonl")]
    costs, experts = shown["costs"], len(shown["placement"])
    for sample in shown["samples"]:
        number, layer = sample["sample"], sample["layers"][0]
        said, row = answers[number], known[str(number)]
        assert sample["label"] == int(row["label"]) and sample["prediction"] == said["class"] == int(row["prediction"])
        for key, values in (("distribution", said["distribution"]), ("answers", said["answers"])):
            assert sample[key] == values, f"sample {number}: {key}"
        assert layer["gate"] == said["gate"] and sample["probability"] == said["probability"]
        ran = [e for e in range(experts) if said["answers"][e] is not None]
        assert layer["ran"] == ran
        assert abs(layer["entropy"] + sum(p * math.log2(p) for p in map(single, layer["gate"]) if p > 0)) < 1e-6
        assert sample["flops"] == costs["gate"] + costs["trunk"] + len(ran) * costs["expert"]
        assert costs["dense"] == costs["gate"] + costs["trunk"] + experts * costs["expert"]
        busy = sorted({shown["placement"][e] for e in ran})
        assert sample["busy_ranks"] == busy
        # Rank 0 has the gate.
        assert sample["idle_ranks"] == [r for r in range(1, shown["ranks"]) if r not in busy]
    print(f"{len(shown['samples'])} images")


def record(run, samples, images=None):
    rows = read_csv(samples)
    kept = json.load(open(run + "/samples.json"))["samples"]
    experts = sum(1 for name in rows[0] if name[0] == "p" and name[1:].isdigit())

    def entropy(row):
        values = [single(row[f"p{e}"]) for e in range(experts)]
        return -sum(p * math.log2(p) for p in values if p > 0)

    undecided = sorted(rows, key=lambda row: (-entropy(row), int(row["sample"])))[:2]
    others = [row for row in rows if row not in undecided]
    right = [row for row in others if row["label"] == row["prediction"]][:2]
    wrong = [row for row in others if row["label"] != row["prediction"]][:2]
    expected = [(row["sample"], "right") for row in right] + [(row["sample"], "wrong") for row in wrong]
    expected += [(row["sample"], "undecided") for row in undecided]
    assert [(str(s["sample"]), s["reason"]) for s in kept] == expected, expected
    data = gzip.open(images).read()[16:] if images else None
    size = 0
    for sample in kept:
        row = rows[sample["sample"]]
        assert (sample["label"], sample["prediction"]) == (int(row["label"]), int(row["prediction"]))
        assert [single(p) for p in sample["layers"][0]["gate"]] == [single(row[f"p{e}"]) for e in range(experts)]
        if not images:
            assert "image" not in sample
            continue
        picture = base64.b64decode(sample["image"])
        size += len(picture)
        with tempfile.NamedTemporaryFile() as file:
            file.write(picture)
            file.flush()
            width, height, lines = decode(file.name)
        assert (width, height) == (28, 28)
        first = sample["sample"] * 784
        assert [byte for line in lines for byte in line] == list(data[first : first + 784])
    assert size <= 16_000
    print(f"{len(kept)} images of {size} bytes")


if __name__ == "__main__":
    {"predict": predict, "show": show, "record": record}[sys.argv[1]](*sys.argv[2:])
