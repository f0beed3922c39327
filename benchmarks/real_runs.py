"""Fine-tune on real twins, with several seeds, from two bases; write one row for each run to benchmarks/results/real_runs.csv.

    python benchmarks/real_runs.py --bases small real --seeds 1 2 3    # rows of bases that are not named stay

The twins are toxins whose texts differ, and terpene synthases whose measured products do not overlap. *small* is a model from nothing that has read human and yeast proteins with their descriptions; all of it
is tuned. *real* is the model of `make real-base`, UniRep and MiniLM; their heads are tuned. The tables are looked for where `protrek_nb.data.sources` says.
"""
import argparse

import pandas as pd

from ablation import in_processes
from protrek_nb.core import project_path, read_table, write_table
from protrek_nb.models.weights import cache_path
from protrek_nb.train import TrainRun
from toy_study import measure

RESULT = project_path("benchmarks", "results", "real_runs.csv")
SMALL = TrainRun(name="real_small", data="human+yeast", base="small", recipe="pretrain_pairs", max_residues=400, epochs=3, seed=0)
RECIPES = dict(small=("balanced", "reference"), real=("balanced_heads",))
DATA = dict(toxins=dict(max_identity=0.5), terpenes=dict(max_identity=0.7))  # terpene synthases have too few components below 50 %


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bases", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    given = parser.parse_args()
    rows = [row for row in read_table(RESULT).to_dict("records") if row["base"] not in given.bases] if RESULT.exists() else []
    for base in given.bases:
        path = str(cache_path("real_base") if base == "real" else next(in_processes(measure, [(SMALL,)], 1))[1][0] / "model")
        runs = [TrainRun(name=f"{data}-{recipe}-{seed}", data=data, base=path, recipe=recipe, seed=seed, epochs=given.epochs, **more)
                for data, more in DATA.items() for recipe in RECIPES[base] for seed in given.seeds]
        for _, (_, row) in in_processes(measure, [(run,) for run in runs], given.workers):
            rows.append(dict(base=base, **row))
            print(rows[-1], flush=True)
            write_table(RESULT, pd.DataFrame(rows).sort_values(["data", "base", "recipe", "seed"]))


if __name__ == "__main__":
    main()
