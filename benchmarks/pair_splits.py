"""Pairs under each split, with every control; write one row for each model and metric to benchmarks/results/pair_splits.csv.

    python benchmarks/pair_splits.py --seeds 1 2 3

Every data set is run by its recipe (`-p data NAME`); only the split changes. Toy isolates: cross-attention over residues. Swine influenza: HA and NA of one isolate or not; negatives drawn freely, as in the
reference, and negatives whose sides agree in all metadata. Yeast interactions of PIPR and D-SCRIPT: rows at random, as PIPR was published, next to a split along clusters of relatives. Human interactions with
the strict split of Bernett et al. `--encoder` puts another encoder in the place of the recipe's. What the head has more than each control, on the same draws, is in pair_gains.csv. Where a head passes 0.70 on a
split that shares nothing, the audit is kept in pair_audit.csv. Rows of the data sets that are not named stay as they are.
"""
import argparse, time

import pandas as pd
import torch

import protrek_nb.pairs as system
from ablation import in_processes
from protrek_nb.core import hash_table, project_path, read_json, read_table, write_table
from protrek_nb.pairs import PairRun, fit
from protrek_nb.pairs.controls import control_scores
from protrek_nb.splits.certificate import certify

RESULTS = project_path("benchmarks", "results")
WAYS = [("random", 0.97), ("isolate", 0.97), ("time", 0.97), ("cluster", 0.99), ("cluster", 0.97)]
CASES = [("toy", "all", way, 0.5) for way in ("random", "cluster")] + [("swine", match, way, most) for match in ("", "all") for way, most in WAYS] + [(data, "", way, 0.4) for data in ("pipr", "dscript") for way in ("random", "cluster")] + [("bernett", "", "published", 0.4)]


def certified(table, max_identity):
    "Certify a split; the proof of an earlier run on the same table is taken as it is, because a published split is the same for each seed."
    for path in project_path("reports", "runs").glob("pairs-*/certificate.json"):
        found = read_json(path)
        if (found["table_hash"], found["threshold"]) == (hash_table(table), max_identity): return found
    return certify(table, max_identity)


KNOWN = {}


def known_controls(pairs, seed):
    "Score the controls; on the same table again, such as a published split with another seed, give the first scores."
    key = hash_table(pairs)
    if key not in KNOWN:
        KNOWN.clear()
        KNOWN[key] = control_scores(pairs, seed)
    return KNOWN[key]


def measure(case, seed, encoder):
    "Train one head and judge it beside the controls; give its rows."
    torch.set_num_threads(1)
    system.certify, system.control_scores = certified, known_controls
    (data, match, split, most), start = case, time.process_time()
    run = PairRun(name=f"pairs-{data}-{match or 'free'}-{split}-{most}-{seed}", data=data, match=match, split=split, max_identity=most, seed=seed, encoder=None if data == "toy" else encoder)
    run_dir = fit(run, lambda line: print(line, flush=True) if "min left" in line else None)
    metrics, certificate = read_json(run_dir.metrics_path), read_json(run_dir.certificate_path)
    key = dict(data=data, negatives="matched" if match else "given" if data in ("pipr", "dscript", "bernett") else "free", split=split, max_identity=most, encoder=run.encoder, seed=seed)
    shared = dict(clean=certificate["clean"], similar=certificate["between"].get("train-test", {}).get("relative", 0), seconds=round(time.process_time() - start))
    return [[dict(**key, **row, **shared) for row in metrics["judged"]], *([dict(**key, **row) for row in metrics[name]] for name in ("audit", "gains"))]


def others(name, data):
    "Read the rows of data that are not measured now."
    path = RESULTS / f"{name}.csv"
    return [row for row in read_table(path).to_dict("records") if row["data"] not in data] if path.exists() else []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--data", nargs="+", default=["toy", "swine", "pipr", "dscript", "bernett"])
    parser.add_argument("--encoder", help="of real proteins: letters, unirep-1900-bf16, or folder or hub name of an ESM or ProTrek checkpoint; that of the recipe where it is not given")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    given = parser.parse_args()
    names = ("pair_splits", "pair_audit", "pair_gains")
    held = {name: others(name, given.data) for name in names}
    cases = [(case, seed, given.encoder) for case in CASES if case[0] in given.data for seed in given.seeds]
    for case, found in in_processes(measure, cases, given.workers):
        rows = found[0]
        print(case, {r["model"]: round(r["value"], 3) for r in rows if r["metric"] == "auc"}, f"{rows[0]['seconds']} s", flush=True)
        for name, part in zip(names, found):
            held[name] += part
            if held[name]: write_table(RESULTS / f"{name}.csv", pd.DataFrame(held[name]).sort_values(["data", "negatives", "split", "max_identity", "seed"], kind="stable"))


if __name__ == "__main__":
    main()
