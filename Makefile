# All the doors of the project. On a fresh machine: Python 3.11 and make; every target does its own set-up.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
UV_VERSION := 0.13.9
BIN := .venv/bin
export USAGE_HOME ?= $(CURDIR)/warehouse

.DEFAULT_GOAL := help
.PHONY: help setup run test soak bench profile dev lint format docs clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: .venv/.ready  ## make .venv with the `usage` command in it

.venv/.ready: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "Python 3.11 to 3.13 is needed (PYTHON=…)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv sync --frozen --compile-bytecode --quiet
	@touch $@

run: setup  ## land the samples, run the nightly job, close both months, show the result
	@$(BIN)/python -m raw_samples.replay

test: setup  ## all tests
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

soak: setup  ## crashes, random histories and bad input for SECONDS seconds (default 60), and what was tried (SEED=…)
	$(BIN)/python -m tests.faults.soak --seconds $(or $(SECONDS),60) --seed $(or $(SEED),0)

bench: setup  ## speed as ratios against a plain script, other engines and the limit (EVENTS=2_000_000 DAYS=30 ARGS="--only rebuild --runs 3")
	$(BIN)/uv sync --frozen --group bench --compile-bytecode --quiet
	$(BIN)/python -m tests.benchmarks --events $(or $(EVENTS),2_000_000) --days $(or $(DAYS),30) $(ARGS)

profile: setup  ## where the time of a full rebuild goes, per model and operator (EVENTS, DAYS)
	$(BIN)/python -m tests.benchmarks.profile --events $(or $(EVENTS),2_000_000) --days $(or $(DAYS),30) $(ARGS)

dev: setup  ## Dagster with its page on http://localhost:3000
	@umask 027 && mkdir -p $(USAGE_HOME)/dagster && cp orchestration/dagster.yaml $(USAGE_HOME)/dagster/dagster.yaml
	umask 027 && DAGSTER_HOME=$(USAGE_HOME)/dagster $(BIN)/dagster dev -m orchestration.definitions

lint: setup  ## style of Python and SQL
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/sqlfluff lint dbt_project/models dbt_project/tests

format: setup  ## put the style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup  ## the dbt documentation, in $USAGE_HOME/docs
	@umask 027 && mkdir -p $(USAGE_HOME)
	umask 027 && $(BIN)/dbt docs generate --static --project-dir dbt_project --profiles-dir dbt_project --target-path $(USAGE_HOME)/docs --log-path $(USAGE_HOME)/docs
	@echo "open $(USAGE_HOME)/docs/static_index.html"

clean:  ## remove .venv, caches and the default home
	rm -rf .venv warehouse .pytest_cache .ruff_cache .hypothesis dbt_project/target dbt_project/logs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
