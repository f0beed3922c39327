"""Files as people have them, over all readers: each ends as a clear sentence with the file's name, or as rows that are counted. None is silently wrong."""
import gzip

import pandas as pd
import pytest

from protrek_nb.binding.chains import read_biolip, read_chain_file, read_residue_lists, read_site_lists, read_three_line
from protrek_nb.core import project_path
from protrek_nb.data import files, rows
from protrek_nb.data.tables import read_proteins, read_texts, summary
from protrek_nb.go.obo import read_stanzas
from protrek_nb.go.ontology import Ontology, read_annotations
from protrek_nb.models.views import read_a3m
from protrek_nb.pairs.isolates import read_dscript, read_isolates, read_pairs, read_pipr
from protrek_nb.twins.groups import read_clusters

GOOD = "MKVLAGHWTYCDEFNPQRSIMKVLAGHWTYCD"
OTHER = "GSHMLEDPVDAFKQWLNNGVTEEQLRAAGYTP"
OBO = "format-version: 1.2\n\n[Term]\nid: GO:0000001\nname: root\nnamespace: f\n\n[Term]\nid: GO:0000002\nname: child\nnamespace: f\nis_a: GO:0000001 ! root\n"


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    path = tmp_path_factory.mktemp("obo") / "small.obo"
    path.write_text(OBO)
    return Ontology.from_obo(path)


@pytest.fixture
def beside(tmp_path):
    "Files that a reader needs beside the odd one."
    (tmp_path / "good.tsv").write_text(f"P1\t{GOOD}\nP2\t{OTHER}\n")
    (tmp_path / "good.pairs").write_text("P1\tP2\t1\n")
    (tmp_path / "ids.fasta").write_text(f">sp|P1|A_X\n{GOOD}\n>P2\n{OTHER}\n")
    return tmp_path


def biolip(sequence=GOOD, residues="K2", ligand="ZN"): return "\t".join(["1abc", "A", "1.9", "BS01", ligand, "A", "1", "K2", residues, *[""] * 11, sequence])


READERS = {  # name -> (reader of (path, folder with files beside, ontology), a good file)
    "proteins": (lambda p, b, o: read_proteins(p), f"id\tsequence\ttext\nP1\t{GOOD}\tCuts DNA\nP2\t{OTHER}\tBinds zinc\n"),
    "fasta": (lambda p, b, o: read_proteins(p), f">sp|P1|A_X Cuts DNA OS=Homo sapiens\n{GOOD}\n>P2 Binds zinc\n{OTHER}\n"),
    "texts": (lambda p, b, o: read_texts(p), "id\ttext\nP1\tCuts DNA\n"),
    "isolates": (lambda p, b, o: read_isolates(p), f"strain\tHA\tNA\ni1\t{GOOD}\t{OTHER}\ni2\t{OTHER}\t{GOOD}\n"),
    "pairs": (lambda p, b, o: read_pairs(p), f"a_seq\tb_seq\n{GOOD}\t{OTHER}\n"),
    "pipr": (lambda p, b, o: read_pipr(p, b / "good.tsv"), "P1\tP2\t1\n"),
    "dictionary": (lambda p, b, o: read_pipr(b / "good.pairs", p), f"P1\t{GOOD}\nP2\t{OTHER}\n"),
    "dscript": (lambda p, b, o: read_dscript(b / "good.pairs", p), f">P1\n{GOOD}\n>P2\n{OTHER}\n"),
    "three lines": (lambda p, b, o: read_three_line(p, "ZN"), f">1abc_A\n{GOOD}\n01{'0' * 30}\n"),
    "chains": (lambda p, b, o: read_chain_file(p, "ZN"), f">1abc_A\n{GOOD}\n01{'0' * 30}\n"),
    "residue lists": (lambda p, b, o: read_residue_lists(p, "ZN"), f"id\tsequence\tpositions\n1abc_A\t{GOOD}\tK2\n"),
    "biolip": (lambda p, b, o: read_biolip(p), biolip() + "\n"),
    "site lists": (lambda p, b, o: read_site_lists(p, "ZN", b / "ids.fasta"), "P1\t2,3\n"),
    "a3m": (lambda p, b, o: read_a3m(p, GOOD), f">q\n{GOOD}\n>h\n{GOOD[:-1]}-\n"),
    "clusters": (lambda p, b, o: read_clusters(p), "P1\tP1\nP1\tsp|P2|B_X\n"),
    "annotations": (lambda p, b, o: read_annotations(p, o), "P1\tGO:0000002\n"),
    "obo": (lambda p, b, o: read_stanzas(p), OBO),
}
every_reader = pytest.mark.parametrize("name", READERS)


def plain(found):
    "What a reader found, without what depends on the name of the file."
    if isinstance(found, pd.DataFrame): return found.drop(columns="file", errors="ignore").to_dict("list")
    if hasattr(found, "rows") and hasattr(found, "proteins"): return found.proteins, [r.tolist() for r in found.rows]
    return found


def error_of(call):
    "The message of a call that must end with an error that was meant."
    with pytest.raises((ValueError, FileNotFoundError, IsADirectoryError)) as error: call()
    assert not isinstance(error.value, UnicodeError) and type(error.value).__module__ == "builtins"
    return str(error.value)


# ---------------------------------------------------------------- every reader opens files in the same way

DRESSED = {"bom": lambda t: t.encode("utf-8-sig"), "utf-16": lambda t: t.encode("utf-16"), "utf-16 without mark": lambda t: t.encode("utf-16-le"),
           "windows line ends": lambda t: t.replace("\n", "\r\n").encode(), "bom inside gzip": lambda t: gzip.compress(t.encode("utf-8-sig")),
           "gzip twice": lambda t: gzip.compress(gzip.compress(t.encode())), "end of file of DOS": lambda t: t.encode() + b"\x1a",
           "old Mac line ends": lambda t: t.replace("\n", "\r").encode()}


@every_reader
@pytest.mark.parametrize("dress", DRESSED)
def test_a_good_file_in_another_dress(name, dress, beside, toy):
    "Encoding, line ends and compression change nothing, whatever the suffix says."
    read, text = READERS[name]
    (beside / "plain.x").write_text(text); (beside / "dressed.GZ").write_bytes(DRESSED[dress](text))
    assert plain(read(beside / "dressed.GZ", beside, toy)) == plain(read(beside / "plain.x", beside, toy))


BROKEN = {"cut gzip": (lambda t: gzip.compress(t.encode() * 50)[:-9], "truncated or damaged"), "NUL": (lambda t: t.encode() + b"\n\0\0x\n", "NUL character"),
          "workbook": (lambda t: b"PK\x03\x04" + b"\0" * 90, "Excel workbook"), "web page": (lambda t: b"<!DOCTYPE html><p>404", "web page"),
          "pdf": (lambda t: b"%PDF-1.7\n", "a document"), "half of utf-16": (lambda t: t.encode("utf-16")[:-1], "cut or damaged"), "uniprot json": (lambda t: b'{"results":[]}', "JSON"),
          "git-lfs": (lambda t: b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer"), "pickle": (lambda t: b"\x80\x04\x95" + b"\0" * 20, "binary data"),
          "stockholm": (lambda t: b"# STOCKHOLM 1.0\nq MKV\n//\n", "Stockholm"), "fastq": (lambda t: b"@r1\nACGT\n+\nIIII\n", "FASTQ"), "genbank": (lambda t: b"LOCUS       NP_1  393 aa\n", "GenBank"),
          "flat file": (lambda t: b"ID   P53_HUMAN   Reviewed;  393 AA.\nAC   P04637;\n", "flat file"), "pir": (lambda t: b">P1;CRAB\nCrystallin\nMK*\n", "PIR"),
          "gtf": (lambda t: b'#!genome\nchr1\tens\tCDS\t1\t90\t.\t+\t0\tgene_id "g";\n', "GTF"), "gff": (lambda t: b"##gff-version 3\n", "GFF"), "clustal": (lambda t: b"CLUSTAL W (1.83)\n\na MKV\n", "Clustal"),
          "phylip": (lambda t: b" 2 3\na MKV\nb MKL\n", "PHYLIP"), "blast": (lambda t: b"# BLASTP 2.9.0+\nP1\tP2\t99\n", "BLAST"), "mmcif": (lambda t: b"data_1ABC\n#\n", "mmCIF"), "sam": (lambda t: b"@HD\tVN:1.6\n", "SAM"),
          "vcf": (lambda t: b"##fileformat=VCFv4.2\n", "VCF"), "xz": (lambda t: b"\xfd7zXZ\0", "xz-compressed"), "rar": (lambda t: b"Rar!\x1a\x07", "archive")}


@every_reader
@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_or_strange_file(name, broken, beside, toy):
    "The sentence names the file and what it is; nothing of it is used."
    make, part = BROKEN[broken]
    (beside / "strange.file").write_bytes(make(READERS[name][1]))
    said = error_of(lambda: READERS[name][0](beside / "strange.file", beside, toy))
    assert "strange.file" in said and part in said


@every_reader
def test_no_file(name, beside, toy):
    "A folder, and a file that is not there."
    (beside / "folder").mkdir()
    assert "folder" in error_of(lambda: READERS[name][0](beside / "folder", beside, toy))
    assert "absent.tsv" in error_of(lambda: READERS[name][0](beside / "absent.tsv", beside, toy))


@every_reader
def test_a_bomb(name, beside, toy, monkeypatch):
    "What grows beyond the limit is refused with the name of the limit."
    monkeypatch.setattr(files, "LARGEST_FILE", 1_000_000)
    (beside / "bomb.gz").write_bytes(gzip.compress(b"M" * 5_000_000))
    assert "LARGEST_FILE" in error_of(lambda: READERS[name][0](beside / "bomb.gz", beside, toy))


GENES = {name: READERS[name] for name in READERS if name not in ("obo", "texts", "clusters", "site lists", "pipr", "annotations", "a3m")} | {  # the file of the sequences
    "a3m": (READERS["a3m"][0], f">q\n{GOOD}\n>h\n{GOOD}\n>i\n{OTHER}\n"),
    "site lists": (lambda p, b, o: read_site_lists(b / "sites.tsv", "ZN", p), f">P1\n{GOOD}\n>P2\n{OTHER}\n"),
    "annotations": (lambda p, b, o: read_annotations(p, o), f"id\tsequence\tterms\nP1\t{GOOD}\tGO:0000002\nP2\t{OTHER}\tGO:0000002\n")}


@pytest.mark.parametrize("name", GENES)
@pytest.mark.parametrize("kind", ["dna", "rna", "iupac", "aligned"])
def test_nucleotides(name, kind, beside, toy):
    "A file of genes is refused as a whole, also where single genes could be proteins."
    def gene(letters): return letters * 9
    a, b = dict(dna=("ATGGCACGTTAC", "GATTACAGCTTA"), rna=("AUGGCACGUUAC", "GAUUACAGCUUA"), iupac=("ATGRCACGTTAY", "GATTACAGCNTA"), aligned=("ATG-CACGTTAC", "GATTACA--TTA"))[kind]
    (beside / "genes.file").write_text(GENES[name][1].replace(GOOD, gene(a)).replace(OTHER, gene(b)).replace("K2", "2").replace("01" + "0" * 30, "01" + "0" * 106))
    (beside / "sites.tsv").write_text("P1\t2,3\n")
    said = error_of(lambda: GENES[name][0](beside / "genes.file", beside, toy))
    assert "genes.file" in said and "translate" in said and "none was read" in said


def test_genes_beside_proteins(beside):
    "Chains whose FASTA files lie beside them: a file of genes is refused, however many proteins the other file has."
    (beside / "ZN_train.txt").write_text("P1\t2,3\n")
    (beside / "more.fa").write_text("".join(f">g{k}\nATGGCACGTTAC{'GATTACAGCTTA' * 9}\n" for k in range(2)))
    assert "more.fa: 2 of 2 sequences are nucleotides" in error_of(lambda: read_chain_file(beside / "ZN_train.txt", "ZN"))


# ---------------------------------------------------------------- tables of proteins

def table(*lines, header="id,sequence,text"): return "\n".join([header, *lines]) + "\n"


COUNTED = {  # file -> (content, ids that are kept, (row, part of the reason) of what is set aside)
    "padded.csv": (table(f'"P1" , "{GOOD}"  ,"Cuts, then binds" ', f'"P2","{OTHER}" , "Binds"'), ["P1", "P2"], []),
    "unclosed.csv": (table(f'P1,{GOOD},"Cuts, DNA', f"P2,{OTHER},Binds", f"P3,{GOOD}A,Moves"), ["P2", "P3"], [(2, "a quote is opened and not closed")]),
    "words.csv": (table(f"P1,{GOOD},Cuts", "P2,UNKNOWN,Binds", "P3,missing,Binds", "P4,Not available,Binds", f"P5,{OTHER},Binds"), ["P1", "P5"], [(3, "missing-value"), (4, "missing-value"), (5, "missing-value")]),
    "some_swapped.csv": (table(f"P1,{GOOD},Cuts", f"P2,Binds two zinc ions,{OTHER}", f"P3,{OTHER},Binds"), ["P1", "P3"], [(3, "words instead")]),
    "residues_as_text.csv": (table(f"P1,{GOOD},Cuts", f"P2,{OTHER},{GOOD}"), ["P1"], [(3, "residues instead of a text")]),
    "two_sequences.csv": (table(f"P1,{GOOD},Cuts", f"P2,{OTHER},Binds", f"sp|P1|A_X,{OTHER},Cuts"), ["P2"], [(2, "one id with different"), (4, "one id with different")]),
    "dates.csv": (table(f"1-Mar,{GOOD},Cuts", f"2-Sep,{OTHER},Binds", f"MARCH1,{GOOD}A,Cuts", f"2.31E+13,{GOOD}C,Cuts"), ["MARCH1"], [(2, "spreadsheet"), (3, "spreadsheet"), (5, "spreadsheet")]),
    "zeros.csv": (table(f"00123,{GOOD},Cuts", f"123,{OTHER},Binds"), ["00123", "123"], []),
    "sep.csv": ("sep=;\n" + table(f"P1;{GOOD};Cuts, then binds", header="id;sequence;text"), ["P1"], []),
    "thousands.csv": (table(f'P1,{GOOD},Cuts,"1,234"', f"P2,{OTHER},Binds,1,234", header="id,sequence,text,mass"), ["P1"], [(3, "number of cells")]),
    "formulas.csv": (table(f"P1,{GOOD},#N/A", f"P2,#REF!,Binds", f"P3,{OTHER},Moves"), ["P3"], [(2, "empty text"), (3, "characters")]),
    "quotes1252.csv": (table(f"P1,{GOOD},Cuts \x93fast\x94 5\x92 ends").encode("latin-1"), ["P1"], []),
    "dna_among_proteins.csv": (table(f"P1,{GOOD * 9},Cuts", f"P2,{'ACGTTGCA' * 12},Gene"), ["P1"], [(3, "DNA or RNA")]),
    "long_cell.csv": (table(f'P1,{GOOD},"{"Cuts, and " * 20_000}binds"', f"P2,{OTHER},Binds"), ["P1", "P2"], []),
    "blanks.csv": (table(f"P1,{GOOD},Cuts{' ' * 20_000}(PubMed:1) {{ECO:1}}.", f"P2,{OTHER},{' ' * 20_000}Binds"), ["P1", "P2"], []),
    "uniprot.tsv": (table(f"P1\treviewed\tA_X\tKinase (EC 2.7.1.1)\tHomo sapiens\t32\t{GOOD}\t2.7.1.1", header="Entry\tReviewed\tEntry Name\tProtein names\tOrganism\tLength\tSequence\tEC number"), ["P1"], []),
    "index_column.csv": (table(f"0,P1,{GOOD},Cuts", f"1,P2,{OTHER},Binds", header=",id,sequence,text"), ["P1", "P2"], []),
    "total.csv": (table(f"P1,{GOOD},Cuts", "Total: 1 proteins,,"), ["P1"], [(3, "empty sequence")]),
    "tabs.fasta": (f">P1\tHeat shock protein\n{GOOD}\n>P2\vBinds\n{OTHER}\n>P3\xa0Cuts\n{GOOD}A\n", ["P1", "P2", "P3"], []),
    "comments.fasta": (f"; made by hand\n# and again\n>P1 Cuts\n; in between\n{GOOD}\n", ["P1"], []),
    "lower_blocks.fasta": (">P1 Cuts\n        1 mkvlaghwty cdefnpqrsi\n>P2 Binds\nmkvlaghwty cdefnpqrsi\nmkvlaghwty cd\n", ["P2"], [(1, "characters")]),
    "gap.fasta": (f">P1 Cuts\n{GOOD}\n>P2 Binds\nMK--{OTHER}\n", ["P1"], [(3, "gap characters")]),
    "insertions.fasta": (f">P1 Cuts\n{GOOD}aaa\n>P2 Binds\n{OTHER}...\n", ["P1"], [(3, "gap characters")]),
}


@pytest.mark.parametrize("name", COUNTED)
def test_rows_of_proteins_are_kept_or_counted(name, tmp_path):
    "What is kept and what is set aside, with line and reason; the sum is what was read."
    content, ids, aside = COUNTED[name]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_proteins(tmp_path / name)
    assert found.protein_id.tolist() == ids
    assert [(r["row"], part) for r, (_, part) in zip(found.attrs["rejected"], aside) if part in r["reason"]] == aside and len(found.attrs["rejected"]) == len(aside), found.attrs["rejected"]
    assert f"{len(aside)} rows set aside" in summary(found) and all("~~~" not in t for t in found.text)


REFUSED = {
    "swapped.csv": (table(f"P1,Cuts the DNA,{GOOD}", f"P2,Binds two ions,{OTHER}"), ["swapped", "columns={'sequence': 'text', 'text': 'sequence'}", "line 2"]),
    "names.csv": (table("P1,Cuts the DNA,long", "P2,Binds two ions,short"), ["holds words", "line 2", "columns="]),
    "no_text.csv": (f"id,sequence\nP1,{GOOD}\n", ["no column for text", "id, sequence", "columns=", "texts=", "empty_text="]),
    "no_sequence.csv": ("Entry,What it does\nP1,Cuts\n", ["no column for sequence and text", "Entry, What it does", "columns="]),
    "bare.csv": (f"P1,{GOOD},Cuts\n", ["add a header line"]),
    "wide.csv": (",".join(["id", "sequence", "text", *(f"c{k}" for k in range(300_000))]) + "\n", ["300,003 columns", "MOST_COLUMNS"]),
    "empty.csv": ("", ["empty"]),
    "bed.tsv": ("chr1\t10\t20\tgene\nchr1\t30\t40\tgene\n", ["no column for"]),
    "before.fasta": ("", ["empty"]),
    "dictionary.yaml": ("proteins:\n  - id: P1\n", ["no column for"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_tables_that_are_refused(name, tmp_path):
    "The sentence names the file, what was found and what to type."
    content, parts = REFUSED[name]
    (tmp_path / name).write_text(content)
    said = error_of(lambda: read_proteins(tmp_path / name))
    assert all(part in said for part in [name, *parts]), said
    assert len(said) < 2000


HEADERS = {
    "P1 Kinase [multifunctional]": ("P1", "Kinase [multifunctional]", ""), "NP_1.1 kinase [Homo sapiens]": ("NP_1.1", "kinase", "Homo sapiens"),
    "gi|1|ref|NP_1.1| kinase [Mus musculus]\x01gi|2|gb|AA1.1| other [X y]": ("NP_1.1", "kinase", "Mus musculus"), "gnl|mine|P1 Cuts": ("P1", "Cuts", ""),
    "pdb|1ABC|A Chain A, kinase": ("1ABC_A", "Chain A, kinase", ""), "pir||A25693 crystallin": ("A25693", "crystallin", ""),
    "lcl|NC_1_prot_2 [gene=a] [protein=kinase] [location=1..9]": ("NC_1_prot_2", "kinase", ""), "O57 3.5.99.7~~~acdS~~~Deaminase~~~COG1": ("O57", "Deaminase", ""),
    "ENSP00000334393.3 pep chromosome:GRCh38:1 gene:ENSG1": ("ENSP00000334393.3", "pep chromosome:GRCh38:1 gene:ENSG1", ""),
    "tr|A0A1|A0A1_X Kinase OS=Homo sapiens OX=9606 GN=K PE=1 SV=2": ("A0A1", "Kinase", "Homo sapiens"), "NP_000537.3 TP53 [organism=Homo sapiens] [GeneID=7157]": ("NP_000537.3", "TP53", "Homo sapiens"),
}


@pytest.mark.parametrize("header", HEADERS)
def test_headers(header, tmp_path):
    (tmp_path / "one.fasta").write_text(f">{header}\n{GOOD}\n")
    found = read_proteins(tmp_path / "one.fasta").iloc[0]
    assert (found.protein_id, found.text, found.organism) == HEADERS[header]


def test_prokka_gives_the_number_of_the_enzyme(tmp_path):
    (tmp_path / "prokka.faa").write_text(f">O57 3.5.99.7~~~acdS~~~Deaminase~~~COG1\n{GOOD}\n>O58 ~~~~~~hypothetical protein~~~\n{OTHER}\n")
    assert read_proteins(tmp_path / "prokka.faa").labels.tolist() == ["EC:3.5.99.7", ""]


def test_the_better_column_is_taken_and_named(tmp_path):
    "Taxonomic families are no families of proteins."
    (tmp_path / "tox.csv").write_text(table(f"P1,Elapidae,Three-finger family,{GOOD},Blocks", f"P2,Viperidae,Lectin family,{OTHER},Binds", header="Entry,Family,Protein families,Sequence,Function [CC]"))
    found = read_proteins(tmp_path / "tox.csv")
    assert found.family.tolist() == ["Three-finger family", "Lectin family"] and "family from 'Protein families', not 'Family'" in summary(found)
    (tmp_path / "tax.csv").write_text(table(f"P1,Elapidae,{GOOD},Blocks", header="Entry,Family,Sequence,Text"))
    assert "family" not in read_proteins(tmp_path / "tax.csv")


def test_texts_of_a_dict(tmp_path):
    (tmp_path / "a.fasta").write_text(f">sp|P1|A_X\n{GOOD}\n>P2\n{OTHER}\n")
    assert read_proteins(tmp_path / "a.fasta", texts={"P1": "Cuts", "sp|P2|B_X": "Binds"}).text.tolist() == ["Cuts", "Binds"]


def test_a_longer_cell_is_read_when_the_limit_is_raised(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text(table(f"P1,{GOOD},{'Cuts ' * 50}"))
    monkeypatch.setattr(rows, "LONGEST_CELL", 100)
    with pytest.warns(UserWarning, match="no row of"): found = read_proteins(tmp_path / "a.csv")
    assert "LONGEST_CELL" in found.attrs["rejected"][0]["reason"]
    monkeypatch.setattr(rows, "LONGEST_CELL", 1000)
    assert len(read_proteins(tmp_path / "a.csv")) == 1


# ---------------------------------------------------------------- ids, pairs, clusters

@pytest.mark.parametrize("written, fasta", [("sp|P1|A_X", ">P1"), ("P1", ">sp|P1|A_X"), ("tr|P1|", ">gnl|mine|P1"), ("sp|P1|A_X", ">sp|P1|A_X"), ("pdb|1ABC|A", ">pdb|1ABC|A"), ("1ABC_A", ">pdb|1ABC|A"), ("pir||P1", ">P1"), ("gi|7|ref|NP_1.1|", ">NP_1.1")])
def test_ids_are_found_in_all_spellings(written, fasta, tmp_path):
    "In pairs and in site lists alike."
    (tmp_path / "p.tsv").write_text(f"{written}\tP2\t1\n"); (tmp_path / "s.tsv").write_text(f"{written}\t2,3\n")
    (tmp_path / "f.fasta").write_text(f"{fasta} some\n{GOOD}\n>P2\n{OTHER}\n")
    assert read_dscript(tmp_path / "p.tsv", tmp_path / "f.fasta").label.tolist() == [1]
    assert read_site_lists(tmp_path / "s.tsv", "ZN", tmp_path / "f.fasta").labels.str.count("1").tolist() == [2]


@pytest.mark.parametrize("name", ["proteins", "dictionary", "dscript", "isolates", "three lines", "site lists", "annotations", "residue lists", "biolip"])
def test_one_id_with_two_sequences(name, tmp_path, toy):
    "All rows of the id are set aside, in whatever order they come, and counted."
    third = GOOD[::-1]
    of = {"proteins": (lambda p: read_proteins(p), table(*(f"{i},{s},Cuts" for i, s in (("P1", GOOD), ("P2", OTHER), ("P1", third))))),
          "dictionary": (lambda p: read_pipr(tmp_path / "p.tsv", p), f"P1\t{GOOD}\nP2\t{OTHER}\nP1\t{third}\nP3\t{third}\n"),
          "dscript": (lambda p: read_dscript(tmp_path / "p.tsv", p), f">P1\n{GOOD}\n>P2\n{OTHER}\n>P1\n{third}\n>P3\n{third}\n"),
          "isolates": (lambda p: read_isolates(p), table(f"i1,HA,{GOOD}", f"i1,NA,{OTHER}", f"i1,HA,{third}", header="strain,segment,sequence")),
          "three lines": (lambda p: read_three_line(p, "ZN"), "".join(f">{i}\n{s}\n1{'0' * (len(s) - 1)}\n" for i, s in (("P1", GOOD), ("P2", OTHER), ("P1", third)))),
          "site lists": (lambda p: read_site_lists(tmp_path / "sites.tsv", "ZN", p), f">P1\n{GOOD}\n>P2\n{OTHER}\n>P1\n{third}\n"),
          "residue lists": (lambda p: read_residue_lists(p, "ZN"), table(f"P1,{GOOD},1", f"P2,{OTHER},1", f"P1,{third},1", header="id,sequence,positions")),
          "biolip": (lambda p: read_biolip(p), "\n".join([biolip(), biolip(third, "1"), biolip(OTHER, "1", "CA")])),
          "annotations": (lambda p: read_annotations(p, toy), table(*(f"{i},{s},GO:0000002" for i, s in (("P1", GOOD), ("P2", OTHER), ("P1", third))), header="id,sequence,terms"))}
    read, text = of[name]
    (tmp_path / "p.tsv").write_text("P1\tP2\t1\nP2\tP3\t0\n"); (tmp_path / "sites.tsv").write_text("P1\t1\nP2\t1\n"); (tmp_path / "odd.file").write_text(text)
    found = read(tmp_path / "odd.file")
    assert len(found) == 1
    aside = found.counts["rejected"] if name == "annotations" else found.attrs["rejected"]
    assert len(aside) >= (1 if name == "site lists" else 2) and any("different" in r["reason"] or "another" in r["reason"] for r in aside)


@pytest.mark.parametrize("text, part", [('A\tA\nA\t"B\nC\tC\n', "line 2: a quote is opened"), ("A\tA\nA,B\n", "line 2 has 1 columns"), ("A\tB\nC\tB\n", "more than one cluster")])
def test_cluster_tables_that_are_refused(text, part, tmp_path):
    (tmp_path / "c.tsv").write_text(text)
    said = error_of(lambda: read_clusters(tmp_path / "c.tsv"))
    assert "c.tsv" in said and part in said


# ---------------------------------------------------------------- annotations and ontologies

def gaf(protein, qualifier): return "\t".join(["UniProtKB", protein, "S", qualifier, "GO:0000002", "PMID:1", "IDA", "", "F", "", "", "protein", "taxon:1", "20240101", "X"])


@pytest.mark.parametrize("qualifier", ["NOT", "NOT|enables", "not|enables", "NOT |enables", " Not", "involved_in|NOT"])
def test_what_is_denied_is_no_annotation(qualifier, tmp_path, toy):
    "In GAF, in a table with a column for it, and inside a cell."
    (tmp_path / "a.gaf").write_text("!gaf-version: 2.2\n!made by hand\n" + gaf("P1", qualifier) + "\n" + gaf("P2", "enables") + "\n")
    (tmp_path / "a.tsv").write_text(f"id\tqualifier\tGO term\nP1\t{qualifier}\tGO:0000002\nP2\tenables\tGO:0000002\n")
    (tmp_path / "b.tsv").write_text("P1\tNOT GO:0000002\nP2\tGO:0000002\n")
    for name in ("a.gaf", "a.tsv", "b.tsv"):
        found = read_annotations(tmp_path / name, toy)
        assert found.proteins == ["P2"] and found.counts["negated"] == 1


def test_an_unclosed_quote_in_annotations_is_named(tmp_path, toy):
    (tmp_path / "a.csv").write_text('id,terms\nP1,"GO:0000002\nP2,GO:0000002\nP3,GO:0000002,\n"P4",GO:0000002\n')
    found = read_annotations(tmp_path / "a.csv", toy)
    assert {"P2", "P3", "P4"} <= set(found.proteins)
    (tmp_path / "b.csv").write_text('id,name,terms\nP1,"open,more,GO:0000002\nP2,a,GO:0000002\n')
    found = read_annotations(tmp_path / "b.csv", toy)
    assert found.proteins == ["P2"] and found.counts["rejected"][0]["row"] == 2 and "quote" in found.counts["rejected"][0]["reason"]


OBO_ODD = {
    "default namespace": ("format-version: 1.2\ndefault-namespace: mine\n[Term]\nid: GO:0000001\nname: a\n", lambda o: o.namespaces == ["mine"]),
    "blanks before !": ("[Term]\nid: GO:0000001   ! root\nname: a   ! said\nnamespace: f \n", lambda o: (o.ids, o.names, o.namespaces) == (["GO:0000001"], ["a"], ["f"])),
    "True": ("[Term]\nid: GO:0000001\nname: a\n[Term]\nid: GO:0000002\nname: b\nis_obsolete: True\n", lambda o: o.ids == ["GO:0000001"]),
    "alt_id with a comment": ("[Term]\nid: GO:0000001\nname: a\nalt_id: GO:0000009 ! old\n", lambda o: o.redirect == {"GO:0000009": "GO:0000001"}),
    "escapes": ("[Term]\nid: GO:0000001\nname: a\\, b \\{c\\} 5\\: wow\\!\n", lambda o: o.names == ["a, b {c} 5: wow!"]),
    "nested braces": ('[Term]\nid: GO:0000001 {a="{b}"}\nname: a {x="{y}"} ! c\n', lambda o: (o.ids, o.names) == (["GO:0000001"], ["a"])),
    "no blank lines": ("[Term]\nid: GO:0000001\nname: a\n[Term]\nid: GO:0000002\nname: b\nis_a: GO:0000001\n[Typedef]\nid: part_of\n", lambda o: len(o) == 2 and len(o.roots) == 1),
    "Latin-1": ("[Term]\nid: GO:0000001\nname: caf\xe9\n".encode("latin-1"), lambda o: o.names == ["café"]),
}


@pytest.mark.parametrize("name", OBO_ODD)
def test_odd_ontologies_are_read(name, tmp_path):
    content, right = OBO_ODD[name]
    (tmp_path / "a.obo").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert right(Ontology.from_obo(tmp_path / "a.obo"))


@pytest.mark.parametrize("text, part", [("[Term]\nid: GO:0000001\nname: a\nid: GO:0000002\n", "line 4: a second `id:`"), ("[Term]\nid: GO:0000001\nnonsense\n", "line 3 is not an OBO line"), ("format-version: 1.2\n", "no [Term]")])
def test_ontologies_that_are_refused(text, part, tmp_path):
    (tmp_path / "a.obo").write_text(text)
    said = error_of(lambda: read_stanzas(tmp_path / "a.obo"))
    assert "a.obo" in said and part in said


# ---------------------------------------------------------------- alignments and sites

A3M = {"gap in the query": (">q\nMK-VL\n>h\nMKAVL\n", "MKVL", ("MKAVL",), ("MKVL",), {}), "stop": (">q\nMKVL*\n>h\nMK*L\n>i\nMRVL\n", "MKVL", ("MRVL",), ("MRVL",), {"'*' in the sequence": 1}),
       "structure rows": (">ss_pred\nCCCC\n>ss_conf\n9999\n>q\nMKVL\n>h\nMRVL\n", "MKVL", ("MRVL",), ("MRVL",), {"annotation, no sequence": 2}), "a gap for X": (">q\nM-VL\n>h\nMRVL\n", "MXVL", ("MRVL",), ("MRVL",), {}),
       "insertions": (">q\nMKVL\n>h\nMaaK.VL\n", "MKVL", ("MAAKVL",), ("MKVL",), {}), "gaps only": (">q\nMKVL\n>h\n----\n", "MKVL", (), (), {"gaps only": 1})}


@pytest.mark.parametrize("name", A3M)
def test_odd_alignments(name, tmp_path):
    text, query, homologues, aligned, left_out = A3M[name]
    (tmp_path / "a.a3m").write_text(text)
    msa = read_a3m(tmp_path / "a.a3m", query)
    assert (msa.homologues, msa.aligned, msa.left_out) == (homologues, aligned, left_out) and all(len(row) == len(query) for row in msa.aligned)


def test_every_file_of_the_project_is_read():
    "The toy tables, which are clean, lose no row."
    assert read_proteins(project_path("data", "toy_proteins.csv")).attrs["counts"]["rejected"] == 0
