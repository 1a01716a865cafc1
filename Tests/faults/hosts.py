"""Two hosts on one machine: network namespaces with a cable between them, and host names of their own."""

import os
import shutil
import subprocess
import tempfile
import time

from harness import Process, Run, equal, expect, mpirun_settings


# A step takes many messages through two namespaces: the run is short, and long enough to be cut in its midst.
steps = 120
options = ["--max-steps", steps, "--checkpoint-every-steps", 5, "--validation-fraction", 0]


def two_hosts(c):
    """The two hosts of this campaign, made once; else None and why there are none."""
    if not hasattr(c, "hosts"):
        if c.options.local:
            c.hosts = None, "no mpirun with --local"
        elif os.geteuid() != 0:
            c.hosts = None, "network namespaces need root"
        elif not shutil.which("ip"):
            c.hosts = None, "no ip (Debian: iproute2)"
        else:
            try:
                c.hosts = TwoHosts(c.scratch), None
                c.at_end.append(c.hosts[0].close)
            except (OSError, subprocess.CalledProcessError) as error:
                c.hosts = None, f"no network namespaces: {error}"
    return c.hosts


def campaign(c):
    hosts, why = two_hosts(c)
    names = [
        "two hosts make the bytes of one",
        "a cable that is cut: the watchdog ends the ranks, launch goes on on one host",
    ]
    if hosts is None:
        for name in names:
            c.skip(name, why)
        return
    undisturbed = Run(c.scratch / "hosts-undisturbed")
    c.run(c.train(undisturbed.path, *options))
    c.check(names[0], same_bytes, c, hosts, undisturbed)
    c.check(names[1], cut, c, hosts, undisturbed)
    if c.options.long:
        c.check("a cable that is cut under mpirun alone: a resume on one host", cut_under_mpirun, c, hosts, undisturbed)


def same_bytes(c, hosts, undisturbed):
    run = Run(c.scratch / "hosts-two")
    c.run(hosts.mpirun(c.train(run.path, *options)), **mpirun_settings(2))
    equal("hosts", run.sessions()[-1]["hosts"], list(hosts.names.values()))
    equal("sha256", run.hash(), undisturbed.hash())
    equal("metrics", run.metrics(), undisturbed.metrics())


def await_checkpoints(c, job, run, count):
    c.wait_until(lambda: job.is_over() or run.newest()[0] >= 5 * count, 30, f"{count} checkpoints")
    expect(not job.is_over(), f"the run ended before it was disturbed\n{job.error()}")


def cut(c, hosts, undisturbed):
    run = Run(c.scratch / "hosts-cut")
    watchdog = 3
    job = c.start([*hosts.inside("A"), c.program, "launch", "-np", "2", "--hostfile", str(hosts.hostfile),
                   "--max-restarts", "2", "--grace", "2", "--",
                   *c.train(run.path, *options, "--stall-abort", watchdog)[1:]], **hosts.settings)
    try:
        await_checkpoints(c, job, run, 5)
        hosts.cut()
        began = time.monotonic()
        code = job.wait(watchdog + 40)
        took = time.monotonic() - began
        expect(code == 0, f"exit code {code}\n{job.error()}")
        restarts = [line for line in job.lines() if "; restart 1 with 1 rank," in line]
        expect(len(restarts) == 1, f"no restart with one rank:\n{job.error()}")
        expect("stalled" in restarts[0], f"the watchdog is not the cause: {restarts[0]}")
        equal("hosts of the last start", run.sessions()[-1]["hosts"], [hosts.names["A"]])
        executed = run.json("status.json")["steps_executed"]
        expect(0 < executed < steps, f"{executed} steps, so it was no resume")
        equal("sha256", run.hash(), undisturbed.hash())
        # The other side cannot be told; its own watchdog ends it.
        c.wait_until(lambda: not hosts.remote("moe-dist"), watchdog + 20, "the rank behind the cut has ended")
    finally:
        hosts.mend()
        hosts.end_all()
    return f"over {took:.1f} s after the cut, with --stall-abort {watchdog}"


def cut_under_mpirun(c, hosts, undisturbed):
    run = Run(c.scratch / "hosts-cut-mpirun")
    job = c.start(hosts.mpirun(c.train(run.path, *options, "--stall-abort", 5)), **mpirun_settings(2))
    try:
        await_checkpoints(c, job, run, 5)
        hosts.cut()
        # Open MPI 4.1's mpirun may wait for its lost daemon for ever; the ranks do not.
        for host in "AB":
            c.wait_until(lambda: not [p for p in hosts.processes(host) if p.words()[1:2] == ["train"]], 30,
                         f"the rank on host {host} has ended")
    finally:
        hosts.mend()
        hosts.end_all()
    newest = run.newest()
    c.run(c.train(run.path, *options, "--resume", "auto"))
    equal("steps executed", run.json("status.json")["steps_executed"], steps - newest[0])
    equal("sha256", run.hash(), undisturbed.hash())


class TwoHosts:
    """Namespaces A and B. mpirun runs in A and starts B's daemon by an agent in place of ssh."""

    addresses = {"A": "10.77.0.1", "B": "10.77.0.2"}

    def __init__(self, folder):
        # Names of namespaces, and of the hosts in them.
        self.names = {host: f"moeft{os.getpid()}{host.lower()}" for host in "AB"}
        self.folder = folder
        try:
            for host in "AB":
                self.ip("netns", "add", self.names[host])
            # The cable: its ends stand nowhere but in the two namespaces.
            self.ip("-n", self.names["A"], "link", "add", "cable", "type", "veth", "peer", "name", "cable",
                    "netns", self.names["B"])
            for host in "AB":
                self.ip("-n", self.names[host], "addr", "add", self.addresses[host] + "/24", "dev", "cable")
                self.ip("-n", self.names[host], "link", "set", "cable", "up")
                self.ip("-n", self.names[host], "link", "set", "lo", "up")
            # Another host name is what tells Open MPI and launch that it is another host.
            subprocess.run([*self.inside("A"), "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            self.close()
            raise
        # Called as: agent HOST COMMAND...
        agent = folder / "agent"
        cases = ""
        for host in "AB":
            words = " ".join(self.inside(host, quoted=True))
            cases += f"  {self.addresses[host]}) set -- {words} /bin/sh -c \"$*\" ;;\n"
        agent.write_text(f"#!/bin/sh\nhost=$1\nshift\ncase $host in\n{cases}  *) exit 255 ;;\nesac\nexec \"$@\"\n")
        agent.chmod(0o755)
        self.hostfile = folder / "hostfile"
        self.hostfile.write_text("".join(f"{self.addresses[host]} slots=1\n" for host in "AB"))
        self.settings = {
            "OMPI_MCA_plm": "rsh", "OMPI_MCA_plm_rsh_agent": str(agent), "OMPI_MCA_btl": "tcp,self,vader",
            "OMPI_MCA_btl_tcp_if_include": "10.77.0.0/24", "OMPI_MCA_oob_tcp_if_include": "10.77.0.0/24",
        }

    @staticmethod
    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def inside(self, host, quoted=False):
        """The words before a command that runs on a host."""
        naming = f'hostname {self.names[host]}; exec "$@"'
        return ["ip", "netns", "exec", self.names[host], "unshare", "--uts", "/bin/sh", "-c",
                f"'{naming}'" if quoted else naming, "_"]

    def mpirun(self, words):
        """The words of two ranks, one on each host."""
        settings = [word for name, value in self.settings.items() for word in ("--mca", name[9:], value)]
        return [*self.inside("A"), "mpirun", "-q", *settings, "--hostfile", str(self.hostfile), "-np", "2", *words]

    def processes(self, host):
        found = subprocess.run(["ip", "netns", "pids", self.names[host]], capture_output=True, text=True, check=False)
        return [Process(int(pid)) for pid in found.stdout.split()]

    def remote(self, name):
        """Processes of a program on host B."""
        return [process for process in self.processes("B") if os.path.basename((process.words() or [""])[0]) == name]

    def cut(self):
        self.ip("-n", self.names["A"], "link", "set", "cable", "down")

    def mend(self):
        self.ip("-n", self.names["A"], "link", "set", "cable", "up")

    def end_all(self):
        for host in "AB":
            for process in self.processes(host):
                process.kill()

    def close(self):
        self.end_all()
        for host in "AB":
            subprocess.run(["ip", "netns", "del", self.names[host]], capture_output=True, check=False)
            # What Open MPI keeps of these hosts is nobody else's.
            shutil.rmtree(f"{tempfile.gettempdir()}/ompi.{self.names[host]}.{os.geteuid()}", ignore_errors=True)
