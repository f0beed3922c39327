"""Does UniRep know which variants of a fluorescent protein shine? A published task of UniRep, on the variants of Sarkisyan et al. (2016); writes benchmarks/results/unirep_gfp.csv.

    python benchmarks/unirep_gfp.py --seeds 1 2 3

Each seed draws 4,000 variants. Ridge regression learns log brightness from 200 or 2,000 of them, and is judged by the rank correlation on the other 2,000. Inputs: the summary of UniRep, which of the
known substitutions are there, both, or only how many substitutions there are. The penalty is chosen by leave-one-out on the training variants. About eight minutes of one core.
"""
import argparse

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from protrek_nb.core import project_path, write_table
from protrek_nb.data.sources import gfp_changes, gfp_sequence, source_path
from protrek_nb.models.encoders import open_means

RESULT = project_path("benchmarks", "results", "unirep_gfp.csv")


def read_variants():
    "Read all variants without a stop, also those that are neither bright nor dark."
    table = pd.read_csv(source_path("avgfp_dms_brightness.tsv.gz"), sep="\t", keep_default_na=False)
    table = table[~table.aaMutations.str.contains(r"\*")].reset_index(drop=True)
    return table.assign(changes=table.aaMutations.map(gfp_changes), sequence=table.aaMutations.map(gfp_sequence)).drop_duplicates("sequence")


def inputs(table, known):
    "Describe variants in four ways; `known` are the substitutions of the training variants."
    place = {change: k for k, change in enumerate(known)}
    substitutions = np.zeros((len(table), len(place) + 1), np.float32)
    for row, changes in enumerate(table.changes):
        for change in changes: substitutions[row, place.get(change, len(place))] += 1
    store = open_means("unirep-1900-bf16", {s: s for s in table.sequence}, say=print)
    summary = np.array(store.get(table.sequence.tolist()), np.float32)
    return {"UniRep": summary, "substitutions": substitutions, "both": np.hstack([summary, substitutions]), "number of substitutions": substitutions.sum(1, keepdims=True)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given, rows, variants = parser.parse_args(), [], read_variants()
    for seed in given.seeds:
        drawn = variants.sample(4000, random_state=seed)
        test, bright = drawn.iloc[2000:], drawn.medianBrightness.to_numpy()
        for size in (200, 2000):
            train = drawn.iloc[:size]
            known = sorted({change for changes in train.changes for change in changes})
            given_test, given_train = inputs(test, known), inputs(train, known)
            for name in given_test:
                scale = StandardScaler().fit(given_train[name])
                model = RidgeCV(10.0 ** np.arange(-1, 7)).fit(scale.transform(given_train[name]), bright[:size])
                found = spearmanr(model.predict(scale.transform(given_test[name])), bright[2000:]).statistic
                rows.append(dict(seed=seed, training_variants=size, inputs=name, spearman=round(float(found), 4)))
    write_table(RESULT, pd.DataFrame(rows))
    print(pd.DataFrame(rows).pivot_table(index="inputs", columns="training_variants", values="spearman", aggfunc=["mean", "min", "max"]).round(3).to_string())


if __name__ == "__main__":
    main()
