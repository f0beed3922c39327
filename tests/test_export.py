"""A model that was trained here is read by others, and gives them the same vectors, bit for bit where its files are the same."""
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from typer.testing import CliRunner

import helpers
from conftest import ROOT
from protrek_nb import binding
from protrek_nb.__main__ import app
from protrek_nb.core import RunDir, find_model, write_json, write_table
from protrek_nb.export import open_base, push_to_hub
from protrek_nb.model import ProTrek
from protrek_nb.models.adapt import Lora, put_adapters, use_adapter, write_adapter
from protrek_nb.models.encoders import small_encoder
from protrek_nb.saved import Saved, load, result_rows
from protrek_nb.tasks import open_model
from protrek_nb.toy.world import WorldRules, make_world
from protrek_nb.train import TrainRun, TwinPredictor

STRINGS = dict(sequence=["MKTAYIAKQRQISFVKSHFSRQ", "MKVLA"], text=["A toxin of ants.", "It binds zinc and holds it."])


def vectors(model): return {kind: model._get_repr(kind, strings) for kind, strings in STRINGS.items()}


def apart(model, other): return max((model[kind] - other[kind]).abs().max().item() for kind in STRINGS)


@pytest.fixture(scope="module")
def twins(tiny_run, tmp_path_factory):
    "A finished run on twins with readers, as a run has by default."
    return helpers.fit(replace(tiny_run, name="twins", base="data/toy_base", recipe="readers", batch_size=12, epochs=1), tmp_path_factory.mktemp("twins"))


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    "A finished run that trained adapters of the text tower, and projections."
    folder = tmp_path_factory.mktemp("adapted")
    write_table(folder / "proteins.tsv", make_world(WorldRules(families=18, general_families=1))["proteins"])
    return helpers.fit(TrainRun(name="adapted", data=str(folder / "proteins.tsv"), base="data/toy_base", recipe="text_adapters", batch_size=24, epochs=2), folder)


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    "What a run on metal sites leaves: a network with an adapter for each ion, in the folder of a fold; nothing was trained."
    folder, run = RunDir(tmp_path_factory.mktemp("sites") / "run"), asdict(binding.BindingRun(name="sites"))
    model = binding.BindingModel(small_encoder(reach=0), ["ZN", "CA"], lora=Lora(2, 4.0, 0.0), shared=False)
    model.run = run
    with torch.no_grad():
        for name, weight in model.backbone.model.named_parameters():
            if "lora_" in name: weight.add_(0.1 * torch.randn(weight.shape, generator=torch.manual_seed(len(name))))
    saved = Saved("binding", run, dict(folds=["fold_1"]), thresholds=dict(ZN=0.5, CA=0.5))
    saved.write(folder.path / "model", more=lambda inside: model.save_pretrained(inside / "fold_1"))
    for path in (folder.params_path, folder.metrics_path): write_json(path, {})
    return folder


# ---------------------------------------------------------------- a hub on this machine

class Hub(BaseHTTPRequestHandler):
    "What huggingface_hub asks of a model hub: make a repository, upload (large files apart), commit, list, download."
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass

    def answer(self, content, status=200, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **{k.replace("_", "-"): v for k, v in headers.items()}}.items(): self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(body)

    def body(self): return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_POST(self):
        path, body = self.path.split("?")[0], self.body()
        given = None if "/commit/" in path else json.loads(body)
        if path == "/api/repos/create":
            self.server.asked = given
            name = f"{given['organization']}/{given['name']}"
            self.server.files.setdefault(name, {})
            return self.answer(dict(url=f"{self.server.address}/{name}"))
        if path == "/api/validate-yaml": return self.answer(dict(errors=[], warnings=[]))
        if "/preupload/" in path:
            return self.answer(dict(files=[dict(path=f["path"], uploadMode="lfs" if f["path"].endswith(".safetensors") else "regular", shouldIgnore=False) for f in given["files"]]))
        if path.endswith("/objects/batch"):
            return self.answer(dict(transfer="basic", objects=[dict(o, actions=dict(upload=dict(href=f"{self.server.address}/large/{o['oid']}"))) for o in given["objects"]]))
        name = re.fullmatch(r"/api/models/([\w/-]+)/commit/main", path)[1]
        for line in map(json.loads, body.splitlines()):
            value, there = line["value"], self.server.files[name]
            if line["key"] == "file": there[value["path"]] = base64.b64decode(value["content"])
            if line["key"] == "lfsFile": there[value["path"]] = self.server.large[value["oid"]]
            if line["key"] == "deletedFile": del there[value["path"]]
        self.answer(dict(success=True, commitOid="c" * 40, commitUrl=f"{self.server.address}/{name}/commit/{'c' * 40}"))

    def do_PUT(self):
        body, oid = self.body(), self.path.rpartition("/")[2]
        assert hashlib.sha256(body).hexdigest() == oid
        self.server.large[oid] = body
        self.answer(b"")

    def do_GET(self):
        path = self.path.split("?")[0]
        if found := re.fullmatch(r"/([\w-]+/[\w-]+)/resolve/\w+/(.+)", path):
            content = self.server.files.get(found[1], {}).get(found[2])
            if content is None: return self.answer(b"", 404, X_Error_Code="EntryNotFound")
            return self.answer(content, ETag=f'"{hashlib.sha256(content).hexdigest()}"', X_Repo_Commit="c" * 40)
        name = re.match(r"/api/models/([\w-]+/[\w-]+)", path)
        if not name or name[1] not in self.server.files: return self.answer(b"{}", 404, X_Error_Code="RepoNotFound")
        if "/tree/" in path: return self.answer([dict(type="file", path=p, size=len(x), oid=hashlib.sha1(x).hexdigest()) for p, x in self.server.files[name[1]].items()])
        self.answer(dict(id=name[1], sha="c" * 40, siblings=[dict(rfilename=p) for p in self.server.files[name[1]]], tags=[], downloads=0, likes=0, private=True))

    do_HEAD = do_GET


@pytest.fixture
def hub():
    "The hub, with `address`, `files` (repository -> path -> bytes) and what it was `asked` to make."
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.files, server.large, server.address = {}, {}, f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def with_hub(hub, home, *words):
    "Run Python in a fresh process that knows no network but the hub."
    env = {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"}
    dead = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    env |= dead | dict(NO_PROXY="127.0.0.1", no_proxy="127.0.0.1", HF_ENDPOINT=hub.address, HF_HOME=str(home), HF_TOKEN="hf_made_up", HF_HUB_DISABLE_XET="1",
                       HF_HUB_DISABLE_TELEMETRY="1", PYTHONPATH=str(ROOT), PROTREK_NB_CACHE=str(home / "cache"))
    done = subprocess.run([sys.executable, *words], env=env, cwd=home, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def lines_of(card):
    "The lines of the card that load the model with transformers, as they stand."
    return next(text for text in re.findall(r"```python\n(.*?)```", card, re.S) if "AutoModel" in text)


OPEN = """
import json, sys
from safetensors.torch import save_file
from protrek_nb.tasks import open_model
twins, sites = open_model("me/twins", "twins"), open_model("me/sites", "binding")
assert twins.saved.calibration and sites.models[0].lora and sites.thresholds == dict(ZN=0.5, CA=0.5)
strings = json.loads(sys.argv[1])
save_file({kind: model._get_repr(kind, some).contiguous() for kind, some in strings.items()}, sys.argv[2])
"""


def test_a_model_is_pushed_and_loaded_by_name(twins, sites, hub, tmp_path):
    """Pushed by the command, all files of `model/` are on the hub as they are here, and what was there before is gone; loaded by name, with the lines of the card, it gives the same bits.
    Systems of any kind are opened by name too: with calibration, thresholds, and the weights that lie in inner folders."""
    hub.files["me/twins"] = {"old.safetensors": b"old", ".gitattributes": b"of the hub"}
    done = with_hub(hub, tmp_path, "-m", "protrek_nb", "export", str(twins.path), "--to", "hub", "--out", "me/twins")
    assert f"{hub.address}/me/twins" in done.stderr and (hub.asked.get("private") or hub.asked.get("visibility") == "private")
    here = {p.relative_to(twins.path / "model").as_posix(): p.read_bytes() for p in (twins.path / "model").rglob("*") if p.is_file()}
    assert hub.files["me/twins"] == here | {".gitattributes": b"of the hub"}
    assert {"config.json", "model.safetensors", "README.md", "SHA256SUMS", "certificate.json", "saved.json"} <= set(here)
    lines = lines_of(here["README.md"].decode())
    assert len(lines.splitlines()) == 3
    hub.files["me/sites"] = {p.relative_to(sites.path / "model").as_posix(): p.read_bytes() for p in (sites.path / "model").rglob("*") if p.is_file()}
    with_hub(hub, tmp_path, "-c", lines.replace("this/folder", "me/twins") + OPEN, json.dumps(STRINGS), str(tmp_path / "v.safetensors"))
    wanted, found = vectors(load(twins.path).model), load_file(tmp_path / "v.safetensors")
    assert all(torch.equal(found[kind], wanted[kind]) for kind in STRINGS)


def test_a_downloaded_folder_loads(twins, tmp_path):
    "What a download leaves beside the files does not matter; a changed file does."
    folder = shutil.copytree(twins.path / "model", tmp_path / "there")
    (folder / ".gitattributes").write_text("of the hub")
    (folder / ".cache" / "huggingface").mkdir(parents=True)
    (folder / ".cache" / "huggingface" / "notes").write_text("x")
    assert apart(vectors(load(folder).model), vectors(load(twins.path).model)) == 0
    (folder / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="config.json: content has changed"): push_to_hub(folder, "me/bent")


def test_the_lines_of_the_card_run(twins, tmp_path, monkeypatch):
    "The three lines run exactly as they stand where the folder is, and the model is the one that was trained."
    shutil.copytree(twins.path / "model", tmp_path / "this" / "folder")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(lines_of((twins.path / "model" / "README.md").read_text()), names)
    assert type(names["model"]) is ProTrek and apart(vectors(names["model"]), vectors(load(twins.path).model)) == 0


def test_the_card_says_what_others_must_know(twins):
    "Data, split, certificate, measures beside the base, controls, costs, limits, licences; its head is that of a hub."
    from huggingface_hub import ModelCard
    card = ModelCard.load(twins.path / "model" / "README.md")
    assert card.data.library_name == "protrek_nb" and "twins" in card.data.tags and card.data.license == "other"
    for part in ("## Data", "train, ", "## Splits", "certificate.json", "| metric | tuned | base |", "text-blind, both directions: ", "## What fine-tuning cost", "## Limits", "`toy_base`: MIT"):
        assert part in card.text, part
    assert (twins.path / "model" / "certificate.json").read_bytes() == twins.certificate_path.read_bytes()


def test_the_card_of_a_run_on_alleles_names_its_rivals():
    "Each family and kind of twins is a row, each scorer a column, with intervals over alleles."
    records = [dict(family=family, twins="differ", model=model, metric="one_way", value=value, low=value - 0.1, high=value + 0.1, pairs=1200, alleles=30)
               for family in ("all", "SHV") for model, value in (("tuned", 0.9), ("logistic regression", 0.8))]
    rows = result_rows(dict(alleles=records, twins=[dict(model="tuned", metric="group", value=0.5)]), TwinPredictor)
    assert rows[0] == "| family | twins | metric | tuned | logistic regression | pairs | alleles |"
    assert "| SHV | differ | one_way | 0.900 [0.800, 1.000] | 0.800 [0.700, 0.900] | 1,200 | 30 |" in rows and len(rows) == 4


def test_others_may_read_every_file(twins, tmp_path):
    "Weights are not for their owner alone: in a run folder, its model and its checkpoints, and where a model or adapters are saved by hand."
    ProTrek.from_pretrained(ROOT / "data" / "toy_base").save_pretrained(tmp_path / "model", max_shard_size="300KB")
    write_adapter(put_adapters(torch.nn.Sequential(torch.nn.Linear(3, 3)), Lora(2, 4.0, 0.0), "0"), tmp_path / "adapter")
    files = [p for folder in (twins.path, tmp_path) for p in folder.rglob("*") if p.is_file()]
    assert len(files) > 30 and [p.name for p in files if p.stat().st_mode & 0o444 != 0o444] == []


def test_a_run_is_opened_by_its_name(twins, tmp_path, monkeypatch):
    "A run is found by its name in reports/runs of the working folder, without the path; a path comes first."
    monkeypatch.setattr("protrek_nb.core.find_root", lambda start=None: tmp_path)
    shutil.copytree(twins.path, tmp_path / "reports" / "runs" / "my_twins")
    assert find_model("my_twins") == tmp_path / "reports" / "runs" / "my_twins" and find_model(twins.path) == twins.path
    assert apart(vectors(open_model("my_twins").model), vectors(load(twins.path).model)) == 0


# ---------------------------------------------------------------- other libraries

def call(*words): return CliRunner().invoke(app, ["export", *map(str, words)], prog_name="protrek-nb")


def test_a_tower_becomes_a_sentence_transformer(adapted, twins, tmp_path):
    "Both towers of a run, loaded by sentence-transformers, give its vectors; a run with readers is refused in one sentence, and nothing is left."
    SentenceTransformer = pytest.importorskip("sentence_transformers").SentenceTransformer
    wanted = vectors(load(adapted.path).model)
    for kind, strings in STRINGS.items():
        done = call(adapted.path, "--out", tmp_path / kind, "--tower", kind)
        assert done.exit_code == 0 and str(tmp_path / kind) in done.stderr, done.output
        found = SentenceTransformer(str(tmp_path / kind), device="cpu").encode(strings, convert_to_tensor=True)
        assert (found - wanted[kind]).abs().max() < 1e-6
        assert [p.name for p in (tmp_path / kind).rglob("*") if p.is_file() and p.stat().st_mode & 0o444 != 0o444] == []
    done = call(twins.path, "--out", tmp_path / "no")
    assert done.exit_code == 2 and "readers put 256 numbers behind the 64 of the text tower" in done.stderr and not (tmp_path / "no").exists(), done.output
    assert call(adapted.path, "--out", tmp_path / "text").exit_code == 2  # it is there


def test_an_unknown_kind_and_a_missing_package_are_said(tmp_path, monkeypatch):
    "One sentence each."
    done = call(ROOT / "data" / "toy_base", "--to", "onnx", "--out", tmp_path / "x")
    assert done.exit_code == 2 and "--to onnx: sentence-transformer, peft or hub" in done.stderr
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    done = call(ROOT / "data" / "toy_base", "--out", tmp_path / "x")
    assert done.exit_code == 2 and "pip install 'protrek_nb[export]'" in done.stderr, done.output
    assert [*tmp_path.iterdir()] == []


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`")
def test_the_adapters_of_a_run_are_read_by_peft(adapted, tmp_path):
    "peft puts them on the base that they name, and the vectors are those of the run, whose model has them added in."
    done = call(adapted.path, "--to", "peft", "--out", tmp_path / "adapters")
    assert done.exit_code == 0, done.output
    assert {p.name for p in (tmp_path / "adapters").iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    about = json.loads((tmp_path / "adapters" / "adapter_config.json").read_text())
    assert about["base_model_name_or_path"] == "data/toy_base" and about["r"] == 16
    base, wanted = open_base(about["base_model_name_or_path"]), vectors(load(adapted.path).model)
    assert apart(vectors(base), wanted) > 1e-3
    assert apart(vectors(PeftModel.from_pretrained(base, tmp_path / "adapters").eval()), wanted) < 1e-6


def test_without_adapters_there_is_nothing_for_peft(twins, adapted, tmp_path):
    "A run that trained none, a folder that is no run, and adapters on another base are refused."
    done = call(twins.path, "--to", "peft", "--out", tmp_path / "x")
    assert done.exit_code == 2 and "trained no adapters" in done.stderr, done.output
    assert call(ROOT / "data" / "toy_base", "--to", "peft", "--out", tmp_path / "x").exit_code == 2
    copy = RunDir(shutil.copytree(adapted.path, tmp_path / "copy"))
    params = json.loads(copy.params_path.read_text())
    other = ProTrek.from_pretrained(ROOT / "data" / "toy_base")
    with torch.no_grad(): other.text.encoder.embeddings.word_embeddings.weight.add_(1)
    other.save_pretrained(tmp_path / "other")
    params["params"]["base"] = str(tmp_path / "other")
    copy.params_path.write_text(json.dumps(params))
    done = call(copy.path, "--to", "peft", "--out", tmp_path / "x")
    assert done.exit_code == 2 and "does not stand on" in done.stderr, done.output
    shutil.rmtree(copy.checkpoints_dir)
    done = call(copy.path, "--to", "peft", "--out", tmp_path / "x")
    assert done.exit_code == 2 and "holds no checkpoint" in done.stderr, done.output
    assert not (tmp_path / "x").exists()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`")
def test_adapters_of_metal_sites_are_read_by_peft(sites, tmp_path):
    "peft puts the adapter of each ion on the plain network, whose states become those of the run."
    assert call(sites.path, "--to", "peft", "--out", tmp_path / "out").exit_code == 0
    encoder = load(sites.path).models[0].backbone
    ids, seen = encoder.tokens(STRINGS["sequence"]).inputs, []
    for ion in ("ZN", "CA"):
        use_adapter(encoder.model, ion)
        plain = small_encoder(reach=0).model
        with torch.no_grad():
            wanted, before = (m.esm(**ids).last_hidden_state for m in (encoder.model, plain))
            found = PeftModel.from_pretrained(plain, tmp_path / "out" / "fold_1" / "adapters" / ion).eval().base_model.model.esm(**ids).last_hidden_state
        assert (found - wanted).abs().max() < 1e-5 < 1e-3 < (before - wanted).abs().max()
        seen.append(wanted)
    assert not torch.equal(*seen)
