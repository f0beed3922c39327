"""Which residues make an allele of SHV or TEM extended-spectrum, for models that never saw the family.

    python benchmarks/residues.py --seeds 1 2 3 4 5

Writes to benchmarks/results: residues.csv, a row for each extended-spectrum allele, ranking and seed (was a known determinant of the allele among the first five
places, and first among its own changes), and residues_places.csv, a row for each change of each allele (what the tuned model says of it, what the score loses when
this one residue is put back and the protein encoded again, how varied its column is; first seed). The alleles are looked for where `protrek_nb.data.sources` says; the vectors of
UniRep are computed once and kept.
"""
import argparse

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from transformers.trainer_utils import set_seed

from protrek_nb.core import project_path, write_table
from protrek_nb.data.sources import read_lactamases
from protrek_nb.data.tables import label_sets
from protrek_nb.models.aligned import KINDS, AlignedResidues
from protrek_nb.models.joined import recall_tower
from protrek_nb.train import load_base, recall_table
from protrek_nb.training.alleles import one_hot
from protrek_nb.twinbench.residues import (DETERMINANTS, ambler_numbers, changes_of, code_weights, column_numbers, first_alleles,
    letters_in, place_values, top_hits)
from protrek_nb.twinbench.tracks import open_track

RESULTS = project_path("benchmarks", "results")
TEXTS = ("Extended-spectrum class A beta-lactamase.", "Broad-spectrum class A beta-lactamase.")
WORDS = ("extended-spectrum", "broad-spectrum")
SHUFFLES = 4  # of the texts, for each seed


def tuned(track, seed):
    "The tuned model of the leaderboard, the table it learnt from, and its function of sequences: the first of TEXTS minus the second."
    run, table = track.run(seed=seed), track.data.table
    set_seed(seed)
    model, train = load_base(run, table), table[table.split == "train"].reset_index(drop=True)
    recall_table(model, table, True, lambda line: None, run.chosen.fixed)
    recall_tower(model, "text", TEXTS)
    said_ND = model.get_text_repr(train.text.tolist()).numpy()
    direction_D = np.subtract(*model.get_text_repr(list(TEXTS)).numpy())
    model.aligned.solve(train.sequence.tolist(), run.chosen.ridge * said_ND)
    def margin(sequences):
        recall_tower(model, "sequence", sequences)
        return model.get_protein_repr(sequences).numpy() @ direction_D
    return model, train, said_ND * run.chosen.ridge, direction_D, margin


def other_weights(part, entries, train):
    "Two regressions without a language model: weights of letters for the first of WORDS minus the second."
    said, x_ND = label_sets(train), one_hot(part.frame, train.sequence.tolist())
    has_NW = np.array([[w in words for w in WORDS] for words in said], np.float32)
    ridge = AlignedResidues(entries, 2)
    ridge.solve(train.sequence.tolist(), has_NW)
    varies, logistic_K = x_ND.std(0) > 0, np.zeros(part.frame.size)
    coef = [LogisticRegression(C=0.1, solver="liblinear").fit(x_ND[:, varies], has).coef_[0] for has in has_NW.T]
    logistic_K[: part.frame.letters][varies] = coef[0] - coef[1]
    return {"aligned ridge": code_weights(ridge, [1, -1]), "logistic regression": logistic_K}


def entropy(letter_NC):
    "Nats of the letters in each column."
    share_KC = np.stack([(letter_NC == k).mean(0) for k in range(KINDS)])
    return -(share_KC * np.log(np.where(share_KC > 0, share_KC, 1))).sum(0)


def measure(family, seed):
    "Rows of both tables for one family and seed; the second is None but for the first seed."
    track, alleles = open_track(family, seed), read_lactamases()
    model, train, wanted_ND, direction_D, margin = tuned(track, seed)
    part, parent = model.aligned, first_alleles(alleles)[family]
    numbers, places = ambler_numbers(parent, first_alleles(alleles)["TEM"]), None
    test = track.test[track.test.labels.str.contains(WORDS[0])].reset_index(drop=True)
    sequences, everybody = test.sequence.tolist(), track.test.sequence.tolist()
    number_C = column_numbers(part.frame, parent, numbers)
    letter_NC, parent_C = letters_in(part.frame, sequences), letters_in(part.frame, [parent])
    differ_NC, there_NC = letter_NC != parent_C, (letter_NC != KINDS - 1) | (parent_C != KINDS - 1)
    own_NC = differ_NC & np.isin(number_C, DETERMINANTS[family])
    def against(weight_K, reference): return place_values(part.frame, weight_K, sequences) - place_values(part.frame, weight_K, reference).mean(0)
    weight_K, learnt = code_weights(part, direction_D), train.sequence.tolist()
    rankings = {("tuned", "parent"): against(weight_K, [parent]), ("tuned", "family"): against(weight_K, everybody),
                ("tuned", "training"): against(weight_K, learnt)}
    rankings |= {(name, "parent"): against(w, [parent]) for name, w in other_weights(part, model.config.aligned, train).items()}
    varied_C = entropy(letters_in(part.frame, everybody)) + np.zeros_like(own_NC)
    rankings |= {("random", "none"): 0.0 * own_NC, ("changed places", "parent"): 1.0 * differ_NC,
                 ("most variable", "family"): varied_C, ("most conserved", "family"): -varied_C}
    rng = np.random.default_rng(seed)
    for k in range(SHUFFLES):
        part.solve(learnt, wanted_ND[rng.permutation(len(wanted_ND))])
        blind_K = code_weights(part, direction_D)
        rankings |= {("shuffled texts", "parent", k): against(blind_K, [parent]), ("shuffled texts", "family", k): against(blind_K, everybody),
                     ("shuffled texts", "training", k): against(blind_K, learnt)}
    part.solve(learnt, wanted_ND)
    if seed == 1:
        changed = {s: changes_of(s, parent, numbers) for s in everybody}
        asked = list(dict.fromkeys(t for s, each in changed.items() for t in (s, *(change[3] for change in each))))
        score, all_NC = dict(zip(asked, margin(asked))), place_values(part.frame, weight_K, everybody) - place_values(part.frame, weight_K, [parent])
        letters_NC, records, lost_NC = letters_in(part.frame, everybody), [], np.zeros_like(all_NC)
        for n, (sequence, gene, labels) in enumerate(track.test[["sequence", "gene", "labels"]].itertuples(index=False)):
            for number, old, new, back in changed[sequence]:
                at, lost = np.flatnonzero((number_C == number) & (letters_NC[n] != parent_C))[:1], score[sequence] - score[back]
                lost_NC[n, at] = lost
                record = dict(family=family, gene=gene, labels=labels, number=number, old=old, new=new, score=score[sequence], put_back=lost)
                records.append(record | dict(exact=all_NC[n, at[0]], varied=varied_C[0, at[0]]) if len(at) else record)
        rankings["put back", "parent"] = lost_NC[track.test.labels.str.contains(WORDS[0]).to_numpy()]
        places = pd.DataFrame(records)
    some_N = (differ_NC & ~own_NC).any(1)
    rows = []
    for (name, reference, *k), value_NC in rankings.items():
        top, first = top_hits(value_NC, own_NC, there_NC), top_hits(value_NC, own_NC & some_N[:, None], differ_NC, 1)
        rows.append(pd.DataFrame(dict(track=family, seed=seed, gene=test.gene, model=name, reference=reference, top5=top, first=first)))
    rows = pd.concat(rows).groupby(["track", "seed", "gene", "model", "reference"], sort=False, as_index=False)[["top5", "first"]].mean()
    return rows, places


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    given, rows, places = parser.parse_args(), [], []
    for seed in given.seeds:
        for family in DETERMINANTS:
            found, changed = measure(family, seed)
            rows.append(found)
            if changed is not None: places.append(changed)
            print(found.groupby(["track", "model", "reference"], sort=False)[["top5", "first"]].mean().round(3).to_string(), flush=True)
            write_table(RESULTS / "residues.csv", pd.concat(rows).round(4))
            if places: write_table(RESULTS / "residues_places.csv", pd.concat(places).round(5))


if __name__ == "__main__":
    main()
