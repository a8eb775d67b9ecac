"""Rows as documents: what each field holds of them, and the documents within them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from support.reference.values import elements_in, elements_of

from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.rows import PrimaryKey, Row

CHILDREN_MAX = 256


@dataclass(eq=False)
class Document:
    """A row, or an object within one. ``elements`` has the fields that hold something, by full path, ``children`` the
    objects of nested fields, by theirs."""

    key: PrimaryKey
    place: tuple[int, ...] = ()
    """Of an object: its number, and before it those of the objects that it is within."""
    parent: Document | None = None
    elements: dict[str, list[Any]] = field(default_factory=dict)
    children: dict[str, list[Document]] = field(default_factory=dict)

    @property
    def order(self) -> tuple[Any, ...]:
        """In the order of primary keys, then of places."""
        return (*(value for _, value in self.key), self.place)

    def below(self, path: str) -> Iterator[Document]:
        """Documents within it in the nested field at ``path``, through how many levels soever."""
        for own, children in self.children.items():
            for child in children:
                if own == path:
                    yield child
                elif path.startswith(f"{own}."):
                    yield from child.below(path)


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
        if one.name not in cells:
            continue
        if one.fields:
            take_objects(document, one, one.name, read_json(cells[one.name]))
        else:
            take(document, one.name, elements_of(one, cells[one.name]))
    return document


def read_json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else None
    except ValueError:
        return None


def take(document: Document, path: str, elements: list[Any] | None) -> None:
    if elements and isinstance(elements[0], dict):  # leaves of objects: of all paths together, and by path
        leaves = {below: texts for one in elements for below, texts in one.items()}
        elements = [text for texts in leaves.values() for text in texts]
        document.elements |= {f"{path}.{below}": texts for below, texts in leaves.items()}
    if elements:
        document.elements[path] = elements


def take_objects(document: Document, field: FieldSchema, path: str, value: Any) -> None:
    """An array of objects, or one alone; anything else is left out as a whole, and so are too many."""
    objects = [one for one in (value if isinstance(value, list) else [value]) if one is not None]
    if not all(isinstance(one, dict) for one in objects) or len(objects) > CHILDREN_MAX or not objects:
        return
    if not field.is_nested:
        take_flat(document, field, path, objects)
        return
    children = document.children[path] = [
        Document(document.key, (*document.place, number), document) for number in range(len(objects))
    ]
    for child, one in zip(children, objects, strict=True):
        for sub in field.fields:
            value, own = one.get(sub.name), f"{path}.{sub.name}"
            if value is not None and sub.fields:
                take_objects(child, sub, own, value)
            elif value is not None:
                take(child, own, elements_in(sub, value))


def take_flat(document: Document, field: FieldSchema, path: str, objects: Sequence[Mapping[str, Any]]) -> None:
    """Objects that are no documents: one has all that they have."""
    for sub in field.fields:
        values = [one[sub.name] for one in objects if one.get(sub.name) is not None]
        own = f"{path}.{sub.name}"
        flat = [part for value in values for part in (value if isinstance(value, list) else [value])]
        if values and sub.fields:
            take_objects(document, sub, own, flat)
        elif values and sub.type is FieldType.VECTOR:
            take(document, own, elements_in(sub, values[0]) if len(values) == 1 else None)
        elif values:
            take(document, own, elements_in(sub, flat, is_array=True))
