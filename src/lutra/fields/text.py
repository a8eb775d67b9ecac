"""Texts, of which words and phrases are looked for: TEXT fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final, cast

import numpy as np

from lutra.fields.capabilities import FieldPart, Searchable
from lutra.fields.hashing import Hasher
from lutra.fields.kind import FieldKind
from lutra.fields.sections import SectionKind, SectionsIn, SectionsOut
from lutra.fields.virtual import Convert, as_string
from lutra.model.arrays import Digests, Docs
from lutra.model.errors import Corruption
from lutra.model.indexes import FieldSchema, FieldType, TextOptions
from lutra.model.values import ColumnType
from lutra.scalars.pages import Sink
from lutra.text.analyzers import analyzer_of
from lutra.text.column import TextColumn
from lutra.text.segment_text import SegmentText
from lutra.text.writer import write_text

_VALUE_BYTES: Final = 32
"""Of a text beside its words: its length, and where they lie."""


class TextKind(FieldKind):
    """The words of texts, as the field's analyzer makes them; the texts themselves stay in the table."""

    type = FieldType.TEXT
    column_types = frozenset({ColumnType.STRING})
    virtual_types = frozenset({ColumnType.STRING, ColumnType.INTEGER, ColumnType.DOUBLE})
    options = "text"
    is_searchable = True
    has_strings = True

    def check(self, field: FieldSchema) -> None:
        super().check(field)
        analyzer_of(field.text or TextOptions())

    def conversion(self) -> Convert:
        return as_string

    def value_bytes(self, field: FieldSchema) -> int:
        return _VALUE_BYTES

    def column(self, field: FieldSchema) -> TextColumn:
        return TextColumn(field)

    def write(
        self, out: SectionsOut, field: FieldSchema, size: int, inputs: Sequence[FieldPart], renumber: Sequence[Docs]
    ) -> None:
        phase = f"words of {field.name}"
        out.report(phase, 0, size)

        def write(sink: Sink) -> dict[str, Any]:
            words = write_text(sink.write, size, cast(Sequence[Searchable], inputs), renumber)
            return {"is_array": field.is_array, "analyzer": _identity(field), "words": words}

        out.stream(SectionKind.TEXT, field.name, write)
        out.report(phase, size, size)

    def open(self, sections: SectionsIn, field: FieldSchema, budget_bytes: int | None) -> SegmentText:
        section = sections.section(SectionKind.TEXT, field.name)
        if (section.meta["is_array"], section.meta["analyzer"]) != (field.is_array, _identity(field)):
            raise Corruption(f"{sections.name}: {section.name} is not of the analyzer that the index has.")
        return SegmentText(sections.blocks(section), section.name, field, section.meta["words"], sections.size)

    def faults(self, part: FieldPart) -> Iterator[str]:
        yield from (f"words of [{part.field.name}]: {text}" for text in cast(SegmentText, part).faults())

    def digest(self, hasher: Hasher, digests: Digests, part: FieldPart) -> None:
        texts = cast(Searchable, part)
        docs = texts.exists().mask().ids()
        digests[docs] += hasher.mixed(texts.digests(hasher.salt)[docs], part.field.name)

    def is_same(self, part: FieldPart, doc: int, other: FieldPart, other_doc: int) -> bool:
        one, two = cast(Searchable, part), cast(Searchable, other)
        places = np.array([doc]), np.array([other_doc])
        if one.exists().mask().has(places[0])[0] != two.exists().mask().has(places[1])[0]:
            return False
        salt = Hasher().salt
        return bool(one.digests(salt)[doc] == two.digests(salt)[other_doc])


def _identity(field: FieldSchema) -> list[Any]:
    """How the words were made: a query's words are made so, too."""
    options = field.text or TextOptions()
    return [options.analyzer, None if options.parameters is None else asdict(options.parameters)]
