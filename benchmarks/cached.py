"""What cached gradients (the parameter `cached_gradients` of a run) save in memory, and what they cost in time.

    python benchmarks/cached.py [--rows 8 16 32] [--longest 400] [--threads 1]

A contrastive step, proteins against texts, of a model of the published 35M shapes: the loss of the whole batch and all gradients, in batches of
the library's own size for this device. Each step runs in a process of its own; before it, freed memory goes back to the system, and the peak is
counted anew (Linux with glibc), so that what the step takes is what the peak is above. The gradients of both ways are compared. Takes about ten minutes
on one core and 16 GB. Writes benchmarks/results/cached.csv and
cached.md.
"""
import argparse, ctypes, gc, json, re, subprocess, sys, tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from encoding import begin, measure, simulate, write


def step(rows, longest, cached, threads, out):
    "Take one step, and write down what it took."
    import torch
    from torch.nn import functional as F
    from safetensors.torch import save_file
    _, model, _ = begin(threads)
    model.cached_gradients = cached
    table = simulate(rows, np.random.default_rng(3))
    sequences, texts = table.sequence.str[:longest].tolist(), table.text.tolist()

    def contrast(some):
        vectors = model(sequences=sequences[:some], texts=texts[:some])
        scores = vectors["sequence"] @ vectors["text"].T / 0.07
        F.cross_entropy(scores, torch.arange(len(scores))).backward()

    contrast(2)  # pays for the memory of the gradients
    model.zero_grad(set_to_none=False)
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    now = lambda name: int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 2**20
    before = now("VmRSS")
    _, wall, cpu = measure(lambda: contrast(rows))
    save_file({name: p.grad for name, p in model.named_parameters() if p.grad is not None}, f"{out}.safetensors")
    Path(f"{out}.json").write_text(json.dumps(dict(wall=wall, cpu=cpu, gib=now("VmHWM") - before)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[8, 16, 32], help="proteins in the batch, each with its text")
    parser.add_argument("--longest", type=int, default=400, help="residues to which proteins are cut")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)  # cached or plain, and where its results go
    args = parser.parse_args()
    if args.step: return step(args.rows[0], args.longest, args.step[0] == "cached", args.threads, args.step[1])
    from safetensors.torch import load_file
    records = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in args.rows:
            found, grads = {}, {}
            for way in ("plain", "cached"):
                out = f"{folder}/{way}"
                subprocess.run([sys.executable, __file__, "--rows", str(rows), "--longest", str(args.longest), "--threads", str(args.threads), "--step", way, out], check=True)
                found[way], grads[way] = json.loads(Path(f"{out}.json").read_text()), load_file(f"{out}.safetensors")
            apart = sum((grads["plain"][n] - grads["cached"][n]).square().sum() for n in grads["plain"]).sqrt() / sum(g.square().sum() for g in grads["plain"].values()).sqrt()
            records.append(dict(rows=rows, plain_gib=round(found["plain"]["gib"], 2), cached_gib=round(found["cached"]["gib"], 2),
                                times_less=round(found["plain"]["gib"] / found["cached"]["gib"], 1), times_longer_cpu=round(found["cached"]["cpu"] / found["plain"]["cpu"], 2),
                                gradient_difference=f"{float(apart):.0e}"))
            print(records[-1], flush=True)
    write("cached", "A contrastive step with cached gradients", pd.DataFrame(records),
          f"Published 35M shapes, random weights, proteins of at most {args.longest} residues. Peak memory of the step above what the process had before it, which has the weights and their gradients; processor time; all gradients together, relative.")


if __name__ == "__main__": main()
