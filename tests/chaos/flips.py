"""Flip bits in every file that a run, a report or a loaded model reads, and count those that nobody notices.

`python tests/chaos/flips.py --places 20 --seed 1` makes one small job of each kind, and writes a row for each kind of saved thing to the table that is named by `--out`.
"""
import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]
import conftest  # noqa: F401  one thread, no network, no GPU

import pandas as pd

import chaos
import jobs
from protrek_nb import runs
from protrek_nb.binding.folds import FOLD_FILES, fold_problems
from protrek_nb.core import RunDir
from protrek_nb.damage import SUMS, read_sums, verify_listed, verify_sums
from protrek_nb.model import ProTrek
from protrek_nb.models import store as stores
from protrek_nb.reporting.folders import SYSTEMS, read_run, run_system
from protrek_nb.saved import Saved
from protrek_nb.twins.parts import read_parts


def raises(function, *given):
    "Tell whether a call is refused in words; any other error is one."
    try: function(*given)
    except (ValueError, FileNotFoundError) as error: return len(str(error)) > 20
    return False


def shard_is_noticed(path):
    "Tell whether a store refuses a shard: its header, its length or its rows."
    stores._SOUND.clear()
    try: return not stores.sound(stores.read_header(path))
    except ValueError: return True


def things(folder, name):
    "What a job has left, as (what, files, function that tells whether damage is noticed)."
    run_dir = RunDir(folder / name)
    below = lambda top: sorted(p for p in top.rglob("*") if p.is_file())
    if (store := folder / "store").exists():
        for path in sorted(store.rglob("*.safetensors")): yield "rows of a store", [path], lambda path=path: shard_is_noticed(path)
    if (mined := folder / "mined").exists(): yield "a mining in parts", [*sorted(mined.glob("part-*.parquet")), mined / "work" / "plan.json"], lambda: raises(list, read_parts(mined))
    if not run_dir.params_path.exists(): return
    listed = [run_dir.path / n for n in (*read_sums(run_dir.path), SUMS)]
    reported = run_system(run_dir.path) in SYSTEMS
    yield "a finished run", listed, lambda: raises(read_run, run_dir.path) if reported else bool(verify_listed(run_dir.path))
    yield "what a run goes on with", [run_dir.params_path], lambda: raises(runs.read_params, run_dir)
    if (model := run_dir.path / "model").exists():
        yield "a trained system", below(model), lambda: raises(Saved.read, model)
        if (model / "config.json").exists():
            own = [model / n for n in read_sums(model)]
            yield "a model to start from", own, lambda: raises(ProTrek.from_pretrained, model)
    for _, path in runs.checkpoints(run_dir.checkpoints_dir)[-1:]: yield "a checkpoint", below(path), lambda: bool(runs._unusable(run_dir.checkpoints_dir, path, True))
    for fold in sorted(run_dir.path.glob("fold_*")):
        files = [fold / n for n in (*FOLD_FILES, SUMS)] + below(fold / "model")
        yield "a fold", files, lambda fold=fold: bool(fold_problems(fold))
    if (found := run_dir.path / "directions").exists(): yield "directions of a frozen encoder", below(found), lambda: bool(verify_sums(found))
    for part in sorted(run_dir.path.glob("* *.json")): yield "a part of a study", [part], lambda part=part: bool(verify_sums(run_dir.path, [part.name]))


def attack(folder, name, places, rng, say=print):
    "Flip bits, one after the other; a dict: what -> Counter of files, flips, silent. Everything is put back."
    found = {}
    for what, files, noticed in things(folder, name):
        assert not noticed(), f"{what} is refused before anything was done to it"
        count = found.setdefault(what, Counter(files=0, flips=0, silent=0))
        for path in files:
            mode, whole = path.stat().st_mode, path.read_bytes()
            path.chmod(0o644)
            for bit in rng.sample(range(8 * len(whole)), min(places, 8 * len(whole))):
                path.write_bytes(whole[:bit // 8] + bytes([whole[bit // 8] ^ (1 << bit % 8)]) + whole[bit // 8 + 1:])
                if not noticed():
                    count["silent"] += 1
                    say(f"{what}: bit {bit} of {path} was not noticed")
                count["flips"] += 1
            path.write_bytes(whole)
            path.chmod(mode)
            count["files"] += 1
        assert not noticed(), f"{what} is refused though it was put back"
    return found


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--places", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--jobs", default=",".join(name for name in jobs.JOBS if name != "mining"))
    parser.add_argument("--out", help="table that gets a row for each kind of saved thing")
    given, total = parser.parse_args(words), {}
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory(dir=chaos.FAST) as temp:
        for name in given.jobs.split(","):
            (folder := Path(temp) / name / "whole").mkdir(parents=True)
            job = jobs.JOBS[name](folder.parent)
            chaos.undisturbed(job, folder)
            for what, count in attack(folder, name, given.places, rng).items(): total.setdefault(what, Counter()).update(count)
            print(name, {what: dict(count) for what, count in total.items()}, flush=True)
    rows = pd.DataFrame([dict(what=what, **count) for what, count in total.items()]).assign(seed=given.seed).fillna(0)
    print(rows)
    if given.out: jobs.write_table(given.out, rows)
    sys.exit(int(rows.silent.sum()))


if __name__ == "__main__": main()
