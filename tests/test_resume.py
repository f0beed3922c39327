"""A run may be killed at any moment and goes on as if nothing had happened."""
import shutil
import signal
from dataclasses import replace

import pytest
import torch

import helpers
from protrek_nb import runs, train
from protrek_nb.training import twins
from protrek_nb.core import RunDir, read_json, read_table, write_table
from protrek_nb.damage import verify_sums


@pytest.fixture(scope="module")
def whole(tiny_run, tmp_path_factory):
    "The run that nobody interrupts."
    return helpers.fit(tiny_run, tmp_path_factory.mktemp("whole"))


def assert_same(run_dir, whole):
    "Check weights, optimiser, history and metrics bit by bit."
    assert helpers.differences(helpers.weights(run_dir), helpers.weights(whole)) == []
    assert read_table(run_dir.history_path).equals(read_table(whole.history_path))
    assert read_json(run_dir.metrics_path) == read_json(whole.metrics_path)


def go_on(run, folder):
    "Resume the run in `folder`."
    return helpers.fit(replace(run, resume=str(folder)), folder.parent)


def spoil(path):
    "Change one bit of a file near its end, where the weights are."
    raw = bytearray(path.read_bytes())
    raw[-100] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("moment", helpers.MOMENTS)
def test_a_killed_run_goes_on_bit_by_bit(moment, tiny_run, whole, tmp_path):
    "A run that is killed, also in the middle of writing a checkpoint, ends with the weights of the run that was not."
    assert helpers.finish(helpers.start(helpers.fit_until, moment, tiny_run, tmp_path)) == [-signal.SIGKILL], "the run was not killed: the moment never came"
    folder = tmp_path / "tiny"
    assert not (folder / "metrics.json").exists(), "an unfinished run must not look finished"
    assert [verify_sums(path) for _, path in runs.checkpoints(folder / "checkpoints") if _ >= 8] in ([], [[]], [[], []]), "what has a name is complete"
    assert_same(go_on(tiny_run, folder), whole)


def test_a_damaged_checkpoint_is_passed_over(tiny_run, whole, tmp_path):
    "The newest checkpoint is damaged: it is named in the log, the one before is used, and the end is the same."
    folder = tmp_path / "tiny"
    shutil.copytree(whole.path, folder)
    (folder / "metrics.json").unlink()
    step, newest = runs.checkpoints(folder / "checkpoints")[-1]
    spoil(newest / "model.safetensors")
    resumed = go_on(tiny_run, folder)
    log = resumed.log_path.read_text()
    assert f"checkpoint at step {step} is damaged and is passed over" in log and "model.safetensors" in log
    assert f"resuming from checkpoint-{step - 4}" in log
    assert_same(resumed, whole)


def test_a_finished_run_can_be_resumed_and_stays_as_it_is(tiny_run, whole, tmp_path):
    "Resuming what is finished trains nothing and changes nothing."
    shutil.copytree(whole.path, tmp_path / "tiny")
    assert_same(go_on(tiny_run, tmp_path / "tiny"), whole)


def test_a_damaged_best_checkpoint_is_not_used(tiny_run, tiny_data, tmp_path, monkeypatch):
    "The checkpoint that a run ends with is verified when it is read: a damaged one is an error that names it, never a result."
    monkeypatch.setitem(helpers.RECIPES, "tiny", replace(helpers.RECIPES["tiny"], keep="best"))
    monkeypatch.setattr(train, "FEW", 0)
    scores = iter([0.9, 0.6, 0.5])
    def validate(model):
        score = next(scores)
        if score == 0.6: spoil(run_dir.checkpoints_dir / "checkpoint-4" / "model.safetensors")
        return dict(score=score)
    monkeypatch.setattr(train, "twin_validation", lambda part: validate)
    run_dir = RunDir.create("tiny", tmp_path)
    with pytest.raises(ValueError, match="checkpoint-4.*content has changed"):
        train.train_model(tiny_run, train.load_base(tiny_run, tiny_data.table), tiny_data, run_dir, helpers.quiet)


def test_a_run_goes_on_only_with_its_own_parameters(tiny_run, whole, tmp_path):
    "Another seed is another run: the message names the parameter and both values."
    shutil.copytree(whole.path, tmp_path / "tiny")
    with pytest.raises(ValueError, match="seed was 42 and is 43"): go_on(replace(tiny_run, seed=43), tmp_path / "tiny")


def test_a_run_may_go_on_with_less_memory(tiny_run, whole, tmp_path):
    "Cached gradients give the same result, so a run that did not fit into memory goes on with them."
    shutil.copytree(whole.path, tmp_path / "tiny")
    assert_same(go_on(replace(tiny_run, cached_gradients=True), tmp_path / "tiny"), whole)


def test_a_run_goes_on_only_with_its_own_data(tiny_run, tiny_table, tmp_path):
    "Other proteins under the same name: the error comes before anything in the run folder is written."
    table = tmp_path / "table.tsv"
    write_table(table, tiny_table)
    run, folder = replace(tiny_run, data=str(table)), tmp_path / "tiny"
    begun = helpers.fit(replace(run, epochs=1), tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    write_table(table, tiny_table.assign(text=["", *tiny_table.text[1:]]))
    with pytest.raises(ValueError, match="began with other data"): go_on(replace(run, epochs=1), begun.path)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_an_early_stop_is_remembered(tiny_run, tiny_data, tmp_path, monkeypatch):
    "A run that stopped early and is killed before its evaluation does not train on when resumed."
    monkeypatch.setitem(helpers.RECIPES, "tiny", replace(helpers.RECIPES["tiny"], patience=1))
    monkeypatch.setattr(train, "twin_validation", lambda part: lambda model: dict(score=0.5))
    run, run_dir = replace(tiny_run, epochs=5), RunDir.create("tiny", tmp_path)
    stopped = train.train_model(run, train.load_base(run, tiny_data.table), tiny_data, run_dir, helpers.quiet)
    steps = [step for step, _ in runs.checkpoints(run_dir.checkpoints_dir)]
    assert steps == [4, 8], "no better score after epoch 1: the run stops after epoch 2"
    again = train.train_model(replace(run, resume=str(run_dir.path)), train.load_base(run, tiny_data.table), tiny_data, run_dir, helpers.quiet)
    assert [step for step, _ in runs.checkpoints(run_dir.checkpoints_dir)] == steps
    assert helpers.differences(dict(stopped.state_dict()), dict(again.state_dict())) == []


@pytest.mark.parametrize("name, where", [("twin", "temperature"), ("triplet", "sequence.out.weight")])
def test_a_loss_that_is_not_finite_stops_the_run(name, where, tiny_run, tiny_data, tmp_path):
    "The error names step, term and the rows of the batch; nothing is saved and the weights stay as they were."
    run = replace(tiny_run, recipe="balanced" if name == "twin" else "reference", batch_size=12)
    model, run_dir = train.load_base(run, tiny_data.table), RunDir.create("nan", tmp_path)
    with torch.no_grad(): model.get_parameter(where).fill_(float("nan"))
    before = {n: p.detach().clone() for n, p in model.named_parameters() if n != where}
    with pytest.raises(FloatingPointError) as error: train.train_model(run, model, tiny_data, run_dir, helpers.quiet)
    assert f"step 0: {name}" in str(error.value) and "is not finite" in str(error.value)
    first = twins.TwinPlan(tiny_data.part("train").pairs, twins.replay_rows(tiny_data.part("train").table), run.chosen, run.epochs, run.seed)[0]
    assert all(row in str(error.value) for row in first.names)
    assert runs.checkpoints(run_dir.checkpoints_dir) == []
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters() if n in before)
