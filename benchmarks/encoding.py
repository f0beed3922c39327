"""Score triplets (protein, negative, text) with a model of the published 35M shapes, one row at a time and as this library does.

    python benchmarks/encoding.py [--rows 1137] [--sample 120] [--threads 1]

"one row at a time" is how the reference evaluates: plain transformers parts, plain tokenizers, eager attention, three encodings for each
triplet, no gradient. The library encodes each distinct string once, in batches of like length, with fused attention and oneDNN products.
Three inputs: a table whose easy negatives are drawn with replacement, as in the reference; the same triplets in both directions, as this
library evaluates twins; and rows without any repetition, the worst case. One row at a time costs the same for each row, so it is timed on a random sample, half before and half after the library; the library scores all
rows. `--rows 60` takes about two minutes on one core, 1137 about 40.
Weights are random, so scores mean nothing; that they are equal does. Writes benchmarks/results/encoding.csv and encoding.md.
"""
import argparse, os, platform, time, warnings
from pathlib import Path

import numpy as np
import pandas as pd

RESULTS = Path(__file__).resolve().parent/"results"
AMINO = np.array(list("ACDEFGHIKLMNPQRSTVWY"))


def simulate(n, rng):
    "Draw `n` proteins with texts: families of one to six, lengths and text lengths spread as in Swiss-Prot (mean near 360 residues)."
    words = ["".join(rng.choice(list("abdegiklmnoprstu"), rng.integers(3, 8))) for _ in range(4000)]
    rows, family = [], 0
    while len(rows) < n:
        founder = rng.choice(AMINO, int(np.clip(np.exp(rng.normal(5.75, .55)), 50, 1500)))
        for _ in range(rng.integers(1, 7)):
            member = np.where(rng.random(len(founder)) < .1, rng.choice(AMINO, len(founder)), founder)
            text = " ".join(rng.choice(words, int(np.clip(np.exp(rng.normal(3.3, .7)), 5, 180))))
            rows.append((family, "".join(member), text))
        family += 1
    return pd.DataFrame(rows[:n], columns=["family", "sequence", "text"])


def triplets(rows, kind, seed=0):
    "Make (sequence, negative, text) rows: 12 % twins of one family, the rest easy, as in the reference's test sets."
    rng = np.random.default_rng(seed)
    if kind == "no repeats":
        table = simulate(2 * rows, rng)
        return table.sequence[:rows].tolist(), table.sequence[rows:].tolist(), table.text[:rows].tolist()
    n = rows // 2 if kind == "both directions" else rows
    table = simulate(int(1.76 * n), rng)
    twins = [(i, j) for _, part in table.groupby("family") for i in part.index for j in part.index if i < j]
    hard = [twins[k] for k in rng.choice(len(twins), max(1, int(.12 * n)), replace=False)]
    easy = [(i, rng.integers(len(table))) for i in rng.choice(len(table), n - len(hard), replace=False)]
    pairs = [(int(i), int(j)) for i, j in hard + easy if i != j]
    if kind == "both directions": pairs += [(j, i) for i, j in pairs]
    return [table.sequence[i] for i, _ in pairs], [table.sequence[j] for _, j in pairs], [table.text[i] for i, _ in pairs]


def shapes_35m(vocab_size):
    "Configurations of the published 35M model: ESM-2 t12 and BERT base."
    esm = dict(model_type="esm", vocab_size=33, hidden_size=480, num_hidden_layers=12, num_attention_heads=20, intermediate_size=1920,
               pad_token_id=1, mask_token_id=32, token_dropout=True, position_embedding_type="rotary", emb_layer_norm_before=False,
               hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, layer_norm_eps=1e-5)
    text = dict(model_type="bert", vocab_size=vocab_size, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072,
                max_position_embeddings=512)
    return dict(sequence=esm, text=text)


def plain_parts(configs):
    "Make random encoders from plain transformers, with the names of the published file."
    import torch
    from transformers import BertConfig, BertModel, EsmConfig, EsmForMaskedLM
    root = torch.nn.Module()
    torch.manual_seed(0)
    root.register_parameter("0", torch.nn.Parameter(torch.tensor(0.07)))
    for number, (kind, config) in enumerate(configs.items(), start=1):
        part = torch.nn.Module()
        if kind == "text": part.model = BertModel(BertConfig(**config), add_pooling_layer=False)
        else:
            part.model = EsmForMaskedLM(EsmConfig(**config))
            part.model.esm.contact_head = None
        part.out = torch.nn.Linear(config["hidden_size"], 1024)
        root.add_module(str(number), part)
    return root.eval()


def both_models(texts=None):
    "Build the plain parts, the library's model with the same weights, and plain tokenizers with a vocabulary from texts, or from simulated ones."
    texts = simulate(300, np.random.default_rng(9)).text.tolist() if texts is None else texts
    from protrek_nb.models.published import published_name
    from protrek_nb.model import ProTrek, ProTrekConfig
    from protrek_nb.models.tokens import AA_VOCAB, bert_tokenizer, esm_tokenizer, wordpiece_vocab
    configs = shapes_35m(30522)
    tokenizers = dict(sequence=esm_tokenizer(AA_VOCAB), text=bert_tokenizer(wordpiece_vocab(texts[:300], 3000)))
    parts = plain_parts(configs)
    for number in "12": getattr(parts, number).model.set_attn_implementation("eager")
    model = ProTrek(ProTrekConfig(configs["sequence"], configs["text"], repr_dim=1024), tokenizers).eval()
    state = parts.state_dict()
    model.load_state_dict({name: state[published_name(name)] for name in model.state_dict()})
    return parts, model, tokenizers


def begin(threads):
    "Compute quietly on so many threads; give `both_models()`."
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore")
    import torch
    torch.set_num_threads(threads)
    return both_models()


def plain_encode(parts, tokenizers, kind, strings):
    "Encode a padded batch with plain parts."
    import torch
    part = getattr(parts, dict(sequence="1", text="2")[kind])
    encoder = part.model if kind == "text" else part.model.esm
    inputs = tokenizers[kind](strings, return_tensors="pt", padding=True, **(dict(truncation=True, max_length=512) if kind == "text" else {}))
    return torch.nn.functional.normalize(part.out(encoder(**inputs).last_hidden_state[:, 0]), dim=-1)


def measure(work):
    "Run `work` once; give its result, seconds, and processor seconds in user mode (without what the system spends on handing out memory)."
    start, cpu = time.perf_counter(), os.times().user
    result = work()
    return result, time.perf_counter() - start, os.times().user - cpu


def compare(kind, rows, sample, parts, model, tokenizers):
    "Score the same triplets both ways and give one row of the table."
    import torch
    seqs, negatives, texts = triplets(rows, kind)
    one = lambda tower, strings: torch.cat([plain_encode(parts, tokenizers, tower, [s]) for s in strings])

    def one_at_a_time(rows):
        with torch.no_grad(): a, b, t = (one(tower, [strings[r] for r in rows]) for tower, strings in (("sequence", seqs), ("sequence", negatives), ("text", texts)))
        return torch.stack([(a * t).sum(-1), (b * t).sum(-1)])

    def batched():
        vectors, t = model.get_protein_repr(seqs + negatives), model.get_text_repr(texts)
        return torch.stack([(vectors[:len(seqs)] * t).sum(-1), (vectors[len(seqs):] * t).sum(-1)])

    order = np.random.default_rng(1).permutation(len(seqs))[:sample]
    first, wall_1, cpu_1 = measure(lambda: one_at_a_time(order[::2]))
    scores, wall, cpu = measure(batched)
    last, wall_2, cpu_2 = measure(lambda: one_at_a_time(order[1::2]))  # before and after, so that a change in the machine's load does not favour one side
    share = len(order) / len(seqs)
    plain_wall, plain_cpu = (wall_1 + wall_2) / share, (cpu_1 + cpu_2) / share
    apart = max((x - scores[:, rows]).abs().max().item() for x, rows in ((first, order[::2]), (last, order[1::2])))
    return dict(input=kind, triplets=len(seqs), sampled=len(order), distinct=len(set(seqs + negatives)) + len(set(texts)), encoded=3 * len(seqs),
                one_at_a_time_s=round(plain_wall, 1), library_s=round(wall, 1), ratio=round(plain_wall / wall, 2),
                ratio_cpu=round(plain_cpu / cpu, 2), largest_difference=f"{apart:.0e}")


def write(name, title, table, note):
    "Write a result as CSV and as a page."
    import torch
    RESULTS.mkdir(exist_ok=True)
    table.to_csv(RESULTS/f"{name}.csv", index=False)
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns), *("| " + " | ".join(map(str, r)) + " |" for r in table.astype(object).values)]
    where = f"{platform.machine()}, {torch.get_num_threads()} thread(s), torch {torch.__version__}"
    (RESULTS/f"{name}.md").write_text(f"# {title}\n\n{note} Measured on {where}.\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    print(table.to_string(index=False))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=1137, help="triplets to score (the reference's test sets have 1137)")
    parser.add_argument("--sample", type=int, default=120, help="triplets that are also scored one row at a time; their time is scaled to all")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    parts, model, tokenizers = begin(args.threads)
    table = pd.DataFrame([compare(kind, args.rows, args.sample, parts, model, tokenizers) for kind in ("as in the reference", "both directions", "no repeats")])
    write("encoding", "Scoring triplets: one row at a time against this library", table,
          "Published 35M shapes, random weights. `ratio` is wall time, `ratio_cpu` processor time in user mode, which other work on the machine disturbs less; one row at a time was timed on the sampled triplets.")


if __name__ == "__main__": main()
