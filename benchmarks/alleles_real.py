"""Alleles of beta-lactamases: train on all families but one and test on that one, and on unseen alleles of all families.

    python benchmarks/alleles_real.py --seeds 1 2 3

Each run is `papermill nbs/05_train.ipynb out.ipynb -p data lactamases -p test_family SHV -p seed 1`. Writes one row for each family, model and metric of each run to
benchmarks/results/alleles.csv, and for each allele of SHV what the base and the tuned model say of it to alleles_shv.csv (first seed). The alleles are looked for where
`protrek_nb.data.sources` says; the vectors of UniRep are computed once and kept.
"""
import argparse

import pandas as pd
from safetensors.numpy import load_file

from protrek_nb.core import project_path, read_json, read_table, write_table
from protrek_nb.data.sources import read_lactamases
from protrek_nb.runs import fit
from protrek_nb.studies.twins import ambler_changes
from protrek_nb.train import TrainRun

RESULTS = project_path("benchmarks", "results")
FAMILIES = ("", "SHV", "TEM", "GES", "KPC", "CTX-M")  # "": unseen alleles of seen families
TEXTS = ("Extended-spectrum class A beta-lactamase.", "Broad-spectrum class A beta-lactamase.")


def margins(run_dir):
    "For each test allele, how much nearer the first of TEXTS is than the second, before and after training."
    vectors, strings = load_file(run_dir.path / "embeddings.safetensors"), read_json(run_dir.path / "strings.json")
    texts = [strings["text"].index(t) for t in TEXTS]
    score = {m: vectors[f"{m}.sequence"] @ vectors[f"{m}.text"][texts].T for m in ("base", "tuned")}
    return pd.DataFrame(dict(sequence=strings["sequence"], **{m: s[:, 0] - s[:, 1] for m, s in score.items()}))


def shv_table(run_dir):
    "One row for each allele of SHV: its phenotype, its changes by Ambler's numbers, and both margins."
    table = read_lactamases()
    out = table[table.family == "SHV"].merge(margins(run_dir), on="sequence")
    out["changes"] = ambler_changes(out.sequence.tolist(), table.sequence[table.family == "TEM"].tolist())
    return out[["protein_id", "gene", "labels", "changes", "base", "tuned"]].sort_values("tuned")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--families", nargs="*", default=FAMILIES)
    parser.add_argument("--base", default="auto", help="model folder; auto: two encoders whose heads were not trained")
    parser.add_argument("--more", action="store_true", help="keep the rows of other seeds and families that are there")
    given, kept = parser.parse_args(), RESULTS / "alleles.csv"
    rows = read_table(kept).to_dict("records") if given.more and kept.exists() else []
    for seed in given.seeds:
        for family in given.families:
            run = TrainRun(name=f"alleles-{family or 'all'}-{seed}", data="lactamases", test_family=family, seed=seed, base=given.base)
            run_dir, test = fit(run, lambda line: None), family or "unseen alleles"
            rows = [row for row in rows if (row["test"], row["seed"]) != (test, seed)]
            rows += [dict(test=test, seed=seed, **record) for record in read_json(run_dir.metrics_path)["alleles"]]
            write_table(kept, pd.DataFrame(rows))
            if family == "SHV" and seed == given.seeds[0]: write_table(RESULTS / "alleles_shv.csv", shv_table(run_dir).round(4))
            print(f"{run.name}: done", flush=True)


if __name__ == "__main__":
    main()
