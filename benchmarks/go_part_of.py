"""The shipped system on another task: an ontology with part_of, proteins split by shared five-letter words. Writes benchmarks/results/go_part_of.csv.

    python benchmarks/go_part_of.py --seeds 42 43 44

A throwaway script had measured a two-layer perceptron on the mean and last state of UniRep in this way, with ten relatives by three-letter words and frequencies beside it: macro AUPR 0.448, 0.145, 0.215 and Fmax 0.570, 0.370, 0.592 for function,
process and component. Its very split is not known; this one is made by the same rules. Two proteins are relatives if they share a tenth of the shorter one's five-letter words. Read the rows `fmax_10` and `macro_aupr_10`: terms with ten training proteins. Whether that script counted the three roots, which every protein of a namespace carries, is not known: each seed is measured without and with them.
"""
import argparse
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from protrek_nb.core import RunDir, project_path, shared_data, write_table
from protrek_nb.go import GoRun, train_known
from protrek_nb.go.compare import measure_known
from protrek_nb.go.data import GoData
from protrek_nb.go.ontology import Ontology, read_annotations
from protrek_nb.splits.components import SPLITS, deal, fragment_pairs
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

RESULT, SHARED = project_path("benchmarks", "results", "go_part_of.csv"), 0.1  # of the shorter protein's words


def read_ontology() -> Ontology:
    "Read the table of terms with both relations, by way of an OBO file."
    table = pd.read_csv(shared_data() / "go" / "go_terms_merged.tsv.gz", sep="\t", keep_default_na=False, dtype=str)
    lines = ["format-version: 1.2"]
    for term in table[table.namespace != ""].itertuples():
        lines += ["", "[Term]", f"id: {term.go_id}", f"name: {term.name}", f"namespace: {term.namespace}"]
        lines += [f"alt_id: {other}" for other in term.alt_ids.split(";") if other]
        lines += [f"is_a: {parent}" for parent in term.is_a.split(";") if parent] + [f"relationship: part_of {whole}" for whole in term.part_of.split(";") if whole]
    with tempfile.TemporaryDirectory() as folder:
        (path := Path(folder) / "merged.obo").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return Ontology.from_obo(path)


def word_components(sequences) -> np.ndarray:
    "Number the components of proteins that share many five-letter words."
    links = np.concatenate([np.stack(block) for block in fragment_pairs(sequences, None, SHARED)], 1)
    return connected_components(coo_array((np.ones(links.shape[1], bool), links), shape=(len(sequences),) * 2), directed=False)[1]


def read(seed) -> GoData:
    "Read and split; no term is held out."
    ontology = read_ontology()
    annotations = read_annotations(shared_data() / "go" / "swissprot_exp_go.tsv.gz", ontology)
    component_N = word_components(annotations.sequences)
    part_C = deal(np.bincount(component_N), (0.8, 0.1, 0.1), seed)
    table = pd.DataFrame(dict(protein_id=annotations.proteins, sequence=annotations.sequences, text="", component=component_N, split=np.array(SPLITS)[part_C[component_N]]))
    return GoData(ontology, table, annotations, annotations, np.zeros(0, int), dict(table_hash="", clean=True))


def with_roots(prepared) -> GoData:
    "Ask for the three namespaces themselves, too."
    carried_T = np.asarray(prepared.part("train").matrix(prepared.ontology).sum(0)).ravel() > 0
    vars(prepared)["seen"] = np.flatnonzero(carried_T)  # in place of what is computed once
    return prepared


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    given, tables = parser.parse_args(), []
    torch.set_num_threads(1)
    for seed, roots in product(given.seeds, (False, True)):
        run = GoRun(data="swissprot", seed=seed, replicates=60, name=f"go-part-of-{seed}")
        prepared = run.prepare(read(seed), print)
        if roots: prepared = with_roots(prepared)
        print(prepared.table.split.value_counts().to_dict(), "largest component", prepared.table.component.value_counts().iloc[0], flush=True)
        found = measure_known(prepared, train_known(run, prepared, RunDir.create(run.name), lambda line: None), run.replicates, seed)
        tables.append(pd.DataFrame(found["namespaces"]).assign(seed=seed, roots=roots))
        write_table(RESULT, pd.concat(tables, ignore_index=True))
        print(tables[-1].query("metric in ['fmax_10', 'macro_aupr_10']").pivot_table(index="model", columns=["namespace", "metric"], values="value", sort=False).round(3).to_string(), flush=True)


if __name__ == "__main__":
    main()
