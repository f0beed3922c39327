"""Bad or strange input that more than one page has to bear: nothing is lost, and the message says what to do."""
import errno
import re
from dataclasses import replace

import pandas as pd
import pytest

import helpers
from protrek_nb import core, damage, runs
from protrek_nb.training import trainer
from protrek_nb.core import RunDir, read_json, read_table, write_table
from protrek_nb.damage import verify_sums
from protrek_nb.mining import mine_twins
from protrek_nb.report import build
from protrek_nb.splits.components import split_proteins
from protrek_nb.data.tables import read_proteins
from protrek_nb.train import load_base, train_model


def full_disk(*args, **kwargs): raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("where", ["sums", "weights"])
def test_a_full_disk_while_a_checkpoint_is_written(where, tiny_run, tiny_data, tmp_path, monkeypatch):
    "The run stops and says that the disk is full; the checkpoint before is complete, the new one does not appear, and the run goes on later."
    run, run_dir = replace(tiny_run, epochs=2), RunDir.create("full", tmp_path)
    with monkeypatch.context() as patched:
        if where == "sums":
            patched.setattr(trainer, "write_sums", helpers.after(1, damage.write_sums, lambda folder: (patched.setattr(core, "_fsync", full_disk), damage.write_sums(folder))))
        else:
            patched.setattr(trainer.Trainer, "save_model", helpers.after(1, trainer.Trainer.save_model, full_disk))
        with pytest.raises(OSError) as error: train_model(run, load_base(run, tiny_data.table), tiny_data, run_dir, helpers.quiet)
    assert error.value.errno == errno.ENOSPC
    assert "the disk is full while writing" in str(error.value) and "checkpoint-8" in str(error.value) and "free space" in str(error.value)
    (step, path), = runs.checkpoints(run_dir.checkpoints_dir)
    assert step == 4 and verify_sums(path) == []
    train_model(replace(run, resume=str(run_dir.path)), load_base(run, tiny_data.table), tiny_data, run_dir, helpers.quiet)
    assert [step for step, _ in runs.checkpoints(run_dir.checkpoints_dir)] == [4, 8]


def fit_table(run, table, folder):
    "Write a table and train on it."
    write_table(folder / "given.tsv", table)
    return helpers.fit(replace(run, data=str(folder / "given.tsv"), epochs=1), folder / "runs")


def test_a_table_of_one_row(tiny_run, tiny_table, tmp_path):
    "One protein has no twin: the error says so, names the table and shows where the pairs went."
    with pytest.raises(ValueError, match=r"no twins in .*given\.tsv: 1 proteins"): fit_table(tiny_run, tiny_table.head(1), tmp_path)


def test_a_table_without_twins(tiny_run, tiny_table, tmp_path):
    "One protein of each family: again no twins, and the counted report is part of the message."
    with pytest.raises(ValueError, match="no twins in") as error: fit_table(tiny_run, tiny_table[::3], tmp_path)
    assert "twin pairs" in str(error.value) and "12 proteins" in str(error.value)


def test_a_table_of_one_family(tiny_run, tiny_table, tmp_path):
    "Twins of a single family cannot fill three splits: the error says so and what can be done."
    with pytest.raises(ValueError, match=r"cannot fill .* splits.* all proteins are relatives"): fit_table(tiny_run, tiny_table.head(3), tmp_path)


def test_a_table_of_three_families(tiny_run, tiny_table, tmp_path):
    "Each split is one component, so the test split has no strangers to compare: the error says so before anything is trained."
    with pytest.raises(ValueError, match=r"the test split has 1 component\(s\), 3 proteins.* 0 pairs of strangers.* Give more families"): fit_table(tiny_run, tiny_table.head(9), tmp_path)
    assert not list((tmp_path / "runs").rglob("checkpoint-*")) and not list((tmp_path / "runs").rglob("model"))


def test_a_test_split_of_few_components(tiny_run, tiny_table, tmp_path):
    "Three components say nothing of how sure a number is: no interval, no control that fires, and a report that shows the values alone."
    run_dir = fit_table(tiny_run, tiny_table, tmp_path)
    metrics = read_json(run_dir.metrics_path)
    assert {row["clusters"] for row in metrics["twins"]} == {3} and {row["low"] for row in metrics["compared"]} == {None}
    assert not any(control["fires"] for control in metrics["controls"])
    report = build(run_dir.path, reports=tmp_path / "reports")
    text = report.markdown.read_text()
    assert "without interval" in text and not re.search(r"\bnan\b", text)


def test_a_fasta_record_without_a_description(tiny_run, tiny_table, tmp_path):
    "It has no text to learn from: it is set aside and counted, and the run goes through."
    path = tmp_path / "given.fasta"
    told = tiny_table.text.where(tiny_table.index != 5, "")
    path.write_text("".join(f">{i} {t}\n{s}\n" for i, t, s in zip(tiny_table.protein_id, told, tiny_table.sequence)))
    run_dir = helpers.fit(replace(tiny_run, data=str(path), epochs=1), tmp_path / "runs")
    assert read_table(run_dir.rejected_path)["reason"].tolist() == ["empty text"]
    assert run_dir.metrics_path.exists()


def test_bad_rows_are_in_the_run_folder(tiny_run, tiny_table, tmp_path):
    "A run on a table with bad rows sets them aside, with row, value and reason, and trains on the rest."
    bad = pd.DataFrame([dict(tiny_table.iloc[0], protein_id="digit", sequence="MK7LV", structure_3di=""), dict(tiny_table.iloc[1], protein_id="mute", text="")])
    run_dir = fit_table(tiny_run, pd.concat([tiny_table, bad], ignore_index=True), tmp_path)
    rejected = read_table(run_dir.rejected_path)
    assert rejected.row.tolist() == [len(tiny_table) + 2, len(tiny_table) + 3], "rows as a person counts them, the header is row 1"
    assert rejected.column.tolist() == ["sequence", "text"] and "MK7LV" in rejected.value[0] and rejected.reason.str.len().min() > 3


def test_a_protein_of_40000_residues(tiny_table, tmp_path):
    "It passes reading, mining and splitting whole, and finds its twin."
    giant = tiny_table.sequence[0] * 300
    rows = [dict(protein_id=f"giant{k}", sequence=giant[:40_000 - 20] + 20 * letter, structure_3di="", text=tiny_table.text[k], family="giant", labels=tiny_table.labels[k])
            for k, letter in enumerate("WY")]
    write_table(tmp_path / "giant.tsv", pd.concat([tiny_table, pd.DataFrame(rows)], ignore_index=True).fillna(""))
    table = read_proteins(tmp_path / "giant.tsv")
    assert table.attrs["counts"]["long"] == 2 and len(table) == len(tiny_table) + 2 and table.sequence.str.len().max() == 40_000
    pairs, _ = mine_twins(table)
    twins = pairs[pairs.anchor_id.str.startswith("giant")]
    assert len(twins) == 1 and twins.seq_similarity.iloc[0] == pytest.approx(1 - 20 / 40_000)
    split = split_proteins(table, pairs=pairs)
    assert split[split.protein_id.str.startswith("giant")].split.nunique() == 1


SCRIPTS = ("酵素は脂肪を分解する。", "Фермент расщепляет жиры.", "الإنزيم يحلل الدهون.", "एंजाइम वसा को तोड़ता है।", "Ένζυμο που διασπά λίπη.", "脂肪酶 🧬 ｆｕｌｌｗｉｄｔｈ ½")


def test_texts_in_other_scripts(tiny_run, tiny_table, tmp_path):
    "A whole run on texts in six scripts: every text arrives letter by letter in the tables of the run, and nothing is set aside."
    texts = [f"{text} {SCRIPTS[k % len(SCRIPTS)]} {k}" for k, text in enumerate(tiny_table.text)]
    run_dir = fit_table(tiny_run, tiny_table.assign(text=texts), tmp_path)
    assert len(read_table(run_dir.rejected_path)) == 0
    pairs, strings = read_table(run_dir.path / "pairs.parquet"), read_json(run_dir.path / "strings.json")
    assert set(pairs.anchor_text) | set(pairs.hard_neg_text) <= set(texts) and set(strings["text"]) <= set(texts)
    assert read_json(run_dir.metrics_path)["twins"]


def test_a_text_encoder_cannot_run_its_code(tmp_path):
    "A folder that brings code of its own is refused, without a question at the terminal, and its code is not run; who wants it says so."
    from protrek_nb import go
    from protrek_nb.go.data import load_go
    (tmp_path / "own.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'was run')!r}).touch()\n")
    core.write_json(tmp_path / "config.json", dict(model_type="own", auto_map=dict(AutoConfig="own.Config", AutoModel="own.Model", AutoTokenizer=["own.Tokenizer", None])))
    core.write_json(tmp_path / "tokenizer_config.json", dict(auto_map=dict(AutoTokenizer=["own.Tokenizer", None])))
    with pytest.raises(ValueError, match="trust_remote_code"): go.make_texts(go.GoRun(text=str(tmp_path)), load_go().ontology)
    assert not (tmp_path / "was run").exists()


def test_what_go_sets_aside_is_told_before_the_split(tmp_path, monkeypatch):
    "A split may fail, and then the reason is often in the rows that were set aside."
    from protrek_nb import go
    from protrek_nb.runs import fit
    rows = "".join(f"P{i}\tMKVLAAGIVGLCAKAYWDERTS\tGO:0000001\n" for i in range(4))
    (tmp_path / "go.tsv").write_text(f"protein_id\tsequence\tterms\n{rows}bad\tMK7LV\tGO:0000001\n")
    (tmp_path / "go.obo").write_text("format-version: 1.2\n\n[Term]\nid: GO:0008150\nname: process\nnamespace: biological_process\n\n"
                                     "[Term]\nid: GO:0000001\nname: eating\nnamespace: biological_process\nis_a: GO:0008150\n")
    run = go.GoRun(name="few", data=str(tmp_path / "go.tsv"), ontology=str(tmp_path / "go.obo"), encoder="letters")
    with helpers.runs_in(tmp_path), pytest.raises(ValueError): fit(run, helpers.quiet)
    rejected = pd.read_csv(next(tmp_path.glob("few*/rejected.csv")))
    assert rejected[["row", "value"]].values.tolist() == [[6, "bad"]]
