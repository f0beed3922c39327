"""One epoch of each system on its toy world gives the numbers that it gave before."""
from dataclasses import replace
from importlib import import_module

import pytest

import golden
import helpers

SYSTEMS = dict(twins=("train", "TrainRun", dict(recipe="balanced")), go=("go", "GoRun", dict(replicates=2)), pairs=("pairs", "PairRun", {}), binding=("binding", "BindingRun", {}))


@pytest.mark.parametrize("system", SYSTEMS)
def test_one_epoch_gives_the_numbers_of_the_table(system, tmp_path):
    "All that validation and test say of the models; intervals are left out."
    module, name, changes = SYSTEMS[system]
    module = import_module(f"protrek_nb.{module}")
    run = replace(getattr(module, name)(), epochs=1, seed=42, name=system, **changes)
    with helpers.runs_in(tmp_path): run_dir = module.fit(run, say=helpers.quiet)
    assert golden.kept(system) and golden.differences(run_dir.path, system) == []
