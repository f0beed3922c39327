"""What notebooks, modules and files of the project must look like; nothing is executed here."""
import ast
import json
import re
import subprocess
from collections import Counter
from functools import cache

import pytest
from pyflakes.checker import Checker
from pyflakes.messages import UndefinedName, UnusedImport

from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "nbs").glob("*.ipynb"))
MODULES = [path for path in sorted((ROOT / "protrek_nb").rglob("*.py")) if path.name not in ("_modidx.py", "__init__.py")]
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
every_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)


@cache
def all_cells(path):
    "The cells of a notebook, as dictionaries with their source joined."
    return [dict(cell, source="".join(cell["source"])) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]


def cells(path, kind=None):
    "The cells of a notebook, all or of one kind."
    return [cell for cell in all_cells(path) if kind in (None, cell["cell_type"])]


def directives(source):
    "The `#|` lines of a cell, without the mark."
    return [line[2:].strip() for line in source.splitlines() if line.startswith("#|")]


def default_exports(path):
    "The modules that a notebook says it writes."
    return [d.split()[1] for cell in cells(path, "code") for d in directives(cell["source"]) if d.startswith("default_exp")]


def shown(path):
    "Everything that a reader sees below the code, as (cell number, kind, text)."
    for number, cell in enumerate(cells(path)):
        for output in cell.get("outputs", []):
            if output["output_type"] == "stream": yield number, output["name"], "".join(output["text"])
            for kind, data in output.get("data", {}).items(): yield number, kind, data if isinstance(data, str) else "".join(map(str, data))


# ---------------------------------------------------------------- notebooks

@every_notebook
def test_a_notebook_opens_with_title_and_reason(path):
    "The first cell is `# Title` and one `>` line that says why the page exists."
    first = cells(path)[0]
    assert first["cell_type"] == "markdown" and re.fullmatch(r"# \S.*\n+> \S.*", first["source"].strip()), first["source"][:200]


@every_notebook
def test_a_notebook_writes_one_module(path):
    "Each page but the front page names its module, once."
    assert len(default_exports(path)) == (0 if path.stem == "index" else 1)


def test_no_two_notebooks_write_one_module():
    "A module has one source."
    count = Counter(name for path in NOTEBOOKS for name in default_exports(path))
    assert [name for name, n in count.items() if n > 1] == []
    assert sorted(count) == sorted(path.stem for path in MODULES), "each module comes from a notebook, each notebook made its module"


@every_notebook
def test_stored_outputs_are_clean(path):
    "Outputs hold no errors, no warnings, no progress bars, no paths of this machine, no memory addresses, and are small."
    assert [n for n, cell in enumerate(cells(path)) for output in cell.get("outputs", []) if output["output_type"] == "error"] == []
    for number, kind, text in shown(path):
        where = f"cell {number}, {kind}: {text[:300]}"
        assert len(text) < 200_000, f"{len(text):,} characters in {where}"
        assert kind != "stderr" and "widget" not in kind, where
        if kind.startswith("image/") and kind != "image/svg+xml": continue
        assert not re.search(r"\w*Warning\b(?!\w)\s*:", text), f"a warning in {where}"
        assert not re.search(r"\b0x[0-9a-f]{6,}", text), f"an address in {where}"
        assert not (found := re.search(r"(?<![\w.])/(?:work|home|tmp|root|Users|usr|var|mnt)/[\w.]+", text)), f"the path {found} in {where}"


@every_notebook
def test_stored_outputs_are_there(path):
    "A page shows its results: some code cell has an output."
    assert any(True for _ in shown(path)), "run the notebook before it is committed"


@every_notebook
def test_exported_cells_keep_imports_apart(path):
    "A cell with an export holds imports or other code, never both: the docs run every cell that imports."
    for number, cell in enumerate(cells(path, "code")):
        if not any(d.split()[0] in ("export", "exports", "exporti") for d in directives(cell["source"])): continue
        body = ast.parse(cell["source"]).body
        imports = [isinstance(node, (ast.Import, ast.ImportFrom)) for node in body]
        assert all(imports) or not any(imports), f"code cell {number} of {path.name}: {cell['source'][:200]}"


@every_notebook
def test_no_notebook_exports_itself(path):
    "`nbdev_export()` inside a notebook would rewrite the library in mid-run."
    assert [n for n, cell in enumerate(cells(path, "code")) if "nbdev_export" in cell["source"]] == []


def assigned(body):
    "The values of `name: type = literal` lines."
    return {node.target.id: ast.literal_eval(node.value) for node in body if isinstance(node, ast.AnnAssign) and node.value is not None}


def test_the_parameters_cell_is_the_dataclass():
    "05_train has one cell tagged `parameters`, on its first screen, with the names and the values of TrainRun; nothing in it is switched off."
    path = ROOT / "nbs" / "05_train.ipynb"
    tagged = [(n, cell) for n, cell in enumerate(cells(path)) if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1 and tagged[0][0] <= 4
    body = ast.parse(tagged[0][1]["source"]).body
    assert all(isinstance(node, ast.AnnAssign) for node in body), "plain literals with their types, nothing else"
    module = ast.parse((ROOT / "protrek_nb" / "train.py").read_text(encoding="utf-8"))
    run = next(node for node in module.body if isinstance(node, ast.ClassDef) and node.name == "TrainRun")
    assert assigned(body) == assigned(run.body) and list(assigned(body)) == list(assigned(run.body))
    assert all("#" in line for line in tagged[0][1]["source"].strip().splitlines()), "each parameter has a comment"
    flags = {d for cell in cells(path, "code") for d in directives(cell["source"])}
    assert not flags & {"eval: false", "slow", "gpu"}, "papermill runs such cells; scale by parameters instead"


# ---------------------------------------------------------------- modules

def imports(path, top=False):
    "The modules that a file imports: everywhere in it, or at its top level only; ours without the package's name."
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top else ast.walk(tree):
        if isinstance(node, ast.Import): yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.level: yield from ([f"protrek_nb.{node.module}"] if node.module else [f"protrek_nb.{a.name}" for a in node.names])
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from ([f"protrek_nb.{a.name}" for a in node.names] if node.module == "protrek_nb" else [node.module])


@every_module
def test_a_module_imports_no_notebook_tools(path):
    "IPython, nbdev and fastcore are for pages; plotting is imported where it is used."
    assert {name.split(".")[0] for name in imports(path)} & {"IPython", "ipykernel", "nbdev", "fastcore", "execnb", "papermill"} == set()
    assert {name.split(".")[0] for name in imports(path, top=True)} & {"matplotlib", "seaborn", "umap", "faiss"} == set()


FIRST = ("core", "checks", "rows", "tables", "sources", "toy", "obo", "toy_terms", "toy_isolates", "toy_sites")
THEN = ("00", "01", "02", "03", "04", "06", "05", "07", "08", "09", "10")  # training validates with the metrics of 06, so 06 stands before it


def stage(notebook):
    "The place of a notebook in the order of imports."
    return FIRST.index(notebook.stem) if notebook.stem in FIRST else len(FIRST) + THEN.index(notebook.stem[:2])


def test_imports_only_go_down():
    "A module imports from earlier stages, or from its own; never in a circle."
    stage_of = {f"protrek_nb.{name}": stage(path) for path in NOTEBOOKS for name in default_exports(path)}
    ours = {f"protrek_nb.{path.stem}": {name for name in imports(path) if name in stage_of} for path in MODULES}
    upward = [f"{name} imports {other}" for name, others in ours.items() for other in others if stage_of[other] > stage_of[name]]
    assert upward == []
    while ours:
        free = [name for name, others in ours.items() if not others & ours.keys()]
        assert free, f"imports go in a circle among {sorted(ours)}"
        for name in free: del ours[name]


@every_module
def test_a_module_is_short(path):
    "More than 400 lines are two modules."
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


# ---------------------------------------------------------------- all files

def tracked():
    "The files of the project as git sees them: committed, or new and not ignored."
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"], capture_output=True, text=True)
    if listed.returncode: pytest.skip("not a git checkout: there is no list of tracked files")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_speaks_of_the_machine_it_was_made_on():
    "No home folders, no package index of some machine."
    machine = re.compile(r"(?<![\w.:/])/(?:root|home|Users|work)/[\w.]+|https?://[\w.-]*(?:pypi\.org/simple|artifactory|/simple/)", re.I)
    found = {}
    for path in tracked():
        try: text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError: continue
        if hit := machine.search(text): found[str(path.relative_to(ROOT))] = hit[0]
    assert found == {}


def test_no_file_is_large():
    "The project stays small: no file above 10 MB, no stored notebook above 2 MB."
    assert [str(p) for p in tracked() if p.stat().st_size > (2 if p.suffix == ".ipynb" else 10) * 2**20] == []


def names_of(problem, source, path):
    "List the names that pyflakes reports as one kind of problem."
    found = Checker(ast.parse(source), str(path)).messages
    return sorted({m.message_args[0].split(" as ")[-1].split(".")[-1] for m in found if isinstance(m, problem)})


@every_module
def test_a_module_defines_what_it_uses(path):
    "A name that only a hidden cell imports is there in the notebook and missing in the module."
    assert names_of(UndefinedName, path.read_text(encoding="utf-8"), path) == []


@every_notebook
def test_a_page_uses_what_it_imports(path):
    "Imports that no cell uses are gone; what a page hands on stands in its `_all_`."
    source = "\n".join("\n".join(line for line in cell["source"].splitlines() if not line.startswith(("%", "!"))) for cell in cells(path, "code"))
    handed_on = re.search(r"^_all_ = (\[.*?\])", source, re.S | re.M)
    assert set(names_of(UnusedImport, source, path)) <= set(ast.literal_eval(handed_on[1]) if handed_on else [])
