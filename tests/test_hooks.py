"""The hooks of .pre-commit-config.yaml do what they say, run as pre-commit runs them: in a clone, by their own commands."""
import subprocess
import sys

import nbformat
import yaml

from conftest import ROOT

HOOKS = {hook["id"]: hook for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"] for hook in repo["hooks"]}


def run(hook, folder, *more):
    "Run the command of a hook; the environment of this run stands for the project's own."
    words = hook["entry"].replace(".venv/bin/python", sys.executable).split()
    return subprocess.run([*words, *more], cwd=folder, capture_output=True, text=True)


def test_a_dirty_notebook_is_cleaned_and_exported(tmp_path, monkeypatch):
    "The first commit is refused and the files are mended; the second passes."
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "clone"))
    subprocess.run(["git", "clone", "-q", str(ROOT), str(tmp_path / "clone")], check=True, capture_output=True)
    page, module = tmp_path / "clone" / "nbs" / "progress.ipynb", tmp_path / "clone" / "protrek_nb" / "progress.py"
    notebook = nbformat.read(page, 4)
    cell = next(c for c in notebook.cells if c.cell_type == "code" and c.source.startswith("#| export") and "def " in c.source)
    cell.source, cell.execution_count = cell.source + "\n# a word more", 7
    nbformat.write(notebook, page)
    first, second = (run(HOOKS["in-step"], tmp_path / "clone") for _ in range(2))
    assert first.returncode and "nbs/progress.ipynb" in first.stderr and "protrek_nb/progress.py" in first.stderr, first.stderr
    assert second.returncode == 0 and "in step" in second.stdout
    assert "# a word more" in module.read_text(encoding="utf-8") and all(c.get("execution_count") is None for c in nbformat.read(page, 4).cells)


def test_the_lint_of_the_hook_is_there():
    "Its command finds the tests; they are run with all others."
    found = run(HOOKS["lint"], ROOT, "--collect-only")
    assert found.returncode == 0 and "tests collected" in found.stdout, found.stdout + found.stderr
