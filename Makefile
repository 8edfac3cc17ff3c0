# Everything a developer needs; the first two are all that a newcomer needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCAL := . examples/bank examples/shop
DEMO := build/demo
SERVER := build/cluster/bin/server
COLLECTOR := build/collector/collector
HELM := build/helm/helm
HISTORIES := tests/temporal/histories/rules-3

# The tests start hundreds of commands; whatever this shell says, they begin from bytecode.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help setup demo site cluster cluster-down test chaos fuzz lint sbom licences audit bench mutation histories keep-histories lock dist clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile

setup: $(READY) $(VENV)/.chromium  ## make the virtual environment from the lock file

# What was moved with its folder, or has lost its Python, does not run any more.
ifneq ($(shell $(BIN)/python -c "print(open('$(READY)').read())" 2>/dev/null),$(abspath $(VENV)))
.PHONY: $(READY)
endif

$(READY): requirements.lock pyproject.toml examples/bank/pyproject.toml examples/shop/pyproject.toml
	@command -v "$(PYTHON)" >/dev/null || { echo 'error: there is no $(PYTHON); sagadsl needs Python 3.11 or later' >&2; exit 1; }
	@"$(PYTHON)" tools/environment.py $(VENV) $(LOCAL)

$(VENV)/.chromium: | $(READY)
	@$(BIN)/python -m tests.chromium $@

$(SERVER): | $(READY)
	@$(BIN)/python -m deploy.cluster build || echo 'the tests of the cluster will not run' >&2

$(COLLECTOR): tests/observing/collector/main.go tests/observing/collector/go.sum | $(READY)
	@$(BIN)/python -m tests.observing.collecting || echo 'the tests of traces will not run' >&2

$(HELM): | $(READY)
	@$(BIN)/python -m tests.cluster.charting || echo 'the tests of the chart will not run' >&2

demo: $(READY)  ## a transfer that succeeds, then one that fails and is undone
	@PATH="$(abspath $(BIN)):$$PATH" bash examples/demo.sh $(DEMO)

site: $(READY)  ## the documentation as a site, in build/site
	$(BIN)/python -m tools.docs_site

cluster: $(READY)  ## PostgreSQL, the Temporal server, two workers and the gateway, on this machine
	$(BIN)/python -m deploy.cluster up

cluster-down: $(READY)  ## end what `make cluster` has begun; its data stays
	$(BIN)/python -m deploy.cluster down

test: setup $(SERVER) $(COLLECTOR) $(HELM)  ## all tests, on a real Temporal server; in four processes, as most of them wait
	$(BIN)/pytest -n 4 --dist loadfile

chaos: $(READY)  ## workers, server and gateways killed and frozen under sagas (SEED=…; CHAOS=long or cluster: on PostgreSQL; TRANSFERS=…)
	$(BIN)/python -m tests.chaos

fuzz: $(READY)  ## definitions, suites, inputs and settings, changed by a seed: does anything break? (SEED=…, TIME=…, CASE=…)
	$(BIN)/python -m tests.fuzz

lint: $(READY)  ## format, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --strict examples/bank/sagadsl_bank examples/shop/sagadsl_shop benchmarks deploy tools
	$(BIN)/mypy --strict examples/inn/sagadsl_inn examples/ferry/sagadsl_ferry
	$(BIN)/mypy --strict examples/events/deliver.py examples/events/from_kafka.py examples/events/from_sqs.py
	$(BIN)/lint-imports
	$(BIN)/sagadsl validate definitions examples/go-worker examples/events
	PYTHONPATH=examples/inn:examples/ferry $(BIN)/sagadsl validate examples/inn -m sagadsl_inn.activities -m sagadsl_ferry.activities

sbom: $(READY)  ## bills of materials (CycloneDX) of the lock and of what is installed, in build/sbom
	$(BIN)/python -m tools.supply sbom

licences: sbom  ## hold the licences of all packages against tools/licences.toml
	$(BIN)/python -m tools.supply licences

audit: $(READY)  ## ask for known holes in the packages of the lock (AUDIT=--unchecked-ok goes on where nobody can be asked)
	$(BIN)/python -m tools.supply audit $(AUDIT)

bench: $(READY)  ## the figures of benchmarks/README.md, measured again
	$(BIN)/python -m benchmarks

mutation: $(READY)  ## change the interpreter in one place at a time, and see whether a test notices
	$(BIN)/pip install --quiet --disable-pip-version-check 'mutmut==3.8.1'
	$(BIN)/mutmut run

RECORDED = $(addprefix tests/temporal/,test_stories.py test_workflow.py test_cancels.py test_children_undone.py test_replay.py test_fleet.py test_migration.py test_notices.py test_nexus.py test_recovery.py test_resetting.py test_children_of_their_own.py) \
	tests/temporal/test_message_limits.py::test_a_local_activity_whose_result_waits_for_room_is_undone_when_its_saga_fails_meanwhile

histories: $(READY)  ## record the histories that every change has to replay
	rm -f $(HISTORIES)/*.json.gz
	mkdir -p $(HISTORIES)
	SAGADSL_RECORD=$(HISTORIES) $(BIN)/pytest -k "not replayed and not what_a_later_release and not killed_at_an_event and not by_the_codec" $(RECORDED)

keep-histories: $(READY)  ## keep the recordings of the release that is being made
	cp -r $(HISTORIES) $(dir $(HISTORIES))release-$$($(BIN)/python -c "import tomllib; print(tomllib.load(open('pyproject.toml', 'rb'))['project']['version'])")

lock:  ## pin all dependencies again
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --all-extras --group dev --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" tools/supply.in -o tools/supply.lock

dist: $(READY)  ## the wheel and the sdist of a release
	$(BIN)/python -m hatchling build -d dist

clean:  ## remove what the other targets made
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache
