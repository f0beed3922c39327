"""The store under fire: killed a hundred times while writing, read by several processes while it grows."""
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest

KEY, SHARD, N, WIDTH = "letters", 300, 120, 32


@cache
def world(number):
    "The proteins of one store; some are longer than a window, and some sequences come twice."
    rng = np.random.default_rng(number)
    proteins = {f"W{number}_{k}": "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), rng.integers(1, 120))) for k in range(N)}
    return proteins | {f"W{number}_again{k}": proteins[f"W{number}_{k}"] for k in range(0, N, 40)}


def rows_of(sequence):
    "The rows of a sequence; they depend on the letter."
    return np.outer(np.frombuffer(sequence.encode(), np.uint8), np.arange(1, WIDTH + 1))


def encode(strings):
    "Give rows, and take a little while."
    time.sleep(.002)
    return [rows_of(s) for s in strings]


def open_store(folder, proteins=()):
    from protrek_nb.models.store import Store
    store = Store(folder, KEY, dtype="float32", window=50, overlap=20, shard_residues=SHARD)
    store.add(dict(proteins))
    return store


def wrong(store, proteins, ids=None):
    "Name the proteins whose rows are not what they must be."
    ids = list(ids if ids is not None else proteins)
    return [name for name, rows in zip(ids, store.get(ids)) if not np.array_equal(rows, rows_of(proteins[name]))]


# ---------------------------------------------------------------- what runs in a process of its own: python test_go_residues.py <folder>

def fork(work, *arguments):
    "Run a function in a forked process; give its id. A process with one thread may fork without fear."
    child = os.fork()
    if child: return child
    try: code = work(*arguments) or 0
    except BaseException: traceback.print_exc(); code = 99
    os._exit(code)


def codes(children): return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def build(folder, number, tell=None, at=0):
    "Build a store; write a byte to the pipe `tell` when call number `at` of the encoder begins."
    calls = itertools.count()
    def encode_and_tell(strings):
        if next(calls) == at and tell: os.write(tell, b".")
        return encode(strings)
    open_store(folder).build(world(number), encode_and_tell)


def kill_builds(folder, kills):
    "Kill builds at random moments; after each kill, look at all that is stored."
    rng, number, said = random.Random(0), 0, dict(kills=0, in_mid_file=0, bad=[])
    while said["kills"] < kills:
        place, proteins = folder / str(number), world(number)
        litter = len(list(place.rglob(".tmp-*")))
        hear, tell = os.pipe()
        child = fork(build, place, number, tell, rng.randrange(3))
        os.close(tell); os.read(hear, 1); os.close(hear)  # the child is in its first, second or third shard, or has ended
        time.sleep(rng.uniform(0, .02))
        os.kill(child, signal.SIGKILL)
        said["kills"] += codes([child]) == [-signal.SIGKILL]
        said["in_mid_file"] += len(list(place.rglob(".tmp-*"))) > litter
        store = open_store(place, proteins)
        there = [name for name in proteins if name in store]
        said["bad"] += list(store.problems.values()) + wrong(store, proteins, there)
        if len(there) == len(proteins): number += 1
    for k in range(number + 1): said["bad"] += go_on(folder / str(k), world(k))
    return said


def go_on(folder, proteins):
    "Build what the kills left undone, exactly that, and check everything."
    store = open_store(folder, proteins)
    safe, left = {proteins[name] for name in proteins if name in store}, {proteins[name] for name in store.missing(proteins)}
    bad = [] if store.build(proteins, encode) == len(left - safe) else [f"{folder.name}: what was encoded is not what was missing"]
    return bad + store.verify() + wrong(store, proteins) + store.missing(proteins)


def read_while_growing(folder, number):
    "Read what is there until all is there: 0 is good, 1 a wrong row, 2 too slow, 3 never seen half full."
    proteins, partly, ends = world(number), False, time.time() + 60
    store = open_store(folder, proteins)
    while time.time() < ends:
        lacking = set(store.missing(proteins))
        there = [name for name in proteins if name not in lacking]
        if wrong(store, proteins, there) or store.problems: return 1
        if not lacking: return 0 if partly else 3
        partly |= 0 < len(there)
    return 2


def read_after_fork(folder, number):
    "Fork readers from a process that has the store open and mapped, as the workers of a data loader are."
    proteins = world(number)
    store = open_store(folder, proteins)
    store.get(proteins)
    return codes([fork(lambda: len(wrong(store, proteins))) for _ in range(4)])


def everything(folder):
    "Run all that needs processes of its own."
    warnings.simplefilter("error")  # a shard that does not pass is announced by a warning
    said = dict(kills=kill_builds(folder / "kills", 100))
    readers = [fork(read_while_growing, folder / "grows", 7) for _ in range(3)]
    said["readers"] = codes([*readers, fork(build, folder / "grows", 7)])
    said["builders"] = codes([fork(build, folder / "race", 3) for _ in range(2)])
    said["forked"] = read_after_fork(folder / "grows", 7)
    return said


if __name__ == "__main__":
    print(json.dumps(everything(Path(sys.argv[1]))))
    sys.exit()


# ---------------------------------------------------------------- tests

@pytest.fixture(scope="module")
def said(tmp_path_factory):
    "What `everything` found, and the folder that it worked in."
    folder = tmp_path_factory.mktemp("residues")
    done = subprocess.run([sys.executable, __file__, folder], stdout=subprocess.PIPE, text=True, check=True,
                          env=os.environ | dict(PYTHONPATH=os.pathsep.join(p for p in sys.path if p)))
    return json.loads(done.stdout) | dict(folder=folder)


def test_a_hundred_kills_while_writing(said):
    "After each of 100 kills every stored row is right and every file is whole; in the end nothing is missing, and nothing was encoded twice."
    kills = said["kills"]
    assert kills["kills"] == 100 and kills["bad"] == []
    assert kills["in_mid_file"] >= 10, f"too few kills met an unfinished file to say anything: {kills}"


def test_several_readers_while_one_process_writes(said):
    "Three readers see the store grow, and every row that they read is right."
    assert said["readers"] == [0, 0, 0, 0]


def test_readers_of_one_open_store(said):
    "Four processes forked from one that has the store mapped read at the same time."
    assert said["forked"] == [0, 0, 0, 0]


def test_two_builders_at_once(said):
    "Two processes build the same proteins: nothing is missing, nothing is wrong."
    assert said["builders"] == [0, 0]
    proteins = world(3)
    store = open_store(said["folder"] / "race", proteins)
    assert store.missing(proteins) == [] and wrong(store, proteins) == [] and store.verify() == []


@pytest.mark.parametrize("keep", [0, 7, 100, .5, -1])
def test_a_truncated_shard_is_named(keep, tmp_path):
    "Whatever is left of a shard, its name is in the warning, its proteins are missing, and the next build brings them back."
    proteins = world(1)
    store = open_store(tmp_path)
    store.build(proteins, encode)
    path, size = store.shards[2]
    os.truncate(path, int(size * keep) if keep == .5 else size + keep if keep < 0 else keep)
    with pytest.warns(UserWarning, match=f"{path.name} is truncated"): hurt = open_store(tmp_path, proteins)
    lost = hurt.missing(proteins)
    assert lost and wrong(hurt, proteins, [n for n in proteins if n not in lost]) == []
    with pytest.raises(KeyError, match="truncated"): hurt.get(lost)
    assert hurt.build(proteins, encode) == len({proteins[n] for n in lost})
    assert wrong(hurt, proteins) == [] and hurt.verify() == [] and hurt.problems == {}
