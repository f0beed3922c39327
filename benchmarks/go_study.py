"""Take parts of the second system away, one at a time, on the toy world; write one row for each run to benchmarks/results/go_runs.csv.

    python benchmarks/go_study.py --seeds 1 2 3 4 5 --epochs 10

A seed decides the split, the terms held out, the weights and the batches; every variant meets the same three worlds.
"""
import time

import numpy as np
import torch

from ablation import study
from protrek_nb.core import read_json
from protrek_nb.go import GoRun, fit

VARIANTS = {"everything": {}, "curriculum off": dict(curriculum=False), "phases off": dict(phases=False), **{f"{loss} off": {loss: 0.0} for loss in ("contrastive", "distill", "attribution", "entropy", "hierarchy")}}


def measure(variant, seed, epochs):
    "Train and judge once on one thread; give one row of numbers."
    torch.set_num_threads(1)
    start = time.time()
    metrics = read_json(fit(GoRun(name=f"go-{variant.replace(' ', '-')}-{seed}", seed=seed, epochs=epochs, **VARIANTS[variant]), say=lambda line: None).metrics_path)
    asked = {f"{r['model']}: {r['question']}": r["value"] for r in metrics["questions"] if r["metric"] == "macro_aupr"}
    return dict(variant=variant, seed=seed, epochs=epochs, **asked, attention=float(np.mean([r["auroc"] for r in metrics["attention"]])), seconds=round(time.time() - start))


if __name__ == "__main__":
    study("go", "The second system with parts taken away", "Macro AUPR, and the mean ROC area of determining residues.", VARIANTS, measure,
          ["system: unseen proteins", "system: unseen terms", "system: both", "attention"], epochs=10)
