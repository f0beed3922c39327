"""What the README says can be done."""
import ast
import importlib.util
import re

import pytest

from conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
FENCED = re.findall(r"^```(\w*)\n(.*?)^```", README, re.M | re.S)


def words_after(command):
    "What follows a command in fenced shell lines and in `code`."
    shell = [line for kind, text in FENCED if kind in ("bash", "sh", "console", "") for line in text.splitlines()]
    return [m[1] for line in [*shell, *re.findall(r"`([^`\n]+)`", README)] for m in re.finditer(rf"(?:^|\s|/){command}\s+([\w./-]+)", line.split("#")[0])]


def test_every_make_target_exists():
    "Each `make ...` of the README is a target, and each target that is declared has a rule."
    rules = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))
    assert {"train", "test"} <= set(words_after("make")) <= rules
    assert set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.M)[1].split()) <= rules


@pytest.mark.parametrize("text", [text for kind, text in FENCED if kind == "python"], ids=lambda text: text.splitlines()[0][:40])
def test_python_snippets_name_what_exists(text):
    "Each snippet compiles, and what it imports from the library is there."
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("protrek_nb"):
            module = importlib.import_module(node.module)
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_the_snippet_runs(tiny_path, monkeypatch):
    "The first snippet runs as it stands, with a small table in place of yours and, where the toy base is not built yet, a random model."
    from protrek_nb.model import ProTrek
    from protrek_nb.toy.world import load_toy
    from protrek_nb.model import wordpiece_vocab
    snippet = next(text for kind, text in FENCED if kind == "python" and "read_proteins" in text)
    if not (ROOT / "data" / "toy_base" / "config.json").exists():
        monkeypatch.setattr(ProTrek, "from_pretrained", lambda path: ProTrek.from_small(wordpiece_vocab(load_toy().text.tolist(), 500)))
    monkeypatch.chdir(ROOT)
    names = {}
    exec(snippet.replace("my_proteins.tsv", str(tiny_path)), names)
    assert names["scores"]["cosine"].shape == (len(names["table"]),) * 2 and len(names["pairs"]) > 0


def test_every_file_that_is_named_exists():
    "Scripts, folders and pages that commands of the README name are there."
    named = words_after("papermill") + words_after("python") + words_after("bash")
    assert named and [name for name in named if "/" in name and not (ROOT / name).exists()] == []
    modules = words_after("python -m")
    assert [name for name in modules if not importlib.util.find_spec(name) and not name.startswith("pytest")] == []


def test_every_page_in_the_table_exists():
    "The table of pages names the notebooks that there are, and all of them."
    rows = re.findall(r"^\|\s*(\d*)\s*\|\s*`(\w+)`(?:\s*:\s*(.*?))?\s*\|", README, re.M)
    pages = {str(path.relative_to(ROOT / "nbs").with_suffix("")) for path in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts} - {"index"}
    named = {name if not number else f"{number}_{name}" for number, name, inside in rows if not inside}
    named |= {f"{folder}/{name}" for _, folder, inside in rows if inside for name in re.findall(r"`(\w+)`", inside)}
    assert named - pages == set(), "pages that are not there"
    assert pages - named == set(), "pages that the table does not name"


RUNS = {"05_train": "train.TrainRun", "08_go": "go.GoRun", "09_pairs": "pairs.PairRun", "pairs/protocol": "pairs.protocol.ProtocolRun", "10_binding": "binding.BindingRun"}


def fields_of(run):
    "The parameters of a run."
    from dataclasses import fields
    module, _, name = run.rpartition(".")
    return {f.name for f in fields(getattr(importlib.import_module(f"protrek_nb.{module}"), name))}


def test_parameters_on_the_command_line_exist():
    "Each `-p name` behind a page is a parameter of its run; each `-p name` in the text is one of some run."
    lines = [line for _, text in FENCED for line in text.splitlines() if line.startswith("papermill nbs/")]
    assert lines
    for line in lines:
        page = re.match(r"papermill nbs/([\w/]+)\.ipynb", line)[1]
        assert set(re.findall(r"-p (\w+)", line)) <= fields_of(RUNS[page]), line
    assert set(words_after("-p")) - {"epoch"} <= set().union(*map(fields_of, RUNS.values())), "`epoch` is there as the misspelling"
