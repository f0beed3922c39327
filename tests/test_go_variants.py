"""Runs of the second system that the page does not make: pretrained encoders, other presets, and tables too small to ask every question."""
import helpers
import pandas as pd
import pytest
import torch
from protrek_nb import go
from protrek_nb.go.data import load_go
from protrek_nb.core import read_json, read_table
from protrek_nb.go.ontology import Ontology
from protrek_nb.go.terms import TermText
from protrek_nb.models.tokens import AA_VOCAB, bert_tokenizer, esm_tokenizer, wordpiece_vocab
from protrek_nb.toy.terms import load_terms, toy_obo_path
from protrek_nb.runs import checkpoints
from transformers import BertConfig, BertModel, EsmConfig, EsmModel


def few_proteins(path, families):
    "Write the toy proteins of a few families."
    table = load_terms()
    table[table.family.isin(table.family.unique()[:families])].to_csv(path, index=False)
    return str(path)


def test_pretrained_encoders(tmp_path):
    "Both encoders come from folders; the text encoder learns at its own rate; the trained run predicts; without the curriculum numbers stay and the kinds of negatives change."
    torch.manual_seed(0)
    protein, text, vocabulary = tmp_path / "esm", tmp_path / "bert", esm_tokenizer(AA_VOCAB)
    EsmModel(EsmConfig(vocab_size=len(vocabulary), pad_token_id=vocabulary.pad_token_id, mask_token_id=vocabulary.mask_token_id, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, position_embedding_type="rotary", token_dropout=False),
             add_pooling_layer=False).save_pretrained(protein)
    vocabulary.save_pretrained(protein)
    ontology = Ontology.from_obo(toy_obo_path())
    writer = TermText(ontology)
    tokenizer = bert_tokenizer(wordpiece_vocab([writer.text(row, "all") for row in range(len(ontology))], 300))
    BertModel(BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)).save_pretrained(text)
    tokenizer.save_pretrained(text)
    data = few_proteins(tmp_path / "proteins.csv", 40)
    run = go.GoRun(name="both", data=data, ontology=str(toy_obo_path()), encoder=str(protein), text=str(text), preset="yaml", curriculum=False, epochs=2, batch_size=16, replicates=2)
    with helpers.runs_in(tmp_path): run_dir = go.fit(run, say=helpers.quiet)
    rates = {round(group["initial_lr"], 9) for group in torch.load(checkpoints(run_dir.checkpoints_dir)[-1][1] / "optimizer.pt", weights_only=True)["param_groups"] if group["params"]}
    assert rates == {run.chosen.learning_rate, run.text_learning_rate}
    trace = read_table(run_dir.path / "trace.csv")
    assert trace.k_hard.nunique() == 1 and trace.n_in_batch.iloc[0] > 0 == trace.n_in_batch.iloc[-1] and trace.n_sibling.iloc[0] == 0 < trace.n_sibling.iloc[-1]
    predicted = go.predict_terms(data, run_dir.path, top=3)
    assert len(predicted) == 3 * len(pd.read_csv(data)) and predicted.score.notna().all()


def test_small_tables(tmp_path):
    "Where too few terms could be held out, what can be asked is measured and the rest is named; where nothing could choose a checkpoint, the run ends before it trains."
    run = go.GoRun(name="few", data=few_proteins(tmp_path / "few.csv", 12), ontology=str(toy_obo_path()), encoder="letters", epochs=1, batch_size=16, replicates=2)
    found = load_go(run.data, run.ontology)
    assert not set(found.hidden) & set(found.ontology.roots)
    found.hidden = found.hidden[:0]
    proteins = go.open_residues("letters", dict(zip(found.table.protein_id, found.table.sequence)), store_dir=tmp_path / "residues")
    store, system = go.make_system(run, found.ontology, proteins.width)
    metrics = go.measure_go(found, system.student, store, proteins, 2)
    assert metrics["skipped"] == ["unseen terms", "both"] and {r["question"] for r in metrics["questions"]} == {"unseen proteins"}
    found.table.loc[found.at("valid"), "split"] = "test"
    with pytest.raises(ValueError, match="0 validation proteins"): go.term_validation(found, store, proteins)
