#!/usr/bin/env python3
"""Changes a checkpoint and gives it right checksums again: what a damaged program, not a damaged disk, would have written.

rewrite_checkpoint.py FILE KEY VALUE   a text of the metadata; VALUE '-' removes it
rewrite_checkpoint.py FILE nan TENSOR  the second element of a tensor is NaN
rewrite_checkpoint.py FILE quarter TENSOR  the second element of a tensor is 0.25
rewrite_checkpoint.py FILE huge PREFIX all weights of tensors with that prefix are 1e38
"""

import hashlib
import json
import struct
import sys


def main():
    path, key, value = sys.argv[1:]
    blob = bytearray(open(path, "rb").read())
    (length,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + length])
    data = blob[8 + length :]
    metadata = header["__metadata__"]
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        first, last = tensor["data_offsets"]
        if key == "nan" and name == value:
            data[first + 4 : first + 8] = struct.pack("<f", float("nan"))
        if key == "quarter" and name == value:
            data[first + 4 : first + 8] = struct.pack("<f", 0.25)
        if key == "huge" and name.startswith(value):
            data[first:last] = struct.pack("<f", 1e38) * ((last - first) // 4)
    if key not in ("nan", "quarter", "huge"):
        if value == "-":
            del metadata[key]
        else:
            metadata[key] = value
    open(path, "wb").write(sealed(header, data))


def sealed(header, data):
    """The file with the checksums that its content has: of every tensor, and of the header without its own."""
    metadata = {k: v for k, v in header["__metadata__"].items() if not k.startswith("sha256")}
    for name, tensor in header.items():
        if name != "__metadata__":
            first, last = tensor["data_offsets"]
            metadata["sha256." + name] = hashlib.sha256(data[first:last]).hexdigest()
    header["__metadata__"] = metadata
    metadata["sha256"] = hashlib.sha256(text(header)).hexdigest()
    head = text(header)
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + data


def text(header):
    """Compact, keys by their bytes."""
    return json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


if __name__ == "__main__":
    main()
