"""A report of each system from its run folder alone, whatever else lies beside it."""
import json

import pandas as pd
import pytest

from protrek_nb.report import build, describe, newest_run
from protrek_nb.reporting.folders import run_system
from protrek_nb.toy.simulated import simulated_run


def record(model, metric, value, **more):
    "One number with its interval, as runs write it."
    return dict(model=model, metric=metric, value=value, low=value - 0.05, high=value + 0.05, **more)


PARAMS = dict(go=dict(ontology="", preset="doc"), pairs=dict(stop_on="auc", ratio=1.0), binding=dict(ion="ZN", folds=2))
HISTORY = dict(go=dict(epoch=[1.0, 2.0], train_loss=[4.3, 4.0], macro_aupr=[.1, .2], score=[.1, .2]),
               pairs=dict(epoch=[1, 2], train_loss=[.7, .6], valid_loss=[.7, .6], valid_f1=[.6, .7], valid_auc=[.6, .7]),
               binding=dict(epoch=[1.0, 1.0], train_loss=[3.4, 3.3], auprc=[.4, .5], hra=[.1, .1], score=[.1, .1], fold=[1, 2]))
OWN = dict(go="system", pairs="head", binding="prototypes")
METRICS = dict(
    go=dict(questions=[record(m, "macro_aupr", v, question="unseen proteins", proteins=300, terms=100) for m, v in (("system", .4), ("naive", .1))] +
            [record(m, "smin", v, question="unseen proteins", proteins=300, terms=100) for m, v in (("system", 11.6), ("naive", 12.6))], namespaces=[]),
    pairs=dict(judged=[record(m, "auc", v, threshold=None, n=500) for m, v in (("head", .7), ("majority", .5))], test=dict(auc=.7), threshold=.5),
    binding=dict(sites=[record(m, "auprc", v, question="test", ion="ZN", residues=9000, sites=400, random=.02) for m, v in
                        (("prototypes", .4), ("one-hot window", .3), ("difference", .1))], decoys={}))
CERTIFICATE = dict(clean=True, violations=dict(sequence=0, similar=0), threshold=0.5, compared={"train-test": dict(pairs=9, aligned=1)}, rows=dict(train=80, valid=10, test=10))


def small_run(runs_dir, system, name=None, seed=0):
    "A run folder with the least that a report needs."
    folder = runs_dir / (name or system)
    folder.mkdir(parents=True)
    contents = {"params.json": dict(params=dict(PARAMS[system], name=folder.name, seed=seed)), "certificate.json": CERTIFICATE, "metrics.json": METRICS[system]}
    for file, content in contents.items(): (folder / file).write_text(json.dumps(content))
    pd.DataFrame(HISTORY[system]).to_csv(folder / "history.csv", index=False)
    return folder


@pytest.mark.parametrize("system", PARAMS)
def test_a_report_of_each_system(tmp_path, system):
    "The answer comes first, with the rival and intervals; then certificate, history and files."
    report = build(small_run(tmp_path / "runs", system), reports=tmp_path / "reports")
    text = report.markdown.read_text()
    first = text.split("## What was found\n\n")[1].split("\n")[0]
    assert OWN[system] in first and "best that it has to beat" in first and "[" in first
    for title in ("The splits", "The course of training", "How it was made"): assert f"## {title}" in text
    assert "The splits are clean" in text and "| metrics.json |" in text and str(tmp_path) not in text
    if system == "go": assert "11.600 [11.550, 11.650]" in text, "only shares are cut at 0 and 1"
    assert {p.name for p in (report.folder / "figures").iterdir()} == {"1_accuracy.png", "2_history.png"}
    assert OWN[system] in describe(report) and max(map(len, describe(report).replace(str(tmp_path), "").splitlines())) <= 100


def test_a_report_of_twins(tmp_path):
    "Twins keep their sections; pairs that no text tells apart are shown apart, where there are any."
    run = simulated_run(tmp_path, families=36)
    report = build(run.path, reports=tmp_path / "reports")
    text = report.markdown.read_text()
    assert "general measures" in text.splitlines()[0] and "## What it cost" in text and "third scorer" in text
    assert "## The map of embeddings" in text and len(list((report.folder / "figures").iterdir())) == 7 and "## Pairs with the same text" not in text
    explorer, sheet = (report.folder / "explorer.html").read_text(), pd.read_csv(report.folder / "twins.tsv", sep="\t")
    assert "[explorer.html](explorer.html)" in text and 'href="explorer.html"' in report.html.read_text() and "http" not in explorer
    assert explorer.count('<tbody class="pair') == len(sheet) and all(id in explorer for id in sheet["A"])
    (run.path / "mining.json").write_text(json.dumps(dict(settings={}, rows={}, considered=12, dropped=dict(mute=7), kept=3)))
    text = build(run.path, reports=tmp_path / "reports").markdown.read_text().split("## Pairs with the same text")[1].split("##")[0]
    assert "| 7 | 3 | 70 % |" in text


def test_the_newest_run_of_any_kind(tmp_path):
    "A run of pairs after one of terms is taken; folders of somebody else are named and left alone."
    (tmp_path / "notes").mkdir()
    with pytest.raises(FileNotFoundError, match="left alone.*notes"): newest_run(tmp_path)
    for system in ("go", "pairs"): small_run(tmp_path, system)
    import os
    os.utime(tmp_path / "go" / "metrics.json", (1, 1))
    assert newest_run(tmp_path).name == "pairs" and run_system(tmp_path / "notes") is None
    (tmp_path / "pairs" / "metrics.json").unlink()  # begun again
    assert newest_run(tmp_path).name == "go"


def test_runs_of_one_system_are_compared(tmp_path):
    "Two seeds are one model with an interval over seeds; two systems are an error."
    runs = [small_run(tmp_path / "runs", "binding", f"zinc-{seed}", seed) for seed in range(2)]
    report = build(runs, reports=tmp_path / "reports")
    assert report.findings.models == ["prototypes", "one-hot window"] and "over 2 seeds" in report.markdown.read_text()
    with pytest.raises(ValueError, match="of different systems"): build([runs[0], small_run(tmp_path / "runs", "go")], reports=tmp_path / "reports")
