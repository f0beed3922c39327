"""One training step with a model of the published 35M shapes: three padded forwards against this library's one.

    python benchmarks/step.py [--rows 24] [--threads 1]

"three padded forwards" is how the reference trains: anchors, negatives and texts are padded to their longest and encoded in three calls of
plain transformers parts with eager attention. The library encodes each distinct string once, in batches of like length. Both then compute
the same margin loss and its gradients; dropout is off so that they can be compared. `--rows 24`, the reference's batch, takes about two
minutes on one core and 10 GB; `--rows 6` half a minute. Writes benchmarks/results/step.csv and step.md.
"""
import argparse, os, warnings

import numpy as np
import pandas as pd

from encoding import both_models, measure, plain_encode, simulate, triplets, write


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=24, help="triplets in the batch")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore")
    import torch
    from protrek_nb.published import published_name
    from protrek_nb.losses import triplet_margin
    torch.set_num_threads(args.threads)
    parts, model, tokenizers = both_models(simulate(300, np.random.default_rng(9)).text.tolist())

    def plain(seqs, negatives, texts):
        a, b, t = (plain_encode(parts, tokenizers, kind, s) for kind, s in (("sequence", seqs), ("sequence", negatives), ("text", texts)))
        loss = triplet_margin((a * t).sum(-1), (b * t).sum(-1))
        loss.backward()
        return loss.item()

    def ours(seqs, negatives, texts):
        out = model(sequences=seqs + negatives, texts=texts)
        a, b, t = out["sequence"][:len(seqs)], out["sequence"][len(seqs):], out["text"]
        loss = triplet_margin((a * t).sum(-1), (b * t).sum(-1))
        loss.backward()
        return loss.item()

    rows = []
    for kind in ("both directions", "no repeats"):
        batch = triplets(args.rows, kind, seed=1)
        parts.zero_grad(); loss, wall, cpu = measure(lambda: plain(*batch))
        model.zero_grad(); our_loss, our_wall, our_cpu = measure(lambda: ours(*batch))
        wanted = dict(parts.named_parameters())
        pairs = [(p.grad, wanted[published_name(n)].grad) for n, p in model.named_parameters() if p.grad is not None]
        apart = float(sum((a - b).square().sum() for a, b in pairs).sqrt() / sum(b.square().sum() for _, b in pairs).sqrt())
        rows.append(dict(batch=kind, triplets=len(batch[0]), three_forwards_s=round(wall, 1), library_s=round(our_wall, 1), ratio=round(wall / our_wall, 2),
                         ratio_cpu=round(cpu / our_cpu, 2), loss_difference=f"{abs(loss - our_loss):.0e}", gradient_difference=f"{apart:.0e}"))
    write("step", "One training step: three padded forwards against this library", pd.DataFrame(rows),
          "Published 35M shapes, random weights, gradients of all weights. `gradient_difference` is relative, of all weights together.")


if __name__ == "__main__": main()
