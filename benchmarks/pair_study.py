"""Change one thing at a time in the pair classifier; write one row for each run to benchmarks/results/pair_runs.csv, and a table of changes.

    python benchmarks/pair_study.py --seeds 1 2 3 4 5 --epochs 20

A seed decides the negatives, the split, the weights and the batches; every change meets the same worlds. `--data swine` runs on real isolates.
Also measured: an epoch of training on cached vectors against one that computes the vectors of its proteins again.
"""
import argparse

import torch

from protrek_nb.core import project_path, write_table
from protrek_nb.pairs import CHANGES, REFERENCE, cache_gain, change_table, protocol, PairRun
from dataclasses import replace
from encoding import write

RESULT = project_path("benchmarks", "results", "pair_runs.csv")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--changes", nargs="+", default=list(CHANGES))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--data", default="toy")
    parser.add_argument("--split", default="cluster")
    parser.add_argument("--encoder", default="letters")
    given = parser.parse_args()
    torch.set_num_threads(1)
    base = replace(REFERENCE, data=given.data, split=given.split, encoder=given.encoder, epochs=given.epochs)
    table = protocol(given.seeds, base, {name: CHANGES[name] for name in given.changes}, report=lambda line: print(line, flush=True))
    write_table(RESULT, table)
    gain = cache_gain(PairRun(data=given.data, encoder="data/toy_base" if given.encoder == "letters" else given.encoder))
    write("pair_study", "One change at a time in the pair classifier", change_table(table), f"Data {given.data}, split by {given.split}, encoder {given.encoder}, {given.epochs} epochs, seeds "
          f"{', '.join(map(str, given.seeds))}: test scores, mean with 95 % interval over seeds; a change is against the reference on the same seeds. An epoch on cached vectors takes {gain['cached']:.2f} s, one that "
          f"computes them again {gain['again']:.1f} s: {gain['ratio']:.0f} times as long. The runs are in `pair_runs.csv`.")


if __name__ == "__main__":
    main()
