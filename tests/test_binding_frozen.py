"""Sites from a frozen encoder: what a run has measured is what its folder predicts, with the thresholds that it chose."""
import numpy as np
import pandas as pd
import pytest

import helpers
from protrek_nb import binding
from protrek_nb.binding.chains import toy_chains
from protrek_nb.binding.model import BindingModel
from protrek_nb.core import read_json
from protrek_nb.saved import load


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    "(run folder, test chains) of a short run on lists without sequences."
    folder = tmp_path_factory.mktemp("frozen")
    table = toy_chains().query("ion == 'ZN'")
    table = table[table.family.isin(table.family.unique()[:14])].groupby("family").head(3)
    test = table.family.isin(table.family.unique()[:4])
    (folder / "all.fasta").write_text("".join(f">{c.chain_id}\n{c.sequence}\n" for c in table.itertuples()))
    for part, chains in (("train", table[~test]), ("test", table[test])):
        (folder / f"ZN_{part}.txt").write_text("".join(f"{c.chain_id}\t{','.join(map(str, binding.positions_of(c.labels)))}\n" for c in chains.itertuples()))
    run = binding.BindingRun(name="frozen", data=str(folder), backbone="letters", epochs=1, folds=2, batch_size=8)
    lines = []
    with helpers.runs_in(folder): run_dir = binding.fit(run, say=lines.append)
    return run_dir, table[test], lines


def test_a_run_predicts_what_it_measured(finished):
    "The folder alone gives the probabilities of the test, and calls with the thresholds of the run."
    run_dir, test, lines = finished
    kept = pd.read_parquet(run_dir.predictions_path).query("question == 'test'")
    model = load(run_dir.path)
    found = model.predict(test)
    np.testing.assert_allclose(found.probability, kept.probability, atol=1e-5)
    assert (found.call == (kept.probability >= kept.threshold).to_numpy()).all()
    assert model.thresholds == read_json(run_dir.path / "model" / "saved.json")["thresholds"] != {}
    assert any("its threshold is a guess" in line for line in lines)


def test_rivals_stand_beside_the_model(finished):
    "All models are measured on the same test residues, and the differences to each rival have an interval."
    sites = pd.DataFrame(read_json(finished[0].metrics_path)["sites"]).query("question == 'test' and metric == 'auprc'").set_index("model")
    assert {"prototypes", "one-hot window", "boosted trees", "nearest chain"} < set(sites.index)
    for name, rival in (("difference", "one-hot window"), ("difference to boosted trees", "boosted trees"), ("difference to nearest chain", "nearest chain")):
        assert sites.value[name] == pytest.approx(sites.value["prototypes"] - sites.value[rival]) and sites.low[name] <= sites.value[name] <= sites.high[name]


def test_thresholds_cannot_be_lost(finished, tmp_path):
    "Whatever is loaded and saved again keeps its thresholds, and what has none cannot predict."
    run_dir, test, _ = finished
    model = BindingModel.from_pretrained(run_dir.path / "fold_1")
    model.save_pretrained(tmp_path / "again")
    assert load(tmp_path / "again").thresholds == load(run_dir.path / "fold_1").thresholds != {}
    model.thresholds = {}
    model.save_pretrained(tmp_path / "bare")
    with pytest.raises(ValueError, match="has no threshold for ZN"): load(tmp_path / "bare")


def test_chains_that_cannot_be_read_are_named(finished):
    "Lower case is read; a chain with gaps is set aside and named."
    run_dir, test, _ = finished
    chain = test.iloc[0]
    table = pd.DataFrame(dict(chain_id=["low", "gap"], sequence=[chain.sequence.lower(), "MK-V"]))
    model = load(run_dir.path)
    with pytest.warns(UserWarning, match="1 of 2 chains cannot be read.*gap: gap characters"): found = model.predict(table)
    np.testing.assert_allclose(found.probability, model.predict(test.iloc[:1]).probability, atol=1e-6)
