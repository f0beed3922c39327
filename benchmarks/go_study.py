"""Take parts of the second system away, one at a time, on the toy world; write one row for each run to benchmarks/results/go_runs.csv.

    python benchmarks/go_study.py --seeds 1 2 3 --epochs 10

A seed decides the split, the terms held out, the weights and the batches; every variant meets the same three worlds.
"""
import argparse
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import numpy as np
import pandas as pd
import torch

from protrek_nb.core import project_path, read_json, write_table
from protrek_nb.eval import seed_interval
from protrek_nb.go import GoRun, fit
from encoding import write

RESULT = project_path("benchmarks", "results", "go_runs.csv")
VARIANTS = {"everything": {}, "curriculum off": dict(curriculum=False), "phases off": dict(phases=False), **{f"{loss} off": {loss: 0.0} for loss in ("distill", "attribution", "entropy", "hierarchy")}}


def measure(variant, seed, epochs):
    "Train and judge once on one thread; give one row of numbers."
    torch.set_num_threads(1)
    start = time.time()
    metrics = read_json(fit(GoRun(name=f"go-{variant.replace(' ', '-')}-{seed}", seed=seed, epochs=epochs, **VARIANTS[variant]), report=lambda line: None).metrics_path)
    asked = {f"{r['model']}: {r['question']}": r["value"] for r in metrics["questions"] if r["metric"] == "macro_aupr"}
    return dict(variant=variant, seed=seed, epochs=epochs, **asked, attention=float(np.mean([r["auroc"] for r in metrics["attention"]])), seconds=round(time.time() - start))


def summary(table):
    "Mean over seeds with its interval, and the difference to the whole system on the same seeds."
    shown = ["system: unseen proteins", "system: unseen terms", "system: both", "attention"]
    whole, rows = table[table.variant == "everything"].set_index("seed"), []
    for variant, part in table.groupby("variant", sort=False):
        part, row = part.set_index("seed"), dict(variant=variant)
        for name in shown:
            row[name] = _cell(seed_interval(part[name].tolist()))
            if variant != "everything": row[f"{name}, change"] = _cell(seed_interval((part[name] - whole[name].reindex(part.index)).tolist()))
        rows.append(row)
    return pd.DataFrame(rows).fillna("").sort_values("variant", key=lambda names: names.map(list(VARIANTS).index))


def _cell(interval): return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    given, rows = parser.parse_args(), []
    with ProcessPoolExecutor(given.workers, get_context("spawn")) as pool:
        for job in as_completed([pool.submit(measure, variant, seed, given.epochs) for seed in given.seeds for variant in given.variants]):
            rows.append(job.result())
            print(rows[-1], flush=True)
            order = {name: k for k, name in enumerate(VARIANTS)}
            write_table(RESULT, pd.DataFrame(sorted(rows, key=lambda r: (order[r["variant"]], r["seed"]))))
    write("go_study", "The second system with parts taken away", summary(pd.DataFrame(rows)), f"Toy world, {given.epochs} epochs, seeds {', '.join(map(str, given.seeds))}: macro AUPR, and the mean ROC "
          "area of determining residues; mean with 95 % interval over seeds. A change is against everything on the same seeds. The runs are in `go_runs.csv`.")


if __name__ == "__main__":
    main()
