# Every target makes .venv and installs what it needs first, so each works on a fresh machine with Python and make.

PYTHON ?= $(firstword $(foreach p,python3.12 python3.11 python3.10 python3,$(shell \
	$(p) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null && echo $(p))))
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: study test setup lint bench clean

study: .venv/installed ## the default study on synthetic clicks, from nothing to report.html
	$(BIN)/tfrs-scaling study tuner_configs/study.yaml

test: .venv/installed-for-tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

setup: .venv/installed-for-tests

lint: .venv/installed-for-tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/installed-for-tests
	for benchmark in tests/benchmarks/*_benchmark.py; do \
		$(BIN)/python -m tests.benchmarks.$$(basename $$benchmark .py) --benchmark_filter=. || exit 1; done

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "needs Python 3.10, 3.11 or 3.12; say where with make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python setup.cfg pyproject.toml constraints.txt
	@echo "installing tfrs_scaling into .venv (a minute or two)"
	@$(INSTALL) --editable .
	@touch $@

.venv/installed-for-tests: .venv/bin/python setup.cfg pyproject.toml constraints.txt
	@echo "installing tfrs_scaling with its test tools into .venv (a minute or two)"
	@$(INSTALL) --editable '.[test]'
	@touch .venv/installed $@
