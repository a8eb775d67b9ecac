"""Points on the earth: GEO_POINT fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from lutra.fields.capabilities import FieldPart, Located
from lutra.fields.hashing import Hasher, add_hashes, words_of
from lutra.fields.kind import FieldKind
from lutra.fields.sections import SectionKind, SectionsIn, SectionsOut
from lutra.geo.column import GeoColumn
from lutra.geo.points import merged
from lutra.geo.segment_geo import SegmentGeo, write_geo
from lutra.model.arrays import Digests, Docs
from lutra.model.errors import Corruption
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.values import ColumnType
from lutra.scalars.pages import Sink


class GeoPointKind(FieldKind):
    """Latitude and longitude in degrees, kept as float64, from text ``"lat,lon"``."""

    type = FieldType.GEO_POINT
    column_types = virtual_types = frozenset({ColumnType.STRING})
    is_located = True

    def value_bytes(self, field: FieldSchema) -> int:
        return 0  # the column counts points

    def column(self, field: FieldSchema) -> GeoColumn:
        return GeoColumn(field)

    def write(
        self, out: SectionsOut, field: FieldSchema, size: int, inputs: Sequence[FieldPart], renumber: Sequence[Docs]
    ) -> None:
        phase = f"points of {field.name}"
        out.report(phase, 0, size)
        columns = cast(Sequence[Located], inputs)
        points = merged([part.points().renumbered(numbers) for part, numbers in zip(columns, renumber, strict=True)])

        def write(sink: Sink) -> dict[str, Any]:
            return {"is_array": field.is_array, "points": write_geo(sink, size, points)}

        out.stream(SectionKind.GEO, field.name, write)
        out.report(phase, size, size)

    def open(self, sections: SectionsIn, field: FieldSchema, budget_bytes: int | None) -> SegmentGeo:
        section = sections.section(SectionKind.GEO, field.name)
        if section.meta["is_array"] != field.is_array:
            raise Corruption(f"{sections.name}: {section.name} is not of the type that the index has it of.")
        return SegmentGeo(sections.stream(section), field, section.meta["points"], sections.size)

    def faults(self, part: FieldPart) -> Iterator[str]:
        yield from (f"points of [{part.field.name}]: {text}" for text in cast(SegmentGeo, part).faults())

    def digest(self, hasher: Hasher, digests: Digests, part: FieldPart) -> None:
        points = cast(Located, part).points()
        lat_weight, lon_weight = hasher.weights(2)
        lats, lons = words_of(points.coordinates[:, 0]), words_of(points.coordinates[:, 1])
        hashes = hasher.mixed(lats * lat_weight + lons * lon_weight, part.field.name)
        add_hashes(digests, points.docs, hashes)

    def is_same(self, part: FieldPart, doc: int, other: FieldPart, other_doc: int) -> bool:
        return sorted(cast(Located, part).value(doc)) == sorted(cast(Located, other).value(other_doc))
