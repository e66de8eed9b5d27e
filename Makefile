# make demo: the cyclic test of the README.   make test: everything CI checks.   make test-all: the slow tests as well.

PYTHON ?= python3
BIN := .venv/bin
DEMO := examples/chaboche_cyclic

.PHONY: demo test test-all lint format clean

demo: .venv/installed
	mkdir -p build
	$(BIN)/neml2-run $(DEMO)/cyclic.i driver -o build/cyclic.h5
	$(BIN)/python $(DEMO)/plot.py build/cyclic.h5 build/cyclic.png

test: lint
	$(BIN)/pytest -n auto --dist loadfile -m "not slow"

test-all: lint
	$(BIN)/pytest -n auto --dist loadfile

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: .venv/installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Installed once; again when the project's dependencies change.
.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
