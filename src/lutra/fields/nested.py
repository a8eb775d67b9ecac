"""Arrays of objects that are documents of their own: NESTED fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, cast

import numpy as np

from lutra.fields.capabilities import FieldPart, Fields, Nested
from lutra.fields.child_counts import ChildCounts
from lutra.fields.children import ChildDocuments, SegmentNested
from lutra.fields.hashing import Hasher, add_hashes
from lutra.fields.holder import ObjectsKind
from lutra.fields.nested_column import NestedColumn
from lutra.fields.sections import SectionKind, SectionsIn, SectionsOut
from lutra.fields.space_fields import by_path, open_fields, resident_bytes, write_fields
from lutra.model.arrays import Digests, Docs
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType
from lutra.vectors.layout import ROWS_MAX

_PLACE: Final = np.uint64(0x9E37_79B9_7F4A_7C15)
"""By which places in an array are told from each other: odd, its bits well mixed."""


class NestedKind(ObjectsKind):
    """Its objects are documents of a space of their own, each of one document of the space that the field is in."""

    type = FieldType.NESTED
    is_nested = True

    def value_bytes(self, field: FieldSchema) -> int:
        return 0

    def column(self, field: FieldSchema) -> NestedColumn:
        return NestedColumn(field, self._kind_of)

    def write(
        self, out: SectionsOut, field: FieldSchema, size: int, inputs: Sequence[FieldPart], renumber: Sequence[Docs]
    ) -> None:
        children = [cast(Nested, part).children for part in inputs]
        parents = [numbers[of.parents()] for of, numbers in zip(children, renumber, strict=True)]
        counts = sum((np.bincount(own[own >= 0], minlength=size) for own in parents), np.zeros(size, np.int64))
        count = int(counts.sum())
        if count > ROWS_MAX:
            raise ParameterInvalid(f"A segment holds {ROWS_MAX} documents of [{field.name}] at most, not {count}.")
        out.stream(SectionKind.CHILDREN, field.name, lambda sink: ChildCounts.write(sink, counts))
        fields = [of.fields for of in children]
        write_fields(
            self._kind_of, out.space(field.name, count), field.below(), count, fields, _renumbered(parents, count)
        )

    def resident_bytes(self, sections: SectionsIn, field: FieldSchema) -> int:
        return resident_bytes(self._kind_of, sections.space(field.name), field.below())

    def open(self, sections: SectionsIn, field: FieldSchema, budget_bytes: int | None) -> SegmentNested:
        section, space = sections.section(SectionKind.CHILDREN, field.name), sections.space(field.name)
        counts = ChildCounts(sections.stream(section), section.meta, sections.size, space.size)
        fields = by_path(self._kind_of, open_fields(self._kind_of, space, field.below(), budget_bytes))
        children = ChildDocuments(space.size, sections.size, fields, counts.parents)
        return SegmentNested(field, sections.size, children, fields, counts)

    def within(self, part: FieldPart) -> Fields:
        return cast(Nested, part).children.fields

    def faults(self, part: FieldPart) -> Iterator[str]:
        found = [*cast(SegmentNested, part).counts.faults()]
        yield from (f"documents of [{part.field.name}]: {text}" for text in found)
        if not found:
            for field in self.within(part).values():
                yield from self._kind_of(field.field).faults(field)

    def digest(self, hasher: Hasher, digests: Digests, part: FieldPart) -> None:
        """Of the documents, each with its place: they are the same in another order only where they are equal."""
        children = cast(Nested, part).children
        own = np.zeros(children.size, np.uint64)
        for field in children.fields.values():
            self._kind_of(field.field).digest(hasher, own, field)
        parents = children.parents()
        firsts = np.flatnonzero(np.diff(parents, prepend=np.int32(-1)))
        places = np.arange(len(parents)) - np.repeat(firsts, np.diff(firsts, append=len(parents)))
        add_hashes(digests, parents, hasher.mixed(own + places.astype(np.uint64) * _PLACE, part.field.name))

    def is_same(self, part: FieldPart, doc: int, other: FieldPart, other_doc: int) -> bool:
        mine, theirs = cast(Nested, part).children, cast(Nested, other).children
        one, two = _of_document(mine.parents(), doc), _of_document(theirs.parents(), other_doc)
        return len(one) == len(two) and all(
            self._kind_of(field.field).is_same(field, child, theirs.fields[name], other_child)
            for name, field in mine.fields.items()
            for child, other_child in zip(one, two, strict=True)
        )


def _renumbered(parents: Sequence[Docs], count: int) -> list[Docs]:
    """The new number of each child, by input, -1 where it is left out: by the new numbers of their ``parents``.

    Those of one parent are of one input, and keep their order. ``count``: of those that are kept.
    """
    all_parents = np.concatenate(parents)
    kept = all_parents >= 0
    order = np.argsort(all_parents[kept], kind="stable")
    places = np.empty(count, np.int32)
    places[order] = np.arange(count, dtype=np.int32)
    numbers = np.full(len(all_parents), -1, np.int32)
    numbers[kept] = places
    return np.split(numbers, np.cumsum([len(own) for own in parents])[:-1])


def _of_document(parents: Docs, doc: int) -> range:
    begin, end = np.searchsorted(parents, [doc, doc + 1]).tolist()
    return range(begin, end)
