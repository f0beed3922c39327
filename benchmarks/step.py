"""One training step with a model of the published 35M shapes: three padded forwards against this library's one.

    python benchmarks/step.py [--rows 24] [--micro 6] [--longest 700] [--threads 1]

"three padded forwards" is how the reference trains: anchors, negatives and texts are padded to their longest and encoded in three calls of
plain transformers parts with eager attention. The library encodes each distinct string once, in batches of like length. Both then compute
the same margin loss and its gradients; dropout is off so that they can be compared. Then the same with a text tower that does not learn: the
padded forwards encode texts without gradient, and the library recalls what the tower gave once, before the clock starts. 24 triplets, the
reference's batch, do not fit the memory of an ordinary machine when they are padded, so proteins are cut to `--longest` residues, as trainers
do, and both accumulate gradients over `--micro` triplets at a time; the fewer, the kinder to the padded forwards. Of pairs in both directions,
the two triplets of a pair stand side by side, as in this library's batches. Takes about a quarter of an hour on one core and 18 GB. Writes
benchmarks/results/step.csv and step.md.
"""
import argparse, itertools

import numpy as np
import pandas as pd

from encoding import begin, measure, plain_encode, simulate, triplets, write


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=24, help="triplets in the batch")
    parser.add_argument("--micro", type=int, default=6, help="triplets that are encoded at a time, by both")
    parser.add_argument("--longest", type=int, default=700, help="residues to which proteins are cut")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    from protrek_nb.models.published import published_name
    from protrek_nb.losses import triplet_margin
    from protrek_nb.model import freeze
    from protrek_nb.models.readers import recall_states
    parts, model, tokenizers = begin(args.threads)

    def plain(seqs, negatives, texts):
        return [plain_encode(parts, tokenizers, kind, s) for kind, s in (("sequence", seqs), ("sequence", negatives), ("text", texts))]

    def ours(seqs, negatives, texts):
        out = model(sequences=seqs + negatives, texts=texts)
        return out["sequence"][:len(seqs)], out["sequence"][len(seqs):], out["text"]

    def step(encode, batch):
        total = 0.0
        for first in range(0, len(batch[0]), args.micro):
            part = [strings[first:first + args.micro] for strings in batch]
            a, b, t = encode(*part)
            loss = triplet_margin((a * t).sum(-1), (b * t).sum(-1)) * len(part[0]) / len(batch[0])
            loss.backward()
            total += loss.item()
        return total

    rows = []
    for kind, learns in itertools.product(("both directions", "no repeats"), ("both towers", "sequence tower")):
        *proteins, texts = triplets(args.rows, kind, seed=1)
        batch = [*([s[:args.longest] for s in strings] for strings in proteins), texts]
        if kind == "both directions":
            half = len(batch[0]) // 2  # each pair, and then each pair turned round
            batch = [[strings[k + turned] for k in range(half) for turned in (0, half)] for strings in batch]
        for module in (parts, model): module.requires_grad_(True)
        model.recalled = {}
        if learns == "sequence tower":
            getattr(parts, "2").requires_grad_(False); freeze(model, ["text"])
            recall_states(model, "text", batch[2])
        for encode, module in ((plain, parts), (ours, model)):  # the first step of each pays for the memory of the gradients
            step(encode, [strings[:1] for strings in batch])
            module.zero_grad(set_to_none=False)
        loss, wall, cpu = measure(lambda: step(plain, batch))
        our_loss, our_wall, our_cpu = measure(lambda: step(ours, batch))
        wanted = dict(parts.named_parameters())
        pairs = [(p.grad, wanted[published_name(n)].grad) for n, p in model.named_parameters() if p.grad is not None]
        apart = float(sum((a - b).square().sum() for a, b in pairs).sqrt() / sum(b.square().sum() for _, b in pairs).sqrt())
        rows.append(dict(batch=kind, learns=learns, triplets=len(batch[0]), three_forwards_s=round(wall, 1), library_s=round(our_wall, 1), ratio=round(wall / our_wall, 2),
                         ratio_cpu=round(cpu / our_cpu, 2), loss_difference=f"{abs(loss - our_loss):.0e}", gradient_difference=f"{apart:.0e}"))
    write("step", "One training step: three padded forwards against this library", pd.DataFrame(rows),
          f"Published 35M shapes, random weights, gradients of all weights that learn. {args.micro} triplets at a time, proteins of at most {args.longest} residues. `ratio` is wall time, `ratio_cpu` processor time in user mode. `gradient_difference` is relative, of all weights together.")


if __name__ == "__main__": main()
