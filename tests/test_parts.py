"""Mining in parts on a Dask cluster of two processes, one of which is killed in the middle."""
import os
import signal
import threading
import time

import pandas as pd
import pytest

from protrek_nb.data.sources import read_toy
from protrek_nb.mining import TwinRules, mine_twins
from protrek_nb.twins import parts


def slowly(folder, k, **more):
    "Mine a part, late enough for a worker to be killed in the middle, and say by which process."
    time.sleep(0.5)
    done = parts._mine_part(folder, k, **more)
    (folder / f".by-{os.getpid()}-{k}").touch()
    return done


def in_parts(folder, client):
    "Mine the toy world in parts."
    return parts.mine_parts(read_toy("proteins"), folder, rules=TwinRules(workers=1), memory_gib=1 / 256, client=client, say=lambda line: None)


def test_a_worker_that_dies_costs_no_twin(tmp_path, monkeypatch):
    "Two workers; one is killed while it mines. The other, or its successor, mines its part again; every part is, to the byte, as from one process."
    distributed = pytest.importorskip("dask.distributed", reason="dask is not installed: pip install 'protrek_nb[scale]'")
    in_parts(tmp_path / "alone", None)
    monkeypatch.setattr(parts, "_mine_part", slowly)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=tmp_path) as cluster, distributed.Client(cluster) as client:
        victims = client.run(os.getpid)
        killer = threading.Timer(1.2, os.kill, (list(victims.values())[0], signal.SIGKILL))
        killer.start()
        report = in_parts(tmp_path / "cluster", client)
        killer.join()
    by = {name.name.split("-")[1] for name in (tmp_path / "cluster").glob(".by-*")}
    there, alone = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir() if p.is_file() and p.name.startswith("part-")} for name in ("cluster", "alone"))
    assert there == alone and len([name for name in there if name.endswith(".parquet")]) > 4
    assert len(by) >= 2, "both workers, or one and the successor of the other, took part"
    pairs, whole = mine_twins(read_toy("proteins"), "kmers")
    assert report.kept == whole.kept and report.dropped == whole.dropped
    found = pd.concat(parts.read_parts(tmp_path / "cluster"))
    assert list(zip(found.anchor_id, found.hard_neg_id)) == list(zip(pairs.anchor_id, pairs.hard_neg_id))
