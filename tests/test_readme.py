"""What the README says can be done."""
import ast
import importlib.util
import re
import shlex
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

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


def test_the_snippets_run(tiny_path, monkeypatch):
    "Both snippets run as they stand; the toy base and a stand-in take the place of the hub and of a run."
    from protrek_nb import saved
    from protrek_nb.model import ProTrek
    monkeypatch.chdir(ROOT)
    open_folder = ProTrek.from_pretrained
    monkeypatch.setattr(ProTrek, "from_pretrained", lambda name: open_folder(ROOT / "data" / "toy_base"))
    monkeypatch.setattr(saved, "load", lambda folder: SimpleNamespace(predict=lambda table: table))
    (weights, own), names = [text for kind, text in FENCED if kind == "python"], {}
    exec(weights + own.replace("my_proteins.tsv", str(tiny_path)), names)
    assert names["scores"].shape == (1, 1) and len(names["pairs"]) > 0 and len(names["predicted"]) == len(names["table"])


def test_the_commands_run(tiny_path, tmp_path, monkeypatch):
    "Each line of the README that begins with `protrek-nb`, typed one after the other; the toy base takes the place of a run."
    from protrek_nb.__main__ import app
    monkeypatch.chdir(tmp_path)
    lines = [line.split("#")[0].strip() for _, text in FENCED for line in text.splitlines() if line.startswith("protrek-nb ")]
    assert [line.split()[1] for line in lines] == ["report", "score", "embed", "index", "search", "export"]
    for line in lines[1:]:
        words = [dict({"reports/runs/twins": str(ROOT / "data/toy_base"), "data/toy_base": str(ROOT / "data/toy_base"), "my_proteins.tsv": str(tiny_path)}).get(w, w) for w in shlex.split(line)]
        done = CliRunner().invoke(app, words[1:], prog_name="protrek-nb")
        assert done.exit_code == 0, (line, done.output, done.exception)


def test_it_is_short_and_its_pictures_are_there():
    "At most 900 words; each picture and page that it names is a file."
    assert len(README.split()) <= 900
    named = re.findall(r"\]\((?!http)([^)]+)\)", README) + re.findall(r"`(nbs/[\w/]+\.ipynb)`", README)
    assert len(named) >= 4 and [name for name in named if not (ROOT / name).exists()] == []


def test_every_file_that_is_named_exists():
    "Scripts, folders and pages that commands of the README name are there."
    named = words_after("papermill") + words_after("python") + words_after("bash")
    assert named and [name for name in named if "/" in name and not (ROOT / name).exists()] == []
    modules = words_after("python -m")
    assert [name for name in modules if not importlib.util.find_spec(name) and not name.startswith("pytest")] == []


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
