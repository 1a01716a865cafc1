"""Builds a run's wall of images by expert again, from the data and the choices of every sample, and compares the pixels.

    moe-dist evaluate RUN --per-sample samples.csv
    image_wall_check.py RUN/expert_images.png samples.csv t10k-images-idx3-ubyte.gz EXPERTS

For grey images of full size. Decodes the PNG file by itself: chunks with their CRC-32, zlib, and the filter of each line.
"""

import csv
import gzip
import struct
import sys
import zlib


def decode(path):
    """Width, height and the lines of an 8-bit grey PNG file."""
    data = open(path, "rb").read()
    assert len(data) <= 36_000, f"{len(data)} bytes"
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG file"
    place, packed, names = 8, b"", []
    while place < len(data):
        size, name = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + size]
        (crc,) = struct.unpack(">I", data[place + 8 + size : place + 12 + size])
        assert crc == zlib.crc32(name + body), f"the CRC of {name} is wrong"
        names.append(name)
        if name == b"IHDR":
            width, height, depth, colour, compression, kind, interlace = struct.unpack(">IIBBBBB", body)
            assert (depth, colour, compression, kind, interlace) == (8, 0, 0, 0, 0)
        elif name == b"IDAT":
            packed += body
        place += 12 + size
    assert names[0] == b"IHDR" and names[-1] == b"IEND", names
    raw, lines, above = zlib.decompress(packed), [], [0] * width
    assert len(raw) == height * (width + 1)
    for row in range(height):
        kind, line = raw[row * (width + 1)], raw[row * (width + 1) + 1 : (row + 1) * (width + 1)]
        assert kind in (0, 2), f"filter {kind}"
        above = [(byte + (above[i] if kind == 2 else 0)) % 256 for i, byte in enumerate(line)]
        lines.append(above)
    return width, height, lines


def main():
    picture, samples, images, experts = sys.argv[1:]
    width, height, lines = decode(picture)
    experts = int(experts)
    data = gzip.open(images).read()
    _, count, rows, columns = struct.unpack(">IIII", data[:16])
    shown = width // (columns + 1)
    assert width == shown * (columns + 1) and height == experts * (rows + 1), (width, height)
    chosen = [[] for _ in range(experts)]
    with open(samples, encoding="utf-8") as file:
        for line in csv.DictReader(file):
            chosen[int(line["expert"])].append(int(line["sample"]))
    assert sum(map(len, chosen)) == count
    expected = [[255] * width for _ in range(height)]
    for expert, members in enumerate(chosen):
        for column, sample in enumerate(members[:shown]):
            for y in range(rows):
                begin = 16 + (sample * rows + y) * columns
                at = column * (columns + 1)
                expected[expert * (rows + 1) + y][at : at + columns] = data[begin : begin + columns]
    different = sum(a != b for found, line in zip(lines, expected) for a, b in zip(found, line))
    print(f"{experts} rows of {shown} images, {different} pixels differ")
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
