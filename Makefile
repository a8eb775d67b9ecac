# make setup   a virtual environment .venv with everything (safe to run again)
# make demo    index the Python standard library's documentation and ask it three questions
# make test    the fast tests; make test-slow: the slow ones too
# make lint    ruff, mypy strict, import-linter
# make bench   the benchmarks of bench/, printed as tables

PYTHON := $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
NATIVE := CMakeLists.txt $(wildcard native/*)

.PHONY: setup demo test test-slow lint bench protos clean
setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml $(NATIVE)
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh tools/setup.sh
	@touch $@

demo: setup
	$(BIN)/lutra demo --data demo-data

test: setup
	$(BIN)/pytest

test-slow: setup
	$(BIN)/pytest -m "slow or not slow"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m bench

protos: setup
	$(BIN)/python tools/generate_protos.py

clean:
	rm -rf $(VENV) build demo-data
