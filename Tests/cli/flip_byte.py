"""Inverts the byte in the middle of a file, which in a checkpoint is tensor data: every length stays as it was."""

import pathlib
import sys

path = pathlib.Path(sys.argv[1])
data = bytearray(path.read_bytes())
data[len(data) // 2] ^= 0xFF
path.write_bytes(data)
