"""What a wheel and a source archive hold, and what using a model needs."""
import configparser
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from conftest import ROOT

FILES = "settings.ini setup.py MANIFEST.in README.md LICENSE CHANGELOG.md CITATION.cff constraints.txt".split()
TOY = {path.relative_to(ROOT / "data").as_posix() for path in (ROOT / "data").rglob("*") if path.is_file() and path.name not in ("README.md", "toy_general.csv")}


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    "Build both archives from a copy: first the source, and from it the wheel, as users without the repository do."
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("project")
    for name in FILES: shutil.copy(ROOT / name, folder / name)
    for name in ("protrek_nb", "data"): shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run([sys.executable, "-m", "build", "--no-isolation", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return {path.suffix: path for path in (folder / "dist").iterdir()}


def test_the_wheel_holds_modules_and_toy_data(archives):
    "All modules, the mark that they are typed, each toy table and the toy base; nothing else beside the package."
    names = set(zipfile.ZipFile(archives[".whl"]).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "protrek_nb").rglob("*.py")}
    assert modules | {"protrek_nb/py.typed"} | {f"protrek_nb/toy_data/{name}" for name in TOY} == {name for name in names if name.startswith("protrek_nb/")}
    assert {name.split("/")[0].split("-")[0] for name in names} == {"protrek_nb"}


def test_the_source_archive_builds_again(archives):
    "The source holds what setup.py reads, and the toy data."
    names = {name.partition("/")[2] for name in tarfile.open(archives[".gz"]).getnames()}
    assert {*FILES, *(f"data/{name}" for name in TOY)} <= names


def test_without_a_project_the_package_brings_the_toy(archives, tmp_path):
    "Unpacked, in an empty folder: the toy tables and the toy base are found in the package, runs go below the working folder."
    with zipfile.ZipFile(archives[".whl"]) as wheel: wheel.extractall(tmp_path / "installed")
    (tmp_path / "here").mkdir()
    code = "from protrek_nb.core import find_path, project_path, shared_data; from protrek_nb.toy.world import load_toy; " \
           "print(len(load_toy()), find_path('data/toy_base'), project_path('reports', 'runs'), shared_data(), sep='|')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "here", env={"PYTHONPATH": str(tmp_path / "installed"), "PATH": ""}, capture_output=True, text=True)
    rows, base, runs, real = done.stdout.strip().split("|")
    assert int(rows) > 1000 and base == str(tmp_path / "installed/protrek_nb/toy_data/toy_base") and runs == str(tmp_path / "here/reports/runs") and real == "None", done.stderr


def test_using_a_model_needs_no_notebook_and_no_plotting():
    "JupyterLab, nbdev, seaborn and umap come with extras only; every pinned name of the extras is a pin of constraints.txt."
    config = configparser.ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    names = {kind: {part.split(">")[0].split("<")[0] for part in config["DEFAULT"][f"{kind}requirements"].split()} for kind in ("", "report_", "real_", "export_", "scale_", "dev_")}
    assert not names[""] & {"jupyterlab", "nbdev", "ipykernel", "matplotlib", "seaborn", "umap-learn", "jinja2", "papermill", "sentence-transformers"}
    pins = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().split()}
    assert set().union(*names.values()) - pins == {"pip"}
