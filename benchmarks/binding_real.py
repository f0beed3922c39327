"""Train on real chains of four ions and judge the published test chains beside rivals; writes benchmarks/results/binding_real.csv and binding_chain.csv.

    python benchmarks/binding_real.py [--seeds 1 2 3]   # seeds that are not asked for keep their rows

Each run is `papermill nbs/10_binding.ipynb out.ipynb -p data metal -p seed 1`: UniRep reads each chain once, a small network on its rows and letters learns all ions, one model
for each of three folds, and the mean of the three, mixed with the labels of aligned training chains, predicts the test chains. Training chains that are relatives of another ion's
test chains have left. The weights of UniRep are fetched once (`python -m protrek_nb.models.weights unirep`). Settings were chosen on one fold of the training chains with seed 1,
never on test chains. binding_chain.csv holds one zinc test chain as seed 1 predicts it: of the chains with four to eight known residues and at most 300 letters the one
in the middle, ordered by AUPRC. A run takes about eight minutes of one core, and the first one eight more, for UniRep.
"""
import argparse, time

import pandas as pd
import torch

from protrek_nb.binding import MODELS, BindingRun, fit, read_chains
from protrek_nb.core import project_path, read_json, read_table, write_table
from protrek_nb.metrics.residues import recall_areas

RESULTS, CHAIN = (project_path("benchmarks", "results", name) for name in ("binding_real.csv", "binding_chain.csv"))


def typical_chain(long, chains):
    "Choose the zinc test chain in the middle, and lay what all models say of its residues beside its letters and labels."
    zinc, areas = long[(long.question == "test") & (long.ion == "ZN")], {}
    for chain_id, part in zinc.groupby("chain_id"):
        if 4 <= part.label.sum() <= 8 and len(part) <= 300: areas[chain_id] = recall_areas(part.label, part.probability)[0, 0]
    chosen = sorted(areas, key=lambda id: (areas[id], id))[len(areas) // 2]
    part, sequence = zinc[zinc.chain_id == chosen], chains.sequence[(chains.chain_id == chosen) & (chains.ion == "ZN")].iloc[0]
    return part.assign(residue=list(sequence))[["chain_id", "ion", "position", "residue", "label", "threshold", *MODELS]].round(5)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = parser.parse_args()
    kept = read_table(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=["seed", "metric"])
    rows = kept[~kept.seed.isin(given.seeds)].to_dict("records")
    torch.set_num_threads(1)
    for seed in given.seeds:
        start, run = time.process_time(), BindingRun(name=f"binding-metal-{seed}", data="metal", seed=seed)
        run_dir = fit(run, lambda line: print(line[:120], flush=True))
        certificate = read_json(run_dir.certificate_path)
        counted = dict(seed=seed, left_out=len(certificate["left_out"]), test_with_relatives=certificate["test_with_relatives"], cpu_minutes=round((time.process_time() - start) / 60))
        rows += [dict(**counted, **row) for row in read_json(run_dir.metrics_path)["sites"]]
        write_table(RESULTS, pd.DataFrame(rows))
        if seed == 1: write_table(CHAIN, typical_chain(pd.read_parquet(run_dir.predictions_path), read_chains(run).query("part == 'test'")))
    table = pd.DataFrame(rows).query("metric == 'auprc'")
    print(table[["seed", "question", "ion", "model", "value", "low", "high"]].round(3).to_string(index=False))


if __name__ == "__main__":
    main()
