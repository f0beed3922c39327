"""The command of the README, as a person types it in the project's root."""
import json
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from unittest import mock

import pytest
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from conftest import ROOT
from protrek_nb.core import RunDir, read_json, read_table, shared_data
from protrek_nb.models.weights import has_weights
from protrek_nb.toy.terms import load_terms


def begin(out, *parameters, page="05_train"):
    "Start a page with parameters."
    tool = Path(sys.executable).with_name("papermill")
    return subprocess.Popen([tool, f"nbs/{page}.ipynb", str(out), *parameters], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def end(process, seconds=240):
    "Wait for the page; give exit code and all that was printed."
    try: said, _ = process.communicate(timeout=seconds)
    finally: process.kill()
    return process.returncode, said


@pytest.fixture
def name():
    "A run name that nobody else has; what was written under it is removed."
    name = f"pytest-{uuid.uuid4().hex[:8]}"
    yield name
    for path in (ROOT / "reports").glob(f"**/{name}*"):
        if path.is_dir(): shutil.rmtree(path)
        elif path.exists(): path.unlink()


def test_the_line_ends_with_a_complete_run(name, tiny_path, tmp_path):
    "`-p epochs 1` on a small table: exit code 0, a run folder with everything a report needs, and the page says where it is."
    code, said = end(begin(tmp_path / "out.ipynb", "-p", "epochs", "1", "-p", "base", "small", "-p", "data", str(tiny_path), "-p", "name", name))
    assert code == 0, said[-3000:]
    run = RunDir.open(ROOT / "reports" / "runs" / name)
    there = {p.name for p in run.path.iterdir()}
    assert there >= {"params.json", "history.csv", "metrics.json", "predictions.parquet", "certificate.json", "checkpoints", "log.txt", "rejected.csv", "model"}
    params = read_json(run.params_path)
    assert params["params"]["epochs"] == 1 and params["params"]["data"] == str(tiny_path), "the parameters of the line reached the run"
    assert params["data_hash"] and params["environment"]["packages"]["torch"]
    assert read_table(run.history_path).epoch.tolist() == [0, 1] and read_json(run.certificate_path)["clean"]
    assert {row["model"] for row in read_json(run.metrics_path)["twins"]} == {"base", "tuned"}
    assert {p.suffix for p in (ROOT / "reports").glob(f"{name}*/report.*")} == {".html", ".md"}
    outputs = [o for cell in json.loads((tmp_path / "out.ipynb").read_text())["cells"] for o in cell.get("outputs", [])]
    assert f"reports/runs/{name}" in json.dumps(outputs), "the page says where the run folder is"
    assert not (ROOT / "out.ipynb").exists() or (ROOT / "out.ipynb").stat().st_mtime < (tmp_path / "out.ipynb").stat().st_mtime


def run_here(page, **parameters):
    "Run a page with parameters in this process, as papermill writes them into it; an error of the page is raised."
    notebook, names = parameterize_notebook(load_notebook_node(str(ROOT / "nbs" / f"{page}.ipynb")), parameters), dict(__name__="page", get_ipython=mock.MagicMock())
    for cell in notebook.cells:
        if cell.cell_type == "code": exec("\n".join(line for line in cell.source.splitlines() if not line.startswith("%")), names)


def test_a_wrong_parameter_stops_the_run(name, tmp_path):
    "A misspelt name is answered with the right one and the list of names, a wrong type with name, value and type; no run folder appears."
    misspelt, said = end(begin(tmp_path / "out.ipynb", "-p", "epoch", "30", "-p", "name", name))
    assert misspelt != 0 and "no parameter epoch (did you mean epochs?)" in said and "Parameters: name, data, epochs, seed, " in said and "base, recipe" in said
    with pytest.raises(TypeError, match="epochs = 'thirty' is a str.*takes int"): run_here("05_train", epochs="thirty", name=name)
    assert not (ROOT / "reports" / "runs" / name).exists()


def test_the_line_of_the_pairs_ends_with_a_complete_run(name, tmp_path):
    "The page of the third system, one epoch of a perceptron: parameters reach the run, and its folder has all that the page promises."
    code, said = end(begin(tmp_path / "out.ipynb", "-p", "epochs", "1", "-p", "head", "mlp", "-p", "name", name, page="09_pairs"))
    assert code == 0, said[-3000:]
    run = RunDir.open(ROOT / "reports" / "runs" / name)
    assert {p.name for p in run.path.iterdir()} >= {"params.json", "metrics.json", "certificate.json", "history.csv", "predictions.parquet", "loss.png", "f1.png", "learning_curves.png", "model"}
    assert read_json(run.params_path)["params"]["head"] == "mlp" and len(read_table(run.history_path)) == 1


@pytest.mark.parametrize("page", ["08_go", "pairs/protocol", "10_binding"])
def test_the_other_pages_name_their_parameters(page):
    "A misspelt parameter stops each of them with the list of names."
    with pytest.raises(Exception, match="did you mean epochs?"): run_here(page, epoch=30)


def test_terms_from_summaries_go_through_the_whole_page(name, tmp_path):
    "What real terms use, summaries instead of residues, on a few toy proteins: no cell waits for a student or a miner that is not there."
    table = load_terms()
    table[table.family.isin(table.family.unique()[:40])].to_csv(tmp_path / "few.csv", index=False)
    given = ["data", str(tmp_path / "few.csv"), "ontology", "data/toy_terms.obo", "epochs", "1", "replicates", "2", "name", name]
    code, said = end(begin(tmp_path / "out.ipynb", "-y", "summary: true", *(w for k, v in zip(given[::2], given[1::2]) for w in ("-p", k, v)), page="08_go"))
    assert code == 0, said[-3000:]
    assert "mixture" in read_json(ROOT / "reports" / "runs" / name / "metrics.json")


@pytest.mark.skipif(not (shared_data() and has_weights("unirep") and has_weights("minilm")), reason="needs the public tables and the pretrained weights")
def test_alleles_go_through_the_whole_page(name, tmp_path):
    "The real alleles with the smallest encoder: every cell of the page holds for data without easy pairs, too."
    given = ["data", "lactamases", "base", "unirep-64+minilm", "epochs", "1", "name", name]
    code, said = end(begin(tmp_path / "out.ipynb", *(w for k, v in zip(given[::2], given[1::2]) for w in ("-p", k, v))))
    assert code == 0, said[-3000:]
    assert {row["model"] for row in read_json(ROOT / "reports" / "runs" / name / "metrics.json")["alleles"]} > {"tuned", "base"}


def test_what_was_set_aside_is_told_before_the_chains_fail(name, tmp_path, capsys):
    "Sites of one family cannot fill the folds; by then the page has said what it read, and the run folder has the rest."
    from protrek_nb.binding.chains import toy_chains
    zinc = toy_chains(("ZN",))
    records = [f">{c.chain_id}\n{c.sequence}\n{c.labels}\n" for c in zinc[zinc.family == zinc.family[0]].itertuples()]
    (tmp_path / "ZN.txt").write_text("".join(records) + ">odd\nMKC\n01\n")
    with pytest.raises(ValueError, match="folds"): run_here("10_binding", data=str(tmp_path / "ZN.txt"), name=name, backbone="small")
    assert f"ZN.txt: {len(records) + 1} rows read, {len(records)} proteins kept, 1 rows set aside (1 x 2 labels for 3 residues)" in capsys.readouterr().out
    assert read_table(ROOT / "reports" / "runs" / name / "rejected.csv").value.tolist() == ["odd"]
