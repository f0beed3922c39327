"""Fine-tune on real twins, with several seeds and recipes; write one row for each run to benchmarks/results/real_runs.csv.

    python benchmarks/real_runs.py --seeds 1 2 3

The base is a small model that has read human and yeast proteins with their descriptions. The twins are toxins whose texts differ, and terpene
synthases whose measured products do not overlap. The tables are looked for where `protrek_nb.data.sources` says.
"""
import argparse

import pandas as pd

from ablation import in_processes
from protrek_nb.core import project_path, write_table
from protrek_nb.report import build
from protrek_nb.train import TrainRun
from toy_study import measure

RESULT = project_path("benchmarks", "results", "real_runs.csv")
BASE = TrainRun(name="real_base", data="human+yeast", base="small", recipe="pretrain_pairs", max_residues=400, epochs=3, seed=0)
DATA = dict(toxins=dict(max_identity=0.5), terpenes=dict(max_identity=0.7))  # terpene synthases have too few components below 50 %


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--recipes", nargs="+", default=["balanced", "reference"])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--base", default="", help="model folder; made first where none is given")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    given, rows, folders = parser.parse_args(), [], []
    base = given.base or str(next(in_processes(measure, [(BASE,)], 1))[1][0] / "model")
    runs = [TrainRun(name=f"{data}-{recipe}-{seed}", data=data, base=base, recipe=recipe, seed=seed, epochs=given.epochs, **more)
            for data, more in DATA.items() for recipe in given.recipes for seed in given.seeds]
    for _, (folder, row) in in_processes(measure, [(run,) for run in runs], given.workers):
        rows.append(row)
        folders.append(folder)
        print(row, flush=True)
        write_table(RESULT, pd.DataFrame(rows).sort_values(["data", "recipe", "seed"]))
    for data in DATA: print(build([f for f in folders if f.name.startswith(data)], name=f"real-{data}").html)


if __name__ == "__main__":
    main()
