"""Ways to compare two proteins of Bernett's split, by the validation pairs alone; the test pairs are not looked at.

    python benchmarks/pair_heads.py --seeds 1 2 3

Each variant changes one thing of the recipe of `-p data bernett`. Writes benchmarks/results/pair_heads.csv: the AUC of the best epoch, and which one it was.
"""
import argparse, time

import pandas as pd
import torch

from protrek_nb.core import project_path, read_table, write_table
from protrek_nb.pairs import PairRun, Prepared, fit_norm, open_vectors, read_sides
from protrek_nb.pairs.inputs import order_pairs
from protrek_nb.runs import open_run

PATH = project_path("benchmarks", "results", "pair_heads.csv")
VARIANTS = {
    "recipe": {},
}


def prepare(run, table, vectors):
    "Look up what the head reads, for training and validation."
    rows = {s: table[table["split"] == s] for s in ("train", "valid")}
    norm = fit_norm(run, vectors, rows["train"])
    parts = {s: read_sides(vectors, part, part.label, norm) for s, part in rows.items()}
    return Prepared(table, parts, parts["train"].a.shape[1], norm)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    kept = read_table(PATH).to_dict("records") if PATH.exists() else []
    pairs = order_pairs(PairRun(data="bernett").read())
    table = pairs[pairs["split"] != "test"].reset_index(drop=True)
    for variant in given.variants:
        run = PairRun(name=f"heads-{variant}", data="bernett", **VARIANTS[variant])
        prepared = prepare(run, table, open_vectors(run, run.encoder, table, lambda line: print(line, flush=True)))
        for seed in given.seeds:
            start, run = time.process_time(), PairRun(name=f"heads-{variant}-{seed}", data="bernett", seed=seed, **VARIANTS[variant])
            run_dir = open_run(run)
            run.train(prepared, run_dir, lambda line: None)
            found = read_table(run_dir.history_path).sort_values("valid_auc").iloc[-1]
            row = dict(variant=variant, seed=seed, valid_auc=found.valid_auc, epoch=int(found.epoch), encoder=run.encoder, seconds=round(time.process_time() - start))
            kept = [r for r in kept if (r["variant"], r["seed"]) != (variant, seed)] + [row]
            print(row, flush=True)
            write_table(PATH, pd.DataFrame(sorted(kept, key=lambda r: (list(VARIANTS).index(r["variant"]), r["seed"]))))


if __name__ == "__main__":
    main()
