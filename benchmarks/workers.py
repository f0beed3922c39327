"""Two Dask workers against one process: the same parts, mined from the same file.

    python benchmarks/workers.py [--proteins 60000] [--rounds 3] [--workers 2]

Needs as many idle cores as workers. The proteins are those of benchmarks/mining_scale.py. Each round mines the file with one process and with a `LocalCluster` of workers of one thread each, started before the clock, in an order that turns;
the files of both must be equal byte by byte. The control are as many minings of the whole file as there are workers, at the same time, which share nothing: `machine_gives` is how much more work they do in a second than one alone. Writes benchmarks/results/workers.csv and workers.md: wall seconds, and the ratio with its t interval over rounds.
"""
import argparse, os, sys, tempfile, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd

from encoding import write
from mining_scale import make_file, simulate
from protrek_nb.metrics.intervals import seed_interval, with_interval
from protrek_nb.mining import TwinRules, mine_twins
from protrek_nb.twins.parts import mine_parts


def parts_of(folder): return {path.name: path.read_bytes() for path in folder.glob("part-*.parquet")}


def mine(table, folder, client=None):
    "Mine into a new folder; give the wall seconds of all, and the seconds of the parts alone."
    said, start = [], time.perf_counter()
    mine_parts(table, folder, rules=TwinRules(workers=1), memory_gib=0.06, client=client, say=lambda line: said.append(time.perf_counter()))
    end = time.perf_counter()
    return end - start, end - said[0]  # the first sentence is said when the parts are planned


def warm(k=0):
    "Compile before the clock starts; long enough that every process has its turn."
    mine_twins(simulate(200)[0], group_by="kmers")
    time.sleep(2)


def mine_apart(table, folder, pool, n):
    "Mine the whole file `n` times at the same time, each in a process of its own; give what the slowest took."
    found = [future.result() for future in [pool.submit(mine, table, folder/f"copy{k}") for k in range(n)]]
    return tuple(map(max, zip(*found)))


def main():
    from dask.distributed import Client, LocalCluster
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proteins", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        make_file(args.proteins, folder)
        warm()
        with ProcessPoolExecutor(args.workers, get_context("spawn")) as pool, LocalCluster(n_workers=args.workers, threads_per_worker=1, dashboard_address=None, local_directory=temp, silence_logs=50) as cluster, Client(cluster) as client:
            client.run(warm)
            list(pool.map(warm, range(args.workers)))
            for turn in range(args.rounds):
                took = {}
                names = ["one", "workers", "apart"]
                for name in names[turn % 3:] + names[:turn % 3]:
                    table, out = folder/"table.parquet", folder/f"{name}{turn}"
                    took[name] = mine_apart(table, out, pool, args.workers) if name == "apart" else mine(table, out, client if name == "workers" else None)
                assert parts_of(folder/f"one{turn}") == parts_of(folder/f"workers{turn}")
                rows.append(dict(round=turn + 1, proteins=args.proteins, parts=len(parts_of(folder/f"one{turn}")), workers=args.workers, one_process_s=took["one"][0], workers_s=took["workers"][0],
                                 ratio=took["one"][0] / took["workers"][0], ratio_of_parts=took["one"][1] / took["workers"][1],
                                 machine_gives=args.workers * took["one"][0] / took["apart"][0]))
                print(rows[-1], flush=True)
    table = pd.DataFrame(rows).round(2)
    said = {column: with_interval(*seed_interval(table[column].tolist()), "{:.2f}") for column in ("ratio", "ratio_of_parts", "machine_gives")}
    write("workers", f"{args.workers} Dask workers against one process", table,
          f"Equal tables, byte by byte. Ratio {said['ratio']}; of the parts alone, without reading, grouping and dealing out, which one process does, {said['ratio_of_parts']}; minings that share nothing, at the same time, {said['machine_gives']}. {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end.")


if __name__ == "__main__": main()
