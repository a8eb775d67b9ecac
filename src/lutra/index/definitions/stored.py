"""The columns an index gives back by itself.

An index keeps no second copy of the values it was fed: the table's row beside it is the copy. Reading a hit's columns
"from the index" means: those columns of its row that the index has as fields. All fields count, stored or not, since
clients rely on getting them (protocol facts, 4.7), and so do values that are not of their field's type or too long for
it: filters do not see them, but a row that is found loses nothing. Virtual fields are no columns: of those there are
the columns that they are fed from, where these are fields as well.
"""

from __future__ import annotations

from lutra.model.indexes import IndexSchema
from lutra.model.rows import Cell, Row


class StoredColumns:
    """Picks from a table's row the cells an index of ``schema`` gives back."""

    def __init__(self, schema: IndexSchema) -> None:
        self.names = frozenset(field.name for field in schema.fields if not field.is_virtual)
        """Every name that can be asked for, key columns that are fields included."""

    def cells(self, row: Row) -> list[Cell]:
        """The newest version of each column that is a field, by name, as it is in the table."""
        result: list[Cell] = []
        last = None
        for cell in row.cells:
            if cell[0] != last and cell[0] in self.names:
                result.append(cell)
            last = cell[0]
        return result
