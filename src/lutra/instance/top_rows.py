"""The rows of groups: found by an index, read from the table once the search is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lutra.model.aggregations import Aggregated, Group, RowsResult
from lutra.model.queries import Hit
from lutra.model.rows import PrimaryKey, Row


def fill_top_rows(aggregated: Aggregated, read: Callable[[list[Hit]], list[Row | None]]) -> None:
    """Gives each `RowsResult` its rows, read in one go; those that are gone meanwhile are left out.

    Raises as ``read``.
    """
    results = list(_results(aggregated))
    hits = {hit.key: hit for result in results for hit in result.hits}
    if not hits:
        return
    found: dict[PrimaryKey, Row | None] = dict(zip(hits, read(list(hits.values())), strict=True))
    for result in results:
        result.rows = [row for row in (found[hit.key] for hit in result.hits) if row is not None]


def _results(of: Aggregated | Group) -> Iterator[RowsResult]:
    yield from (result for result in of.aggregations.values() if isinstance(result, RowsResult))
    for group_by in of.group_bys.values():
        for group in group_by.groups:
            yield from _results(group)
