# `make help` lists the commands. Everything is installed into .venv; nothing else on the machine is touched by `run`.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: help run test bench fuzz lint fix screenshots
.DEFAULT_GOAL := help

help:  ## List the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: .venv/.run  ## Install what is missing and serve the site at http://127.0.0.1:8000
	@exec $(BIN)/flask --app wsgi serve

test: .venv/.dev  ## Install what the tests need and run them all, on SQLite and PostgreSQL
	@sh tests/prepare.sh
	@$(MAKE) --no-print-directory lint
	@$(BIN)/pytest -n auto

bench: .venv/.dev  ## Measure what pages, refreshing, streaming and searching cost
	@$(BIN)/python -m bench.pages
	@$(BIN)/python -m bench.refresh
	@$(BIN)/python -m bench.streaming
	@$(BIN)/python -m bench.search

fuzz: .venv/.dev  ## Send the API thousands of requests made from its description
	@sh tests/prepare.sh
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-1000} FUZZ_SEED=$${FUZZ_SEED:-$$(date +%s)} $(BIN)/pytest -n auto tests/api/test_fuzz.py

lint: .venv/.dev  ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

fix: .venv/.dev  ## Repair what the style checker can repair
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

screenshots: .venv/.dev  ## Make the pictures of docs/images anew
	@sh tests/prepare.sh
	@$(BIN)/python -m docs.make_screenshots

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed; $(PYTHON) is older. Name another: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python's venv is missing. On Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making a virtual environment in .venv …"
	@$(PYTHON) -m venv .venv

.venv/.run: requirements.txt .venv/bin/python
	@echo "Installing what the site needs (a minute or so, the first time) …"
	@$(BIN)/pip install --disable-pip-version-check --quiet --progress-bar on -r requirements.txt
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.run
	@echo "Installing what the tests need …"
	@$(BIN)/pip install --disable-pip-version-check --quiet --progress-bar on -r requirements-dev.txt
	@touch $@
