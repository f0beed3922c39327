"""Mine twins from 100,000 simulated proteins in families of 2 to 200, end to end, and say what it takes.

    python benchmarks/mining.py [--proteins 100000] [--workers 2]

Each variant runs in its own process: from the protein table in memory to the pair table, with time, processor time and peak memory
(the library and the table included). Writes benchmarks/results/mining.csv and mining.md. Nothing outside the project is read.
"""
import argparse, json, os, platform, resource, subprocess, sys, time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

RESULTS = Path(__file__).resolve().parent/"results"
AMINO = np.frombuffer(b"ACDEFGHIKLMNPQRSTVWY", np.uint8)
SHARE = np.array([8.25, 1.37, 5.45, 6.75, 3.86, 7.07, 2.27, 5.96, 5.84, 9.66, 2.42, 4.06, 4.70, 3.93, 5.53, 6.56, 5.34, 6.87, 1.08, 2.92])
VARIANTS = {  # name: (arguments of mine_twins, cap of the pairs of one anchor)
    "family column": (dict(group_by="family"), 0),
    "built-in, exact": (dict(group_by="similarity"), 0),
    "built-in, kmers": (dict(group_by="kmers"), 0),
    "built-in, kmers, at most 20 pairs an anchor": (dict(group_by="kmers"), 20),
}


def evolve(ancestor, rng):
    "Substitute 0.5 to 22 % of the residues of a protein, and insert or delete a stretch or two in two of five cases."
    out, at = ancestor.copy(), rng.random(len(ancestor)) > rng.uniform(.78, .995)
    out[at] = rng.choice(20, at.sum(), p=SHARE / SHARE.sum())
    for _ in range(rng.choice([0, 0, 0, 1, 2])):
        at, size = rng.integers(len(out)), rng.integers(1, 8)
        out = np.delete(out, slice(at, at + size)) if rng.random() < .5 else np.insert(out, at, rng.choice(20, size))
    return out


def simulate(n, seed=0):
    "Draw families of 2 to 200 proteins, 80 to 1,200 residues long, with one to four functions and a text for each protein."
    rng, rows, family = np.random.default_rng(seed), [], 0
    words = ["".join(rng.choice(list("abdegiklmnoprstu"), 7)) for _ in range(20_000)]
    while len(rows) < n:
        size, length = rng.integers(2, 201), int(np.clip(rng.gamma(2.5, 130), 80, 1200))
        members = [rng.choice(20, length, p=SHARE / SHARE.sum())]
        about, functions = rng.choice(words, 6), [rng.choice(words, 14) for _ in range(rng.integers(1, 5))]
        for _ in range(size):
            members.append(evolve(members[rng.integers(len(members)) if rng.random() < .5 else 0], rng))
            f = rng.integers(len(functions))
            text = " ".join([*rng.choice(about, 4, replace=False), *rng.choice(functions[f], 10, replace=False)])
            rows.append((f"p{len(rows)}", AMINO[members[-1]].tobytes().decode(), text, f"family{family}", f"function{family}.{f}"))
        family += 1
    return pd.DataFrame(rows[:n], columns=["protein_id", "sequence", "text", "family", "labels"])


def run_one(variant, difference, proteins, workers):
    "Run one variant and print its numbers as JSON."
    from protrek_nb.mining import TwinRules, mine_twins
    arguments, cap = VARIANTS[variant]
    table = simulate(proteins)
    mine_twins(table.head(200), **arguments)  # compile before the clock starts
    start, cpu = time.perf_counter(), time.process_time()
    pairs, report = mine_twins(table, text_difference=difference, rules=TwinRules(max_pairs_per_anchor=cap, workers=workers), **arguments)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    key = pd.util.hash_pandas_object(pairs["anchor_id"] + "-" + pairs["hard_neg_id"], index=False).to_numpy() if len(pairs) else []
    np.save(RESULTS/f".{variant.replace(' ', '_')}_{difference}.npy", np.sort(key))
    print(json.dumps(dict(proteins=proteins, variant=variant, difference=difference, families=table.family.nunique(), groups=report.rows["groups"],
                          considered=report.considered, twins=report.kept, wall_s=round(wall, 1), cpu_s=round(cpu, 1), peak_gib=round(peak, 2))))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proteins", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--one", nargs=2, metavar=("VARIANT", "DIFFERENCE"), help="run one variant and print JSON")
    args = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    if args.one: return run_one(*args.one, args.proteins, args.workers)
    rows = []
    for variant in VARIANTS:
        for difference in ("grounded", "tfidf_corpus"):
            command = [sys.executable, __file__, "--proteins", str(args.proteins), "--workers", str(args.workers), "--one", variant, difference]
            rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]))
            print(rows[-1], flush=True)
    for row in rows:  # what each variant finds of the twins that exact grouping finds
        key = {v: np.load(RESULTS/f".{v.replace(' ', '_')}_{row['difference']}.npy") for v in ("built-in, exact", row["variant"])}
        row["recall"] = round(float(np.isin(key["built-in, exact"], key[row["variant"]]).mean()), 6)
    for path in RESULTS.glob(".*.npy"): path.unlink()
    table = pd.DataFrame(rows)
    table.to_csv(RESULTS/"mining.csv", index=False)
    about = f"{args.workers} threads on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end, Python {platform.python_version()}. Recall: share of the twins of the exact grouping."
    (RESULTS/"mining.md").write_text(f"# Mining {args.proteins:,} simulated proteins\n\n{about}\n\n" + "\n".join(
        "| " + " | ".join(map(str, line)) + " |" for line in [table.columns, ["---"] * len(table.columns), *table.itertuples(index=False)]) + "\n")
    print((RESULTS/"mining.md").read_text())


if __name__ == "__main__":
    main()
