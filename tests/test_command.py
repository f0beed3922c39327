"""Whatever a user gives the command, the answer is a result or one sentence, and no file is half written."""
import ast
import errno
import os
import re
import resource
import runpy
import shlex
import subprocess
import sys
import warnings
from configparser import ConfigParser
from itertools import product

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from conftest import ROOT
from protrek_nb import core, tasks
from protrek_nb.__main__ import PREDICT, RUNS, TASKS, app
from protrek_nb.core import read_table
from protrek_nb.eval import score_texts
from protrek_nb.options import EXTRAS, plain_errors, read_options
from protrek_nb.search import Index, embed_table, make_index, read_vectors

BASE = str(ROOT / "data" / "toy_base")
TABLE_IN = {  # command -> its words, with FILE, INDEX and OUT for what a test puts in
    "score": f"score {BASE} FILE --out OUT.tsv", "predict go": f"predict go {BASE} FILE --out OUT.tsv",
    "predict sites": f"predict sites {BASE} FILE --out OUT.tsv", "predict pairs": f"predict pairs {BASE} FILE --out OUT.tsv",
    "embed": f"embed {BASE} FILE OUT.parquet", "index": "index FILE OUT", "search": "search INDEX FILE --out OUT.tsv", "mine": "mine FILE --out OUT.csv",
    "split": "split FILE --out OUT.csv", "eval": f"eval {BASE} FILE --out OUT.csv", "train twins": "train twins --data FILE"}
WRITES = {k: v for k, v in TABLE_IN.items() if k not in ("index", "train twins", "predict go", "predict sites", "predict pairs")}


def call(words, **places):
    "Run the command in this process; words in capitals stand for the places."
    for name, path in places.items(): words = words.replace(name, str(path))
    return CliRunner().invoke(app, words.split(), prog_name="protrek-nb")


def refused(done, match):
    "Check that the command ended with one sentence on standard error, exit code 2, and no trace."
    assert done.exit_code == 2, done.output
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "Traceback" not in done.output and done.stdout == "", done.output
    assert re.search(match, errors[0]), errors[0]


@pytest.fixture(scope="module")
def table():
    "Twenty-four toy proteins."
    return read_table(ROOT / "data" / "toy_proteins.csv").head(24)


@pytest.fixture(scope="module")
def made(table, tmp_path_factory):
    "The table as a file, its vectors and an index of them."
    folder = tmp_path_factory.mktemp("made")
    table.to_csv(folder / "proteins.csv", index=False)
    for words in (f"embed {BASE} {folder}/proteins.csv {folder}/v.parquet", f"index {folder}/v.parquet {folder}/index"):
        done = call(words)
        assert done.exit_code == 0, done.output
    return folder


BAD = {  # name -> (how the file is made, what the sentence says)
    "no file": (lambda path: None, "no such file|neither a table that we know"),
    "an empty file": (lambda path: path.write_bytes(b""), "the file is empty|no Parquet file|no usable pair|has no rows|no row|no column"),
    "a folder": (lambda path: path.mkdir(), "is a folder"),
    "a binary": (lambda path: path.write_bytes(bytes(range(256)) * 40), "damaged|binary|NUL")}


@pytest.mark.parametrize(("command", "bad"), [*product(TABLE_IN, BAD)], ids=lambda x: x)
def test_bad_files(command, bad, made, tmp_path, monkeypatch):
    "No file, an empty file, a folder, a binary: each command says so, and leaves nothing."
    path = tmp_path / ("in.parquet" if command == "index" else "in.tsv")
    BAD[bad][0](path)
    monkeypatch.setattr(core.RunDir, "create", lambda name, create=core.RunDir.create: create(name, tmp_path / "runs"))
    before = {p for p in tmp_path.rglob("*")}
    refused(call(TABLE_IN[command], FILE=path, INDEX=made / "index", OUT=tmp_path / "out"), BAD[bad][1])
    left = {p for p in tmp_path.rglob("*")} - before
    assert {p for p in left if tmp_path / "runs" not in [p, *p.parents]} == set()


@pytest.mark.parametrize("command", WRITES)
def test_a_full_disk(command, made, tmp_path, monkeypatch):
    "A full disk is said, and what was begun is gone."
    def full(*args): raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(core, "_fsync", full)
    refused(call(WRITES[command], FILE=made / "proteins.csv", INDEX=made / "index", OUT=tmp_path / "out"), "the disk is full while writing .*out")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_full_disk_for_an_index(made, tmp_path, monkeypatch):
    "The folder does not appear."
    def full(*args): raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(core, "_fsync", full)
    refused(call("index FILE OUT", FILE=made / "v.parquet", OUT=tmp_path / "out"), "the disk is full")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.filterwarnings("ignore:no row of")
def test_duplicate_ids(table, tmp_path):
    "An id with two sequences is set aside with all its rows, told and listed beside the result; with nothing left, that is the error."
    pd.concat([table.head(5), table.tail(1).assign(protein_id=table.protein_id[0])]).to_csv(tmp_path / "in.csv", index=False)
    done = call(f"embed {BASE} FILE OUT", FILE=tmp_path / "in.csv", OUT=tmp_path / "v.parquet")
    assert done.exit_code == 0 and "2 rows set aside" in done.stderr
    assert read_vectors(tmp_path / "v.parquet").table.protein_id.tolist() == table.protein_id[1:5].tolist()
    assert len(read_table(tmp_path / "v.parquet.rejected.csv")) == 2
    table.head(2).assign(protein_id="P").to_csv(tmp_path / "two.csv", index=False)
    refused(call(f"embed {BASE} FILE OUT", FILE=tmp_path / "two.csv", OUT=tmp_path / "w.parquet"), "no row of it can be used")
    assert not (tmp_path / "w.parquet").exists()


@pytest.mark.parametrize("command", [c for c in WRITES if c not in ("mine", "split")])
def test_windows_line_ends(command, made, tmp_path):
    "A file from Windows gives the same."
    (tmp_path / "in.csv").write_bytes((made / "proteins.csv").read_bytes().replace(b"\n", b"\r\n"))
    results = []
    for k, path in enumerate((made / "proteins.csv", tmp_path / "in.csv")):
        done = call(WRITES[command], FILE=path, INDEX=made / "index", OUT=tmp_path / f"out{k}")
        assert done.exit_code == 0, done.output
        out, = [p for p in tmp_path.glob(f"out{k}.*")]
        results.append(pd.read_parquet(out) if out.suffix == ".parquet" else read_table(out))
    assert len(results[0]) and results[0].astype(str).equals(results[1].astype(str))


def test_wrong_models(made, tmp_path):
    "A folder that is no model, a name that nobody has, a model of another kind."
    given = dict(FILE=made / "proteins.csv", OUT=tmp_path / "out.tsv")
    refused(call("score nowhere FILE --out OUT", **given), "no such model")
    refused(call(f"score {made} FILE --out OUT", **given), "weights|config|model")
    refused(call(f"predict go {BASE} FILE --out OUT", **given), "a model of terms is needed")
    refused(call(f"predict sites {BASE} FILE --out OUT", **given), "a model of metal sites is needed")
    refused(call("score nobody/nothing FILE --out OUT", **given), "nobody/nothing")
    assert [*tmp_path.iterdir()] == []


def test_wrong_indexes(made, tmp_path):
    "A folder that is no index, a damaged one, one that another model has made."
    refused(call(f"search {BASE} --text zinc"), "is no index")
    vectors = read_vectors(made / "v.parquet")
    vectors.key = "another"
    make_index(vectors, tmp_path / "other")
    refused(call(f"search {tmp_path}/other --text zinc"), "made by another model")
    (tmp_path / "other" / "ids.parquet").write_bytes(b"nothing")
    refused(call(f"search {tmp_path}/other --text zinc"), "ids.parquet: content has changed")
    refused(call(f"index {made}/v.parquet {made}/index"), "exists: choose another name")
    refused(call(f"index {made}/v.parquet {made} --replace"), "is not an index and is left alone")


def test_no_network(tmp_path, monkeypatch):
    "What cannot be fetched is named, with what to do; nothing is left that looks whole."
    import requests
    from protrek_nb.data import download
    def cut(*args, **kwargs): raise requests.ConnectionError("no route")
    monkeypatch.setattr(requests, "get", cut)
    monkeypatch.setattr(download, "WAIT", 0)
    refused(call(f"fetch ZN_test --folder {tmp_path}/data"), "could not be fetched .* is there a network")
    refused(call(f"fetch ZN_test --folder {tmp_path}/data --offline"), "--offline fetches nothing: fetch ZN_test")
    assert [p for p in (tmp_path / "data").rglob("*") if p.is_file()] == []


def test_structures(tmp_path, monkeypatch):
    "Without the extra, the sentence says how it is installed; a folder without structures and a column that names no file are told."
    (tmp_path / "in").mkdir()
    refused(call(f"embed {BASE} FILE OUT --kind structure", FILE=tmp_path / "in", OUT=tmp_path / "v.parquet"), "without PDB or mmCIF files")
    (tmp_path / "in" / "x.pdb").write_text("nothing")
    for name in ("biotite", "biotite.structure", "biotite.structure.io"): monkeypatch.setitem(sys.modules, name, None)
    refused(call(f"embed {BASE} FILE OUT --kind structure", FILE=tmp_path / "in", OUT=tmp_path / "v.parquet"), r"pip install 'protrek_nb\[structure\]'")
    (tmp_path / "t.csv").write_text("id,sequence,structure_path\nP1,MKV,in/x.pdb\n")
    refused(call(f"embed {BASE} FILE OUT --kind structure", FILE=tmp_path / "t.csv", OUT=tmp_path / "v.parquet"), r"pip install 'protrek_nb\[structure\]'")
    assert not (tmp_path / "v.parquet").exists()


def test_a_pipe(made):
    "Standard input in, standard output out: the table alone, with ids."
    done = CliRunner().invoke(app, ["score", BASE, "-"], input=(made / "proteins.csv").read_bytes())
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split("\t")[0] == "protein_id" and len(lines) == 25


def test_results_are_those_of_the_notebook(table, made, tmp_path):
    "Scores, vectors and hits have the same bits, whoever asks."
    model = tasks.open_text_model(BASE)
    call(f"score {BASE} FILE --out OUT", FILE=made / "proteins.csv", OUT=tmp_path / "s.parquet")
    scores, wanted = read_table(tmp_path / "s.parquet"), score_texts(model, table)
    assert all((scores[c].to_numpy() == wanted[c].to_numpy()).all() for c in ("cosine", "scaled"))
    vectors = embed_table(model, table)
    assert (read_vectors(made / "v.parquet").rows_ND == vectors.rows_ND).all()
    call("search INDEX FILE --kind text --top 4 --out OUT", INDEX=made / "index", FILE=made / "proteins.csv", OUT=tmp_path / "h.parquet")
    hits, asked = read_table(tmp_path / "h.parquet"), Index.open(made / "index").search(model, table, "text", 4)
    assert hits.protein_id.tolist() == asked.protein_id.tolist() and (hits.cosine.to_numpy() == asked.cosine.to_numpy()).all()


# ---------------------------------------------------------------- help

COMMANDS = [*((m, n) for m, n in RUNS.values()), *(("protrek_nb.tasks", n) for n in [*TASKS.values(), *PREDICT.values()]), ("protrek_nb.report", "show_report"), *(("protrek_nb.doctor", n) for n in ("fetch", "doctor"))]


@pytest.mark.parametrize(("module", "name"), COMMANDS, ids=lambda x: x)
def test_every_option_is_described(module, name):
    "A word or an option without a comment has no help."
    options, doc = read_options(module, name)
    assert doc and [o.name for o in options if not o.help] == []


@pytest.mark.parametrize("command", ["score", "embed", "search", "search texts", "mine", "split", "eval", "train twins"])
def test_a_message_says_what_a_shell_takes(command, table, made, tmp_path, monkeypatch):
    "A table with names of its own: the sentence names --columns, and its words, typed with the right names, are understood."
    words = TABLE_IN[command.replace(" texts", "")] + (" --kind text" if command == "search texts" else "")
    monkeypatch.setattr(core.RunDir, "create", lambda name, create=core.RunDir.create: create(name, tmp_path / "runs"))
    table.rename(columns=dict(protein_id="Key", sequence="Residues", text="What it does"))[["Key", "Residues", "What it does"]].to_csv(tmp_path / "in.csv", index=False)
    places = dict(FILE=tmp_path / "in.csv", INDEX=made / "index", OUT=tmp_path / "out")
    first = call(words, **places)
    refused(first, '--columns "')
    advice = re.search('(--columns "[^"]*")', first.stderr)[1]
    for field, column in (("sequence", "Residues"), ("text", "What it does")): advice = advice.replace(f"{field}=your column", f"{field}={column}")
    for name, path in places.items(): words = words.replace(name, str(path))
    if command == "train twins": monkeypatch.setattr("protrek_nb.train.mine_twins", None)  # far enough: the table was read
    second = CliRunner().invoke(app, [*words.split(), *shlex.split(advice)], prog_name="protrek-nb")
    assert second.exit_code == 0 or command == "train twins" and "'NoneType' object is not callable" in second.output, second.output


OPTIONS = {o.name for module, name in COMMANDS for o in read_options(module, name)[0]}


def advice_of(node):
    "List (name, what stands before it) of each `name=value` that a message gives as words, not as what was given."
    def text(part):
        if isinstance(part, ast.JoinedStr): return "".join(map(text, part.values))
        return part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "\0"
    nested = {id(v) for part in ast.walk(node) if isinstance(part, ast.JoinedStr) for v in part.values}
    whole = [text(part) for part in ast.walk(node) if id(part) not in nested and (isinstance(part, ast.JoinedStr) or isinstance(part, ast.Constant) and isinstance(part.value, str))]
    return [(m[1], said[:m.start()]) for said in whole for m in re.finditer(r"(?<![\w.'`])(?<!; )([a-z]\w*) ?=(?!=)(?! ?\0)", said)]


def test_advice_names_an_option_or_python():
    """What a message advises as `name=value` is an option of a command, so that a shell sees `--name value`, or it is said to be for Python or a recipe.
    None writes `--name` itself."""
    raised = [node for path in sorted((ROOT / "protrek_nb").rglob("*.py")) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Raise)]
    assert [said for said in map(ast.unparse, raised) if re.search(r"[ (](-p|--[a-z-]+) ", said)] == []
    advice = [(name, before, ast.unparse(node)) for node in raised for name, before in advice_of(node) if name not in OPTIONS]
    assert [said for _, before, said in advice if "in python" not in before.lower() and "in the recipe" not in said] == []


MAINS = [path for path in sorted((ROOT / "protrek_nb").rglob("*.py")) if '__name__ == "__main__"' in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", MAINS, ids=lambda path: path.stem)
def test_help_does_nothing_else(path, monkeypatch, capsys):
    "`python -m` of each module that can be run: `--help` describes it, and an unknown option is refused; neither starts anything."
    line = next(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith('if __name__ == "__main__"'))
    assert re.search(r": (command_line\(|main\(\)$)", line), "a module is run by options.command_line, or is the command itself"
    for word, code in (("--help", 0), ("--nonsense", 2)):
        monkeypatch.setattr(sys, "argv", [path.stem, word])
        monkeypatch.setattr(core, "atomic_path", None)  # writing would fail
        with pytest.raises(SystemExit) as end, warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # it is imported already
            runpy.run_module(".".join(path.relative_to(ROOT).with_suffix("").parts), run_name="__main__")
        assert end.value.code == code
        assert "Usage" in "".join(capsys.readouterr())


def seconds(*words):
    "Measure the processor time of a fresh Python."
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, env=dict(os.environ, PYTHONDONTWRITEBYTECODE=""))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stderr


def test_help_and_import_are_quick():
    "`--help` takes less than half a second, importing the library less than 0.3 s, and neither imports PyTorch or pandas."
    for words, limit in (("-m protrek_nb --help", .5), ("-m protrek_nb score --help", .5), ("-m protrek_nb train go --help", .5), ("-c import\tprotrek_nb", .3)):
        words = [w.replace("\t", " ") for w in words.split(" ")]
        seconds(*words)  # compiles what is not compiled yet
        assert any(seconds(*words)[0] < limit for _ in range(9)), words  # one is enough: a busy processor is slow, never fast
        assert not re.search(r"\|\s+(torch|pandas|numpy)$", seconds("-X", "importtime", *words)[1], re.M)


@pytest.mark.parametrize(("module", "how"), [*((m, rf"'protrek_nb\[{extra}\]'$") for m, extra in EXTRAS.items()), ("elsewhere", "elsewhere$")])
def test_a_missing_module_is_named_with_its_extra(module, how, capsys):
    "The sentence names the extra that brings the module, or the module where no extra does."
    with pytest.raises(typer.Exit) as stopped, plain_errors(): raise ModuleNotFoundError(f"No module named {module!r}", name=f"{module}.part")
    said = capsys.readouterr().err
    assert stopped.value.exit_code == 2 and re.search(f"error: {module} is not installed: pip install {how}", said.strip()), said


def test_extras_are_those_of_the_settings():
    "Each module that only an extra brings is in the table, under an extra that has its package."
    settings = ConfigParser(delimiters=["="])
    settings.read(ROOT / "settings.ini", encoding="utf-8")
    listed = {extra: {re.split("[<>=]", word)[0].replace("-", "_").replace("umap_learn", "umap") for word in settings["DEFAULT"][f"{extra}_requirements"].split()}
              for extra in ("report", "real", "structure", "export", "dev")}
    for module, extra in EXTRAS.items(): assert module in listed[extra], module
    assert set().union(*(names for extra, names in listed.items() if extra != "dev")) <= set(EXTRAS)


NAMED = [p for pattern in ("*.md", "nbs/**/*.ipynb", "protrek_nb/**/*.py") for p in sorted(ROOT.glob(pattern)) if p.name != "CHANGELOG.md"]

def test_what_pages_name_exists():
    "Every command that a page, the README or a message names is there, with its options."
    wrong, found = [], 0
    for path in NAMED:
        text = path.read_text(encoding="utf-8").replace('\\"', '"').replace("\\n", " ")
        for line in re.findall(r"protrek-nb +([^`\n#|]*)", text):
            words, command = [w.strip(".,;:()'\"") for w in line.split()], typer.main.get_command(app)
            while words and words[0] in getattr(command, "commands", {}): command = command.commands[words.pop(0)]
            missing = [words[0]] if words and hasattr(command, "commands") and re.fullmatch("[a-z]+", words[0]) else []
            options = {"--help"}.union(*(option.opts for option in command.params))
            missing += [w for w in words if re.fullmatch("--[a-z][a-z-]*", w) and w not in options]
            wrong += [f"{path.relative_to(ROOT)}: protrek-nb {line}: {w}" for w in missing]
            found += 1
    assert not wrong and found > 50, "\n".join(wrong)
