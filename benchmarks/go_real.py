"""Train the second system on Swiss-Prot annotations with experimental evidence; write its metrics and those of the baselines to benchmarks/results/go_real.csv.

    python benchmarks/go_real.py

The run is that of `papermill nbs/08_go.ipynb out.ipynb -p data swissprot -p epochs 30 -p learning_rate 1e-3 -p replicates 100`: letters as encoder, words as texts, proteins split by relatives, terms held out whole.
"""
import pandas as pd

from protrek_nb.core import RunDir, project_path, read_json, write_table
from protrek_nb.go import GoRun, fit

RUN = GoRun(data="swissprot", epochs=30, learning_rate=1e-3, replicates=100, name="go-swissprot")


def rows(run_dir: RunDir) -> pd.DataFrame:
    "Lay the numbers of a run under each other: those of the three questions, in all and by namespace."
    metrics = read_json(run_dir.metrics_path)
    return pd.concat([pd.DataFrame(metrics["questions"]).assign(namespace="all"), pd.DataFrame(metrics["namespaces"])], ignore_index=True).assign(frequency_weight=lambda t: [metrics["frequency_weights"].get(m, {}).get(s) for m, s in zip(t.model, t.namespace)])


def main():
    table = rows(fit(RUN))
    write_table(project_path("benchmarks", "results", "go_real.csv"), table)
    print(table[table.metric.isin(["fmax", "macro_aupr"])][["question", "namespace", "model", "metric", "value", "low", "high"]].round(3).to_string(index=False))


if __name__ == "__main__":
    main()
