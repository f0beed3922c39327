"""Structures become 3Di strings by Foldseek where it is installed, and by Biotite where it is not."""
import gzip
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from protrek_nb import doctor
from protrek_nb.data import structures
from protrek_nb.data.structures import read_structure, read_structures, reads_structures
from test_command import BASE, call, refused

FOLDSEEK = """#!{python}
# What `foldseek structureto3didescriptor` does with a PDB file: a line for each chain, `file_chain title`, sequence, 3Di string, places of CA.
import gzip, sys
from pathlib import Path
word, *options, path, out = sys.argv[1:]
assert word == "structureto3didescriptor" and options == "-v 0 --threads 1 --chain-name-mode 1".split(), sys.argv
text = gzip.open(path, "rt").read() if path.endswith(".gz") else Path(path).read_text()
chains = {{}}
for line in text.splitlines():
    if line.startswith("ATOM") and line[12:16].strip() == "CA": chains.setdefault(line[21], []).append(line)
if "broken" in path: sys.exit("Error: cannot read entry")
rows = [f"{{Path(path).name}}_{{c}} A TITLE\\t{{'A' * len(lines)}}\\t{{'DV' * (len(lines) // 2)}}\\t1.0,2.0,3.0" for c, lines in chains.items()]
Path(out).write_text("".join(row + "\\n" for row in rows))
"""


def pdb_text(n, chain="A"):
    return "".join(f"ATOM  {k:5d}  CA  ALA {chain}{k:4d}    {k:8.3f}{0:8.3f}{0:8.3f}  1.00{40 + 10 * k:6.2f}           C\n" for k in range(1, n + 1))


@pytest.fixture
def foldseek(tmp_path, monkeypatch):
    "A program of that name, first on the PATH, and no Biotite."
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "foldseek").write_text(FOLDSEEK.format(python=sys.executable))
    (tmp_path / "bin" / "foldseek").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    for name in ("biotite", "biotite.structure", "biotite.structure.io"): monkeypatch.setitem(sys.modules, name, None)


def test_foldseek_reads_structures(foldseek, tmp_path):
    "Sequence and letters are those of the program, of the chain that is asked, gzipped or not; what it cannot read is said."
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "two.pdb").write_text(pdb_text(8) + pdb_text(6, "B"))
    with gzip.open(tmp_path / "s" / "packed.pdb.gz", "wt") as f: f.write(pdb_text(4))
    assert read_structure(tmp_path / "s" / "two.pdb") == ("A" * 8, "dv" * 4)
    assert read_structure(tmp_path / "s" / "two.pdb", "B") == ("A" * 6, "dv" * 3)
    with pytest.raises(ValueError, match="has no chain 'C'; it has A, B"): read_structure(tmp_path / "s" / "two.pdb", "C")
    (tmp_path / "s" / "broken.pdb").write_text(pdb_text(3))
    (tmp_path / "s" / "empty.pdb").write_text("HEADER\n")
    table = read_structures(tmp_path / "s")
    assert table.protein_id.tolist() == ["packed", "two"] and table.structure_3di.tolist() == ["dv" * 2, "dv" * 4]
    reasons = {r["value"]: r["reason"] for r in table.attrs["rejected"]}
    assert "foldseek: Error: cannot read entry" in reasons["broken.pdb"] and "holds no amino acids" in reasons["empty.pdb"]


def test_the_command_embeds_by_foldseek(foldseek, tmp_path):
    "A structure goes in, and a vector comes out, without Biotite."
    (tmp_path / "x.pdb").write_text(pdb_text(8))
    done = call(f"embed {BASE} FILE OUT --kind structure", FILE=tmp_path / "x.pdb", OUT=tmp_path / "v.parquet")
    assert done.exit_code == 0 and "1 vectors" in done.stderr, done.output


def test_predictions_are_masked(foldseek, tmp_path, monkeypatch):
    "How sure a prediction is, is read by Biotite, with Foldseek too; without it the sentence says how it is installed."
    (tmp_path / "model.pdb").write_text("TITLE     ALPHAFOLD MONOMER V2.0 PREDICTION\n" + pdb_text(6))
    refused(call(f"embed {BASE} FILE OUT --kind structure", FILE=tmp_path / "model.pdb", OUT=tmp_path / "v.parquet"), r"sure is read by biotite: pip install 'protrek_nb\[structure\]'")
    monkeypatch.setattr(structures, "_chain_atoms", lambda *a: (None, SimpleNamespace(b_factor=np.array([50, 60, 70, 80, 90, 95.]))))
    assert read_structure(tmp_path / "model.pdb") == ("A" * 6, "##dvdv") and read_structure(tmp_path / "model.pdb", masked=False)[1] == "dvdvdv"
    monkeypatch.setattr(structures, "_chain_atoms", lambda *a: (None, SimpleNamespace(b_factor=np.array([50.]))))
    with pytest.raises(ValueError, match="6 letters, and 1 residues with a confidence"): read_structure(tmp_path / "model.pdb")


def test_the_doctor_says_which_is_used(foldseek, monkeypatch, capsys):
    doctor.doctor()
    said = capsys.readouterr().out
    assert "structures: read by foldseek" in said and "missing: foldseek" not in said
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(structures, "find_spec", lambda name: None)
    assert reads_structures() == ""
    monkeypatch.setattr(structures, "find_spec", lambda name: name)
    assert reads_structures() == "biotite"
