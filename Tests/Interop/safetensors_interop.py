"""Checkpoints between this program and the safetensors package of Python, in both directions.

    python3 Tests/Interop/safetensors_interop.py .build/release/moe-dist

Needs safetensors and numpy; writes with torch, too, where it is installed. Exit code 0: everything agrees;
1: something does not, and the last line says what; 77: the packages are not there, nothing was tested.
"""

import hashlib
import json
import pathlib
import random
import subprocess
import sys
import tempfile

try:
    import numpy
    from safetensors import SafetensorError, deserialize, safe_open
    from safetensors.numpy import load_file, save_file
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)
try:
    import torch
    from safetensors.torch import save_file as save_torch_file
except ImportError:
    torch = None

OPTIONS = ["--dataset", "synthetic", "--experts", "2", "--batch-size", "64"]


def run(binary, *arguments):
    """The exit code and standard error of a command that must end within a minute."""
    done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def train(binary, directory, *arguments):
    """Trains into a directory; the path of the newest checkpoint."""
    code, words = run(binary, "train", *arguments, "--run-dir", directory)
    assert code == 0, f"train {arguments} ended with {code}: {words}"
    return directory / (directory / "latest").read_text().strip()


def metadata(path):
    with safe_open(str(path), "numpy") as file:
        return file.metadata()


def without_checksums(entries):
    return {key: text for key, text in entries.items() if key.split(".")[0] != "sha256"}


def python_reads_ours(path):
    """Every tensor is float32, and the checksums are what hashlib says of the bytes that Python reads."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    assert length % 8 == 0 and raw[8:9] == b"{"
    header = json.loads(raw[8 : 8 + length])
    tensors, entries = load_file(path), metadata(path)
    assert list(tensors) and all(values.dtype == numpy.float32 for values in tensors.values())
    for name, values in tensors.items():
        digest = hashlib.sha256(values.tobytes()).hexdigest()
        assert entries["sha256." + name] == digest, f"checksum of {name}"
    content = header["__metadata__"].pop("sha256")
    canonical = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(canonical.encode()).hexdigest() == content, "checksum of the header"
    begins = [header[name]["data_offsets"][0] for name in sorted(tensors)]
    assert begins == sorted(begins), "data are ordered by name"
    return tensors


def ours_reads_pythons(binary, scratch, tensors):
    """Weights that Python wrote, beside a counter of BatchNorm's in int64, are what the program starts from."""
    generator = numpy.random.default_rng(3)
    weights = {
        name: generator.standard_normal(values.shape, dtype=numpy.float32)
        for name, values in tensors.items()
        if not name.startswith("optimizer.")
    }
    counter = {"gate.bn1.num_batches_tracked": numpy.array(5, dtype=numpy.int64)}
    save_file({**weights, **counter}, scratch / "numpy.safetensors")
    files = [scratch / "numpy.safetensors"]
    if torch is not None:
        both = {**weights, **counter}
        save_torch_file(
            {name: torch.from_numpy(values.copy()) for name, values in both.items()},
            scratch / "torch.safetensors", metadata={"format": "pt"})
        files.append(scratch / "torch.safetensors")
    for file in files:
        made = train(binary, scratch / f"from-{file.stem}", *OPTIONS, "--max-steps", "0", "--init-from", file)
        read = load_file(made)
        for name, values in weights.items():
            assert read[name].tobytes() == values.tobytes(), f"{name} from {file.name}"
    return len(files)


def edited_checkpoints(binary, scratch, path):
    """Written again unchanged: good. Another weight: refused by name. Without checksums: the user's own business."""
    tensors, entries = load_file(path), metadata(path)
    last = sorted(tensors)[0]
    changed = {**tensors, last: tensors[last] + 1}
    cases = [
        ("again", tensors, entries, 0),
        ("changed", changed, entries, 65),
        ("relabelled", tensors, {**entries, "step": "1"}, 65),
        ("on-purpose", changed, without_checksums(entries), 0),
    ]
    for title, values, texts, expected in cases:
        file = scratch / f"{title}.safetensors"
        save_file(values, file, metadata=texts)
        arguments = ["train", *OPTIONS, "--max-steps", "0", "--init-from", file, "--run-dir", scratch / f"edited-{title}"]
        code, words = run(binary, *arguments)
        assert code == expected, f"{title}: expected exit code {expected}, found {code}: {words}"
        if title == "changed":
            assert f"'{last}'" in words, f"the message names the tensor: {words}"
    return len(cases)


def odd_headers(count):
    """Headers that differ from a good one in structure or in a byte."""
    source = random.Random(7)
    good = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "F32", "shape": [1], "data_offsets": [24, 28]},
    }
    values = [0, -1, 4, 24, 2**31, 2**63, 2**64, 1.0, 1e3, None, True, "F32", "F16", "", [], [0], [0, 4], {}, {"x": "y"}]
    for _ in range(count):
        header = json.loads(json.dumps(good))
        choice = source.randrange(4)
        if choice == 0:
            header[source.choice(["a", "b"])][source.choice(["dtype", "shape", "data_offsets", "more"])] = (
                source.choice(values))
        elif choice == 1:
            header[source.choice(["a", "b", "c", "__metadata__"])] = source.choice(values)
        elif choice == 2:
            entry = header[source.choice(["a", "b"])]
            part = entry[source.choice(["shape", "data_offsets"])]
            part[source.randrange(len(part))] = source.choice(values)
        text = bytearray(json.dumps(header), "utf-8")
        if choice == 3:
            text[source.randrange(len(text))] ^= 1 << source.randrange(8)
        length = len(text) + source.choice([0, 0, 0, 0, 0, 1, -1])
        yield length.to_bytes(8, "little") + bytes(text) + bytes(28)


def verdicts_agree(binary, scratch, count):
    """What the package refuses, the program refuses. What it accepts beyond that, it refuses for a reason it states."""
    narrower = ["expected a name of", "the same key twice", "shape and data_offsets alone",
                "__metadata__: expected an object", "lone surrogate", "integer out of range"]
    for number, data in enumerate(odd_headers(count)):
        file = scratch / "odd.safetensors"
        file.write_bytes(data)
        try:
            deserialize(data)
            accepted = True
        except SafetensorError:
            accepted = False
        code, words = run(
            binary, "train", *OPTIONS, "--max-steps", "0", "--init-from", file, "--run-dir", scratch / f"odd-{number}")
        assert code == 65, f"case {number}: expected 65, found {code}: {words}"
        # These tensors are not the model's: a file that was accepted is refused for that alone.
        read = "is missing" in words
        explained = any(reason in words for reason in narrower)
        assert read == accepted or (accepted and explained), (
            f"case {number}: the package says {'good' if accepted else 'bad'}, the program: {words}, file: {data!r}")
    return count


def main(binary):
    with tempfile.TemporaryDirectory() as name:
        scratch = pathlib.Path(name)
        path = train(binary, scratch / "first", *OPTIONS, "--max-steps", "2")
        tensors = python_reads_ours(path)
        print(f"ok: Python reads {len(tensors)} tensors; their checksums and the header's are hashlib's")
        print(f"ok: {ours_reads_pythons(binary, scratch, tensors)} files that Python wrote are started from, bit by bit")
        print(f"ok: {edited_checkpoints(binary, scratch, path)} rewritten checkpoints are told apart")
        print(f"ok: {verdicts_agree(binary, scratch, 120)} odd headers get the verdict of the package")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
