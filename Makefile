# Three commands: `make demo`, `make test`, and `make quick` between two edits; each makes .venv from requirements.lock first.
QUICK := not e2e and not slow and not postgres and not browser
# PYTEST="-k name" may leave one of two runs without a test, which pytest calls error 5
NONE_IS_FINE = $(if $(PYTEST),|| [ $$? -eq 5 ])
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test coverage quick check venv lock bench soak clean

demo: venv
	$(BIN)/hitl demo $(DEMO)

# First the tests that share nothing, on all cores; then, one after the other, those that start servers and measure what they do.
test: venv check
	$(BIN)/python -m tests.debian
	$(BIN)/python -m pytest -q -n auto -m "$(QUICK)" tests $(PYTEST) $(NONE_IS_FINE)
	$(BIN)/python -m pytest -m "not ($(QUICK))" tests $(PYTEST) $(NONE_IS_FINE)

coverage: venv
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered $(PYTEST)

# Unit tests without Label Studio, PostgreSQL or a browser, on all cores: for the time between two edits.
# Compiled modules are kept (two workers would compile each test), properties get fewer examples, and files of tests are
# in memory where that is a folder.
quick: venv
	PYTHONDONTWRITEBYTECODE= PYTEST_DEBUG_TEMPROOT=$(firstword $(wildcard /dev/shm) /tmp) \
	$(BIN)/python -m pytest -q -n auto --hypothesis-profile=quick -o tmp_path_retention_policy=none \
	  -m "$(QUICK)" tests $(PYTEST)

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --severity-level medium --recursive ml_backend sampling feedback

venv: $(STAMP)

# --no-deps: install exactly the lock, so that label-studio-ml 1.0.9 (which pins an older Flask) works with Flask 3.
# A uv of .venv itself, where that is activated, would delete itself with it.
$(STAMP): requirements.lock pyproject.toml
	@UV="$$(command -v uv)"; \
	if [ -n "$$UV" ] && [ "$$UV" != "$(CURDIR)/$(BIN)/uv" ]; then \
	  "$$UV" venv --quiet --clear --python $(PYTHON) $(VENV) && \
	  "$$UV" pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements.lock && \
	  "$$UV" pip install --quiet --python $(BIN)/python --no-deps --editable . ; \
	else \
	  $(PYTHON) -m venv --clear $(VENV) && \
	  $(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable . ; \
	fi
	@touch $(STAMP)

lock:
	@command -v uv >/dev/null 2>&1 && UV=uv || UV=$(BIN)/uv; \
	$$UV pip compile pyproject.toml --group dev --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	  --quiet --upgrade --output-file requirements.lock; \
	echo "setuptools>=77" | $$UV pip compile - pyproject.toml --extra postgres --universal --python-version 3.11 \
	  --constraints requirements.lock --generate-hashes --no-header --no-annotate --no-emit-index-url \
	  --no-emit-find-links --quiet --output-file docs/deploy/image.lock

bench: venv
	$(BIN)/python -m pytest -m timed tests $(PYTEST)
	$(BIN)/python -m pytest tests/benchmarks --override-ini=python_files='bench_*.py' -p no:cacheprovider -s $(PYTEST)

# proof 5 in full: ten minutes on a machine that does nothing else
soak: venv
	HITL_BENCH_SOAK_S=600 $(BIN)/python -m pytest -s -p no:cacheprovider tests/benchmarks/bench_soak.py

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
