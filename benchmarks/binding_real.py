"""Train on real chains of four ions and judge the published test chains beside rivals; writes benchmarks/results/binding_real.csv.

    python benchmarks/binding_real.py [--seeds 1 2 3]

Each run is `papermill nbs/10_binding.ipynb out.ipynb -p data metal -p seed 1`: UniRep reads each chain once, a small network on its rows and letters learns all ions, one model
for each of three folds, and the three together, mixed with the neighbours' labels, predict the test chains. Training chains that are relatives of another ion's test chains have left.
The weights of UniRep are fetched once (`python -m protrek_nb.models.weights unirep`). Settings were chosen on validation chains, never on test chains.
"""
import argparse, time

import pandas as pd
import torch

from protrek_nb.binding import BindingRun, fit
from protrek_nb.core import project_path, read_json, write_table

RESULTS = project_path("benchmarks", "results", "binding_real.csv")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given, rows = parser.parse_args(), []
    torch.set_num_threads(1)
    for seed in given.seeds:
        start = time.process_time()
        run_dir = fit(BindingRun(name=f"binding-metal-{seed}", data="metal", seed=seed), lambda line: print(line[:120], flush=True))
        certificate = read_json(run_dir.certificate_path)
        counted = dict(seed=seed, left_out=len(certificate["left_out"]), test_with_relatives=certificate["test_with_relatives"], cpu_minutes=round((time.process_time() - start) / 60))
        rows += [dict(**counted, **row) for row in read_json(run_dir.metrics_path)["sites"]]
        write_table(RESULTS, pd.DataFrame(rows))
    table = pd.DataFrame(rows).query("metric == 'auprc'")
    print(table[["seed", "question", "ion", "model", "value", "low", "high"]].round(3).to_string(index=False))


if __name__ == "__main__":
    main()
