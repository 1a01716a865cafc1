"""Kills at random moments, each followed by a resume: nothing is lost, nothing hangs, the bytes stay."""

import collections
import os
import pathlib
import random
import time

import hosts
from harness import Fault, Process, Run, equal, expect, mpirun_settings

# A save every third step. Where a rank is killed while Open MPI connects it, mpirun 4.1 may not notice, and the others
# wait for it until their limit is over.
options = [
    *("--checkpoint-every-steps", 3, "--keep", 3, "--validation-fraction", 0.1, "--log-every", 10),
    *("--start-limit", 20, "--stall-abort", 20),
]


def campaign(c):
    count = c.options.kills
    if c.options.local:
        return c.skip("kills", "no mpirun with --local")
    c.check(f"{count} kills, seed {c.options.seed}: no checkpoint lost, the same bytes", Kills(c).run, count)


def saved_now(run):
    """The names of checkpoints that are being written."""
    try:
        return {entry.name for entry in os.scandir(run.path) if entry.name.endswith(".tmp")}
    except FileNotFoundError:
        return set()


class Kills:
    def __init__(self, c):
        self.c = c
        # None where this machine has no namespaces, and in a short campaign: starts over two hosts take longest.
        self.hosts = hosts.two_hosts(c)[0] if c.options.kills >= 20 else None
        # About a second on two ranks.
        self.steps = 200 if c.options.kills >= 20 else 80
        self.random = random.Random(c.options.seed)
        self.victims = collections.Counter()
        self.facts = collections.Counter()
        self.left = set()

    def train(self, path, *more):
        return self.c.train(path, *options, "--max-steps", self.steps, *more)

    def run(self, count):
        self.c.run(self.train(self.c.scratch / "kills-undisturbed"))
        self.undisturbed = Run(self.c.scratch / "kills-undisturbed")
        began = time.monotonic()
        number = 0
        while sum(self.victims.values()) < count:
            number += 1
            expect(number <= 3 * count + 10, "most runs end before they are struck; take more steps")
            self.chain(number, min(self.random.randint(1, 5), count - sum(self.victims.values())))
        self.leftovers()
        victims = ", ".join(f"{name} {times}" for name, times in sorted(self.victims.items()))
        facts = ", ".join(f"{times} {name}" for name, times in sorted(self.facts.items()))
        return f"{number} runs in {time.monotonic() - began:.0f} s; struck: {victims}; {facts}"

    def chain(self, number, kills):
        """One run: starts that are killed, and one that is not. Its end is compared with the undisturbed run's."""
        run = Run(self.c.scratch / f"kills-{number}")
        history = []
        try:
            while True:
                history.append("")
                kills -= self.start_once(run, kills > 0, history)
                if history[-1].endswith("finished"):
                    break
                expect(len(history) < 40, "a run does not come to its end")
            equal("final checkpoint", run.newest()[1], self.undisturbed.newest()[1])
            equal("sha256 of the final checkpoint", run.hash(), self.undisturbed.hash())
            equal("metrics", run.metrics(), self.undisturbed.metrics())
            equal("unfinished files", run.unfinished(), [])
        except Fault as fault:
            raise Fault(f"run {number} ({'; '.join(history)}): {fault}") from None
        self.facts["checkpoints verified"] += self.verify(run)
        for path in run.path.iterdir():
            if path.is_file():
                path.unlink()

    def start_once(self, run, is_struck, history):
        """One start, struck or not. Returns the number of kills that it got."""
        draw = self.random
        way = draw.choice(["mpirun", "mpirun", "launch", "launch"] + (["hosts"] if self.hosts else []))
        ranks = 2 if way == "hosts" else draw.choice([1, 2, 2, 3])
        placement = ",".join(str(draw.randrange(ranks)) for _ in range(8))
        victim = draw.choice({
            "mpirun": ["rank", "rank", "mpirun"], "launch": ["rank", "mpirun", "launch", "launch and mpirun"],
            "hosts": ["remote daemon", "remote rank"],
        }[way])
        moment = self.moment()
        history[-1] = f"{way} on {ranks}" + (f", {victim} at {moment}" if is_struck else "")
        newest = run.newest()
        sessions = len(run.sessions())
        train = self.train(run.path, "--placement", placement, "--resume", "auto")
        if way == "launch":
            job = self.c.start([self.c.program, "launch", "-np", str(ranks), "--max-restarts", "2", "--", *train[1:]])
        elif way == "hosts":
            job = self.c.start(self.hosts.mpirun(train), **mpirun_settings(ranks))
        else:
            words, settings = self.c.on(ranks, train)
            job = self.c.start(words, **settings)

        seen, kept, hit = newest, set(), 0
        aim = self.await_moment(job, run, moment, victim) if is_struck else None
        if aim:
            targets, kept, now = aim
            seen = max(seen, now, key=lambda one: one[0])
            for target in targets:
                target.kill()
            hit = bool(targets)
        code = job.wait(90)
        self.c.all_gone(60 if victim.startswith("launch") else 20)
        is_torn = hit and run.unfinished()
        after = run.newest()
        expect(after[0] >= seen[0], f"checkpoint {seen[1]} was there, the newest is {after[1]}\n{job.error()}")
        expect(len(run.checkpoints()) <= 5, f"{len(run.checkpoints())} checkpoints with --keep 3")
        if after[1]:
            self.facts["checkpoints verified"] += self.verify(run)
        self.begins_at(run, newest, sessions)
        is_finished = (run.path / "status.json").exists() and run.json("status.json")["state"] == "finished"
        if is_finished:
            history[-1] += ", finished"
        survived = way == "launch" and hit and not victim.startswith("launch")
        if survived:
            # As if nothing were: the restart is launch's.
            restarts = job.error().count("; restart ")
            expect(code == 0 and is_finished, f"launch ended with {code}\n{job.error()}")
            self.facts["restarts by launch"] += restarts
        elif not hit:
            equal("exit code", code, 0)
        still = {path for path in kept if os.path.exists(path)}
        if way == "launch" and not victim.startswith("launch"):
            equal("left by a launch that ended", still, set())
        self.left |= still
        if hit:
            self.victims[victim] += 1
            self.facts["kills that left a file unfinished"] += bool(is_torn)
        return int(hit)

    def moment(self):
        """Seconds after the start, or the number of a save, in whose midst it strikes."""
        if self.random.random() < 0.5:
            return ("save", self.random.randint(2, self.steps // 5))
        return ("second", round(self.random.uniform(0, 3), 2))

    def await_moment(self, job, run, moment, victim):
        """What is to be killed now, see `aim`; nothing where the job has ended before."""
        kind, number = moment
        saves, was_saving, aim = 0, False, None
        # What a start before was killed in, until this one removes it.
        old = saved_now(run)
        end = time.monotonic() + 60
        while not job.is_over() and time.monotonic() < end:
            if kind == "second":
                if time.monotonic() - job.began >= number:
                    return self.aim(job, run, victim)
                time.sleep(0.005)
                continue
            names = saved_now(run)
            old &= names
            is_saving = names > old
            saves += is_saving and not was_saving
            was_saving = is_saving
            # A save takes less time than finding processes.
            if aim is None and saves:
                aim = self.aim(job, run, victim)
            elif aim and is_saving and saves >= number:
                return aim
            time.sleep(0.0003)
        return None

    def aim(self, job, run, victim):
        """The processes that are to be killed, if they are there yet; what Open MPI keeps; the newest checkpoint."""
        below = job.descendants()
        mpirun = [process for process in below if process.words()[:1] == ["mpirun"]]
        if victim == "rank":
            targets = job.ranks()
            targets = [self.random.choice(targets)] if targets else mpirun[:1]
        elif victim == "mpirun":
            targets = [Process(job.pid)] if job.words[0] == "mpirun" else mpirun[:1]
        elif victim == "launch":
            targets = [Process(job.pid)]
        elif victim == "launch and mpirun":
            targets = [Process(job.pid), *mpirun[:1]]
        else:
            targets = self.hosts.remote("orted" if victim == "remote daemon" else "moe-dist")[:1]
        return [target for target in targets if target.is_alive()], self.open_mpi_files(job), run.newest()

    def verify(self, run):
        """All checkpoints are whole; their number."""
        job = self.c.run([self.c.program, "checkpoint", "verify", str(run.path)], code=None)
        expect(job.popen.returncode == 0, f"checkpoint verify: {job.output()}{job.error()}")
        return len(run.checkpoints())

    def begins_at(self, run, newest, sessions):
        """The start's first session went on from the checkpoint that was the newest; its steps say so, too."""
        new = run.sessions()[sessions:]
        if not new:
            return
        equal("resumed_from", os.path.basename(new[0]["resumed_from"] or "") or None, newest[1])
        self.facts["resumes"] += new[0]["resumed_from"] is not None
        self.facts["resumes"] += len(new) - 1
        status = run.json("status.json")
        origin = os.path.basename(status["resumed_from"] or "")
        # A start that was killed early has written none of its own.
        if status["step"] is not None and origin and origin == os.path.basename(new[-1]["resumed_from"] or ""):
            at = int(Run.pattern.fullmatch(origin)[1])
            equal("steps executed since the resume", status["steps_executed"], status["step"] - at)

    def open_mpi_files(self, job):
        """The shared memory and the session directory of the job's ranks on this host."""
        found = set()
        for rank in job.ranks():
            directory = rank.variables().get("OMPI_MCA_orte_jobfam_session_dir")
            if directory:
                found.add(directory)
            try:
                maps = pathlib.Path(f"/proc/{rank.pid}/maps").read_text()
            except OSError:
                continue
            found |= {line.split()[5] for line in maps.splitlines() if "/vader_segment." in line}
        return found

    def leftovers(self):
        """What killed mpiruns left is named by doctor, and removed here."""
        told = self.c.run([self.c.program, "doctor"], code=None).output()
        self.c.remove(self.left)
        unnamed = sorted(path for path in self.left if path not in told)
        equal("left and not named by doctor", unnamed, [])
        self.facts["leftovers named by doctor"] = len(self.left)
