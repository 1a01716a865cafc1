"""Saved on N ranks, continued on M, with other places of the experts: tensors and later steps are the same."""

import random
import shutil

from harness import Fault, Run, equal

counts = [1, 2, 3, 4, 7, 8]
saved, end = 6, 9
options = ["--checkpoint-every-steps", 1, "--keep", 10, "--validation-fraction", 0, "--log-every", 1]


def campaign(c):
    if c.options.local:
        return c.skip("saved on N ranks, continued on M", "no mpirun with --local")
    # The short form has every count once on either side.
    pairs = [(n, m) for n in counts for m in counts] if c.options.long else [(1, 8), (3, 2), (8, 1)]
    c.check(f"saved on N ranks, continued on M, with other places: {len(pairs)} pairs", Matrix(c).run, pairs)


class Matrix:
    def __init__(self, c):
        self.c = c
        self.random = random.Random(c.options.seed)

    def places(self, ranks, other_than=None):
        """A random rank for every expert; some ranks may have none."""
        while True:
            places = [self.random.randrange(ranks) for _ in range(8)]
            if ranks == 1 or places != other_than:
                return places

    def train(self, run, ranks, places, *more):
        words, settings = self.c.train(run.path, *options, "--placement", ",".join(map(str, places)), *more), {}
        if ranks > 1:
            words, settings = self.c.on(ranks, words)
        self.c.run(words, **settings)
        equal("places", run.sessions()[-1]["placement"], places)

    def run(self, pairs):
        undisturbed = Run(self.c.scratch / "ranks-undisturbed")
        self.train(undisturbed, 1, [0] * 8, "--max-steps", end)
        names = [name for step, name in undisturbed.checkpoints() if step >= saved]
        equal("checkpoints to compare", len(names), end - saved + 1)
        origins = {}
        for n, m in pairs:
            try:
                if n not in origins:
                    origins[n] = Run(self.c.scratch / f"ranks-{n}"), self.places(n)
                    self.train(origins[n][0], n, origins[n][1], "--max-steps", saved)
                    equal(f"sha256 of what {n} ranks saved", origins[n][0].hash(), undisturbed.hash(names[0]))
                origin, places = origins[n]
                run = Run(self.c.scratch / f"ranks-{n}-{m}")
                shutil.copytree(origin.path, run.path)
                self.train(run, m, self.places(m, places), "--max-steps", end, "--resume", "auto")
                equal("steps executed", run.json("status.json")["steps_executed"], end - saved)
                for name in names:
                    equal(f"sha256 of {name}", run.hash(name), undisturbed.hash(name))
                equal("metrics", run.metrics(), undisturbed.metrics())
                shutil.rmtree(run.path)
            except Fault as fault:
                raise Fault(f"saved on {n}, continued on {m}: {fault}") from None
        return f"{len(origins)} saves, {len(pairs)} resumes, {len(pairs) * len(names)} files equal"
