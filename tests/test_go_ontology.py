"""Random annotation and ontology files: what is read must equal what was written, faults must be counted."""
import numpy as np
from hypothesis import given, settings, strategies as st

from protrek_nb.go.ontology import Ontology, hold_out, read_annotations

GO = "GO:{:07d}".format


@st.composite
def dags(draw):
    "For each of n terms some parents with lower numbers, and the relation of each."
    n = draw(st.integers(2, 14))
    return [draw(st.dictionaries(st.integers(0, i - 1), st.sampled_from(["is_a", "part_of"]), max_size=3)) if i else {} for i in range(n)]


def write_obo(path, dag, order):
    "Write the terms in any order, each with its edges."
    edge = lambda p, r: f"is_a: {GO(p)}" if r == "is_a" else f"relationship: {r} {GO(p)}"
    stanza = lambda i: "\n".join(["[Term]", f"id: {GO(i)}", f"name: t{i}", "namespace: x", *(edge(p, r) for p, r in dag[i].items())])
    path.write_text("format-version: 1.2\n\n" + "\n\n".join(stanza(i) for i in order) + "\n")
    return path


def closure(dag, rows):
    "All ancestors, by asking again and again."
    found = set(rows)
    while (more := found | {p for r in found for p in dag[r]}) != found:
        found = more
    return found


@settings(max_examples=20, deadline=None)
@given(dags(), st.randoms(use_true_random=False))
def test_obo_round_trip(tmp_path_factory, dag, random):
    order = list(range(len(dag)))
    random.shuffle(order)
    o = Ontology.from_obo(write_obo(tmp_path_factory.mktemp("obo") / "a.obo", dag, order))
    assert o.ids == [GO(i) for i in range(len(dag))]
    for row, parents in enumerate(dag):
        assert dict(o.parents[row]) == parents
        assert o.closure([row]) == closure(dag, [row]) == {row, *o.ancestors(row)}
        assert set(np.flatnonzero(o.ancestor_matrix[[row]].toarray()[0])) == closure(dag, [row])
        assert not set(o.siblings(row, 3)) & ({row} | set(o.ancestors(row)) | set(o.descendants(row)))


@settings(max_examples=20, deadline=None)
@given(dags(), st.lists(st.lists(st.integers(0, 19), max_size=5), min_size=1, max_size=6), st.integers(0, 13))
def test_annotations_and_hold_out(tmp_path_factory, dag, given_terms, gone):
    folder, n = tmp_path_factory.mktemp("ann"), len(dag)
    o = Ontology.from_obo(write_obo(folder / "a.obo", dag, range(n)))
    (folder / "a.tsv").write_text("protein_id\tterms\n" + "".join(f"P{i}\t{'; '.join(map(GO, t))}\n" for i, t in enumerate(given_terms)))
    a = read_annotations(folder / "a.tsv", o)
    known = {f"P{i}": sorted({t for t in terms if t < n}) for i, terms in enumerate(given_terms)}
    assert dict(zip(a.proteins, map(list, a.rows))) == {p: t for p, t in known.items() if t}
    assert len(a) + len(a.counts["rejected"]) == len(given_terms)
    assert a.unknown.total() == sum(len({t for t in terms if t >= n}) for terms in given_terms)
    gone %= n
    held = hold_out(a, o, [gone])
    below = {gone, *o.descendants(gone)}
    for before, after in zip(a.rows, held.rows):
        assert o.closure(after) == o.closure(before) - below
