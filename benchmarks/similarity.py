"""Compare pairs of twins with `difflib` (autojunk off) and with this library's exact similarities, one core.

    python benchmarks/similarity.py [--pairs 2000]

Proteins of 100 to 800 residues. "twins" are pairs above the cut-off of 0.7, where nothing can be skipped; "a family" holds as many pairs below it,
as mining meets them. Times are processor time, medians of five rounds; difflib is timed on a sample. Every similarity at or above the cut-off is
compared with its definition: the share of equal positions, parasail's optimal alignment, or 2 LCS / (m + n) by dynamic programming. Writes
benchmarks/results/similarity.csv and similarity.md. Takes about three minutes.
"""
import argparse, difflib, os, time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from encoding import write
from protrek_nb.twins.similarity import Encoded, identity, pair_identity
from mining import AMINO, SHARE

CUT = 0.7


def protein(rng, length): return AMINO[rng.choice(20, length, p=SHARE / SHARE.sum())].tobytes().decode()


def relative(seq, rng, share, indels):
    "Substitute a share of the residues; insert or delete a few stretches of one to four."
    out = [x if rng.random() > share else protein(rng, 1) for x in seq]
    for _ in range(indels):
        at, size = int(rng.integers(len(out))), int(rng.integers(1, 5))
        out = out[:at] + list(protein(rng, size)) + out[at:] if rng.random() < .5 else out[:at] + out[at + size:]
    return "".join(out)


def draw(kind, n, rng):
    "Draw n pairs: rows of the first and second sequence in a list of sequences. Half of a family lies below the cut-off."
    anchors = [protein(rng, int(m)) for m in rng.integers(100, 800, max(4, n // 64))]
    owner = rng.integers(0, len(anchors), n)
    near = np.ones(n, bool) if kind.startswith("twins") else np.arange(n) % 2 == 0
    share = np.where(near, rng.uniform(.02, .15, n), rng.uniform(.4, .7, n))
    others = [relative(anchors[k], rng, s, 0 if kind.endswith("equal length") else 3) for k, s in zip(owner, share)]
    return anchors + others, owner, len(anchors) + np.arange(n)


def cpu(function, rounds=5):
    "Median processor time of a call."
    took = []
    for _ in range(rounds):
        start = time.process_time(); function(); took.append(time.process_time() - start)
    return float(np.median(took))


def lcs(a, b):
    "Length of the longest common subsequence, row by row."
    row = np.zeros(len(b) + 1, int)
    for x in a:
        diagonal = row[:-1] + (np.frombuffer(b.encode(), "S1") == x.encode())
        row[1:] = np.maximum.accumulate(np.maximum(diagonal, row[1:]))
    return int(row[-1])


def definition(a, b, method):
    "The similarity as it is defined."
    if method == "position": return sum(x == y for x, y in zip(a, b)) / len(a)
    if method == "lcs": return 2 * lcs(a, b) / (len(a) + len(b))
    return identity(a, b, "alignment")  # parasail, one pair at a time


def compare(kind, method, n, sample, rng):
    "Time one method on one kind of pairs."
    sequences, i, j = draw(kind, n, rng)
    encoded = Encoded(sequences)
    pair_identity(encoded, i[:4], j[:4], method, CUT)  # compile before the clock starts
    ours, found = cpu(lambda: pair_identity(encoded, i, j, method, CUT)) / n, pair_identity(encoded, i, j, method, CUT)
    some = rng.choice(n, sample, replace=False)
    theirs = cpu(lambda: [difflib.SequenceMatcher(None, sequences[i[k]], sequences[j[k]], False).ratio() for k in some], rounds=1) / sample
    true = np.array([definition(sequences[i[k]], sequences[j[k]], method) for k in some])
    assert np.allclose(found[some], np.where(true >= CUT, true, 0), atol=1e-12), (kind, method)
    return {"pairs": kind, "similarity": method, "n": n, "at or above 0.7": round(float((found > 0).mean()), 3), "difflib, us": round(theirs * 1e6), "ours, us": round(ours * 1e6, 2), "ratio": round(theirs / ours)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--sample", type=int, default=64, help="pairs that difflib is timed on, and that are compared with the definition")
    args = parser.parse_args()
    cases = [("twins, equal length", "position"), ("twins, unequal length", "alignment"), ("twins, unequal length", "lcs"),
             ("a family, equal length", "position"), ("a family, unequal length", "alignment"), ("a family, unequal length", "lcs")]
    rows = [compare(kind, method, args.pairs, args.sample, np.random.default_rng(k)) for k, (kind, method) in enumerate(cases)]
    write("similarity", "Similarity of pairs against difflib", pd.DataFrame(rows),
          "difflib.SequenceMatcher(None, a, b, autojunk=False).ratio() against `pair_identity` with the cut-off 0.7, processor time of a pair. "
          "A sample of each row was compared with the definition: no difference.")


if __name__ == "__main__":
    main()
