"""What is searched is what was measured: a model with readers ranks in two steps, from a shell too."""
from dataclasses import replace

import pandas as pd
import pytest

import helpers
from protrek_nb.core import read_json, write_table
from protrek_nb.metrics.costs import BOTH
from protrek_nb.training.recipes import RECIPES
from test_command import call


@pytest.fixture(scope="module")
def readers_run(tiny_run, tmp_path_factory):
    "A run that trains readers; its folder, and the proteins of its test."
    RECIPES["tiny readers"] = replace(RECIPES["readers"], batch_size=12, save_every=1)
    run = replace(tiny_run, name="readers", base="data/toy_base", recipe="tiny readers", epochs=2)
    return helpers.fit(run, tmp_path_factory.mktemp("readers")).path, run.prepare(run.read()).part("test").table


@pytest.mark.parametrize(("asked", "kept"), [("sequence", "text"), ("text", "sequence")])
def test_search_ranks_as_the_third_scorer(asked, kept, readers_run, tmp_path):
    "The mean reciprocal rank of the command's hits is the number in the run's metrics.json."
    run, table = readers_run
    write_table(tmp_path / "test.tsv", table[["protein_id", "sequence", "text"]])
    write_table(tmp_path / "asked.tsv", table.drop_duplicates(asked)[["protein_id", "sequence", "text"]])
    for words in (f"embed {run} {tmp_path}/test.tsv {tmp_path}/v.parquet --kind {kept} --keep sequence,text", f"index {tmp_path}/v.parquet {tmp_path}/index --dtype float32",
                  f"search {tmp_path}/index {tmp_path}/asked.tsv --kind {asked} --top {len(table)} --out {tmp_path}/hits.parquet"):
        done = call(words)
        assert done.exit_code == 0, done.output
    hits = pd.read_parquet(tmp_path / "hits.parquet").drop_duplicates(["query_id", kept])  # equal strings count as one
    hits["place"] = hits.groupby("query_id").cumcount() + 1
    right = set(zip(table[asked], table[kept]))
    string = table.drop_duplicates(asked).set_index("protein_id")[asked]
    own = hits[[pair in right for pair in zip(hits.query_id.map(string), hits[kept])]].groupby("query_id").place.min()
    assert len(own) == len(string)
    way = "protein_to_text" if asked == "sequence" else "text_to_protein"
    measured, = [r for r in read_json(run / "metrics.json")["cost"] if (r["model"], r["against"], r["metric"]) == (BOTH, "base", f"retrieval text {way} mrr")]
    assert (1 / own).mean() == pytest.approx(measured["after"], abs=1e-6)
