"""What somebody says about how the columns of files become those of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from lutra.transfer.csv_dialect import CsvOptions
from lutra.transfer.data_file import FormatName


@dataclass(frozen=True, slots=True)
class Place:
    """A column of places, made of one with latitudes and one with longitudes."""

    lat: str
    lon: str
    name: str


@dataclass(frozen=True, slots=True)
class EmbeddedColumn:
    """A field of vectors that a model makes of a column."""

    source: str
    name: str
    model: str


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Names are those that columns have in the files, or those they are to have in the table: both are understood."""

    key: tuple[str, ...] = ()
    """None: a column that looks like one, else the file's name with the row's number."""
    types: Mapping[str, str] = dataclass_field(default_factory=dict)
    renamed: Mapping[str, str] = dataclass_field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    vectors: Mapping[str, str] = dataclass_field(default_factory=dict)
    """By the columns that are vectors, their metrics."""
    places: tuple[Place, ...] = ()
    embedded: tuple[EmbeddedColumn, ...] = ()
    csv: CsvOptions = dataclass_field(default_factory=CsvOptions)
    format: FormatName | None = None

    def as_json(self) -> dict[str, Any]:
        """All that makes a difference to what is written."""
        return {
            "key": list(self.key),
            "types": dict(sorted(self.types.items())),
            "renamed": dict(sorted(self.renamed.items())),
            "skipped": sorted(self.skipped),
            "vectors": dict(sorted(self.vectors.items())),
            "places": [[place.lat, place.lon, place.name] for place in self.places],
            "delimiter": self.csv.delimiter,
            "header": None if self.csv.header is None else list(self.csv.header),
            "nulls": list(self.csv.nulls),
            "format": self.format,
            # Only where there are some: imports without are the same as ever.
            **({"embedded": [[one.source, one.name, one.model] for one in self.embedded]} if self.embedded else {}),
        }
