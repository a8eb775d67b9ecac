"""All fields of a document space together: what parts of an index do with those of rows, and kinds with those below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from lutra.fields.capabilities import FieldPart, Fields, StoredField
from lutra.fields.kind import FieldKind
from lutra.fields.sections import SectionsIn, SectionsOut
from lutra.model.arrays import Docs
from lutra.model.indexes import FieldSchema

P = TypeVar("P", bound=FieldPart)

KindOf = Callable[[FieldSchema], FieldKind]
"""`lutra.fields.kinds.kind_of`, which kinds that have fields below them cannot import."""


def by_path(kind_of: KindOf, parts: Iterable[P]) -> dict[str, P]:
    """``parts`` by full path, and the fields of the same space that are below them."""
    fields: dict[str, P] = {}
    for part in parts:
        fields[part.field.name] = part
        fields |= kind_of(part.field).beside(part)
    return fields


def all_parts(kind_of: KindOf, fields: Fields) -> Iterator[FieldPart]:
    """Those of ``fields``, and of all spaces below them."""
    for part in fields.values():
        yield part
        yield from all_parts(kind_of, kind_of(part.field).within(part))


def write_fields(
    kind_of: KindOf,
    out: SectionsOut,
    fields: Iterable[FieldSchema],
    size: int,
    inputs: Sequence[Fields],
    renumber: Sequence[Docs],
) -> None:
    """Writes ``fields`` of the space that ``out`` is open for, as `FieldKind.write` says for one."""
    for field in _in_order(kind_of, fields):
        kind_of(field).write(out, field, size, [parts[field.name] for parts in inputs], renumber)


def resident_bytes(kind_of: KindOf, sections: SectionsIn, fields: Iterable[FieldSchema]) -> int:
    """What ``fields`` would keep in memory where there is plenty."""
    return sum(kind_of(field).resident_bytes(sections, field) for field in fields)


def open_fields(
    kind_of: KindOf, sections: SectionsIn, fields: Iterable[FieldSchema], budget_bytes: int | None
) -> list[StoredField]:
    """``fields`` of the space that ``sections`` are of; they share ``budget_bytes`` by what they would need.

    Raises as `FieldKind.open`.
    """
    in_order = _in_order(kind_of, fields)
    needs = [kind_of(field).resident_bytes(sections, field) for field in in_order]
    opened = []
    for field, need in zip(in_order, needs, strict=True):
        own = None if budget_bytes is None else budget_bytes * need // max(1, sum(needs))
        opened.append(kind_of(field).open(sections, field, own))
    return opened


def _in_order(kind_of: KindOf, fields: Iterable[FieldSchema]) -> list[FieldSchema]:
    """As they lie in a segment."""
    return sorted(fields, key=lambda field: kind_of(field).is_written_last(field))
