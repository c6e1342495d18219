# All of these need Python 3.11 or later and make; they create .venv and .venv-lowest themselves.
PYTHON ?= python3
OUT ?= results
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
LOWEST := .venv-lowest
LOWEST_PIP := $(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-lowest.txt
# What the libraries below show in: readers, networks, maps, regions, metrics, findings, a study, its page without a browser.
LOWEST_TESTS := $(addprefix tests/test_,$(addsuffix .py, \
	packaging cases_dicom cases_formats cases_masks classifier estimators_contract estimators_deconvolution \
	estimators_references regions metrics_contract metrics_evidence metrics_fidelity imputers_fills metrics_overlap \
	metrics_roc declarations results_gallery estimators_answers findings report bars cli))

# What is compared with SimpleITK's reader of series, which mirrored such ones before 2.5.7; we read series ourselves.
LOWEST_LESS := --deselect 'tests/test_cases_dicom.py::test_series_equal_simpleitk[sagittal]'

.PHONY: study test test-slow test-lowest lint bench clean

study: $(VENV)/.installed
	@$(BIN)/tomolens study --out $(OUT)
	@$(BIN)/tomolens study studies/nodule.toml --out $(OUT)-nodule

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not slow' --cov -n 2 --dist worksteal

test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m slow

test-lowest: $(LOWEST)/.installed
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -m 'not slow' -n 2 --dist worksteal $(LOWEST_TESTS) $(LOWEST_LESS)

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

# From nothing each time that a floor changes, so that nothing newer stays behind.
$(LOWEST)/.installed: pyproject.toml constraints-lowest.txt
	@echo "Creating $(LOWEST), with the lowest versions that pyproject.toml allows"
	@rm -rf $(LOWEST)
	@$(PYTHON) -m venv $(LOWEST)
	@$(LOWEST_PIP) torch
	@$(LOWEST_PIP) -e '.[test]'
	@touch $@

bench: $(VENV)/.installed-test
	$(BIN)/python benchmarks/run_all.py

clean:
	rm -rf $(VENV) $(LOWEST) results results-nodule .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
