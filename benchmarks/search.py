"""Search 570,000 vectors of 1,024 numbers, and score 1,000 pairs with the command, from a cold start.

    python benchmarks/search.py [--rows 570000] [--turns 40] [--threads 1 2] [--pairs 1000] [--models toy 35M]

An index of made-up unit vectors in half precision is made in a temporary folder: families of one to 40, cosine 0.9 to their middle. Each way of searching has a process of its own: the library
(mapped, exact), faiss flat in 32 bits (`IndexFlatIP`) and faiss with the same half-precision numbers (`IndexScalarQuantizer`), both in memory and exact too. They answer one query
after the other in turns, a query to each way before the next query, so that what else the machine does falls on all. With more threads than one, faiss flat searches one share of the rows
in each (`IndexShards`), since it splits queries among threads and not rows. `first_s` is the first query after opening; `query_s` and, in processor time, `query_cpu_s` are medians of the others;
`times_library` is the geometric mean of the ratios of a way to the library, query by query, with the 95 % interval of drawing queries again; memory is what the process
holds at its peak above what it held before opening, relative to the index on disk. The naive version multiplies all vectors in 64 bits and sorts all products. The library must have its hits in its order; the hits of
faiss, which rounds, may change places where the products are equal in six digits.

Then `protrek-nb score` is timed as a user meets it, with the start of Python and the imports, against the encoding alone in a process where the model
is there already: with the toy base, and with random weights of the published 35M shapes (some minutes on one core). `with_imports_alone_cpu` is the ratio of a command that would do nothing but
import torch and the parts of transformers that a model needs, and encode. Writes benchmarks/results/search.csv, search_score.csv and search.md.
"""
import argparse, json, multiprocessing, os, resource, subprocess, sys, tempfile, time
from pathlib import Path

import numpy as np
import pandas as pd

from encoding import RESULTS, both_models, simulate, write

K, D, STEP = 10, 1024, 20_000


def unit(rows_ND):
    "Give rows the length 1."
    return rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True)


def families(n, seed):
    "Draw unit vectors of families."
    rng = np.random.default_rng(seed)
    family_N = np.repeat(np.arange(n), rng.integers(1, 41, n))[:n]
    middle_FD = unit(rng.standard_normal((family_N[-1] + 1, D), dtype=np.float32))
    return unit(.9 * middle_FD[family_N] + .19 ** .5 * unit(rng.standard_normal((n, D), dtype=np.float32)))


def make(folder, n):
    "Write an index of `n` vectors."
    from protrek_nb.search import Vectors, make_index
    rows_ND = np.empty((n, D), np.float16)
    for at in range(0, n, STEP): rows_ND[at:at + STEP] = families(min(STEP, n - at), at)
    table = pd.DataFrame(dict(protein_id=[f"P{k:06d}" for k in range(n)]))
    make_index(Vectors(table, rows_ND, "sequence", "made up", "none"), folder)


def vectors(folder): return np.load(Path(folder)/"vectors.npy", mmap_mode="r")


def make_queries(folder, n):
    "Draw queries near rows of the index, cosine 0.5 or so."
    rng, rows_ND = np.random.default_rng(7), vectors(folder)
    return unit(rows_ND[np.sort(rng.integers(0, len(rows_ND), n))].astype(np.float32) + 1.7 * unit(rng.standard_normal((n, D), dtype=np.float32)))


def memory():
    "Read what this process holds, and its peak, in bytes."
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return tuple(int(lines[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))


def library(folder, threads):
    from protrek_nb.search import Index, best_rows
    best_rows(unit(np.ones((K, D), np.float32)), np.ones((1, D), np.float32), K)
    def opened():
        index = Index.open(folder)
        ids = index.table.protein_id.to_numpy(object)
        return lambda q: best_rows(index.rows_ND, q[None], K, ids, codes=index.codes)[0][0]
    return opened


def faiss_way(folder, threads, make_one):
    "Fill a faiss index, or one for each thread."
    import faiss
    def opened():
        n = len(vectors(folder))
        parts, whole = [make_one(faiss) for _ in range(threads)], faiss.IndexShards(D, True, True)
        for part, rows in zip(parts, np.array_split(np.arange(n), threads)):
            for at in range(rows[0], rows[-1] + 1, STEP): part.add(vectors(folder)[at:min(at + STEP, rows[-1] + 1)].astype(np.float32))  # mapped anew, to be held no longer
            whole.add_shard(part)
        faiss.omp_set_num_threads(1)
        index = whole if threads > 1 else parts[0]
        return lambda q, parts=parts: index.search(q[None], K)[1][0]
    return opened


def flat(faiss): return faiss.IndexFlatIP(D)


def half(faiss):
    index = faiss.IndexScalarQuantizer(D, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    index.train(np.zeros((1, D), np.float32))
    return index


def start(name, folder, threads):
    if name == "library": return library(folder, threads)
    return faiss_way(folder, threads, dict(flat=flat, half=half)[name])


WAYS = dict(library="library", flat="faiss, 32 bits", half="faiss, 16 bits")


def answer(name, folder, threads, pipe):
    "Open, then answer queries as they come: runs in a process of its own."
    import torch
    torch.set_num_threads(threads)
    opened, (before, _) = start(name, folder, threads), memory()
    began = time.perf_counter()
    ask = opened()
    pipe.send(time.perf_counter() - began)
    while (query_D := pipe.recv()) is not None:
        wall, cpu = time.perf_counter(), time.process_time()
        hits = ask(query_D)
        pipe.send((time.perf_counter() - wall, time.process_time() - cpu, hits.tolist()))
    pipe.send(memory()[1] - before)


def take_turns(folder, query_QD, threads):
    "Ask every way every query: seconds to open, memory, and (way, query) wall seconds, processor seconds and hits."
    spawn, asked, found = multiprocessing.get_context("spawn"), {}, {}
    for name in WAYS:
        mine, theirs = spawn.Pipe()
        spawn.Process(target=answer, args=(name, str(folder), threads, theirs), daemon=True).start()
        asked[name], found[name] = mine, dict(open_s=mine.recv(), turns=[])
    for query_D in query_QD:
        for name, pipe in asked.items():
            pipe.send(query_D)
            found[name]["turns"].append(pipe.recv())
    for name, pipe in asked.items():
        pipe.send(None)
        found[name]["above"] = pipe.recv()
    return found


def naive(folder, query_QD):
    "Multiply all in 64 bits, and sort all: hits and products (query, row)."
    rows_ND, query_DQ = vectors(folder), query_QD.T.astype(np.float64)
    score_QN = np.concatenate([rows_ND[at:at + STEP].astype(np.float64) @ query_DQ for at in range(0, len(rows_ND), STEP)]).T
    return np.argsort(-score_QN, axis=1, kind="stable")[:, :K], score_QN


def ratio(of, to):
    "Geometric mean of ratios, with its 95 % interval."
    logs, rng = np.log(np.array(of) / np.array(to)), np.random.default_rng(0)
    low, high = np.quantile(rng.choice(logs, (2000, len(logs))).mean(1), [.025, .975])
    return "{:.2f} ({:.2f} to {:.2f})".format(*np.exp([logs.mean(), low, high]))


def search_rows(folder, threads, query_QD):
    "Measure each way with so many threads, and check the hits."
    found, (right_QK, score_QN) = take_turns(folder, query_QD, threads), naive(folder, query_QD)
    size, best_QK = sum(p.stat().st_size for p in folder.iterdir()), np.take_along_axis(score_QN, right_QK, 1)
    times = {name: [np.array(x) for x in zip(*[turn[:2] for turn in f["turns"]])] for name, f in found.items()}
    for name, f in found.items():
        hit_QK = np.array([turn[2] for turn in f["turns"]])
        exact = (hit_QK == right_QK).all()
        assert exact if name == "library" else np.abs(np.take_along_axis(score_QN, hit_QK, 1) - best_QK).max() < 1e-6, f"{name}: other hits"
        (wall, cpu), ours = times[name], times["library"]
        same = dict(hits="equal" if exact else f"equal, {(hit_QK != right_QK).sum()} of {hit_QK.size} exchanged")
        yield dict(way=WAYS[name], vectors=score_QN.shape[1], threads=threads, open_s=round(f["open_s"], 2), first_s=round(wall[0], 3), query_s=round(np.median(wall[1:]), 3), query_cpu_s=round(np.median(cpu[1:]), 3),
                   memory_per_index=round(f["above"] / size, 2), **(dict(times_library="", times_library_cpu="") if name == "library" else
                   dict(times_library=ratio(wall[1:], ours[0][1:]), times_library_cpu=ratio(cpu[1:], ours[1][1:]))), **same)


def search_table(n, threads, turns):
    "Measure with each number of threads."
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)/"index"
        make(folder, n)
        query_QD = make_queries(folder, turns)
        return pd.DataFrame([row for t in threads for row in search_rows(folder, t, query_QD)])


def processor(*words):
    "Run a command; give wall seconds and processor seconds."
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"})
    if done.returncode: raise SystemExit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def encoding(model, table):
    "Encode alone; give wall seconds and processor seconds."
    start, used = time.perf_counter(), time.process_time()
    model.get_protein_repr(table.sequence.tolist()), model.get_text_repr(table.text.tolist())
    return time.perf_counter() - start, time.process_time() - used


def score_row(name, base, pairs, turns=3):
    "Time the command, the encoding and the imports in turns, after one of each that does not count."
    from protrek_nb.model import ProTrek
    table, model = simulate(pairs, np.random.default_rng(3)), ProTrek.from_pretrained(str(base))
    times = []
    with tempfile.TemporaryDirectory() as temp:
        table.to_csv(Path(temp)/"pairs.csv", index=False)
        for _ in range(turns + 1 if name == "toy" else 1):
            command = processor(sys.executable, "-m", "protrek_nb", "score", str(base), f"{temp}/pairs.csv", "--out", f"{temp}/scores.csv")
            times.append((*command, *encoding(model, table), *processor(sys.executable, "-c", "from transformers import BertConfig, EsmConfig, PreTrainedModel")))
    found = pd.DataFrame(times[-turns:], columns=["command_s", "command_cpu_s", "encoding_s", "encoding_cpu_s", "imports_s", "imports_cpu_s"])
    low = (found.encoding_cpu_s + found.imports_cpu_s) / found.encoding_cpu_s
    return dict(model=name, pairs=pairs, **found.median().round(1), ratio=round((found.command_s / found.encoding_s).median(), 2), ratio_cpu=round((found.command_cpu_s / found.encoding_cpu_s).median(), 2),
                with_imports_alone_cpu=round(low.median(), 2))


def score_table(pairs, names):
    "Measure the toy base and the published shapes."
    rows = []
    with tempfile.TemporaryDirectory() as temp:
        for name in names:
            base = Path(__file__).resolve().parents[1]/"data"/"toy_base" if name == "toy" else Path(temp)/name
            if name != "toy": both_models()[1].save_pretrained(base)
            rows.append(score_row(name, base, pairs))
    old = pd.read_csv(RESULTS/"search_score.csv")
    return pd.concat([pd.DataFrame(rows), old[~old.model.isin(names)]])  # models that were not asked for keep their row


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=570_000, help="vectors in the index; 0: leave the search out")
    parser.add_argument("--pairs", type=int, default=1000, help="pairs to score; 0: leave the scoring out")
    parser.add_argument("--models", nargs="*", default=["toy", "35M"], help="toy, 35M")
    parser.add_argument("--turns", type=int, default=40, help="queries, each asked of every way in turn")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2], help="of the search; scoring has one")
    args = parser.parse_args()
    os.environ.update(TOKENIZERS_PARALLELISM="false", OMP_NUM_THREADS="1")
    import torch
    torch.set_num_threads(1)
    if args.pairs: score_table(args.pairs, args.models).to_csv(RESULTS/"search_score.csv", index=False)
    if not args.rows: return
    searched = search_table(args.rows, args.threads, args.turns)
    torch.set_num_threads(max(args.threads))  # to be written
    write("search", "Exact search", searched, f"{K} hits of each query among made-up unit vectors of 1,024 numbers, in families. The library has the hits of the naive product in 64 bits, in its order. "
          "`times_library`: seconds of a way over seconds of the library, query by query in turns, geometric mean with 95 % interval; `_cpu`: in processor time. "
          "Memory: what the process holds at its peak above what it held before, over the size of the index.")


if __name__ == "__main__": main()
