"""What all kinds of fields have in common whose values are compared: numbers, dates, truth values, keywords."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from lutra.fields.capabilities import FieldPart, Filterable, StoredField
from lutra.fields.hashing import Hasher, add_hashes, hashes_of_strings, words_of
from lutra.fields.kind import Column, FieldKind
from lutra.fields.sections import SectionKind, SectionsIn, SectionsOut
from lutra.model.arrays import Digests, Docs
from lutra.model.errors import Corruption
from lutra.model.indexes import FieldSchema
from lutra.scalars.column import ScalarColumn
from lutra.scalars.elements import merged
from lutra.scalars.pages import Sink
from lutra.scalars.segment_column import SegmentColumn, write_column

_VALUE_BYTES: Final = 16


class ScalarKind(FieldKind):
    """Its columns are `lutra.scalars`' own, whatever the type."""

    is_filterable = True
    is_counted = True
    is_grouped = True
    counts_strings = True
    reads_lists = True

    def value_bytes(self, field: FieldSchema) -> int:
        return _VALUE_BYTES

    def column(self, field: FieldSchema) -> Column:
        return ScalarColumn(field)

    def write(
        self, out: SectionsOut, field: FieldSchema, size: int, inputs: Sequence[FieldPart], renumber: Sequence[Docs]
    ) -> None:
        phase = f"column of {field.name}"
        out.report(phase, 0, size)
        columns = cast(Sequence[Filterable], inputs)
        elements = merged([part.elements(numbers) for part, numbers in zip(columns, renumber, strict=True)])

        def write(sink: Sink) -> dict[str, Any]:
            column = write_column(sink, field, size, elements)
            return {"type": field.type.value, "is_array": field.is_array, "column": column}

        out.stream(SectionKind.COLUMN, field.name, write)
        out.report(phase, size, size)

    def open(self, sections: SectionsIn, field: FieldSchema, budget_bytes: int | None) -> StoredField:
        return self.opened(sections, field)

    def opened(self, sections: SectionsIn, field: FieldSchema) -> SegmentColumn:
        """The column of a segment. Raises as `open`."""
        section = sections.section(SectionKind.COLUMN, field.name)
        if (section.meta["type"], section.meta["is_array"]) != (field.type.value, field.is_array):
            raise Corruption(f"{sections.name}: {section.name} is not of the type that the index has it of.")
        return SegmentColumn(sections.stream(section), field, section.meta["column"], sections.size)

    def faults(self, part: FieldPart) -> Iterator[str]:
        yield from (f"column [{part.field.name}]: {text}" for text in cast(SegmentColumn, part).faults())

    def digest(self, hasher: Hasher, digests: Digests, part: FieldPart) -> None:
        elements = cast(Filterable, part).elements()
        hashes = words_of(elements.values)
        if elements.strings is not None:
            hashes = hashes_of_strings(elements.strings)[elements.values]
        add_hashes(digests, elements.docs, hasher.mixed(hashes, part.field.name))

    def is_same(self, part: FieldPart, doc: int, other: FieldPart, other_doc: int) -> bool:
        return _equal(cast(Filterable, part).value(doc), cast(Filterable, other).value(other_doc))


def _equal(left: object, right: object) -> bool:
    """Also where both are NaN, or lists of it; the order in a list means nothing."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, sorted(left), sorted(right)))
    return bool(left == right or (left != left and right != right))
