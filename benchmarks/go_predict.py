"""Predict terms for many proteins among 42,000 terms: seconds and memory as the proteins grow, and against what was there.

    python benchmarks/go_predict.py [--sizes 1 200 10000] [--rounds 3] [--ways residues summaries wide early] [--folder big]

The ontology is the Gene Ontology where `shared_data()` has it, padded with further leaves to 42,000 terms, or else a simulated one of that size. Models have random weights, and vectors are made up as they are asked for,
so that scores mean nothing and times are those after embedding. `residues` is the system of the toy world (letters, attention over residues), `wide` the same with the sizes of pretrained vectors (320 numbers a residue, up to
200 proteins), `summaries` the system of real data: 5,000 training proteins, vectors of 5,700 numbers, ridge, perceptron and alignments. Proteins are as long as those of Swiss-Prot. Each way and size runs in a process of its own:
`load_s` opens the saved folder, `first_s` predicts for one protein (what is made once is made here), `predict_s` for all; `peak_gib` is the most that the process ever held, the library and PyTorch included (about 0.6).

`early` is what was there, for residues: reading the ontology, learning the vocabulary and tokenising all texts twice were part of each call, the vectors of all terms were made anew in each call, and scores of chunks of terms were
collected in a list and joined. The ratios come from rounds in which the early way and the library take turns in one process, in processor time: the early way opens, and then makes the term side anew and scores for each of a few proteins;
the library opens and predicts for 200. Three things are compared for 200 proteins: early calls with one protein each, the term side anew for each protein with all else open, and one early call with all. The scores of the best terms must be equal.
Writes benchmarks/results/go_predict.csv, go_predict_early.csv and go_predict.md; ways that were not asked for keep their rows.
"""
import argparse, contextlib, gzip, json, os, resource, subprocess, sys, tempfile, time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd

from encoding import RESULTS, write
from mining import AMINO
from mining_scale import MEAN, MEDIAN, draw, peak, slope

TERMS, TRAINING, SUMMARY, FIRST, FEW = 42_000, 5_000, 5_700, 1_900, 10
WIDTH = dict(residues=21, wide=320, summaries=SUMMARY)


def make_proteins(n, seed=0):
    "Draw proteins as long as those of Swiss-Prot."
    rng = np.random.default_rng(seed)
    lengths = np.clip(MEDIAN * np.exp(np.sqrt(2 * np.log(MEAN / MEDIAN)) * rng.standard_normal(n)), 50, 5000).astype(int)
    return pd.DataFrame(dict(protein_id=[f"P{k:05d}" for k in range(n)], sequence=[AMINO[draw(rng, length)].tobytes().decode() for length in lengths]))


def make_obo(path):
    "Write the Gene Ontology with further leaves, or a simulated ontology; each leaf says what the term says that it copies."
    from protrek_nb.core import shared_data
    from protrek_nb.go.ontology import Ontology
    rng, real = np.random.default_rng(0), shared_data() and shared_data()/"go"/"go_full_2014-10-10_from_xml.obo.gz"
    if real and real.is_file():
        text, known = gzip.decompress(real.read_bytes()).decode(), Ontology.from_obo(real)
        terms = list(zip(known.ids, known.names, known.definitions, known.namespaces))
    else:
        spaces = ["biological_process", "molecular_function", "cellular_component"]
        words = np.array(["".join(w) for w in np.array(list("abdegiklmnoprstu"))[rng.integers(16, size=(5_000, 7))]])
        text, terms = "format-version: 1.2\n", [(f"GO:{k:07d}", " ".join(rng.choice(words, 4)), " ".join(rng.choice(words, 40)), space) for k, space in enumerate(spaces)]
        for go_id, name, definition, space in terms: text += f'\n[Term]\nid: {go_id}\nname: {name}\nnamespace: {space}\ndef: "{definition}" []\n'
        for k in range(3, TERMS // 2): terms.append((f"GO:{k:07d}", " ".join(rng.choice(words, 4)), " ".join(rng.choice(words, 40)), spaces[k % 3]))
        for k, (go_id, name, definition, space) in list(enumerate(terms))[3:]: text += f'\n[Term]\nid: {go_id}\nname: {name}\nnamespace: {space}\ndef: "{definition}" []\nis_a: {terms[3 * int(rng.integers(k // 12, k // 3)) + k % 3 if k > 5 else k % 3][0]}\n'
    for k in range(TERMS - len(terms)):
        go_id, name, definition, space = terms[rng.integers(len(terms))]
        escaped = definition.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
        text += f'\n[Term]\nid: GO:9{k:06d}\nname: {name} {k}\nnamespace: {space}\ndef: "{escaped}" []\nis_a: {go_id}\n'
    path.write_text(text, encoding="utf-8")


def make_folders(folder):
    "Save a random model of each kind."
    import torch
    from dataclasses import asdict
    from protrek_nb.core import write_table
    from protrek_nb.go import GoRun
    from protrek_nb.go.known import Perceptron
    from protrek_nb.go.ontology import Ontology
    from protrek_nb.go.system import Student, make_model, make_reader, make_texts
    from protrek_nb.go.terms import term_encoder
    from protrek_nb.saved import Saved
    make_obo(folder/"terms.obo")
    ontology, rng = Ontology.from_obo(folder/"terms.obo"), np.random.default_rng(0)
    rows = np.setdiff1d(np.arange(len(ontology)), ontology.roots)
    config, store = dict(ontology="terms.obo", terms=[ontology.ids[r] for r in rows]), None
    link = lambda to: (to/"terms.obo").hardlink_to(folder/"terms.obo")
    torch.manual_seed(0)
    for way in ("residues", "wide"):
        run = GoRun(encoder="letters" if way == "residues" else "esm2_t6_8M_UR50D")
        store = store or make_texts(run, ontology)
        if store.phase != "all": store.update_phase_and_tokenize("all")
        reader, width = make_reader(run, store.tokenizer)
        student = Student(reader, make_model(run, WIDTH[way], width)).eval()
        def more(to): link(to); store.tokenizer.save_pretrained(to/"text")
        weights = student.state_dict() | {"terms": term_encoder(store, student.reader)(rows)}
        Saved("go", asdict(run), config | dict(residue_dim=WIDTH[way], phase="all"), weights).write(folder/way, more=more)
    given = [rng.choice(rows, 5, replace=False) for _ in range(TRAINING)]
    truth_MT = np.stack([np.asarray(ontology.ancestor_matrix[sorted(some)].sum(0)).ravel()[rows] > 0 for some in given])
    weights = Perceptron(SUMMARY, len(rows)).state_dict() | {"known": torch.randn(TRAINING, SUMMARY).half(), "truth": torch.from_numpy(np.packbits(truth_MT, axis=1))}
    spaces = sorted(set(ontology.namespaces))
    mixture = dict(shares={s: (.3, .1) for s in spaces}, calibration={s: ([0., .5, 1.], [0., .3, 1.]) for s in spaces}, thresholds={s: .3 for s in spaces})
    def more(to): link(to); write_table(to/"training.csv", make_proteins(TRAINING, 1))
    Saved("go", asdict(GoRun(encoder="letters", summary=True)), config | dict(first=FIRST, mixture=mixture), weights).write(folder/"summaries", more=more)


class Made:
    "Vectors of proteins, made up when they are asked for; a store to who reads them."
    def __init__(self, proteins, way): self.lengths, self.way = {id: len(s) for id, s in proteins.items()}, way
    def get(self, ids):
        if self.way == "summaries": return np.stack([np.random.default_rng(int(id[1:])).standard_normal(SUMMARY, np.float32) for id in ids])
        return [np.random.default_rng(int(id[1:])).standard_normal((self.lengths[id], WIDTH[self.way]), np.float32) for id in ids]


def open_predictor(folder, way):
    "Load a saved model, with made-up vectors in place of its encoder."
    from protrek_nb import go
    from protrek_nb.saved import Saved, load
    Saved.open_encoder = lambda self: None
    go.open_residues = go.open_means = lambda encoder, proteins: Made(proteins, way)
    return load(folder/way, verify=False)


def early_open(folder):
    "What was done in each call: read, learn a vocabulary, tokenise all texts as in the first phase and as in the last; the weights are those that were saved."
    from protrek_nb.go import GoRun, make_system
    from protrek_nb.go.ontology import Ontology
    from protrek_nb.saved import Saved
    saved = Saved.read(folder/"residues", verify=False)
    ontology = Ontology.from_obo(folder/"residues"/"terms.obo")
    store, system = make_system(GoRun(**saved.run), ontology, WIDTH["residues"])
    system.student.load_state_dict({name: x for name, x in saved.weights.items() if name != "terms"})
    store.update_phase_and_tokenize("all")
    return ontology, ontology.rows(saved.config["terms"])[0], system.student.eval(), store


def early_terms(student, store, rows):
    "Make the side of the terms anew."
    import torch
    from protrek_nb.go.terms import term_encoder
    with torch.no_grad(): return student.model.terms(term_encoder(store, student.reader)(rows))


def early_scores(model, fed, terms, budget=2**22):
    "Score a block of proteins against all terms: chunks of terms in a list, which are joined."
    import torch
    from protrek_nb.go.attention import attention_logits
    from protrek_nb.losses import unit
    from protrek_nb.models.batches import with_neighbours
    residues_BLD, mask_BL = fed
    with torch.no_grad():
        key_BLA, value_BLZ = model.attention.residues(with_neighbours(residues_BLD, mask_BL, model.config.context))
        chunk, parts = max(1, budget // (len(mask_BL) * max(mask_BL.shape[1], model.config.joint_dim))), []
        for query_TA, vector_TZ in zip(terms.query_TA.split(chunk), terms.vector_TZ.split(chunk)):
            alpha_BTL = attention_logits(query_TA, key_BLA, mask_BL).softmax(-1)
            parts.append((unit(alpha_BTL @ value_BLZ) * vector_TZ).sum(-1))
        return (torch.cat(parts, 1) / model.temperature).numpy()


def early_best(student, terms, table, block, top=10):
    "Score all, hold all, sort all: scores of the best terms."
    from protrek_nb.models.batches import pad_residues
    made = Made(dict(zip(table.protein_id, table.sequence)), "residues")
    order = np.argsort(table.sequence.str.len(), kind="stable")
    ids, blocks = table.protein_id.to_numpy()[order], range(0, len(table), block)
    score_NT = np.concatenate([early_scores(student.model, pad_residues(made.get(ids[at:at + block])), terms) for at in blocks])[np.argsort(order)]
    return np.stack([score_T[np.argsort(-score_T, kind="stable")[:top]] for score_T in score_NT])


def clock(work):
    "Do it; give what it gives, wall seconds and processor seconds."
    wall, cpu = time.perf_counter(), time.process_time()
    out = work()
    return out, round(time.perf_counter() - wall, 2), round(time.process_time() - cpu, 2)


def run_one(way, n, folder):
    "Predict in this process, and print what it took as JSON."
    import torch
    torch.set_num_threads(1)
    table = make_proteins(n)
    import protrek_nb.go
    if way == "early":
        (_, rows, student, store), load, load_cpu = clock(lambda: early_open(folder))
        terms, first, first_cpu = clock(lambda: early_terms(student, store, rows))
        _, wall, cpu = clock(lambda: early_best(student, terms, table, 32))
    else:
        predictor, load, load_cpu = clock(lambda: open_predictor(folder, way))
        _, first, first_cpu = clock(lambda: predictor.predict(make_proteins(1, 9)))
        found, wall, cpu = clock(lambda: predictor.predict(table))
        assert found.protein_id.drop_duplicates().tolist() == table.protein_id.tolist() and (found.groupby("protein_id").size() == (30 if way == "summaries" else 10)).all()
    print(json.dumps(dict(way=way, proteins=n, load_s=load, load_cpu_s=load_cpu, first_s=first, first_cpu_s=first_cpu, predict_s=wall, predict_cpu_s=cpu, cpu_s_each=round(cpu / n, 4), peak_gib=round(peak(), 2))))


def run_turns(rounds, folder, n=200):
    "Take turns in this process; print processor seconds as JSON."
    import torch
    torch.set_num_threads(1)
    table, turns = make_proteins(n), []
    residues = table.sequence.str.len()
    few = np.argsort(residues, kind="stable").to_numpy()[n // FEW // 2::n // FEW]  # of every length
    for _ in range(rounds):
        (_, rows, student, store), _, opened = clock(lambda: early_open(folder))
        sides, scores, early = [], [], []
        for k in few:
            terms, _, side = clock(lambda: early_terms(student, store, rows))
            best, _, score = clock(lambda: early_best(student, terms, table.iloc[k:k + 1], 1))
            sides.append(side); scores.append(score); early.append(best[0])
        predictor, _, load = clock(lambda: open_predictor(folder, "residues"))
        found, _, predict = clock(lambda: predictor.predict(table))
        assert np.abs(found.score.to_numpy().reshape(n, -1)[few] - early).max() < 1e-4, "other scores"
        score = np.mean(scores) * residues.mean() / residues.iloc[few].mean()  # as long as all on average
        turns.append(dict(early_open_s=opened, early_side_s=round(float(np.mean(sides)), 3), early_score_s=round(float(score), 3), load_s=load, predict_s=predict))
        print(turns[-1], file=sys.stderr, flush=True)
    print(json.dumps(turns))


def interval(early, ours):
    "Geometric mean of ratios, with the 95 % t interval of their logarithms."
    from protrek_nb.metrics.intervals import seed_interval
    return dict(zip(("ratio", "low", "high"), np.exp(seed_interval(np.log(np.divide(early, ours)))).round(1)))


def compare(turns, n=200):
    "Compare for 200 proteins, scaled from the few."
    t = pd.DataFrame(turns)
    ours, each = t.load_s + t.predict_s, t.early_side_s + t.early_score_s
    cases = {"a call for each protein": (n * (t.early_open_s + each), ours),
             "open, the term side anew for each protein": (n * each, t.predict_s),
             "one call for all": (t.early_open_s + t.early_side_s + n * t.early_score_s, ours)}
    return pd.DataFrame([dict(early=name, early_cpu_s=round(a.mean(), 1), library_cpu_s=round(b.mean(), 1), rounds=len(t)) | interval(a, b) for name, (a, b) in cases.items()])


def ask(*words):
    "Run this script in a process of its own; give what it prints last, None where it failed."
    done = subprocess.run([sys.executable, __file__, *map(str, words)], stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else print(f"{words}: ended with code {done.returncode}", flush=True)


def slopes(table):
    "Say how processor time grows from 200 proteins on."
    said = []
    for way, rows in table[table.proteins >= 200].groupby("way", sort=False):
        if len(rows) > 1: said.append(f"{way} {slope(rows, 'predict_cpu_s'):.2f}")
    return f"Slope of log processor time on log proteins, from 200 on: {', '.join(said)}. " if said else ""


def keep(name, found, asked):
    "Put rows into the table that is kept; those of ways that were not asked for stay."
    path = RESULTS/f"{name}.csv"
    return pd.concat([old[~old.way.isin(asked)], found], ignore_index=True) if path.is_file() and len(old := pd.read_csv(path)) else found


def note(table, early):
    "Say what was measured."
    against = " ".join(f"*{r.early}*: {r.early_cpu_s:,.0f} s early, {r.library_cpu_s:,.1f} s now, {r.ratio:,.1f} times ({r.low:,.1f} to {r.high:,.1f})." for r in early.itertuples())
    return f"After embedding; random weights and made-up vectors. {slopes(table)}200 proteins against what was there, in processor time, {early.rounds.iloc[0]} rounds, 95 % interval: {against}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[1, 200, 10_000], help="numbers of proteins")
    parser.add_argument("--ways", nargs="*", default=["residues", "summaries", "wide", "early"], help="residues, summaries, wide, early")
    parser.add_argument("--rounds", type=int, default=3, help="turns of the early way and the library; 0: the ratios that are kept stay")
    parser.add_argument("--folder", type=Path, help="keeps the models")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--turns", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--folders", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one: return run_one(args.one[0], int(args.one[1]), Path(args.one[2]))
    if args.turns: return run_turns(int(args.turns[0]), Path(args.turns[1]))
    if args.folders: return make_folders(args.folders) or print("null")
    with contextlib.nullcontext(args.folder) if args.folder else tempfile.TemporaryDirectory() as temp:
        if not (Path(temp)/"summaries").is_dir(): ask("--folders", temp)
        rows = [ask("--one", way, n, temp) for way in args.ways for n in args.sizes if n <= 200 or way in ("residues", "summaries")]
        turns = ask("--turns", args.rounds, temp) if args.rounds else None
    table, early = keep("go_predict", pd.DataFrame(filter(None, rows)), args.ways), compare(turns) if turns else pd.read_csv(RESULTS/"go_predict_early.csv")
    early.to_csv(RESULTS/"go_predict_early.csv", index=False)
    write("go_predict", "Terms of proteins among 42,000", table, note(table, early))


if __name__ == "__main__": main()
