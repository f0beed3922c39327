# Two commands do everything: `make train` and `make test`. Both make the environment first, once.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
LINKS := $(if $(UV_FIND_LINKS),$(UV_FIND_LINKS),$(PIP_FIND_LINKS))
EPOCHS ?= 30
KILLS ?= 1000
SECONDS ?= 600
export TOKENIZERS_PARALLELISM := false
# Bytecode is kept in the environment, even where Python is told to write none: the tests start many processes, and each would compile PyTorch and transformers again.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(abspath $(VENV))/bytecode

.PHONY: env train test check notebooks suite chaos flips fuzz weights data base real-base study real studies bench bench-quick docs clean

env: $(VENV)/.made  ## the environment, with pinned versions

# The last three lines: kernels do not remark on widgets, which pages do not use; what JupyterLab saves is clean; git merges notebooks by cells, in a clone.
# Where the CPU build of PyTorch is offered as a file (PIP_FIND_LINKS), it is used; elsewhere uv picks the build that fits this machine: CPU where there is no GPU.
$(VENV)/.made: settings.ini setup.py constraints.txt
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), f"Python 3.11 to 3.13 is needed, this is {sys.version}"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(if $(LINKS),UV_FIND_LINKS=$(LINKS) $(UV) -c constraints.txt -e '.[dev]', $(UV) --torch-backend auto -c constraints.txt -e '.[dev]' || $(UV) -c constraints.txt -e '.[dev]')
	$(BIN)/python -m ipykernel install --sys-prefix --env PYTHONWARNINGS 'ignore:IProgress not found' >/dev/null
	mkdir -p $(VENV)/etc/jupyter && printf 'import sys\nsys.path.append("$(CURDIR)/tests")\nfrom save_hook import on_save\nc.ContentsManager.pre_save_hook = on_save\n' > $(VENV)/etc/jupyter/jupyter_server_config.py
	if [ -d .git ]; then git config merge.nbdev-merge.name 'merge notebooks by cells' && git config merge.nbdev-merge.driver '$(abspath $(BIN))/nbdev_merge %O %A %B %P'; fi
	touch $@

train: env  ## the main run on the toy world: run folder, figures, metric table
	$(BIN)/papermill --log-output nbs/05_train.ipynb out.ipynb -p epochs $(EPOCHS)

test: check  ## everything: export in step, lint, notebooks as tests, tests that span notebooks; side by side, and who is done with the tests helps with the notebooks
	@shared=$$(mktemp -d) && trap 'rm -r "$$shared"' EXIT && \
	$(MAKE) --no-print-directory -j2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) SHARED=$$shared notebooks suite

check: env  ## notebooks are clean and the library is what they export
	@$(BIN)/python tests/in_step.py

notebooks: env  ## every notebook from top to bottom
	$(BIN)/python tests/pages.py $(SHARED)

suite: env  ## lint, papermill, checkpoints, resume, parity, bad input
	$(BIN)/python -m pytest -q --durations=15 tests
	$(if $(SHARED),$(BIN)/python tests/pages.py $(SHARED))

chaos: env  ## kill every kind of long job so many times, at random and inside saves; compare what is left, bit by bit (hours)
	$(BIN)/python tests/chaos/chaos.py --kills $(KILLS) $(if $(SEED),--seed $(SEED)) --out benchmarks/results/damage_kills.csv

flips: env  ## change bits in every file that a run, a report or a loaded model reads; count what nobody notices
	$(BIN)/python tests/chaos/flips.py --places 20 $(if $(SEED),--seed $(SEED)) --out benchmarks/results/damage_flips.csv

fuzz: env  ## give every reader files that nobody would write, for so many seconds
	$(UV) 'atheris>=3,<4' || echo "atheris has no build for this machine: hypothesis alone"
	$(BIN)/python tests/fuzz/fuzz.py --seconds $(SECONDS) --out benchmarks/results/damage_fuzz.csv

weights: env  ## fetch two pretrained encoders, UniRep and MiniLM, once; the licences are printed
	$(BIN)/python -m protrek_nb.models.weights unirep minilm

data: env  ## write the toy tables again: always the same bytes
	for world in world terms isolates sites; do $(BIN)/python -m protrek_nb.toy.$$world || exit 1; done

base: env  ## pretrain the toy base model again (about 18 minutes on two cores)
	$(BIN)/python -m protrek_nb.toy.base

real-base: weights  ## join UniRep and MiniLM, and train their heads on real proteins; needs the public tables; it reads ten million residues first, once
	$(BIN)/python -m protrek_nb.studies.base

study: env  ## the toy run with five seeds and two recipes, one row each in benchmarks/results/toy_study.csv
	$(BIN)/python benchmarks/toy_study.py

real: env  ## tune the real base (first `make real-base`, once) on real toxins and terpene synthases; needs the public tables
	$(BIN)/python benchmarks/real_runs.py

studies: env  ## the sister systems: parts taken away, splits with every control, real data; hours on two cores
	for study in go_study go_real pair_heads pair_splits binding_study binding_real binding_step; do $(BIN)/python benchmarks/$$study.py || exit 1; done

bench: env  ## similarity, mining, encoding, embedding and the training step against their peers; over an hour on two cores
	for question in similarity mining encoding embedding step; do $(BIN)/python benchmarks/$$question.py || exit 1; done

bench-quick: env  ## has a change made something slow? five ratios in a few minutes, compared with those kept for this kind of processor
	$(BIN)/python benchmarks/quick.py

docs: env  ## the site as HTML in _docs, to be read from the disk: no network, no Quarto; about a minute on two cores
	$(BIN)/python docs/build.py

clean:
	rm -rf $(VENV) out*.ipynb reports/runs _docs _proc build dist *.egg-info
