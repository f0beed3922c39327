"""Take parts of the fourth system away, one at a time, on the toy world; write one row for each run to benchmarks/results/binding_runs.csv.

    python benchmarks/binding_study.py --seeds 1 2 3 4 5 --epochs 4

After thirty epochs the whole system finds nearly all sites; after four there is something left to see. A seed decides the folds, the weights, the batches and the views; every variant meets the same folds. "order-stacked views" is the reference's fault on purpose:
each view drops its masked residues, the rest is stacked by order and cut to the shortest view, and labels are read from the first view.
"""
import time
from unittest.mock import patch

import torch

from ablation import study
from protrek_nb.binding import training
from protrek_nb.binding import BindingRun, fit
from protrek_nb.core import read_json
from protrek_nb.models.views import Views

VARIANTS = {"everything": {}, **{f"{loss} off": {loss: 0.0} for loss in ("contrast", "prototype", "bce", "mlm")}, "uncentred prototypes": dict(centred=False), "one view": dict(num_variants=1),
            "no letters first": dict(mlm_epochs=0), "order-stacked views": {}}
SHOWN = ("auprc", "hra", "mcc")


def stacked_by_order(*args, **kwargs):
    "Make views whose rows are the residues left in each view, by order; a row holds strangers after the first residue that only one view has lost."
    views = training.Views(**vars(aligned(*args, **kwargs)))
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


aligned, dealt = training.aligned_views, training.BindingPlan.__getitem__


def stacked_batch(plan, i):
    "The batch of a plan, stacked by order."
    with patch.object(training, "aligned_views", stacked_by_order): batch = dealt(plan, i)
    batch.label_BR = labels_of_first_view(batch)
    return batch


def measure(variant, seed, epochs):
    "Train and judge once on one thread; give one row of numbers."
    torch.set_num_threads(1)
    start = time.process_time()
    deal = stacked_batch if variant == "order-stacked views" else dealt
    with patch.object(training.BindingPlan, "__getitem__", deal):
        run_dir = fit(BindingRun(name=f"binding-{variant.replace(' ', '-')}-{seed}", seed=seed, epochs=epochs, **VARIANTS[variant]), say=lambda line: None)
    metrics = read_json(run_dir.metrics_path)
    found = {r["metric"]: r["value"] for r in metrics["sites"] if r["question"] == "out of fold" and r["model"] == "prototypes"}
    decoys = metrics["decoys"]["out of fold"]
    return dict(variant=variant, seed=seed, epochs=epochs, **{name: found[name] for name in SHOWN}, decoys_called=decoys["decoys_called"] / decoys["decoys"], cpu_seconds=round(time.process_time() - start))


if __name__ == "__main__":
    study("binding", "The fourth system with parts taken away", "Residues out of fold: AUPRC, area at high recall, MCC, and the share of residues of incomplete sites that are called.", VARIANTS, measure,
          [*SHOWN, "decoys_called"], epochs=4)
