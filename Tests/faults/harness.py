"""What the fault campaigns share: counting, starting and ending processes, and the facts of a run."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

root = pathlib.Path(__file__).resolve().parent.parent.parent


class Fault(Exception):
    """What did not hold."""


def expect(condition, text):
    if not condition:
        raise Fault(text)


def equal(what, found, expected):
    expect(found == expected, f"{what}: found {found!r}, expected {expected!r}")


class Campaign:
    """Options, a scratch folder, and the counts of what held."""

    def __init__(self, options):
        self.options = options
        self.program = str(pathlib.Path(os.environ.get("MOE_DIST_BINARY", root / ".build/release/moe-dist")).resolve())
        if not os.access(self.program, os.X_OK):
            sys.exit(f"fault-test: there is no {self.program}; build with swift build -c release")
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="moe-dist-fault-test."))
        self.passed = self.failed = self.skipped = 0
        self.at_end = []
        # Stands in the environment of every process, by which those of a start are found again.
        self.mark = f"FAULT_TEST={self.scratch.name}"

    def wanted(self, name):
        return self.options.filter in name

    def check(self, name, function, *arguments):
        """One check; what it returns, if it is a text, is shown behind its name."""
        if not self.wanted(name):
            return
        began = time.monotonic()
        try:
            told = function(*arguments)
        except Exception as error:  # A fault of the script is a failed check, too.
            self.failed += 1
            print(f"  FAIL  {name} ({time.monotonic() - began:.1f} s)", flush=True)
            text = str(error) if isinstance(error, Fault) else traceback.format_exc()
            for line in text.splitlines()[-30:]:
                print(f"        | {line}", flush=True)
        else:
            self.passed += 1
            print(f"  ok    {name} ({time.monotonic() - began:.1f} s)" + (f": {told}" if told else ""), flush=True)

    def skip(self, name, why):
        if self.wanted(name):
            self.skipped += 1
            print(f"  skip  {name}: {why}", flush=True)

    def finish(self):
        for function in self.at_end:
            function()
        for process in marked(self.mark):
            process.kill()
        if self.failed and self.options.keep:
            print(f"kept: {self.scratch}")
        else:
            shutil.rmtree(self.scratch, ignore_errors=True)
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 0 if self.failed == 0 else 1

    # Running

    def environment(self, **more):
        name, value = self.mark.split("=")
        return {**os.environ, name: value, "NO_COLOR": "1", **more}

    def start(self, words, **more):
        """Starts words in a session of their own; output goes to files beside the runs."""
        return Job(words, self.environment(**more), self.scratch)

    def run(self, words, limit=60, code=0, **more):
        """Runs words to their end; a code of None allows any."""
        job = self.start(words, **more)
        found = job.wait(limit)
        if code is not None:
            expect(found == code, f"exit code {found}, expected {code}: {' '.join(job.words)}\n{job.error()}")
        return job

    def train(self, run, *options):
        """The words of a small run."""
        return [self.program, "train", *small, "--run-dir", str(run), *map(str, options)]

    def on(self, ranks, words):
        """The words that start so many ranks by mpirun, and what their environment has besides."""
        words = ["mpirun", "-q", *self.spread(ranks), "-np", str(ranks), *words]
        return words, mpirun_settings(ranks)

    def spread(self, ranks):
        return ["--oversubscribe", "--bind-to", "none"] if ranks > len(os.sched_getaffinity(0)) else []

    def wait_until(self, condition, limit, what):
        end = time.monotonic() + limit
        while not (found := condition()):
            expect(time.monotonic() < end, f"not within {limit} s: {what}")
            time.sleep(0.02)
        return found

    def remove(self, paths):
        for path in paths:
            if os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            elif os.path.exists(path):
                os.unlink(path)

    def all_gone(self, limit=30):
        """Waits until no process that this script started is left."""
        self.wait_until(lambda: not marked(self.mark), limit, "every process of the job has ended")


# The smallest networks, eight experts, and a batch that is neither a multiple of the block nor of the lanes.
small = [
    *("--dataset", "synthetic", "--model", "mnist", "--experts", "8", "--batch-size", "130"),
    *("--train-samples", "1000", "--test-samples", "100", "--seed", "3", "--progress", "none", "--quiet"),
    *("--epochs", "100000", "--checkpoint-every", "0"),
]


def mpirun_settings(ranks):
    settings = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}
    # More ranks than cores must give up the core while they wait.
    if ranks > len(os.sched_getaffinity(0)):
        settings["OMPI_MCA_mpi_yield_when_idle"] = "1"
    return settings


# ---- Processes -------------------------------------------------------------------------------------------------


def text_of(path):
    """A file of /proc; empty where it or its process is gone."""
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""


class Process:
    """A process of this host; a number that is used again does not pass for it."""

    def __init__(self, pid):
        self.pid = pid
        self.began = self._fields()[19:20]

    def _fields(self):
        return text_of(f"/proc/{self.pid}/stat").rpartition(")")[2].split()

    def is_alive(self):
        fields = self._fields()
        return fields[19:20] == self.began and bool(fields) and fields[0] not in "ZX"

    def parent(self):
        fields = self._fields()
        return int(fields[1]) if fields else 0

    def words(self):
        return text_of(f"/proc/{self.pid}/cmdline").split("\0")[:-1]

    def variables(self):
        entries = (entry.partition("=") for entry in text_of(f"/proc/{self.pid}/environ").split("\0"))
        return {name: value for name, _, value in entries}

    def kill(self, number=signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


def processes():
    return [Process(int(name)) for name in os.listdir("/proc") if name.isdigit()]


def marked(mark):
    """Living processes whose environment has the mark."""
    found = (p for p in processes() if p.pid != os.getpid() and mark in text_of(f"/proc/{p.pid}/environ").split("\0"))
    return [process for process in found if process.is_alive()]


class Job:
    count = 0

    def __init__(self, words, environment, folder):
        Job.count += 1
        self.words = words
        self.paths = [folder / f"job-{Job.count}.{name}" for name in ("out", "err")]
        with open(self.paths[0], "wb") as out, open(self.paths[1], "wb") as err:
            self.began = time.monotonic()
            self.popen = subprocess.Popen(
                words, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
        self.pid = self.popen.pid

    def output(self):
        return self.paths[0].read_text(errors="replace")

    def error(self):
        return self.paths[1].read_text(errors="replace")

    def lines(self):
        """The program's own lines of standard error."""
        return [line for line in self.error().splitlines() if line.startswith("moe-dist: ")]

    def is_over(self):
        return self.popen.poll() is not None

    def wait(self, limit):
        """The exit code, 128 + n for signal n. What hangs is ended."""
        try:
            code = self.popen.wait(limit)
        except subprocess.TimeoutExpired:
            self.end()
            raise Fault(f"not over within {limit} s: {' '.join(self.words)}\n{self.error()}") from None
        return code if code >= 0 else 128 - code

    def end(self):
        for process in [*self.descendants(), Process(self.pid)]:
            process.kill()
        self.popen.wait()

    def descendants(self):
        """Living processes below it, those nearest to it first."""
        children = {}
        for process in processes():
            children.setdefault(process.parent(), []).append(process)
        found, next_ones = [], [self.pid]
        while next_ones:
            below = [child for parent in next_ones for child in children.get(parent, [])]
            found += below
            next_ones = [child.pid for child in below]
        return [process for process in found if process.is_alive()]

    def ranks(self):
        """Living ranks of it on this host."""
        return [process for process in self.descendants() if process.words()[1:2] == ["train"]
                and "OMPI_COMM_WORLD_RANK" in process.variables()
                and os.path.basename(process.words()[0]) == "moe-dist"]


# ---- The facts of a run ----------------------------------------------------------------------------------------


class Run:
    pattern = re.compile(r"checkpoint-\d{4}-(\d{8})\.safetensors")

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def checkpoints(self):
        """Step and name of every file with a checkpoint's name, ascending."""
        names = os.listdir(self.path) if self.path.is_dir() else []
        return sorted((int(match[1]), match[0]) for match in map(self.pattern.fullmatch, names) if match)

    def newest(self):
        """Step and name of the newest; of none: step 0 and None."""
        return (self.checkpoints() or [(0, None)])[-1]

    def hash(self, name=None):
        return hashlib.sha256((self.path / (name or self.newest()[1])).read_bytes()).hexdigest()

    def json(self, name):
        return json.loads((self.path / name).read_text())

    def sessions(self):
        return self.json("run.json") if (self.path / "run.json").exists() else []

    def unfinished(self):
        """Files that are not whole yet, which no end may leave for good."""
        return sorted(str(path.relative_to(self.path)) for path in self.path.rglob("*")
                      if path.name.endswith(".tmp") or ".part-" in path.name)

    # What the clock and the ranks determine.
    of_the_moment = {"seconds", "samples_per_second", "bytes_dispatched"}

    def metrics(self):
        """The lines of metrics.jsonl without what differs from start to start."""
        lines = (self.path / "metrics.jsonl").read_text().splitlines()
        return [{key: value for key, value in json.loads(line).items() if key not in self.of_the_moment}
                for line in lines]
