"""The tables of docs/scale.md are what the programs print, and its prose says what they say."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from bench import capacity, placement

PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()


def table(name: str) -> str:
    return PAGE.partition(f"<!-- {name} -->\n")[2].partition(f"\n<!-- /{name} -->")[0]


@pytest.mark.parametrize("name", ["sizes", "costs", "checks"])
def test_tables_are_those_of_the_model(name: str) -> None:
    assert table(name) == capacity.tables()[name]


@pytest.mark.slow
def test_the_table_of_placement_is_that_of_the_simulation() -> None:
    assert table("placement") == placement.table_of(placement.simulate(1_000, 100_000, 1.1, 4))


@pytest.mark.parametrize(("dimension", "millions", "stored"), [(128, 120, "1.6 KB"), (960, 90, "8.4 KB")])
def test_what_is_said_in_short(dimension: int, millions: int, stored: str) -> None:
    one = capacity.predict(1e9, dimension)
    memory_bytes = capacity.NODE_GB * 1e9 * capacity.NODE_MEMORY_SHARE * (1 - capacity.CACHE_SHARE)
    assert round(memory_bytes / capacity.constants_of(dimension).resident_bytes / 1e7) * 10 == millions
    assert f"{millions} million" in PAGE
    assert f"{(one.object_gb + one.row_gb) / 1e3:.1f} KB" == stored
    assert stored in PAGE


def test_what_is_said_of_a_billion() -> None:
    billion = capacity.predict(1e9, 128)
    assert billion.nodes == 9
    assert f"answer {billion.queries_a_second:.0f} such searches" in PAGE
    assert f"cost {billion.storage_dollars_a_month:.0f} dollars a month" in PAGE


def test_more_vectors_take_more_of_all() -> None:
    sizes = [capacity.predict(vectors, 128) for vectors in (1e6, 1e8, 1e9, 1e10)]
    for less, more in pairwise(sizes):
        assert more.object_gb > less.object_gb
        assert more.build_core_hours > less.build_core_hours
        assert more.nodes >= less.nodes
        assert more.query_core_ms > less.query_core_ms
    assert capacity.predict(1e9, 960).nodes > capacity.predict(1e9, 128).nodes


@pytest.mark.parametrize(
    ("dimension", "size"), [(128, 512), (384, 2_048), (960, 4_096), (1_024, 4_096), (1_536, 8_192)]
)
def test_vectors_do_not_lie_over_the_edges_of_pages(dimension: int, size: int) -> None:
    assert capacity.vector_bytes(dimension) == size


def test_predictions_are_near_what_was_measured() -> None:
    checks = [check for run in capacity.RUNS for check in capacity.check_run(*run)]
    assert {check.what for check in checks} >= {"bytes of objects a row", "codes and graphs in memory a row"}
    assert all(abs(check.off) < 0.5 for check in checks), checks
