# Every target prepares what it needs: `make demo` and `make test` work on a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_SECONDS ?= 0
CENTRE ?=
PYTEST_ARGS ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv: $(BIN)/.ready ## Make the development environment in .venv

# The marker depends on pyproject.toml: a changed dependency is installed by the next target.
$(BIN)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed; try make PYTHON=python3.11" if sys.version_info < (3, 10) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

.PHONY: demo
demo: venv ## Show an agent and a platform at work (CENTRE=1: a computing centre; DEMO_SECONDS=20 ends by itself)
	@$(BIN)/computility-agent demo --seconds $(DEMO_SECONDS) $(if $(filter-out 0,$(CENTRE)),--centre)

.PHONY: test
test: venv ## Run the whole test suite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: check
check: venv ## Check formatting, lint, types, import rules and generated documents
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m agent.config.reference --check docs/configuration.md
	$(BIN)/python docs/generate_accelerators.py --check
	$(BIN)/python packaging/command_pages.py --check

.PHONY: docs
docs: venv ## Make what is generated: configuration, accelerators, man page and completion
	$(BIN)/python -m agent.config.reference > docs/configuration.md.new
	@mv docs/configuration.md.new docs/configuration.md
	$(BIN)/python docs/generate_accelerators.py > docs/accelerators.md.new
	@mv docs/accelerators.md.new docs/accelerators.md
	$(BIN)/python packaging/command_pages.py

.PHONY: format
format: venv ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: clean
clean: ## Remove everything that the other targets made
	rm -rf $(VENV) .demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# The peers that the tests talk to and pip does not have: an SM2 implementation for JavaScript.
.PHONY: peers
peers: ## Install the test peers that come from npm
	npm install --silent --no-audit --no-fund --prefix .cache/node sm-crypto@0.5.8

.PHONY: chaos-keepalive
chaos-keepalive: venv .cache/nvml/libnvidia-ml.so.1 ## Show the worst keepalive gap under faults (about 3 minutes)
	$(BIN)/python tests/chaos/keepalive.py --nvml .cache/nvml

.PHONY: chaos-workloads
chaos-workloads: venv ## Kill agent and docker engine, fill the disk: does what was answered hold? (about 7 minutes, root)
	$(BIN)/python tests/chaos/workloads.py

.PHONY: chaos-ledger
chaos-ledger: venv ## Kill the ledger 200 times while readings arrive and hours are closed (about 3 minutes)
	LEDGER_KILLS=200 $(BIN)/python -m pytest tests/agent/centre/test_ledger_killed.py

.PHONY: synthetic-year
synthetic-year: venv ## Close every hour of a year of readings whose truth is known (about 5 minutes)
	COMPUTILITY_SYNTHETIC_DAYS=365 $(BIN)/python -m pytest -s tests/agent/metering/test_synthetic_year.py

.PHONY: packages
packages: ## Build deb and rpm for amd64 and arm64 into dist/ (about 15 minutes the first time)
	packaging/build.sh --arch all

.PHONY: packages-reproducible
packages-reproducible: ## Build the packages twice and compare every byte
	packaging/check-reproducible

.PHONY: test-packages
test-packages: venv ## Install, run, upgrade and remove the packages in booted systems (root; about 5 minutes)
	packaging/tests/run.sh

.PHONY: bench
bench: venv .cache/nvml/libnvidia-ml.so.1 .cache/glances/bin/glances ## Measure memory, CPU and speed beside peers (about 11 minutes)
	$(BIN)/python tests/bench/footprint.py --nvml .cache/nvml --glances .cache/glances/bin/glances

.PHONY: bench-accelerators
bench-accelerators: venv ## Measure what a sample of each vendor's cards costs (about 1 minute)
	$(BIN)/python tests/bench/accelerators.py

.PHONY: bench-packages
bench-packages: venv ## Measure how a 4 GiB package arrives, beside curl, md5sum and docker (root; about 10 minutes)
	$(BIN)/python tests/bench/packages.py

.PHONY: bench-boot
bench-boot: venv ## Measure a boot without network until services run (root; about 3 minutes)
	$(BIN)/python tests/bench/boot.py

.PHONY: bench-services
bench-services: venv ## Measure what five running services cost the agent (root; about 7 minutes)
	$(BIN)/python tests/bench/services.py

.PHONY: bench-ledger
bench-ledger: venv ## Measure the import of ten million readings, closing their hours, and queries (about 20 minutes)
	$(BIN)/python tests/bench/ledger.py

.PHONY: bench-installed
bench-installed: venv ## Measure the installed service beside one from the checkout (root; wants packages)
	packaging/tests/measure "$$(ls dist/*_amd64.deb | tail -n 1)"

.cache/nvml/libnvidia-ml.so.1: tests/collectors/accelerators/nvidia/nvml_stub/nvml_stub.c
	@mkdir -p $(@D)
	$(CC) -shared -fPIC -O1 -Wl,-soname,libnvidia-ml.so.1 -o $@ $<

.cache/glances/bin/glances:
	@$(PYTHON) -m venv .cache/glances
	@.cache/glances/bin/pip install --quiet --disable-pip-version-check 'glances[web]'
