"""What the tests share: one thread, no network, no GPU, and a small table of twelve toy families."""
import os

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1",
                  CUDA_VISIBLE_DEVICES="", TQDM_DISABLE="1", MPLBACKEND="Agg")
os.environ.pop("IN_TEST", None)  # it would shrink the runs under test

import gc
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path: sys.path.insert(0, str(ROOT))


@pytest.fixture(scope="module", autouse=True)
def frozen():
    "What there is before a module's tests is not looked at by the full collections that each trainer asks for: they would take most of the time."
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def root():
    "The project's root."
    return ROOT


@pytest.fixture(scope="session")
def tiny_table():
    "Twelve families of three proteins each, all with twins."
    from protrek_nb.toy.world import WorldRules, make_world
    return make_world(WorldRules(families=12, general_families=1))["proteins"]


@pytest.fixture(scope="session")
def tiny_path(tiny_table, tmp_path_factory):
    "The small table as a file."
    from protrek_nb.core import write_table
    path = tmp_path_factory.mktemp("data") / "tiny.tsv"
    write_table(path, tiny_table)
    return path


@pytest.fixture(scope="session")
def tiny_run(tiny_path):
    "Parameters of a run of three epochs of four steps, with a checkpoint after each epoch."
    import helpers  # noqa: F401  adds the recipe `tiny`
    from protrek_nb.train import TrainRun
    return TrainRun(name="tiny", data=str(tiny_path), base="small", recipe="tiny", epochs=3)


@pytest.fixture(scope="session")
def tiny_data(tiny_run):
    "The small table, mined and split."
    return tiny_run.prepare(tiny_run.read())


def pytest_sessionfinish():
    "Wait for the server that other processes were forked from: no process outlives the tests."
    from multiprocessing.forkserver import _forkserver
    getattr(_forkserver, "_stop", lambda: None)()
