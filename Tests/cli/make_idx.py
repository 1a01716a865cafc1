"""Writes a small image data set in the IDX format, or one of its malformed relatives.

usage: make_idx.py DIRECTORY [--train N] [--test N] [--fault NAME]

The images are 28 x 28 bytes whose bright row tells the class (0 to 9), from a linear congruential generator, so that
the same arguments give the same bytes.
"""

import argparse
import gzip
import pathlib
import struct
import zlib

SIDE, CLASSES = 28, 10
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def image_file(count: int, declared: int | None = None, magic: int = 0x803) -> bytes:
    state, body = 1, bytearray()
    for number in range(count):
        image = bytearray(SIDE * SIDE)
        row = 2 * (number % CLASSES) + 3
        for column in range(SIDE):
            state = (state * 1103515245 + 12345) % 2**31
            image[row * SIDE + column] = 128 + state % 128
        body += image
    return struct.pack(">IIII", magic, count if declared is None else declared, SIDE, SIDE) + bytes(body)


def label_file(count: int, declared: int | None = None, magic: int = 0x801) -> bytes:
    labels = bytes(number % CLASSES for number in range(count))
    return struct.pack(">II", magic, count if declared is None else declared) + labels


def gzip_bomb(count: int) -> bytes:
    """A header that promises `count` images, then 512 MB of zeros in half a megabyte."""
    stream = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = [stream.compress(image_file(0, declared=count))]
    zeros = bytes(1 << 20)
    packed += [stream.compress(zeros) for _ in range(512)]
    return b"".join(packed) + stream.flush()


# What is wrong, by name: the file and its bytes, from the number of training images.
FAULTS = {
    "wrong-magic": lambda n: (IMAGES, image_file(n, magic=0x1803)),
    "truncated-images": lambda n: (IMAGES, image_file(n)[:-1]),
    "truncated-header": lambda n: (IMAGES, image_file(n)[:10]),
    "empty": lambda n: (IMAGES, b""),
    "trailing-bytes": lambda n: (IMAGES, image_file(n) + b"\0"),
    "huge-count": lambda n: (IMAGES, image_file(n, declared=2**31)),
    "huge-label-count": lambda n: (LABELS, label_file(n, declared=2**31)),
    "wrong-label-magic": lambda n: (LABELS, label_file(n, magic=0x803)),
    "truncated-labels": lambda n: (LABELS, label_file(n)[:-1]),
    "fewer-labels": lambda n: (LABELS, label_file(n - 1)),
    "truncated-gzip": lambda n: (IMAGES + ".gz", gzip.compress(image_file(n))[:-100]),
    "damaged-gzip": lambda n: (IMAGES + ".gz", damaged(gzip.compress(image_file(n)))),
    "gzip-bomb": lambda n: (IMAGES + ".gz", gzip_bomb(n)),
    # Wrong where the number of classes is known beforehand (mnist, fashion-mnist).
    "label-out-of-range": lambda n: (LABELS, label_file(n)[:-1] + b"\x0a"),
}


def damaged(data: bytes) -> bytes:
    """The same stream with its checksum's first byte flipped."""
    return data[:-8] + bytes([data[-8] ^ 0xFF]) + data[-7:]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--train", type=int, default=300)
    parser.add_argument("--test", type=int, default=100)
    parser.add_argument("--fault", choices=FAULTS)
    arguments = parser.parse_args()

    arguments.directory.mkdir(parents=True, exist_ok=True)
    files = {
        IMAGES: image_file(arguments.train),
        LABELS: label_file(arguments.train),
        "t10k-images-idx3-ubyte": image_file(arguments.test),
        "t10k-labels-idx1-ubyte": label_file(arguments.test),
    }
    if arguments.fault:
        name, data = FAULTS[arguments.fault](arguments.train)
        files.pop(name.removesuffix(".gz"))
        files[name] = data
    for name, data in files.items():
        (arguments.directory / name).write_bytes(data)


main()
