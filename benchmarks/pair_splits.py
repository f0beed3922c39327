"""Pairs under each split, with every control; write one row for each model and metric to benchmarks/results/pair_splits.csv.

    python benchmarks/pair_splits.py --seeds 1 2 3

The toy isolates, with cross-attention over residues. Swine influenza: HA and NA of one isolate or not; negatives drawn freely, as in the reference, and negatives whose sides agree in all metadata. Yeast interactions of PIPR and D-SCRIPT: rows at
random, as PIPR was published, next to a split along clusters of relatives. The head on these is a perceptron on frozen vectors. Human interactions with the strict split of
Bernett et al., by the recipe of `-p data bernett`. Where a head passes 0.70 on a split that shares nothing, the audit is kept in
pair_audit.csv.
"""
import argparse, time

import pandas as pd
import torch

from ablation import in_processes
from protrek_nb.core import project_path, read_json, read_table, write_table
from protrek_nb.pairs import PairRun, fit

RESULTS = project_path("benchmarks", "results")
WAYS = [("random", 0.97), ("isolate", 0.97), ("time", 0.97), ("cluster", 0.99), ("cluster", 0.97)]
PERCEPTRON = dict(head="mlp", kinds="concat,difference,product", learning_rate=1e-3, dropout=0.2)
CASES = [("toy", "all", way, 0.5) for way in ("random", "cluster")] + [("swine", match, way, most) for match in ("", "all") for way, most in WAYS] + [(data, "", way, 0.4) for data in ("pipr", "dscript") for way in ("random", "cluster")] + [("bernett", "", "published", 0.4)]


def measure(case, seed, encoder):
    "Train one head and judge it beside the controls; give its rows."
    torch.set_num_threads(1)
    (data, match, split, most), start = case, time.process_time()
    asked = {} if data in ("toy", "bernett") else dict(PERCEPTRON, encoder=encoder)
    run = PairRun(name=f"pairs-{data}-{match or 'free'}-{split}-{most}-{seed}", data=data, match=match, split=split, max_identity=most, seed=seed, **asked)
    run_dir = fit(run, lambda line: None)
    metrics, certificate = read_json(run_dir.metrics_path), read_json(run_dir.certificate_path)
    key = dict(data=data, negatives="matched" if match else "given" if data in ("pipr", "dscript", "bernett") else "free", split=split, max_identity=most, encoder=run.encoder, seed=seed)
    shared = dict(clean=certificate["clean"], similar=certificate["between"].get("train-test", {}).get("relative", 0), seconds=round(time.process_time() - start))
    return [dict(**key, **row, **shared) for row in metrics["judged"]], [dict(**key, **row) for row in metrics["audit"]]


def others(name, data):
    "Read the rows of data that are not measured now."
    path = RESULTS / f"{name}.csv"
    return [row for row in read_table(path).to_dict("records") if row["data"] not in data] if path.exists() else []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--data", nargs="+", default=["toy", "swine", "pipr", "dscript", "bernett"])
    parser.add_argument("--encoder", default="letters", help="of real proteins: letters, or folder or hub name of an ESM or ProTrek checkpoint")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    given = parser.parse_args()
    judged, audits = (others(name, given.data) for name in ("pair_splits", "pair_audit"))
    cases = [(case, seed, given.encoder) for case in CASES if case[0] in given.data for seed in given.seeds]
    for case, (rows, audit) in in_processes(measure, cases, given.workers):
        judged, audits = [*judged, *rows], [*audits, *audit]
        print(case, {r["model"]: round(r["value"], 3) for r in rows if r["metric"] == "auc"}, f"{rows[0]['seconds']} s", flush=True)
        for name, found in (("pair_splits", judged), ("pair_audit", audits)):
            if found: write_table(RESULTS / f"{name}.csv", pd.DataFrame(found).sort_values(["data", "negatives", "split", "max_identity", "seed"], kind="stable"))


if __name__ == "__main__":
    main()
