"""What the tests run in other processes: runs that are killed, and runs of several processes."""
import gc
import multiprocessing
import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from protrek_nb import core, runs, train
from protrek_nb.training import trainer, twins
from protrek_nb.losses import gather_rows
from protrek_nb.training.recipes import RECIPES

torch.set_num_threads(1)
gc.freeze()  # for the processes that are forked from here, as in conftest
RECIPES["tiny"] = replace(RECIPES["balanced"], batch_size=12, save_every=1, keep="last")
RECIPES["still"] = replace(RECIPES["tiny"], dropout=0.0)  # each process draws its own dropout, so only runs without it can be compared


def quiet(line): "Say nothing."


# ---------------------------------------------------------------- processes

PRELOAD = ["helpers"]  # what the process that others are forked from imports


def start(function, *arguments):
    "Start a function in a fresh process, forked from one that has imported this module and done nothing else."
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    process = context.Process(target=function, args=arguments, daemon=True)
    with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p)): process.start()  # Python 3.11 does not hand sys.path on
    return process


def finish(*processes, seconds=120):
    "Wait for processes; give their exit codes. None stays behind."
    for process in processes: process.join(seconds)
    codes = [process.exitcode for process in processes]
    for process in processes:
        if process.is_alive(): process.kill(); process.join()
    return codes


# ---------------------------------------------------------------- run folders outside of the project

@contextmanager
def runs_in(folder):
    "Let `fit` make its run folders elsewhere."
    create = core.RunDir.create
    with mock.patch.object(core.RunDir, "create", lambda name: create(name, folder)): yield


def fit(run, folder):
    "Make a run of any system whose folder lies in `folder`; nothing is printed."
    with runs_in(folder): return runs.fit(run, say=quiet)


def weights(run_dir):
    "Read all tensors that a run ends with: the model it keeps, and the newest checkpoint with its optimiser."
    step, newest = runs.checkpoints(run_dir.checkpoints_dir)[-1]
    state = torch.load(newest / "optimizer.pt", weights_only=True)["state"]
    optimiser = {f"optimiser {k} {name}": torch.as_tensor(value) for k, entry in state.items() for name, value in entry.items()}
    parts = dict(model=load_file(run_dir.path / "model" / "model.safetensors"), checkpoint=load_file(newest / "model.safetensors"))
    return optimiser | {f"{part} {name}": value for part, tensors in parts.items() for name, value in tensors.items()}


def differences(left, right):
    "Name the tensors that are not bit by bit the same."
    return sorted(n for n in left.keys() | right.keys() if n not in left or n not in right or not torch.equal(left[n], right[n]))


# ---------------------------------------------------------------- sudden death

def die(*args, **kwargs): os.kill(os.getpid(), signal.SIGKILL)


def after(calls, function, last=die):
    "Let a function work `calls` times; then `last` takes its place."
    count = iter(range(calls))
    def counted(*args, **kwargs): return (function if next(count, None) is not None else last)(*args, **kwargs)
    return counted


def half_then_die(write):
    "Make a writer of files that leaves half of the bytes and dies."
    def broken(obj, path, *args, **kwargs):
        write(obj, path, *args, **kwargs)
        os.truncate(path, os.path.getsize(path) // 2)
        die()
    return broken


def rename_then_die(source, target):
    os.rename(source, target)
    die()


def _replace_checkpoint(calls, last):
    "Let `os.replace` work, but treat the checkpoint after `calls` others otherwise."
    plain = os.replace
    counted = after(calls, plain, last)
    return lambda a, b: (counted if Path(b).name.startswith("checkpoint-") else plain)(a, b)


MOMENTS = {  # name -> (what is patched, by what), four steps to an epoch, one checkpoint after each
    "in the first epoch": lambda: (train.TwinTrainer, "compute_loss", after(2, train.TwinTrainer.compute_loss)),
    "in the second epoch": lambda: (train.TwinTrainer, "compute_loss", after(6, train.TwinTrainer.compute_loss)),
    "half of the optimiser written": lambda: (torch, "save", after(_saves_per_checkpoint, torch.save, half_then_die(torch.save))),
    "checkpoint written, sums not": lambda: (trainer, "write_sums", after(1, trainer.write_sums)),
    "sums written, name not given": lambda: (os, "replace", _replace_checkpoint(1, die)),
    "name given, old ones still there": lambda: (os, "replace", _replace_checkpoint(2, rename_then_die)),
    "trained, not evaluated": lambda: (train, "evaluate_model", after(1, train.evaluate_model)),
}
_saves_per_checkpoint = 4  # arguments, optimiser, scheduler, random state


def fit_until(moment, run, folder):
    "Run `fit` until the moment, and be killed there."
    where, name, dying = MOMENTS[moment]()
    with mock.patch.object(where, name, dying): fit(run, folder)


# ---------------------------------------------------------------- several processes

def join_world(rank, n, port):
    "Be one of `n` processes, as torchrun would say it."
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(n), LOCAL_WORLD_SIZE=str(n), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class KeepGradients(TrainerCallback):
    "Remember the gradients of the first step."
    def __init__(self): self.first = {}
    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        named = {n.removeprefix("module."): p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        self.first = self.first or named


def three_steps(rank, n, port, run, recipe, found, path):
    "Train three steps with plain gradient descent, and write losses, first gradients and weights."
    if n > 1: join_world(rank, n, port)
    model = train.load_base(run, found.table)
    plan = twins.TwinPlan(found.pairs, twins.replay_rows(found.table), recipe, 1, seed=3)
    teacher = train.load_base(replace(run, seed=run.seed + 1), found.table) if recipe.distill else None
    folder, kept = Path(path).parent / f"checkpoints-{n}", KeepGradients()
    loop = train.TwinTrainer(model, plan, folder, lambda model: dict(score=0.0), teacher, quiet, optim="sgd")
    loop.add_callback(kept)
    losses, compute = [], loop.compute_loss
    def computed(*a, **k):
        loss = compute(*a, **k)
        losses.append(loss.detach().reshape(1).clone())
        return loss
    loop.compute_loss = computed
    loop.train()
    state = {f"gradient {k}": v for k, v in kept.first.items()} | {f"weight {k}": v.detach().clone() for k, v in model.named_parameters()}
    save_file(state | dict(losses=torch.cat(losses)), f"{path}.{rank}")
    if n > 1: torch.distributed.destroy_process_group()


def gather_and_weigh(rank, n, port, path):
    "Gather rank + 1 rows from each process, weigh them, go back; write rows and gradient."
    join_world(rank, n, port)
    torch.distributed.init_process_group("gloo")
    x_BD = torch.arange(3.0 * (rank + 1)).reshape(rank + 1, 3) + 100 * rank
    x_BD.requires_grad_()
    gathered_ND = gather_rows(x_BD)
    weight_ND = torch.arange(1.0, 1 + gathered_ND.numel()).reshape(gathered_ND.shape)
    (gathered_ND * weight_ND).sum().backward()
    marks = gather_rows(torch.tensor([rank == 1] * (rank + 1)))
    save_file(dict(rows=gathered_ND.detach(), gradient=x_BD.grad, marks=marks), f"{path}.{rank}")
    torch.distributed.destroy_process_group()


def fit_in_world(rank, n, port, run, folder):
    "Run `fit` as one of several processes."
    join_world(rank, n, port)
    fit(run, folder)
    torch.distributed.destroy_process_group()
