"""Search 570,000 vectors of 1,024 numbers, and score 1,000 pairs with the command, from a cold start.

    python benchmarks/search.py [--rows 570000] [--pairs 1000] [--model 35M] [--threads 1]

An index of random unit vectors in half precision is made in a temporary folder. Each way of searching runs in a process of its own: the library
(mapped, exact), faiss with the same half-precision numbers in memory (`IndexScalarQuantizer`, exact too) and a full sort with numpy. `first_s` is the
first query after opening, `query_s` and, in processor time, `query_cpu_s` the median of ten more; memory is what the process holds at its peak above what it held before opening,
relative to the index on disk. All must agree on the hits.

Then `protrek-nb score` is timed as a user meets it, with the start of Python and the imports, against the encoding alone in a process where the model
is there already: with the toy base, and with random weights of the published 35M shapes (some minutes on one core). Writes
benchmarks/results/search.csv, search_score.csv and search.md.
"""
import argparse, json, os, resource, subprocess, sys, tempfile, time
from pathlib import Path

import numpy as np
import pandas as pd

from encoding import RESULTS, both_models, simulate, write

K, D, QUERIES = 10, 1024, 11


def unit_rows(n, seed):
    "Draw unit vectors."
    rows_ND = np.random.default_rng(seed).standard_normal((n, D), dtype=np.float32)
    return rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True)


def make(folder, n):
    "Write an index of `n` vectors."
    from protrek_nb.search import Vectors, make_index
    rows_ND = np.empty((n, D), np.float16)
    for at in range(0, n, 20_000): rows_ND[at:at + 20_000] = unit_rows(min(20_000, n - at), at)
    table = pd.DataFrame(dict(protein_id=[f"P{k:06d}" for k in range(n)]))
    make_index(Vectors(table, rows_ND, "sequence", "random", "none"), folder)


def memory():
    "Read what this process holds, and its peak, in bytes."
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return tuple(int(lines[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))


def library(folder):
    from protrek_nb.search import Index, best_rows
    def opened():
        index = Index.open(folder)
        ids = index.table.protein_id.to_numpy(object)
        return lambda q: best_rows(index.rows_ND, q[None], K, ids)[0][0]
    return opened


def faiss_half(folder):
    import faiss
    def opened():
        rows_ND, index = np.load(Path(folder)/"vectors.npy", mmap_mode="r"), faiss.IndexScalarQuantizer(D, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        index.train(np.zeros((1, D), np.float32))
        for at in range(0, len(rows_ND), 20_000): index.add(rows_ND[at:at + 20_000].astype(np.float32))
        return lambda q: index.search(q[None], K)[1][0]
    return opened


def full_sort(folder):
    def opened():
        rows_ND = np.load(Path(folder)/"vectors.npy", mmap_mode="r")
        return lambda q: np.argsort(-np.concatenate([rows_ND[at:at + 20_000].astype(np.float32) @ q for at in range(0, len(rows_ND), 20_000)]), kind="stable")[:K]
    return opened


WAYS = dict(library=library, faiss=faiss_half, sort=full_sort)


def one_way(name, folder, threads):
    "Open, ask, and print the measures: runs in a process of its own."
    import torch
    torch.set_num_threads(threads)
    opened, query_QD = WAYS[name](folder), unit_rows(QUERIES, 7)
    if name == "faiss":
        import faiss
        faiss.omp_set_num_threads(threads)
    before, _ = memory()
    start = time.perf_counter()
    ask = opened()
    seconds, used, hits = [], [], []
    open_s = time.perf_counter() - start
    for q_D in query_QD:
        start, cpu = time.perf_counter(), time.process_time()
        hits.append(ask(q_D).tolist())
        seconds.append(time.perf_counter() - start)
        used.append(time.process_time() - cpu)
    median = {name: float(np.median(x[1:])) for name, x in dict(query_s=seconds, query_cpu_s=used).items()}
    print(json.dumps(dict(open_s=open_s, first_s=seconds[0], **median, above=memory()[1] - before, hits=hits)))


def search_table(n, threads):
    "Measure each way, and check that they agree."
    rows, hits = [], {}
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)/"index"
        make(folder, n)
        size = sum(p.stat().st_size for p in folder.iterdir())
        for name in WAYS:
            done = subprocess.run([sys.executable, __file__, "--way", name, "--folder", str(folder), "--threads", str(threads)], capture_output=True, text=True)
            if done.returncode: raise SystemExit(done.stderr)
            found = json.loads(done.stdout.splitlines()[-1])
            hits[name] = found.pop("hits")
            above = found.pop("above")
            rows.append(dict(way=name, vectors=n, **{k: round(v, 3) for k, v in found.items()}, memory_per_index=round(above / size, 2)))
    assert all(hits[name] == hits["library"] for name in hits), "the ways disagree"
    return pd.DataFrame(rows)


def processor(*words):
    "Run a command; give wall seconds and processor seconds."
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode: raise SystemExit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def score_row(name, base, pairs):
    "Time the command against the bare encoding."
    from protrek_nb.model import ProTrek
    table = simulate(pairs, np.random.default_rng(3))
    with tempfile.TemporaryDirectory() as temp:
        table.to_csv(Path(temp)/"pairs.csv", index=False)
        wall, cpu = processor(sys.executable, "-m", "protrek_nb", "score", str(base), f"{temp}/pairs.csv", "--out", f"{temp}/scores.csv")
    model = ProTrek.from_pretrained(str(base))
    start, used = time.perf_counter(), time.process_time()
    model.get_protein_repr(table.sequence.tolist()), model.get_text_repr(table.text.tolist())
    bare, bare_cpu = time.perf_counter() - start, time.process_time() - used
    return dict(model=name, pairs=pairs, command_s=round(wall, 1), encoding_s=round(bare, 1), ratio=round(wall / bare, 2), ratio_cpu=round(cpu / bare_cpu, 2))


def score_table(pairs, names):
    "Measure the toy base and the published shapes."
    rows = []
    with tempfile.TemporaryDirectory() as temp:
        for name in names:
            base = Path(__file__).resolve().parents[1]/"data"/"toy_base" if name == "toy" else Path(temp)/name
            if name != "toy": both_models(simulate(300, np.random.default_rng(9)).text.tolist())[1].save_pretrained(base)
            rows.append(score_row(name, base, pairs))
    return pd.DataFrame(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=570_000, help="vectors in the index; 0: leave the search out")
    parser.add_argument("--pairs", type=int, default=1000, help="pairs to score; 0: leave the scoring out")
    parser.add_argument("--models", nargs="*", default=["toy", "35M"], help="toy, 35M")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.update(TOKENIZERS_PARALLELISM="false", OMP_NUM_THREADS=str(args.threads))
    if args.way: return one_way(args.way, args.folder, args.threads)
    import torch
    torch.set_num_threads(args.threads)
    searched = search_table(args.rows, args.threads) if args.rows else pd.read_csv(RESULTS/"search.csv")
    scored = score_table(args.pairs, args.models) if args.pairs else pd.DataFrame()
    if len(scored): scored.to_csv(RESULTS/"search_score.csv", index=False)
    write("search", "Exact search in half precision", searched, "Random unit vectors of 1,024 numbers; ten hits of each query, the same by all three ways.")


if __name__ == "__main__": main()
