"""Do structures help to tell twins apart? Olfactory receptors by their sequence, by their 3Di string, and by both, with the same regressions.

    python benchmarks/structure.py --seeds 20

Writes benchmarks/results/structure.csv. Each seed deals the receptors anew. The rows of all seeds are pooled, and receptors are drawn for the intervals: a pair that
is in the tests of several seeds is no new evidence. `shuffled` gives each receptor the 3Di string of another one. The receptors are looked for where
`protrek_nb.data.sources` says.
"""
import argparse

import numpy as np
import pandas as pd

from protrek_nb.core import project_path, write_table
from protrek_nb.data.checks import letter_codes
from protrek_nb.metrics.cafa import kmer_counts
from protrek_nb.metrics.intervals import percentile_interval, product_means
from protrek_nb.models.aligned import KINDS, AlignedResidues, make_frame
from protrek_nb.twinbench.judge import ask, judge, questions
from protrek_nb.twinbench.residues import column_numbers
from protrek_nb.twinbench.rivals import fit_ridge
from protrek_nb.twinbench.tracks import open_track
from protrek_nb.twins.similarity import align

RESULT = project_path("benchmarks", "results", "structure.csv")
TASKS = dict(one_way="pairs", group="pairs", own_text="proteins")


def words(train, structure_of):
    "Counts of words of three letters, of those that the training proteins have: of the sequence, and of the 3Di string."
    def counts(strings_of):
        seen_D = kmer_counts([strings_of(s) for s in train.sequence], 3).sum(0) > 0
        return lambda sequences: kmer_counts([strings_of(s) for s in sequences], 3)[:, seen_D].toarray()
    return dict(sequence=counts(lambda s: s), structure=counts(structure_of.get))


def columns(train, structure_of):
    "Letters of residues in aligned columns, and the 3Di letters of the same residues; those that vary in training."
    part = AlignedResidues(make_frame(train.sequence.tolist(), train.family.tolist(), changes=False), 1)
    def letters(sequences):
        numbered_NC = np.stack([column_numbers(part.frame, s, letter_codes(structure_of[s].upper()) + 1) for s in sequences])[:, :-1]
        out_NC = np.where(numbered_NC, numbered_NC - 1, KINDS - 1)  # no residue: a gap
        return (out_NC[:, :, None] == np.arange(KINDS)).reshape(len(sequences), -1).astype(np.float32)
    varies = letters(train.sequence.tolist()).std(0) > 0
    return dict(sequence=lambda s: part.features(s)[0][:, :-1], structure=lambda s: letters(s)[:, varies])


def structure_identity(pairs, structure_of):
    "Share of aligned residues of each pair that have the same 3Di letter."
    out = []
    for a, b in zip(pairs.anchor_seq, pairs.hard_neg_seq):
        strings, same = [iter(structure_of[s]) for s in (a, b)], []
        for letters in zip(*align(a, b)):
            mine = [next(string) if letter != "-" else None for letter, string in zip(letters, strings)]
            if None not in mine: same.append(mine[0] == mine[1])
        out.append(np.mean(same))
    return np.array(out)


def models(track, seed):
    "Regressions by what they look at."
    table = track.data.table
    other = np.random.default_rng(seed).permutation(table.structure_3di)
    real, shuffled = (dict(zip(table.sequence, strings)) for strings in (table.structure_3di, other))
    for name, make in (("3-mer ridge", words), ("aligned ridge", columns)):
        looks = make(track.train, real)
        moved = make(track.train, shuffled)["structure"] if make is words else None
        both = {"both": looks["structure"]} | ({"both, shuffled": moved} if moved else {})
        looks |= {k: lambda s, second=second: np.hstack([looks["sequence"](s), second(s)]) for k, second in both.items()}
        for look, represent in looks.items(): yield (name, look), fit_ridge(represent, track.train)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="1 to this number")
    given, found = parser.parse_args(), {}
    for seed in range(1, given.seeds + 1):
        track = open_track("receptors", seed)
        asked = questions(track)
        alike = structure_identity(track.pairs, dict(zip(track.test.sequence, track.test.structure_3di)))
        for key, score in models(track, seed):
            judged = judge(track, asked, ask(score, asked, " ".join(key)))
            proteins = judged.proteins.assign(unit=track.test.protein_id.to_numpy(), seed=seed)
            pairs = judged.pairs.assign(seed=seed, structure_similarity=alike)
            for kind, table in (("pairs", pairs), ("proteins", proteins)): found.setdefault((kind, *key), []).append(table)
        print(f"seed {seed}: {len(track.pairs)} twins, {len(track.test)} receptors", flush=True)
    found, records = {key: pd.concat(tables, ignore_index=True) for key, tables in found.items()}, []
    for task, kind in TASKS.items():
        tables = {key[1:]: table for key, table in found.items() if key[0] == kind}
        first = next(iter(tables.values()))
        units = [first[c].to_numpy() for c in (("anchor_id", "hard_neg_id") if kind == "pairs" else ("unit",))]
        value_RK = np.stack([table[task].to_numpy() for table in tables.values()], 1)
        mean_SK, keys = product_means(value_RK, units, 2000), list(tables)
        mean_SK = mean_SK[~np.isnan(mean_SK).any(1)]
        for k, key in enumerate(keys):
            base = keys.index((key[0], "sequence"))
            value = percentile_interval(value_RK[:, k].mean(), mean_SK[:, k])
            gain = percentile_interval((value_RK[:, k] - value_RK[:, base]).mean(), mean_SK[:, k] - mean_SK[:, base])
            by_seed = pd.Series(value_RK[:, k] - value_RK[:, base]).groupby(first.seed).mean()
            records.append(dict(task=task, model=key[0], sees=key[1], **value._asdict(), gain=gain.value, gain_low=gain.low, gain_high=gain.high,
                                seeds_above=int((by_seed > 0).sum()), seeds=given.seeds, rows=len(first), units=len({*np.concatenate(units)}),
                                different=len(first.drop_duplicates(first.columns[:2].tolist() if kind == "pairs" else ["unit"]))))
    twins = next(table for key, table in found.items() if key[0] == "pairs")
    alike = twins[["seq_similarity", "structure_similarity"]].mean().rename(dict(seq_similarity="sequence_identity", structure_similarity="structure_identity"))
    table = pd.DataFrame(records).assign(**alike)
    write_table(RESULT, table.round(4))
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()
