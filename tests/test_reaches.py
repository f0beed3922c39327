"""A setting that is configured reaches the place where it acts: each field of a recipe and of a run is followed to its effect."""
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

import helpers
from protrek_nb import train
from protrek_nb.binding import BindingRun
from protrek_nb.core import RunDir, read_table
from protrek_nb.go import GoRun
from protrek_nb.models.aligned import AlignedResidues, make_frame
from protrek_nb.training.recipes import Recipe, RECIPES, TERMS
from protrek_nb.models.towers import Tower
from protrek_nb.runs import checkpoints
from protrek_nb.training import trainer
from protrek_nb.training.twins import TwinPlan, TwinTrainer, embed, replay_rows

BASE = Recipe(twin=1, general=1, twin_share_start=0.5, twin_share_end=0.5, batch_size=12, learning_rate=1e-3)
FOLLOWED = set()  # fields that some test here follows


def follows(*names):
    "Mark a test with the fields that it follows."
    FOLLOWED.update(names)
    return lambda test: test


@pytest.fixture(scope="module")
def part(tiny_data):
    "The training split."
    return tiny_data.part("train")


@pytest.fixture(scope="module")
def base(tiny_run, tiny_data):
    "Make a fresh copy of the small model."
    return lambda: train.load_base(tiny_run, tiny_data.table)


def plan_of(part, epochs=1, **changes):
    return TwinPlan(part.pairs, replay_rows(part.table), replace(BASE, **changes), epochs, seed=0)


def trainer_of(part, model, folder, epochs=1, teacher=None, sgd=False, **changes):
    "Make a trainer as `train_model` does."
    plan = plan_of(part, epochs, **changes)
    return TwinTrainer(model, plan, folder, lambda model: dict(score=0.0), teacher, helpers.quiet, **(dict(optim="sgd") if sgd else {}))


def first_loss(part, model, folder, **changes):
    "The loss of the first batch and its embeddings."
    loop = trainer_of(part, model, folder, **changes)
    with torch.no_grad():
        loss = loop.compute_loss(model, dict(batch=loop.plan[0]))
        embeddings, _ = embed(model, loop.plan[0], loop.recipe.structure)
    return float(loss), embeddings, loop.sums


def optimiser_of(part, model, folder, **changes):
    "The optimiser and the learning rates of all steps."
    loop = trainer_of(part, model, folder, **changes)
    loop.create_optimizer_and_scheduler(loop.plan.steps)
    rates = []
    for _ in range(loop.plan.steps):
        rates.append(loop.lr_scheduler.get_last_lr()[0])
        loop.optimizer.step(); loop.lr_scheduler.step()
    return loop.optimizer, np.array(rates)


@follows("triplet", "twin", "choice", "general")
@pytest.mark.parametrize("name", ["triplet", "twin", "choice", "general"])
def test_weights_of_terms(name, part, base, tmp_path):
    "The term appears when it has a weight, and counts as much as its weight says."
    off = dict(triplet=0, twin=0, choice=0, general=0, twin_share_start=0.5)
    once, _, terms = first_loss(part, base(), tmp_path, **(off | {name: 1.0}))
    thrice, _, _ = first_loss(part, base(), tmp_path, **(off | {name: 3.0}))
    assert set(terms) == {name, "loss"} and once > 0
    assert thrice == pytest.approx(3 * once, rel=1e-6)


@follows("distill")
def test_distill_reaches_a_frozen_teacher(tiny_run, tiny_data, base, tmp_path, monkeypatch):
    "`train_model` hands the base to the term: zero while nothing has moved, above zero later; the teacher never moves."
    monkeypatch.setitem(RECIPES, "tiny", replace(RECIPES["still"], distill=1.0))
    seen, compute = [], TwinTrainer.compute_loss
    def computed(self, *args, **kwargs):
        loss = compute(self, *args, **kwargs)
        seen.append((self.sums["distill"][-1], self.teacher))
        return loss
    monkeypatch.setattr(TwinTrainer, "compute_loss", computed)
    train.train_model(replace(tiny_run, epochs=1), base(), tiny_data, RunDir.create("x", tmp_path), helpers.quiet)
    assert seen[0][0] == pytest.approx(0, abs=1e-5) and seen[-1][0] > 1e-4
    assert helpers.differences(dict(seen[-1][1].state_dict()), dict(base().state_dict())) == []


@follows("margin")
def test_margin(part, base, tmp_path):
    "A random model violates nearly every margin: the triplet loss rises by what the margin rises."
    values = [first_loss(part, base(), tmp_path, triplet=1, twin=0, general=0, margin=m)[0] for m in (0.2, 0.7)]
    assert values[1] - values[0] == pytest.approx(0.5, abs=1e-5)


@follows("both_directions")
def test_both_directions(part):
    "With both directions each twin row has its mirror in the same batch; without, none has."
    def seen(plan): return [{(r["anchor_id"], r["hard_neg_id"]) for r in plan.rows(s) if "hard_neg_id" in r} for s in range(plan.steps)]
    assert all({pair[::-1] for pair in batch} == batch for batch in seen(plan_of(part, both_directions=True)))
    assert not any({pair[::-1] for pair in batch} & batch for batch in seen(plan_of(part, both_directions=False)))


@follows("twin_share_start", "twin_share_end")
def test_twin_share(part):
    "The scheduled share of twin rows is in the batches: the start's in the first one, the end's from the middle on."
    plan = plan_of(part, epochs=6, twin_share_start=0.0, twin_share_end=1.0)
    share = [np.mean(["hard_neg_id" in row for row in plan.rows(s)]) for s in range(plan.steps)]
    assert share[0] == 0 and set(share[plan.steps // 2:]) == {1.0} and 0 < share[plan.steps // 4] < 1


@follows("batch_size")
@pytest.mark.parametrize("size", [5, 12])
def test_batch_size(size, part):
    "Each batch has that many rows, and an epoch as many batches as it takes to see each twin row once."
    plan = plan_of(part, batch_size=size)
    assert {len(plan[i]) for i in range(len(plan))} == {size}
    assert len(plan) == -(-2 * len(part.pairs) // size)


@follows("learning_rate", "weight_decay", "beta2")
def test_optimiser(part, base, tmp_path):
    "Rate, decay and second beta are AdamW's, for every trained weight."
    model = base()
    adam, _ = optimiser_of(part, model, tmp_path, learning_rate=3e-4, weight_decay=0.07, beta2=0.91)
    assert type(adam).__name__ == "AdamW"
    decayed = [p for group in adam.param_groups if group["weight_decay"] == 0.07 for p in group["params"]]
    assert {group["betas"][1] for group in adam.param_groups} == {0.91} and {group["initial_lr"] for group in adam.param_groups} == {3e-4}
    assert {id(p) for p in decayed} == {id(p) for p in model.parameters() if p.requires_grad}


@follows("lr_schedule", "warmup")
def test_learning_rate_over_the_run(part, base, tmp_path):
    "Constant stays, cosine ends near zero, warm-up rises from zero to the full rate."
    rates = {(s, w): optimiser_of(part, base(), tmp_path, epochs=5, lr_schedule=s, warmup=w)[1] / 1e-3 for s in ("constant", "cosine") for w in (0.0, 0.25)}
    n = len(rates["constant", 0.0])
    assert (rates["constant", 0.0] == 1).all() and rates["cosine", 0.0][0] == 1 and rates["cosine", 0.0][-1] < 0.05
    for schedule in ("constant", "cosine"):
        warm = rates[schedule, 0.25]
        assert warm[0] == 0 and (np.diff(warm[:n // 4 + 1]) > 0).all() and warm.max() == pytest.approx(1)
    assert rates["constant", 0.25][-1] == 1 and rates["cosine", 0.25][-1] < 0.05


def step_length(part, model, folder, clip):
    "How far one step of plain gradient descent with rate 1 moves the weights: the norm of the clipped gradient."
    before = [p.detach().clone() for p in model.parameters()]
    loop = trainer_of(part, model, folder, sgd=True, clip=clip, learning_rate=1.0, weight_decay=0.0, batch_size=2 * len(part.pairs))
    loop.train()
    assert loop.state.global_step == 1
    return float(torch.stack([(p.detach() - q).norm() for p, q in zip(model.parameters(), before)]).norm())


@follows("clip")
def test_clip(part, base, tmp_path):
    "A clipped step is as long as the limit; 0 does not clip."
    free = step_length(part, base(), tmp_path / "a", 0.0)
    assert free > 0.02
    assert step_length(part, base(), tmp_path / "b", 0.01) == pytest.approx(0.01, rel=1e-3)
    assert step_length(part, base(), tmp_path / "c", 1e6) == pytest.approx(free, rel=1e-4)


def trained(run, found, model, folder, monkeypatch, **changes):
    "Train with changes to the recipe of the small run; give model and run folder."
    monkeypatch.setitem(RECIPES, "tiny", replace(RECIPES["tiny"], **changes))
    run_dir = RunDir.create("x", folder)
    return train.train_model(run, model, found, run_dir, helpers.quiet), run_dir


@follows("towers")
@pytest.mark.parametrize("towers", [("sequence",), ("text",)])
def test_towers(towers, tiny_run, tiny_data, base, tmp_path, monkeypatch):
    "Only the towers of the recipe move."
    after, _ = trained(replace(tiny_run, epochs=1), tiny_data, base(), tmp_path, monkeypatch, towers=towers)
    moved = {name.split(".")[0] for name in helpers.differences(dict(after.state_dict()), dict(base().state_dict()))}
    assert moved - {"temperature"} == set(towers)


@follows("dropout")
def test_dropout(part, base, tmp_path):
    "The rate is that of every dropout layer; training is noisy, evaluation is not."
    model = base()
    loop = trainer_of(part, model, tmp_path, dropout=0.3)
    rates = {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}
    assert rates == {0.3}
    def loss(): return float(loop.compute_loss(model, dict(batch=loop.plan[0])).detach())
    model.train()
    assert loss() != loss()
    model.eval()
    assert loss() == loss()


@follows("structure")
def test_structure(part, base, tmp_path):
    "3Di strings are encoded, and the loss knows them."
    without, seen, _ = first_loss(part, base(), tmp_path, twin=0, twin_share_start=0, twin_share_end=0)
    with_it, seen_3di, _ = first_loss(part, base(), tmp_path, twin=0, twin_share_start=0, twin_share_end=0, structure=True)
    assert set(seen) == {"sequence", "text"} and set(seen_3di) == {"sequence", "text", "structure"}
    assert seen_3di["structure"].shape == seen_3di["sequence"].shape and with_it != without


def test_structure_of_twins(tiny_run, tiny_data, base, tmp_path, monkeypatch):
    "A recipe with twins and 3Di strings trains all three towers: twin rows carry their 3Di strings too."
    after, _ = trained(replace(tiny_run, epochs=1), tiny_data, base(), tmp_path, monkeypatch, structure=True, towers=("sequence", "text", "structure"))
    moved = {name.split(".")[0] for name in helpers.differences(dict(after.state_dict()), dict(base().state_dict()))}
    assert moved >= {"sequence", "text", "structure"}


def test_structure_that_is_not_there(part):
    "A recipe with 3Di strings and a table without them is refused in words."
    table = part.table.assign(structure_3di=[""] + part.table.structure_3di.tolist()[1:])
    for lacking in (table, table.drop(columns="structure_3di")):
        with pytest.raises(ValueError, match="training proteins have none: complete the column structure_3di"):
            TwinPlan(part.pairs, replay_rows(lacking), replace(BASE, structure=True), 1, seed=0)


@follows("lora_rank")
def test_lora_rank(tiny_run, tiny_data, base, tmp_path, monkeypatch):
    "Adapters of that rank are trained: each linear layer moves by a matrix of at most that rank, all else in the encoders stays; checkpoints can be read."
    before = dict(base().state_dict())
    after, run_dir = trained(replace(tiny_run, epochs=1), tiny_data, base(), tmp_path, monkeypatch, lora_rank=2, keep="best")
    after = dict(after.state_dict())
    assert after.keys() == before.keys(), "the adapters are merged at the end"
    moved = [n for n in helpers.differences(after, before) if ".encoder." in n]
    assert moved and all(before[n].ndim == 2 and torch.linalg.matrix_rank((after[n] - before[n]).double(), rtol=1e-4) <= 2 for n in moved)
    assert not any("embeddings" in n or "LayerNorm" in n for n in moved)


@follows("ridge")
def test_ridge(tiny_run, tiny_data, base, tmp_path, monkeypatch):
    "The part that looks at residues comes near the texts' vectors, as long as the recipe says, and moves no more where no term has a weight."
    seen, solve = [], AlignedResidues.solve
    def solved(self, sequences, wanted_ND):
        seen.append((sequences, wanted_ND))
        return solve(self, sequences, wanted_ND)
    monkeypatch.setattr(AlignedResidues, "solve", solved)
    table, run = tiny_data.part("train").table, replace(tiny_run, epochs=1)
    some = table[table.component == table.component.mode()[0]]
    model = base().add_aligned(make_frame(some.sequence.tolist(), some.component.tolist(), changes=False))
    solved_model, run_dir = trained(run, tiny_data, model, tmp_path / "with", monkeypatch, ridge=3.0, **dict.fromkeys(TERMS, 0.0))
    fitted = solved_model.aligned.weight.detach().clone()
    solve(solved_model.aligned, *seen[0])
    assert torch.equal(fitted, solved_model.aligned.weight) and read_table(run_dir.history_path).epoch.tolist() == [0, 1]
    assert seen[0][0] == table.sequence.tolist() and np.linalg.norm(seen[0][1], axis=1) == pytest.approx(3, abs=1e-4)
    with pytest.raises(ValueError, match="ridge = 3.0: only a run on alleles"):
        trained(run, tiny_data, base(), tmp_path / "without", monkeypatch, ridge=3.0)
    monkeypatch.undo()


@follows("readers", "reader_share")
def test_readers(tiny_run, tiny_data, base, tmp_path, monkeypatch):
    "Readers with so many queries are trained, on both sides, and have their share of a vector; the towers beside them stay as they are, bit for bit."
    before = dict(base().state_dict())
    after, _ = trained(replace(tiny_run, epochs=1), tiny_data, base(), tmp_path, monkeypatch, readers=3, reader_share=0.4, towers=())
    assert abs(float(after.get_protein_repr(tiny_data.table.sequence[:1].tolist())[0, after.config.repr_dim:].square().sum()) - 0.4) < 1e-5
    after = dict(after.state_dict())
    new = {name: after.pop(name) for name in list(after) if name.startswith("readers.")}
    assert new["readers.text.out"].shape[0] == new["readers.sequence.out"].shape[0] == 3
    assert set(helpers.differences(after, before)) <= {"temperature"}
    assert all(x.std() > 0 for name, x in new.items() if name.endswith("out"))


@follows("keep", "save_every", "save_steps", "patience")
@pytest.mark.parametrize("changes, scores, saved, kept", [
    (dict(save_every=2, keep="last"), [.9, .8, .7, .6, .5], [4, 16, 20], 20),  # best, newest two; the last epoch is always saved
    (dict(save_every=99, keep="best"), [.5, .9, .7, .6, .5], [8, 20], 8),
    (dict(save_every=99, keep="best", patience=2), [.5, .9, .7, .6, .5], [8, 16], 8),
    (dict(save_every=99, keep="last", save_steps=3), [.9, .8, .7, .6, .5], [4, 18, 20], 20),  # every third step within an epoch; the newest stay
])
def test_checkpoints(changes, scores, saved, kept, tiny_run, tiny_data, base, tmp_path, monkeypatch):
    "What is saved, when a run stops, and which checkpoint it ends with."
    given = iter(scores)
    monkeypatch.setattr(train, "FEW", 0)
    monkeypatch.setattr(train, "twin_validation", lambda part: lambda model: dict(score=next(given)))
    model, run_dir = trained(replace(tiny_run, epochs=5), tiny_data, base(), tmp_path, monkeypatch, **changes)
    assert [step for step, _ in checkpoints(run_dir.checkpoints_dir)] == saved
    wanted = helpers.load_file(run_dir.checkpoints_dir / f"checkpoint-{kept}" / "model.safetensors")
    assert helpers.differences({n: v for n, v in model.state_dict().items() if n in wanted}, wanted) == []


def test_few_twins_choose_no_epoch(tiny_run, tiny_data, base, tmp_path, monkeypatch):
    "Where validation has fewer twins than it takes to choose an epoch, the last one is kept, and the log says why."
    few, said = len(tiny_data.part("valid").pairs), []
    monkeypatch.setitem(RECIPES, "tiny", replace(RECIPES["tiny"], keep="best"))
    for least, lines in ((few, 0), (few + 1, 1)):
        given = iter([.5, .9, .6])
        monkeypatch.setattr(train, "FEW", least)
        monkeypatch.setattr(train, "twin_validation", lambda part: lambda model: dict(score=next(given)))
        run_dir = RunDir.create("x", tmp_path)
        model = train.train_model(tiny_run, base(), tiny_data, run_dir, said.append)
        assert sum(f"validation has {few} twin pairs, too few to choose an epoch by: the last one is kept" in line for line in said) == lines
        steps = [step for step, _ in checkpoints(run_dir.checkpoints_dir)]
        wanted = helpers.load_file(run_dir.checkpoints_dir / f"checkpoint-{steps[-1] if lines else steps[-2]}" / "model.safetensors")
        assert helpers.differences({n: v for n, v in model.state_dict().items() if n in wanted}, wanted) == []


def test_every_field_of_a_recipe_is_followed():
    "A new field of the recipe needs a test here."
    assert FOLLOWED == {f.name for f in fields(Recipe)}


# ---------------------------------------------------------------- the parameters of a run

def test_rate_and_batch_size_of_a_run_override_the_recipe(tiny_run):
    "`-p learning_rate` and `-p batch_size` are the recipe's, whatever it says itself."
    chosen = replace(tiny_run, learning_rate=0.123, batch_size=7).chosen
    assert (chosen.learning_rate, chosen.batch_size) == (0.123, 7)


def test_tensorboard_reaches_the_run_folder(tiny_run, tiny_data, base, tmp_path):
    "With it there are event files, without there are none."
    for wanted in (True, False):
        run_dir = RunDir.create("x", tmp_path)
        train.train_model(replace(tiny_run, epochs=1, tensorboard=wanted), base(), tiny_data, run_dir, helpers.quiet)
        assert bool(list(run_dir.path.glob("tensorboard/events*"))) is wanted


def test_compile_reaches_the_layers(tiny_run, tiny_data, base, tmp_path, monkeypatch):
    "With it the layers are compiled, the log says what that took, and the run is the same; without it nothing is compiled."
    seen, said, found = [], [], {}
    monkeypatch.setitem(trainer.COMPILER, "backend", lambda graph, inputs: seen.append(graph) or graph.forward)
    for wanted in (False, True):
        assert not seen
        run_dir, model = RunDir.create("x", tmp_path), base()
        run = replace(tiny_run, epochs=1, compiled=wanted, recipe="balanced", learning_rate=1e-4)
        found[wanted] = train.train_model(run, model, tiny_data, run_dir, said.append)
        assert any("layers are compiled: the first step took" in line for line in said) is wanted
        assert all(layer._compiled_call_impl is None for layer in model.modules())
    assert seen
    for name, weight in found[False].state_dict().items():
        assert torch.allclose(weight, found[True].state_dict()[name], atol=1e-5), name


def test_cached_gradients_reach_the_model(tiny_run, tiny_data, base, tmp_path, monkeypatch):
    "With them each batch of strings is computed twice, with the same dropout, and the run is the same; without, once."
    calls, found = [], {}
    plain = Tower.pool
    monkeypatch.setattr(Tower, "pool", lambda self, *given: calls.append(torch.is_grad_enabled()) or plain(self, *given))
    for wanted in (False, True):
        run = replace(tiny_run, epochs=1, cached_gradients=wanted)
        found[wanted] = train.train_model(run, train.load_base(run, tiny_data.table), tiny_data, RunDir.create("x", tmp_path), helpers.quiet).state_dict()
        found[wanted, "calls"] = sum(calls)
        calls.clear()
    assert found[True, "calls"] == 2 * found[False, "calls"] > 0
    for name, weight in found[False].items(): assert torch.allclose(weight, found[True][name], atol=1e-6), name


def test_compile_without_layers_or_compiler(monkeypatch, base):
    "Where nothing can be compiled, the message says so, and what to do."
    with pytest.raises(ValueError, match="no transformer layer learns in this model"): trainer.compile_layers(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="no transformer layer learns"): trainer.compile_layers(base().requires_grad_(False))
    monkeypatch.setenv("CXX", "no-such-tool")
    with pytest.raises(ValueError, match="= True needs a C\\+\\+ compiler, and no-such-tool is not found"): trainer.compile_layers(base())


@pytest.mark.parametrize("run, fields", [(train.TrainRun, dict(compiled=True)), (train.TrainRun, dict(cached_gradients=True, recipe="balanced_heads")),
                                         (GoRun, dict(compiled=True)), (BindingRun, dict(compiled=True, data="metal"))])
def test_a_field_that_would_do_nothing_is_refused(run, fields):
    "Where no encoder learns, nothing could be compiled or computed again; the message comes before anything is read."
    with pytest.raises(ValueError, match="no transformer layer learns in this run, so it would do nothing"): run(**fields)


def test_text_difference_reaches_the_miner(tiny_run, tiny_table):
    "The mining report names the text difference that was asked for."
    told = {kind: str(replace(tiny_run, text_difference=kind).prepare(tiny_table).mined) for kind in ("grounded", "tfidf_corpus")}
    assert "grounded" in told["grounded"] and "tfidf_corpus" in told["tfidf_corpus"]


def test_max_identity_reaches_split_and_certificate(tiny_run, tiny_table):
    "The certificate is for the identity that was asked for."
    assert replace(tiny_run, max_identity=0.4).prepare(tiny_table).certificate["threshold"] == 0.4


def test_seed_reaches_split_batches_and_model(tiny_run, tiny_table):
    "Another seed is another split, other batches, other weights; the same seed is the same."
    def made(seed):
        run = replace(tiny_run, seed=seed)
        found = run.prepare(tiny_table)
        rows = TwinPlan(found.part("train").pairs, replay_rows(found.part("train").table), run.chosen, 1, run.seed).rows(0)
        return found.table.split.tolist(), [row["anchor_id"] for row in rows], train.load_base(run, tiny_table).sequence.out.weight
    (split, rows, weight), (again, rows_again, weight_again), (other, rows_other, weight_other) = made(42), made(42), made(7)
    assert split == again and rows == rows_again and torch.equal(weight, weight_again)
    assert split != other and rows != rows_other and not torch.equal(weight, weight_other)


@follows("fixed")
def test_fixed(tiny_run, tiny_data, base, tmp_path, monkeypatch):
    "The encoders do not move and are not even called: what they gave was computed before. The ways into the joint space move."
    model = base()
    train.recall_table(model, tiny_data.table, say=helpers.quiet)
    before = {name: x.clone() for name, x in model.state_dict().items()}
    for kind in ("sequence", "text"): monkeypatch.setattr(model.get_submodule(kind).encoder, "forward", None)
    after, run_dir = trained(replace(tiny_run, epochs=1), tiny_data, model, tmp_path, monkeypatch, fixed=("sequence", "text"), keep="best")
    moved = helpers.differences(dict(after.state_dict()), before)
    assert {"sequence.out.weight", "text.out.weight"} <= set(moved) and not any(".encoder." in name for name in moved)
