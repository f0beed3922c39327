"""What compiling the layers (the parameter `compiled` of a run) brings to a training step on this machine, and what it costs.

    python benchmarks/compiled.py [--rows 6] [--rounds 7] [--longest 400] [--threads 1]

Two copies of a model of the published 35M shapes take the same steps in turns (A B A B), one of them compiled: new triplets in each round, a
margin loss and all gradients. The first step of each is shown apart; the steps of two further rounds are not counted, because other shapes may
be compiled then. What was compiled before is not used again. Losses and gradients are compared in the last round. Takes about ten minutes on one core. Writes benchmarks/results/compiled.csv
and compiled.md.
"""
import argparse, copy, os, tempfile

import numpy as np
import pandas as pd

from encoding import begin, measure, triplets, write


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=6, help="triplets in the batch")
    parser.add_argument("--rounds", type=int, default=7, help="rounds that are counted")
    parser.add_argument("--longest", type=int, default=400, help="residues to which proteins are cut")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    kept = tempfile.TemporaryDirectory()
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = kept.name
    from protrek_nb.losses import triplet_margin
    from protrek_nb.metrics.intervals import seed_interval, with_interval
    from protrek_nb.training.trainer import compile_layers
    _, plain, _ = begin(args.threads)
    models = dict(plain=plain, compiled=copy.deepcopy(plain))
    layers = compile_layers(models["compiled"])

    def step(model, seed):
        *proteins, texts = triplets(args.rows, "no repeats", seed=seed)
        anchors, negatives = ([s[:args.longest] for s in strings] for strings in proteins)
        model.zero_grad(set_to_none=False)
        out = model(sequences=anchors + negatives, texts=texts)
        a, b, t = out["sequence"][:args.rows], out["sequence"][args.rows:], out["text"]
        loss = triplet_margin((a * t).sum(-1), (b * t).sum(-1), margin=2.0)  # wide enough for all of them to count
        loss.backward()
        return loss.item()

    took, loss = {name: [] for name in models}, {}
    for seed in range(3 + args.rounds):
        for name, model in models.items():
            loss[name], wall, _ = measure(lambda: step(model, seed))
            took[name].append(wall)
            print(f"round {seed}, {name}: {wall:.2f} s", flush=True)
    grads = [[p.grad for p in model.parameters() if p.grad is not None] for model in models.values()]
    apart = float(sum((a - b).square().sum() for a, b in zip(*grads)).sqrt() / sum(a.square().sum() for a in grads[0]).sqrt())
    counted = {name: np.array(seconds[3:]) for name, seconds in took.items()}
    saved = np.median(counted["plain"] - counted["compiled"])
    extra = sum(took["compiled"][:3]) - sum(took["plain"][:3])
    rows = [dict(way=name, first_step_s=round(took[name][0], 1), step_s=round(float(np.median(seconds)), 2),
                 ratio="" if name == "plain" else with_interval(*seed_interval(counted["plain"] / seconds), "{:.2f}"),
                 paid_after_steps="" if name == "plain" or saved <= 0 else round(extra / saved)) for name, seconds in counted.items()]
    write("compiled", "A training step, plain and compiled", pd.DataFrame(rows),
          f"Published 35M shapes, random weights, {args.rows} triplets, proteins of at most {args.longest} residues; {len(layers)} layers compiled, "
          f"{args.rounds} rounds. `ratio`: mean over rounds with interval. Difference of the losses {abs(loss['plain'] - loss['compiled']):.0e}, of all gradients together {apart:.0e} (relative).")


if __name__ == "__main__": main()
