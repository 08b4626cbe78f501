# Everything below runs in .venv, which is made on first use and again when pyproject.toml or constraints.txt change.

PYTHON ?= python3
OUT ?= quickstart
BIN := .venv/bin
FIXED := pyproject.toml constraints.txt

.PHONY: help quickstart test test-fast lint results clean

help:
	@echo "make quickstart  meta-train, adapt, predict and evaluate on simulated tasks; ends with a report to open"
	@echo "make test        lint and every test"
	@echo "make test-fast   lint and the tests that take less than a few seconds each"
	@echo "make lint        ruff and mypy"
	@echo "make results     run the benchmark that writes the numbers in the documentation"
	@echo "make clean       remove the environment, caches and builds; results stay"
	@echo "PYTHON=python3.12 chooses the interpreter, OUT=folder where the quickstart goes."

# What an earlier quickstart wrote is never touched: the next one goes to OUT-2, OUT-3 and so on.
quickstart: .venv/installed
	@out="$(OUT)"; number=1; \
	while [ -e "$$out" ]; do number=$$((number + 1)); out="$(OUT)-$$number"; done; \
	echo "$(BIN)/medshot quickstart --out $$out"; \
	$(BIN)/medshot quickstart --out "$$out"

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal

test-fast: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal -m "not slow"

lint: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

results: .venv/installed
	$(BIN)/python -m benchmarks.accuracy.metal --resume

clean:
	rm -rf .venv .pytest_cache .hypothesis .mypy_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "medshot needs Python 3.11 or later, and $(PYTHON) is not; install one and run: make PYTHON=python3.11" >&2; \
	    exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/made $(FIXED)
	$(BIN)/pip install -c constraints.txt -e .
	@touch $@

.venv/installed-dev: .venv/made $(FIXED)
	$(BIN)/pip install -c constraints.txt -e ".[dev]"
	@touch .venv/installed $@
