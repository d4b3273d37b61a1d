# Everything a newcomer needs: `make demo` and `make test` set themselves up (Python >= 3.11 and make, nothing else).
PYTHON ?= python3
VENV ?= .venv
ROOT ?= .mediafm
CATALOG ?=
BIN := $(VENV)/bin

.PHONY: demo test test-slow check lint types format bench clean-venv

demo: $(VENV)/.installed
	$(BIN)/mediafm demo --root $(ROOT) $(CATALOG)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slow

check: lint types test

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks all

# torch comes first and by its version: a resolver that chooses freely may bring another build of it.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "MediaFM needs Python 3.11 or newer, and " + sys.executable + " is " + sys.version.split()[0] + ". Name another: make demo PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@

clean-venv:
	rm -rf $(VENV)
