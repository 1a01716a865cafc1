"""Run directories that cannot be written: what reads works and writes nothing, what trains ends with one line."""

import os
import pathlib
import struct
import subprocess

from harness import Run, equal, expect


def campaign(c):
    # A mount that cannot be written holds for root, too, whom modes do not stop.
    probe = ["unshare", "-m", "/bin/sh", "-c", 'mount -o bind "$1" "$1" && mount -o remount,bind,ro "$1"', "_"]
    folder = c.scratch / "read-only"
    folder.mkdir()
    names = ["reading a run that cannot be written", "73 or 74: training in a run that cannot be written"]
    try:
        subprocess.run([*probe, str(folder)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        for name in names:
            c.skip(name, "mount namespaces need root")
        return
    run = Run(folder / "run")
    c.run(c.train(run.path, "--max-steps", 6, "--checkpoint-every-steps", 2))
    before = snapshot(run.path)
    c.check(names[0], reading, c, folder, run, before)
    c.check(names[1], training, c, folder, run, before)


def snapshot(folder):
    return sorted((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in pathlib.Path(folder).rglob("*"))


def inside(folder, words):
    script = 'mount -o bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    return ["unshare", "-m", "/bin/sh", "-c", script, "_", str(folder), *words]


def reading(c, folder, run, before):
    page, answers, samples = (str(c.scratch / name) for name in ("page.html", "answers.csv", "samples.csv"))
    images = str(c.scratch / "images-idx3-ubyte")
    # One image in the IDX format.
    pathlib.Path(images).write_bytes(struct.pack(">IIII", 0x803, 1, 28, 28) + bytes(i % 256 for i in range(28 * 28)))
    commands = {
        "report": ["report", str(run.path), "--output", page],
        "evaluate": ["evaluate", str(run.path)],
        "evaluate --per-sample": ["evaluate", str(run.path), "--per-sample", samples],
        "checkpoint list": ["checkpoint", "list", str(run.path)],
        "checkpoint verify": ["checkpoint", "verify", str(run.path)],
        "checkpoint diff": ["checkpoint", "diff", str(run.path), str(run.path)],
        "predict": ["predict", str(run.path), "--images", images, "--output", answers],
    }
    for name, words in commands.items():
        job = c.run(inside(folder, [c.program, *words]), code=None)
        equal(f"exit code of {name}\n{job.error()}", job.popen.returncode, 0)
    for path in (page, answers, samples):
        expect(os.path.getsize(path) > 0, f"{path} is empty")
    equal("files of the run", snapshot(run.path), before)


def training(c, folder, run, before):
    again = c.train(run.path, "--max-steps", 8, "--resume", "auto")
    new = c.train(folder / "new", "--max-steps", 2)
    commands = {
        "resume": again, "a new run": new, "launch": [c.program, "launch", "-np", "2", "--", *again[1:]],
        "report into the run": [c.program, "report", str(run.path)],
    }
    if c.options.local:
        del commands["launch"]
    for name, words in commands.items():
        job = c.run(inside(folder, words), code=None)
        expect(job.popen.returncode in (73, 74), f"exit code of {name}: {job.popen.returncode}\n{job.error()}")
        equal(f"lines of {name}\n{job.error()}", len(job.lines()), 1)
    equal("files of the run", snapshot(run.path), before)
