# make repro   install, fetch sample and weights, run the pipeline, show the figures
# make gpu     run the recipe of params-gpu.yaml as an experiment
# make test    install and run all tests
# make test-quick   run the quick tests, without projects, backbones, trainings and servers
# make sweep   try learning rates and margins: LR=0.005,0.01 MARGIN=0.2,0.3 JOBS=1
# make seeds   train with several seeds: means and spread; SEEDS=42,43,44 SET=triplet.weight=10,30
# make ui      show the runs in MLflow: PORT=5050
# make app     find a person by a photo: build the index, serve the page: PORT=8001
# make lint    check style and types
# make verify  run the pipeline in two fresh clones and compare all outputs
# make bench   measure speed: all parts, growth, searches, limits
# make lock    pin all packages that requirements.txt needs
# make plots-page   put Vega's code into the page of dvc plots

PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
# The environment's own Python can't make the environment.
export OUTSIDE := $(subst $(BIN):,,$(value PATH))

export PATH := $(BIN):$(value PATH)
# Without this, uv would install into another environment that is active in the shell.
export VIRTUAL_ENV := $(CURDIR)/.venv
export MLFLOW_DISABLE_TELEMETRY := true

LR ?= 0.005,0.01,0.02
SEEDS ?= 42,43,44
MARGIN ?= 0.2,0.3,0.5
JOBS ?= 1

.PHONY: repro gpu test test-quick seeds sweep ui app lint lock plots-page bench verify

repro: .venv/run pull
	dvc repro
	@python -m reid report

gpu: .venv/run pull
	dvc exp run $$(sed -nE 's/^([a-z_.]+): *([^ ]+).*/-S \1=\2/p' params-gpu.yaml)

# An existing folder is kept: it may be a data set of your own.
.PHONY: pull
pull: .venv/run
	@[ -e data ] || dvc pull data.dvc
	@[ -e pretrained ] || dvc pull pretrained.dvc

# A file of tests stays on one core: its tests may share a project.
SPREAD := --numprocesses auto --dist loadfile --no-loadscope-reorder

test: .venv/dev
	python -m pytest $(SPREAD)

test-quick: .venv/dev
	python -m pytest $(SPREAD) -m "not slow"

lint: .venv/dev
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	hadolint Dockerfile
	check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml

seeds: .venv/run pull
	@python -m experiments.sweep -S seed=$(SEEDS) $(if $(SET),-S $(SET)) --jobs $(JOBS)

sweep: .venv/run pull
	@python -m experiments.sweep -S lr=$(LR) -S triplet.margin=$(MARGIN) --jobs $(JOBS)

ui: .venv/run
	@python -m reid ui $(if $(PORT),--port $(PORT))

app: .venv/app
	@python -m reid index build
	@python -m reid serve $(if $(PORT),--port $(PORT))

verify: .venv/run
	python -m verify clones

bench: .venv/bench repro
	python -m benchmarks
	python -m benchmarks.growth
	python -m benchmarks.search_answers
	python -m benchmarks.search_index
	python -m benchmarks.search_service
	python -m benchmarks.limits

plots-page: .venv/dev
	python .dvc/plots_page/build.py

lock: .venv/dev
	uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
	  --no-emit-index-url requirements.txt -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
	  --no-emit-index-url -c requirements.lock requirements-search.txt -o requirements-search.lock
	uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
	  --no-emit-index-url -c requirements.lock requirements-ray.txt -o requirements-ray.lock
	uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
	  --no-emit-index-url -c requirements.lock requirements-dev.txt -o requirements-dev.lock

# uv installs in a fraction of pip's time; compiled modules halve what each command takes to start
# the first time. To compile them all takes 50 seconds; without COMPILE, Python does it as it imports.
# Where only pip reaches an index: INSTALL="python -m pip install"
COMPILE ?= --compile-bytecode
INSTALL ?= uv pip install --quiet --system-certs $(COMPILE)

# TensorFlow has packages for these versions of Python only. pyproject.toml names them, too.
NEEDED := TensorFlow needs Python 3.11, 3.12 or 3.13. \
  Install one of these and name it, for example: make PYTHON=python3.13
NOT_SUPPORTED := error: $(PYTHON) is Python %d.%d, but $(NEEDED)
CHECK := import sys; version = sys.version_info; \
  sys.exit(None if (3, 11) <= version < (3, 14) else "$(NOT_SUPPORTED)" % version[:2])

# The programs of an environment name the folder in which it was made.
IN_PLACE := import os, sys; folder = os.path.realpath(sys.prefix); \
  sys.exit(folder not in open(folder + "/pyvenv.cfg").read())

# An interrupted installation leaves no .venv/run. Such an environment is made anew, and so is one
# that was moved, or whose Python is gone or is not supported.
WORKS := .venv/bin/python -c '$(CHECK)' && .venv/bin/python -c '$(IN_PLACE)'
ifneq ($(shell [ -e .venv/run ] && ($(WORKS)) 2> /dev/null && echo whole),whole)
.venv/run: .venv/new
endif

.PHONY: .venv/new
.venv/new:
	@PATH="$$OUTSIDE" command -v $(PYTHON) > /dev/null || \
	  { echo "error: there is no $(PYTHON). $(NEEDED)"; exit 1; }
	@PATH="$$OUTSIDE" $(PYTHON) -c '$(CHECK)'
	rm -rf .venv
	PATH="$$OUTSIDE" $(PYTHON) -m venv .venv

.venv/run: requirements.lock
ifeq ($(firstword $(INSTALL)),uv)
	python -m pip install --quiet --disable-pip-version-check $$(grep ^uv== requirements-dev.lock)
endif
	$(INSTALL) -r requirements.lock
	@touch $@

.venv/app: requirements-search.lock .venv/run
	$(INSTALL) -r requirements-search.lock
	@touch $@

.venv/dev: requirements-dev.lock .venv/run
	$(INSTALL) -r requirements-dev.lock
	@touch $@

.venv/bench: requirements-bench.txt .venv/dev
	$(INSTALL) -r requirements-bench.txt -c requirements-dev.lock
	@touch $@
