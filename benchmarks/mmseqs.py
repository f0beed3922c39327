"""The grouping by shared words against MMseqs2: which pairs of at least 70 % identity each keeps together, and how long each takes.

    python benchmarks/mmseqs.py [--proteins 20000] [--threads 2] [--out benchmarks/results/mmseqs.csv]

The rivals are `mmseqs easy-linclust` (linear time, clusters), `mmseqs easy-cluster` and `mmseqs easy-search` (500 proteins against all, for its recall, because all against all takes long; a pair counts as kept if it is listed), each at 70 % identity and 80 % coverage
of both. The proteins are those of benchmarks/mining_scale.py. The truth is every pair of sequences of a family whose identity, as the library computes it, is at least 0.7 and whose lengths are within 20 %. Each
takes its turn, three rounds, `easy-cluster` and the search one; the time is the median. Where `mmseqs` is missing, the script says what to install.
"""
import argparse, os, shutil, statistics, subprocess, sys, tempfile, time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd

from mining_scale import RESULTS, simulate
from protrek_nb.twins.groups import make_groups
from protrek_nb.twins.search import Criterion, linked_groups, pair_blocks
from protrek_nb.twins.similarity import Encoded, pair_identity

ROUNDS, ONCE, QUERIES = 3, ("mmseqs easy-cluster", "mmseqs easy-search"), 500


def truth(table):
    "All pairs of one family with an identity of at least 0.7 and lengths within 20 %."
    encoded, found = Encoded(table.sequence.tolist()), []
    for rows in table.groupby(table.labels.str.split(".").str[0]).indices.values():
        for i, j in pair_blocks(len(rows)):
            i, j = rows[i], rows[j]
            m, n = encoded.length[i], encoded.length[j]
            i, j = (x[np.abs(m - n) <= .2 * np.maximum(m, n)] for x in (i, j))
            found.append((i, j, pair_identity(encoded, i, j, "auto", .7)))
    i, j, alike = map(np.concatenate, zip(*found))
    return i[alike > 0], j[alike > 0]


def call(*words):
    "Call MMseqs2; its answer in words where it fails."
    done = subprocess.run([*map(str, words)], capture_output=True, text=True)
    if done.returncode: sys.exit(f"{' '.join(map(str, words[:2]))} ended with code {done.returncode}: {(done.stderr or done.stdout)[-500:]}")


def clusters(kind, fasta, folder, n, threads):
    "Cluster; give the cluster of each protein."
    call("mmseqs", kind, fasta, folder/"out", folder/"tmp", "--min-seq-id", .7, "-c", .8, "--threads", threads, "-v", 1)
    pairs = pd.read_csv(folder/"out_cluster.tsv", sep="\t", header=None)
    group = np.empty(n, np.int64)
    group[pairs[1].str[1:].astype(int)] = pd.factorize(pairs[0])[0]
    return group


def search(fasta, folder, queries, table, threads):
    "Search some against all; give the pairs that are listed, as smaller * n + larger."
    n = len(table)
    (folder/"some.fasta").write_text("".join(f">r{row}\n{table.sequence[row]}\n" for row in queries))
    call("mmseqs", "easy-search", folder/"some.fasta", fasta, folder/"hits.tsv", folder/"tmp", "--min-seq-id", .7, "-c", .8, "--format-output", "query,target", "--threads", threads, "-v", 1)
    hits = pd.read_csv(folder/"hits.tsv", sep="\t", header=None)
    a, b = (hits[k].str[1:].astype(int).to_numpy() for k in (0, 1))
    return np.unique(np.minimum(a, b) * n + np.maximum(a, b))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proteins", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", default=str(RESULTS/"mmseqs.csv"))
    args = parser.parse_args()
    if shutil.which("mmseqs") is None: sys.exit("the program mmseqs is not installed: apt-get install mmseqs2 (Debian), or conda install -c bioconda mmseqs2")
    table, n = simulate(args.proteins)[0], args.proteins
    i, j = truth(table)
    queries = np.sort(np.random.default_rng(0).permutation(n)[:QUERIES])
    asked = np.isin(i, queries) | np.isin(j, queries)
    linked_groups(table.sequence[:200], exact=False)  # compile before the clock starts
    ways = {"built-in, kmers": lambda fasta, folder: make_groups(table, "kmers", Criterion(.7, .2), args.threads)[0],
            "mmseqs easy-linclust": lambda *where: clusters("easy-linclust", *where, n, args.threads),
            "mmseqs easy-cluster": lambda *where: clusters("easy-cluster", *where, n, args.threads),
            "mmseqs easy-search": lambda *where: search(*where, queries, table, args.threads)}
    seconds, kept = {way: [] for way in ways}, {}
    with tempfile.TemporaryDirectory() as temp:
        fasta = Path(temp)/"in.fasta"
        fasta.write_text("".join(f">r{row}\n{s}\n" for row, s in enumerate(table.sequence)))
        for round_ in range(ROUNDS):
            for way, function in ways.items():
                if round_ and way in ONCE: continue  # its time is told from one round
                (folder := Path(temp)/f"{round_}{len(way)}").mkdir()
                start = time.perf_counter()
                found = function(fasta, folder)
                seconds[way].append(round(time.perf_counter() - start, 2))
                kept[way] = np.isin(i * n + j, found)[asked] if way.endswith("search") else found[i] == found[j]
                print(way, seconds[way][-1], f"{kept[way].mean():.5f}", flush=True)
    ours = statistics.median(seconds["built-in, kmers"])
    rows = pd.DataFrame([dict(way=way, pairs=len(kept[way]), kept=int(kept[way].sum()), recall=round(float(kept[way].mean()), 5), seconds=statistics.median(s), lowest=min(s), highest=max(s),
                              ratio=round(statistics.median(s) / ours, 2)) for way, s in seconds.items()])
    rows.to_csv(args.out, index=False)
    version = subprocess.run(["mmseqs", "version"], capture_output=True, text=True).stdout.strip()
    about = (f"{n:,} proteins, {len(i):,} pairs of at least 70 % identity; {args.threads} threads on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end, MMseqs2 {version}. "
             f"Median of {ROUNDS} rounds in turns, of `easy-cluster` and the search one; ratio: time over that of the built-in grouping. Clusters keep a pair if both are in one; the search, with {QUERIES} of the proteins as queries, if it lists the pair.")
    Path(args.out).with_suffix(".md").write_text(f"# Grouping against MMseqs2\n\n{about}\n\n" + "\n".join(
        "| " + " | ".join(map(str, line)) + " |" for line in [rows.columns, ["---"] * len(rows.columns), *rows.itertuples(index=False)]) + "\n", encoding="utf-8")
    print(Path(args.out).with_suffix(".md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
