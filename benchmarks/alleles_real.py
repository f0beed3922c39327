"""Alleles of beta-lactamases: train on all families but one and test on that one, and on unseen alleles of all families.

    python benchmarks/alleles_real.py --seeds 1 2 3

Writes one row for each family, model and metric of each run to benchmarks/results/alleles.csv. The alleles are looked for where `protrek_nb.data.sources` says;
the vectors of UniRep are computed once and kept.
"""
import argparse

import pandas as pd

from protrek_nb.core import project_path, read_json, write_table
from protrek_nb.runs import fit
from protrek_nb.train import TrainRun

RESULT = project_path("benchmarks", "results", "alleles.csv")
FAMILIES = ("", "SHV", "TEM", "GES", "KPC", "CTX-M")  # "": unseen alleles of seen families


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--families", nargs="*", default=FAMILIES)
    parser.add_argument("--base", default="auto", help="model folder; auto: two encoders whose heads were not trained")
    given, rows = parser.parse_args(), []
    for seed in given.seeds:
        for family in given.families:
            run = TrainRun(name=f"alleles-{family or 'all'}-{seed}", data="lactamases", test_family=family, seed=seed, base=given.base)
            metrics = read_json(fit(run, lambda line: None).metrics_path)
            rows += [dict(test=family or "unseen alleles", seed=seed, **record) for record in metrics["alleles"]]
            write_table(RESULT, pd.DataFrame(rows))
            print(f"{run.name}: done", flush=True)


if __name__ == "__main__":
    main()
