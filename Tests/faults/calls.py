"""Every system call of a save as the place of a crash, and of an error of the file system."""

import collections
import re
import shutil
import subprocess

from harness import Fault, Run, equal, expect

# Saves after 2, 4 and 6 steps. One checkpoint is kept, so that a save has to remove one as well.
options = ["--max-steps", 6, "--checkpoint-every-steps", 2, "--keep", 1, "--validation-fraction", 0, "--experts", 2]
last = 6

# What opens, changes, forces to the disk and names files. Before a read a crash finds what the call before it left.
traced = ("openat,open,close,pwrite64,write,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,link,linkat,"
          "ftruncate,fallocate,flock,mkdir,mkdirat")
line = re.compile(r"^(\d+) +(\w+)\((.*?)\) += (-?\d+|\?)")


def campaign(c):
    why = None
    if not shutil.which("strace"):
        why = "no strace"
    elif subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode:
        why = "strace is not allowed here"
    for ranks, rank in [(1, 0)] if c.options.local else [(1, 0), (2, 0), (2, 1)]:
        # With one rank for the short form: mpirun's start takes most of the time.
        where = f"rank {rank} of {ranks}"
        if why:
            c.skip(f"calls of a save, {where}", why)
            continue
        if not c.options.long and (ranks, rank) == (2, 0):
            continue
        # What rank 0 does at the end it does alone, with one rank as with two.
        for step in [4, last] if ranks == 1 or (c.options.long and rank != 0) else [4]:
            calls = Calls(c, ranks, rank, step)
            what = f"a save {'at the end' if step == last else 'in the midst'}, {where}"
            c.check(f"the calls of {what}", calls.survey)
            if calls.plan:
                c.check(f"a crash at every call of {what}", calls.each, "signal=SIGKILL", calls.crashed)
                for error in ["ENOSPC", "EIO", "EDQUOT"] if c.options.long else ["ENOSPC"]:
                    c.check(f"{error} at every call of {what}", calls.each, f"error={error}", calls.failed)


class Call:
    """A system call in a trace: its name, what it was about, its number among those of that name by its thread."""

    def __init__(self, thread, name, about, number):
        self.thread, self.name, self.about, self.number = thread, name, about, number

    def key(self):
        return self.name, self.about


class Calls:
    def __init__(self, c, ranks, rank, step):
        self.c, self.ranks, self.rank = c, ranks, rank
        # After which the disturbed save is made.
        self.step = step
        self.plan = []
        self.name = f"calls-{ranks}-{rank}-{step}"
        self.count = 0

    # ---- Traces ----

    def traced_run(self, run, injection=None):
        """Runs the small model, the chosen rank under strace. Returns the job and the trace."""
        trace = self.c.scratch / f"{run.path.name}.trace"
        trace.unlink(missing_ok=True)
        words = self.c.train(run.path, *options)
        strace = ["strace", "-f", "-y", "-s", "0", "-o", str(trace), "-e", f"trace={traced}"]
        if injection:
            strace += ["-e", f"inject={injection}"]
        if self.ranks == 1:
            words, settings = [*strace, *words], {}
        else:
            script = f'[ "$OMPI_COMM_WORLD_RANK" = {self.rank} ] || shift {len(strace)}; exec "$@"'
            words, settings = self.c.on(self.ranks, ["/bin/sh", "-c", script, "_", *strace, *words])
        job = self.c.start(words, SWIFT_BACKTRACE="enable=no", **settings)
        job.wait(60)
        self.c.all_gone(20)
        return job, trace.read_text(errors="replace").splitlines()

    def calls(self, run, trace):
        """The calls of a trace; what they are about is without the run's path and what is drawn at random."""
        counts = collections.Counter()
        path = str(run.path)
        found = []
        for text in trace:
            match = line.match(text.replace("<unfinished ...>", ") = ?"))
            if not match:
                continue
            thread, name, words = match[1], match[2], match[3].rstrip()
            counts[thread, name] += 1
            about = ""
            if path in words:
                about = re.sub(r"0x[0-9a-f]+|\.part-\w+|\d+<|st_size=\d+|\d+ entries", "", words.replace(path, "RUN"))
                # What tells of times differs in length; a checkpoint's place tells one write from another.
                about = re.sub(r", \d+$", "", about) if name == "write" else about
            found.append(Call(thread, name, about, counts[thread, name]))
        return found

    def save(self, calls):
        """The calls on the run's files from the save to the next one, or to the run's end."""
        mark = f"checkpoint-0000-{self.step:08}.safetensors"
        own = [call for call in calls if call.about]
        first = next(i for i, call in enumerate(own) if mark in call.about)
        after = f"checkpoint-0000-{self.step + 2:08}.safetensors"
        end = next((i for i, call in enumerate(own) if after in call.about), len(own))
        return own[first:end]

    def survey(self):
        run = Run(self.c.scratch / f"{self.name}-undisturbed")
        job, trace = self.traced_run(run)
        equal("exit code", job.popen.returncode, 0)
        self.hash = run.hash()
        self.plan = self.save(self.calls(run, trace))
        counts = collections.Counter(call.name for call in self.plan)
        expect(counts["pwrite64"] and counts["fsync"], f"no save found: {counts}")
        expect(len({call.thread for call in self.plan}) == 1, "a save is made by one thread")
        return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))

    def points(self, kind):
        """The calls to disturb. Writes are many and alike: all of one save are tried, of others the first, one in the
        middle and the last."""
        if not self.c.options.long:
            kinds = {"pwrite64", "fsync"} | ({"rename"} if self.rank == 0 else {"openat"})
            chosen = {}
            for call in self.plan:
                if call.name in kinds:
                    chosen.setdefault((call.name, "latest" in call.about), call)
            return list(chosen.values())
        if self.step != last and kind in ("signal=SIGKILL", "error=ENOSPC"):
            return self.plan
        writes = [call for call in self.plan if call.name == "pwrite64"]
        chosen = [writes[0], writes[len(writes) // 2], writes[-1]]
        return [call for call in self.plan if call.name != "pwrite64" or call in chosen]

    # ---- Disturbances ----

    def each(self, kind, judge):
        """Disturbs one call after the other. The trace must show that it was the one that was meant."""
        outcomes = collections.Counter()
        faults = []
        points = self.points(kind)
        for call in points:
            try:
                outcomes[self.disturb(call, kind, judge)] += 1
            except Fault as fault:
                faults.append(f"{kind} at {call.name}({call.about}): {fault}")
        expect(not faults, f"{len(faults)} of {len(points)}:\n" + "\n".join(faults))
        return f"{len(points)} points: " + ", ".join(f"{text} {count}" for text, count in sorted(outcomes.items()))

    def disturb(self, call, kind, judge):
        # Which of the save's calls of this name and content it is.
        nth = [other for other in self.plan if other.key() == call.key()].index(call)
        # Numbers of calls differ a little from start to start; those of a miss say by how much.
        number = call.number
        for _ in range(6):
            self.count += 1
            run = Run(self.c.scratch / f"{self.name}-{self.count}")
            job, trace = self.traced_run(run, f"{call.name}:{kind}:when={number}")
            calls = self.calls(run, trace)
            hit = self.hit(calls, trace, call, kind, number)
            if hit:
                outcome = judge(run, job, call)
                shutil.rmtree(run.path)
                return outcome
            own = [found for found in calls if found.key() == call.key()]
            # It was never reached: what was hit instead came before it.
            number = own[nth].number if len(own) > nth else number + 1
            shutil.rmtree(run.path, ignore_errors=True)
        raise Fault("the call was not met")

    def hit(self, calls, trace, call, kind, number):
        if kind.startswith("signal"):
            # The call is made, and its thread never returns from it, or it is the last one that the thread made.
            thread = next((found.thread for found in calls if found.key() == call.key()), None)
            own = [found for found in calls if found.thread == thread and found.name == call.name]
            return bool(own) and own[-1].key() == call.key() and own[-1].number == number
        injected = [text for text in trace if "(INJECTED)" in text]
        return any(found.key() == call.key() and found.number == number for found in calls) and bool(injected)

    def resumes(self, run):
        """What is there is whole, and a resume makes the undisturbed bytes from the newest."""
        steps = [step for step, _ in run.checkpoints()]
        expect(steps and steps[-1] in (self.step - 2, self.step), f"checkpoints after steps {steps}")
        verified = self.c.run([self.c.program, "checkpoint", "verify", str(run.path)], code=None)
        expect(verified.popen.returncode == 0, f"checkpoint verify: {verified.output()}{verified.error()}")
        # On one rank: the number of ranks changes nothing, and it starts fastest.
        self.c.run(self.c.train(run.path, *options, "--resume", "auto"))
        equal("sha256 after the resume", run.hash(), self.hash)
        if steps[-1] != last:
            equal("steps executed", run.json("status.json")["steps_executed"], last - steps[-1])
        equal("unfinished files after the resume", run.unfinished(), [])
        return steps[-1]

    def crashed(self, run, job, _):
        expect(job.popen.returncode not in (0, 64, 65, 70, 73, 74), f"exit code {job.popen.returncode} after SIGKILL")
        return "the new one stayed" if self.resumes(run) == self.step else "the old one stayed"

    def failed(self, run, job, call):
        """Training goes on without a save; without the last one it ends with 74. Either is said in one line."""
        code = job.popen.returncode
        told = [text for text in job.error().splitlines() if text.startswith(("moe-dist: ", "NOTE: "))]
        equal("unfinished files", run.unfinished(), [])
        makes = "O_CREAT" in call.about or "O_WRONLY" in call.about
        is_vital = call.name in ("pwrite64", "write", "fsync", "rename") or makes
        if is_vital:
            equal("lines\n" + job.error(), len(told), 1)
        if code == 0:
            if self.step == last:
                # The checkpoint is whole by then.
                expect(not is_vital or ".safetensors" not in call.about and "latest" not in call.about, "exit code 0")
            equal("sha256", run.hash(), self.hash)
            return "told, and went on" if told else "done without"
        equal(f"exit code\n{job.error()}", code, 74)
        return f"74, the {'new' if self.resumes(run) == self.step else 'old'} one stayed"
