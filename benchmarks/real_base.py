"""Train the real base model with several seeds, and measure it beside its rivals; write benchmarks/results/real_base.csv.

    python benchmarks/real_base.py --seeds 0 1 2

Needs the weights (`make weights`) and the public tables. Vectors of proteins and texts are computed once, in the user's cache folder.
"""
import argparse
from dataclasses import replace

import numpy as np
import pandas as pd

from protrek_nb.core import RunDir, project_path, sha256_text, write_table
from protrek_nb.eval import ModelScores, table_retrieval
from protrek_nb.models.encoders import open_encoder, open_means
from protrek_nb.studies.base import REAL_BASE, text_rivals
from protrek_nb.train import evaluate_model, load_base, recall_table, train_model

RESULT = project_path("benchmarks", "results", "real_base.csv")
KEPT = ["hit_at_1", "hit_at_10", "mrr", "hit_at_1_low", "hit_at_1_high", "hit_at_10_low", "hit_at_10_high", "mrr_low", "mrr_high", "n"]


def records(scored, test, seed, model):
    "Retrieval of both directions, as rows of the table."
    table = table_retrieval(scored, test, label="text", cluster="component", seed=seed)
    return [dict(seed=seed, model=model, direction=d, **{k: row[k] for k in KEPT}) for d, row in table.to_dict("index").items()]


def letters(prepared, model):
    "The same heads, with the composition of a protein in place of the summary."
    strings = prepared.table.sequence.drop_duplicates().tolist()
    means_N21 = open_encoder("letters").summary(strings)
    rows = np.zeros((len(strings), model.sequence.encoder.config.hidden_size * 3), np.float32)
    rows[:, :means_N21.shape[1]] = means_N21
    train = set(prepared.part("train").table.sequence)
    model.recall("sequence", strings, rows, [k for k, s in enumerate(strings) if s in train])
    return model


def measure(run, prepared):
    "Train the heads with one seed, and measure all models on the test split."
    train, test, rows = prepared.part("train").table, prepared.part("test").table, []
    for name in ("system", "letters"):
        model = load_base(run, prepared.table)
        recall_table(model, prepared.table, new=True)
        if name == "letters": letters(prepared, model)
        else: rows += records(evaluate_model(model, prepared, run.seed)["scored"], test, run.seed, "base")
        model = train_model(run, model, prepared, RunDir.create(f"{run.name}-{name}-{run.seed}"))
        scored = evaluate_model(model, prepared, run.seed)["scored"]
        rows += records(scored, test, run.seed, name)
    texts = sorted({*train.text, *scored.texts})
    store = open_means("minilm", {sha256_text(t): t for t in texts})
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
    vectors = lambda strings: unit(np.array(store.get([sha256_text(t) for t in strings])))
    for name, prot_ND in text_rivals(train, scored.sequences, vectors(train.text)).items():
        rows += records(ModelScores(scored.twins, scored.sequences, scored.texts, prot_ND, vectors(scored.texts)), test, run.seed, name)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given, rows = parser.parse_args(), []
    prepared = REAL_BASE.prepare(REAL_BASE.read())  # one split; the seeds are those of the heads and of the batches
    for seed in given.seeds:
        rows += measure(replace(REAL_BASE, seed=seed), prepared)
        write_table(RESULT, pd.DataFrame(rows).round(5))
        print(pd.DataFrame(rows)[lambda t: t.seed == seed].round(3).to_string(), flush=True)


if __name__ == "__main__":
    main()
