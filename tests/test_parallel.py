"""Two processes with the same global batch do what one process does."""
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

import helpers
from protrek_nb.runs import checkpoints
from protrek_nb.training import twins
from protrek_nb.core import read_json
from protrek_nb.damage import verify_sums
from protrek_nb.training.recipes import Recipe


def run_both(function, n, *arguments):
    "Run a function as `n` processes; all must end well."
    port = helpers.free_port()
    assert helpers.finish(*[helpers.start(function, rank, n, port, *arguments) for rank in range(n)]) == [0] * n


def test_gather_rows_of_unequal_processes(tmp_path):
    "Rows come in the order of the ranks, as many as each has; the gradient of a row is the sum over all processes."
    run_both(helpers.gather_and_weigh, 2, str(tmp_path / "rows"))
    first, second = (load_file(f"{tmp_path}/rows.{rank}") for rank in (0, 1))
    want_ND = torch.tensor([[0.0, 1, 2], [100, 101, 102], [103, 104, 105]])
    weight_ND = torch.arange(1.0, 10).reshape(3, 3)
    assert torch.equal(first["rows"], want_ND) and torch.equal(second["rows"], want_ND)
    assert torch.equal(first["gradient"], 2 * weight_ND[:1]) and torch.equal(second["gradient"], 2 * weight_ND[1:])
    assert first["marks"].tolist() == second["marks"].tolist() == [False, True, True]


RECIPE_OF = {
    "twins and ordinary rows": Recipe(twin=1, general=1, twin_share_start=0.5, twin_share_end=0.75, batch_size=9, learning_rate=0.5, clip=1.0),
    "triplets, 3Di strings, a teacher": Recipe(triplet=1, general=1, distill=1, structure=True, towers=("sequence", "text", "structure"), batch_size=9, learning_rate=0.5),
}


@pytest.mark.parametrize("name", RECIPE_OF)
def test_two_processes_equal_one(name, tiny_run, tiny_data, tmp_path):
    "Losses, gradients and weights of three steps agree to 1e-6, with unequal numbers of strings in the two processes."
    recipe, found = RECIPE_OF[name], tiny_data.part("train")
    found = replace(found, pairs=found.pairs.head(27 // 2))
    plan = twins.TwinPlan(found.pairs, twins.replay_rows(found.table), recipe, 1, seed=3)
    assert len(plan) == 3 and any(len(plan[i].sequences) % 2 for i in range(3)), "some batch must divide unevenly"
    assert_same_steps(tiny_run, recipe, found, tmp_path)


def assert_same_steps(run, recipe, found, folder):
    "Train three steps in one process and in two, and compare losses, first gradients and weights."
    for n in (1, 2): run_both(helpers.three_steps, n, run, recipe, found, str(folder / f"of-{n}"))
    one, two, other = (load_file(folder / file) for file in ("of-1.0", "of-2.0", "of-2.1"))
    assert one.keys() == two.keys() == other.keys() and len(one["losses"]) == 3
    for key in one:
        torch.testing.assert_close(two[key], one[key], atol=1e-6, rtol=1e-6, msg=lambda m: f"{key}: {m}")
        assert torch.equal(two[key], other[key]), f"{key} differs between the two processes"
    moved = max(float((one[k] - v).abs().max()) for k, v in weights_before(run, found).items())
    assert moved > 1e-3, "the steps must change something, else the comparison says nothing"


def test_a_process_without_texts_goes_back_with_the_others(tiny_run, tiny_data, tmp_path):
    "All rows have one text, so the second process has none to encode: it still takes part in every exchange, and the steps are those of one process."
    recipe, found = Recipe(triplet=1, both_directions=False, batch_size=8, learning_rate=0.5), tiny_data.part("train")
    found = replace(found, pairs=found.pairs.head(24).assign(anchor_text="Binds zinc.", hard_neg_text="Binds zinc."))
    plan = twins.TwinPlan(found.pairs, twins.replay_rows(found.table), recipe, 1, seed=3)
    assert len(plan) == 3 and all(len(plan[i].texts) == 1 for i in range(3))
    assert_same_steps(tiny_run, recipe, found, tmp_path)


def weights_before(run, found):
    "The weights that training starts from, named as in the files."
    from protrek_nb.train import load_base
    return {f"weight {k}": v.detach() for k, v in load_base(run, found.table).named_parameters()}


def test_a_whole_run_in_two_processes(tiny_run, tmp_path):
    "Two processes make one run folder, with complete checkpoints, and reach the scores of one process."
    run = replace(tiny_run, recipe="still", epochs=1)
    run_both(helpers.fit_in_world, 2, run, tmp_path / "two")
    alone = helpers.fit(run, tmp_path / "one")
    assert [p.name for p in (tmp_path / "two").iterdir()] == ["tiny"]
    folder = tmp_path / "two" / "tiny"
    (step, newest), = checkpoints(folder / "checkpoints")
    assert step == 4 and verify_sums(newest) == []
    assert (folder / "log.txt").read_text().count("epoch   1/1") == 1, "one process speaks"
    left, right = (read_json(f / "metrics.json") for f in (folder, alone.path))
    assert [row["metric"] for row in left["twins"]] == [row["metric"] for row in right["twins"]]
    value = lambda m: torch.tensor([row["value"] or 0.0 for row in m["easy"]], dtype=torch.float64)
    torch.testing.assert_close(value(left), value(right), atol=1e-3, rtol=0)
