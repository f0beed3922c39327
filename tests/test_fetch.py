"""A table comes whole or not at all: a server that cuts, lies, has nothing or is not there."""
import gzip
import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest

from protrek_nb import doctor
from protrek_nb.data import download
from protrek_nb.data.download import Table, fetch_table, read_record, table_state
from test_command import call, refused

CONTENT = b"".join(b"row %d\tMKV\n" % k for k in range(20_000))
SUM = hashlib.sha256(CONTENT).hexdigest()


class Server(BaseHTTPRequestHandler):
    "Give CONTENT, in the way that the path names."
    def do_GET(self):
        server, have = self.server, re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        have = int(have[1]) if have else 0
        server.asked.append(have)
        if self.path == "/missing": return self.send_error(404)
        if self.path == "/stuck" and len(server.asked) > 1 and server.version == "one": return self.send_error(503)
        if self.path == "/busy" and len(server.asked) < 3: return self.send_error(503)
        tag = f'"{server.version}"'
        if self.headers.get("If-Range", tag) != tag or self.path == "/whole": have = 0
        body = server.content[have:]
        if have >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            return self.end_headers()
        self.send_response(206 if have else 200)
        if have: self.send_header("Content-Range", f"bytes {have}-{len(server.content) - 1}/{len(server.content)}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", tag)
        self.end_headers()
        cut = self.path in ("/cut", "/whole", "/stuck") and len(server.asked) <= server.cuts
        self.wfile.write(body[:100_000] if cut else body)
        if cut: self.close_connection = True

    def log_message(self, *args): "Say nothing."


@pytest.fixture
def server(monkeypatch):
    "A server on this machine, and no waiting between requests."
    monkeypatch.setattr(download, "WAIT", 0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.content, server.version, server.asked, server.cuts = CONTENT, "one", [], 1
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def listed(server, monkeypatch):
    "A list of tables of that server; gives a function that adds one."
    monkeypatch.setattr(download, "TABLES", tables := {})
    monkeypatch.setattr(doctor, "TABLES", tables)
    def add(name, path, file="text/t.tsv.gz", sha256=""): tables[name] = Table(file, server.url + path, 0, "CC0", "rows", sha256)
    return add


def test_a_cut_connection_goes_on(server, listed, tmp_path):
    "The rest is asked for, the sum is right, the file is packed as its name says, and the record says where it came from."
    listed("rows", "/cut", sha256=SUM)
    path, said = fetch_table("rows", tmp_path, say=lambda line: None), []
    assert len(server.asked) == 2 and 0 < server.asked[1] <= 100_000 and gzip.open(path).read() == CONTENT
    record = read_record(tmp_path).iloc[0]
    assert (record["name"], record.sha256, record.bytes, record.licence, record.url) == ("rows", SUM, str(len(CONTENT)), "CC0", f"{server.url}/cut")
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["fetched.tsv", "t.tsv.gz"]
    fetch_table("rows", tmp_path, offline=True, say=said.append)
    assert len(server.asked) == 2 and said[0].startswith("rows: fetched 20"), "what is there is not fetched again"


def test_the_next_call_goes_on(server, listed, tmp_path, monkeypatch):
    "What a call has left is the beginning of the next one."
    monkeypatch.setattr(download, "TRIES", 1)
    server.cuts = 1
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "t.tsv.gz.raw.part").write_bytes(CONTENT[:50_000])
    listed("rows", "/", sha256=SUM)
    fetch_table("rows", tmp_path)
    assert server.asked == [50_000]
    (tmp_path / "text" / "t.tsv.gz").unlink()
    (tmp_path / "text" / "t.tsv.gz.raw.part").write_bytes(CONTENT)  # whole, but not yet named
    fetch_table("rows", tmp_path)
    assert server.asked == [50_000, len(CONTENT)]
    (tmp_path / "text" / "t.tsv.gz").unlink()
    (tmp_path / "text" / "t.tsv.gz.raw.part").write_bytes(CONTENT + b"more")
    fetch_table("rows", tmp_path)
    assert server.asked[2:] == [len(CONTENT) + 4, 0] and gzip.open(tmp_path / "text" / "t.tsv.gz").read() == CONTENT


def test_a_server_that_cannot_go_on(server, listed, tmp_path):
    "It sends all again, and nothing is joined that does not belong together."
    listed("rows", "/whole", sha256=SUM)
    assert gzip.open(fetch_table("rows", tmp_path)).read() == CONTENT and 0 < server.asked[1] <= 100_000


def test_two_versions_are_not_joined(server, listed, tmp_path, monkeypatch):
    "A table that changes with releases is gone on with only if it is the same release."
    monkeypatch.setattr(download, "TRIES", 2)
    with pytest.raises(OSError, match="the next call goes on"): download.download(f"{server.url}/stuck", tmp_path / "t.tsv.raw")
    left = (tmp_path / "t.tsv.raw.part").stat().st_size
    server.version, server.content = "two", CONTENT.replace(b"MKV", b"AAA")
    listed("rows", "/stuck", file="t.tsv")
    monkeypatch.setattr(Table, "fixed", False)
    assert fetch_table("rows", tmp_path).read_bytes() == server.content and server.asked[-1] == left > 0


def test_a_wrong_sum(server, listed, tmp_path):
    "Other bytes than the list says are refused, and not kept."
    listed("rows", "/", sha256="0" * 64)
    refused(call(f"fetch rows --folder {tmp_path}"), f"gave bytes with the sha256 {SUM}, and 0000")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [] and table_state("rows", tmp_path) == "missing"


def test_no_such_file(server, listed, tmp_path):
    "A 404 is final: one request, one sentence."
    listed("rows", "/missing")
    refused(call(f"fetch rows --folder {tmp_path}"), "/missing cannot be fetched: the server says 404")
    assert server.asked == [0]


def test_a_busy_server(server, listed, tmp_path):
    "A server that is busy is asked again."
    listed("rows", "/busy")
    assert gzip.open(fetch_table("rows", tmp_path)).read() == CONTENT and len(server.asked) == 3


def test_what_changed_here_is_fetched_again(server, listed, tmp_path):
    "A file that is not what was fetched is named and replaced; one that came by hand is left alone."
    listed("rows", "/", file="t.tsv")
    fetch_table("rows", tmp_path).write_text("something else")
    refused(call(f"fetch rows --folder {tmp_path} --offline"), "t.tsv is changed, and --offline fetches nothing: fetch rows")
    assert fetch_table("rows", tmp_path).read_bytes() == CONTENT and len(server.asked) == 2
    (tmp_path / "fetched.tsv").unlink()
    (tmp_path / "t.tsv").write_text("mine")
    done = call(f"fetch rows --folder {tmp_path}")
    assert done.exit_code == 0 and "rows: there, not fetched" in done.stderr and (tmp_path / "t.tsv").read_text() == "mine"
    assert len(server.asked) == 2


def test_the_list(tmp_path, monkeypatch):
    "`--list` prints a table of all that can be fetched, and uses no network."
    import requests
    monkeypatch.setattr(requests, "get", None)
    done = call(f"fetch --list --folder {tmp_path}")
    table = pd.read_csv(pd.io.common.StringIO(done.stdout), sep="\t", keep_default_na=False)
    assert done.exit_code == 0 and {"unirep", "toxins", "ZN_train", "go"} <= set(table["name"])
    assert (table.licence != "").all() and (table.address != "").all() and "changes with releases" in table.what[table["name"] == "go"].item()


def test_a_table_without_an_address_says_why(tmp_path):
    "It is listed, and asked for it is refused with the reason; a sum stands where one is known, and the list says where none is."
    for name, (file, licence, why) in download.UNLISTED.items(): refused(call(f"fetch {name} --folder {tmp_path}"), re.escape(why))
    listed = call(f"fetch --list --folder {tmp_path}").stdout
    assert all(name in listed for name in download.UNLISTED) and "not checked" in listed
    assert all(re.fullmatch("[0-9a-f]{64}", table.sha256) for table in download.TABLES.values() if table.sha256)
