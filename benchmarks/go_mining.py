"""Choose the candidates of 32 proteins among 42,000 terms: the miner against the bare FAISS search that it contains.

    python benchmarks/go_mining.py [--repeats 30] [--threads 1] [--dim 256]

The ontology is the Gene Ontology where `shared_data()` has one, padded with further leaves to 42,000 terms, or else a simulated graph of the same
size and mean number of parents. The vectors follow the graph: a term lies near its parents, so that the shortlist is full of relatives that must
be masked. Each protein carries 1 to 10 terms and all their ancestors; its query lies near its terms. "bare" is `index.search` alone, for the same
queries and the same shortlist; "masks" is the making of the forbidden cells of the batch; "build" is everything from batch to candidates. They take
turns on eight batches; of each batch the fastest run counts, as other work on the machine only ever adds. Writes benchmarks/results/go_mining.csv and go_mining.md.
"""
import argparse, platform, time
from pathlib import Path

import numpy as np
import pandas as pd

RESULTS = Path(__file__).resolve().parent/"results"
N_TERMS, N_PROTEINS, POOL = 42_000, 32, 8_000


class Graph:
    "What the miner needs of an ontology."
    def __init__(self, parents):
        from scipy import sparse
        self.parents, self.ids = parents, [f"GO:{row:07d}" for row in range(len(parents))]
        self.roots = [row for row, edges in enumerate(parents) if not edges]
        own = np.arange(len(parents))
        child, parent = np.array([(row, p) for row, edges in enumerate(parents) for p, *_ in edges]).T
        reach = sparse.csr_array((np.ones(len(child) + len(own), bool), (np.r_[child, own], np.r_[parent, own])), shape=(len(own),) * 2)
        while (further := reach @ reach).nnz > reach.nnz: reach = further
        self.ancestor_matrix = reach

    def __len__(self): return len(self.parents)
    def closure(self, rows): return set(self.ancestor_matrix[sorted(rows)].indices.tolist())


def make_graph(rng):
    "The Gene Ontology with further leaves up to 42,000 terms, or a simulated graph."
    from protrek_nb.core import shared_data
    path = shared_data() and shared_data()/"go"/"go_full_2014-10-10_from_xml.obo.gz"
    if path and path.is_file():
        from protrek_nb.go.ontology import Ontology
        ontology = Ontology.from_obo(path)
        parents, name = [[(p, r) for p, r in edges] for edges in ontology.parents], f"GO, {len(ontology):,} terms, padded"
    else:
        parents, name = [[]], "simulated"
    while len(parents) < N_TERMS:
        n = len(parents)
        parents.append([(int(p), "is_a") for p in set(rng.integers(n // 4, n, rng.integers(1, 3)).tolist())])
    return Graph(parents), name


def topological(parents):
    "Rows, parents first."
    out, seen = [], set()
    for start in range(len(parents)):
        stack = [start]
        while stack:
            row = stack[-1]
            todo = [p for p, *_ in parents[row] if p not in seen]
            if todo: stack += todo
            else:
                stack.pop()
                if row not in seen: seen.add(row); out.append(row)
    return out


def make_vectors(graph, dim, rng):
    "Unit vectors, each a step away from the mean of its parents."
    out = np.zeros((len(graph), dim), np.float32)
    for row in topological(graph.parents):
        parents = [p for p, *_ in graph.parents[row]]
        out[row] = rng.normal(size=dim) * 0.8 + (out[parents].mean(0) * dim ** .5 if parents else 0)
        out[row] /= np.linalg.norm(out[row])
    return out


def make_batch(graph, vectors, rng):
    "32 proteins, their queries, as a collated batch."
    import torch
    from protrek_nb.go.annotations import TermBatch, _fixed
    own = [_fixed({int(r) for r in rng.choice(len(graph), rng.integers(1, 11), replace=False)}) for _ in range(N_PROTEINS)]
    known = [_fixed(graph.closure(rows.tolist())) for rows in own]
    weights = [np.ones(len(rows), np.float32) for rows in own]
    query = np.stack([vectors[rows].mean(0) + .3 * rng.normal(size=vectors.shape[1]).astype(np.float32) / vectors.shape[1] ** .5 for rows in own])
    nothing = [np.zeros(0, np.int64)] * N_PROTEINS
    batch = TermBatch([f"P{i}" for i in range(N_PROTEINS)], torch.zeros(N_PROTEINS, 1, 1), torch.ones(N_PROTEINS, 1, dtype=torch.bool), own, weights, own,
                      known, nothing, torch.zeros(0), [], torch.zeros(len(graph), dtype=torch.bool))
    return batch, torch.from_numpy(query)


def clock(work):
    "Run once; milliseconds."
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="runs of each batch")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dim", type=int, default=256, help="of the joint space")
    args = parser.parse_args()
    import faiss, torch
    from protrek_nb.go.candidates import BatchBuilder, miner_curriculum
    from protrek_nb.go.vectors import VectorResources
    faiss.omp_set_num_threads(args.threads); torch.set_num_threads(args.threads)
    rng = np.random.default_rng(0)
    graph, name = make_graph(rng)
    vectors = make_vectors(graph, args.dim, rng)
    bare_index = faiss.IndexFlatIP(args.dim)
    bare_index.add(vectors)
    batches = [make_batch(graph, vectors, rng) for _ in range(8)]
    units = [torch.nn.functional.normalize(query, dim=1).numpy() for _, query in batches]
    cases, rows = [("all", None, preset) for preset in ("code", "yaml", "doc")] + [(f"{POOL:,}", rng.choice(len(graph), POOL, replace=False), "doc")], []
    for allowed, pool, preset in cases:
        resources = VectorResources(graph, pool=pool)
        resources.set_backends(lambda rows: torch.from_numpy(vectors[rows]))
        builder = BatchBuilder(graph, resources, miner_curriculum(preset, 1000, 100))
        for when, step in (("start", 0), ("half way", 520), ("end", 1000)):
            used, times = builder.at(step), []
            builder.build(batches[0][0], step, batches[0][1])  # makes the hop masks
            for i in range(8 * args.repeats):
                (batch, query), unit = batches[i % 8], units[i % 8]
                times.append((clock(lambda: bare_index.search(unit, used.shortlist_M)), clock(lambda: builder.build(batch, step, query)),
                              clock(lambda: builder.forbid(batch, used))))
            bare, build, masks = np.array(times).reshape(args.repeats, 8, 3).min(0).mean(0)
            rows.append(dict(allowed=allowed, preset=preset, when=when, shortlist_M=used.shortlist_M, k_hard=used.k_hard, bare_ms=round(bare, 1), build_ms=round(build, 1),
                             ratio=round(build / bare, 2), masks_ms=round(masks, 2), deeper=builder.build(*batches[0][:1], step, batches[0][1]).trace["deeper"]))
    table = pd.DataFrame(rows)
    RESULTS.mkdir(exist_ok=True)
    table.to_csv(RESULTS/"go_mining.csv", index=False)
    head = " | ".join(table.columns)
    lines = [f"# Candidates of {N_PROTEINS} proteins among {len(graph):,} terms, in dimension {args.dim}", "",
             f"{name}; {args.threads} thread(s), {platform.machine()}, FAISS {faiss.__version__}; mean of 8 batches, each the fastest of {args.repeats} runs. `ratio` is build against the bare search of all terms; *allowed* terms may be negatives.", "",
             f"| {head} |", "|" + "---|" * len(table.columns), *("| " + " | ".join(map(str, row)) + " |" for row in table.to_numpy().tolist()), ""]
    (RESULTS/"go_mining.md").write_text("\n".join(lines))
    print(table.to_string(index=False))


if __name__ == "__main__": main()
