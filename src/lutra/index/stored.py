"""The columns an index gives back by itself.

An index in memory keeps no second copy of the values it was fed: the table's row beside it is the copy. Reading a hit's
columns "from the index" means: those columns of its row that the index has as fields, where their values fit. All
fields count, stored or not, since clients rely on getting them (protocol facts, 4.7).
"""

from __future__ import annotations

from lutra.model.indexes import FieldType, IndexSchema
from lutra.model.rows import Cell, Row
from lutra.model.values import Value
from lutra.scalars.values import ScalarReader
from lutra.vectors.values import read_vectors


class StoredColumns:
    """Picks from a table's row the cells an index of ``schema`` gives back."""

    def __init__(self, schema: IndexSchema) -> None:
        self._readers = {f.name: ScalarReader(f) for f in schema.fields if f.type is not FieldType.VECTOR}
        self._dimensions = {f.name: f.vector.dimension for f in schema.fields if f.vector is not None}
        self.names = frozenset(field.name for field in schema.fields)
        """Every name that can be asked for, key columns that are fields included."""

    def cells(self, row: Row) -> list[Cell]:
        """The newest version of each column that is a field and whose value fits, by name, as it is in the table."""
        result: list[Cell] = []
        last = None
        for cell in row.cells:
            if cell[0] != last and self._fits(cell[0], cell[1]):
                result.append(cell)
            last = cell[0]
        return result

    def _fits(self, name: str, value: Value) -> bool:
        reader = self._readers.get(name)
        if reader is not None:
            return reader.read(value) is not None
        dimension = self._dimensions.get(name)
        if dimension is None or not isinstance(value, str | bytes):
            return False
        return bool(read_vectors([value], dimension)[1][0])
