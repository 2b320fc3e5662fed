# Commands for developers and CI. Everything happens in .venv; nothing else on the machine is changed.

PYTHON ?=
SECONDS ?=
SEED ?=
FAULTS ?=
RATE ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TOOLS := $(VENV)/.installed-dev
PEERS := bench/.venv/.installed

# --python tells uv where to install, so that an active environment is ignored.
UV := $(BIN)/uv
UV_PIP := $(UV) pip install --quiet --python $(BIN)/python

# Each process has a Kafka and a PostgreSQL of its own; tests of one file share them and their topics. Three of them, on two
# cores too, as tests wait as much as they work.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-nightly chaos check programs dashboards bench bench-quick bench-latency bench-growth bench-guard docs lock clean

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
	  printf '  make %-14s %s\n' "$$name" "$$text"; done

setup: $(STAMP)  ## Create .venv with the requirements of mdp; commands that need more add them

demo: $(STAMP)  ## Start a local stack and show the pipeline; SECONDS=20 stops it and checks the results
	@$(BIN)/mdp demo $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

test: $(TOOLS)  ## Run all tests except the slow ones, with a real Kafka and a real PostgreSQL; ARGS="-k late" is passed to pytest
	@$(PYTEST) -m "not slow" $(ARGS)

test-slow: $(TOOLS)  ## Run the slow tests: long loads, hostile records in a running flow, chaos
	@$(PYTEST) -m slow $(ARGS)

test-nightly: $(TOOLS) bench-guard  ## Run all tests, with ten times as many examples of each property, and check the cost of an event
	@HYPOTHESIS_PROFILE=nightly $(PYTEST) $(ARGS)

chaos: $(TOOLS)  ## Inject faults into a pipeline under load for 20 minutes, and compare with an oracle; FAULTS=200 runs longer
	@$(BIN)/python -m chaos $(if $(SEED),--seed $(SEED)) $(if $(FAULTS),--faults $(FAULTS)) \
	  $(if $(SECONDS),--seconds $(SECONDS)) $(if $(RATE),--rate $(RATE)) $(ARGS)

check: $(TOOLS)  ## Lint, check the format, the types, the direction of imports, and the released schemas
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/mdp contracts check

programs:  ## Install, on Debian and as root, what some tests use: a browser, Prometheus, PgBouncer, a C compiler and more
	@for program in cc chromium prometheus promtool prometheus-alertmanager pgbouncer psql; do \
	  command -v $$program >/dev/null || missing=yes; done; \
	test -z "$$missing" || { apt-get update --quiet=2 && \
	  DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends \
	    gcc libc6-dev chromium prometheus prometheus-alertmanager pgbouncer postgresql-client >/dev/null; }

dashboards: $(TOOLS)  ## Write the Grafana dashboards, and the Kubernetes objects of dashboards and rules
	@$(BIN)/python -m dashboards

bench: $(STAMP) $(PEERS)  ## Compare with the floor, Bytewax and Quix Streams, within 15 minutes: docs/benchmarks.md
	@$(BIN)/python -m bench $(ARGS)

bench-quick: $(STAMP)  ## The same within 3 minutes: fewer events, one round, without Quix Streams
	@$(BIN)/python -m bench --quick $(ARGS)

bench-latency: $(STAMP)  ## Measure latency, live, for 3 minutes at 10,000 and at 100,000 events/s
	@$(BIN)/python -m bench.latency $(ARGS)
	@$(BIN)/python -m bench.report

bench-growth: $(STAMP)  ## Measure the cost of more symbols, partitions, features and longer windows
	@$(BIN)/python -m bench.growth $(ARGS)
	@$(BIN)/python -m bench.report

bench-guard: $(STAMP)  ## Fail if the CPU cost of an event has grown relative to decoding it: for nightly runs
	@$(BIN)/python -m bench.guard

docs: $(TOOLS)  ## Write the references into docs/, and build the site into site/; warnings are errors
	@$(BIN)/python -m docs.reference
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo 'The site is in site/: open site/index.html, or with its search: $(BIN)/python -m http.server -d site'

lock: $(STAMP)  ## Rewrite the lock files from pyproject.toml and bench/peers.in; ARGS=--upgrade takes newer versions
	@$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --extra setup $(ARGS) \
	  pyproject.toml -o requirements.lock
	@$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --extra setup --extra dev $(ARGS) \
	  --constraints requirements.lock pyproject.toml -o requirements-dev.lock
	@$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 $(ARGS) bench/peers.in -o bench/peers.lock

clean:  ## Stop the local stack, and remove .venv and the tools' caches; data under .mdp stay
	@test ! -x $(BIN)/mdp || $(BIN)/mdp down
	@rm -rf $(VENV) bench/.venv dist site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A name on the PATH may be a stale shim of a version manager, so each candidate is run first.
$(STAMP): pyproject.toml requirements.lock
	@python=; for candidate in "$(PYTHON)" python3 python3.12 python3.11 python; do \
	  test -n "$$candidate" || continue; \
	  "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] not in {(3, 11), (3, 12)})' \
	    2>/dev/null && python="$$candidate" && break; \
	done; \
	test -n "$$python" || { \
	  echo 'mdp needs Python 3.11 or 3.12 with its venv module: install one, or name it with PYTHON=/path/to/python' >&2; \
	  exit 2; }; \
	echo "Setting up $(VENV) with $$("$$python" --version): about 300 MB are downloaded the first time"; \
	"$$python" -m venv $(VENV)
	@sed -n '/^uv==/,/# via/p' requirements.lock > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	@$(UV_PIP) --compile-bytecode --require-hashes -r requirements.lock
	@$(UV_PIP) --offline --no-deps --editable .
	@echo 'Compiling the loops over single events'
	@$(BIN)/python -c 'import features.bars.windows, native.copy_binary' & \
	$(BIN)/python -c 'import transports.kafka.source, features.rolling.rolling, native.arrow_scan' && wait $$!
	@touch $@

# The development tools: the same versions, and further packages.
$(TOOLS): requirements-dev.lock $(STAMP)
	@echo 'Adding the tools of development: about 150 MB are downloaded the first time'
	@$(UV_PIP) --compile-bytecode --require-hashes -r requirements-dev.lock
	@$(UV_PIP) --offline --no-deps --editable .
	@touch $@

# The peers of the benchmark have their own environment.
$(PEERS): bench/peers.lock | $(STAMP)
	@echo 'Setting up bench/.venv: about 60 MB are downloaded the first time'
	@$(UV) venv --quiet --clear --python $(BIN)/python bench/.venv
	@$(UV) pip sync --quiet --compile-bytecode --python bench/.venv/bin/python --require-hashes bench/peers.lock
	@touch $@
