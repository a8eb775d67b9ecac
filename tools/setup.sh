#!/bin/sh
# Makes $VENV with Lutra installed editable and all that tests, lint and the demo need. Safe to run again.
set -eu

missing() {
    echo "setup: $1" >&2
    echo "setup: on Debian or Ubuntu: sudo apt-get install -y g++ make python3-dev python3-venv" >&2
    exit 1
}

[ -n "${PYTHON:-}" ] || missing "Python 3.11 or newer was not found"
command -v "${CXX:-g++}" >/dev/null 2>&1 || missing "a C++20 compiler (g++) was not found"
"$PYTHON" -c 'import os, sysconfig, sys; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' \
    || missing "the headers of $PYTHON (Python.h) were not found"

if [ ! -x "$VENV/bin/pip" ]; then
    "$PYTHON" -m venv "$VENV" || { rm -rf "$VENV"; missing "$PYTHON cannot make virtual environments"; }
fi
pip="$VENV/bin/python -m pip --disable-pip-version-check"
# Without isolation, what comes as a source distribution is built with what is here: setuptools makes wheels since 70.1.
$pip install --quiet "scikit-build-core>=0.11" "nanobind>=2.4" "cmake>=3.18" ninja "setuptools>=70.1"
echo "setup: building and installing (about two minutes the first time)"
$pip install --quiet --no-build-isolation --editable ".[dev,demo]"

# The SDK has a native codec of its own on CPython 3.12 only: its tests run there too where that interpreter is.
is_312() {
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' >/dev/null 2>&1
}
if ! is_312 "$VENV/bin/python"; then
    for candidate in python3.12 "${HOME:-}"/.pyenv/versions/3.12*/bin/python; do
        if is_312 "$candidate"; then
            [ -x "$VENV-sdk312/bin/pip" ] || "$candidate" -m venv "$VENV-sdk312" || break
            "$VENV-sdk312/bin/python" -m pip --disable-pip-version-check install --quiet \
                tablestore==6.4.8 numpy "pytest>=8.2" "pytest-timeout>=2.3" "pytest-xdist>=3.6" "hypothesis>=6.100"
            break
        fi
    done
fi
