"""Kill long jobs with SIGKILL, at random and inside saves, let them go on, and compare what they leave with what an undisturbed job leaves, bit by bit.

`python tests/chaos/chaos.py --kills 1000 --seed 1` adds one row for each kind of job to the table that is named by `--out`.
"""
import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]
import conftest  # noqa: F401  one thread, no network, no GPU

import helpers
import jobs
from ledger import Ledger

helpers.PRELOAD.append("jobs")

FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # what SIGKILL leaves does not depend on the disk
TOUCHED = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "shutil.rmtree", "shutil.copyfile"}


class Touches:
    "Count what a process does to the files below a folder; at the call number `last`, leave half of an unfinished file, perhaps, and die."
    def __init__(self, folder, last=None, half=False):
        self.folder, self.last, self.half, self.n, self.newest = str(folder), last, half, 0, None

    def __call__(self, event, given):
        if event not in TOUCHED or not isinstance(given[0], (str, bytes, os.PathLike)): return
        path = os.fsdecode(given[0])
        if not path.startswith(self.folder): return
        if event == "open":
            if not given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT): return
            if "/.tmp-" in path or "/.incomplete/" in path: self.newest = path  # not yet seen by anyone: half of it may be on the disk
        self.n += 1
        if self.n != self.last: return
        if self.half and self.newest and os.path.isfile(self.newest): os.truncate(self.newest, os.path.getsize(self.newest) // 2)
        os.kill(os.getpid(), signal.SIGKILL)


def work(job, folder, last=None, half=False, count=None):
    "Do a job in this process, and die at a certain touch; or write how many there were."
    warnings.simplefilter("ignore")
    touches = Touches(folder, last, half)
    sys.addaudithook(touches)
    job.do(folder)
    if count: Path(count).write_text(str(touches.n))


def kill_once(job, folder, rng, seconds, touches):
    "Let a job work, and kill it: half of the time at a moment, half of the time at a touch. True if it died of it."
    if rng.random() < 0.5:
        process = helpers.start(work, job, folder)
        process.join(rng.uniform(0.0, 1.1 * seconds))
        if process.is_alive(): os.kill(process.pid, signal.SIGKILL)
        codes = helpers.finish(process, seconds=600)
    else: codes = helpers.finish(helpers.start(work, job, folder, rng.randrange(1, touches + 1), rng.random() < 0.5), seconds=600)
    assert codes[0] in (0, -signal.SIGKILL), f"a job that was killed before did not go on: exit code {codes[0]}; {folder}"
    return codes[0] != 0


def undisturbed(job, folder):
    "Do a job in peace: what it leaves, how many seconds it takes, how often it touches a file."
    helpers.finish(helpers.start(len, "the process that others are forked from must be there before the clock starts"), seconds=600)
    start, count = time.monotonic(), folder.parent / f"{folder.name}.count"
    assert helpers.finish(helpers.start(work, job, folder, None, False, count), seconds=900) == [0]
    return job.left(folder), time.monotonic() - start, int(count.read_text())


def torment(name, kills, rng, folder, say=print):
    "Kill a kind of job so many times; one life is killed up to three times. A dict: kills, lives, failed (resumes), differing (files)."
    (data := folder / "data").mkdir(parents=True)
    job = jobs.JOBS[name](data)
    (folder / "whole").mkdir()
    wanted, seconds, touches = undisturbed(job, folder / "whole")
    say(f"{name}: {seconds:.1f} s, {touches} touches, {len(wanted)} things to compare")
    found = Counter(kills=0, lives=0, failed=0, differing=0)
    while found["kills"] < kills:
        (life := folder / f"life-{found['lives']}").mkdir()
        found["lives"] += 1
        try:
            for _ in range(min(rng.randint(1, 3), kills - found["kills"])):
                if not kill_once(job, life, rng, seconds, touches): break
                found["kills"] += 1
            assert helpers.finish(helpers.start(work, job, life), seconds=900) == [0], f"the resume failed; {life}"
            left = job.left(life)
        except AssertionError as error:
            found["failed"] += 1
            say(f"{name}: {error}")
            continue
        other = sorted(k for k in wanted.keys() | left.keys() if wanted.get(k) != left.get(k))
        found["differing"] += len(other)
        if other: say(f"{name}: {life} differs in {', '.join(other)}")
        else: shutil.rmtree(life)
    return dict(found, compared=len(wanted), seconds=round(seconds, 1))


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--jobs", default=",".join(jobs.JOBS))
    parser.add_argument("--out", help="table that gets one more row for each kind of job")
    given = parser.parse_args(words)
    names, rows, ledger = given.jobs.split(","), [], Ledger(given.out)
    print(f"seed {given.seed}: {given.kills} kills of {', '.join(names)}", flush=True)
    with tempfile.TemporaryDirectory(dir=FAST) as temp:
        for k, name in enumerate(names):
            share = given.kills * (k + 1) // len(names) - given.kills * k // len(names)
            rows.append(dict(job=name, **torment(name, share, random.Random(f"{given.seed} {name}"), Path(temp) / name, lambda line: print(line, flush=True))))
            print(rows[-1], flush=True)
            ledger.write([dict(row, seed=given.seed) for row in rows])
        bad = sum(row["failed"] + row["differing"] for row in rows)
        sys.exit(f"{bad} resumes failed or left something else" if bad else 0)


if __name__ == "__main__": main()
