"""Every kind of long job, made small: what it reads, what it does, and what it leaves behind.

A job is a class whose `do` works in a folder, also in one where it was killed before, and whose `left` says what is there, so that two folders can be compared bit by bit.
"""
import hashlib
import json
import shutil
from dataclasses import asdict, replace
from unittest import mock

import helpers
from protrek_nb import binding, go, mining, pairs, runs, train
from protrek_nb.binding.chains import toy_chains
from protrek_nb.core import RunDir, read_json, write_json, write_table
from protrek_nb.damage import verify_listed, verify_sums
from protrek_nb.models.encoders import Encoder
from protrek_nb.models.residues import read_windows
from protrek_nb.models.store import Store
from protrek_nb.pairs import protocol
from protrek_nb.toy.isolates import load_isolates
from protrek_nb.toy.terms import load_terms, toy_obo_path
from protrek_nb.toy.world import WorldRules, make_world
from protrek_nb.twins import parts


def sha(content): "Hash bytes."; return hashlib.sha256(content).hexdigest()[:16]


def files(folder, skip=()):
    "The hash of each file below a folder."
    return {p.relative_to(folder).as_posix(): sha(p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in skip}


class RunJob:
    "A run of one of the systems; resumed where it was killed. The vectors of its encoder are stored in the folder, too."
    def __init__(self, data): self.run = self.make(data)

    def do(self, folder):
        "Begin the run, or go on with it."
        there = folder / self.run.name
        if there.exists() and not (there / "params.json").exists(): shutil.rmtree(there) # it died before it said what it is: nothing is lost
        run = replace(self.run, resume=str(there)) if there.exists() else self.run
        with helpers.runs_in(folder), mock.patch.object(Encoder, "store_dir", property(lambda encoder: folder / "store")): runs.fit(run, say=helpers.quiet)

    def left(self, folder):
        "Tables, history, model and the newest checkpoint; the sums must fit. Of parameters, only `resume` may differ."
        run_dir = RunDir(folder / self.run.name)
        assert not (bad := verify_listed(run_dir.path, ["metrics.json", "params.json"]) + verify_listed(run_dir.path / "model")), bad
        top = {p.name: sha(p.read_bytes()) for p in run_dir.path.iterdir() if p.is_file() and not p.name.startswith(".") and p.name not in ("log.txt", "params.json", "SHA256SUMS")}
        params = read_json(run_dir.params_path)
        top["params.json"] = json.dumps(dict(params, params=dict(params["params"], resume="")))
        found = {f"model/{name}": value for name, value in files(run_dir.path / "model").items()} if (run_dir.path / "model").exists() else {}
        for fold in run_dir.path.glob("fold_*"): found |= {f"{fold.name}/{name}": value for name, value in files(fold).items()}
        kept = runs.checkpoints(run_dir.checkpoints_dir)
        assert not (bad := [problem for _, path in kept for problem in verify_sums(path)]), bad
        for step, path in kept[-1:]: found |= {f"checkpoint-{step}/{name}": value for name, value in files(path, ("training_args.bin", "SHA256SUMS")).items()}
        assert not list(run_dir.path.rglob(".tmp-*")), "nothing half-written stays"
        return top | found


class Twins(RunJob):
    "Twins, with checkpoints within the epochs; the best of them is kept."
    def make(self, data):
        write_table(data / "twins.tsv", make_world(WorldRules(families=12, general_families=1))["proteins"])
        return train.TrainRun(name="twins", data=str(data / "twins.tsv"), base="small", recipe="tiny_best", epochs=2, save_steps=3)


class Go(RunJob):
    "Terms from residues."
    def make(self, data):
        table = load_terms()
        table[table.family.isin(table.family.unique()[:40])].to_csv(data / "go.csv", index=False)
        return go.GoRun(name="go", data=str(data / "go.csv"), ontology=str(toy_obo_path()), encoder="letters", epochs=2, batch_size=16, save_steps=4, replicates=2)


class GoSummaries(Go):
    "Terms from summaries."
    def make(self, data): return replace(super().make(data), name="summaries", summary=True)


class Pairs(RunJob):
    "Pairs, with dropout and a plateau."
    def make(self, data):
        isolates = load_isolates()
        isolates[isolates.isolate_id.isin(isolates.isolate_id.unique()[:100])].to_csv(data / "isolates.csv", index=False)
        return pairs.PairRun(name="pairs", data=str(data / "isolates.csv"), head="mlp", dropout=0.3, batch_size=48, lr_schedule="plateau", patience=3, epochs=3, save_steps=2)


class Binding(RunJob):
    "Two folds of metal sites, after a short time with letters alone."
    def make(self, data):
        zinc = toy_chains().query("ion == 'ZN'")
        zinc = zinc[zinc.family.isin(zinc.family.unique()[:12])].groupby("family").head(3)
        (data / "ZN.txt").write_text("".join(f">{c.chain_id}\n{c.sequence}\n{c.labels}\n" for c in zinc.itertuples()))
        return binding.BindingRun(name="binding", data=str(data / "ZN.txt"), backbone="small", epochs=1, mlm_epochs=1, num_variants=1, folds=2, batch_size=8, save_steps=2)


class Frozen(Binding):
    "Two folds of metal sites from a frozen encoder, with its directions and its store."
    def make(self, data): return binding.BindingRun(name="frozen", data=super().make(data).data, backbone="letters", epochs=1, folds=2, batch_size=8)


class Study(RunJob):
    "A study that trains several heads, one after the other."
    def make(self, data): return protocol.ProtocolRun(name="study", data=Pairs.make(self, data).data, seeds=1, epochs=1, ratio=1.0)

    def do(self, folder):
        with mock.patch.object(protocol, "CHANGES", dict(list(protocol.CHANGES.items())[:2])): super().do(folder)


class Vectors:
    "A store of residues, in small shards."
    def __init__(self, data):
        table = load_terms().head(60)
        self.proteins = dict(zip(table.protein_id, table.sequence))

    def open(self, folder): return Store(folder / "store", "letters", window=64, overlap=16, shard_residues=1000)
    def do(self, folder): self.open(folder).build(self.proteins, lambda strings: [self.rows(s) for s in strings])

    @staticmethod
    def rows(string):
        "One-hot letters, with where they are: rows that depend on the window."
        import numpy as np
        return np.stack([np.eye(26)[ord(c) - 65] + at / 64 for at, c in enumerate(string)])

    def left(self, folder):
        store = self.open(folder)
        store.add(self.proteins)
        assert not (bad := [*store.verify(), *store.problems]), bad
        wanted = read_windows(lambda strings: [self.rows(s) for s in strings], list(self.proteins.values()), 64, 16)
        rows = dict(zip(self.proteins, store.get(self.proteins)))
        assert all((rows[name] == x.astype("<f2")).all() for name, x in zip(self.proteins, wanted)), "what is stored is what the encoder says"
        return {name: sha(x.tobytes()) for name, x in rows.items()}


class Mining:
    "Twins mined from a table, and their report."
    def __init__(self, data): self.table = make_world(WorldRules(families=60, general_families=1))["proteins"]

    def do(self, folder):
        found, report = mining.mine_twins(self.table)
        for name in ("pairs.csv.gz", "pairs.parquet"): write_table(folder / name, found)
        write_json(folder / "mining.json", asdict(report))

    def left(self, folder): return {name: value for name, value in files(folder).items() if not name.startswith(".tmp-")}


class MiningParts(Mining):
    "Twins mined in parts; each whole part is kept."
    def do(self, folder): parts.mine_parts(self.table, folder / "mined", rules=mining.TwinRules(workers=1), memory_gib=1 / 2048, say=helpers.quiet)

    def left(self, folder):
        assert not (bad := verify_sums(folder / "mined" / "work") + verify_listed(folder / "mined", ["part-00000.parquet"])), bad
        assert not list(folder.rglob(".tmp-*")), "nothing half-written stays"
        return files(folder, (".lock", "SHA256SUMS"))


helpers.RECIPES["tiny_best"] = replace(helpers.RECIPES["tiny"], keep="best")
JOBS = dict(twins=Twins, go=Go, summaries=GoSummaries, pairs=Pairs, binding=Binding, frozen=Frozen, study=Study, vectors=Vectors, mining=Mining, mining_parts=MiningParts)
