"""What one GPU makes of the published shapes: encoding, a training step, UniRep, each against plain transformers and against the ceiling.

    python benchmarks/gpu.py [--out benchmarks/results] [--seconds 200] [--proteins 8192]
    python benchmarks/gpu.py --tiny --device cpu --out /tmp/tried    # the whole script in a few minutes, with numbers that mean nothing

Ways to do the same thing are timed in turn, A B C A B C, after a warm-up that is not counted (compiling is shown apart), and each row has
the median. *plain* is what a user of transformers writes: bf16 weights, fused attention, proteins sorted by length in batches of 64;
for a training step, three padded forwards under autocast, with as many triplets at a time as the memory holds. *padded* is this library
with `packed = False`, *packed* its batches without padding, *compiled* the same with each layer compiled (`torch.compile`, shapes left open).
Tokens count letters and the two ends, never padding.
Each way is compared with plain transformers in 32 bits: the lowest cosine of 64 proteins, the relative difference of all gradients.
Weights are random. Writes gpu.csv after each part; a part that fails says so and the next one goes on.
"""
import argparse, contextlib, os, statistics, sys, time, traceback, warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent))
import encoding as shapes
from encoding import both_models, shapes_35m, simulate, triplets

ROWS, START = [], time.perf_counter()


def say(*words): print(f"[{time.perf_counter() - START:6.1f} s]", *words, flush=True)


def synchronise():
    import torch
    if torch.cuda.is_available(): torch.cuda.synchronize()


def seconds(work):
    "Run `work` to its end on the device, and give its seconds."
    synchronise()
    start = time.perf_counter()
    work()
    synchronise()
    return time.perf_counter() - start


def take_turns(args, part, ways, units, more=lambda name: {}, repeats=None, first="plain"):
    "Time {name: work} in turn; a way that fails is left out. Adds a row for each, with `units` done in a second."
    import torch
    times, warm, peak, cuda = {}, {}, {}, torch.cuda.is_available()
    for name, work in ways.items():
        if cuda: torch.cuda.reset_peak_memory_stats()
        try: warm[name], times[name] = seconds(work), []
        except Exception: say(f"{part}: {name} failed"); traceback.print_exc(); free()
        peak[name] = torch.cuda.max_memory_allocated() / 2**30 if cuda else None
    for turn in range(repeats or args.repeats):
        for name in times:
            if turn and late(args): break
            times[name].append(seconds(ways[name]))
    middle = {name: statistics.median(found) for name, found in times.items()}
    base = middle.get(first)
    for name, value in middle.items():
        row = dict(part=part, way=name, seconds=value, low=min(times[name]), high=max(times[name]), repeats=len(times[name]),
                   first_call_s=warm[name], peak_gib=peak[name],
                   **{f"{unit}_per_s": count / value for unit, count in units.items()}, ratio=base / value if base else None)
        try: row |= more(name)
        except Exception: say(f"{part}: comparing {name} failed"); traceback.print_exc()
        ROWS.append(row)
    save(args)
    say(part); print(pd.DataFrame([r for r in ROWS if r["part"] == part]).dropna(axis=1, how="all").to_string(index=False), flush=True)


def save(args):
    args.out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(ROWS).to_csv(args.out/"gpu.csv", index=False, float_format="%.6g")


def late(args): return time.perf_counter() - START > args.seconds


def free():
    import gc, torch
    gc.collect()
    if torch.cuda.is_available(): torch.cuda.empty_cache()


@contextlib.contextmanager
def compiled_layers(*encoders):
    "Compile each layer of an ESM or BERT for a while, with shapes left open; what was compiled is kept for the next time."
    layers = [layer for encoder in encoders for layer in encoder.encoder.layer]
    for layer in layers:
        if "_kept" not in vars(layer): layer.compile(dynamic=True); vars(layer)["_kept"] = layer._compiled_call_impl
        layer._compiled_call_impl = vars(layer)["_kept"]
    try: yield
    finally:
        for layer in layers: layer._compiled_call_impl = None


def probe(args):
    "Try the kernel with heads 24 and 64 wide, forward and backward, against a loop; heads that it refuses are padded to 32."
    import torch
    from torch.nn import functional as F
    from protrek_nb.models import packed
    if args.device != "cuda": return
    lengths = [3, 200, 77, 1024, 1]
    starts = torch.tensor(np.cumsum([0, *lengths]), dtype=torch.int32, device="cuda")
    kernel = packed.attend_kernel

    def error(width):
        torch.manual_seed(0)
        given = [torch.randn(sum(lengths), 4, width, device="cuda", dtype=torch.bfloat16, requires_grad=True) for _ in range(3)]
        weight, found = torch.randn(sum(lengths), 4, width, device="cuda"), []
        for out in (packed.attend_kernel(*given, starts, max(lengths)), packed.attend_each(*(x.float() for x in given), starts)):
            found.append([out.detach().float(), *(g.float() for g in torch.autograd.grad((out.float() * weight).sum(), given))])
        return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(*found))

    def wider(q, k, v, starts, longest):
        "Heads with zeros behind them; the query makes up for the scale, which follows the width."
        width = q.shape[-1]
        q, k, v = (F.pad(x, (0, -width % 32)) for x in (q * (((width + -width % 32) / width) ** .5), k, v))
        return kernel(q, k, v, starts, longest)[..., :width]

    for width in (24, 64):
        try: found = error(width)
        except Exception: traceback.print_exc(); found = None
        say(f"kernel, heads {width} wide: error {found}")
        ROWS.append(dict(part="kernel", way=f"heads of {width}", apart=found))
        if width == 24 and (found is None or found > .03):
            packed.attend_kernel = wider
            say(f"heads are padded to 32: error {error(24)}")
    save(args)


def esm_only(config):
    "A model whose sequence tower has the given shapes, with random weights, and a small text tower."
    import torch
    from protrek_nb.model import ProTrek, ProTrekConfig
    from protrek_nb.models.tokens import AA_VOCAB, esm_tokenizer
    text = dict(model_type="bert", vocab_size=100, hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    torch.manual_seed(0)
    tokenizers = dict(sequence=esm_tokenizer(AA_VOCAB))
    try:
        with torch.device(ARGS.device): return ProTrek(ProTrekConfig(config, text, repr_dim=1024), tokenizers).eval()
    except Exception:
        traceback.print_exc()
        return ProTrek(ProTrekConfig(config, text, repr_dim=1024), tokenizers).eval().to(ARGS.device)


def plain_esm(model, dtype):
    "Plain transformers with the weights of the sequence tower: an encoder that never heard of this library, and its way to unit vectors."
    import copy, torch
    from transformers.models.esm.modeling_esm import EsmIntermediate, EsmSelfAttention
    THEIRS = dict(PackedEsmAttention=EsmSelfAttention, OnePassIntermediate=EsmIntermediate, OneDnnLinear=torch.nn.Linear)
    tower = model.sequence
    encoder = copy.deepcopy(tower.encoder)
    for part in encoder.modules():
        if type(part).__name__ in THEIRS: part.__class__ = THEIRS[type(part).__name__]
    frequencies = encoder.rotary_embeddings.inv_freq.float()
    encoder.to(dtype).rotary_embeddings.inv_freq = frequencies  # in 32 bits, as in this library
    return encoder, copy.deepcopy(tower.out).to(dtype)


def plain_batches(reader, sequences, device, size=64):
    "What a user of transformers writes: sorted by length, in batches of `size`. Ids by this library's table, as transformers' tokenizer takes longer than the GPU."
    import torch
    from protrek_nb.models.tokens import pad_rows
    rows = reader(sequences)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for first in range(0, len(order), size):
        batch = order[first:first + size]
        ids_BL, mask_BL = pad_rows([rows[i] for i in batch], reader.pad, device)
        yield batch, dict(input_ids=ids_BL, attention_mask=torch.ones_like(ids_BL) if mask_BL is None else mask_BL)


def plain_vectors(encoder, out, batches):
    "Encode batches, and give the vectors in the order of the proteins."
    import torch
    order, found = [], []
    with torch.no_grad():
        for batch, inputs in batches:
            order += batch
            found.append(torch.nn.functional.normalize(out(encoder(**inputs).last_hidden_state[:, 0]).float(), dim=-1))
        return torch.cat(found)[torch.tensor(order).argsort().to(encoder.device)]


def encoding(args, name, config, sequences, compiled=True, padded=True, repeats=None):
    "Encode proteins in four ways. The whole call is timed, from strings to vectors on the device; then the GPU alone, with its tokens there already."
    import torch
    from protrek_nb.models.packed import PACKED_POOLINGS, pack_rows, packed_states, plan_packs
    model = esm_only(config)
    reader, half, sample = model.tokens["sequence"], torch.bfloat16, sequences[:64]
    slow = seconds(lambda: reader.tokenizer(sample, return_tensors="pt", padding=True)) / len(sample)
    fast = seconds(lambda: reader(sequences)) / len(sequences)
    ROWS.append(dict(part=f"encoding {name}", way="tokens of one protein: transformers' tokenizer", seconds=slow))
    ROWS.append(dict(part=f"encoding {name}", way="tokens of one protein: this library's table", seconds=fast))
    wanted = plain_vectors(*plain_esm(model, torch.float32), plain_batches(reader, sample, args.device))
    free()
    encoder, out = plain_esm(model, half)
    model = model.to(half)
    tower = model.sequence
    packing = None if args.device == "cuda" else True  # the library's own choice; on a CPU a loop stands in for the kernel
    say(f"{name}: packs by itself: {tower.packs()}; attention of the plain encoder: {encoder.config._attn_implementation}")

    def ours(strings, packed):
        model.packed = packed
        return model.get_protein_repr(strings)

    def on_device(strings):
        with torch.no_grad():
            for pack in packs: tower.project(PACKED_POOLINGS["first"](packed_states(tower.encoder, pack), pack))

    def compiling(work):
        def run(strings):
            with compiled_layers(tower.encoder): return work(strings)
        return run

    ways = dict(plain=lambda s: plain_vectors(encoder, out, plain_batches(reader, s, args.device)))
    if padded: ways["padded"] = lambda s: ours(s, False)
    ways["packed"] = lambda s: ours(s, packing)
    if compiled: ways["compiled"] = compiling(ways["packed"])
    tokens = sum(map(len, sequences)) + 2 * len(sequences)

    def check(name):
        cosine = torch.nn.functional.cosine_similarity(ways[name](sample).float(), wanted, dim=-1)
        return dict(lowest_cosine=cosine.min().item(), mean_cosine=cosine.mean().item())

    bind = lambda ways: {name: partial(work, sequences) for name, work in ways.items()}
    take_turns(args, f"encoding {name}", bind(ways), dict(tokens=tokens, proteins=len(sequences)), check, repeats)
    if late(args): return
    rows, batches = reader(sequences), list(plain_batches(reader, sequences, args.device))
    packs = [pack_rows([rows[i] for i in part], args.device) for part in plan_packs([len(r) for r in rows], 65_536)]
    ways_there = dict(plain=lambda s: plain_vectors(encoder, out, batches), packed=on_device)
    if compiled and "compiled" in ways: ways_there["compiled"] = compiling(on_device)
    take_turns(args, f"encoding {name}, tokens on the device", bind(ways_there), dict(tokens=tokens, proteins=len(sequences)), repeats=3)


def training(args, count, models, compiled=True, repeats=None):
    "One training step, forward and backward, of triplets without repetition: no optimiser, which all would share."
    import torch
    from protrek_nb.losses import triplet_margin
    from protrek_nb.models.published import published_name
    from protrek_nb.models.tokens import pad_rows
    parts, model = models
    batch = triplets(count, "no repeats", seed=1)
    tokens = sum(len(s) + 2 for part in batch[:2] for s in part) + sum(len(i) for i in model.tokens["text"](batch[2]))
    encoders, packing = [model.sequence.encoder, model.text.encoder], None if args.device == "cuda" else True
    with torch.autocast(args.device, torch.bfloat16): say(f"packs by itself: {model.sequence.packs()}, {model.text.packs()}")

    def plain_tower(kind, strings):
        part = getattr(parts, dict(sequence="1", text="2")[kind])
        encoder = part.model if kind == "text" else part.model.esm
        ids_BL, mask_BL = pad_rows(model.tokens[kind](strings), model.tokens[kind].pad, args.device)
        state_BLD = encoder(input_ids=ids_BL, attention_mask=torch.ones_like(ids_BL) if mask_BL is None else mask_BL).last_hidden_state
        return torch.nn.functional.normalize(part.out(state_BLD[:, 0]).float(), dim=-1)

    def three(seqs, negatives, texts): return [plain_tower(kind, s) for kind, s in (("sequence", seqs), ("sequence", negatives), ("text", texts))]

    def ours(seqs, negatives, texts):
        out = model(sequences=seqs + negatives, texts=texts)
        return out["sequence"][:len(seqs)], out["sequence"][len(seqs):], out["text"]

    def step(encode, module, half=True, strings=batch, packed=False, micro=count):
        model.packed = packed
        module.zero_grad(set_to_none=True)
        for first in range(0, len(strings[0]), micro):
            part = [s[first:first + micro] for s in strings]
            with torch.autocast(args.device, torch.bfloat16, enabled=half): a, b, t = encode(*part)
            (triplet_margin((a * t).sum(-1), (b * t).sum(-1)) * len(part[0]) / len(strings[0])).backward()

    def sized(name, work):
        "The step with as many triplets at a time as the memory holds: all, half of them, and so on."
        def run():
            while True:
                try: return work(micro=micro.setdefault(name, count))
                except torch.OutOfMemoryError:
                    if micro[name] == 1: raise
                    micro[name] = (micro[name] + 1) // 2
                free()
        return run

    def compiling(**more):
        with compiled_layers(*encoders): step(ours, model, packed=packing, **more)

    ways = dict(plain=lambda **more: step(three, parts, **more), padded=lambda **more: step(ours, model, **more),
                packed=lambda **more: step(ours, model, packed=packing, **more))
    if compiled: ways["compiled"] = compiling
    few, micro = [strings[:8] for strings in batch], {}
    step(three, parts, half=False, strings=few)
    wanted = {n: p.grad.clone() for n, p in parts.named_parameters() if p.grad is not None}
    whole = sum(g.square().sum() for g in wanted.values()).sqrt()

    def check(name):
        ways[name](strings=few)
        given = parts.named_parameters() if name == "plain" else ((published_name(n), p) for n, p in model.named_parameters())
        found = {n: p.grad.float() for n, p in given if p.grad is not None}
        apart = sum((found[n] - g).square().sum() for n, g in wanted.items() if n in found).sqrt()
        return dict(gradient_difference=(apart / whole).item(), gradients_found=len(set(found) & set(wanted)), gradients=len(wanted),
                    triplets_at_a_time=micro.get(name))

    bound = {name: sized(name, work) for name, work in ways.items()}
    take_turns(args, f"training step, {count} triplets", bound, dict(tokens=tokens, triplets=count), check, repeats)


def both_on(args, texts):
    "The models of `benchmarks/encoding.py`, moved to the device, with fused attention in the plain parts."
    parts, model, _ = both_models(texts)
    for number in "12": getattr(parts, number).model.set_attn_implementation("sdpa")
    for module in (parts, model):
        module.to(args.device).train()
        for part in module.modules():  # dropout off, so that gradients can be compared
            if type(part).__name__ == "Dropout": part.p = 0.0
    return parts, model


def unirep(args, sequences):
    "UniRep's mean, last state and memory of each protein, and the ceiling: its matrix products alone, of the same shapes."
    import torch
    from protrek_nb.models.encoders import UniRepEncoder
    from protrek_nb.models.residues import windows
    from protrek_nb.models.tokens import plan_batches
    from protrek_nb.models.unirep import UniRep, UniRepConfig
    size = 64 if args.tiny else 1900
    wide, ways, done = None, {}, {}
    for name, half in (("32 bits", False), ("bf16", True)):
        torch.manual_seed(0)
        encoder = UniRepEncoder(f"unirep-{size}", UniRep(UniRepConfig(hidden_size=size, half=half)).eval()).to(args.device)
        if half: encoder.model.load_state_dict(wide.model.state_dict())
        wide = wide or encoder
        dtype = torch.bfloat16 if half else torch.float32
        lengths = [b - a + 2 if b else len(s) + 2 for s in sequences for a, b in windows(len(s), encoder.window, encoder.overlap)]
        shapes = [(len(part), max(lengths[i] for i in part)) for part in plan_batches(lengths, *encoder.limits)]

        def products(shapes=shapes, encoder=encoder, dtype=dtype):
            layer = encoder.model.layers[0]
            with torch.no_grad():
                for rows, steps in shapes:
                    x = torch.randn(rows, size, device=args.device).to(dtype)
                    for _ in range(steps): layer.wh(x); layer.wmh(x)

        ways[f"library, {name}"] = lambda s=sequences, encoder=encoder: encoder.summary(s)
        ways[f"products alone, {name}"] = products
        done[f"library, {name}"] = (encoder, shapes)
    wanted = ways["library, 32 bits"](sequences[:64])

    def check(name):
        if name not in done: return {}
        found = ways[name](sequences[:64])
        cosine = (found * wanted).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
        return dict(lowest_cosine=float(cosine.min()), batches=len(done[name][1]), steps=sum(steps for _, steps in done[name][1]))

    part = f"UniRep-{size}"
    take_turns(args, part, ways, dict(tokens=sum(map(len, sequences)) + 2 * len(sequences), proteins=len(sequences)), check, first="library, 32 bits")
    found = {r["way"]: r for r in ROWS if r["part"] == part}
    for name in ("32 bits", "bf16"):
        if {f"library, {name}", f"products alone, {name}"} <= found.keys():
            found[f"library, {name}"]["share_of_products"] = found[f"products alone, {name}"]["seconds"] / found[f"library, {name}"]["seconds"]
    save(args)


def shapes_650m(): return dict(shapes_35m(100)["sequence"], hidden_size=1280, num_hidden_layers=33, intermediate_size=5120)


def shrunk(config): return dict(config, hidden_size=96, num_hidden_layers=2, num_attention_heads=4, intermediate_size=192)


def main():
    global ARGS
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent/"results", help="folder of gpu.csv")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--seconds", type=float, default=200, help="no part begins after this many seconds")
    parser.add_argument("--proteins", type=int, default=8192, help="for 35M; UniRep takes an eighth, 650M a sixteenth")
    parser.add_argument("--repeats", type=int, default=5, help="of each way")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="small shapes and few proteins, to try the script")
    args = ARGS = parser.parse_args()
    warnings.filterwarnings("ignore")
    import torch, torch._dynamo, transformers
    if args.tiny: args.proteins, args.repeats = min(args.proteins, 64), min(args.repeats, 2)
    torch._dynamo.config.recompile_limit = 64
    torch.set_float32_matmul_precision("highest")
    card = torch.cuda.get_device_name(0) if args.device == "cuda" else "cpu"
    say(f"{card}, torch {torch.__version__}, transformers {transformers.__version__}, {os.cpu_count()} cores, {torch.get_num_threads()} threads")
    ROWS.append(dict(part="machine", way=f"{card}; torch {torch.__version__}; transformers {transformers.__version__}"))
    proteins = simulate(args.proteins, np.random.default_rng(5))
    lengths = proteins.sequence.str.len()
    say(f"{len(proteins)} proteins, mean {lengths.mean():.0f} residues, median {lengths.median():.0f}, longest {lengths.max()}")
    if args.tiny: proteins["sequence"] = proteins.sequence.str[:120]
    sequences, compiled, models = proteins.sequence.tolist(), not args.no_compile, []
    few = sequences[:max(64, args.proteins // 8)]

    if args.tiny:
        shapes.shapes_35m = lambda words: {kind: shrunk(config) for kind, config in shapes_35m(words).items()}

    def towers():
        if not models: models.append(both_on(args, proteins.text[:300].tolist()))
        return models[0]

    small, large = shapes_35m(100)["sequence"], shapes_650m()
    if args.tiny: small, large = shrunk(small), shrunk(large)
    parts = dict(
        kernel=lambda: probe(args),
        encoding=lambda: encoding(args, "35M", small, sequences, compiled),
        step_24=lambda: training(args, 2 if args.tiny else 24, towers(), compiled),
        step_256=lambda: training(args, 4 if args.tiny else 256, towers(), compiled),
        unirep=lambda: unirep(args, few),
        encoding_650=lambda: encoding(args, "650M", large, few[:max(64, args.proteins // 16)], compiled, padded=False, repeats=min(3, args.repeats)))
    for name, part in parts.items():
        if name == "unirep": models.clear()
        free()
        if late(args): say(f"{name} is left out: more than {args.seconds} s have passed"); continue
        try: part()
        except Exception: say(f"{name} failed"); traceback.print_exc()
        save(args)
    say(f"done: {args.out/'gpu.csv'}")


if __name__ == "__main__": main()
