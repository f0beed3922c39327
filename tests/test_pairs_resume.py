"""A run of the third system may be killed at any moment, and goes on as if nothing had happened."""
import signal
from dataclasses import replace
from unittest import mock

import pytest

import helpers
from protrek_nb import pairs
from protrek_nb.core import read_json, read_table, sha256_file
from protrek_nb.pairs.training import PairTrainer
from protrek_nb.pairs.protocol import ProtocolRun
from protrek_nb.runs import checkpoints

WRITTEN = ("model/weights.safetensors", "history.csv", "predictions.parquet", "metrics.json")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    "A small run whose batches draw dropout, with a checkpoint every second step; an epoch has three steps."
    isolates, table = pairs.read_isolates(pairs.project_path("data", "toy_isolates.csv")), tmp_path_factory.mktemp("data") / "isolates.csv"
    isolates[isolates.isolate_id.isin(isolates.isolate_id.unique()[:120])].to_csv(table, index=False)
    return pairs.PairRun(name="small", data=str(table), head="mlp", dropout=0.3, batch_norm=True, batch_size=48, lr_schedule="plateau", patience=3, epochs=4, save_steps=2)


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    "The run that nobody interrupts."
    with helpers.runs_in(tmp_path_factory.mktemp("whole")): return pairs.fit(run, say=helpers.quiet)


def fit_and_die(calls, run, folder):
    "Run `fit` for so many steps, and be killed."
    dying = helpers.after(calls, PairTrainer.compute_loss)
    with helpers.runs_in(folder), mock.patch.object(PairTrainer, "compute_loss", dying): pairs.fit(run, say=helpers.quiet)


@pytest.mark.parametrize("calls, newest", [(3, 3), (11, 10)], ids=["after an epoch", "within an epoch, a step behind the checkpoint"])
def test_a_killed_run_goes_on_bit_by_bit(calls, newest, run, whole, tmp_path):
    "Weights, history, predictions and metrics are those of the run that was not killed."
    assert helpers.finish(helpers.start(fit_and_die, calls, run, tmp_path)) == [-signal.SIGKILL], "the run was not killed: the moment never came"
    folder = tmp_path / "small"
    assert not (folder / "metrics.json").exists() and checkpoints(folder / "checkpoints")[-1][0] == newest
    resumed = pairs.fit(replace(run, resume=str(folder)), say=helpers.quiet)
    assert resumed.path == folder and "resuming from" in resumed.log_path.read_text()
    assert [name for name in WRITTEN if sha256_file(folder / name) != sha256_file(whole.path / name)] == []


def test_a_run_goes_on_only_with_its_own_parameters(run, whole):
    "Another head is another run: the message names the parameter and both values."
    with pytest.raises(ValueError, match="head was 'mlp' and is 'siamese'"): pairs.fit(replace(run, head="siamese", resume=str(whole.path)), say=helpers.quiet)


def test_a_study_of_changes_keeps_what_it_has_measured(run, tmp_path, monkeypatch):
    "A study that is cut off between two heads trains only those that are missing, and ends with the same table."
    from protrek_nb.pairs import protocol
    monkeypatch.setattr(protocol, "CHANGES", dict(list(protocol.CHANGES.items())[:2]))
    study = ProtocolRun(name="study", data=run.data, seeds=1, epochs=1, ratio=1.0)
    with helpers.runs_in(tmp_path): done = protocol.fit(study, say=helpers.quiet)
    table, made = read_table(done.path / "runs.csv"), sorted(done.path.glob("1 *.json"))
    assert len(made) == 3 and table.change.tolist() == ["reference", *protocol.CHANGES]
    for name in ("runs.csv", "changes.csv", "metrics.json"): (done.path / name).unlink()
    made[0].unlink()
    trained = []
    train = pairs.PairRun.train
    monkeypatch.setattr(pairs.PairRun, "train", lambda *given: trained.append(1) or train(*given))
    again = protocol.fit(replace(study, resume=str(done.path)), say=helpers.quiet)
    assert len(trained) == 1 and table.equals(read_table(again.path / "runs.csv")) and read_json(again.metrics_path)["changes"]


def test_two_processes_make_one_run(run, tmp_path):
    "Each process reads its share of a batch; one folder, one voice, and a finished run."
    port = helpers.free_port()
    starts = [helpers.start(helpers.fit_in_world, rank, 2, port, replace(run, name="both", epochs=1), tmp_path / "runs") for rank in range(2)]
    assert helpers.finish(*starts, seconds=240) == [0, 0]
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["both"]
    folder = tmp_path / "runs" / "both"
    assert (folder / "log.txt").read_text().count("epoch   1/1") == 1 and read_json(folder / "metrics.json")["test"]
