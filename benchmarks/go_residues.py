"""Read 64 random proteins from residue stores of eleven formats, and from one plain memory-mapped array.

    python benchmarks/go_residues.py [--proteins 600] [--width 640] [--rounds 40]

Every format holds the same float16 rows (lengths spread as in Swiss-Prot) and does the same work: copy the rows of 64 random proteins into one
padded batch, as a collator does. All formats read the same 64 proteins one after the other, in an order that changes with each round, and
`ratio` is the median over rounds of the plain array's time divided by theirs, `ratio_cpu` the same of processor time; `first_ms` is the first batch after opening, with nothing of the
files in memory; `growth` says what it takes to add proteins, which is what a killed build depends on. h5py and zarr are measured where they
are installed; the project does not need them. Writes benchmarks/results/go_residues.csv and go_residues.md; takes about two minutes and 4 GB of disk.
"""
import argparse, importlib.util, os, shutil, tempfile, time, warnings
from pathlib import Path

import numpy as np
import pandas as pd
from encoding import AMINO, write
from protrek_nb.models.store import Store

SHARD = 65_536  # residues in a shard, for the formats that have shards
FORMATS = {}


def a_format(name, growth, needs=None):
    "Register a class as a format."
    def keep(cls):
        cls.title, cls.growth = name, growth
        if needs is None or importlib.util.find_spec(needs): FORMATS[name] = cls
        else: print(f"{name}: {needs} is not installed; left out")
        return cls
    return keep


def shards_of(rows):
    "Cut {id: rows} into dicts of at most SHARD residues."
    parts, held = [], SHARD
    for name, value in rows.items():
        held += len(value)
        if held > SHARD: parts.append({}); held = len(value)
        parts[-1][name] = value
    return parts


class Sharded:
    "What formats of several files have in common: files `<k>.<suffix>`, and where each protein is."
    suffix = "bin"

    def write(self, folder, rows):
        self.place = {}
        for k, part in enumerate(shards_of(rows)):
            self.write_shard(folder/f"{k:05d}.{self.suffix}", part)
            self.place |= dict.fromkeys(part, k)

    def open(self, folder): self.files = [self.open_shard(p) for p in sorted(folder.iterdir())]
    def close(self): del self.files


@a_format("plain array, memory-mapped", "the file is written anew")
class Plain:
    def write(self, folder, rows):
        ends = np.cumsum([len(r) for r in rows.values()])
        self.span = {name: (end - len(r), end) for (name, r), end in zip(rows.items(), ends)}
        out = np.lib.format.open_memmap(folder/"rows.npy", "w+", np.float16, (int(ends[-1]), next(iter(rows.values())).shape[1]))
        for (a, b), r in zip(self.span.values(), rows.values()): out[a:b] = r
        out.flush()

    def open(self, folder): self.rows = np.load(folder/"rows.npy", mmap_mode="r")
    def read(self, ids): return [self.rows[a:b] for a, b in map(self.span.get, ids)]
    def close(self): del self.rows


@a_format("Store (safetensors, mapped here)", "one more shard")
class Ours:
    def write(self, folder, rows):
        letters = {name: "".join(AMINO[np.random.default_rng(k).integers(0, 20, len(r))]) for k, (name, r) in enumerate(rows.items())}
        rows_of = {letters[name]: r for name, r in rows.items()}
        Store(folder, "benchmark", window=10_000).build(letters, lambda strings: [rows_of[s] for s in strings])

    def open(self, folder): self.store = Store(folder, "benchmark", window=10_000)
    def read(self, ids): return self.store.get(ids)
    def close(self): del self.store


@a_format("safetensors, its own library, numpy", "one more shard")
class Library(Sharded):
    suffix = "safetensors"

    def write_shard(self, path, part):
        from safetensors.numpy import save_file
        save_file(part, path)

    def open_shard(self, path):
        from safetensors import safe_open
        return safe_open(path, "np")

    def read(self, ids): return [self.files[self.place[i]].get_tensor(i) for i in ids]


@a_format("safetensors, its own library, torch tensors", "one more shard")
class LibraryTorch(Library):
    def open_shard(self, path):
        from safetensors import safe_open
        return safe_open(path, "pt")

    def read(self, ids): return [r.numpy() for r in super().read(ids)]


@a_format("npy, one file for each protein", "one more file")
class Npy:
    def write(self, folder, rows):
        for name, r in rows.items(): np.save(folder/f"{name}.npy", r)

    def open(self, folder): self.folder = folder
    def read(self, ids): return [np.load(self.folder/f"{i}.npy", mmap_mode="r") for i in ids]
    def close(self): pass


@a_format("npz, not compressed", "one more shard")
class Npz(Sharded):
    suffix = "npz"
    def write_shard(self, path, part): np.savez(path, **part)
    def open_shard(self, path): return np.load(path)
    def read(self, ids): return [self.files[self.place[i]][i] for i in ids]


@a_format("torch.save of a dict, mapped", "one more shard")
class Torch(Sharded):
    suffix = "pt"

    def write_shard(self, path, part):
        import torch
        torch.save({i: torch.from_numpy(r) for i, r in part.items()}, path)

    def open_shard(self, path):
        import torch
        return torch.load(path, mmap=True, weights_only=True)

    def read(self, ids): return [self.files[self.place[i]][i].numpy() for i in ids]


@a_format("Arrow IPC, value by value", "one more shard", "pyarrow")
class Arrow(Sharded):
    suffix = "arrow"

    def write_shard(self, path, part):
        import pyarrow as pa
        table = pa.table(dict(id=list(part), rows=pa.array([r.tobytes() for r in part.values()], pa.large_binary())))
        with pa.OSFile(str(path), "wb") as f, pa.ipc.new_file(f, table.schema) as out: out.write_table(table)
        self.row = getattr(self, "row", {}) | {i: k for k, i in enumerate(part)}
        self.width = next(iter(part.values())).shape[1]

    def open_shard(self, path):
        import pyarrow as pa
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()["rows"]

    def read(self, ids): return [np.frombuffer(self.files[self.place[i]][self.row[i]].as_buffer(), np.float16).reshape(-1, self.width) for i in ids]


@a_format("Parquet, groups of 16 proteins", "one more shard", "pyarrow")
class Parquet(Arrow):
    suffix = "parquet"

    def write_shard(self, path, part):
        import pyarrow as pa
        import pyarrow.parquet as pq
        pq.write_table(pa.table(dict(rows=[r.tobytes() for r in part.values()])), path, row_group_size=16, compression="none", use_dictionary=False)
        self.row = getattr(self, "row", {}) | {i: k for k, i in enumerate(part)}
        self.width = next(iter(part.values())).shape[1]

    def open_shard(self, path):
        import pyarrow.parquet as pq
        return pq.ParquetFile(path, memory_map=True)

    def read(self, ids):
        cell = lambda i: self.files[self.place[i]].read_row_group(self.row[i] // 16)["rows"][self.row[i] % 16]
        return [np.frombuffer(cell(i).as_buffer(), np.float16).reshape(-1, self.width) for i in ids]


@a_format("HDF5, a dataset for each protein", "in place: a kill may spoil the file", "h5py")
class Hdf5:
    def write(self, folder, rows):
        import h5py
        with h5py.File(folder/"rows.h5", "w") as f:
            for name, r in rows.items(): f[name] = r

    def open(self, folder):
        import h5py
        self.file = h5py.File(folder/"rows.h5", "r")

    def read(self, ids): return [self.file[i][:] for i in ids]
    def close(self): self.file.close()


@a_format("Zarr, chunks of 512 rows, not compressed", "in place, chunk by chunk", "zarr")
class Zarr(Plain):
    def write(self, folder, rows):
        import zarr
        ends = np.cumsum([len(r) for r in rows.values()])
        self.span = {name: (int(end) - len(r), int(end)) for (name, r), end in zip(rows.items(), ends)}
        width = next(iter(rows.values())).shape[1]
        out = zarr.create_array(folder/"rows.zarr", shape=(int(ends[-1]), width), chunks=(512, width), dtype="float16", compressors=None)
        out[:] = np.concatenate(list(rows.values()))

    def open(self, folder):
        import zarr
        self.rows = zarr.open_array(folder/"rows.zarr", mode="r")


def simulate(proteins, width, seed=0):
    "Draw rows of lengths spread as in Swiss-Prot."
    rng = np.random.default_rng(seed)
    lengths = np.clip(np.exp(rng.normal(5.75, .55, proteins)), 30, 3000).astype(int)
    return {f"P{k:05d}": rng.standard_normal((n, width), np.float32).astype(np.float16) for k, n in enumerate(lengths)}


def batch(found, out_BLD):
    "Copy rows into a padded batch."
    for k, rows in enumerate(found): out_BLD[k, :len(rows)] = rows
    return out_BLD


def forget(folder):
    "Ask the system to drop a folder's files from memory."
    for path in folder.rglob("*"):
        if not path.is_file(): continue
        with open(path, "rb") as f: os.fsync(f.fileno()); os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(folder, rows, rounds, size=64):
    "Write, open and read every format; give the table."
    rng, found, out = np.random.default_rng(1), {}, {}
    buffer = np.zeros((size, max(map(len, rows.values())), next(iter(rows.values())).shape[1]), np.float16)
    plain_bytes = sum(r.nbytes for r in rows.values())
    for name, cls in FORMATS.items():
        place, one = folder/str(len(found)), cls()
        place.mkdir()
        start = time.perf_counter()
        one.write(place, rows)
        found[name], files = one, [p for p in place.rglob("*") if p.is_file()]
        out[name] = dict(write_s=round(time.perf_counter() - start, 1), files=len(files), bytes=round(sum(p.stat().st_size for p in files) / plain_bytes, 3), first=[])
    for _ in range(5):
        ids = list(rng.choice(list(rows), size, replace=False))
        for k in rng.permutation(len(found)):
            name, one = list(found.items())[k]
            forget(folder/str(k))
            start = time.perf_counter()
            one.open(folder/str(k)); batch(one.read(ids), buffer)
            out[name]["first"].append(time.perf_counter() - start)
            one.close()
    for k, one in enumerate(found.values()): one.open(folder/str(k)); batch(one.read(list(rows)[:size]), buffer)
    return out, rounds_of(found, rows, rounds, size, rng, buffer)


def rounds_of(found, rows, rounds, size, rng, buffer):
    "Read the same random proteins from all formats, round by round; seconds and processor seconds (2, rounds, formats)."
    seconds = np.zeros((2, rounds, len(found)))
    for r in range(rounds):
        ids = list(rng.choice(list(rows), size, replace=False))
        want = [rows[i] for i in ids[:3]]
        for k in rng.permutation(len(found)):
            one = list(found.values())[k]
            start, cpu = time.perf_counter(), time.process_time()
            batch(one.read(ids), buffer)
            seconds[:, r, k] = time.perf_counter() - start, time.process_time() - cpu
            assert all((a == buffer[j, :len(a)]).all() for j, a in enumerate(want))
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--proteins", type=int, default=600)
    parser.add_argument("--width", type=int, default=640, help="numbers for each residue (ESM-2 150M: 640)")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--dir", default=None, help="disk to measure; default: the temporary folder")
    args = parser.parse_args()
    import torch
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
    folder = Path(tempfile.mkdtemp(dir=args.dir))
    try: out, seconds = measure(folder, simulate(args.proteins, args.width), args.rounds)
    finally: shutil.rmtree(folder)
    ratios, ratios_cpu = seconds[:, :, :1] / seconds
    seconds = seconds[0]
    table = pd.DataFrame([dict(format=name, read_ms=round(1e3 * np.median(seconds[:, k]), 1), ratio=round(np.median(ratios[:, k]), 2),
                               quartiles="{:.2f}-{:.2f}".format(*np.quantile(ratios[:, k], (.25, .75))),
                               ratio_cpu=round(np.median(ratios_cpu[:, k]), 2), first_ms=round(1e3 * np.median(one["first"]), 1),
                               write_s=one["write_s"], bytes=one["bytes"], files=one["files"], growth=FORMATS[name].growth) for k, (name, one) in enumerate(out.items())])
    write("go_residues", "Reading 64 random proteins from a residue store", table,
          f"{args.proteins} proteins, {args.width} numbers of 16 bits for each residue, {args.rounds} rounds. `ratio` is the plain array's time divided by the format's, with quartiles, `ratio_cpu` that of processor time; "
          "`first_ms` is opening and reading with nothing in memory; `bytes` is the size as a multiple of the rows.")


if __name__ == "__main__": main()
