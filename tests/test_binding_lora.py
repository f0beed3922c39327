"""Adapters and contexts in whole runs: one adapter for each ion, and E1's shapes from training to prediction."""
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch

import helpers
from protrek_nb import binding
from protrek_nb.models import encoders
from protrek_nb.binding.model import BindingModel
from protrek_nb.core import read_json
from protrek_nb.binding.training import train_binding
from protrek_nb.core import RunDir
from protrek_nb.binding.chains import toy_chains

NBS = Path(__file__).resolve().parent.parent / "nbs"


def two_ions(families=6):
    "A few families of zinc and calcium."
    table = toy_chains().query("ion in ('ZN', 'CA')")
    kept = table.groupby("ion").family.unique().explode().groupby(level=0).head(families)
    return table[table.family.isin(kept)].groupby("family").head(4).reset_index(drop=True)


def test_one_adapter_for_each_ion_from_files_to_predictions(tmp_path):
    "A run reads two ions, trains an adapter for each, and predicts again from its folder."
    table = two_ions()
    for ion, part in table.groupby("ion"):
        (tmp_path / ion).mkdir()
        first = part.family == part.family.iloc[0]
        for name, chains in (("train", part[~first]), ("test", part[first])):
            (tmp_path / ion / f"{ion}_{name}.txt").write_text("".join(f">{c.chain_id}\n{c.sequence}\n{c.labels}\n" for c in chains.itertuples()))
    run = binding.BindingRun(name="adapters", data=str(tmp_path), backbone="small", ion="ZN+CA", shared=False, lora_rank=4, spare_class=True, epochs=1, mlm_epochs=1, num_variants=2, folds=2, batch_size=4)
    with helpers.runs_in(tmp_path): run_dir = binding.fit(run, say=helpers.quiet)
    fold = run_dir.path / "fold_1"
    assert {p.name for p in (fold / "model" / "adapters").iterdir() if p.is_dir()} == {"ZN", "CA"}
    log = (run_dir.log_path).read_text()
    assert "no alignments were asked for" in log and "fold 1" in log and "fold 2" in log
    assert set(pd.read_parquet(run_dir.predictions_path).question) == {"out of fold", "test"}
    chain = table[table.ion == "CA"].iloc[0]
    (tmp_path / "one.fasta").write_text(f">x\n{chain.sequence}\n")
    found = binding.predict_sites(tmp_path / "one.fasta", run_dir.path)
    assert set(found.ion) == {"ZN", "CA"} and len(found) == 2 * len(chain.sequence) and found.probability.between(0, 1).all()
    BindingModel.from_pretrained(fold).save_pretrained(tmp_path / "alone")
    for path in (fold, tmp_path / "alone"): assert binding.load_thresholds(path) == read_json(fold / "model" / "saved.json")["thresholds"] != {}
    alone = binding.predict_sites(tmp_path / "one.fasta", tmp_path / "alone")
    assert (alone.call == (alone.probability >= alone.ion.map(binding.load_thresholds(fold)))).all()
    model = BindingModel.from_pretrained(fold)
    model.thresholds = {}
    model.save_pretrained(tmp_path / "alone")
    with pytest.raises(ValueError, match="has no threshold for CA, ZN"): binding.predict_sites(tmp_path / "one.fasta", tmp_path / "alone")
    (tmp_path / "CA" / "CA_test.txt").write_text(f">{chain.chain_id}\n{chain.sequence}\n{chain.labels}\n")
    with helpers.runs_in(tmp_path), pytest.raises(ValueError, match="began with other data"): binding.fit(replace(run, resume=str(run_dir.path)), say=helpers.quiet)


def stand_in():
    "E1's stand-in of the page on encoders: the documented shapes, and small."
    names = dict(vars(encoders))
    for cell in nbformat.read(NBS / "models/encoders.ipynb", 4).cells:
        if cell.source.startswith(("class StandInPreparer", "class StandInE1")): exec(cell.source, names)
    torch.manual_seed(0)
    return encoders.E1Encoder(names["StandInE1"](), names["StandInPreparer"](), "stand-in")


def test_e1_trains_behind_contexts_and_predicts(tmp_path, monkeypatch):
    "LoRA on E1's shapes, a new context for each view; probabilities come for the residues of the query alone."
    monkeypatch.setattr("protrek_nb.binding.frozen.open_encoder", lambda source, *device, **more: stand_in())
    (tmp_path / "stand-in-e1").mkdir()
    table = two_ions(3)
    context = [lambda rng, s=s: ",".join([*(s[int(rng.integers(0, 5)):] for _ in range(rng.integers(0, 3))), s]) for s in table.sequence]
    run = binding.BindingRun(ion="ZN+CA", backbone=str(tmp_path / "stand-in-e1"), batch_size=4, learning_rate=1e-3, lora_rank=2, lora_alpha=4.0, lora_dropout=0.0, epochs=1, num_variants=2)
    model = train_binding(table.assign(context=context), table, run, RunDir(tmp_path), helpers.quiet)
    record = pd.read_csv(tmp_path / "history.csv")
    assert len(record) == 1 and np.isfinite(record.loss).all()
    alone, behind = model.predict([table.sequence[0]], table.ion[0])[0], model.predict([f"MKV,{table.sequence[0]}"], table.ion[0])[0]
    assert len(alone) == len(behind) == len(table.sequence[0]) and np.isfinite(alone).all()
    model.save_pretrained(tmp_path / "kept")
    assert np.array_equal(BindingModel.from_pretrained(tmp_path / "kept").predict([table.sequence[0]], table.ion[0])[0], alone)
