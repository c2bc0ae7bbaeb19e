# Every command of the workshop. `make serve` and `make test` are all a newcomer needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
COMPILE := uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help serve demo test check fix docs lock bench bench-planning clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

serve: $(VENV)/ready ## install what is needed and start the gateway on port 20128
	@$(BIN)/omniroute $(ARGS)

demo: $(VENV)/ready ## send one request through each door of the running gateway
	@$(BIN)/omniroute demo $(ARGS)

test: $(VENV)/ready-dev ## install what is needed and run all tests
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -q -n logical --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/ready-dev ## lint, types, import order
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

fix: $(VENV)/ready-dev ## format and repair what can be repaired
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

docs: $(VENV)/ready-dev ## write the reference pages anew
	@$(BIN)/python docs/generate.py

lock: ## resolve the lock files anew (needs uv)
	@$(COMPILE) --extra build --output-file requirements.lock $(ARGS)
	@$(COMPILE) --extra build --extra dev --output-file requirements-dev.lock $(ARGS)

bench: $(VENV)/ready-dev ## measure cold start, memory and throughput on this machine
	@$(BIN)/python benchmarks/first_look.py $(ARGS)

bench-planning: $(VENV)/ready-dev ## measure what a plan costs by size of the configuration
	@$(BIN)/python benchmarks/planning.py $(ARGS)

clean: ## remove the virtual environment
	@rm -rf $(VENV)

$(VENV)/bin/python:
	@echo "Creating a virtual environment in $(VENV) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/ready: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing pinned dependencies (once) ..."
	@$(PIP) install --no-deps --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/ready-dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing pinned development dependencies (once) ..."
	@$(PIP) install --no-deps --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/ready
