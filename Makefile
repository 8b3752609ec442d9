# `make help` lists the commands. Python packages are installed into .venv; `make run` changes nothing else on the machine.

PYTHON ?= python3
BIN := .venv/bin
INSTALL = $(BIN)/pip install --disable-pip-version-check --quiet --progress-bar on --require-hashes
LOCK = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --upgrade --generate-hashes \
	--universal --python-version 3.11

.PHONY: help run check test test-slow bench fuzz lint fix lock screenshots
.DEFAULT_GOAL := help

help:  ## List all commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: .venv/.run  ## Install missing dependencies and serve the site at http://127.0.0.1:8000
	@exec $(BIN)/flask --app wsgi serve

# Let Python store compiled modules even if the environment disables this, so that not every test process compiles them.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --dist worksteal --durations=20

check: .venv/.dev  ## Check style and types and run the fast tests, on SQLite only
	@$(MAKE) --no-print-directory --jobs=2 --output-sync lint check-tests

check-tests:
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -q -n 2 --dist worksteal --sqlite -m "not slow and not long"

test: .venv/.dev  ## Install test dependencies and run all tests on SQLite and PostgreSQL
	@sh tests/prepare.sh
	@$(MAKE) --no-print-directory lint
	@$(PYTEST)

test-slow: .venv/.dev  ## Run the tests marked as slow, which `make test` leaves out
	@sh tests/prepare.sh
	@$(PYTEST) -m slow

bench: .venv/.dev  ## Run the benchmarks for pages, refreshing, streaming and search
	@$(BIN)/python -m bench.pages
	@$(BIN)/python -m bench.refresh
	@$(BIN)/python -m bench.streaming
	@$(BIN)/python -m bench.search

fuzz: .venv/.dev  ## Fuzz the API with thousands of requests generated from its OpenAPI description
	@sh tests/prepare.sh
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-1000} FUZZ_SEED=$${FUZZ_SEED:-$$(date +%s)} $(BIN)/pytest -n auto -m slow tests/api/test_fuzz.py

lint: .venv/.dev  ## Check style, wording, complexity and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python tools/check_words.py
	@$(BIN)/python tools/check_complexity.py
	@$(BIN)/mypy

fix: .venv/.dev  ## Fix style issues automatically
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: .venv/.dev  ## Update the lock files, and check that each version of Python has wheels for them
	@$(LOCK) pyproject.toml --output-file requirements.lock
	@$(LOCK) requirements-dev.txt --constraints requirements.lock --output-file requirements-dev.lock
	@for version in 3.11 3.12 3.13 3.14; do \
		echo "Checking Python $$version …"; \
		$(BIN)/uv pip install --quiet --dry-run --target .venv/unused --python-version $$version \
			--only-binary :all: --require-hashes -r requirements-dev.lock || exit 1; \
	done

screenshots: .venv/.dev  ## Regenerate the screenshots in docs/images
	@sh tests/prepare.sh
	@$(BIN)/python -m docs.make_screenshots

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is required; $(PYTHON) is older. To use another version: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "The Python module venv is missing. On Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Creating a virtual environment in .venv …"
	@$(PYTHON) -m venv .venv

.venv/.run: requirements.lock .venv/bin/python
	@echo "Installing dependencies (takes about a minute the first time) …"
	@$(INSTALL) -r requirements.lock
	@touch $@

.venv/.dev: requirements-dev.lock .venv/bin/python
	@echo "Installing test dependencies …"
	@$(INSTALL) -r requirements-dev.lock
	@touch $@
