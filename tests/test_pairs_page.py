"""The main page of the pair classifier: its public names, and settings that reach the place where they act."""
from dataclasses import replace

import numpy as np
import pandas as pd


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


def test_one_class_in_a_split_is_an_error(tmp_path):
    "A run whose validation has one class says so before it trains."
    import pytest
    from protrek_nb.core import RunDir
    from protrek_nb.pairs import PairRun, Prepared
    from protrek_nb.pairs.training import VectorPairs
    x, table = np.random.default_rng(0).normal(size=(20, 4)), pd.DataFrame()
    both, one = VectorPairs(x, x, np.arange(20) % 2), VectorPairs(x, x, np.ones(20))
    with pytest.raises(ValueError, match="split 'valid' has 20 positive and 0 negative"):
        PairRun(head="mlp", epochs=1).train(Prepared(table, dict(train=both, valid=one, test=both), 4, None), RunDir(tmp_path), lambda line: None)


def test_names_decide_no_score(tmp_path):
    "One sequence has one score, whatever it is called and whoever is named first; a head that knows segments wants them."
    import pytest
    from dataclasses import asdict
    from protrek_nb.pairs import PairClassifier, PairRun, score_pairs
    from protrek_nb.pairs.inputs import Slot, SlotNorm
    from protrek_nb.saved import Saved
    run, folder = PairRun(head="mlp"), tmp_path / "model"
    norm = SlotNorm(*(Slot(np.full(21, shift, np.float32), np.ones(21, np.float32)) for shift in (0.0, 3.0)))
    saved = Saved("pairs", asdict(run), dict(width=21, segments=[["HA", "NA"]]), PairClassifier(run.config(21)).state_dict() | norm.tensors(), dict(pair=0.5), dict(source="letters", key="letters"))
    saved.write(folder)
    pairs = pd.DataFrame(dict(a_seq=["MKVLA", "GGHWT"], b_seq=["CCDEF", "YYWWA"], a_segment="HA", b_segment="NA"))
    turned = pairs.rename(columns=lambda c: {"a": "b", "b": "a"}[c[0]] + c[1:])
    score_N = score_pairs(folder, pairs)
    for table in (pairs.assign(a_id="z", b_id="a"), pairs.assign(a_id=["x", "x"], b_id=["y", "y"]), turned.assign(a_id=["1", "4"], b_id=["2", "3"]), turned):
        np.testing.assert_allclose(score_pairs(folder, table), score_N, atol=1e-6)
    assert abs(score_N - score_pairs(folder, pairs.assign(a_segment="NA", b_segment="HA"))).min() > 1e-6  # sides mean something here
    with pytest.raises(ValueError, match="lacks the columns .*b_segment"): score_pairs(folder, pairs.drop(columns="b_segment"))
    with pytest.raises(ValueError, match="row 1 of the pair table has an empty a_segment"): score_pairs(folder, pairs.assign(a_segment=["HA", ""]))
    with pytest.raises(ValueError, match="trained on HA with NA and knows nothing of PB1 with PB2"): score_pairs(folder, pairs.assign(a_segment="PB2", b_segment="PB1"))
    pairs.to_csv(tmp_path / "pairs.csv", index=False)
    np.testing.assert_allclose(score_pairs(folder, tmp_path / "pairs.csv"), score_N, atol=1e-6)
    replace(saved, config=dict(saved.config, segments=[])).write(folder)
    bare = pairs[["a_seq", "b_seq"]]
    for table in (pairs, turned, bare.assign(a_id="b", b_id="a")): np.testing.assert_allclose(score_pairs(folder, table), score_pairs(folder, bare), atol=1e-6)
