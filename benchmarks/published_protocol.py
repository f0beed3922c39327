"""The published protocol on the toy world: pairs split at random, so that proteins and texts of the test are in training; one direction; hard and easy pairs.

    python benchmarks/published_protocol.py --seeds 1 2 3 --recipes reference readers

All train for thirty epochs, as published. The numbers compare recipes with what was published, and say nothing about unseen families. Writes benchmarks/results/published_protocol.csv: accuracy of base and tuned model on hard and easy pairs, with an interval over families; what is there is not trained again.
"""
import argparse

import numpy as np
import pandas as pd
import torch

from ablation import grow
from protrek_nb.core import project_path
from protrek_nb.eval import pair_outcomes, score_model
from protrek_nb.metrics.intervals import bootstrap_share
from protrek_nb.model import default_device
from protrek_nb.runs import RunDir
from protrek_nb.train import RunData, TrainRun, load_base, seed_everything, train_model

EPOCHS, RECIPES = 30, ("reference", "readers")
RESULT = project_path("benchmarks", "results", "published_protocol.csv")


def at_random(prepared, seed):
    "Split the pairs as the published system does, four to one, and a tenth of the four for validation; every protein is on all sides."
    part_P = np.random.default_rng(seed).permutation(len(prepared.pairs)) / len(prepared.pairs)
    pairs = prepared.pairs.assign(split=np.select([part_P < 0.2, part_P < 0.28], ["test", "valid"], "train"))
    everywhere = pd.concat([prepared.table.assign(split=split) for split in ("train", "valid")], ignore_index=True)
    return RunData(everywhere, pairs, prepared.easy, prepared.certificate, prepared.mined)


def measure(recipe, seed):
    "Train once; give rows for hard and easy pairs, before and after."
    torch.set_num_threads(1)
    run = TrainRun(name=f"published-{recipe}-{seed}", recipe=recipe, seed=seed, epochs=EPOCHS)
    prepared = at_random(run.prepare(run.read(), say=lambda line: None), seed)
    seed_everything(seed)
    model, rows = load_base(run, prepared.table).to(default_device()), []
    test = dict(hard=prepared.part("test").pairs, easy=prepared.easy.head(1000))
    def note(name):
        for kind, pairs in test.items():
            right = pair_outcomes(score_model(model, pairs).twins).first_direction
            found = bootstrap_share(right, cluster=pairs["component" if kind == "hard" else "anchor_component"], seed=seed)
            rows.append(dict(recipe=recipe, seed=seed, epochs=run.epochs, model=name, pairs=kind, n=len(pairs), **found._asdict()))
    note("base")
    model = train_model(run, model, prepared, RunDir.create(run.name), lambda line: None)
    note("tuned")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--recipes", nargs="+", default=RECIPES, choices=RECIPES)
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    given = parser.parse_args()
    cases = [(r, s) for s in given.seeds for r in given.recipes]
    for _, found in grow(RESULT, ("recipe", "seed"), measure, cases, given.workers, lambda r: (r["recipe"], r["seed"], r["pairs"], r["model"])):
        print(pd.DataFrame(found).to_string(), flush=True)


if __name__ == "__main__":
    main()
