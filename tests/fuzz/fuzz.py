"""Give every reader files that nobody would write: each must be read, or refused in a sentence that names the file, within a second.

`python tests/fuzz/fuzz.py --seconds 600` shares the time among the readers, and among hypothesis (files that are nearly right) and atheris (bytes that reach new lines of code, where it is installed).
What fails is kept in `tests/fuzz/corpus/<reader>/`, which `tests/fuzz/test_fuzz.py` reads again, and later fuzzing starts from.
"""
import argparse
import gzip
import hashlib
import os
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]
import conftest  # noqa: F401  one thread, no network, no GPU

import pandas as pd
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from ledger import Ledger

CORPUS, LIMIT = HERE / "corpus", 1.0  # seconds that a file may take
FOLDER = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
PROTEIN = "MKVLAAGIVGLCAKAYWDERTS"


def _ontology():
    "A small ontology that annotations are read with."
    from protrek_nb.go.ontology import Ontology
    (path := FOLDER / "known.obo").write_text(OBO)
    return Ontology.from_obo(path)


def _with(function, *before, **more):
    "Hand a path on, behind other arguments."
    return lambda path: function(*before, path, **more)


def _beside(path, name, text):
    "Write a companion of a file."
    (path.parent / name).write_text(text)
    return path.parent / name


def _sums(path):
    "Read a file as the sums of its folder."
    from protrek_nb.damage import SUMS, read_sums
    os.replace(path, path.parent / SUMS)
    return read_sums(path.parent)


OBO = """format-version: 1.2
ontology: go

[Term]
id: GO:0008150
name: biological_process
namespace: biological_process
def: "A process." [GOC:x]

[Term]
id: GO:0000001
name: eating, "fast"
namespace: biological_process
alt_id: GO:0000009
is_a: GO:0008150 ! biological_process
relationship: part_of GO:0008150 {x="y"} ! process

[Term]
id: GO:0000002
name: old
namespace: biological_process
is_obsolete: true
replaced_by: GO:0000001
"""
TABLE = f"protein_id,sequence,text,family\nP1,{PROTEIN},eats sugar,F\nP2,{PROTEIN}A,\"eats, fat\",F\n"


def readers():
    "Every public reader of files from outside: name -> (function of a path, suffix, files that it reads)."
    from protrek_nb.binding import chains
    from protrek_nb.core import read_json
    from protrek_nb.data.sources import read_lactamases
    from protrek_nb.data.tables import read_proteins, read_texts
    from protrek_nb.go.ontology import Ontology, read_annotations
    from protrek_nb.models.views import read_a3m
    from protrek_nb.pairs import isolates
    from protrek_nb.twins.groups import read_clusters
    ontology = _ontology()
    three = f">c1\n{PROTEIN}\n{'01' * 11}\n"
    wide = f"isolate_id\tsegment\tsequence\thost\nI1\tHA\t{PROTEIN}\thuman\nI1\tNA\t{PROTEIN}A\thuman\n"
    return dict(
        fasta=(read_proteins, ".fasta", [f">sp|P1|X_Y Heat shock protein OS=E. coli\n{PROTEIN}\n>P2 b\n{PROTEIN}W\n", f">P1 a [E. coli]\n{PROTEIN[:9]}\n{PROTEIN[9:]}*\n"]),
        table=(read_proteins, ".csv", [TABLE, TABLE.replace(",", "\t"), TABLE.replace(",", ";")]),
        texts=(read_texts, ".csv", ["id,text\nP1,eats sugar\nP2,\"a, b\"\n"]),
        obo=(lambda path: Ontology.from_obo(path), ".obo", [OBO]),
        annotations=(lambda path: read_annotations(path, ontology), ".tsv", [
            "P1\tGO:0000001\nP2\tGO:0008150; GO:0000009\n", "protein_id\tgo_ids\tsequence\nP1\tGO:0000001\tMKV\n",
            "!gaf-version: 2.2\nUniProtKB\tP1\tX\tenables\tGO:0000001\tPMID:1\tIDA\t\tP\tname\t\tprotein\ttaxon:9606\t20200101\tUniProt\t\t\n"]),
        clusters=(read_clusters, ".tsv", ["P1\tP2\nP1\tP1\n"]),
        a3m=(_with(read_a3m, query=PROTEIN), ".a3m", [f">q\n{PROTEIN}\n>h\n{PROTEIN[:5]}aa{PROTEIN[5:-2]}--\n"]),
        three_line=(_with(chains.read_three_line, ion="ZN"), ".txt", [three]),
        residue_lists=(_with(chains.read_residue_lists, ion="ZN"), ".csv", [f"id,sequence,positions\nc1,{PROTEIN},1;5\n", f"id,sequence,positions,ion\nc1,{PROTEIN},M1 A5,CA\n"]),
        site_lists=(lambda path: chains.read_site_lists(path, "ZN", _beside(path, "chains.fa", f">c1\n{PROTEIN}\n")), ".txt", ["c1\t1,5\nc2\t\n"]),
        chain_file=(_with(chains.read_chain_file, ion="ZN"), ".txt", [three, "c1\t1,5\n"]),
        biolip=(chains.read_biolip, ".txt", ["\t".join(["101m", "A", "2.07", "BS01", "ZN", "A", "1", "M1 K2", "M1 K2", "", "", "", "", "", "", "", "", "P02185", "1", "155", PROTEIN]) + "\n"]),
        isolates=(isolates.read_isolates, ".tsv", [wide]),
        pairs=(isolates.read_pairs, ".csv", [f"a_seq,b_seq\n{PROTEIN},{PROTEIN}A\n", wide.replace("\t", ",")]),
        pipr=(lambda path: isolates.read_pipr(path, _beside(path, "ids.tsv", f"P1\t{PROTEIN}\nP2\t{PROTEIN}A\n")), ".tsv", ["P1\tP2\t1\nP1\tP1\t0\n"]),
        pipr_sequences=(lambda path: isolates.read_pipr(_beside(path, "actions.tsv", "P1\tP2\t1\nP1\tP1\t0\n"), path), ".tsv", [f"P1\t{PROTEIN}\nP2\t{PROTEIN}A\n"]),
        dscript=(lambda path: isolates.read_dscript(path, _beside(path, "p.fasta", f">P1\n{PROTEIN}\n>P2\n{PROTEIN}A\n")), ".tsv", ["P1\tP2\t1\nP1\tP1\t0\n"]),
        dscript_fasta=(lambda path: isolates.read_dscript(_beside(path, "p.tsv", "P1\tP2\t1\nP1\tP1\t0\n"), path), ".fasta", [f">P1\n{PROTEIN}\n>P2\n{PROTEIN}A\n"]),
        lactamases=(_with(lambda path: read_lactamases(path=path, unsaid=True)), ".faa", [f">1 WP_1.1 1 1 blaTEM-1 blaTEM class_A_beta-lactamase_TEM-1\n{PROTEIN}\n"]),
        json=(read_json, ".json", ['{"params": {"seed": 1}}\n']),
        sums=(_sums, ".txt", [f"{'0' * 64}  a.txt\n"]))


class Bad(AssertionError):
    "A file that a reader neither reads nor refuses as it should."
    @property
    def kind(self): # two of one kind are raised in one place
        return "slow" if self.__cause__ is None else "{0.filename}:{0.lineno}".format(traceback.extract_tb(self.__cause__.__traceback__)[-1])


def judge(reader, suffix, content, name="given"):
    "Let a reader read some bytes; Bad says what is wrong with what it does."
    (folder := FOLDER / "one").mkdir(exist_ok=True)
    for left in folder.iterdir(): left.unlink()
    (path := folder / f"{name}{suffix}").write_bytes(content)
    start = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader(path)
    except (ValueError, OSError) as e:
        raw = isinstance(e, (UnicodeError, gzip.BadGzipFile)) or (isinstance(e, pd.errors.ParserError)) or type(e).__module__ == "pyarrow.lib"
        said = path.name in str(e) or folder.name in str(e)
        if raw or not said: raise Bad(f"{type(e).__name__}: {str(e)[:200]} ({'raw' if raw else 'does not name the file'})") from e
    except Exception as e: raise Bad(f"{type(e).__name__}: {str(e)[:200]} (raw)") from e
    if (took := time.process_time() - start) > LIMIT: raise Bad(f"it took {took:.1f} s of processor time")


def keep(name, content, problem):
    "Put a file that was found into the corpus."
    (folder := CORPUS / name).mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)
    print(f"{name}: {problem}", flush=True)


# ---------------------------------------------------------------- hypothesis: files that are nearly right

ODD = ["\t", "\v", "\f", "\0", "\u00a0", "\u2028", "\ufeff", "\r", "\r\n", "\n\n", ";", ",", '"', '""', "'", "|", ">", ">>", "#", "!", "-", "*", "~~~", "^A", "\x01", "{", "}", "[", "]", "\\",
       "NA", "nan", "None", "UNKNOWN", "1e309", "-1", "0", "99999999999999999999", "GO:0000001", "NOT|enables", "<pad>", "[SEP]", "é", "酵素", "\ud7ff", "U", "acgt", "A" * 300]


@st.composite
def changed(draw, files):
    "A file that a reader knows, with some of its pieces cut, doubled, moved, or replaced by odd ones; perhaps in another encoding, perhaps compressed or cut short."
    text = draw(st.sampled_from(files))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(text)))
        to = min(len(text), at + draw(st.integers(0, 40)))
        piece = draw(st.one_of(st.sampled_from(ODD), st.text(max_size=8), st.just(""), st.just(text[at:to] * 2), st.sampled_from(files)))
        text = text[:at] + piece + text[to:]
    content = text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])), "replace")
    if draw(st.integers(0, 9)) == 0: content = gzip.compress(content)
    if draw(st.integers(0, 9)) == 0: content = content[:draw(st.integers(0, len(content)))]
    return content


def with_hypothesis(name, seconds, reader, suffix, files):
    "Try files until the time is over: (tries, those that failed)."
    end, tries, bad, seed = time.monotonic() + seconds, 0, {}, 0
    while time.monotonic() < end:
        @settings(max_examples=200, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(changed(files))
        def attempt(content):
            nonlocal tries
            if time.monotonic() > end: return
            tries += 1
            try: judge(reader, suffix, content)
            except Bad as problem:
                if len(content) < len(bad.get(problem.kind, (content + b"x", ""))[0]): bad[problem.kind] = (content, str(problem))
        attempt()
        seed += 1
    for content, problem in bad.values(): keep(name, content, problem)
    return tries, len(bad)


# ---------------------------------------------------------------- atheris: bytes that reach new lines

READ_BY = "protrek_nb.core protrek_nb.damage protrek_nb.data protrek_nb.binding.chains protrek_nb.go.obo protrek_nb.go.ontology protrek_nb.models.views protrek_nb.pairs.isolates protrek_nb.twins.groups"


def instrumented():
    "`readers`, whose lines of code atheris sees: nothing of the library may have been imported before; None without atheris."
    try: import atheris
    except ImportError: return None
    with atheris.instrument_imports(include=READ_BY.split()): return readers()


def fuzz(name, seconds, reader, suffix, files, folder):
    "Be libFuzzer, and never return: what fails goes to the corpus, and the search goes on; a file that never ends stops it, and is left in `folder`."
    import atheris
    os.dup2(os.open(folder / "log", os.O_WRONLY | os.O_CREAT), 2)
    for k, content in enumerate([f.encode() for f in files] + [p.read_bytes() for p in sorted((CORPUS / name).glob("*"))]): (folder / "seeds" / str(k)).write_bytes(content)
    words = [piece.encode(errors="replace") for piece in ODD if len(piece) < 60]
    (folder / "words").write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in words))
    seen = set()
    def attempt(content):
        try: judge(reader, suffix, content)
        except Bad as problem:
            if problem.kind in seen: return
            seen.add(problem.kind)
            (folder / f"bad-{len(seen)}").write_bytes(content)
            (folder / f"why-{len(seen)}").write_text(str(problem))
    atheris.Setup(["fuzz", str(folder / "seeds"), f"-max_total_time={max(1, int(seconds))}", "-max_len=4096", "-rss_limit_mb=8192", "-timeout=20", "-print_final_stats=1", f"-dict={folder}/words", f"-artifact_prefix={folder}/bad-"], attempt)
    atheris.Fuzz()


def with_atheris(name, seconds, *of_reader):
    "Search in a process of its own: (tries, those that failed)."
    folder = Path(tempfile.mkdtemp(dir=FOLDER))
    (folder / "seeds").mkdir()
    if not (child := os.fork()): fuzz(name, seconds, *of_reader, folder)
    os.waitpid(child, 0)
    log, bad = (folder / "log").read_text(errors="replace"), sorted(folder.glob("bad-*"))
    for path in bad: keep(name, path.read_bytes(), why.read_text() if (why := path.with_name(path.name.replace("bad", "why"))).exists() else f"libFuzzer stopped: {path.name}")
    counted = [line.split()[-1] for line in log.splitlines() if "stat::number_of_executed_units" in line]
    if not counted: print(f"{name}: atheris ended early\n{log[-600:]}", flush=True)
    shutil.rmtree(folder)
    return int(counted[-1]) if counted else 0, len(bad) or (not counted)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="for all readers together")
    parser.add_argument("--readers", help="names with commas between them; all where nothing is said")
    parser.add_argument("--out", help="table that gets one more row for each reader")
    asked = parser.parse_args()
    seen = instrumented()
    if not seen: print("atheris is not installed: hypothesis alone")
    of, rows, ledger = seen or readers(), [], Ledger(asked.out)
    names = asked.readers.split(",") if asked.readers else list(of)
    for name in names:
        share = asked.seconds / len(names)
        tries, bad = with_hypothesis(name, share * (.2 if seen else 1), *of[name])
        more, worse = with_atheris(name, share * .8, *of[name]) if seen else (0, 0)
        rows.append(dict(reader=name, hypothesis=tries, atheris=more, failed=bad + worse))
        print(rows[-1], flush=True)
        ledger.write(rows)
    sys.exit(f"{sum(row['failed'] for row in rows)} kinds of files failed; they are in {CORPUS.name}/" if any(row["failed"] for row in rows) else 0)


if __name__ == "__main__":
    try: main()
    except Exception: traceback.print_exc(); sys.exit(1)
