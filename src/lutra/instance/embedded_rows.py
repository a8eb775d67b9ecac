"""Rows that are written get the vectors that they were not given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lutra.embedding.embedder import EmbeddingError, ModelUnusable
from lutra.embedding.pipeline import Item, Pipeline
from lutra.instance.embedded import FieldModel, embedding_of
from lutra.instance.field import Field
from lutra.instance.layout import Layout
from lutra.model.rows import CellChange, CellOperation, ChangeKind, RowChange
from lutra.model.values import Value

_CELL_BYTES: Final = 32
"""Of a vector's column beside its numbers and its name, roughly."""


class EmbeddedRows:
    """Of one table."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @property
    def row_bytes(self) -> int:
        """That the vectors add to a row, at most."""
        return sum(
            4 * field.vector.dimension + len(field.name) + _CELL_BYTES
            for field in self._layout.embedded
            if field.vector is not None
        )

    def complete(self, changes: Sequence[RowChange]) -> dict[int, EmbeddingError]:
        """Gives each change that brings a text or a picture, and no vector, that vector; one that takes the text away
        takes the vector, too, as does a text without a word. Whatever the model cannot do is told by its number.

        Raises EmbeddingError where the model gives nothing at all, and RequestTimeout.
        """
        errors: dict[int, EmbeddingError] = {}
        for field in self._layout.embedded:
            items = [
                (number, value)
                for number, change in enumerate(changes)
                if number not in errors and (value := _to_embed(change, field)) is not None
            ]
            if not items:
                continue
            model = FieldModel.of(field)
            of_source = model.of_source(self._layout.fields[embedding_of(field).source])
            if of_source is None:
                raise ModelUnusable(f"field {field.name!r}: the model {model.embedder.name!r} is for other fields")
            for one in Pipeline(model.embedder, of_source).run(items):
                if one.vector is None:
                    assert one.error is not None
                    errors[one.key] = EmbeddingError(f"field {field.name!r}: {one.error}")
                else:
                    changes[one.key].cells.append((field.name, field.encode(one.vector), None, CellOperation.PUT))
        return errors


def is_blank(value: object) -> bool:
    """Whether there is nothing in a text, or a picture, that a vector could be made of."""
    return not value or (isinstance(value, str) and not value.strip())


def _to_embed(change: RowChange, field: Field) -> Item | None:
    """What a vector is to be made of; where the row is to lose the one that it has, the change is made to say so."""
    source: CellChange | None = None
    name = embedding_of(field).source
    for cell in change.cells:
        if cell[0] == field.name:
            return None  # it is given, or taken away
        if cell[0] == name:
            source = cell
    if source is None:
        return None
    value: Value | None = source[1]
    if is_blank(value):
        if change.kind is ChangeKind.UPDATE:
            change.cells.append((field.name, None, None, CellOperation.DELETE_ALL))
        return None
    return value if isinstance(value, str | bytes) else None
