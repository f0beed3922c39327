"""Train on the toy world with several seeds and recipes; write one row for each run to benchmarks/results/toy_study.csv.

    python benchmarks/toy_study.py --seeds 1 2 3 4 5 --recipes readers balanced reference

A seed decides the split, the batches and the bootstrap, so every seed tests on other families. What is there is not trained again.
"""
import argparse
import time

import pandas as pd
import torch

from ablation import grow
from protrek_nb.core import project_path, read_json, read_table
from protrek_nb.metrics.costs import BOTH, GENERAL, compared_rows
from protrek_nb.train import TrainRun, fit

RESULT = project_path("benchmarks", "results", "toy_study.csv")


def numbers(metrics):
    "Pick the numbers of a study from the metrics of a run; one-way accuracy with its interval over components."
    found = {}
    for kind in ("twins", "easy"):
        for row in metrics.get(kind, []):
            if row["metric"] in ("one_way", "group"): found[f"{row['model']}_{kind}_{row['metric']}"] = row["value"]
            if (kind, row["metric"]) == ("twins", "one_way"): found |= {f"{row['model']}_low": row["low"], f"{row['model']}_high": row["high"], "pairs": int(row["n"]), "components": int(row["clusters"])}
    general = pd.DataFrame(metrics["retrieval"]).query("label == 'component'").groupby("model")["hit_at_1"].mean()
    for model, name in (("tuned", "tuned"), (BOTH, "both")):  # what falls most of all general measures; the third scorer's own numbers on twins
        rows = compared_rows(metrics["cost"], model).set_index("metric")
        found[f"{name}_worst_change"] = rows.loc[rows.index.isin(GENERAL), "difference"].min()
        if model == BOTH: found |= {f"both_twins_{m}": rows.loc[f"twins {m}", "after"] for m in ("one_way", "group") if f"twins {m}" in rows.index}
    controls = [c["value"] for c in metrics["controls"] if c["model"] == "tuned" and "both directions" in c["control"] and "kept" not in c["control"]]
    return found | {f"{m}_general_r1": value for m, value in general.items()} | dict(control_low=min(controls, default=None), control_high=max(controls, default=None))


def measure(run):
    "Train and evaluate once on one thread; give the run folder and one row of numbers."
    torch.set_num_threads(1)
    start = time.time()
    run_dir = fit(run, say=lambda line: None)
    return run_dir.path, dict(data=run.data, recipe=run.recipe, seed=run.seed, epochs=run.epochs, **numbers(read_json(run_dir.metrics_path)), seconds=round(time.time() - start))


def case(recipe, seed, epochs):
    "Measure one recipe with one seed; give a list of one row."
    return [measure(TrainRun(name=f"toy-{recipe}-{seed}", recipe=recipe, seed=seed, epochs=epochs))[1]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--recipes", nargs="+", default=["readers", "balanced", "reference"])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    given = parser.parse_args()
    cases = [(recipe, seed, given.epochs) for recipe in given.recipes for seed in given.seeds]
    for _, rows in grow(RESULT, ("recipe", "seed", "epochs"), case, cases, given.workers, lambda r: (r["recipe"], r["seed"])): print(*rows, flush=True)
    print(summary(read_table(RESULT)).to_string())


def summary(table):
    "Mean over the seeds, and the lowest and highest seed."
    shown = ["base_twins_one_way", "tuned_twins_one_way", "base_twins_group", "tuned_twins_group", "base_easy_one_way", "tuned_easy_one_way",
             "base_general_r1", "tuned_general_r1", "tuned_worst_change", "both_twins_one_way", "both_twins_group", "both_worst_change", "control_low", "control_high"]
    return table.groupby(["data", "recipe"])[shown].agg(["mean", "min", "max"]).T.unstack().round(3)


if __name__ == "__main__":
    main()
