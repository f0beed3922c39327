"""Several processes predict what one predicts: each reads its share of the chains, and all have all."""
import numpy as np
import torch

import helpers
from protrek_nb.backbone import small_backbone
from protrek_nb.bindingmodel import BindingModel
from protrek_nb.bindingtrainer import Training, predict_chains, set_prototypes
from protrek_nb.toysites import load_sites


def chains():
    "Seven chains of two ions: unequal shares for two processes."
    table = load_sites()
    return table[table.ion.isin(["ZN", "CA"])].groupby("ion").head(4).iloc[:7].reset_index(drop=True)


def predict(rank, n, port, path):
    "Predict in this process, one of `n`, and keep what it has."
    torch.set_num_threads(1)
    if n > 1:
        helpers.join_world(rank, n, port)
        torch.distributed.init_process_group("gloo")
    model, table = BindingModel(small_backbone(width=16, reach=2), ("CA", "ZN")), chains()
    set_prototypes(model, table, Training())
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
