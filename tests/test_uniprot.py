"""A query of UniProt becomes a table: a server on this machine answers as UniProt does, with all that can go wrong on the way."""
import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import pandas as pd
import pytest
from typer.testing import CliRunner

from conftest import ROOT
from protrek_nb.core import read_json, read_table, sha256_file
from protrek_nb.data import uniprot
from protrek_nb.data.tables import read_proteins
from protrek_nb.data.uniprot import fetch_uniprot
from protrek_nb.twinbench.__main__ import app as twinbench
from protrek_nb.twinbench.tracks import own_track
from test_command import call, refused
from test_papermill import begin, end, name  # noqa: F401  the fixture

HEADS = dict(accession="Entry", sequence="Sequence", protein_name="Protein names", gene_names="Gene Names", organism_name="Organism",
             cc_function="Function [CC]", ec="EC number", ft_binding="Binding site", protein_families="Protein families",
             protein_existence="Protein existence", annotation_score="Annotation")


class UniProt(BaseHTTPRequestHandler):
    "Answer `/search` from the rows of the server; `trouble` maps the number of a request to what goes wrong with it."
    def do_GET(self):
        server, asked = self.server, {k: v[0] for k, v in parse_qs(urlparse(self.path).query).items()}
        server.asked.append(asked)
        trouble, start, size = server.trouble.get(len(server.asked)), int(asked.get("cursor", 0)), int(asked["size"])
        wrong = [f"Invalid fields parameter value '{f}'" for f in asked["fields"].split(",") if f not in HEADS]
        if "((" in asked["query"]: wrong.append("query parameter has an invalid syntax")
        if trouble == "forgotten": wrong.append("cursor parameter is invalid")
        if wrong: return self.answer(400, json.dumps(dict(url=server.url + self.path, messages=wrong)).encode(), {"Content-Type": "application/json"})
        if trouble in (429, 503): return self.answer(trouble, b"", {"Retry-After": server.wait} if trouble == 429 else {})
        rows, fields = server.rows if asked["query"] != "gene:none" else [], asked["fields"].split(",")
        lines = ["\t".join(HEADS[f] for f in fields)] + ["\t".join(row.get(f, "") for f in fields) for row in rows[start:start + size]]
        if trouble == "short": lines = lines[:-1]
        if trouble == "cut line": lines[-1] = lines[-1][:9]
        body = gzip.compress(("\n".join(lines) + "\n").encode())
        if trouble == "cut bytes": body = body[:-20]
        headers = {"X-Total-Results": str(len(rows) + server.lie), "X-UniProt-Release": server.release, "X-UniProt-Release-Date": "02-September-2026"}
        if start + size < len(rows): headers["Link"] = f'<{server.url}{self.path.split("&cursor")[0]}&cursor={start + size}>; rel="next"'
        if server.packed: headers["Content-Encoding"] = "gzip"
        if trouble == "cut connection": headers["Content-Length"] = str(len(body) + 10)
        self.answer(200, body, headers)
        if trouble == "cut connection": self.close_connection = True

    def answer(self, status, body, headers):
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body))} | headers).items(): self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args): "Say nothing."


def entry(k, **more):
    "A protein as UniProt writes one."
    told = f"FUNCTION: Toxin number {k} (PubMed:{k}). {{ECO:0000269|PubMed:{k}, ECO:0000250|UniProtKB:P0}}."
    return dict(accession=f"P{k:05d}", sequence="MKV" + "ACDEF"[k % 5] * (k + 1), protein_name=f"Toxin {k} (EC 3.1.1.{k + 1}) (T{k})", cc_function=told,
                ec=f"3.1.1.{k + 1}; 3.1.1.-", ft_binding='BINDING 3; /ligand="Zn(2+)"; /ligand_id="ChEBI:CHEBI:29105"', protein_families="Toxin family",
                organism_name="Apis mellifera (Honeybee)", protein_existence="Evidence at protein level", annotation_score="4.0") | more


@pytest.fixture
def server(monkeypatch):
    "The server, with pages of three proteins, and no waiting between requests."
    monkeypatch.setattr(uniprot, "WAIT", 0)
    monkeypatch.setattr(uniprot, "SIZE", 3)
    with ThreadingHTTPServer(("127.0.0.1", 0), UniProt) as server:
        server.rows, server.asked, server.trouble, server.lie, server.packed = [entry(k) for k in range(7)], [], {}, 0, False
        server.release, server.wait, server.url = "2026_03", "0", f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(uniprot, "ADDRESS", f"{server.url}/uniprotkb/search")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("packed", [False, True])
def test_a_query_becomes_a_table(server, tmp_path, packed):
    "Three pages, packed by the file or by the connection; the record says all, and a second call asks nobody."
    server.packed = packed
    done = call(f"fetch --query toxins --out {tmp_path}/toxins.csv")
    assert done.exit_code == 0 and len(server.asked) == 3, done.output
    assert server.asked[0]["query"] == uniprot.QUERIES["toxins"][0] and server.asked[0]["format"] == "tsv"
    table, record = read_table(tmp_path / "toxins.csv"), read_json(tmp_path / "toxins.csv.json")
    assert table.protein_id.tolist() == [f"P{k:05d}" for k in range(7)] and table.text[3] == "Toxin number 3."
    assert table.loc[3, ["labels", "ligands", "evidence", "family", "release", "licence", "existence"]].tolist() == [
        "EC:3.1.1.4", "Zn(2+)", "ECO:0000269|PubMed:3; ECO:0000250|UniProtKB:P0", "Toxin family", "2026_03", "UniProt CC BY 4.0", "Evidence at protein level"]
    assert not table.text.str.contains("ECO|PubMed|FUNCTION").any()
    assert (record["rows"], record["release"], record["release_date"]) == (7, "2026_03", "02-September-2026")
    assert record["sha256"] == sha256_file(tmp_path / "toxins.csv") and record["fetched"].startswith("20")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["toxins.csv", "toxins.csv.json"]
    assert call(f"fetch --query toxins --out {tmp_path}/toxins.csv --offline").exit_code == 0 and len(server.asked) == 3
    refused(call(f"fetch --query receptors --out {tmp_path}/toxins.csv"), "is there, and is not what the query gave")
    assert len(read_proteins(tmp_path / "toxins.csv")) == 7


@pytest.mark.parametrize("trouble", [429, 503, "cut bytes", "cut line", "short", "cut connection"])
def test_what_may_go_better_is_asked_again(server, tmp_path, trouble):
    "Each once, on the second page: the table is the same as without."
    server.trouble = {2: trouble}
    said = []
    fetch_uniprot("toxins", tmp_path / "t.csv", say=said.append)
    assert len(server.asked) == 4 and server.asked[1] == server.asked[2] and "asked again" in said[0]
    assert read_table(tmp_path / "t.csv").protein_id.tolist() == [f"P{k:05d}" for k in range(7)]


def test_the_server_says_how_long_to_wait(server, tmp_path, monkeypatch):
    "`Retry-After` is obeyed, in seconds; what is none is not."
    slept = []
    monkeypatch.setattr(uniprot.time, "sleep", slept.append)
    for wait in ("7", "soon"):
        server.asked, server.trouble, server.wait = [], {1: 429}, wait
        fetch_uniprot("toxins", tmp_path / f"{wait}.csv", say=lambda line: None)
    assert slept == [7, 0]


def test_a_cut_call_goes_on(server, tmp_path):
    "Pages that came stay; the next call asks for the others only."
    server.trouble = {k: 503 for k in range(2, 2 + uniprot.TRIES)}
    refused(call(f"fetch --query toxins --out {tmp_path}/t.csv"), "503 .* What came stays, and the next call goes on")
    assert not (tmp_path / "t.csv").exists() and len(server.asked) == 1 + uniprot.TRIES
    server.asked.clear(); server.trouble = {}
    fetch_uniprot("toxins", tmp_path / "t.csv", say=lambda line: None)
    assert [a.get("cursor") for a in server.asked] == ["3", "6"] and len(read_table(tmp_path / "t.csv")) == 7


@pytest.mark.parametrize("change", ["release", "forgotten"])
def test_pages_of_two_releases_are_not_joined(server, tmp_path, change):
    "A new release, or a place that the server forgot: from the beginning, once."
    server.trouble = {k: 503 for k in range(2, 2 + uniprot.TRIES)}
    with pytest.raises(OSError): fetch_uniprot("toxins", tmp_path / "t.csv", say=lambda line: None)
    server.asked.clear()
    server.rows, said = [entry(k + 1) for k in range(7)], []
    if change == "release": server.release, server.trouble = "2026_04", {}
    else: server.trouble = {1: "forgotten"}
    fetch_uniprot("toxins", tmp_path / "t.csv", say=said.append)
    assert "from the beginning" in said[0] and [a.get("cursor") for a in server.asked] == ["3", None, "3", "6"]
    assert read_table(tmp_path / "t.csv").protein_id.tolist() == [f"P{k + 1:05d}" for k in range(7)]


def test_another_query_does_not_take_the_pages_of_the_last(server, tmp_path):
    "Pages know what they answer."
    server.trouble = {k: 503 for k in range(2, 2 + uniprot.TRIES)}
    with pytest.raises(OSError): fetch_uniprot("toxins", tmp_path / "t.csv", say=lambda line: None)
    server.asked.clear(); server.trouble = {}
    fetch_uniprot("gene:TEM", tmp_path / "t.csv", say=lambda line: None)
    assert [a["query"] for a in server.asked] == ["gene:TEM"] * 3


def test_refusals_are_said_in_the_words_of_the_server(server, tmp_path, monkeypatch):
    "A wrong query, a wrong field, no protein, a wrong number of them, no network: one sentence each, and no table."
    out = tmp_path / "t.csv"
    refused(call(f"fetch --query ((toxin --out {out}"), "UniProt says 400: query parameter has an invalid syntax")
    refused(call(f"fetch --query gene:none --out {out}"), "no protein answers the query 'gene:none'")
    refused(call("fetch --query toxins"), "a query needs a table to write")
    refused(call(f"fetch --query toxins --out {tmp_path}/t.txt"), "ends with one of .tsv")
    refused(call(f"fetch --query toxins --out {out} --offline"), "t.csv is missing, and --offline fetches nothing")
    server.lie = 2
    refused(call(f"fetch --query toxins --out {out}"), "7 proteins came, and the server promised 9: nothing was kept")
    monkeypatch.setattr(uniprot, "ASKED", (*uniprot.ASKED, "colour"))
    before = len(server.asked)
    refused(call(f"fetch --query toxins --out {out}"), "UniProt says 400: Invalid fields parameter value 'colour'")
    assert len(server.asked) == before + 1, "what will not go better is asked once"
    monkeypatch.setattr(uniprot, "ADDRESS", "http://127.0.0.1:9/search")
    refused(call(f"fetch --query toxins --out {out}"), "no answer .*: is there a network\\?")
    assert not out.exists()


def test_receptors_are_labelled_by_their_ligands(server, tmp_path):
    "The ready-made query says which column holds the labels."
    fetch_uniprot("receptors", tmp_path / "t.csv", say=lambda line: None)
    assert set(read_table(tmp_path / "t.csv").labels) == {"Zn(2+)"}


def test_the_whole_way(server, tmp_path, tiny_table, name, monkeypatch):  # noqa: F811
    "From a query to a track, to the row of a model, and to a trained run: no step in between."
    monkeypatch.setattr(uniprot, "SIZE", 25)
    number = {label: f"3.1.1.{k + 1}" for k, label in enumerate(tiny_table.labels.unique())}
    server.rows = [entry(k, sequence=p.sequence, cc_function=f"FUNCTION: {p.text} {{ECO:0000269|PubMed:{k}}}.", protein_families=p.family, ec=number[p.labels])
                   for k, p in enumerate(tiny_table.itertuples())]
    path = tmp_path / "enzymes.csv"
    assert call(f"fetch --query enzymes:3.1.1 --out {path}").exit_code == 0 and server.asked[0]["query"] == "ec:3.1.1.* AND reviewed:true"
    track = own_track(path, base="small", recipe="reference")
    assert len(track.pairs) and track.card()["clean"] and not track.data.table.text.str.contains("ECO").any()
    (tmp_path / "mine.py").write_text("def score(sequences, texts): return [[(len(s) * len(t)) % 7 for t in texts] for s in sequences]\n")
    done = CliRunner().invoke(twinbench, ["score", f"{tmp_path}/mine.py", "--tracks", str(path), "--out", f"{tmp_path}/rows.csv", "--no-check"])
    assert done.exit_code == 0, done.output
    assert {"mine", "sequence-blind"} <= set(pd.read_csv(tmp_path / "rows.csv").model)
    code, said = end(begin(tmp_path / "out.ipynb", "-p", "epochs", "1", "-p", "base", "small", "-p", "data", str(path), "-p", "name", name))
    assert code == 0, said[-3000:]
    assert (ROOT / "reports" / "runs" / name / "metrics.json").exists()
