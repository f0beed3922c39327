"""Several processes predict what one predicts: each reads its share of the chains, and all have all. A whole run in two processes ends with one run folder."""
import json
from pathlib import Path

import numpy as np
import torch

import helpers
from protrek_nb import binding
from protrek_nb.models.encoders import small_encoder
from protrek_nb.binding.model import BindingModel
from protrek_nb.binding.training import predict_chains, set_prototypes
from protrek_nb.binding.chains import toy_chains


def chains():
    "Seven chains of two ions: unequal shares for two processes."
    table = toy_chains()
    return table[table.ion.isin(["ZN", "CA"])].groupby("ion").head(4).iloc[:7].reset_index(drop=True)


def predict(rank, n, port, path):
    "Predict in this process, one of `n`, and keep what it has."
    torch.set_num_threads(1)
    if n > 1:
        helpers.join_world(rank, n, port)
        torch.distributed.init_process_group("gloo")
    model, table = BindingModel(small_encoder(width=16, reach=2), ("CA", "ZN")), chains()
    set_prototypes(model, table)
    np.savez(f"{path}.{rank}.npz", *predict_chains(model, table))


def test_predictions_are_gathered_from_all_processes(tmp_path):
    "Two processes hold every chain, in the order of the table, as one process does."
    port = helpers.free_port()
    predict(0, 1, port, tmp_path / "one")
    assert helpers.finish(*[helpers.start(predict, rank, 2, port, tmp_path / "two") for rank in range(2)], seconds=400) == [0, 0]
    one, *two = (np.load(f"{tmp_path}/{name}.npz") for name in ("one.0", "two.0", "two.1"))
    assert len(one.files) == 7
    for found in two:
        for name, n in zip(one.files, chains().sequence.str.len()):
            assert len(found[name]) == n
            np.testing.assert_allclose(found[name], one[name], atol=1e-6)


def zinc_chains():
    "Thirty-two zinc chains of eight families."
    zinc = toy_chains().query("ion == 'ZN'")
    return zinc[zinc.family.isin(zinc.family.unique()[:8])].groupby("family").head(4).reset_index(drop=True)


def write_lines(table, path):
    "Write chains as a three-line file."
    Path(path).write_text("".join(f">{c.chain_id}\n{c.sequence}\n{c.labels}\n" for c in table.itertuples()))
    return str(path)


def fit_in_world(rank, n, port, data, folder):
    "Train a whole run in this process, one of `n`, and keep the name of its folder."
    torch.set_num_threads(1)
    if n > 1: helpers.join_world(rank, n, port)
    with helpers.runs_in(folder):
        run_dir = binding.fit(binding.BindingRun(data=data, backbone="small", epochs=1, mlm_epochs=1, num_variants=1, folds=2, batch_size=4, name="two"), say=helpers.quiet)
    Path(f"{folder}/rank_{rank}.json").write_text(json.dumps(str(run_dir.path)))


def test_a_run_in_two_processes_leaves_one_folder(tmp_path):
    "Both processes end; one folder holds every residue once, from the model of its fold, and predicts by itself."
    sites = zinc_chains()
    data, port = write_lines(sites, tmp_path / "ZN.txt"), helpers.free_port()
    assert helpers.finish(*[helpers.start(fit_in_world, rank, 2, port, data, tmp_path) for rank in range(2)], seconds=400) == [0, 0]
    folders = {json.loads((tmp_path / f"rank_{rank}.json").read_text()) for rank in range(2)}
    assert len(folders) == 1
    with np.load(Path(folders.pop()) / "oof_preds.npz", allow_pickle=False) as found:
        wanted = [f"{c.chain_id}:{p}" for c in sites.itertuples() for p in range(1, len(c.sequence) + 1)]
        assert sorted(found["ids"].tolist()) == sorted(wanted) and np.isfinite(found["probs"]).all() and set(found["folds"].tolist()) == {1, 2}
    (tmp_path / "one.fasta").write_text(f">x\n{sites.sequence.iloc[0]}\n")
    assert len(binding.predict_sites(tmp_path / "one.fasta", next(tmp_path.glob("two*")))) == len(sites.sequence.iloc[0])
