"""The library is light to import: no notebook tools, no plots, no search index before they are used."""
import json
import subprocess
import sys

from conftest import ROOT

HEAVY = ("matplotlib", "seaborn", "umap", "faiss", "IPython", "ipykernel", "nbdev", "fastcore", "execnb", "papermill", "tensorboard", "sentence_transformers")
WITHOUT_TORCH = ("core", "data.checks", "data.rows", "data.tables", "data.sources", "toy.world", "twins.similarity", "twins.search", "twins.groups", "twins.texts", "mining",
                 "splits.components", "splits.certificate")

SCRIPT = """
import importlib, json, sys
heavy, light, rest, seen = *json.loads(sys.argv[1]), {}
def look(name, watched):
    importlib.import_module(name)
    seen[name] = [tool for tool in watched if tool in sys.modules]
look("protrek_nb", [*heavy, "torch", "transformers", "pandas"])
for name in light: look(f"protrek_nb.{name}", [*heavy, "torch", "transformers"])
for name in rest: look(f"protrek_nb.{name}", heavy)
print(json.dumps({name: tools for name, tools in seen.items() if tools}))
"""


def test_modules_import_only_what_they_need():
    "In a fresh process, one module after another: none brings in a heavy tool; those that need no PyTorch do not import it."
    package = ROOT / "protrek_nb"
    paths = [p.relative_to(package).with_suffix("") for p in package.rglob("*.py") if p.stem != "_modidx" and p.parent / p.stem != package / "__init__"]
    modules = sorted(".".join(p.parts).removesuffix(".__init__") for p in paths)
    given = json.dumps([HEAVY, WITHOUT_TORCH, [m for m in modules if m not in WITHOUT_TORCH]])
    done = subprocess.run([sys.executable, "-c", SCRIPT, given], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}
    assert "Warning" not in done.stderr, done.stderr
