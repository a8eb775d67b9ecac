"""The native code without Python, built and run under sanitizers: nothing out of bounds, no undefined behaviour."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
NAMES = re.findall(r"^native_test\((\w+)", (HERE / "CMakeLists.txt").read_text(), re.MULTILINE)
FAST = ["block_cache", "helpers", "plainbuffer", "searcher", "text"]
"""What reads bytes of others, and what all searches go through: compiling takes most of the time."""
THREADED = ["block_cache", "codes", "graph", "helpers", "links", "lists", "searcher", "text", "topk"]
ADDRESSES = "address,undefined"

Build = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def build() -> Build:
    """Gives the program of a test, built with sanitizers.

    What is built stays with what `make setup` builds: only what has changed is compiled again, by whichever process of
    a run comes to it first.
    """

    configured: set[str] = set()

    def program(name: str, sanitizers: str) -> Path:
        tree = ROOT / "build" / "sanitizers" / sanitizers.replace(",", "-")
        tree.mkdir(parents=True, exist_ok=True)
        with (tree / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if sanitizers not in configured:
                configure(tree, sanitizers)
                configured.add(sanitizers)
            built = command(["cmake", "--build", str(tree), "--target", f"{name}_test", "--parallel", "2"], 480)
        assert built.returncode == 0, f"{built.stdout}\n{built.stderr}"
        return tree / "tests" / "native" / f"{name}_test"

    return program


def configure(tree: Path, sanitizers: str) -> None:
    require(tree, sanitizers)
    launcher = shutil.which("ccache") or ""
    options = [f"-DLUTRA_SANITIZERS={sanitizers}", f"-DCMAKE_CXX_COMPILER_LAUNCHER={launcher}"]
    done = command(["cmake", "-S", str(ROOT), "-B", str(tree), *options], 110)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def require(folder: Path, sanitizers: str) -> None:
    """Skips the test where the compiler has no libraries for ``sanitizers``."""
    empty = folder / "empty.cpp"
    empty.write_text("int main() { return 0; }\n")
    if command([*compiler(sanitizers), str(empty), "-o", str(folder / "empty")], 110).returncode != 0:
        pytest.skip(f"there are no libraries for -fsanitize={sanitizers}")


def compiler(sanitizers: str) -> list[str]:
    name = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")
    if name is None:
        pytest.skip("no C++ compiler")
    return [name, f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", "-std=c++20", "-Og", "-g1"]


def command(words: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # setup installs cmake there
    # So that what another checkout compiled is the same to ccache, too.
    environment = {**os.environ, "PATH": path, "CCACHE_BASEDIR": str(ROOT), "CCACHE_NOHASHDIR": "1"}
    found = shutil.which(words[0], path=path) or words[0]
    return subprocess.run(
        [found, *words[1:]], capture_output=True, text=True, timeout=timeout_s, check=False, env=environment
    )


def run(program: Path) -> None:
    ran = subprocess.run([str(program)], cwd=program.parent, capture_output=True, text=True, timeout=110, check=False)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    assert ran.stderr == ""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_no_memory_error_and_no_undefined_behaviour(build: Build, name: str) -> None:
    run(build(name, ADDRESSES))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", THREADED)
def test_no_data_race_between_threads(build: Build, name: str) -> None:
    run(build(name, "thread"))


def test_every_program_is_run() -> None:
    assert sorted(NAMES) == sorted(path.name.removesuffix("_test.cpp") for path in HERE.glob("*_test.cpp"))


def test_the_sanitizer_is_on(tmp_path: Path) -> None:
    """A build that lets an error on purpose pass would prove nothing."""
    require(tmp_path, ADDRESSES)
    bad, program = tmp_path / "bad.cpp", tmp_path / "bad"
    bad.write_text(
        "int main(int count, char**) { int* one = new int[1]; int x = one[count]; delete[] one; return x & 1; }"
    )
    assert command([*compiler(ADDRESSES), str(bad), "-o", str(program)], 110).returncode == 0
    ran = command([str(program)], 60)
    assert ran.returncode != 0
    assert "bad.cpp" in ran.stderr
