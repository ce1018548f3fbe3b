# make run    set up, then run the notebooks of a grid: figures, a table, executed notebooks; PLAN=1 only plans
# make check  does what `make run` found last equal the committed results, within tolerances?
# make test   set up, then run the tests
# make listen DATASET=...   serve notebook 06 as a page on this machine (PORT=8866, HOST=127.0.0.1)
# make paper  set up, then build the paper, the poster and the slides from what `make run` wrote (DATASET=mini)
# make models MODELS="a b"   download the weights of models by name; without names, list the models
# make bench   measure speed, against figures/benchmarks/ratios.csv; SAVE=1 writes it, its plots and the README's table
# make verify DATASET=...    is a copy of a collection whole, and what is in it?
# make data DATASET=...      fetch a known collection: fsd50k, fsd50k-dev, esc50, urbansound8k
# make lint   style and types: ruff, mypy
# make leaderboard   every score that was computed here: a table, and a page that opens in a browser
# Every target sets up .venv first if it is missing or older than pyproject.toml.

PYTHON ?= python3
# Not ?=: a NAME or a DATASET of the environment means something else.
GRID := notebooks/grids/mini.yaml
DATASET :=
QUERY :=
NAME :=
ANCESTORS :=
JOBS :=
CLUSTER :=
PLAN :=
SAVE :=
MODELS :=
export DATASET QUERY NAME
HOST ?= 127.0.0.1
PORT ?= 8866

BIN := .venv/bin
READY := .venv/ready

# A misspelt variable would be passed over in silence, and minutes later another collection is there.
TAKES := DATASET QUERY NAME ANCESTORS GRID PLAN JOBS CLUSTER MODELS SAVE HOST PORT PYTHON BIN READY
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
ODD := $(filter-out $(TAKES) SHELL MAKE% -%,$(GIVEN))
$(if $(ODD),$(error $(ODD) means nothing here: there are $(TAKES)))

.PHONY: setup run check test paper listen models data verify leaderboard bench lint clean

setup: $(READY)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else \
		"Python 3.11 to 3.13 is needed, but $(PYTHON) is %d.%d: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv --clear .venv
	@echo 'installing into .venv: some minutes without a word, 4 GB (more where torch brings CUDA along)'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[all]'
	@touch $(READY)

run: $(READY)
	@$(BIN)/python -m sss_lib.experiment run $(GRID) \
		$(if $(DATASET),--dataset "$$DATASET") $(if $(QUERY),--query "$$QUERY") \
		$(if $(NAME),--name "$$NAME") $(if $(filter-out 0 no false,$(ANCESTORS)),--add-ancestors) \
		$(if $(JOBS),--n-jobs $(JOBS)) $(if $(CLUSTER),--cluster $(CLUSTER)) \
		$(if $(filter-out 0 no false,$(PLAN)),--plan)

check: $(READY)
	@$(BIN)/python -m sss_lib.reproduction

test: $(READY)
	@$(BIN)/python -m pytest -n 2 --dist loadfile

paper: $(READY)
	@$(BIN)/python -m sss_lib.paper $(if $(DATASET),--dataset "$$DATASET")

listen: $(READY)
	@$(BIN)/python -m sss_lib.listening --host '$(HOST)' --port $(PORT) \
		$(if $(DATASET),--dataset "$$DATASET")

models: $(READY)
	@$(BIN)/python -m sss_lib.models $(MODELS)

data: $(READY)
	@$(BIN)/python -m sss_lib.collections $(DATASET)

verify: $(READY)
	@$(BIN)/python -m sss_lib.verification "$${DATASET:-mini}"

leaderboard: $(READY)
	@$(BIN)/python -m sss_lib.leaderboard

bench: $(READY)
	@$(BIN)/python tests/benchmarks/search_and_evaluation.py
	@$(BIN)/python tests/benchmarks/scale.py $(if $(SAVE),--save)
	@$(BIN)/python tests/benchmarks/approximate.py $(if $(SAVE),--save)
	@$(BIN)/python tests/benchmarks/extraction.py
	@$(BIN)/python tests/benchmarks/notebooks.py
	@$(BIN)/python tests/benchmarks/listening.py

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

clean:
	rm -rf .venv data/datasets data/embeddings data/similarity_rankings data/indexes data/evaluation_results data/figures data/runs
