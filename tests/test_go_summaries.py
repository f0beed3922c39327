"""Runs of the second system on summaries of proteins: what is predicted is what was measured, a relative cannot be missed, and the real encoder reads real targets."""
import helpers
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner
from protrek_nb import go
from protrek_nb.__main__ import app
from protrek_nb.go.data import load_go
from protrek_nb.core import read_json
from protrek_nb.go import compare
from protrek_nb.models.weights import has_weights
from protrek_nb.toy.terms import load_terms, toy_obo_path


def test_predicts_what_was_measured(tmp_path):
    "A run on summaries from two files, a table of terms and a FASTA file beside it: scores of the loaded system are those that were measured, parents score at least as high as children, and a sequence that cannot be read is named."
    table = load_terms()
    table = table[table.family.isin(table.family.unique()[:60])]
    found = load_go()
    ids = {p: [found.ontology.ids[r] for r in rows] for p, rows in zip(found.annotations.proteins, found.annotations.rows)}
    (tmp_path / "terms.tsv").write_text("".join(f"{p}\t{t}\n" for p in table.protein_id for t in ids[p]))
    (tmp_path / "proteins.fasta").write_text("".join(f">{p}\n{s}\n" for p, s in zip(table.protein_id, table.sequence)))
    run = go.GoRun(name="summaries", data=str(tmp_path / "terms.tsv"), ontology=str(toy_obo_path()), encoder="letters", summary=True, epochs=2, replicates=2)
    with helpers.runs_in(tmp_path): run_dir = go.fit(run, say=helpers.quiet)
    prepared, loaded, metrics = run.prepare(run.read()), go.load(run_dir.path), read_json(run_dir.metrics_path)
    test = prepared.at("test")
    mixed_NT, sure_NT = loaded.score_known(prepared.table.iloc[test])
    for whole_NT, parts in zip((mixed_NT, sure_NT), zip(*loaded.known_blocks(prepared.table.iloc[test], block=3))): np.testing.assert_allclose(np.concatenate(parts), whole_NT, atol=1e-6)
    evidence = compare.term_evidence(prepared, loaded.known, test)
    frequency_T = np.asarray(loaded.known.truth_MT.mean(0), np.float32).ravel()
    table = compare.compare_models(prepared.truth(test, prepared.seen), dict(system=mixed_NT), loaded.spaces, np.full(len(frequency_T), 10), prepared.table.component.to_numpy()[test], replicates=1)
    measured = {(r["namespace"], r["metric"]): r["value"] for r in metrics["namespaces"] if r["model"] == "system + neighbour" and r["question"] == "unseen proteins"}
    for row in table[~table.metric.str.endswith("_10")].itertuples(): assert measured[row.namespace, row.metric] == pytest.approx(row.value, abs=1e-6)
    np.testing.assert_allclose(prepared.ontology.propagate(loaded.mixture.mix(evidence["model"], evidence["alignment"], frequency_T, loaded.spaces), loaded.rows), mixed_NT, atol=1e-6)
    for score_NT in (mixed_NT, sure_NT): assert (prepared.ontology.propagate(score_NT, loaded.rows) <= score_NT + 1e-6).all()
    asked = pd.DataFrame(dict(protein_id=["one", "bad"], sequence=[prepared.table.sequence.iloc[test[0]], "MK1"]))
    out = loaded.predict(asked, top=4)
    assert set(out.protein_id) == {"one"} and [r["protein_id"] for r in out.attrs["rejected"]] == ["bad"]
    assert (out.groupby("namespace").size() == 4).all() and out.probability.between(0, 1).all()
    kept = pd.read_parquet(run_dir.predictions_path)
    assert kept.probability.min() >= 0.01 and set(kept.protein_id) <= set(prepared.table.protein_id.iloc[test]) and kept.groupby("protein_id").size().max() <= 50
    first = kept[kept.protein_id == prepared.table.protein_id.iloc[test[0]]].merge(out[out.protein_id == "one"], on="go_id")
    assert len(first) and first.probability_x.to_numpy() == pytest.approx(first.probability_y.to_numpy(), abs=1e-6)
    prepared.table.iloc[test][["protein_id", "sequence", "component"]].assign(terms=[";".join(ids[p]) for p in prepared.table.protein_id.iloc[test]]).to_csv(tmp_path / "test.csv", index=False)
    done = CliRunner().invoke(app, ["eval", str(run_dir.path), str(tmp_path / "test.csv"), "--seed", str(run.seed), "--out", str(tmp_path / "out.csv")])
    assert done.exit_code == 0, done.output
    records = {(r["namespace"], r["metric"]): r for r in metrics["namespaces"] if r["model"] == "system + neighbour" and r["question"] == "unseen proteins"}
    found = pd.read_csv(tmp_path / "out.csv")
    assert len(found) == len(records)
    for row in found.itertuples(): assert [row.value, row.low, row.high] == pytest.approx([records[row.namespace, row.metric][x] for x in ("value", "low", "high")], abs=1e-6)
    best = mixed_NT[0, loaded.spaces == out.namespace.iloc[0]].max()
    assert out.score.iloc[0] == pytest.approx(best, abs=1e-6)


def test_the_encoder_follows_the_data():
    "Toy proteins are read as letters, all others as summaries by UniRep; residues of a checkpoint stay residues."
    assert (go.GoRun().source, go.GoRun().summarised) == ("letters", False)
    assert (go.GoRun(data="swissprot").source, go.GoRun(data="swissprot").summarised) == ("unirep-1900-bf16", True)
    assert not go.GoRun(data="swissprot", encoder="facebook/esm2_t6_8M_UR50D").summarised


@pytest.mark.skipif(not has_weights("unirep"), reason="the weights of UniRep are not here: python -m protrek_nb.models.weights unirep")
def test_real_summaries():
    "The summary of the real encoder has three parts, of which the first is as wide as a state."
    encoder = go.open_encoder("unirep-64")
    assert encoder.summary(["MKVLAAGIV"]).shape == (1, 3 * encoder.width)
