# Needs Python 3.11 or newer and make; everything else goes into .venv.
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 5000
export HOST PORT
# More arguments for pytest, e.g. make test ARGS="-k picker".
ARGS ?=
# The SQLAlchemy 2.0 that test-sa20 runs on.
SQLALCHEMY_20 ?= 2.0.58

BIN := .venv/bin
FLASK := $(BIN)/flask --app wsgi
RUN_READY := .venv/.run-ready
DEV_READY := .venv/.dev-ready
SA20_READY := .venv-sa20/.ready-$(SQLALCHEMY_20)
PYTEST := -m pytest -n 2 --dist loadgroup
# What pytest answers when no test was chosen, which is no failure where ARGS chooses.
NONE_CHOSEN := [ $$? = 5 ]

.DEFAULT_GOAL := help
.PHONY: help setup run test test-sa20 test-browser check docs bench build

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DEV_READY) ## make .venv with everything for working on the code

run: $(RUN_READY) ## serve the sample (or your ADMIN_MODELS, DATABASE_URL) on HOST:PORT
ifeq ($(filter-out examples.fleet.models,$(ADMIN_MODELS)),)
	@$(FLASK) db upgrade
	@$(FLASK) fleet seed --size small --if-empty
	@$(FLASK) admin demo-user
endif
	@$(FLASK) run --host $(HOST) --port $(PORT)

# Measuring doubles the time of a test, and those on PostgreSQL run the same code once more.
test: $(DEV_READY) ## run every test on SQLite, PostgreSQL and Chromium, and measure coverage
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run $(PYTEST) -m "not browser and not postgresql" $(ARGS) || $(NONE_CHOSEN)
	$(BIN)/python $(PYTEST) -m "browser or postgresql" $(ARGS) || $(NONE_CHOSEN)
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report $(if $(strip $(ARGS)),--fail-under 0)

test-sa20: $(SA20_READY) ## run the quick tests on SQLAlchemy 2.0, on PostgreSQL those of its dialect
	.venv-sa20/bin/python $(PYTEST) -m "not browser and not slow and (not postgresql or dialect)" $(ARGS)

test-browser: $(DEV_READY) ## run the browser tests alone
	$(BIN)/python $(PYTEST) -m browser $(ARGS)

check: $(DEV_READY) ## ruff, mypy and the layers; no test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: $(DEV_READY) ## write the page of options, and check the documentation against the code
	@$(BIN)/python -m docs.generate_options
	$(BIN)/python -m pytest tests/test_docs.py $(ARGS)

bench: $(DEV_READY) ## measure against stock Flask-Admin
	$(BIN)/python -m benchmarks $(ARGS)

build: $(DEV_READY) ## build the wheel and the sdist into dist/
	$(BIN)/python -m build --no-isolation

$(RUN_READY): requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

$(DEV_READY): requirements-dev.txt $(RUN_READY)
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@test -n "$$CHROMIUM" || command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
		$(BIN)/playwright install chromium || \
		echo "No Chromium found or installed: the browser tests will be skipped."
	@touch $@

$(SA20_READY): requirements-dev.txt requirements.txt
	@test -x .venv-sa20/bin/python || $(PYTHON) -m venv .venv-sa20
	grep -v '^-r' requirements-dev.txt | cat requirements.txt - | \
		sed 's/^SQLAlchemy==.*/SQLAlchemy==$(SQLALCHEMY_20)/' > .venv-sa20/requirements.txt
	.venv-sa20/bin/python -m pip install --quiet -r .venv-sa20/requirements.txt
	@touch $@
