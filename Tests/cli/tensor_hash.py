"""Prints a checksum of the tensors of a safetensors file: SHA-256 over their bytes in the order of their names.

usage: tensor_hash.py FILE
The header is left out, so that what describes a run may change and the checksum of what was computed stays.
"""

import hashlib
import json
import struct
import sys

with open(sys.argv[1], "rb") as file:
    (length,) = struct.unpack("<Q", file.read(8))
    header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    digest = hashlib.sha256()
    for name in sorted(header):
        begin, end = header[name]["data_offsets"]
        file.seek(8 + length + begin)
        digest.update(file.read(end - begin))
print(digest.hexdigest())
