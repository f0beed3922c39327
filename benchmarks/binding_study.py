"""Take parts of the fourth system away, one at a time, on the toy world; write one row for each run to benchmarks/results/binding_runs.csv.

    python benchmarks/binding_study.py --seeds 1 2 3 --epochs 12

A seed decides the folds, the weights, the batches and the views; every variant meets the same folds. "order-stacked views" is the reference's fault on purpose:
each view drops its masked residues, the rest is stacked by order and cut to the shortest view, and labels are read from the first view.
"""
import argparse
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from unittest.mock import patch

import pandas as pd
import torch

from protrek_nb import bindingtrainer
from protrek_nb.binding import BindingRun, fit
from protrek_nb.core import project_path, read_json, write_table
from protrek_nb.intervals import seed_interval
from protrek_nb.views import Views
from encoding import write

RESULT = project_path("benchmarks", "results", "binding_runs.csv")
VARIANTS = {"everything": {}, **{f"{loss} off": {loss: 0.0} for loss in ("contrast", "prototype", "bce", "mlm")}, "uncentred prototypes": dict(centred=False), "one view": dict(num_variants=1),
            "no letters first": dict(mlm_epochs=0), "order-stacked views": {}}
SHOWN = ("auprc", "hra", "mcc")


def stacked_by_order(*args, **kwargs):
    "Make views whose rows are the residues left in each view, by order; a row holds strangers after the first residue that only one view has lost."
    views = bindingtrainer.Views(**vars(aligned(*args, **kwargs)))
    left = [[views.column_VBR[v, b][views.usable_VBR[v, b]] for b in range(views.column_VBR.shape[1])] for v in range(len(views.column_VBR))]
    column_VBR = torch.full_like(views.column_VBR, -1)
    for b in range(column_VBR.shape[1]):
        rows = min(len(view[b]) for view in left)
        for v, view in enumerate(left): column_VBR[v, b, :rows] = view[b][:rows]
    return Views(views.inputs, column_VBR, torch.zeros_like(views.chosen_VBR), views.targets_VBL)


def labels_of_first_view(batch):
    "Read the label of each row from the residue that the first view has there."
    first_BR = batch.views.column_VBR[0]
    return batch.label_BR.gather(1, (first_BR - 1).clamp(min=0)) * (first_BR >= 0)  # column 0 is <cls>


aligned, dealt = bindingtrainer.aligned_views, bindingtrainer.BindingPlan.__getitem__


def stacked_batch(plan, i):
    "The batch of a plan, stacked by order."
    with patch.object(bindingtrainer, "aligned_views", stacked_by_order): batch = dealt(plan, i)
    batch.label_BR = labels_of_first_view(batch)
    return batch


def measure(variant, seed, epochs):
    "Train and judge once on one thread; give one row of numbers."
    torch.set_num_threads(1)
    start = time.process_time()
    deal = stacked_batch if variant == "order-stacked views" else dealt
    with patch.object(bindingtrainer.BindingPlan, "__getitem__", deal):
        run_dir = fit(BindingRun(name=f"binding-{variant.replace(' ', '-')}-{seed}", seed=seed, epochs=epochs, **VARIANTS[variant]), report=lambda line: None)
    metrics = read_json(run_dir.metrics_path)
    found = {r["metric"]: r["value"] for r in metrics["sites"] if r["question"] == "out of fold" and r["model"] == "prototypes"}
    decoys = metrics["decoys"]["out of fold"]
    return dict(variant=variant, seed=seed, epochs=epochs, **{name: found[name] for name in SHOWN}, decoys_called=decoys["decoys_called"] / decoys["decoys"], cpu_seconds=round(time.process_time() - start))


def summary(table):
    "Mean over seeds with its interval, and the difference to the whole system on the same seeds."
    whole, rows = table[table.variant == "everything"].set_index("seed"), []
    for variant, part in table.groupby("variant", sort=False):
        part, row = part.set_index("seed"), dict(variant=variant)
        for name in (*SHOWN, "decoys_called"):
            row[name] = _cell(seed_interval(part[name].tolist()))
            if variant != "everything" and len(whole): row[f"{name}, change"] = _cell(seed_interval((part[name] - whole[name].reindex(part.index)).tolist()))
        rows.append(row)
    return pd.DataFrame(rows).fillna("").sort_values("variant", key=lambda names: names.map(list(VARIANTS).index))


def _cell(interval): return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    given, rows = parser.parse_args(), []
    with ProcessPoolExecutor(given.workers, get_context("spawn")) as pool:
        for job in as_completed([pool.submit(measure, variant, seed, given.epochs) for seed in given.seeds for variant in given.variants]):
            rows.append(job.result())
            print(rows[-1], flush=True)
            order = {name: k for k, name in enumerate(VARIANTS)}
            write_table(RESULT, pd.DataFrame(sorted(rows, key=lambda r: (order[r["variant"]], r["seed"]))))
    write("binding_study", "The fourth system with parts taken away", summary(pd.DataFrame(rows)), f"Toy world, {given.epochs} epochs, seeds {', '.join(map(str, given.seeds))}: residues out of fold; mean with "
          "95 % interval over seeds. A change is against everything on the same seeds. The runs are in `binding_runs.csv`.")


if __name__ == "__main__":
    main()
