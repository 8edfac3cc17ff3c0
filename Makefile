# Everything a developer needs; the first two are all that a newcomer needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOCAL := -e . -e examples/bank -e examples/shop
DEMO := build/demo
HISTORIES := tests/temporal/histories/rules-3

.PHONY: help setup demo cluster cluster-down test chaos fuzz lint bench mutation histories lock clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile

setup: $(VENV)/.ready  ## make the virtual environment from the lock file

$(VENV)/.ready: requirements.lock pyproject.toml examples/bank/pyproject.toml examples/shop/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(LOCAL)
	@touch $@

demo: setup  ## a transfer that succeeds, then one that fails and is undone
	@PATH="$(abspath $(BIN)):$$PATH" bash examples/demo.sh $(DEMO)

cluster: setup  ## PostgreSQL, the Temporal server, two workers and the gateway, on this machine
	$(BIN)/python -m deploy.cluster up

cluster-down: setup  ## end what `make cluster` has begun; its data stays
	$(BIN)/python -m deploy.cluster down

test: setup  ## all tests, on a real Temporal server; in three processes, as most of them wait
	$(BIN)/pytest -n 3 --dist loadfile

chaos: setup  ## workers, server and gateways killed and frozen under sagas (SEED=…; CHAOS=long also kills PostgreSQL)
	$(BIN)/python -m tests.chaos

fuzz: setup  ## definitions, suites, inputs and settings, changed by a seed: does anything break? (SEED=…, TIME=…, CASE=…)
	$(BIN)/python -m tests.fuzz

lint: setup  ## format, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --strict examples/bank/sagadsl_bank examples/shop/sagadsl_shop benchmarks deploy
	$(BIN)/lint-imports
	$(BIN)/sagadsl validate definitions examples/go-worker

bench: setup  ## the figures of benchmarks/README.md, measured again
	$(BIN)/python -m benchmarks

mutation: setup  ## change the interpreter in one place at a time, and see whether a test notices
	$(BIN)/pip install --quiet --disable-pip-version-check 'mutmut==3.8.1'
	$(BIN)/mutmut run

histories: setup  ## record the histories that every change has to replay
	rm -f $(HISTORIES)/*.json.gz
	mkdir -p $(HISTORIES)
	SAGADSL_RECORD=$(HISTORIES) $(BIN)/pytest tests/temporal/test_stories.py tests/temporal/test_workflow.py -k "not replayed"

lock:  ## pin all dependencies again
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --all-extras --group dev --custom-compile-command "make lock" pyproject.toml -o requirements.lock

clean:  ## remove what the other targets made
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache
