"""What an import will do: which columns become which fields, and the table they go to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from lutra.instance.field import Field, FieldDeclaration
from lutra.instance.layout import KeyDeclaration, Layout
from lutra.transfer.data_file import DataFile
from lutra.transfer.field_types import type_text
from lutra.transfer.mapping import Place
from lutra.transfer.positions import RowReader

FILE_COLUMN = "_file"
ROW_COLUMN = "_row"
"""The key of rows that bring none: the name of their file, and their number in it."""


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """A column of the table, and where it comes from."""

    name: str
    source: str | None
    """What the files call it; None: it is made."""
    declaration: FieldDeclaration | KeyDeclaration
    is_key: bool = False
    unit: str | None = None
    """What numbers count since 1970 that are dates."""
    note: str = ""
    example: Any = None
    place: Place | None = None

    def as_json(self) -> dict[str, Any]:
        made = {} if self.unit is None else {"unit": self.unit}
        place = {} if self.place is None else {"from": [self.place.lat, self.place.lon]}
        note = {"note": self.note} if self.note else {}
        return {"name": self.name, "source": self.source, "type": type_text(self.declaration), **made, **place, **note}


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of some of the first rows when they were converted, and not written."""

    rows: int = 0
    rejected: int = 0
    reasons: Sequence[str] = ()
    """The first few, with where the rows are."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Nothing of it is done yet."""

    table: str
    files: Sequence[DataFile]
    readers: Sequence[RowReader]
    columns: Sequence[PlannedColumn]
    skipped: Sequence[str]
    layout: Layout
    exists: bool
    rows_seen: int
    trial: Trial = dataclass_field(default_factory=Trial)

    @property
    def key(self) -> Mapping[str, KeyDeclaration]:
        return {column.name: column.declaration for column in self.columns if column.is_key}  # type: ignore[misc]

    @property
    def fields(self) -> Mapping[str, FieldDeclaration]:
        return {column.name: column.declaration for column in self.columns if not column.is_key}  # type: ignore[misc]

    @property
    def has_made_key(self) -> bool:
        return any(column.source is None and column.is_key for column in self.columns)

    def field(self, column: PlannedColumn) -> Field:
        """What the table makes of the column's values."""
        found = self.layout.key_fields.get(column.name) or self.layout.fields.get(column.name)
        # Where the table takes any column, it has none.
        return found or Field.declared(column.name, column.declaration)  # type: ignore[arg-type]

    def as_json(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "exists": self.exists,
            "files": [str(file.path) for file in self.files],
            "key": [column.name for column in self.columns if column.is_key],
            "columns": [column.as_json() for column in self.columns],
            "skipped": list(self.skipped),
            "rows_looked_at": self.rows_seen,
            "trial": {"rows": self.trial.rows, "rejected": self.trial.rejected, "reasons": list(self.trial.reasons)},
        }
