"""What each way to learn twins gains, and what it costs: recipes side by side on the toy world, with the curve between base and tuned model for each.

    python benchmarks/recipes.py --seeds 1 2 3 4 5 --epochs 10
    python benchmarks/recipes.py --variants "readers, distilled" --epochs 20

A seed decides the split, the batches and the weights of new parts; every recipe meets the same splits. Writes benchmarks/results/recipes.csv, a row for each recipe, seed, split and point of a curve:
the share of twins that are told apart, each general measure, and `worst`, what the general measure that falls most has lost against the base.
A curve has two kinds of points. `weights`: all weights lie between those of the base (0) and those of the tuned model (1). `share`: nothing is trained again; so much of a vector's squared length is the readers'.
`two steps` is the scorer that leaves the base's order as it is and lets the tuned model order relatives.
"""
import argparse, os, time
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from ablation import grow
from protrek_nb.core import project_path
from protrek_nb.eval import TWIN_SCORES, index_pairs, twin_scores
from protrek_nb.metrics.costs import GENERAL, general_queries, query_values, relative_groups, reorder_pairs, structure_hits
from protrek_nb.model import default_device
from protrek_nb.runs import RunDir
from protrek_nb.train import TrainRun, load_base, score_split, seed_everything, train_model
from protrek_nb.training.recipes import RECIPES

RESULT = project_path("benchmarks", "results", "recipes.csv")
BALANCED, READERS = RECIPES["balanced"], RECIPES["readers"]
TWINS = replace(BALANCED, general=0.0, twin_share_start=1.0, twin_share_end=1.0)
VARIANTS = {
    "reference": RECIPES["reference"],
    "triplets, both ways": replace(TWINS, triplet=1.0, twin=0.0),
    "twins alone": TWINS,
    "twins and replay": BALANCED,
    "half twins throughout": replace(BALANCED, twin_share_end=0.5),
    "replay, kept near": replace(BALANCED, distill=1.0),
    "replay, LoRA": replace(BALANCED, lora_rank=16),
    "replay, sequence tower": replace(BALANCED, towers=("sequence",)),
    "replay, text tower": replace(BALANCED, towers=("text",)),
    "replay, heads": replace(BALANCED, fixed=("sequence", "text")),
    "readers": READERS,
    "readers, distilled": RECIPES["one_vector"],
}
for name, recipe in VARIANTS.items(): RECIPES[f"study: {name}"] = recipe
ALPHAS, SHARES = (0.25, 0.5, 0.75), (0.0003, 0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9)


def part_numbers(scored, pairs, part, structure, base=None):
    "Measure one scorer on one split: twins and general measures, each a mean. With `base`, the scorer that leaves its order and asks the other only about relatives."
    predictions, second = pd.concat(pairs), None
    if base is not None:
        second = scored, relative_groups(part.table)
        given, own = pd.concat([part.pairs, part.easy]), predictions.reset_index(drop=True)
        predictions = pd.concat([own.drop(columns=list(TWIN_SCORES)), reorder_pairs(given, base, *second)], axis=1)
        scored = base
    values = query_values(general_queries(scored, part.table, second), predictions)
    rows = [scored.sequences.index(s) for s in part.table.sequence]
    values["structure hit_at_1"] = structure_hits(scored.prot_ND[rows], structure), None
    return {metric: float(np.mean(x)) for metric, (x, _) in values.items()}


def judged(model, prepared, split):
    "Score a split with a model; everything that `part_numbers` needs."
    part = prepared.part(split)
    hard, easy, scored = score_split(model, part)
    structure = model.get_structure_repr(part.table.structure_3di.tolist()).cpu().numpy()
    return scored, (hard, easy), part, structure


def reweighted(scored, width, share):
    "Give the readers another share of each vector; `width` numbers are the tower's."
    def mix(x_ND):
        parts = x_ND[:, :width], x_ND[:, width:]
        scaled = [w ** 0.5 * p / np.linalg.norm(p, axis=1, keepdims=True) for w, p in zip((1 - share, share), parts)]
        return np.concatenate(scaled, 1)
    return scored._replace(prot_ND=mix(scored.prot_ND), text_MD=mix(scored.text_MD))


def rescored(scored, pairs, part):
    "Score the pairs of a split with other vectors."
    given = pd.concat([part.pairs.assign(kind="hard"), part.easy.assign(kind="easy")], ignore_index=True)
    scores = twin_scores(scored.prot_ND, scored.text_MD, index_pairs(given, part.table).rows_P4)
    own = pd.concat(pairs, ignore_index=True)
    return [own.drop(columns=list(TWIN_SCORES)).assign(**scores)]


def measure(variant, seed, epochs):
    "Train one recipe on one split; give a row for each split and point of its curve."
    torch.set_num_threads(1)
    start, run = time.time(), TrainRun(name=f"recipes-{list(VARIANTS).index(variant)}-{seed}", recipe=f"study: {variant}", seed=seed, epochs=epochs)
    prepared = run.prepare(run.read(), say=lambda line: None)
    seed_everything(seed)
    model = load_base(run, prepared.table).to(default_device())
    weights = {n: w.clone() for n, w in model.state_dict().items()}
    base = {split: judged(model, prepared, split) for split in ("valid", "test")}
    model, rows = train_model(run, model, prepared, RunDir.create(run.name), lambda line: None), []
    def note(split, curve, point, numbers):
        worst = min(numbers[m] - before[split][m] for m in GENERAL if m in before[split])
        rows.append(dict(variant=variant, seed=seed, epochs=epochs, split=split, curve=curve, point=point, worst=worst, **numbers))
    before = {split: part_numbers(*found) for split, found in base.items()}
    for split in base: note(split, "weights", 0.0, before[split])
    tuned, width = {split: judged(model, prepared, split) for split in base}, model.config.repr_dim
    for split, (scored, pairs, part, structure) in tuned.items():
        if model.readers:
            for share in SHARES:
                mixed = reweighted(scored, width, share)
                note(split, "share", share, part_numbers(mixed, rescored(mixed, pairs, part), part, np.pad(structure[:, :width], ((0, 0), (0, mixed.prot_ND.shape[1] - width)))))
            found = lambda x_ND: x_ND[:, width:] / np.linalg.norm(x_ND[:, width:], axis=1, keepdims=True)
            scored = scored._replace(prot_ND=found(scored.prot_ND), text_MD=found(scored.text_MD))
        else: note(split, "weights", 1.0, part_numbers(scored, pairs, part, structure))
        note(split, "two steps", 1.0, part_numbers(scored, pairs, part, base[split][3], base[split][0]))
    if not model.readers:
        last = {n: w.clone() for n, w in model.state_dict().items()}
        for alpha in ALPHAS:
            model.load_state_dict({n: torch.lerp(weights[n], w, alpha) if w.is_floating_point() else w for n, w in last.items()})
            for split in base: note(split, "weights", alpha, part_numbers(*judged(model, prepared, split)))
    return [row | dict(device=str(default_device()), seconds=round(time.time() - start)) for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="runs at a time, one thread each")
    parser.add_argument("--out", default=RESULT)
    given = parser.parse_args()
    order = {name: k for k, name in enumerate(VARIANTS)}
    cases = [(v, s, given.epochs) for s in given.seeds for v in given.variants]
    place = lambda r: (order[r["variant"]], r["seed"], r["split"], r["curve"], r["point"])
    for case, found in grow(given.out, ("variant", "seed", "epochs"), measure, cases, given.workers, place): print(*case, found[0]["seconds"], "s", flush=True)


if __name__ == "__main__":
    main()
