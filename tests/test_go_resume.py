"""A whole run of the second system from files, cut off within an epoch, and resumed from its folder."""
import shutil

import helpers
import pytest
from protrek_nb import go
from protrek_nb.core import read_json, read_table, sha256_file
from protrek_nb.toy.terms import load_terms, toy_obo_path
from protrek_nb.runs import checkpoints


def test_a_resumed_run_ends_with_the_same_bits(tmp_path):
    "Weights, trace and metrics of a run that goes on from within its second epoch, in another phase, are those of the run that was never cut off; with other proteins it does not go on."
    table = load_terms()
    table[table.family.isin(table.family.unique()[:60])].to_csv(tmp_path / "proteins.csv", index=False)
    run = go.GoRun(name="small", data=str(tmp_path / "proteins.csv"), ontology=str(toy_obo_path()), encoder="letters", epochs=3, batch_size=16, save_steps=5, replicates=3)
    with helpers.runs_in(tmp_path):
        whole = go.fit(run, say=helpers.quiet)
        cut = tmp_path / "cut"
        shutil.copytree(whole.path, cut)
        for name in ("metrics.json", "history.csv", "trace.csv"): (cut / name).unlink()
        shutil.rmtree(cut / "model")
        steps = len(read_table(whole.path / "trace.csv")) // run.epochs
        for step, path in checkpoints(cut / "checkpoints"):
            if step > 2 * steps and step % steps == 0: shutil.rmtree(path)
        assert checkpoints(cut / "checkpoints")[-1][0] % steps, "the newest checkpoint must lie within an epoch"
        resumed = go.fit(go.replace(run, resume=str(cut)), say=helpers.quiet)
        table[table.family.isin(table.family.unique()[:59])].to_csv(tmp_path / "proteins.csv", index=False)
        with pytest.raises(ValueError, match="began with other data"): go.fit(go.replace(run, resume=str(cut)), say=helpers.quiet)
    assert sha256_file(whole.path / "model" / "weights.safetensors") == sha256_file(resumed.path / "model" / "weights.safetensors")
    assert read_table(whole.path / "trace.csv").equals(read_table(resumed.path / "trace.csv"))
    assert read_json(whole.metrics_path) == read_json(resumed.metrics_path)
    assert read_table(whole.history_path).equals(read_table(resumed.history_path)), "the running loss of the epoch that was cut off goes on, too"
    assert {"frequency_weights", "questions", "namespaces"} <= set(read_json(whole.metrics_path))


def test_two_processes_make_one_run(tmp_path):
    "Each process reads its share of a batch; one folder, one voice, and a finished run."
    table = load_terms()
    table[table.family.isin(table.family.unique()[:40])].to_csv(tmp_path / "proteins.csv", index=False)
    run, port = go.GoRun(name="both", data=str(tmp_path / "proteins.csv"), ontology=str(toy_obo_path()), encoder="letters", epochs=1, batch_size=16, replicates=2), helpers.free_port()
    assert helpers.finish(*[helpers.start(helpers.fit_in_world, rank, 2, port, run, tmp_path / "runs") for rank in range(2)], seconds=240) == [0, 0]
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["both"]
    folder = tmp_path / "runs" / "both"
    assert (folder / "log.txt").read_text().count("epoch   1/1") == 1 and read_json(folder / "metrics.json")["questions"]
