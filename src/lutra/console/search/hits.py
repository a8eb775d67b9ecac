"""Rows that a search found, as pages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from lutra.console.cells import ShownValue, shown_value
from lutra.console.row_keys import key_text, key_token
from lutra.console.search.fields import SearchFields
from lutra.console.search.pictures import picture_type
from lutra.console.search.vectors import vector_in
from lutra.instance.highlighter import Highlighter
from lutra.instance.layout import Layout
from lutra.instance.row_texts import RowTexts
from lutra.model.queries import (
    FragmentOrder,
    Fragments,
    Highlight,
    HighlightEncoder,
    HighlightField,
    Query,
    SearchResult,
)
from lutra.model.rows import Row as StoredRow

CARD_CHARS_MAX: Final = 280
GRID_CHARS_MAX: Final = 100
_MARKED_FIELDS_MAX: Final = 10
_FRAGMENTS: Final = 3
_FRAGMENT_CHARS: Final = 160
_TITLE_CHARS_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of a row. ``marked``: pieces of a text in which the words that were looked for are marked; markup.

    ``picture``: whether it is one, which `lutra.console.pages.search` serves.
    """

    name: str
    shown: ShownValue
    marked: tuple[Markup, ...] = ()
    picture: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """One row. ``key``: as an address has it, and as people read it. ``score`` None: nothing was scored."""

    key: str
    title: str
    score: float | None
    cells: tuple[Cell, ...]
    vectors: tuple[str, ...]
    """The fields by which others like it can be looked for."""

    @property
    def by_name(self) -> Mapping[str, Cell]:
        return {cell.name: cell for cell in self.cells}

    @property
    def pictures(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.picture)


def hits_of(
    result: SearchResult, query: Query, fields: SearchFields, layout: Layout, is_scored: bool, chars_max: int
) -> tuple[Hit, ...]:
    """The rows of a page, in their order."""
    marker = _Marker(fields, query)
    return tuple(
        _hit(row, score if is_scored else None, fields, layout, marker, chars_max)
        for row, score in zip(result.rows, result.scores, strict=True)
    )


def _hit(
    stored: StoredRow, score: float | None, fields: SearchFields, layout: Layout, marker: _Marker, chars_max: int
) -> Hit:
    row = layout.decode_row(stored)
    marked = marker.marked(stored)
    key_names = {name for name, _ in stored.key}
    cells = tuple(
        Cell(name, shown_value(value, chars_max), marked.get(name, ()), picture_type(value) is not None)
        for name, value in row.items()
        if name not in key_names
    )
    title = ", ".join(key_text(value) for _, value in stored.key)
    likes = tuple(field.name for field in fields.vectors if vector_in(row, field.name) is not None)
    return Hit(key_token(row.key), title[:_TITLE_CHARS_MAX], score, cells, likes)


class _Marker:
    """Marks words in texts. The search itself marks only in fields whose index was made for that; texts are at hand
    here, so any field's are."""

    def __init__(self, fields: SearchFields, query: Query) -> None:
        of_rows = [field for field in fields.texts if not field.space][:_MARKED_FIELDS_MAX]
        styles = tuple(
            HighlightField(field.name, _FRAGMENTS, _FRAGMENT_CHARS, "<mark>", "</mark>", FragmentOrder.TEXT_SEQUENCE)
            for field in of_rows
        )
        self._schema = fields.schema
        self._columns = {field.name: field.column for field in fields.schema.fields}
        # What is around the marks is escaped by the encoder.
        self._highlighter = Highlighter(fields.schema, query, Highlight(styles, HighlightEncoder.HTML))

    def marked(self, stored: StoredRow) -> dict[str, tuple[Markup, ...]]:
        """Pieces by column."""
        found: Fragments = self._highlighter.fragments(RowTexts(self._schema, stored))
        by_column: dict[str, tuple[Markup, ...]] = {}
        for name, pieces in found.items():
            column = self._columns.get(name) or name.split(".")[0]
            by_column[column] = (*by_column.get(column, ()), *map(Markup, pieces))
        return by_column


def columns_of(hits: Sequence[Hit]) -> list[str]:
    """The columns of a grid: all that any of its rows has, in the order in which they first come."""
    return list(dict.fromkeys(cell.name for hit in hits for cell in hit.cells))
