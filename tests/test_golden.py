"""One epoch of each system on its toy world gives the numbers that it gave before, under names that the glossary explains."""
import re
from dataclasses import fields, replace
from importlib import import_module

import nbformat
import pytest

import golden
import helpers
from conftest import ROOT
from protrek_nb.binding.prototypes import SiteLossSettings
from protrek_nb.core import read_table
from protrek_nb.go.objectives import GoWeights
from protrek_nb.training.recipes import TERMS

SYSTEMS = dict(twins=("train", "TrainRun", dict(recipe="balanced")), go=("go", "GoRun", dict(replicates=2)), pairs=("pairs", "PairRun", {}), binding=("binding", "BindingRun", {}))


def explained():
    "The words of the glossary: the first column of its tables."
    page = nbformat.read(ROOT / "nbs" / "guide" / "glossary.ipynb", 4)
    rows = [line.split("|")[1] for cell in page.cells if cell.cell_type == "markdown" for line in cell.source.splitlines() if line.startswith("| ")]
    return {word for row in rows for word in re.split(r"[,() ]+", row) if word}


def unexplained(words):
    "Words that are not in the glossary, as they are or without `train_`."
    known = explained()
    return {word for word in words if word not in known and word.removeprefix("train_") not in known}


def test_every_loss_is_in_the_glossary():
    "Also one that no recipe of these runs has."
    assert unexplained([*TERMS, *(f.name for f in fields(GoWeights)), *SiteLossSettings().weights]) == set()


@pytest.mark.parametrize("system", SYSTEMS)
def test_one_epoch_gives_the_numbers_of_the_table(system, tmp_path):
    "All that validation and test say of the models; intervals are left out."
    module, name, changes = SYSTEMS[system]
    module = import_module(f"protrek_nb.{module}")
    run = replace(getattr(module, name)(), epochs=1, seed=42, name=system, **changes)
    with helpers.runs_in(tmp_path): run_dir = module.fit(run, say=helpers.quiet)
    assert golden.kept(system) and golden.differences(run_dir.path, system) == []
    lines = [line for line in run_dir.log_path.read_text(encoding="utf-8").splitlines() if re.search(r"epoch +\d+/\d+", line)]
    said = {word for line in lines for word in re.findall(r"(\w+) -?[\d.]+", line)}
    assert lines and unexplained({*read_table(run_dir.history_path), *said}) == set()
