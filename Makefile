# `make study` and `make test` need Python 3.11 or later and make; they create .venv themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OUT ?= results

.PHONY: study test lint clean

study: $(READY)
	@$(BIN)/tomolens study --out $(OUT)

test: $(READY)
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest --cov

lint: $(READY)
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports

# torch first and alone: its pinned build keeps pip from choosing a larger one later.
$(READY): pyproject.toml constraints.txt
	@echo "Creating $(VENV) (once; a few minutes)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $(READY)

clean:
	rm -rf $(VENV) results .pytest_cache .mypy_cache .ruff_cache .hypothesis
