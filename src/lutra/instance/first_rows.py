"""The first rows of each group, among its aggregates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lutra.instance.layout import Layout
from lutra.instance.row import Row
from lutra.instance.search_query import OrderBy, columns_to_get, sorters_of
from lutra.model import limits
from lutra.model.aggregations import AggregationResult, RowsResult, TopRows
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import ColumnsToGet


@dataclass(frozen=True, slots=True)
class FirstRows:
    """Rows of a group, as ``group_by`` and ``aggregate`` take it among their aggregates; made by :func:`first_rows`."""

    limit: int
    order_by: OrderBy = ()
    columns: Sequence[str] | None = None

    def bound(self, name: str, layout: Layout) -> TopRows:
        """As a search takes it. Raises ParameterInvalid."""
        if type(self.limit) is not int or not 1 <= self.limit <= limits.TOP_ROWS_MAX:
            raise ParameterInvalid(f"{name}= takes 1 to {limits.TOP_ROWS_MAX} rows of each group, not {self.limit!r}")
        return TopRows(name, self.limit, sorters_of(self.order_by, layout))

    def columns_to_get(self, layout: Layout) -> ColumnsToGet:
        """Raises ParameterInvalid where the table has no such column."""
        return columns_to_get(self.columns, layout)

    def value(self, result: AggregationResult, layout: Layout) -> list[Row]:
        """The rows that a search found."""
        assert isinstance(result, RowsResult)
        return [layout.decode_row(row, columns=layout.columns(self.columns)) for row in result.rows]


def first_rows(limit: int = 1, *, order_by: OrderBy = (), columns: Sequence[str] | None = None) -> FirstRows:
    """The first rows of each group, 1 to 100, by ``order_by`` as in ``search``, else by key: a list of rows.

    ``columns`` names those to read besides the key. ::

        docs.group_by("kind", dearest=lutra.first_rows(3, order_by=lutra.col("price").desc(), columns=["title"]))
    """
    return FirstRows(limit, order_by, columns)
