"""Train on the toy world with several seeds and recipes; write one row for each run to benchmarks/results/toy_study.csv.

    python benchmarks/toy_study.py --seeds 1 2 3 4 5 --recipes balanced reference

A seed decides the split, the batches and the bootstrap, so every seed tests on other families.
"""
import argparse
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import pandas as pd
import torch

from protrek_nb.core import project_path, read_json, write_table
from protrek_nb.train import TrainRun, fit

RESULT = project_path("benchmarks", "results", "toy_study.csv")


def numbers(run_dir):
    "Pick the numbers of the study from a run folder."
    metrics = read_json(run_dir.metrics_path)
    twins, easy = (pd.DataFrame(metrics[k]).pivot(index="metric", columns="model", values="value") for k in ("twins", "easy"))
    general = pd.DataFrame(metrics["retrieval"]).query("label == 'component'").groupby("model")["hit_at_1"].mean()
    controls = pd.DataFrame(metrics["controls"]).query("model == 'tuned' and control.str.contains('both directions') and not control.str.contains('kept')")["value"]
    found = {f"{m}_{metric}": twins.loc[metric, m] for m in ("base", "tuned") for metric in ("one_way", "group")}
    found |= {f"{m}_easy": easy.loc["one_way", m] for m in ("base", "tuned")} | {f"{m}_general_r1": general[m] for m in ("base", "tuned")}
    return dict(found, control_low=controls.min(), control_high=controls.max(), pairs=int(metrics["twins"][0]["n"]))


def measure(recipe, seed, epochs):
    "Train and evaluate once; give one row."
    torch.set_num_threads(1)
    start = time.time()
    run_dir = fit(TrainRun(name=f"toy-{recipe}-{seed}", recipe=recipe, seed=seed, epochs=epochs), report=lambda line: None)
    return dict(recipe=recipe, seed=seed, **numbers(run_dir), seconds=round(time.time() - start))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--recipes", nargs="+", default=["balanced", "reference"])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    given, rows = parser.parse_args(), []
    with ProcessPoolExecutor(given.workers, get_context("spawn")) as pool:
        jobs = [pool.submit(measure, recipe, seed, given.epochs) for recipe in given.recipes for seed in given.seeds]
        for job in as_completed(jobs):
            rows.append(job.result())
            print(rows[-1], flush=True)
            write_table(RESULT, pd.DataFrame(rows).sort_values(["recipe", "seed"]))
    table = pd.DataFrame(rows).drop(columns=["seed", "seconds"])
    print(table.groupby("recipe").agg(["mean", "min", "max"]).T.round(3).to_string())


if __name__ == "__main__":
    main()
