# `make study` and `make test` need Python 3.11 or later and make; they create .venv themselves.
PYTHON ?= python3
OUT ?= results
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: study test lint bench clean

study: $(VENV)/.installed
	@$(BIN)/tomolens study --out $(OUT)

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --cov -n 2 --dist worksteal

lint: $(VENV)/.installed-test
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

# torch first and alone: its pinned build keeps pip from choosing a larger one later.
$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Creating $(VENV) (the first time only; a minute or more)"
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or later is needed: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) torch
	@$(PIP) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "Adding what the tests need"
	@$(PIP) -e '.[test]'
	@touch $@

bench: $(VENV)/.installed-test
	$(BIN)/python benchmarks/run_all.py

clean:
	rm -rf $(VENV) results .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
