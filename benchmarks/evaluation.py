"""How time and memory of evaluation grow with the proteins: sparse scores of 10,000 terms, and all-against-all retrieval.

    python benchmarks/evaluation.py [--sizes 1000 10000 100000] [--parts fmax five bootstrap retrieval ratio]

Simulated: each protein has about 50 true terms of 10,000, common terms more often, and about 200 scores above 0, among them those of half of its true terms. Proteins stand in components, three
tenths as many, whose sizes follow a power law. `fmax` is Fmax; `five` all five scores; `bootstrap` all five with intervals of 20 replicates over components. `retrieval` ranks as many texts as proteins for each
protein, vectors of 128 numbers in families of four, without an interval; `ratio` is the interval of a mean, 2,000 replicates over components. Each measurement has its own process and one thread; `peak_gib` is all that the
process holds, Python, libraries and data included, `before_gib` what it held before the clock started. At the smallest size the three parts on terms are measured with arrays of 32 bits, too, and must give the same values.
Rows are written as soon as they are measured, to benchmarks/results/evaluation.csv, where they replace earlier ones; evaluation.md has the slopes of log time on log proteins.
"""
import argparse, json, os, platform, subprocess, sys, time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from scipy import sparse

from mining_scale import RESULTS, peak, slope

TERMS, REPLICATES, BLOCK = 10_000, 20, 2_000
PARTS = {"fmax": "Fmax", "five": "five scores", "bootstrap": f"five scores, {REPLICATES} replicates", "retrieval": "retrieval, all against all", "ratio": "interval of a mean"}


def terms_of(n, rng):
    "Draw a block: truth and scores (n, TERMS), sparse."
    often_T = np.cumsum(1 / (np.arange(TERMS) + 20))
    def drawn(many): return sparse.csr_array((np.ones(n * many, np.float32), np.searchsorted(often_T, often_T[-1] * rng.random(n * many)).astype(np.int32), np.arange(n + 1) * many), shape=(n, TERMS))
    truth, others = drawn(52), drawn(208)
    for x in (truth, others): x.sum_duplicates(); x.data[:] = 1
    found = truth.copy()
    found.data *= rng.random(found.nnz) < .5
    others = others - others.multiply(truth)
    found.data *= rng.uniform(.1, 1, found.nnz).astype(np.float32)
    others.data = others.data * rng.beta(1, 4, others.nnz).astype(np.float32)
    scores = (found + others).tocsr()
    scores.data = np.ceil(scores.data * 1000) / np.float32(1000)  # ties, as in files of predictions
    scores.eliminate_zeros()
    return truth.astype(bool), scores.astype(np.float32)


def components(n, rng):
    "Draw the component of each protein."
    weight_C = 1 / (np.arange(max(1, int(.3 * n))) + 10)
    return np.append(np.arange(len(weight_C)), rng.choice(len(weight_C), n - len(weight_C), p=weight_C / weight_C.sum()))


def unit(rows_ND): "Give rows the length 1."; return (rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True)).astype(np.float32)


def prepare(part, n, dense):
    "Simulate; give a function that computes the part's values, and counts."
    from protrek_nb.metrics import cafa, intervals, retrieval
    rng = np.random.default_rng(n)
    if part == "retrieval":
        family = rng.integers(0, max(1, n // 4), n)
        middle = rng.standard_normal((family.max() + 1, 128), dtype=np.float32)[family]
        protein_ND, text_ND = (unit(middle + 1.5 * rng.standard_normal((n, 128), dtype=np.float32)) for _ in range(2))
        return lambda: retrieval.retrieval(protein_ND, text_ND, retrieval.relevance_from_labels(family, family)), dict(ranked=n * n)
    component = components(n, rng)
    if part == "ratio":
        right = rng.random(n) < .7
        return lambda: intervals.bootstrap_ratio(right, None, component)._asdict(), dict(components=len(set(component)))
    truth, scores = (sparse.vstack(x, format="csr") for x in zip(*(terms_of(min(BLOCK, n - at), rng) for at in range(0, n, BLOCK))))
    counts, ic = dict(components=len(set(component)), true_terms=truth.nnz, scores=scores.nnz), rng.exponential(size=TERMS)
    if dense: truth, scores = truth.toarray(), scores.toarray()
    ways = dict(fmax=lambda: dict(fmax=cafa.fmax(truth, scores)), five=lambda: cafa.prepare_all(truth, scores, ic)(np.ones(n)),
                bootstrap=lambda: {f"{name} {end}": x for name, interval in cafa.function_intervals(truth, scores, ic, component, REPLICATES).items() for end, x in interval._asdict().items()})
    return ways[part], counts


def run_one(part, n, dense):
    "Measure in this process and print the row and the values as JSON."
    work, counts = prepare(part, n, dense)
    before, wall, cpu = peak(), time.perf_counter(), time.process_time()
    values = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    row = dict(part=part, way="array" if dense else "sparse" if part in ("fmax", "five", "bootstrap") else "", proteins=n, wall_s=round(wall, 3), cpu_s=round(cpu, 3), peak_gib=round(peak(), 3), before_gib=round(before, 3))
    print(json.dumps([row | counts, {name: float(x) for name, x in values.items()}]))


def measured(part, n, dense=False):
    "Measure in a process of its own: row, values."
    done = subprocess.run([sys.executable, __file__, "--one", part, str(n), *(["--dense"] if dense else [])], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def against_array(part, n, sparse_row, values):
    "Measure with arrays; give the row with ratios; the values must be equal."
    row, others = measured(part, n, dense=True)
    difference = max(abs(values[name] - others[name]) / max(1, abs(others[name])) for name in others)
    assert values.keys() == others.keys() and difference < 1e-12, (part, values, others)
    return row | dict(times_sparse=round(row["cpu_s"] / sparse_row["cpu_s"], 1), memory_times_sparse=round(row["peak_gib"] / sparse_row["peak_gib"], 1), largest_difference=difference)


def write(rows):
    "Put rows into the table, in the place of earlier ones of the same, and write it and its page."
    print(*rows, sep="\n", flush=True)
    path, table = RESULTS/"evaluation.csv", pd.DataFrame(rows)
    if path.exists(): table = pd.concat([pd.read_csv(path).fillna({"way": ""}), table])
    table = table.drop_duplicates(["part", "way", "proteins"], keep="last")
    table = table.sort_values(["proteins", "part"], key=lambda x: x.map(list(PARTS).index) if x.name == "part" else x, kind="stable")
    table.to_csv(path, index=False)
    arrays, others, sizes = table[table.way == "array"], table[table.way != "array"], sorted(table.proteins.unique())
    lines = ["| | " + " | ".join(f"{n:,}: s | GiB" for n in sizes) + " | slope of time |", "|---|" + "---:|" * (2 * len(sizes) + 1)]
    for part, own in others.groupby("part", sort=False):
        at = own.set_index("proteins")
        cells = [f"{at.cpu_s[n]:,.2f} | {at.peak_gib[n]:.2f}" if n in at.index else " | " for n in sizes]
        lines.append(f"| {PARTS[part]} | {' | '.join(cells)} | {slope(own, 'cpu_s'):.2f} |")
    told = " ".join(f"{PARTS[r.part]}: {r.cpu_s:.2f} s and {r.peak_gib:.2f} GiB, {r.times_sparse:g} times the time and {r.memory_times_sparse:g} times the memory." for r in arrays.itertuples())
    where = f"{platform.machine()}, one thread of {os.cpu_count()} cores that others used too (load {os.getloadavg()[0]:.1f} at the end), Python {platform.python_version()}, NumPy {np.__version__}"
    same = f"With arrays at {arrays.proteins.min():,} proteins, values that differ by at most {arrays.largest_difference.max():.2g}: {told}" if len(arrays) else ""
    (RESULTS/"evaluation.md").write_text(f"# How evaluation grows\n\nProcessor seconds and peak memory of the process, {TERMS:,} terms, about {others.true_terms.sum() / others.proteins[others.true_terms > 0].sum():.0f} true terms and "
        f"{others.scores.sum() / others.proteins[others.scores > 0].sum():.0f} scores a protein. {where}.\n\n" + "\n".join(lines) + f"\n\n{same}\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--one", nargs=2, metavar=("PART", "PROTEINS"), help="measure one part in this process and print JSON")
    parser.add_argument("--dense", action="store_true", help="only with --one: arrays")
    args = parser.parse_args()
    if args.one: return run_one(args.one[0], int(args.one[1]), args.dense)
    for n in sorted(args.sizes):
        for part in args.parts:
            row, values = measured(part, n)
            write([row, against_array(part, n, row, values)] if n == min(args.sizes) and row["way"] else [row])
    print((RESULTS/"evaluation.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
