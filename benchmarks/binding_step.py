"""One training step of the binding system at the published 35M shapes: LoRA against all weights, views in one pass against one pass for each; writes benchmarks/results/binding_step.csv and .md.

    python benchmarks/binding_step.py [--chains 4] [--views 4]

LoRA and all weights run in a process each, the two ways to read the views take turns in it: chains of 200 to 400 residues, random weights, AdamW, one thread, no dropout, so that both passes have the same loss. Processor seconds are the median of `--rounds` steps after one that is not counted; memory is the peak of the whole process.
"""
import argparse, json, resource, subprocess, sys, tempfile, time

import numpy as np
import pandas as pd

WEIGHTS, PASSES = ("all weights", "LoRA rank 16"), ("one pass", "a pass for each view")


def make_model(lora):
    "Build a model of the published 35M shapes with random weights."
    from transformers import EsmConfig, EsmForMaskedLM
    from encoding import shapes_35m
    from protrek_nb.models.encoders import open_encoder
    from protrek_nb.binding.model import BindingModel
    from protrek_nb.models.adapt import Lora
    from protrek_nb.models.tokens import AA_VOCAB, esm_tokenizer
    shape = shapes_35m(1)["sequence"]
    with tempfile.TemporaryDirectory() as folder:
        EsmForMaskedLM(EsmConfig(**{k: v for k, v in shape.items() if k != "model_type"})).save_pretrained(folder)
        esm_tokenizer(AA_VOCAB).save_pretrained(folder)
        return BindingModel(open_encoder(folder, "cpu"), ["ZN"], lora=Lora(16, 32.0, 0.0) if lora else None).train()


def measure(weights, chains, views, rounds):
    "Take steps, both passes in turn, and print seconds and memory as JSON."
    import torch
    from protrek_nb.losses import weighted_sum
    from protrek_nb.binding.prototypes import SiteLossSettings, site_losses, make_prototype
    from protrek_nb.models.views import aligned_views, label_rows
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, rng = make_model(weights.startswith("LoRA")), np.random.default_rng(0)
    strings = ["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), n)) for n in np.linspace(200, 400, chains).astype(int)]
    label_BR = label_rows(["".join("1" if rng.random() < 0.03 else "0" for _ in s) for s in strings])
    batch = aligned_views(model.backbone.tokens(strings), views, rng, model.backbone.rule())
    model.set_prototype("ZN", make_prototype([(torch.randn(1, label_BR.shape[1], model.backbone.width), label_BR[:1], batch.real_BR[:1])]))
    optimizer, objective = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 1e-4), SiteLossSettings()

    def read(pass_):
        if pass_ == "one pass": return model(batch, "ZN")
        parts = [model(view, "ZN") for view in batch]
        return tuple(torch.cat(x) for x in zip(*parts))

    def loss_of(pass_):
        torch.manual_seed(1)  # the contrast draws residues
        states, logits = read(pass_)
        return weighted_sum(site_losses(states, batch, label_BR, model.prototype("ZN"), objective, logits)[0], objective.weights)

    def step(pass_):
        start = time.process_time()
        loss = loss_of(pass_)
        loss.backward(); optimizer.step(); optimizer.zero_grad()
        return time.process_time() - start

    with torch.no_grad(): first = {pass_: float(loss_of(pass_)) for pass_ in PASSES}  # before any weight has moved
    step("one pass")
    seconds = {pass_: [] for pass_ in PASSES}
    for k in range(rounds):
        for pass_ in PASSES[::1 - 2 * (k % 2)]: seconds[pass_].append(step(pass_))
    shared = dict(learning_weights=sum(p.numel() for p in model.parameters() if p.requires_grad), memory_gib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2))
    print(json.dumps([dict(weights=weights, reading=pass_, seconds=round(float(np.median(seconds[pass_])), 2), first_loss=round(first[pass_], 6), **shared) for pass_ in PASSES]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--one", choices=WEIGHTS, help="measure one case and print JSON")
    given = parser.parse_args()
    if given.one: return measure(given.one, given.chains, given.views, given.rounds)
    from encoding import write
    sizes = ["--chains", str(given.chains), "--views", str(given.views), "--rounds", str(given.rounds)]
    rows = [row for weights in WEIGHTS for row in json.loads(subprocess.run([sys.executable, __file__, *sizes, "--one", weights], check=True, capture_output=True, text=True).stdout.splitlines()[-1])]
    table = pd.DataFrame(rows)
    table["time"], table["memory"] = (table.seconds / table.seconds[0]).round(2), (table.memory_gib / table.memory_gib[0]).round(2)
    write("binding_step", "A training step of the binding system", table, f"{given.chains} chains of 200 to 400 residues, {given.views} views, 35M shapes, random weights. `time` and `memory` are shares of the first row.")


if __name__ == "__main__":
    main()
