"""Reads the event files of a run by the real TensorBoard and compares every scalar and picture with the run's own files.

    tensorboard_check.py RUN

Every number of metrics.jsonl must be there once, at its step, as the nearest float32, and nothing else; the pictures must be
expert_images.png and, cell by cell, the last evaluation's expert_class.csv. Needs the package tensorboard.
"""

import csv
import json
import logging
import struct
import sys
import zlib
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

MOST_SHARES = 64


def float32(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


def scalars(line):
    """The tags and numbers that a line of metrics.jsonl stands for."""
    layers = {"": line} | {f"layer_{gate['layer']}/": gate for gate in line.get("layers", [])[1:]}
    for scope, figures in layers.items():
        for key, value in figures.items():
            if key in ("step", "split", "layer", "layers") or value is None:
                continue
            if key != "expert_share":
                yield scope + key, value
            elif len(value) > MOST_SHARES:
                yield from [(scope + key + "_smallest", min(value)), (scope + key + "_largest", max(value))]
            else:
                yield from ((f"{scope}{key}/{expert}", share) for expert, share in enumerate(value))


def grey(png):
    """The lines of an 8-bit grey PNG file whose lines are filtered by "up"."""
    width, height = struct.unpack(">II", png[16:24])
    place, packed = 8, b""
    while place < len(png):
        size, name = struct.unpack(">I4s", png[place : place + 8])
        packed += png[place + 8 : place + 8 + size] if name == b"IDAT" else b""
        place += 12 + size
    raw, lines, above = zlib.decompress(packed), [], bytes(width)
    for row in range(height):
        kind, *line = raw[row * (width + 1) : (row + 1) * (width + 1)]
        assert kind == 2, f"filter {kind}"
        above = bytes((a + b) % 256 for a, b in zip(line, above))
        lines.append(above)
    return width, height, lines


def check_map(run, image):
    with open(run / "expert_class.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("layer", "1") == "1"]
    table = [[int(row[key]) for key in row if key.startswith("class_")] for row in rows]
    width, height, lines = grey(image.encoded_image_string)
    assert (image.width, image.height) == (width, height)
    cell = width // len(table[0])
    assert (width, height) == (cell * len(table[0]), cell * len(table)), (width, height)
    for column in range(len(table[0])):
        total = sum(row[column] for row in table)
        for expert, row in enumerate(table):
            found = lines[expert * cell + cell // 2][column * cell + cell // 2]
            assert abs(found - (255 - 255 * row[column] / max(total, 1))) <= 0.5, (expert, column, found)
    return len(table) * len(table[0])


def main(directory):
    logging.disable(logging.WARNING)
    run = Path(directory)
    expected = {}
    for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        line = json.loads(line)
        for tag, value in scalars(line):
            expected.setdefault(f"{line['split']}/{tag}", []).append((line["step"], float32(value)))
    # Of the directory all files in the order of TensorBoard; of every tag all that there is.
    found = EventAccumulator(directory, size_guidance={"scalars": 0, "images": 0})
    found.Reload()
    tags = found.Tags()
    read = {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in tags["scalars"]}
    for tag in sorted(expected.keys() | read.keys()):
        assert expected.get(tag) == read.get(tag), f"{tag}: expected {expected.get(tag)}, found {read.get(tag)}"
    assert expected, "metrics.jsonl has no line"
    cells = 0
    last = {tag: found.Images(tag)[-1] for tag in tags["images"]}
    if "test/expert_images" in last:
        wall = (run / "expert_images.png").read_bytes()
        assert last["test/expert_images"].encoded_image_string == wall, "another picture"
    if "test/expert_class" in last:
        cells = check_map(run, last["test/expert_class"])
    for tag in tags["images"]:
        steps = [image.step for image in found.Images(tag)]
        assert steps == sorted(set(steps)), f"{tag}: steps {steps}"
    files = len(list(run.glob("events.out.tfevents.*")))
    print(
        f"{sum(map(len, read.values()))} scalars of {len(read)} tags, {len(last)} pictures, {cells} cells in {files} files: "
        "as metrics.jsonl"
    )


main(*sys.argv[1:])
