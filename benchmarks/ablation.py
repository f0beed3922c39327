"""What the studies share: train each variant with each seed, one row for each run, and say what each variant does."""
import argparse
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import pandas as pd

from protrek_nb.core import project_path, write_table
from protrek_nb.intervals import effect_table
from encoding import write


def study(name, title, about, variants, measure, measures, epochs):
    """Run a study from the command line: `measure(variant, seed, epochs)` gives a row of numbers; the first variant is what the others are compared with.

    Writes benchmarks/results/NAME_runs.csv after each run, and NAME_study.csv and .md at the end.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--variants", nargs="+", default=list(variants), choices=list(variants))
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    given, rows, order = parser.parse_args(), [], list(variants)
    with ProcessPoolExecutor(given.workers, get_context("spawn")) as pool:
        for job in as_completed([pool.submit(measure, variant, seed, given.epochs) for seed in given.seeds for variant in given.variants]):
            rows = sorted([*rows, job.result()], key=lambda r: (order.index(r["variant"]), r["seed"]))
            print(job.result(), flush=True)
            write_table(project_path("benchmarks", "results", f"{name}_runs.csv"), pd.DataFrame(rows))
    write(f"{name}_study", title, effect_table(pd.DataFrame(rows), "variant", order[0], measures), f"Toy world, {given.epochs} epochs, seeds {', '.join(map(str, given.seeds))}. {about} "
          f"Mean with 95 % interval over seeds; a difference is to the first row on the same seeds. The runs are in `{name}_runs.csv`.")
