#!/usr/bin/env python3
"""Writes the tensors of a safetensors file in another type of numbers, without its metadata.

retype_checkpoint.py FILE F64|F32|F16|BF16 OUTPUT

Values are rounded to the type: float16 to the nearest, ties to even, bfloat16 towards zero.
"""

import json
import struct
import sys

SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}


def numbers(kind, data):
    if kind == "BF16":
        return [struct.unpack("<f", b"\0\0" + data[i : i + 2])[0] for i in range(0, len(data), 2)]
    return struct.unpack(f"<{len(data) // SIZES[kind]}{ {'F64': 'd', 'F32': 'f', 'F16': 'e'}[kind] }", data)


def packed(kind, values):
    if kind == "BF16":
        return b"".join(struct.pack("<f", value)[2:] for value in values)
    return struct.pack(f"<{len(values)}{ {'F64': 'd', 'F32': 'f', 'F16': 'e'}[kind] }", *values)


def main():
    path, kind, output = sys.argv[1:]
    blob = open(path, "rb").read()
    (length,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors, body = {}, b""
    for name in sorted(header):
        if name.startswith("optimizer."):
            continue
        first, last = header[name]["data_offsets"]
        data = packed(kind, numbers(header[name]["dtype"], blob[8 + length + first : 8 + length + last]))
        tensors[name] = {
            "dtype": kind,
            "shape": header[name]["shape"],
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    head = json.dumps(tensors).encode()
    open(output, "wb").write(struct.pack("<Q", len(head)) + head + body)


main()
