"""What the common trainer costs: one step of each system in it, against the same batches, losses and optimiser in a plain loop.

    python benchmarks/trainer.py [--rounds 5] [--steps 30] [--threads 1]

Each system prepares its toy world and makes its trainer as a run does. Then the trainer takes some steps, and a short loop takes the same
ones, in turns (A B A B), from the same weights and random numbers. Making a batch, all losses, gradients and what a system does after each step count
in both; validation, checkpoints and what happens once an epoch do not. The loop has no mixed precision, so it is for a CPU. Losses of the first step are compared. Takes about ten minutes on one core. Writes
benchmarks/results/trainer.csv and trainer.md.
"""
import argparse, copy, tempfile, time
from pathlib import Path

import numpy as np
import pandas as pd

from encoding import write


class Made(Exception): "A trainer is ready; it is not trained."


def trainer_of(run, name):
    "Prepare a run, and take its trainer at the moment when it would be trained."
    from protrek_nb.core import RunDir
    from protrek_nb.training.trainer import PlannedTrainer
    kept, caught = PlannedTrainer.train_in, []
    def catch(self, *given, **more):
        if type(self).__name__ != name: return kept(self, *given, **more)
        caught.append(self)
        raise Made
    PlannedTrainer.train_in = catch
    quiet = lambda line: None
    with tempfile.TemporaryDirectory() as folder:
        try: run.train(run.prepare(run.read(), quiet), RunDir.create("x", Path(folder)), quiet)
        except Made: return caught[0]
        finally: PlannedTrainer.train_in = kept


def in_trainer(trainer, steps):
    "Seconds of a step, and the first loss."
    from transformers import TrainerCallback
    stamps = []
    class Watch(TrainerCallback):
        def on_step_begin(self, *given, **more): stamps or stamps.append(time.perf_counter())
        def on_step_end(self, *given, **more): stamps.append(time.perf_counter())
    watch = Watch()
    trainer.add_callback(watch)
    trainer.args.max_steps = steps
    trainer.optimizer = trainer.lr_scheduler = None
    trainer.sums = {}
    trainer.train()
    trainer.remove_callback(watch)
    return (stamps[-1] - stamps[0]) / steps, trainer.first_loss


def in_loop(trainer, steps):
    "The same in a plain loop."
    import torch
    model, plan, losses = trainer.model, trainer.plan, []
    trainer.optimizer = trainer.lr_scheduler = None
    optimiser = trainer.create_optimizer()
    model.train()
    plan.epoch, batch = 0, plan[0]
    start = time.perf_counter()
    torch.manual_seed(0)
    for i in range(steps):
        loss = trainer.losses(model, batch)["loss"]
        loss.backward()
        if trainer.recipe.clip: torch.nn.utils.clip_grad_norm_(model.parameters(), trainer.recipe.clip)
        optimiser.step()
        model.zero_grad()
        trainer.after_step()
        losses.append(float(loss.detach()))
        trainer.state.global_step = i + 1
        if i + 1 < steps: batch = plan[(i + 1) % len(plan)]
    return (time.perf_counter() - start) / steps, losses[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    import torch
    from protrek_nb.binding import BindingRun
    from protrek_nb.go import GoRun
    from protrek_nb.metrics.intervals import seed_interval, with_interval
    from protrek_nb.pairs import PairRun
    from protrek_nb.train import TrainRun
    torch.set_num_threads(args.threads)
    runs = {"twins": (TrainRun(), "TwinTrainer"), "terms": (GoRun(), "GoTrainer"), "pairs": (PairRun(), "PairTrainer"), "metal sites": (BindingRun(), "BindingTrainer")}
    records = []
    for system, (run, name) in runs.items():
        trainer = trainer_of(run, name)
        trainer.evaluate = lambda *given, **more: {}
        trainer._determine_best_metric = lambda *given, **more: False
        trainer._save_checkpoint = lambda *given, **more: None
        compute = trainer.compute_loss
        def noted(*given, **more):
            if trainer.state.global_step: return compute(*given, **more)
            torch.manual_seed(0)
            loss = compute(*given, **more)
            trainer.first_loss = float(loss.detach())
            return loss
        trainer.compute_loss = noted
        start, steps = copy.deepcopy(trainer.model.state_dict()), min(args.steps, len(trainer.plan))
        took, first = {in_trainer: [], in_loop: []}, {}
        for _ in range(args.rounds):
            for way in took:
                trainer.model.load_state_dict(start)
                trainer.state.global_step = 0
                seconds, first[way] = way(trainer, steps)
                took[way].append(seconds)
        ratio = np.divide(took[in_trainer], took[in_loop])
        records.append(dict(system=system, steps=steps, loop_ms=round(1e3 * float(np.median(took[in_loop])), 1), trainer_ms=round(1e3 * float(np.median(took[in_trainer])), 1),
                            times_longer=with_interval(*seed_interval(ratio), "{:.2f}"), first_loss_differs=f"{abs(first[in_trainer] - first[in_loop]):.0e}"))
        print(records[-1], flush=True)
    write("trainer", "A step in the common trainer, and in a plain loop", pd.DataFrame(records),
          f"Toy worlds, default recipes, {args.rounds} rounds. `times_longer`: mean over rounds with interval.")


if __name__ == "__main__": main()
