"""How time and memory of mining grow with the table: simulated proteins as long as those of Swiss-Prot, with planted twins.

    python benchmarks/mining_scale.py [--sizes 1000 10000 100000 570000] [--threads 2] [--out benchmarks/results/mining_scale.csv]

Each size runs in its own process, pinned to as many cores as threads, from the protein table in memory to the pair table. Its row is written as soon as it is measured:
wall and processor time of mining, peak memory (the library and the table included), and what was found of the twins that were planted, by the length of the proteins.
With `--memory 0.25` the table is read from a file and mined in parts with that bound, in GiB; another process makes the file. With `--dask 2` so many worker processes mine the parts.
With `--folder big` files and parts stay there: who was stopped goes on, and then the time is that of the rest.
`--similarity lcs` leaves out the alignments, most of the time: enough to see what memory does.
A page beside the table, with the ending .md, has the slopes of log time on log proteins.
"""
import argparse, contextlib, json, os, platform, resource, subprocess, sys, tempfile, time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd

from mining import AMINO, SHARE

RESULTS = Path(__file__).resolve().parent/"results"
MEDIAN, MEAN = 294, 361  # residues of the proteins of Swiss-Prot; a log-normal distribution has both
CLASSES = {"50-200": (50, 200), "200-500": (200, 500), "500-1500": (500, 1500), "1500-5000": (1500, 5000)}
LARGEST, ABOUT, TOLD = 200, 6, 14  # largest family; words about a family and about a function


def draw(rng, shape):
    "Draw residues, as frequent as in nature."
    return np.searchsorted(np.cumsum(SHARE / SHARE.sum())[:-1], rng.random(shape, dtype=np.float32)).astype(np.uint8)


def cut(rng, row, most):
    "Take out or put in a stretch."
    at, size = rng.integers(len(row)), 1 + rng.integers(max(1, most))
    return np.delete(row, slice(at, at + size)) if rng.random() < .5 else np.insert(row, at, draw(rng, size))


def family(rng, size, length):
    "Give the members of a family, 0.5 to 22 % away from their ancestor, two of five with insertions or deletions, and the rows of planted twins."
    ancestor = draw(rng, length)
    away = rng.random((size, length), dtype=np.float32) < rng.uniform(.005, .22, (size, 1)).astype(np.float32)
    rows = np.where(away, draw(rng, (size, length)), ancestor[None])
    members = [cut(rng, row, 7) if rng.random() < .4 else row for row in rows]
    planted = np.arange(1, size, 10)  # each is made anew from the member before it
    for k in planted:
        twin, changed = members[k - 1].copy(), rng.random(len(members[k - 1])) < rng.uniform(.01, .15)
        twin[changed] = draw(rng, int(changed.sum()))
        members[k] = cut(rng, twin, len(twin) // 12) if k % 20 == 11 else twin
    return members, planted


def families(n, seed=0):
    "Draw families whose sizes follow a power law, 1 to 200; give the proteins of each, and the rows of planted twins, until there are n."
    rng, letters, spell = np.random.default_rng(seed), np.array(list("abdegiklmnoprstu")), 0
    words = np.array(["".join(w) for w in letters[rng.integers(16, size=(50_000, 7))]], dtype=object)
    first = 0
    from scipy.special import ndtri
    while first < n:
        u, v = (spell * .7548776662466927 + .5) % 1, (spell * .5698402909980532 + .5) % 1  # evenly spread: every table has its share of large and of long
        size = int(min(LARGEST, 1 / (1 - u)))  # P(at least s) = 1 / s
        length = int(np.clip(MEDIAN * np.exp(np.sqrt(2 * np.log(MEAN / MEDIAN)) * ndtri(v)), 50, 5000))
        members, planted = family(rng, size, length)
        functions = 2 + rng.integers(3)
        about, told = words[rng.integers(len(words), size=ABOUT)], words[rng.integers(len(words), size=(functions, TOLD))]
        function = np.where(rng.random(size) < .8, 0, rng.integers(functions, size=size))  # most members have the function of the family
        function[planted] = (function[planted - 1] + 1) % functions
        which = rng.random((size, ABOUT)).argsort(1)[:, :4], rng.random((size, TOLD)).argsort(1)[:, :10]
        yield dict(protein_id=[f"p{first + k}" for k in range(size)], sequence=[AMINO[m].tobytes().decode() for m in members],
                   text=[" ".join([*about[which[0][k]], *told[f][which[1][k]]]) for k, f in enumerate(function)],
                   labels=[f"function{spell}.{f}" for f in function]), first + planted - 1
        first, spell = first + size, spell + 1


def tables(n, rows=10_000):
    "Give the simulated table in pieces of about so many rows, with the rows of the first of each two planted twins; the second stands behind it."
    pieces, planted, left = [], [], n
    for proteins, firsts in families(n):
        pieces.append(proteins)
        planted.append(firsts)
        size = sum(len(p["protein_id"]) for p in pieces)
        if size >= min(rows, left):
            table = pd.DataFrame({c: [x for p in pieces for x in p[c]] for c in proteins}).head(left)
            firsts = np.concatenate(planted)
            yield table, firsts[firsts + 1 < n]
            pieces, planted, left = [], [], left - len(table)


def simulate(n):
    "Give the whole simulated table in memory, and the rows of planted twins."
    pieces, planted = zip(*tables(n))
    return pd.concat(pieces, ignore_index=True), np.concatenate(planted)


def recall(sequences, planted, found):
    "Give how many twins were planted and the share that was found, by the longer protein of each; only those count that the rules call twins."
    from protrek_nb.twins.similarity import pair_identity
    alike = pair_identity([sequences[k] for a in planted for k in (a, a + 1)], np.arange(0, 2 * len(planted), 2), np.arange(1, 2 * len(planted), 2), min_identity=.7)
    planted = planted[(alike >= .7) & (alike <= .9999)]
    longest = np.array([max(len(sequences[a]), len(sequences[a + 1])) for a in planted])
    there = np.array([a in found for a in planted.tolist()], dtype=bool)
    out = {}
    for name, (low, high) in CLASSES.items():
        here = (longest >= low) & (longest < high)
        out |= {f"planted {name}": int(here.sum()), f"recall {name}": round(float(there[here].mean()), 5) if here.any() else None}
    return out


def peak(): "Peak memory of this process, GiB."; return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def pin(threads):
    "Keep this process, and those that it starts, to some of the cores."
    if hasattr(os, "sched_setaffinity"): os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def measured(n, mine):
    "Mine; give the counts, and what it took."
    before, start, cpu = peak(), time.perf_counter(), time.process_time()
    pairs, report = mine()
    wall, cpu, most = time.perf_counter() - start, time.process_time() - cpu, peak()
    return pairs, dict(proteins=n, wall_s=round(wall, 2), cpu_s=round(cpu, 2), peak_gib=round(most, 3), before_gib=round(before, 3),
                       groups=report.rows["groups"], considered=report.considered, twins=report.kept)


def found_twins(mined, planted):
    "The first rows of the planted twins that are among the mined pairs."
    found = set()
    for pairs in mined:
        first, second = (pairs[c].str[1:].astype(int).to_numpy() for c in ("anchor_id", "hard_neg_id"))
        found.update(first[second == first + 1].tolist())
    return found & set(planted.tolist())


def sequences_of(path, planted):
    "Read the sequences of planted twins from a file, by row."
    import pyarrow.parquet as pq
    wanted, at, out = np.union1d(planted, planted + 1), 0, {}
    for batch in pq.ParquetFile(path).iter_batches(10_000, columns=["sequence"]):
        here = wanted[(wanted >= at) & (wanted < at + len(batch))]
        out |= dict(zip(here.tolist(), batch.column(0).take(here - at).to_pylist()))
        at += len(batch)
    return out


def run_one(n, threads, similarity):
    "Mine one table in memory and print its numbers as JSON."
    from protrek_nb.mining import TwinRules, mine_twins
    pin(threads)
    table, planted = simulate(n)
    mine_twins(table.head(200), group_by="kmers")  # compile before the clock starts
    pairs, row = measured(n, lambda: mine_twins(table, group_by="kmers", similarity=similarity, rules=TwinRules(workers=threads), say=lambda line: print(line, file=sys.stderr, flush=True)))
    print(json.dumps(row | recall(table.sequence.tolist(), planted, found_twins([pairs], planted))))


def make_file(n, folder):
    "Write a simulated table, and its planted twins."
    import pyarrow as pa, pyarrow.parquet as pq
    schema = pa.schema([(c, pa.string()) for c in ("protein_id", "sequence", "text", "labels")])
    planted = []
    folder.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(folder/"unfinished", schema) as out:
        for table, firsts in tables(n):
            out.write_table(pa.Table.from_pandas(table, schema, preserve_index=False))
            planted.append(firsts)
    np.save(folder/"planted.npy", np.concatenate(planted))
    (folder/"unfinished").rename(folder/"table.parquet")


def run_parts(n, threads, similarity, memory, workers, folder):
    "Mine one file in parts and print its numbers as JSON."
    from protrek_nb.mining import TwinRules, mine_twins
    from protrek_nb.twins.parts import mine_parts, read_parts
    pin(threads)
    mine_twins(simulate(200)[0], group_by="kmers")  # compile before the clock starts
    say = lambda line: print(line, file=sys.stderr, flush=True)
    mine = lambda client=None: ((), mine_parts(folder/"table.parquet", folder/"mined", similarity=similarity, rules=TwinRules(workers=threads // max(1, workers)),
                                              memory_gib=memory, client=client, say=say))
    if workers:
        from dask.distributed import Client, LocalCluster
        with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, local_directory=folder, silence_logs=50) as cluster, Client(cluster) as client: _, row = measured(n, lambda: mine(client))
    else: _, row = measured(n, mine)
    row |= dict(memory_gib=memory, parts=len(list((folder/"mined").glob("part-*.parquet"))))
    planted = np.load(folder/"planted.npy")
    print(json.dumps(row | recall(sequences_of(folder/"table.parquet", planted), planted, found_twins(read_parts(folder/"mined"), planted))))


def slope(table, column="wall_s"):
    "Fit log time on log proteins."
    return float(np.polyfit(np.log(table.proteins), np.log(table[column]), 1)[0]) if len(table) > 1 else float("nan")


def write(rows, args):
    "Write the table and its page."
    table = pd.DataFrame(rows)
    table.to_csv(args.out, index=False)
    large, last = table[table.proteins >= 10_000], rows[-1]
    lines = [f"Slope of log wall time on log proteins: {slope(table):.2f} over all sizes, {slope(large):.2f} from 10,000 on; of processor time {slope(table, 'cpu_s'):.2f} and {slope(large, 'cpu_s'):.2f}.",
             f"Largest: {last['proteins']:,} proteins in {last['wall_s'] / 60:.1f} minutes with {last['peak_gib']:.1f} GiB."]
    about = f"Similarity {args.similarity}{f', in parts with a bound of {args.memory} GiB' if args.memory else ''}{f', {args.dask} worker processes' if args.dask else ''}. {args.threads} threads on as many of {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end, {platform.machine()}, Python {platform.python_version()}. {' '.join(lines)}"
    shown = table.T.reset_index()
    cells = [["", *shown.iloc[0, 1:].map(lambda x: f"{int(x):,}")], ["---"] + ["---:"] * len(table), *shown.iloc[1:].itertuples(index=False)]
    neat = lambda x: "" if x is None or x != x else f"{int(x):,}" if not isinstance(x, str) and float(x).is_integer() and (abs(x) > 1 or x == 0) else str(x)
    body = "\n".join("| " + " | ".join(map(neat, line)) + " |" for line in cells)
    Path(args.out).with_suffix(".md").write_text(f"# How mining {'in parts ' if args.memory else ''}grows\n\n{about}\n\n{body}\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 570_000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", default=str(RESULTS/"mining_scale.csv"))
    parser.add_argument("--memory", type=float, help="GiB of working memory; mines in parts")
    parser.add_argument("--dask", type=int, default=0, help="worker processes; only with --memory")
    parser.add_argument("--similarity", default="auto")
    parser.add_argument("--one", type=int, help="mine one table of so many proteins and print JSON")
    parser.add_argument("--folder", type=Path, help="keeps what is mined in parts")
    args = parser.parse_args()
    if args.one and args.folder and not (args.folder/"table.parquet").is_file(): return make_file(args.one, args.folder)
    if args.one: return run_parts(args.one, args.threads, args.similarity, args.memory, args.dask, args.folder) if args.memory else run_one(args.one, args.threads, args.similarity)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for n in args.sizes:
        with contextlib.nullcontext(args.folder/str(n)) if args.folder else tempfile.TemporaryDirectory(dir=Path(args.out).parent) as folder:
            command = [sys.executable, __file__, "--one", str(n), "--threads", str(args.threads), "--similarity", args.similarity]
            if args.memory:
                command += ["--memory", str(args.memory), "--dask", str(args.dask), "--folder", str(folder)]
                if not (Path(folder)/"table.parquet").is_file(): subprocess.run(command, check=True)
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode: print(f"{n:,} proteins: ended with code {done.returncode}", flush=True); break
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
        write(rows, args)
    if rows: print(Path(args.out).with_suffix(".md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
