"""The board loses no row: of models on another base, of models that were there; and nobody is asked where nothing new can be said."""
import numpy as np
import pandas as pd
import pytest

from protrek_nb.core import read_table, write_table
from protrek_nb.twinbench import leaderboard as board
from protrek_nb.twinbench.tracks import own_track


@pytest.fixture(scope="module")
def track(): return own_track("toy")


@pytest.fixture
def toy(monkeypatch, track):
    "A board of one track, with two models that answer, one that cannot, and models on other bases that are stubs; gives what was asked."
    asked = []
    def stub(name, k):
        def make(track, seed):
            asked.append(name)
            if k is None: raise ValueError("not on this track")
            return lambda sequences, texts: np.random.default_rng(k).random((len(sequences), len(texts)))
        return make
    monkeypatch.setattr(board, "TRACKS", {"toy": None})
    monkeypatch.setattr(board, "open_track", lambda name, seed: track)
    monkeypatch.setattr(board, "draw_strangers", lambda track: None)
    monkeypatch.setattr(board, "FIXED", {})
    monkeypatch.setattr(board, "MODELS", {"one": stub("one", 1), "never": stub("never", None), "two": stub("two", 2)})
    monkeypatch.setattr(board, "on_base", lambda base: {f"{role} {base}": stub(f"{role} {base}", len(base) + k) for k, role in enumerate(("base", "tuned"))})
    return asked


def test_rows_of_every_base_stay(toy, tmp_path):
    "A call with a second base asks the first one again, for the ranks, and keeps its values."
    out = tmp_path / "board.csv"
    board.leaderboard(seeds="1", base="a/b", out=str(out))
    first = read_table(out)
    board.leaderboard(seeds="1", base="longer/name", out=str(out))
    both = read_table(out)
    assert set(first.model) == {"one", "two", "base a/b", "tuned a/b"} and set(both.model) == {*first.model, "base longer/name", "tuned longer/name"}
    keys = ["task", "by", "grade", "model"]
    merged = first.merge(both, on=keys, suffixes=("", "_again"))
    assert len(merged) == len(first) and (merged.value == merged.value_again).all()
    assert both[both.task == "kept"].groupby(["by", "grade"])["rank"].sum().eq(21).all()  # places one to six


def test_who_can_never_answer_costs_nobody_else(toy, tmp_path):
    "Where only a model that cannot answer is missing, no other is asked again, and the rows stay as they are."
    out = tmp_path / "board.csv"
    board.leaderboard(seeds="1", out=str(out))
    before = out.read_bytes()
    toy.clear()
    board.leaderboard(seeds="1", out=str(out))
    assert toy == ["never"] and out.read_bytes() == before


def test_rows_of_an_unknown_model_are_an_error(toy, tmp_path):
    "The message names the file and the model."
    out = tmp_path / "board.csv"
    board.leaderboard(seeds="1", out=str(out))
    rows = read_table(out)
    write_table(out, pd.concat([rows, rows.assign(model="mine")]))
    with pytest.raises(ValueError, match="board.csv has rows of 'mine'"): board.leaderboard(seeds="1", models="one", out=str(out))
    assert set(read_table(out).model) == {"one", "two", "mine"}


def test_a_table_of_an_earlier_version_is_an_error(toy, tmp_path):
    "Rows without grades of distance are not mixed with rows that have them."
    out = tmp_path / "board.csv"
    board.leaderboard(seeds="1", out=str(out))
    write_table(out, read_table(out).drop(columns="by"))
    with pytest.raises(ValueError, match="board.csv is of an earlier version"): board.leaderboard(seeds="1", base="a/b", out=str(out))
