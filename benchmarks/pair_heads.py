"""Ways to compare two proteins, judged by validation pairs alone; the test pairs are not looked at. The best one of a data set is its recipe.

    python benchmarks/pair_heads.py --seeds 1 2 3

Each variant changes one or two things of the recipe of `-p data NAME`. Writes benchmarks/results/pair_heads.csv: the AUC of the best epoch on validation, which epoch it was, and the AUC of the mean of all seeds.
"""
import argparse, time

import numpy as np
import pandas as pd
import torch

from protrek_nb.core import project_path, read_table, write_table
from protrek_nb.metrics.thresholds import ranking_areas
from protrek_nb.pairs import PairRun, Prepared, fit_norm, open_vectors, read_sides
from protrek_nb.pairs.inputs import order_pairs
from protrek_nb.pairs.splits import split_pairs
from protrek_nb.pairs.training import pair_scores
from protrek_nb.runs import open_run

PATH = project_path("benchmarks", "results", "pair_heads.csv")
VECTORS = dict(encoder="unirep-1900-bf16")
TOWERS = dict(VECTORS, head="towers", kinds="product,difference", learning_rate=2e-3, dropout=0.3, batch_size=256, epochs=20)
PERCEPTRON = dict(head="mlp", kinds="concat,difference,product", components=0, learning_rate=1e-3, dropout=0.2, batch_size=64, epochs=30)
SMALL = {"letters": dict(PERCEPTRON, encoder="letters"), "perceptron, 100 components": dict(PERCEPTRON, **VECTORS) | dict(components=100),
         "towers, 50 components": dict(TOWERS, components=50), "towers, 300 components": dict(TOWERS, components=300)}
VARIANTS = dict(
    bernett={"recipe": {}, **{f"{n} components": dict(components=n) for n in (50, 100, 300)}, "perceptron, 50 components": dict(head="mlp", components=50, learning_rate=1e-3),
             "letters": dict(encoder="letters", components=20)},
    pipr=SMALL, dscript=SMALL, swine=SMALL)


def prepare(run, pairs):
    "Split, and look up what the head reads of training and validation."
    table = order_pairs(split_pairs(pairs, run.split, run.max_identity, seed=run.seed))
    table = table[table["split"] != "test"].reset_index(drop=True)
    rows, vectors = {s: table[table["split"] == s] for s in ("train", "valid")}, open_vectors(run, run.encoder, table, lambda line: print(line, flush=True))
    norm = fit_norm(run, vectors, rows["train"])
    parts = {s: read_sides(vectors, part, part.label, norm) for s, part in rows.items()}
    return Prepared(table, parts, parts["train"].a.shape[1], norm)


def measure(data, variant, seeds):
    "Train one variant from each seed; give its rows."
    pairs, prepared, scores, rows = None, None, [], []
    for seed in seeds:
        start, run = time.process_time(), PairRun(name=f"heads-{data}-{variant}-{seed}".replace(" ", "_").replace(",", ""), data=data, seed=seed, **VARIANTS[data][variant])
        if pairs is None or run.split != "published": pairs, prepared = run.read(), None
        prepared = prepared or prepare(run, pairs)
        run_dir = open_run(run)
        head, _ = run.train(prepared, run_dir, lambda line: None)
        found = read_table(run_dir.history_path).sort_values("valid_auc").iloc[-1]
        scores.append(pair_scores(head, prepared.parts["valid"]))
        rows.append(dict(data=data, variant=variant, seed=seed, valid_auc=found.valid_auc, epoch=int(found.epoch), encoder=run.encoder, seconds=round(time.process_time() - start)))
    together = ranking_areas(prepared.parts["valid"].label_N, np.mean(scores, 0))[0][0] if run.split == "published" else np.nan
    return [dict(row, together=together) for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--data", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--variants", nargs="+", help="names of some variants; all where none is given")
    given = parser.parse_args()
    torch.set_num_threads(1)
    kept = read_table(PATH).to_dict("records") if PATH.exists() else []
    for data in given.data:
        for variant in given.variants or VARIANTS[data]:
            rows = measure(data, variant, given.seeds)
            kept = [r for r in kept if (r["data"], r["variant"]) != (data, variant)] + rows
            print(data, variant, [round(r["valid_auc"], 4) for r in rows], rows[0], flush=True)
            write_table(PATH, pd.DataFrame(sorted(kept, key=lambda r: (list(VARIANTS).index(r["data"]), list(VARIANTS[r["data"]]).index(r["variant"]), r["seed"]))))


if __name__ == "__main__":
    main()
