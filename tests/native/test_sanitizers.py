"""The native code without Python, built and run under sanitizers: nothing out of bounds, no undefined behaviour."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SOURCES = {
    "block_cache": [
        "block_cache.cpp",
        "block_cache_frames.cpp",
        "block_cache_prefetch.cpp",
        "block_cache_shard.cpp",
        "block_cache_source.cpp",
        "io_file.cpp",
        "io_pool.cpp",
        "io_ring.cpp",
    ],
    "codes": [
        "code_arithmetic.cpp",
        "code_basis.cpp",
        "code_dot.cpp",
        "code_lanes.cpp",
        "code_ranking.cpp",
        "codes.cpp",
        "distance.cpp",
        "product_codes.cpp",
        "rotation.cpp",
        "row_mask.cpp",
        "topk.cpp",
    ],
    "graph": [
        "code_arithmetic.cpp",
        "code_basis.cpp",
        "code_dot.cpp",
        "code_lanes.cpp",
        "codes.cpp",
        "distance.cpp",
        "graph.cpp",
        "graph_entries.cpp",
        "graph_repair.cpp",
        "graph_search.cpp",
        "graph_space.cpp",
        "int8_product.cpp",
        "rotation.cpp",
        "row_mask.cpp",
        "walk.cpp",
    ],
    "plainbuffer": ["plainbuffer.cpp"],
    "row_mask": ["distance.cpp", "row_mask.cpp"],
    "searcher": [
        "block_cache.cpp",
        "block_cache_frames.cpp",
        "block_cache_prefetch.cpp",
        "block_cache_shard.cpp",
        "block_cache_source.cpp",
        "code_arithmetic.cpp",
        "code_basis.cpp",
        "code_dot.cpp",
        "code_lanes.cpp",
        "code_ranking.cpp",
        "codes.cpp",
        "distance.cpp",
        "graph.cpp",
        "graph_entries.cpp",
        "graph_repair.cpp",
        "graph_search.cpp",
        "graph_space.cpp",
        "int8_product.cpp",
        "io_file.cpp",
        "io_pool.cpp",
        "io_ring.cpp",
        "node_reader.cpp",
        "node_walk.cpp",
        "product_codes.cpp",
        "rotation.cpp",
        "row_mask.cpp",
        "search_slot.cpp",
        "searcher.cpp",
        "topk.cpp",
        "walk.cpp",
    ],
    "topk": ["topk.cpp", "distance.cpp"],
    "vector_values": ["vector_values.cpp"],
}


def build(tmp_path: Path, sources: list[Path], sanitizers: str) -> Path:
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    options = [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", "-std=c++20", "-Og", "-g1", "-pthread"]
    options.append("-ffp-contract=off")  # as CMakeLists.txt has it: codes are the same at every SIMD level
    empty = tmp_path / "empty.cpp"
    empty.write_text("int main() { return 0; }\n")
    if compile_with([compiler, *options, str(empty), "-o", str(tmp_path / "empty")]).returncode != 0:
        pytest.skip(f"{compiler} has no libraries for -fsanitize={sanitizers}")
    program = tmp_path / "program"
    built = compile_with([compiler, *options, f"-I{ROOT / 'native'}", *map(str, sources), "-o", str(program)])
    assert built.returncode == 0, built.stderr
    return program


def compile_with(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


def sources_of(name: str) -> list[Path]:
    return [HERE / f"{name}_test.cpp", *(ROOT / "native" / source for source in SOURCES[name])]


def run(program: Path) -> None:
    ran = subprocess.run([str(program)], cwd=program.parent, capture_output=True, text=True, timeout=110, check=False)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    assert ran.stderr == ""


SLOW_TO_COMPILE = {"searcher"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW_TO_COMPILE else []) for name in SOURCES]
)
def test_no_memory_error_and_no_undefined_behaviour(tmp_path: Path, name: str) -> None:
    run(build(tmp_path, sources_of(name), "address,undefined"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["block_cache", "codes", "graph", "searcher", "topk"])
def test_no_data_race_between_threads(tmp_path: Path, name: str) -> None:
    run(build(tmp_path, sources_of(name), "thread"))


def test_the_sanitizer_is_on(tmp_path: Path) -> None:
    """A build that lets an error on purpose pass would prove nothing."""
    bad = tmp_path / "bad.cpp"
    bad.write_text(
        "int main(int count, char**) { int* one = new int[1]; int x = one[count]; delete[] one; return x & 1; }"
    )
    ran = subprocess.run(
        [str(build(tmp_path, [bad], "address,undefined"))], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode != 0
    assert "bad.cpp" in ran.stderr
