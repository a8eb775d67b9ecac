"""Which columns of its row a hit carries."""

from __future__ import annotations

from lutra.index.definitions.stored import StoredColumns
from lutra.model.indexes import IndexSchema
from lutra.model.queries import ColumnsToGet, ReturnColumns
from lutra.model.rows import Cell, Row


class HitColumns:
    """Picks the columns a search returns: of each the newest version, sorted by name."""

    def __init__(self, schema: IndexSchema) -> None:
        self._stored = StoredColumns(schema)

    def needs_rows(self, columns: ColumnsToGet) -> bool:
        """Whether hits carry anything beyond their keys."""
        return columns.kind is not ReturnColumns.NONE

    def pick(self, row: Row, columns: ColumnsToGet) -> Row:
        """The row as the hit shows it."""
        if columns.kind is ReturnColumns.ALL_FROM_INDEX:
            return Row(row.key, self._stored.cells(row))
        if columns.kind is ReturnColumns.NONE:
            return Row(row.key)
        cells = _newest(row.cells)
        if columns.kind is ReturnColumns.SPECIFIED:
            names = frozenset(columns.names)
            cells = [cell for cell in cells if cell[0] in names]
        return Row(row.key, cells)


def _newest(cells: list[Cell]) -> list[Cell]:
    """The first cell of each name: within a name the newest version comes first."""
    result: list[Cell] = []
    last = None
    for cell in cells:
        if cell[0] != last:
            result.append(cell)
        last = cell[0]
    return result
