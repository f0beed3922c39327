"""Train on real chains of four ions, shared weights, and judge the published test chains beside the one-hot window; writes benchmarks/results/binding_real.csv.

    python benchmarks/binding_real.py [--seeds 1 2]

A small backbone reads the masked letters of the training chains first, then learns all ions at once; the folds' models together predict the test chains. Training chains
that are relatives of another ion's test chains have left. Settings were chosen on the chains
of one fold, never on test chains: a plain cross-entropy on the score of the prototypes does best where so little is known of a chain.
"""
import argparse, time
from dataclasses import replace

import pandas as pd
import torch

from protrek_nb.binding import BindingRun, fit
from protrek_nb.core import project_path, read_json, write_table

RUN = BindingRun(data="metal", ion="ZN+CA+MG+MN", epochs=6, mlm_epochs=1, num_variants=1, contrast=0.0, prototype=0.0, mlm=0.0, label_smoothing=0.0, folds=4, learning_rate=2e-3, weight_decay=0.05, dropout=0.3)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    given, rows = parser.parse_args(), []
    torch.set_num_threads(1)
    for seed in given.seeds:
        start = time.process_time()
        run_dir = fit(replace(RUN, name=f"binding-metal-{seed}", seed=seed), lambda line: print(line[:120], flush=True))
        certificate = read_json(run_dir.certificate_path)
        rows += [dict(seed=seed, left_out=len(certificate["left_out"]), test_with_relatives=certificate["test_with_relatives"], cpu_minutes=round((time.process_time() - start) / 60), **row) for row in read_json(run_dir.metrics_path)["sites"]]
        write_table(project_path("benchmarks", "results", "binding_real.csv"), pd.DataFrame(rows))
    table = pd.DataFrame(rows).query("metric == 'auprc'")
    print(table[["seed", "question", "ion", "model", "value", "low", "high"]].round(3).to_string(index=False))


if __name__ == "__main__":
    main()
