"""The Node SDK's own live tests of searches, unmodified, as they come in its package, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.node import MOCHA, Outcomes, installed, outcomes
from support.server import ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SEARCHES = {
    "Search Meta create_and_describe_with_ttl_and_reindex_and_update_ttl",
    "Search Query agg_and_group_by",
    "Search Query group_by_date_histogram",
    "Search Query group_by_geo_grid",
    "Search Query functions_score_query",
    "Search Query knn_vector_query",
    "Search Query highlight_query",
    "Search Query field_sort_missing_field_query",
    "Search Query group_by_composite",
    "Search Query collapse test ",
    "Search Query weight",
    "ParallelScan compute_splits",
    "ParallelScan parallel_scan",
}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("node"), MOCHA)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("node-search") / "data") as process:
        yield process
    assert "Traceback" not in process.log_path.read_text()


@pytest.fixture(scope="module")
def searches(package: Path, server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    return outcomes(package, server, "search.test.js", tmp_path_factory.mktemp("results") / "search.json")


def test_no_test_is_forgotten(searches: Outcomes) -> None:
    assert searches.errors.keys() == SEARCHES


@pytest.mark.parametrize("title", sorted(SEARCHES))
def test_searches(searches: Outcomes, title: str) -> None:
    assert searches.errors[title] == ""


def test_what_they_print_is_right(searches: Outcomes) -> None:
    """Highlights and scans are looked at by eye there."""
    lines = {line.strip() for line in searches.printed.splitlines()}
    assert "total: 30" in lines
    assert "col_text2:[<b>hangzhou</b> <b>shanghai</b>]" in lines
    assert "col_nested2.Level1_Col1_Text:[<em>hangzhou</em> <em>shanghai</em> 10_1]" in lines
    assert "col_nested2.Level1_Col2_Nested.Level2_Col1_Text:[<em>hangzhou</em> <em>shanghai</em> 10_2]" in lines


def test_older_searches(package: Path, server: ServerProcess, tmp_path: Path) -> None:
    errors = outcomes(package, server, "search_old.test.js", tmp_path / "old.json").errors
    assert len(errors) == 28
    assert {title: error for title, error in errors.items() if error} == {}
