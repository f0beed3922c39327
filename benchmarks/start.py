"""How long until something is there: the library, a help text, the first figure of a page.

    python benchmarks/start.py [--turns 5]

Every line is a process of its own, after one that does not count, with bytecode as Python keeps it by default. `wall_s` and `cpu_s`, processor time, are each the shortest of all turns: other work
on the machine can only make them longer. The figure is the first of the page `guide/benchmarks`, which reads a stored table: from the start of its kernel to the end of the cell that draws, and the start of the client (`nbclient alone`) before it.
Writes benchmarks/results/start.csv and start.md.
"""
import argparse, sys, tempfile
from pathlib import Path

import nbformat
import pandas as pd
from typer.main import get_command

from encoding import write
from search import processor

PAGE = Path(__file__).resolve().parents[1]/"nbs"/"guide"/"benchmarks.ipynb"
RUN = "import nbformat, sys; from nbclient import NotebookClient; NotebookClient(nbformat.read(sys.argv[1], 4), kernel_name='python3').execute()"


def commands(command, words=()):
    "Give the words of every command and of every group of commands."
    yield words
    for name, inner in getattr(command, "commands", {}).items(): yield from commands(inner, (*words, name))


def until_figure(folder):
    "Write the page's code up to its first figure."
    page = nbformat.read(PAGE, 4)
    cells = [cell for cell in page.cells if cell.cell_type == "code"]
    drawn = next(k for k, cell in enumerate(cells) if any("image/png" in out.get("data", {}) for out in cell.outputs))
    page.cells = cells[:drawn + 1]
    nbformat.write(page, folder/"page.ipynb")
    return str(folder/"page.ipynb")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--turns", type=int, default=5)
    turns = parser.parse_args().turns
    from protrek_nb.__main__ import app
    asked = {"Python alone": ["-c", "pass"], "`import protrek_nb`": ["-c", "import protrek_nb"]}
    helps = {"`" + " ".join(["protrek-nb", *words, "--help"]) + "`": ["-m", "protrek_nb", *words, "--help"] for words in commands(get_command(app))}
    with tempfile.TemporaryDirectory() as temp:
        asked |= helps | {"nbclient alone": ["-c", RUN.split(";")[0] + "; import nbclient"], "first figure of a page": ["-c", RUN, until_figure(Path(temp))]}
        times = {name: [] for name in asked}
        for _ in range(turns + 1):
            for name, words in asked.items(): times[name].append(processor(sys.executable, *words))
    best = {name: [round(min(x), 2) for x in zip(*found[1:])] for name, found in times.items()}
    best["slowest `--help` of a command"] = max(best.pop(name) for name in list(helps)[1:])
    write("start", "Until something is there", pd.DataFrame([(name, *x) for name, x in best.items()], columns=["what", "wall_s", "cpu_s"]), f"Shortest of {turns}, in seconds.")


if __name__ == "__main__": main()
