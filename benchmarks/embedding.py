"""Embed proteins with a model of the published 35M shapes: as a user of transformers would, and as this library does.

    python benchmarks/embedding.py [--proteins 64] [--rounds 5] [--threads 1]

Each round draws other proteins, as long as those of Swiss-Prot, and encodes them, in an order that turns from round to round: one row at a time; in padded batches of 64
in the order of the table; with the library. All three use fused attention, the default of transformers. Weights are random; that the vectors are equal is checked. Processor time, of the system's too, for much of what a large batch costs is memory that
the system has to hand out. `products alone` multiplies as many tokens by the weights of all layers, 2,048 at a time, and does nothing else: nothing that gives equal vectors can be much faster.
A round takes about three minutes on one core. Writes benchmarks/results/embedding.csv and embedding.md.
"""
import argparse, time

import numpy as np
import pandas as pd

from encoding import begin, plain_encode, simulate, write

BATCH, PRODUCT = 64, 2048


def timed(work, strings):
    "Run `work`; give its result, and seconds of the processor."
    start = time.process_time()
    result = work(strings)
    return result, time.process_time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--proteins", type=int, default=64, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    import torch
    from protrek_nb.metrics.intervals import seed_interval, with_interval
    parts, model, tokenizers = begin(args.threads)
    for number in "12": getattr(parts, number).model.set_attn_implementation("sdpa")

    def plain(size):
        def encode(strings):
            with torch.no_grad(): return torch.cat([plain_encode(parts, tokenizers, "sequence", strings[k:k + size]) for k in range(0, len(strings), size)])
        return encode

    def products(strings):
        tokens = sum(len(s) + 2 for s in strings)
        layers = [part for part in model.sequence.encoder.encoder.modules() if isinstance(part, torch.nn.Linear)]
        x = {width: torch.randn(PRODUCT, width) for width in {part.in_features for part in layers}}
        with torch.no_grad():
            for part in layers:
                for at in range(0, tokens, PRODUCT): part(x[part.in_features][:tokens - at])

    ways = {"one row at a time": plain(1), f"padded batches of {BATCH}": plain(BATCH), "library": model.get_protein_repr, "products alone": products}
    for encode in ways.values(): encode(["MKV" * 50])
    seconds, apart, tokens = {name: [] for name in ways}, 0.0, 0
    for turn in range(args.rounds):
        strings, found = simulate(args.proteins, np.random.default_rng(turn)).sequence.tolist(), {}
        tokens += sum(map(len, strings)) + 2 * len(strings)
        for k in range(len(ways)):
            name = list(ways)[(turn + k) % len(ways)]
            found[name], took = timed(ways[name], strings)
            seconds[name].append(took)
        apart = max(apart, *(float((found[name] - found["library"]).abs().max()) for name in ways if found[name] is not None))
    rows = [dict(way=name, proteins=args.proteins * args.rounds, tokens_per_cpu_s=round(tokens / sum(took)),
                 library_is_faster="" if name == "library" else with_interval(*seed_interval(np.divide(took, seconds["library"])), "{:.2f}")) for name, took in seconds.items()]
    write("embedding", "Embedding proteins: transformers against this library", pd.DataFrame(rows),
          f"Published 35M shapes, random weights, {args.rounds} rounds of {args.proteins} proteins. Ratios of processor time, mean over rounds with interval. Largest difference between vectors: {apart:.0e}.")


if __name__ == "__main__": main()
