"""A page opens and runs in JupyterLab, and the explorer of twins works, in a real browser."""
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
import uuid

import pytest

from conftest import ROOT

CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
PAGE = "core.ipynb"


@pytest.fixture
def chromium():
    "A real browser; the test is skipped where there is none."
    pytest.importorskip("playwright", reason="playwright is not installed: pip install playwright")
    if CHROMIUM is None: pytest.skip("no chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def lab(tmp_path, chromium):
    "JupyterLab on a copy of the page; gives its address, its token and the copy."
    for folder in ("nbs", "config"): (tmp_path / folder).mkdir()
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "config" / "jupyter_server_config.py").write_text(  # as `make env` does it
        f"import sys\nsys.path.append({str(ROOT / 'tests')!r})\nfrom save_hook import on_save\nc.ContentsManager.pre_save_hook = on_save\n")
    for name in ("settings.ini", f"nbs/{PAGE}"): shutil.copy(ROOT / name, tmp_path / name)
    copy, token = tmp_path / "nbs" / PAGE, uuid.uuid4().hex
    notebook = json.loads(copy.read_text(encoding="utf-8"))
    for cell in notebook["cells"]: cell.update(outputs=[]) if cell["cell_type"] == "code" else None
    copy.write_text(json.dumps(notebook), encoding="utf-8")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    env = dict(os.environ, JUPYTER_CONFIG_DIR=str(tmp_path / "config"), JUPYTER_RUNTIME_DIR=str(tmp_path / "runtime"), JUPYTER_DATA_DIR=str(tmp_path / "share"),
               IPYTHONDIR=str(tmp_path / "ipython"), PYTHONPATH=os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    with open(tmp_path / "lab.log", "w") as log:
        server = subprocess.Popen([sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
                                   f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={tmp_path}", "--LabApp.news_url=None"], env=env, stdout=log, stderr=log)
    try: yield f"http://127.0.0.1:{port}", token, copy
    finally:
        server.terminate()
        try: server.wait(20)
        except subprocess.TimeoutExpired: server.kill(); server.wait()


def answers(address, token):
    "Tell whether the server is up."
    try: return urllib.request.urlopen(f"{address}/api/status?token={token}", timeout=2).status == 200
    except OSError: return False


def wait(page, ready, seconds, what):
    "Let the browser go on until something is so."
    for _ in range(int(seconds * 2)):
        if ready(): return
        page.wait_for_timeout(500)
    raise AssertionError(f"waited {seconds} s for {what}")


def code_cells(path):
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]


def run_in_lab(page, address, token, name):
    "Open a notebook of the folder in JupyterLab, and run all its cells."
    wait(page, lambda: answers(address, token), 60, "the server")
    page.goto(f"{address}/lab/workspaces/{uuid.uuid4().hex}/tree/nbs/{name}?token={token}")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=60_000)

    def kernel():
        sessions = json.load(urllib.request.urlopen(f"{address}/api/sessions?token={token}", timeout=5))
        return any(s["kernel"] and s["kernel"]["execution_state"] == "idle" for s in sessions)
    wait(page, kernel, 60, "the kernel")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


@pytest.mark.timeout(240)
def test_a_page_runs_in_jupyterlab(lab, chromium):
    "Open core.ipynb, run all cells, save: none ended in an error, and nothing but outputs has changed, which are those that the page has stored."
    address, token, copy = lab
    page = chromium.new_page(viewport=dict(width=1400, height=900))
    run_in_lab(page, address, token, PAGE)
    last = next(cell["id"] for cell in reversed(code_cells(ROOT / "nbs" / PAGE)) if cell["outputs"])

    def saved():
        page.keyboard.press("Control+s")
        return any(cell["outputs"] for cell in code_cells(copy) if cell["id"] == last) or any(o["output_type"] == "error" for c in code_cells(copy) for o in c["outputs"])
    wait(page, saved, 120, "all cells")
    stored, now = (json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "nbs" / PAGE, copy))
    assert [(cell["id"], o["ename"], o["evalue"]) for cell in code_cells(copy) for o in cell["outputs"] if o["output_type"] == "error"] == []
    assert {cell["execution_count"] for cell in code_cells(copy)} == {None}
    without = [[{name: value for name, value in cell.items() if name != "outputs"} for cell in notebook["cells"]] for notebook in (stored, now)]
    assert without[0] == without[1] and stored["metadata"] == now["metadata"]
    assert not any("widget" in kind for cell in code_cells(copy) for output in cell["outputs"] for kind in output.get("data", {}))


def explorer_in(tmp_path):
    "Write the explorer of a simulated run; give the file and how many pairs it must hold."
    from protrek_nb.reporting.explorer import explorer_page
    from protrek_nb.reporting.folders import read_run
    from protrek_nb.toy.simulated import simulated_run
    run = read_run(simulated_run(tmp_path, families=36).path)
    path = tmp_path / "explorer.html"
    path.write_text(explorer_page(run), encoding="utf-8")
    return path, int((run.pairs["split"] == "test").sum())


def test_the_explorer_finds_orders_and_opens_pairs(tmp_path, chromium):
    "All pairs are there; search, choice and order work; nothing is asked for from outside; no error."
    path, n = explorer_in(tmp_path)
    page, asked, errors = chromium.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    rows = page.locator("tbody.pair:visible")
    assert rows.count() == n and page.locator("output").text_content() == f"{n} of {n} pairs"
    assert page.locator("details[open]").count() == 1 and page.locator("g.chosen").count() == 1
    page.get_by_role("button", name="next").click()
    assert page.locator("tbody.chosen").get_attribute("data-pair") == "2" == page.locator("g.chosen").get_attribute("data-pair")
    rows.nth(4).locator("tr").first.click()
    assert page.locator("tbody.chosen").get_attribute("data-pair") == "5" and page.locator("tbody.chosen mark").first.is_visible()
    name = rows.nth(7).locator("b").nth(0).text_content().split()[1]
    page.get_by_role("searchbox").fill(name)
    assert 0 < rows.count() < n and all(name in text for text in rows.all_text_contents())
    page.get_by_role("searchbox").fill("")
    page.get_by_label("Order").select_option("identity")
    order = [float(row.get_attribute("data-identity")) for row in rows.all()]
    assert len(order) == n and order == sorted(order)
    assert not errors and asked == [path.as_uri()]


@pytest.mark.timeout(240)
def test_the_explorer_works_in_jupyterlab(lab, chromium, tmp_path):
    "Shown by a cell, it is as useful as in a page of its own, and no widget is stored."
    import nbformat
    address, token, _ = lab
    path, n = explorer_in(tmp_path)
    cell = nbformat.v4.new_code_cell(f"from pathlib import Path\nfrom IPython.display import HTML\nHTML(Path({str(path)!r}).read_text())")
    kernel = dict(name="python3", display_name="Python 3", language="python")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=dict(kernelspec=kernel)), tmp_path / "nbs" / "shown.ipynb")
    page = chromium.new_page(viewport=dict(width=1400, height=900))
    run_in_lab(page, address, token, "shown.ipynb")
    page.locator("tbody.pair").first.wait_for(timeout=60_000)
    page.get_by_role("button", name="next", exact=True).click()
    assert page.locator("tbody.chosen").get_attribute("data-pair") == "2" == page.locator("g.chosen").get_attribute("data-pair")
    assert page.locator(".twin-explorer output").text_content() == f"{n} of {n} pairs"


def test_the_explorer_reads_without_scripts_and_in_print(tmp_path, chromium):
    "Without scripts every pair is shown and opens; in print its alignment is there, unopened."
    path, n = explorer_in(tmp_path)
    page = chromium.new_context(java_script_enabled=False).new_page()
    page.goto(path.as_uri())
    assert page.locator("tbody.pair:visible").count() == n and not page.locator(".tools").is_visible()
    third = page.locator("tbody.pair").nth(2)
    assert not third.locator("pre").is_visible()
    page.emulate_media(media="print")
    assert third.locator("pre").is_visible()
    page.emulate_media(media="screen")
    third.locator("summary").click()
    assert third.locator("pre").is_visible()


def test_saving_without_the_tables_keeps_real_results():
    "A cell that was skipped now keeps the outputs of the stored page; one whose code has changed, or that was skipped then, does not."
    sys.path.insert(0, str(ROOT / "tests"))
    from save_hook import keep_real
    def cell(ident, source, text): return dict(id=ident, cell_type="code", source=source, outputs=[dict(output_type="stream", name="stdout", text=text)])
    stored = [cell("a", "x", "0.9"), cell("b", "x", "0.8"), cell("c", "x", "skipped: no tables"), cell("d", "x", "0.7")]
    now = [cell("a", "x", "skipped: no tables"), cell("b", "y", "skipped: no tables"), cell("c", "x", "skipped: no tables"), cell("d", "x", "0.6")]
    keep_real(now, stored)
    assert [c["outputs"][0]["text"] for c in now] == ["0.9", "skipped: no tables", "skipped: no tables", "0.6"]
