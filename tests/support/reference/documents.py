"""Rows as documents: what each field holds of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from support.reference.values import elements_of

from lutra.model.indexes import IndexSchema
from lutra.model.rows import PrimaryKey, Row


@dataclass(eq=False)
class Document:
    """A row, or a child of one. ``elements`` has the fields that hold something, by name."""

    key: PrimaryKey
    elements: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def order(self) -> tuple[Any, ...]:
        """Documents in the order of their primary keys."""
        return tuple(value for _, value in self.key)


def documents_of(schema: IndexSchema, rows: Mapping[PrimaryKey, Row]) -> list[Document]:
    """In the order of ``rows``."""
    return [document_of(schema, row) for row in rows.values()]


def document_of(schema: IndexSchema, row: Row) -> Document:
    """The newest value of each column counts."""
    cells: dict[str, Any] = {}
    for name, value, _ in row.cells:
        cells.setdefault(name, value)
    document = Document(row.key)
    for one in schema.fields:
        elements = elements_of(one, cells[one.name]) if one.name in cells else None
        if elements:
            document.elements[one.name] = elements
    return document
