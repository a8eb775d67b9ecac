# make setup   a virtual environment .venv with everything (safe to run again)
# make demo    index the Python standard library's documentation and ask it three questions
# make test    the fast tests, those of the SDK on CPython 3.12 as well where that is; make test-slow: the slow ones too
# make pictures    search in a thousand pictures by words or by a picture, on a page: examples/pictures
# make assistant   answers from documents, on a page: examples/assistant
# make lint    ruff, mypy strict, import-linter
# make wheel   dist/: the source distribution, and a wheel for each CPython that is found; needs none of .venv
# make deb     dist/: a Debian package with a systemd unit, of the wheel; make sbom: what Lutra is made of (CycloneDX)
# make screenshots   the pictures of docs/console.md, taken in Chromium
# make bench   the benchmarks of bench/, printed as tables
# make docs    the documentation as a site in site/: python3 -m http.server -d site, or open site/index.html

PYTHON := $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
# What builds packages: the extra `package`, without Lutra.
PACKAGE_VENV := .venv-package
NATIVE := CMakeLists.txt native/CMakeLists.txt $(wildcard native/*.cpp native/*/*)
# The SDK's own tests on CPython 3.12, where it uses its native codec; the server runs on the interpreter of $(VENV).
SDK_VENV := $(VENV)-sdk312
SDK_TESTS = [ ! -x $(SDK_VENV)/bin/pytest ] || LUTRA_SERVER_PYTHON=$(BIN)/python $(SDK_VENV)/bin/pytest $(SHARED_OUT) tests/server/sdk
# Two processes at once: half the time on two cores, and none of the memory that one a core would take on many.
SHARED_OUT := -n 2 --dist worksteal

.PHONY: setup browser screenshots demo assistant pictures test test-slow lint bench docs protos wheel deb sbom clean
setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml $(NATIVE)
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh tools/setup.sh
	@touch $@

browser:
	@sh tools/browser.sh

screenshots: setup browser
	$(BIN)/python -m tools.screenshots

demo: setup
	$(BIN)/lutra demo --data demo-data

assistant: setup
	$(BIN)/python -m examples.assistant

pictures: setup
	$(BIN)/python -m examples.pictures

# A run begins hundreds of processes: each would compile Lutra's modules again where the environment forbids to keep them.
test test-slow: export PYTHONDONTWRITEBYTECODE :=

test: setup browser
	$(BIN)/pytest $(SHARED_OUT)
	@$(SDK_TESTS)

test-slow: setup browser
	$(BIN)/pytest -m "slow or not slow"
	@$(SDK_TESTS) -m "slow or not slow"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m bench

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

protos: setup
	$(BIN)/python -m lutra.server.wire.generate

$(PACKAGE_VENV)/.installed: pyproject.toml
	@$(PYTHON) -m venv $(PACKAGE_VENV)
	@$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["package"], sep="\n")' \
		| xargs -d '\n' $(PACKAGE_VENV)/bin/python -m pip install --quiet
	@touch $@

# WHEELS="3.11 3.13": of these CPythons alone.
wheel: $(PACKAGE_VENV)/.installed
	$(PACKAGE_VENV)/bin/python -m tools.wheels $(WHEELS)

deb: $(PACKAGE_VENV)/.installed
	$(PACKAGE_VENV)/bin/python -m tools.debian

sbom: setup
	$(BIN)/python -m tools.sbom

clean:
	rm -rf $(VENV) $(SDK_VENV) $(PACKAGE_VENV) build dist demo-data pictures-data site
