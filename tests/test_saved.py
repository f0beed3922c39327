"""A trained system of any kind is loaded by one function, and predicts what was measured."""
import shutil

import numpy as np
import pandas as pd
import pytest

from typer.testing import CliRunner

import helpers
from conftest import ROOT
from protrek_nb import binding, go, pairs, train
from protrek_nb.__main__ import app
from protrek_nb.binding.chains import toy_chains
from protrek_nb.core import RunDir, read_json
from protrek_nb.data.tables import read_proteins, read_questions
from protrek_nb.go.system import score_proteins
from protrek_nb.metrics.thresholds import no_probability
from protrek_nb.model import ProTrek
from protrek_nb.pairs.isolates import read_pairs
from protrek_nb.report import build
from protrek_nb.saved import Predictor, load
from protrek_nb.toy.isolates import load_isolates
from protrek_nb.toy.terms import load_terms, toy_obo_path


def twins_run(tiny_run, folder):
    "A run on twins; what it predicts of the test pairs: the cosine of each sequence with its text."
    run_dir = helpers.fit(tiny_run, folder)
    kept = pd.read_parquet(run_dir.predictions_path).query("model == 'tuned' and kind == 'hard'")
    table = pd.read_parquet(run_dir.path / "pairs.parquet").query("split == 'test'")
    return run_dir, table[["anchor_seq", "anchor_text"]].set_axis(["sequence", "text"], axis=1), "cosine", kept.s_aa


def go_run(tiny_run, folder):
    "A run on terms; what its student, which is kept when it is measured, says of some proteins."
    table, held = load_terms(), {}
    table[table.family.isin(table.family.unique()[:40])].to_csv(folder / "proteins.csv", index=False)
    run = go.GoRun(name="go", data=str(folder / "proteins.csv"), ontology=str(toy_obo_path()), encoder="letters", epochs=1, replicates=2)
    measure = go.measure_go
    with helpers.runs_in(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(go, "measure_go", lambda *a: held.update(found=a[0], student=a[1], store=a[2]) or measure(*a))
        run_dir = go.fit(run, say=helpers.quiet)
    found, some = held["found"], held["found"].table.iloc[:5]
    rows = [r for r in range(len(found.ontology)) if r not in set(found.ontology.roots)]
    best_NT = -np.sort(-score_proteins(held["student"], held["store"], found.proteins, some.protein_id.tolist(), rows))[:, :10]
    return run_dir, some[["protein_id", "sequence"]], "score", best_NT.ravel()


def pairs_run(tiny_run, folder):
    "A run on pairs; its probabilities of the test pairs."
    isolates = load_isolates()
    isolates[isolates.isolate_id.isin(isolates.isolate_id.unique()[:160])].to_csv(folder / "isolates.csv", index=False)
    run = pairs.PairRun(name="pairs", data=str(folder / "isolates.csv"), head="mlp", epochs=1)
    with helpers.runs_in(folder): run_dir = pairs.fit(run, say=helpers.quiet)
    kept = pd.read_parquet(run_dir.predictions_path)
    table = run.prepare(run.read()).table.query("split == 'test'")
    assert table.a_id.tolist() == kept.a_id.tolist()
    return run_dir, table, "pred_prob", kept.pred_prob


def binding_run(tiny_run, folder):
    "A run on zinc sites; its probabilities for the residues of the test chains, the mean of two folds."
    zinc = toy_chains().query("ion == 'ZN'")
    zinc = zinc[zinc.family.isin(zinc.family.unique()[:12])].groupby("family").head(3)
    (folder / "ZN.txt").write_text("".join(f">{c.chain_id}\n{c.sequence}\n{c.labels}\n" for c in zinc.itertuples()))
    run = binding.BindingRun(name="binding", data=str(folder / "ZN.txt"), backbone="small", epochs=1, mlm_epochs=0, num_variants=1, folds=2, batch_size=8)
    with helpers.runs_in(folder): run_dir = binding.fit(run, say=helpers.quiet)
    kept = pd.read_parquet(run_dir.predictions_path).query("question == 'test'")
    return run_dir, zinc.set_index("chain_id").loc[kept.chain_id.unique()].reset_index(), "probability", kept.probability


RUNS = dict(twins=twins_run, go=go_run, pairs=pairs_run, binding=binding_run)


@pytest.fixture(scope="module", params=RUNS)
def trained(request, tiny_run, tmp_path_factory):
    "(system, run folder, table, column, what the run itself predicted)"
    return request.param, *RUNS[request.param](tiny_run, tmp_path_factory.mktemp(request.param))


def test_what_is_loaded_is_what_was_measured(trained, tmp_path):
    "The run folder, and a copy of its model alone in another place, give the predictions of the run."
    system, run_dir, table, column, wanted = trained
    found = load(run_dir.path)
    assert isinstance(found, Predictor) and found.saved.system == system and found.run.name == read_json(run_dir.params_path)["params"]["name"]
    predicted = found.predict(table)[column]
    np.testing.assert_allclose(predicted, wanted, atol=1e-6)
    copy = shutil.copytree(run_dir.path / "model", tmp_path / "elsewhere")
    pd.testing.assert_series_equal(load(copy).predict(table)[column], predicted)
    if system == "twins": assert ProTrek.from_pretrained(copy).get_text_repr(["a toxin"]).shape == (1, found.model.config.repr_dim)
    assert found.thresholds or system == "go"


def test_the_command_predicts_what_the_notebook_does(trained, tmp_path):
    "`protrek-nb predict` gives what `load(...).predict(...)` gives, bit for bit, with ids; `score` the same where it scores; another model is refused."
    system, run_dir, table, column, _ = trained
    table = table.rename(columns=dict(chain_id="protein_id")).drop_duplicates()
    table.to_csv(tmp_path / "in.csv", index=False)
    word = dict(binding="sites").get(system, system)
    for words in dict(twins=[["score"]], pairs=[["predict", word], ["score"]]).get(system, [["predict", word]]):
        out = tmp_path / f"{words[0]}.parquet"
        done = CliRunner().invoke(app, [*words, str(run_dir.path), str(tmp_path / "in.csv"), "--out", str(out)])
        assert done.exit_code == 0, done.output
        asked = (read_questions if system == "twins" else read_pairs if system == "pairs" else lambda p: read_proteins(p, empty_text="keep"))(tmp_path / "in.csv")
        made, wanted = pd.read_parquet(out), load(run_dir.path).predict(asked)
        assert len(made) and (made[column].to_numpy() == wanted[column].to_numpy()).all() and any(c.endswith("_id") for c in made)
        if system == "twins": assert made.probability.between(0, 1).all() and made.calibrated_on.str.contains("validation").all()
    other = "go" if system == "binding" else "sites"
    done = CliRunner().invoke(app, ["predict", other, str(run_dir.path), str(tmp_path / "in.csv" if system != "pairs" else ROOT / "data" / "toy_proteins.csv")])
    assert done.exit_code == 2 and "is needed" in done.stderr, done.output


def test_a_score_that_says_nothing_gets_no_probability(tiny_run, tmp_path, monkeypatch, capsys):
    "A slope that may be zero, or is below: the log, metrics.json, the card, the report and `score` say so, and no probability is given."
    monkeypatch.setattr(train, "calibrate", lambda y, score, *a, calibrate=train.calibrate, **k: calibrate(y, -np.asarray(score, float), *a, **k))
    run_dir = helpers.fit(tiny_run, tmp_path)
    kept, = [c for c in read_json(run_dir.metrics_path)["calibration"] if c["model"] == "tuned"]
    said = no_probability(kept)
    assert kept["slope"] < 0 and said.startswith("No probability: on validation right texts")
    assert said in run_dir.log_path.read_text() and said in (run_dir.path / "model" / "README.md").read_text()
    assert said in build([run_dir.path], reports=tmp_path / "reports").markdown.read_text()
    pd.read_parquet(run_dir.path / "pairs.parquet")[["anchor_seq", "anchor_text"]].set_axis(["sequence", "text"], axis=1).head(3).to_csv(tmp_path / "in.csv", index=False)
    with pytest.warns(UserWarning, match="No probability"): done = CliRunner().invoke(app, ["score", str(run_dir.path), str(tmp_path / "in.csv"), "--out", str(tmp_path / "out.csv")])
    assert done.exit_code == 0 and "cosine" in pd.read_csv(tmp_path / "out.csv") and "probability" not in pd.read_csv(tmp_path / "out.csv")


def write_test_part(system, run_dir, folder):
    "Write the test part of a run as a person would bring it, with its components; give the file, the seed of its bootstrap, and what the run measured: metric -> (value, low, high)."
    params, metrics = read_json(run_dir.params_path)["params"], read_json(run_dir.metrics_path)
    def named(records, **picked): return {r["metric"]: (r["value"], r["low"], r["high"]) for r in records if all(r[k] == v for k, v in picked.items())}
    if system == "twins":
        table = pd.read_parquet(run_dir.path / "pairs.parquet").query("split == 'test'")
        measured = named(metrics["twins"], model="tuned")
    if system == "pairs":
        prepared = pairs.PairRun(**params)
        table = prepared.prepare(prepared.read()).table.query("split == 'test'")
        measured = {name: (value, None, None) for name, value in metrics["test"].items()}
    if system == "binding":
        prepared = binding.BindingRun(**params)
        table = prepared.prepare(prepared.read()).test
        table = table.assign(positions=[" ".join(str(k) for k, x in enumerate(labels, 1) if x == "1") for labels in table.labels])[["chain_id", "sequence", "positions", "ion", "component"]]
        measured = named(metrics["sites"], question="test", model="prototypes", ion="ZN")
    if system == "go":
        prepared = go.GoRun(**params)
        split = prepared.prepare(prepared.read()).table.query("split == 'test'")[["protein_id", "component"]]
        table = split.merge(pd.read_csv(params["data"]), on="protein_id")
        measured = named(metrics["questions"], question="unseen proteins", model="system")
    table.to_csv(folder / "test.csv", index=False)
    return folder / "test.csv", params["seed"] if system in ("twins", "binding") else 0, measured


def test_eval_gives_the_numbers_of_the_run(trained, tmp_path):
    "`protrek-nb eval` on a run's own test part gives what its metrics.json says, with the same intervals where the same groups are redrawn."
    system, run_dir, *_ = trained
    file, seed, measured = write_test_part(system, run_dir, tmp_path)
    done = CliRunner().invoke(app, ["eval", str(run_dir.path), str(file), "--seed", str(seed), "--out", str(tmp_path / "out.parquet")])
    assert done.exit_code == 0, done.output
    found = pd.read_parquet(tmp_path / "out.parquet").set_index("metric")
    shared = sorted(set(found.index) & set(measured))
    assert set(shared) >= dict(twins={"one_way", "group"}, go={"fmax", "smin", "macro_aupr"}, pairs={"average_precision", "precision", "recall"}, binding={"auprc", "f1", "hra"})[system], (found, measured)
    for name in shared:
        value, low, high = measured[name]
        assert found.value[name] == pytest.approx(value, abs=1e-6, nan_ok=True), name
        if low is not None and system != "pairs": assert [found.low[name], found.high[name]] == pytest.approx([low, high], abs=1e-6), name


def test_a_run_on_terms_keeps_its_predictions(trained, tmp_path):
    "The best terms of each test protein, few enough to read, with ids and scores; the report hands them on."
    system, run_dir, table, _, _ = trained
    if system != "go": pytest.skip("the other systems keep each test case")
    kept, loaded = pd.read_parquet(run_dir.predictions_path), load(run_dir.path)
    assert {"protein_id", "go_id", "name", "namespace", "score", "label"} <= set(kept) and kept.groupby("protein_id").size().max() <= 50
    predicted = loaded.predict(table, top=10)
    shared = kept[kept["rank"] <= 10].merge(predicted, on=["protein_id", "go_id"])
    np.testing.assert_allclose(shared.score_x, shared.score_y, atol=1e-6)
    assert set(kept.protein_id) >= set(shared.protein_id) and kept.label.isin([0, 1]).all()
    from protrek_nb.reporting.folders import read_run
    from protrek_nb.reporting.proteins import predicted_rows
    assert predicted_rows(read_run(run_dir.path)).equals(kept)


def test_the_folder_has_a_card_that_others_may_read(trained):
    "The card says how well the system did, with intervals, and how to load it; every file may be read by others."
    system, run_dir, *_ = trained
    card = (run_dir.path / "model" / "README.md").read_text()
    for part in ("from protrek_nb.saved import load", "## Splits", "no sequence of one split has a relative", "## Limits"): assert part in card
    assert "| auc | 0." in card if system == "pairs" else "[0." in card  # too few clusters for an interval
    assert [p.name for p in (run_dir.path / "model").rglob("*") if p.stat().st_mode & 0o444 != 0o444] == []


def test_damage_is_named(trained, tmp_path):
    "One changed byte in any file, and any file that is missing, is an error that names the file."
    system, run_dir, *_ = trained
    folder = shutil.copytree(run_dir.path / "model", tmp_path / "model")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        whole = path.read_bytes()
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:])
        with pytest.raises(ValueError, match="SHA256SUMS|listed|changed" if path.name == "SHA256SUMS" else path.name): load(folder)
        path.unlink()
        with pytest.raises((FileNotFoundError, ValueError), match=path.name): load(folder)
        path.write_bytes(whole)
    load(folder)


def test_what_cannot_be_loaded_says_why(trained, tmp_path):
    "A folder that is not there, a run that was cut off, and an encoder with other weights."
    system, run_dir, *_ = trained
    with pytest.raises(FileNotFoundError, match="no such folder"): load(tmp_path / "nowhere")
    cut = RunDir(shutil.copytree(run_dir.path, tmp_path / "cut"))
    cut.metrics_path.unlink()
    with pytest.raises(FileNotFoundError, match="is not finished"): load(cut.path)
    if load(run_dir.path).saved.encoder is None: return
    saved = load(run_dir.path).saved
    saved.encoder["key"] = "another"
    with pytest.raises(ValueError, match="other weights"): saved.open_encoder()
