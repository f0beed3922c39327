"""Fine-tune the real base on real twins, with several seeds; write one row for each run to benchmarks/results/real_runs.csv.

    python benchmarks/real_runs.py --seeds 1 2 3

The twins are toxins whose texts differ, and terpene synthases whose measured products do not overlap. The base is the model of `make real-base`, UniRep and MiniLM, whose heads are tuned. The tables are
looked for where `protrek_nb.data.sources` says.
"""
import argparse

import pandas as pd

from ablation import in_processes
from protrek_nb.core import project_path, write_table
from protrek_nb.models.weights import cache_path
from protrek_nb.train import TrainRun
from toy_study import measure

RESULT = project_path("benchmarks", "results", "real_runs.csv")
DATA = dict(toxins=dict(max_identity=0.5), terpenes=dict(max_identity=0.7))  # terpene synthases have too few components below 50 %


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--recipes", nargs="+", default=["balanced_heads"])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    given, rows = parser.parse_args(), []
    runs = [TrainRun(name=f"{data}-{recipe}-{seed}", data=data, base=str(cache_path("real_base")), recipe=recipe, seed=seed, epochs=given.epochs, **more)
            for data, more in DATA.items() for recipe in given.recipes for seed in given.seeds]
    for _, (_, row) in in_processes(measure, [(run,) for run in runs], given.workers):
        rows.append(row)
        print(row, flush=True)
        write_table(RESULT, pd.DataFrame(rows).sort_values(["data", "recipe", "seed"]))


if __name__ == "__main__":
    main()
