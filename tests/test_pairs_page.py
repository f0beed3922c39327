"""The main page of the pair classifier: its parameters cell, and settings that reach the place where they act."""
import ast
from dataclasses import replace

import numpy as np
import pandas as pd

from conftest import ROOT
from test_lint import assigned, cells


def test_the_parameters_cell_is_the_dataclass():
    "09_pairs has one cell tagged `parameters`, on its first screen, with the names and the values of PairRun."
    tagged = [(n, cell) for n, cell in enumerate(cells(ROOT / "nbs" / "09_pairs.ipynb")) if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1 and tagged[0][0] <= 4
    module = ast.parse((ROOT / "protrek_nb" / "pairs.py").read_text(encoding="utf-8"))
    run = next(node for node in module.body if isinstance(node, ast.ClassDef) and node.name == "PairRun")
    body = ast.parse(tagged[0][1]["source"]).body
    assert assigned(body) == assigned(run.body) and list(assigned(body)) == list(assigned(run.body))


def test_public_names():
    "What the page promises can be imported from one place."
    from protrek_nb.pairs import PairClassifier, PairRun, features, make_pairs, read_isolates, split_pairs
    assert all(map(callable, (read_isolates, make_pairs, split_pairs, features, PairClassifier, PairRun)))


def test_settings_reach_the_head():
    "Head, features, batch normalisation and dropout of a run are those of the module that is trained."
    from protrek_nb.pairs import PairClassifier, PairRun
    run = PairRun(head="mlp", kinds="concat,product", batch_norm=True, dropout=0.4)
    modules = list(PairClassifier(run.config(7)).modules())
    assert modules[0].part.read[0].in_features == 3 * 7
    assert {m.p for m in modules if type(m).__name__ == "Dropout"} == {0.4} and any(type(m).__name__ == "BatchNorm1d" for m in modules)
    assert type(PairClassifier(replace(run, head="siamese").config(7)).part).__name__ == "SiamesePair"


def test_one_class_in_a_split_is_an_error():
    "A run whose validation has one class says so before it trains."
    import pytest
    from protrek_nb.pairs import PairRun, Prepared, train_pairs
    from protrek_nb.pairtrain import VectorPairs
    x, table = np.random.default_rng(0).normal(size=(20, 4)), pd.DataFrame()
    both, one = VectorPairs(x, x, np.arange(20) % 2), VectorPairs(x, x, np.ones(20))
    with pytest.raises(ValueError, match="split 'valid' has 20 positive and 0 negative"):
        train_pairs(PairRun(head="mlp", epochs=1), Prepared(table, dict(train=both, valid=one, test=both), 4, None))
