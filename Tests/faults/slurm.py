"""A Slurm of one node with scripts/slurm/train.sbatch: the job is queued again before its time is over, and goes on."""

import getpass
import json
import os
import re
import shutil
import socket
import time

from harness import Run, expect, equal, root

# Slurm counts minutes; the signal to stop comes this many seconds before a minute is over.
minutes, notice = 1, 25
allocations = 3
options = ["--checkpoint-every-steps", 500, "--validation-fraction", 0]
programs = ["slurmctld", "slurmd", "munged", "sbatch", "squeue", "scontrol"]


def campaign(c):
    name = f"a Slurm job over {allocations} allocations makes the bytes of one undisturbed run"
    missing = [program for program in programs if not find(program)]
    if not c.options.long:
        return c.skip(name, "ten minutes; with --long")
    if missing:
        return c.skip(name, f"no {', '.join(missing)} (Debian: slurm-wlm, munge)")
    if c.options.local:
        return c.skip(name, "no mpirun with --local")
    if os.geteuid() != 0:
        return c.skip(name, "a Slurm of one's own needs root here")
    c.check(name, job_over_allocations, c)


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Slurm:
    """Daemons with keys, ports and folders of their own, so that an installed Slurm is not touched."""

    def __init__(self, c):
        self.c = c
        self.folder = c.scratch / "slurm"
        for name in ("", "state", "spool", "munge"):
            (self.folder / name).mkdir(mode=0o755, exist_ok=True)
        self.key = self.folder / "munge" / "key"
        self.key.write_bytes(os.urandom(128))
        self.key.chmod(0o400)
        self.socket = self.folder / "munge" / "socket"
        self.daemons = []
        self.conf = self.folder / "slurm.conf"
        self.conf.write_text(self.configuration())
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        self.settings = {"SLURM_CONF": str(self.conf)}

    def configuration(self):
        host = socket.gethostname().partition(".")[0]
        cores = len(os.sched_getaffinity(0))
        return f"""\
ClusterName=faulttest
SlurmctldHost={host}(127.0.0.1)
SlurmUser={getpass.getuser()}
SlurmdUser={getpass.getuser()}
AuthType=auth/munge
CryptoType=crypto/munge
# How long a job that is queued again waits.
AuthInfo=socket={self.socket},cred_expire=5
SlurmctldPort={free_port()}
SlurmdPort={free_port()}
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd.pid
SlurmctldLogFile={self.folder}/slurmctld.log
SlurmdLogFile={self.folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/linear
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=60
InactiveLimit=0
KillWait=10
MinJobAge=300
SchedulerType=sched/builtin
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE OverSubscribe=NO State=UP
"""

    def begin(self):
        self.daemon("munged", "--foreground", "--force", f"--key-file={self.key}", f"--socket={self.socket}",
                    f"--pid-file={self.folder}/munge/pid", f"--seed-file={self.folder}/munge/seed",
                    f"--log-file={self.folder}/munge/log")
        self.c.wait_until(self.socket.exists, 10, "munged listens")
        self.daemon("slurmctld", "-D", "-c", "-f", str(self.conf))
        self.daemon("slurmd", "-D", "-f", str(self.conf))
        self.c.wait_until(lambda: "idle" in self.ask("sinfo", "-h", "-o", "%T"), 60, "the node is idle")

    def daemon(self, program, *words):
        self.daemons.append(self.c.start([find(program), *words], **self.settings))

    def ask(self, program, *words):
        return self.c.run([find(program), *words], limit=30, code=None, **self.settings).output()

    def log(self):
        logs = [path.read_text(errors="replace").splitlines()[-12:] for path in self.folder.glob("*.log")]
        logs += [job.error().splitlines()[-5:] for job in self.daemons]
        return "\n".join(line for lines in logs for line in lines)

    def end(self):
        for daemon in reversed(self.daemons):
            daemon.popen.terminate()
        for daemon in self.daemons:
            try:
                daemon.popen.wait(10)
            except Exception:  # It is ended, whatever keeps it.
                daemon.end()


def steps_per_second(c):
    """Of two ranks, by the run that is to be launched."""
    run = Run(c.scratch / "slurm-speed")
    words, settings = c.on(2, c.train(run.path, *options, "--max-steps", 4000))
    c.run(words, limit=120, **settings)
    lines = map(json.loads, (run.path / "metrics.jsonl").read_text().splitlines())
    seconds = sum(line["seconds"] or 0 for line in lines if line["split"] == "train")
    return 4000 / max(seconds, 0.1)


def job_over_allocations(c):
    speed = steps_per_second(c)
    # Two whole allocations and half of a third, by the seconds that training gets in each.
    steps = int(speed * (60 * minutes - notice) * (allocations - 0.5))
    train = [str(word) for word in c.train(c.scratch / "slurm-run", *options, "--max-steps", steps)[2:]]
    slurm = Slurm(c)
    try:
        slurm.begin()
        told = slurm.c.run(
            [find("sbatch"), f"--time={minutes}", f"--signal=B:USR1@{notice}", "--ntasks=2", f"--chdir={c.scratch}",
             f"--output={c.scratch}/slurm-job.txt", str(root / "scripts/slurm/train.sbatch"), *train],
            code=None, MOE_DIST=c.program, **slurm.settings)
        match = re.search(r"Submitted batch job (\d+)", told.output())
        expect(match, f"sbatch: {told.error()}{slurm.log()}")
        number = match[1]
        states = []

        def is_over():
            shown = slurm.ask("scontrol", "show", "job", number)
            state = (re.search(r"JobState=(\w+)", shown) or [None, "?"])[1]
            restarts = (re.search(r"Restarts=(\d+)", shown) or [None, "?"])[1]
            if not states or states[-1] != (state, restarts):
                states.append((state, restarts))
            time.sleep(1)
            return state in ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "OUT_OF_MEMORY")

        try:
            c.wait_until(is_over, 900, "the job is over")
        finally:
            text = (c.scratch / "slurm-job.txt").read_text(errors="replace")
        equal(f"state\n{states}\n{text}\n{slurm.log()}", states[-1][0], "COMPLETED")
    finally:
        slurm.end()
    run = Run(c.scratch / "slurm-run")
    sessions = run.sessions()
    expect(len(sessions) >= allocations, f"{len(sessions)} allocations; {states}\n{text}")
    equal("allocations that were queued again", int(states[-1][1]), len(sessions) - 1)
    for session in sessions:
        equal("job", session["environment"]["SLURM_JOB_ID"], number)
    expect(all(session["resumed_from"] for session in sessions[1:]), "an allocation began again at step 0")
    undisturbed = Run(c.scratch / "slurm-undisturbed")
    c.run(c.train(undisturbed.path, *options, "--max-steps", steps), limit=600)
    equal("sha256", run.hash(), undisturbed.hash())
    equal("metrics", run.metrics(), undisturbed.metrics())
    at = [int(Run.pattern.fullmatch(os.path.basename(session["resumed_from"]))[1]) for session in sessions[1:]]
    return f"{steps} steps over {len(sessions)} allocations, resumed at steps {', '.join(map(str, at))}"
