"""Two Dask workers against one process: the same parts, mined from the same file.

    python benchmarks/workers.py [--proteins 30000] [--rounds 3] [--workers 2]

Needs as many idle cores as workers. The proteins are those of benchmarks/mining_scale.py. Each round mines the file with one process and with a `LocalCluster` of workers of one thread each, started before the clock, in an order that turns;
the files of both must be equal byte by byte. Writes benchmarks/results/workers.csv and workers.md: wall seconds, and the ratio with its t interval over rounds.
"""
import argparse, os, sys, tempfile, time
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


def main():
    from dask.distributed import Client, LocalCluster
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proteins", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        make_file(args.proteins, folder)
        mine_twins(simulate(200)[0], group_by="kmers")  # compile before the clock starts
        with LocalCluster(n_workers=args.workers, threads_per_worker=1, dashboard_address=None, local_directory=temp, silence_logs=50) as cluster, Client(cluster) as client:
            client.run(lambda: mine_twins(simulate(200)[0], group_by="kmers") and None)
            for turn in range(args.rounds):
                took = {}
                for name, given in sorted(dict(one=None, workers=client).items(), reverse=turn % 2 == 1): took[name] = mine(folder/"table.parquet", folder/f"{name}{turn}", given)
                assert parts_of(folder/f"one{turn}") == parts_of(folder/f"workers{turn}")
                rows.append(dict(round=turn + 1, proteins=args.proteins, parts=len(parts_of(folder/f"one{turn}")), workers=args.workers, one_process_s=took["one"][0], workers_s=took["workers"][0],
                                 ratio=took["one"][0] / took["workers"][0], ratio_of_parts=took["one"][1] / took["workers"][1]))
                print(rows[-1], flush=True)
    table = pd.DataFrame(rows).round(2)
    said = {column: with_interval(*seed_interval(table[column].tolist()), "{:.2f}") for column in ("ratio", "ratio_of_parts")}
    write("workers", f"{args.workers} Dask workers against one process", table,
          f"Equal tables, byte by byte. Ratio {said['ratio']}; of the parts alone, without reading, grouping and dealing out, which one process does, {said['ratio_of_parts']}. {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end.")


if __name__ == "__main__": main()
