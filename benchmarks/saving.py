"""What a run pays for being safe: sums that are written and checked, and files that appear complete or not at all.

    python benchmarks/saving.py [--repeats 3] [--systems pairs twins]

Two runs of the toy world as they are shipped, pairs and twins (one epoch of the toy base, where the costs of the end weigh most), each repeated; medians. Counted are sums (`write_sums`, `verify_sums`, `seal`, reading them) in seconds of the
processor, and what waits for the disk (`fsync`) in seconds of the clock. The whole is the processor time of the run and that waiting, so that a busy machine changes nothing. Beside it stands
what whole checkpoints take, which a run without any check would also write. Writes benchmarks/results/damage_cost.csv.
"""
import argparse, shutil, sys, time
from contextlib import ExitStack, contextmanager
from unittest import mock

import pandas as pd

from protrek_nb import core, damage
from protrek_nb.core import project_path, write_table
from protrek_nb.pairs import PairRun
from protrek_nb.runs import fit
from protrek_nb.train import TrainRun
from protrek_nb.training.trainer import PlannedTrainer

RESULTS = project_path("benchmarks", "results", "damage_cost.csv")
RUNS = dict(pairs=PairRun(name="saving-pairs"), twins=TrainRun(name="saving-twins", epochs=1))
SUMS = dict.fromkeys(("write_sums", "read_sums", "verify_sums", "verify_listed", "seal"), time.process_time)


class Clock:
    "Adds up the time within functions; one that is called by another counts once."
    def __init__(self): self.spent, self.depth = dict(sums=0.0, disk=0.0, checkpoints=0.0), dict.fromkeys(("sums", "disk", "checkpoints"), 0)

    def __call__(self, kind, function, now):
        "Wrap a function."
        def timed(*args, **kwargs):
            start, self.depth[kind] = now(), self.depth[kind] + 1
            try: return function(*args, **kwargs)
            finally:
                self.depth[kind] -= 1
                if not self.depth[kind]: self.spent[kind] += now() - start
        return timed


@contextmanager
def everywhere(owner, name, new):
    "Replace a function in all modules of the library that use it."
    old = getattr(owner, name)
    using = [m for n, m in sys.modules.items() if n.startswith("protrek_nb") and getattr(m, name, None) is old]
    for module in using: setattr(module, name, new)
    try: yield
    finally:
        for module in using: setattr(module, name, old)


def measure(run):
    "Do a run, and give the seconds of its parts."
    clock, start = Clock(), time.process_time()
    with ExitStack() as stack:
        for name, now in SUMS.items(): stack.enter_context(everywhere(damage, name, clock("sums", getattr(damage, name), now)))
        stack.enter_context(everywhere(core, "_fsync", clock("disk", core._fsync, time.perf_counter)))
        stack.enter_context(mock.patch.object(PlannedTrainer, "_save_checkpoint", clock("checkpoints", PlannedTrainer._save_checkpoint, time.process_time)))
        run_dir = fit(run, lambda line: None)
    total = time.process_time() - start + clock.spent["disk"]
    written = sum(p.stat().st_size for p in run_dir.path.rglob("*") if p.is_file())
    shutil.rmtree(run_dir.path)
    return dict(total_s=total, **{f"{kind}_s": s for kind, s in clock.spent.items()}, kept_MB=written / 1e6)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--systems", nargs="+", default=list(RUNS))
    asked = parser.parse_args()
    rows = [row for row in pd.read_csv(RESULTS).to_dict("records") if row["system"] not in asked.systems] if RESULTS.exists() else []
    for system, run in ((name, RUNS[name]) for name in asked.systems):
        median = pd.DataFrame([measure(run) for _ in range(asked.repeats)]).median()
        safe = 100 * (median.sums_s + median.disk_s) / median.total_s
        rows.append(dict(system=system, repeats=asked.repeats, **median.round(3), safety_percent=round(safe, 2), checkpoints_percent=round(100 * median.checkpoints_s / median.total_s, 2)))
        print(rows[-1], flush=True)
        write_table(RESULTS, pd.DataFrame(rows))


if __name__ == "__main__": main()
