# make run    set up what a run needs, then run the notebooks of a grid: figures, a table, executed notebooks; PLAN=1 only plans
#             (IMPORT=1: also with modules that a grid names as hear:module, and that aren't installed)
# make check  does what `make run` found last equal the committed results, within tolerances?
# make test   set up the rest, then run the quick tests; make test-all: every test, as CI does
# make listen DATASET=...   serve notebook 06 as a page on this machine (PORT=8866, HOST=127.0.0.1)
# make judge STUDY=...      serve a listening study as a page for its judges (PORT=8877, HOST=127.0.0.1; REPORT=1: what they said)
# make paper  build the paper, the poster and the slides from what `make run` wrote (DATASET=mini)
# make models MODELS="a b"   download the weights of models by name; without names, list the models
# make bench   measure speed, against figures/benchmarks/ratios.csv; SAVE=1 writes that folder
# make verify DATASET=...    is a copy of a collection whole, and what is in it?
# make data DATASET=...      fetch a known collection: fsd50k, fsd50k-dev, esc10, esc50, urbansound8k; LABELS=1: without its audio
# make lint   style and types: ruff, mypy
# make leaderboard   every score that was computed here: a table, and a page that opens in a browser
# make setup  everything into .venv, in the versions of constraints.txt; LATEST=1: in the newest that pyproject.toml allows
# make lock   write the newest versions into constraints.txt
# Every target sets up .venv first, as far as it needs it, if it is missing or older than pyproject.toml or constraints.txt.

PYTHON ?= python3
# Not ?=: a NAME, a HOST or a DATASET of the environment means something else.
GRID := notebooks/grids/mini.yaml
DATASET :=
QUERY :=
NAME :=
ANCESTORS :=
LABELS :=
GROUND_TRUTH :=
FAMILIES :=
NO_AUDIO :=
STRICT :=
WINDOW :=
FREESOUND :=
JOBS :=
CLUSTER :=
PLAN :=
IMPORT :=
SAVE :=
LATEST :=
MODELS :=
HOST :=
PORT :=
STUDY :=
REPORT :=

BIN := .venv/bin
READY := .venv/ready

# make passes over a misspelt variable in silence, and minutes later another collection is there.
TAKES := DATASET QUERY NAME ANCESTORS LABELS GROUND_TRUTH FAMILIES NO_AUDIO STRICT WINDOW FREESOUND GRID PLAN IMPORT \
    JOBS CLUSTER MODELS SAVE LATEST HOST PORT STUDY REPORT PYTHON BIN READY
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
ODD := $(filter-out $(TAKES) SHELL MAKE% -%,$(GIVEN))
$(if $(ODD),$(error $(ODD) means nothing here: there are $(TAKES)))

# Values arrive as typed: $(value) keeps make from expanding them, and the shell has them from the environment, in quotes.
$(foreach name,$(TAKES),$(eval override $(name) := $$(value $(name))))
export DATASET QUERY NAME GROUND_TRUTH FAMILIES WINDOW GRID JOBS CLUSTER MODELS HOST PORT STUDY
yes = $(filter-out 0 no false,$($1))
INSTALL = $(BIN)/python tools/install.py $(if $(call yes,LATEST),,--constraint constraints.txt)
# What Python compiles is kept: to compile it anew takes each process of a run 2 s.
SSS = @PYTHONDONTWRITEBYTECODE= $(BIN)/python -m sss_lib
# Two processes share the tests. Were each to start a thread a core besides, they would wait for each other: 12 times
# as long for networks, on a machine that does something else too. What Python compiles is kept, for all processes.
PYTEST = @OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadfile

ifneq ($(call yes,LATEST),)
.PHONY: $(READY)  # set up anew, whatever is there
endif
.PHONY: setup lock run check test test-all paper listen judge models data verify leaderboard bench lint clean

setup: $(READY)-all

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else \
		"Python 3.11 to 3.13 is needed, but $(PYTHON) is %d.%d: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv --clear .venv
	@echo 'Installing what a run needs into .venv: some 110 packages, 2.1 GB (more where torch brings CUDA along), 2 minutes'
	@$(INSTALL) --editable '.[torch,essentia,scale]'
	@touch $(READY)

$(READY)-all: $(READY)
	@echo 'Adding what the tests, the page and the paper need: some 90 packages, 0.9 GB, 1 minute'
	@$(INSTALL) --editable '.[all]'
	@touch $(READY)-all

# For every Python and system at once, which pip can't do. What is fetched for it stays out of the environment.
lock: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target .venv/uv uv
	.venv/uv/bin/uv pip compile --quiet --upgrade --universal --fork-strategy fewest --python-version 3.11 \
		--all-extras --no-build --no-header --no-annotate --output-file constraints.txt pyproject.toml

run: $(READY)
	$(SSS) run "$$GRID" $${DATASET:+--dataset "$$DATASET"} $${QUERY:+--query "$$QUERY"} $${NAME:+--name "$$NAME"} \
		$${JOBS:+--n-jobs "$$JOBS"} $${CLUSTER:+--cluster "$$CLUSTER"} \
		$${GROUND_TRUTH:+--ground-truth "$$GROUND_TRUTH"} $${FAMILIES:+--families "$$FAMILIES"} \
		$(if $(call yes,NO_AUDIO),--no-audio) $(if $(call yes,STRICT),--strict) \
		$${WINDOW:+--window "$$WINDOW"} \
		$(if $(call yes,ANCESTORS),--add-ancestors) $(if $(call yes,PLAN),--plan) \
		$(if $(call yes,IMPORT),--import-modules)

check: $(READY)
	$(SSS) check

test: $(READY)-all
	$(PYTEST)

test-all: $(READY)-all
	$(PYTEST) -m '' --hypothesis-profile full --durations 25

paper: $(READY)-all
	$(SSS) paper $${DATASET:+--dataset "$$DATASET"} $(if $(call yes,IMPORT),--import-modules)

listen: $(READY)-all
	$(SSS) listen $${DATASET:+--dataset "$$DATASET"} $${HOST:+--host "$$HOST"} $${PORT:+--port "$$PORT"} $(if $(call yes,FREESOUND),--freesound) \
		$(if $(call yes,IMPORT),--import-modules)

judge: $(READY)-all
	$(SSS) judge "$${STUDY:-notebooks/studies/mini.yaml}" $${HOST:+--host "$$HOST"} $${PORT:+--port "$$PORT"} \
		$(if $(call yes,REPORT),--report) $(if $(call yes,IMPORT),--import-modules)

# Names of models are words without patterns: set -f keeps the shell from replacing one by names of files.
models: $(READY)
	@set -f; $(BIN)/python -m sss_lib models $$MODELS

data: $(READY)
	$(SSS) data $${DATASET:+"$$DATASET"} $(if $(call yes,LABELS),--labels)

verify: $(READY)
	$(SSS) verify "$${DATASET:-mini}"

leaderboard: $(READY)
	$(SSS) leaderboard

SAVED = $(if $(call yes,SAVE),--save)
bench: $(READY)-all
	@failed=; \
	for one in search_and_evaluation.py 'scale.py $(SAVED)' 'approximate.py $(SAVED)' adjusted.py projection.py \
		extraction.py notebooks.py listening.py; do \
		PYTHONDONTWRITEBYTECODE= $(BIN)/python tests/benchmarks/$$one || failed="$$failed $${one%% *}"; \
	done; \
	if [ -n "$$failed" ]; then echo "error: over their bounds, or not run to their end:$$failed" >&2; exit 1; fi

lint: $(READY)-all
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

clean:
	rm -rf .venv data/datasets data/embeddings data/similarity_rankings data/indexes data/evaluation_results data/figures data/runs
