"""A run that goes on: memory, open files and the run's own files stay what they were after the beginning."""

import os
import signal
import statistics
import time

from harness import Process, Run, equal, expect, text_of

# Saves, validations and step lines as often as no user has them.
options = ["--checkpoint-every-steps", 20, "--keep", 3, "--validation-fraction", 0.2, "--log-every", 5]
# Of resident memory, from the first half to the second, in KiB: its allocator's pages come and go.
share, floor = 0.01, 512


def campaign(c):
    name = f"{c.options.soak} minutes on {1 if c.options.local else 2} ranks: memory, descriptors and files"
    c.check(name, soak, c, 60 * c.options.soak)


class Samples:
    """What is seen of one rank over time."""

    def __init__(self, process):
        self.process = process
        self.memory, self.descriptors = [], []

    def take(self):
        lines = text_of(f"/proc/{self.process.pid}/status").splitlines()
        resident = [int(line.split()[1]) for line in lines if line.startswith("VmRSS:")]
        try:
            descriptors = len(os.listdir(f"/proc/{self.process.pid}/fd"))
        except OSError:
            return
        self.memory += resident
        self.descriptors.append(descriptors)


def halves(values):
    """The two halves of what was seen after the warm-up, its first fifth."""
    after = values[len(values) // 5:]
    return after[:len(after) // 2], after[len(after) // 2:]


def soak(c, seconds):
    run = Run(c.scratch / "soak")
    words, settings = c.train(run.path, *options), {}
    if not c.options.local:
        words, settings = c.on(2, words)
    job = c.start(words, **settings)
    c.wait_until(lambda: job.is_over() or run.newest()[0] > 0, 60, "the first checkpoint")
    expect(not job.is_over(), job.error())
    ranks = [Samples(process) for process in ([Process(job.pid)] if c.options.local else job.ranks())]
    most = 0
    end = time.monotonic() + seconds
    pause = max(min(seconds / 200, 10), 0.2)
    while time.monotonic() < end and not job.is_over():
        for rank in ranks:
            rank.take()
        most = max(most, len(run.checkpoints()))
        time.sleep(pause)
    expect(not job.is_over(), f"the run ended early\n{job.error()}")
    for process in [rank.process for rank in ranks] if c.options.local else [Process(job.pid)]:
        process.kill(signal.SIGUSR1)
    equal("exit code", job.wait(60), 75)
    told = []
    for number, rank in enumerate(ranks):
        first, second = (statistics.median(half) for half in halves(rank.memory))
        told.append(f"rank {number} {first / 1024:.1f} then {second / 1024:.1f} MiB")
        expect(second - first <= max(share * first, floor), f"memory of rank {number}: {first} KiB, later {second} KiB")
        first, second = halves(rank.descriptors)
        # A save in the very moment of a sample has one or two more.
        equal(f"usual descriptors of rank {number}", statistics.mode(second), statistics.mode(first))
        expect(max(second) <= max(first) + 2, f"descriptors of rank {number}: {max(first)} at most, then {max(second)}")
        told[-1] += f", {statistics.mode(second)} descriptors (at most {max(first + second)})"
    # The three newest, the best of the validations, and one that is being written or removed.
    expect(most <= 5, f"{most} checkpoints with --keep 3")
    equal("unfinished files", run.unfinished(), [])
    verified = c.run([c.program, "checkpoint", "verify", str(run.path)], code=None)
    equal(f"checkpoint verify\n{verified.output()}", verified.popen.returncode, 0)
    step = run.json("status.json")["step"]
    return (f"{step} steps, {step // 20} saves, {len(ranks[0].memory)} samples; {'; '.join(told)}; "
            f"at most {most} checkpoints")

