"""A few ratios of speed in five minutes: has a change made something slow?

    python benchmarks/quick.py [--rounds 5] [--keep]

Each question runs this library and what a user would otherwise take in turns on one core, as often as there are rounds; a ratio is the geometric mean over rounds of their processor times, with the 95 % t interval
of the logarithms. It is compared with the ratio in benchmarks/results/quick.csv that was kept on a processor with the same instructions: the command fails where the interval lies more than a tenth below the lower
end of the kept one. `--keep` writes the table; on a processor without a kept ratio nothing can fail. The large runs (`make bench`) say how fast the library is; this says only that it has not become slower.
"""
import argparse, os, sys, warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
warnings.filterwarnings("ignore")

import difflib

import numpy as np
import pandas as pd

from encoding import RESULTS, both_models, plain_encode, simulate, triplets

KEPT, LEAST = RESULTS/"quick.csv", 0.9


def similarities(method, kind, n=400, sample=12):
    "Pairs against difflib, autojunk off."
    from protrek_nb.twins.similarity import Encoded, pair_identity
    from similarity import CUT, draw
    sequences, i, j = draw(kind, n, np.random.default_rng(1))
    encoded = Encoded(sequences)
    ours = lambda: pair_identity(encoded, i, j, method, CUT)
    theirs = lambda: [difflib.SequenceMatcher(None, sequences[i[k]], sequences[j[k]], False).ratio() for k in range(sample)]
    return repeated(ours, 20), theirs, 20 * n / sample


def repeated(work, n):
    "Do something often, where once would be too short to time."
    def many():
        for _ in range(n): work()
    return many


def encoding(rows=4):
    "Triplets of the published 35M shapes against one row at a time."
    import torch
    parts, model, tokenizers = both_models()
    seqs, negatives, texts = triplets(rows, "no repeats")
    def theirs():
        with torch.no_grad(): [plain_encode(parts, tokenizers, kind, [s]) for kind, strings in (("sequence", seqs + negatives), ("text", texts)) for s in strings]
    return lambda: (model.get_protein_repr(seqs + negatives), model.get_text_repr(texts)), theirs, 1


def exact_search(n=40_000):
    "A query against faiss flat."
    import faiss
    from protrek_nb.search import best_rows, make_codes
    from search import D, K, families
    rows_ND = families(n, 1).astype(np.float16)
    codes, index = make_codes(rows_ND), faiss.IndexFlatIP(D)
    index.add(rows_ND.astype(np.float32))
    query_1D = families(1, 2)
    assert set(best_rows(rows_ND, query_1D, K, codes=codes)[0][0]) == set(index.search(query_1D, K)[1][0])
    return repeated(lambda: best_rows(rows_ND, query_1D, K, codes=codes), 20), repeated(lambda: index.search(query_1D, K), 20), 1


QUESTIONS = {
    "identity, equal lengths, to difflib": lambda: similarities("position", "twins, equal length"),
    "alignment identity at 0.7, to difflib": lambda: similarities("alignment", "a family, unequal length"),
    "LCS ratio, to difflib": lambda: similarities("lcs", "twins, unequal length"),
    "encoding 35M shapes, to one row at a time": encoding,
    "exact search, to faiss flat": exact_search,
}


def in_turns(ours, theirs, scale, rounds):
    "Run both in turns after one run of each: (ratio, low, high)."
    from protrek_nb.metrics.intervals import seed_interval
    from similarity import cpu
    ours()
    return np.exp(seed_interval(np.log([scale * cpu(theirs, 1) / cpu(ours, 1) for _ in range(rounds)])))


def instructions():
    "Name what ratios depend on most: the widest instructions of this processor."
    import torch
    return torch.backends.cpu.get_cpu_capability()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="write the ratios as those to compare with")
    given, here = parser.parse_args(), instructions()
    import torch
    torch.set_num_threads(1)
    kept = pd.read_csv(KEPT) if KEPT.exists() else pd.DataFrame(columns=["processor", "question", "low"])
    known, rows, slow = kept[kept.processor == here].set_index("question").low, [], []
    for question, make in QUESTIONS.items():
        ratio, low, high = in_turns(*make(), given.rounds)
        rows.append(dict(processor=here, question=question, ratio=round(ratio, 2), low=round(low, 2), high=round(high, 2), rounds=given.rounds))
        print(f"{question}: {ratio:,.2f} ({low:,.2f} to {high:,.2f}), kept: {known.get(question, 'none')}", flush=True)
        if high < LEAST * known.get(question, 0): slow.append(question)
    if given.keep: pd.concat([kept[kept.processor != here], pd.DataFrame(rows)]).to_csv(KEPT, index=False)
    elif slow: sys.exit(f"slower than before, by more than a tenth beyond the interval: {'; '.join(slow)}")


if __name__ == "__main__":
    main()
