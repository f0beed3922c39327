"""What does the contrastive curriculum add to a perceptron, when both read the same summaries? Writes benchmarks/results/go_curriculum.csv.

    python benchmarks/go_curriculum.py --seeds 42 43 44

Data, split, summaries and held-out terms are those of `papermill nbs/08_go.ipynb out.ipynb -p data swissprot`. *contrast* is the system of the toy world, which learns texts and proteins together:
each summary stands for a protein of one residue. It is trained with the curriculum of negatives and phases of texts, and without both. Its score becomes a probability by a logistic curve on validation proteins,
then all models are mixed with frequencies in the same way. The perceptron is that of the shipped system; *both* is the mean of the two probabilities.
"""
import argparse
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression

from protrek_nb.core import RunDir, project_path, write_table
from protrek_nb.go import GoRun, train_known
from protrek_nb.go.compare import scores_by_text
from protrek_nb.go.mixture import compare_models, learn_mixture
from protrek_nb.go.system import score_proteins

RESULT = project_path("benchmarks", "results", "go_curriculum.csv")


class OneRow:
    "Summaries, each as a protein of one residue, on the scale of the training proteins."
    def __init__(self, store, train):
        self.store, self.width, self.lengths, known_MD = store, store.width, dict.fromkeys(store.lengths, 1), np.array(store.get(train), np.float32)
        self.centre_D, self.scale_D = known_MD.mean(0), known_MD.std(0) + 1e-6

    def missing(self, ids): return self.store.missing(ids)
    def get(self, ids): return list(((np.array(self.store.get(ids), np.float32) - self.centre_D) / self.scale_D).clip(-6, 6).astype(np.float32)[:, None])


def train_contrast(run, prepared, say):
    "Train the contrastive system; give a function of ids and rows."
    student, store = run.train(prepared, RunDir.create(run.name), say)
    return lambda ids, rows: score_proteins(student, store, prepared.proteins, ids, rows)


def measure(seed, epochs, encoder, say):
    "Train all models with one seed, and compare them on unseen proteins, and on unseen proteins and terms."
    shipped = GoRun(data="swissprot", seed=seed, encoder=encoder)
    prepared = shipped.prepare(shipped.read(), say)
    rows_of = replace(prepared, proteins=OneRow(prepared.proteins, prepared.ids("train")))
    seen, space_T, valid, test = prepared.seen, np.array(prepared.ontology.namespaces), prepared.ids("valid"), prepared.ids("test")
    shown, asked = (prepared.truth(prepared.at(split), seen) for split in ("valid", "test"))
    known = train_known(shipped, prepared, RunDir.create(f"go-perceptron-{seed}"), say)
    probability = {"perceptron": [known.parts(prepared.proteins.get(ids))["perceptron"] for ids in (valid, test)]}
    hidden_truth = prepared.truth(prepared.at("test"), prepared.hidden)
    hidden = prepared.hidden[hidden_truth.any(0)]
    unseen = {"perceptron by text": scores_by_text(prepared, prepared.ontology.propagate(probability["perceptron"][1], seen), hidden)}
    for name, on in (("contrast", True), ("contrast, curriculum and phases off", False)):
        run = GoRun(name=f"go-{name.replace(', ', '-').replace(' ', '-')}-{seed}", data="swissprot", seed=seed, epochs=epochs, encoder=encoder, summary=False, attribution=0.0, entropy=0.0, curriculum=on, phases=on)
        score = train_contrast(run, rows_of, say)
        raw = [score(ids, seen) for ids in (valid, test)]
        curve = LogisticRegression().fit(raw[0].reshape(-1, 1), shown.ravel())
        probability[name] = [curve.predict_proba(x.reshape(-1, 1))[:, 1].reshape(x.shape).astype(np.float32) for x in raw]
        unseen[name] = torch.from_numpy(score(test, hidden)).sigmoid().numpy()
    probability["both"] = [(a + b) / 2 for a, b in zip(probability["perceptron"], probability["contrast"])]
    count_T = np.asarray(known.truth_MT.sum(0)).ravel()
    often_T, scores = (count_T / known.truth_MT.shape[0]).astype(np.float32), {}
    for name, (for_valid, for_test) in probability.items():
        for_valid, for_test = (prepared.ontology.propagate(x, seen) for x in (for_valid, for_test))
        mixture = learn_mixture(shown, for_valid, for_valid, often_T, space_T[seen], (0.0,))
        scores[name] = prepared.ontology.propagate(mixture.mix(for_test, for_test, often_T, space_T[seen]), seen)
    component_N = prepared.table.component.to_numpy()[prepared.at("test")]
    pairs = [(name, "perceptron") for name in scores if name != "perceptron"] + [("contrast", "contrast, curriculum and phases off")]
    known_terms = compare_models(asked, scores, space_T[seen], count_T, component_N, pairs, 60, seed).assign(question="unseen proteins")
    pairs = [(name, "perceptron by text") for name in unseen if name != "perceptron by text"]
    new_terms = compare_models(hidden_truth[:, hidden_truth.any(0)], unseen, space_T[hidden], np.zeros(len(hidden)), component_N, pairs, 60, seed)
    return pd.concat([known_terms, new_terms.assign(question="both")]).assign(seed=seed, epochs=epochs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    parser.add_argument("--epochs", type=int, default=12, help="of the contrastive system")
    parser.add_argument("--encoder", default="unirep-1900-bf16", help="whose summaries are read")
    given, tables = parser.parse_args(), []
    torch.set_num_threads(1)
    for seed in given.seeds:
        tables.append(measure(seed, given.epochs, given.encoder, lambda line: print(line[:140], flush=True)))
        write_table(RESULT, pd.concat(tables))
        print(tables[-1].query("metric in ['fmax', 'macro_aupr']")[["question", "namespace", "model", "metric", "value", "low", "high"]].round(3).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
