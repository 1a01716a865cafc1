"""Runs a command on damaged copies of a file, and fails where one of them ends as it may not.

usage: damaged.py CODES FLIPS CUTS FILE COMMAND...
CODES: the exit codes that the command may end with, such as 0,65. The file is FLIPS times there with one bit flipped, and
CUTS times as its own beginning, always the same ones; afterwards it is whole again. Every run takes less than a second and
100 MB, and one that fails says so in one line that begins with `moe-dist: `.
"""

import os
import pathlib
import random
import sys
import time

SECONDS, MEGABYTES = 1.0, 100


def measured(command: list[str]) -> tuple[int, str, float, float]:
    """Exit code, standard error, seconds and peak megabytes of one run."""
    read, write = os.pipe()
    began = time.monotonic()
    child = os.posix_spawnp(
        command[0],
        command,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, write, 2),
        ],
    )
    os.close(write)
    with open(read, errors="replace") as stream:
        text = stream.read()
    _, status, usage = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), text, time.monotonic() - began, usage.ru_maxrss / 1024


def complaint(codes: set[int], command: list[str]) -> str | None:
    code, text, seconds, megabytes = measured(command)
    if code not in codes:
        return f"exit code {code}: {text[-300:]}"
    lines = [line for line in text.splitlines() if line.startswith("moe-dist: ")]
    if code != 0 and len(lines) != 1:
        return f"{len(lines)} error lines: {text[-300:]}"
    if seconds >= SECONDS:
        # The machine may have had something else to do.
        _, _, seconds, _ = measured(command)
    if seconds >= SECONDS or megabytes >= MEGABYTES:
        return f"{seconds:.2f} s and {megabytes:.0f} MB"
    return None


def main() -> None:
    codes = {int(code) for code in sys.argv[1].split(",")}
    flips, cuts = int(sys.argv[2]), int(sys.argv[3])
    path, command = pathlib.Path(sys.argv[4]), sys.argv[5:]
    whole = path.read_bytes()
    chosen = random.Random(1)
    found = []
    for number in range(flips + cuts):
        if number < flips:
            bit = chosen.randrange(len(whole) * 8)
            name = f"bit {bit % 8} of byte {bit // 8} flipped"
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
        else:
            size = chosen.randrange(len(whole))
            name = f"cut to {size} bytes"
            damaged = whole[:size]
        path.write_bytes(damaged)
        words = complaint(codes, command)
        if words:
            found.append(f"{name}: {words}")
    path.write_bytes(whole)
    for line in found[:5]:
        print(line)
    sys.exit(f"{len(found)} of {flips + cuts}" if found else 0)


main()
