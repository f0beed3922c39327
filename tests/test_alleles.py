"""A rule that recurs across families is learnt on one and proved on another, and predicts what was measured."""
import numpy as np
import pandas as pd
import pytest

import helpers
from protrek_nb.core import read_json, write_table
from protrek_nb.saved import load
from protrek_nb.train import TrainRun

LETTERS = list("ACDEFGHIKLMNPQRSTVWY")
TEXTS = {"broad-spectrum": "Permits bicarbonate flow.", "extended-spectrum": "It conducts potassium ions."}  # the toy base knows these words


def make_alleles(rng):
    "Two families that share half of their residues; glycine at residue 60 means a broad spectrum, serine an extended one."
    first = rng.choice(LETTERS, 120)
    second = np.where(rng.random(120) < 0.5, first, rng.choice(LETTERS, 120))
    rows = []
    for family, start in (("ONE", first), ("TWO", second)):
        for k in range(30):
            letters = start.copy()
            letters[rng.choice(120, 2)] = rng.choice(LETTERS, 2)
            letters[60] = "GS"[k % 2]
            word = ("broad-spectrum", "extended-spectrum")[k % 2]
            rows.append((f"{family}-{k}", "".join(letters), family, word, TEXTS[word]))
    return pd.DataFrame(rows, columns=["protein_id", "sequence", "family", "labels", "text"]).drop_duplicates("sequence")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    "A run that is tested on the second family."
    folder = tmp_path_factory.mktemp("alleles")
    write_table(folder / "alleles.tsv", make_alleles(np.random.default_rng(0)))
    run = TrainRun(name="alleles", data=str(folder / "alleles.tsv"), test_family="TWO", recipe="alleles", epochs=25, seed=0)
    return helpers.fit(run, folder)


def test_an_unseen_family_is_told_apart(finished):
    "The rule of the first family holds in the second, where the base guesses."
    records = pd.DataFrame(read_json(finished.metrics_path)["alleles"]).query("twins == 'differ'").set_index(["model", "metric"]).value
    assert records["tuned", "one_way"] > 0.95 and records["tuned", "group"] > 0.9
    assert 0.3 < records["base", "one_way"] < 0.7
    assert records["text-blind", "one_way"] == records["sequence-blind", "one_way"] == 0.5


def test_the_certificate_names_both_sides(finished):
    "No sequence is in two splits, and the family is in the test alone."
    certificate = read_json(finished.certificate_path)
    assert certificate["clean"] and certificate["family"]["clean"] and certificate["family"]["violations"]["family"] == 0


def test_new_alleles_are_scored(finished, tmp_path):
    "What was saved predicts what was measured, reads a file of alleles, and names what it cannot score."
    model, kept = load(finished.path), pd.read_parquet(finished.predictions_path).query("model == 'tuned'").reset_index(drop=True)
    pairs = pd.read_parquet(finished.path / "pairs.parquet").query("split == 'test'").reset_index(drop=True)
    predicted = model.predict(pairs[["anchor_seq", "anchor_text"]].set_axis(["sequence", "text"], axis=1))
    assert np.allclose(predicted.cosine, kept.s_aa, atol=1e-5)
    (tmp_path / "new.faa").write_text(f">A1 class A beta-lactamase TWO-77\n{pairs.anchor_seq[0]}\n>B1\n{pairs.hard_neg_seq[0]}\n>A2 unknown\n{'GSGGS' * 20}\n>A3\nMK!VL\n")
    new = model.predict(tmp_path / "new.faa")
    a, b = new[pairs.anchor_text[0]], new[pairs.hard_neg_text[0]]
    assert new.protein_id.tolist() == ["A1", "B1"] and a[0] > a[1] and b[1] > b[0] and set(new.best) <= set(model.saved.config["texts"])
    assert [r["value"] for r in new.attrs["rejected"]][-1] == "A2" and len(new.attrs["rejected"]) == 2


def test_a_family_that_is_not_there(finished):
    "The error lists the families that there are."
    run = TrainRun(data=finished.path.joinpath("pairs.parquet"), test_family="THREE", recipe="alleles")
    with pytest.raises(ValueError, match="it has ONE, TWO"): run.prepare(make_alleles(np.random.default_rng(0)))
