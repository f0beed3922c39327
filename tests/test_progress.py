"""Long work shows a bar where somebody looks, and leaves no trace: in a terminal, on a page, and nowhere else."""
import os
import pty
import re
import subprocess
import sys
import termios

import nbformat
from nbclient import NotebookClient

from conftest import ROOT

BASE, PROTEINS = ROOT / "data" / "toy_base", ROOT / "data" / "toy_proteins.csv"
SETUP = "import sys, time; import protrek_nb.progress as p; p.AFTER = {after}\n"
TABLES = f"from protrek_nb import tasks; import pandas as pd; pd.read_csv({str(PROTEINS)!r}).head(200).to_csv('some.csv', index=False)\n" + f"""
tasks.mine('some.csv', out='twins.csv', group_by='similarity', workers=1)
tasks.split('some.csv')
tasks.embed({str(BASE)!r}, 'some.csv', 'v.parquet')
tasks.index('v.parquet', 'index')
tasks.search('index', 'some.csv', out='hits.tsv')
"""
TRAIN = f"sys.path.insert(0, {str(ROOT / 'tests')!r}); import helpers; from protrek_nb.train import TrainRun\n" + """
helpers.fit(TrainRun(name='tiny', data={data!r}, base='small', recipe='tiny', epochs=2), '.')
"""


def run(work, folder, terminal, after=1e-9):
    "Do some work in another process, with a bar from the first step on; give what it wrote on standard error."
    ours, theirs = pty.openpty() if terminal else os.pipe()
    if terminal: termios.tcsetwinsize(theirs, (24, 100))
    env = {k: v for k, v in os.environ.items() if k != "JPY_SESSION_NAME"} | dict(TQDM_MININTERVAL="0")
    with subprocess.Popen([sys.executable, "-c", SETUP.format(after=after) + work], cwd=folder, stderr=theirs, stdout=subprocess.DEVNULL, env=env) as process:
        os.close(theirs)
        written = b""
        try:
            while part := os.read(ours, 1 << 16): written += part
        except OSError: pass  # a terminal that nobody holds any more
    os.close(ours)
    assert process.returncode == 0, written.decode()[-2000:]
    return written.decode()


def bars(written):
    "Find the bars that were drawn: their names, and whether one told the time that is left."
    return {name.strip() for name in re.findall(r"([\w/ ]+):\s+\d+%\|", written)}, bool(re.search(r"<\d\d:\d\d", written))


def wiped(written):
    "Tell whether the last bar is gone from the screen."
    return "%|" not in "".join(written.replace("\r\n", "\n").split("\n")[-1].split("\r")[-2:])


def test_a_terminal_shows_bars(tmp_path):
    "Each long work names itself, tells the time that is left, and wipes its bar away."
    names, left = bars(written := run(TABLES, tmp_path, terminal=True))
    assert left and wiped(written), written[-2000:]
    assert {"grouping", "proving groups", "judging", "comparing words", "comparing sequences", "sequence", "checking", "writing", "searching"} <= names


def test_a_run_shows_a_bar(tmp_path, tiny_path):
    "Training tells within an epoch how far it is, and when the run ends at the latest."
    names, left = bars(written := run(TRAIN.format(data=str(tiny_path)), tmp_path, terminal=True))
    assert left and wiped(written) and {"epoch 1/2", "epoch 2/2"} <= names, written[-2000:]
    assert {"25%", "38%", "50%"} <= set(re.findall(r"epoch ./2:\s+(\d+%)", written)), "it moves with each step"


def test_a_pipe_shows_none(tmp_path):
    "Where standard error is no terminal there is not one sign of a bar."
    written = run(TABLES, tmp_path, terminal=False)
    assert "%|" not in written and "\r" not in written, written[-2000:]


def test_quick_work_shows_none(tmp_path):
    "A bar appears after two seconds, in a terminal too."
    loop = "for _ in p.progress(range(30), 'counting'): time.sleep({})"
    assert run(loop.format(.01), tmp_path, terminal=True, after=2) == ""
    assert "counting" in run(loop.format(.09), tmp_path, terminal=True, after=2)


def test_lines_stand_above_a_bar(tmp_path):
    "A line that is printed while a bar is drawn does not tear it, and does not call it before its time."
    work = "with p.progress(what='counting', total=4) as bar:\n    for k in range(4):\n        time.sleep(.12); bar.update()\n        with p.above_bars(): print('line', k, file=sys.stderr)"
    torn = re.compile(r"[^\r\n ] *line \d")
    assert not torn.search(run(work, tmp_path, terminal=True)), "a line begins at the left"
    early = run(work, tmp_path, terminal=True, after=60)
    assert "counting" not in early and early.count("line") == 4


def page(folder, name=None):
    "Run a page with two bars in a kernel: one work that lasts, one that ends in an error; give its cells."
    code = [SETUP.format(after=.1) + "for _ in p.progress(range(4), 'counting'): time.sleep(.1)\nprint('done')",
            "for k in p.progress(range(4), 'failing'):\n    time.sleep(.1)\n    if k == 3: raise ValueError('no')"]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in code])
    env = {k: v for k, v in os.environ.items() if k != "JPY_SESSION_NAME"} | (dict(JPY_SESSION_NAME=name) if name else {})
    NotebookClient(nb, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": str(folder)}}).execute(env=env)
    return nb.cells


def test_a_page_keeps_no_bar(tmp_path):
    "A page in JupyterLab shows a bar, empty in the end, which saving drops; no widget is needed. A page that papermill runs has none at all."
    sys.path.insert(0, str(ROOT / "tests"))
    from save_hook import without_bars
    def kinds(cells): return [[o.output_type for o in cell.outputs] for cell in cells]
    shown, bare = page(tmp_path, "nbs/page.ipynb"), page(tmp_path)
    assert kinds(shown) == [["display_data", "stream"], ["display_data", "error"]] and kinds(bare) == [["stream"], ["error"]]
    assert [cell.outputs[0].data for cell in shown] == [{}, {}], "drawn, and empty in the end"
    without_bars(shown)
    assert kinds(shown) == kinds(bare)


def test_all_systems_train_with_the_bar():
    "The bar is part of the trainer that all systems share."
    from protrek_nb.binding.training import BindingTrainer, LetterTrainer
    from protrek_nb.go.known import SummaryTrainer
    from protrek_nb.go.system import GoTrainer
    from protrek_nb.pairs.training import PairTrainer
    from protrek_nb.training.trainer import PlannedTrainer
    from protrek_nb.training.twins import TwinTrainer
    for trainer in (BindingTrainer, LetterTrainer, GoTrainer, SummaryTrainer, PairTrainer, TwinTrainer): assert trainer.train is PlannedTrainer.train
