"""Train the second system on Swiss-Prot annotations with experimental evidence; write its metrics and those of its rivals to benchmarks/results/go_real.csv,
and its gain by the distance of the nearest relative to go_distances.csv.

    python benchmarks/go_real.py            # three seeds
    python benchmarks/go_real.py RUN ...    # only lay out finished run folders

Each run is that of `papermill nbs/08_go.ipynb out.ipynb -p data swissprot` with another seed, and 60 replicates of the bootstrap: UniRep summaries, proteins split by relatives, terms held out whole.
"""
import sys
from pathlib import Path

import pandas as pd

from protrek_nb.core import project_path, read_json, write_table
from protrek_nb.go import GoRun, fit

SEEDS = (42, 43, 44)


def rows(folder) -> pd.DataFrame:
    "Lay the numbers of a run under each other, with the shares of its mixtures."
    metrics, params = (read_json(Path(folder) / name) for name in ("metrics.json", "params.json"))
    table = pd.DataFrame(metrics["namespaces"]).assign(seed=params["params"]["seed"])
    shares = lambda model, space: metrics["shares"].get(model, {}).get(space, (None, None))
    pairs = [shares(*pair) for pair in zip(table.model, table.namespace)]
    return table.assign(relative_share=[p[0] for p in pairs], frequency_share=[p[1] for p in pairs])


def main(folders):
    folders = folders or [fit(GoRun(data="swissprot", seed=seed, replicates=60, name=f"go-swissprot-{seed}")).path for seed in SEEDS]
    table = pd.concat(map(rows, folders), ignore_index=True)
    distances = [pd.DataFrame(read_json(Path(f) / "metrics.json")["distances"]).assign(seed=read_json(Path(f) / "params.json")["params"]["seed"]) for f in folders]
    write_table(project_path("benchmarks", "results", "go_distances.csv"), pd.concat(distances, ignore_index=True))
    write_table(project_path("benchmarks", "results", "go_real.csv"), table)
    print(table[table.metric.isin(["fmax", "macro_aupr"])][["seed", "question", "namespace", "model", "metric", "value", "low", "high"]].round(3).to_string(index=False))


if __name__ == "__main__":
    main(sys.argv[1:])
