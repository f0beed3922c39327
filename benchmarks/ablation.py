"""What the studies share: runs in processes of their own, and a table of what each variant does."""
import argparse
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from protrek_nb.core import project_path, read_table, write_table
from protrek_nb.metrics.intervals import effect_table
from encoding import write


def in_processes(measure, cases, workers):
    "Run `measure(*case)` for each case, `workers` at a time; give (case, result) as they end."
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        jobs = {pool.submit(measure, *case): case for case in cases}
        for job in as_completed(jobs): yield jobs[job], job.result()


def grow(path, keys, measure, cases, workers, order):
    "Measure the cases whose `keys` a table does not have, and write it, in `order`, after each; `measure` gives rows. Give (case, rows) as they end."
    rows = read_table(path).to_dict("records") if Path(path).exists() else []
    there = {tuple(r[k] for k in keys) for r in rows}
    for case, found in in_processes(measure, [case for case in cases if case not in there], workers):
        rows = sorted([*rows, *found], key=order)
        write_table(path, pd.DataFrame(rows))
        yield case, found


def study(name, title, about, variants, measure, measures, epochs):
    """Run a study from the command line: `measure(variant, seed, epochs)` gives a row of numbers; the first variant is what the others are compared with.

    Writes benchmarks/results/NAME_runs.csv after each run, and NAME_study.csv and .md at the end. `--more` keeps what else the file holds.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument("--variants", nargs="+", default=list(variants), choices=list(variants))
    parser.add_argument("--more", action="store_true", help="keep the other runs of the file; they must have had as many epochs")
    given, order, path = parser.parse_args(), list(variants), project_path("benchmarks", "results", f"{name}_runs.csv")
    cases = [(variant, seed) for seed in given.seeds for variant in given.variants]
    rows = [r for r in read_table(path).to_dict("records") if (r["variant"], r["seed"]) not in cases] if given.more else []
    if other := {r["epochs"] for r in rows} - {given.epochs}: parser.error(f"{path} holds runs of {other} epochs, which cannot stand beside runs of {given.epochs}: leave out --more, or give --epochs")
    for _, row in in_processes(measure, [(*case, given.epochs) for case in cases], given.workers):
        rows = sorted([*rows, row], key=lambda r: (order.index(r["variant"]), r["seed"]))
        print(row, flush=True)
        write_table(path, pd.DataFrame(rows))
    write(f"{name}_study", title, effect_table(pd.DataFrame(rows), "variant", order[0], measures), f"Toy world, {given.epochs} epochs, seeds {', '.join(map(str, sorted({r['seed'] for r in rows})))}. {about} "
          f"Mean with 95 % interval over seeds; a difference is to the first row on the same seeds. The runs are in `{name}_runs.csv`.")
