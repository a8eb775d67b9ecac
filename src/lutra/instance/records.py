"""Which records of a row made it a hit, as Python shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lutra.instance.field import Field, Kind
from lutra.instance.layout import Layout
from lutra.instance.row import Record
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.nested import InnerHit, InnerHits, InnerHitsByPath, Nested
from lutra.model.queries import Bool, KnnVector, Query
from lutra.model.scoring import DisMax


class ShownRecords:
    """What ``records=`` of a search adds to its query and to its rows."""

    def __init__(self, layout: Layout, limit: int) -> None:
        """Up to ``limit`` records of each field. Raises ParameterInvalid."""
        if type(limit) is not int or not 1 <= limit <= limits.INNER_HITS_MAX:
            raise ParameterInvalid(f"records is an int from 1 to {limits.INNER_HITS_MAX}, not {limit!r}")
        self._layout = layout
        self._limit = limit
        self._paths: set[str] = set()

    @property
    def columns(self) -> list[str]:
        """That have the records."""
        return sorted({path.split(".")[0] for path in self._paths})

    def query(self, query: Query) -> Query:
        """``query``, asked for the records it finds. Raises ParameterInvalid where it is about none."""
        self._paths.clear()
        asked = self._asked(query)
        if not self._paths:
            raise ParameterInvalid(
                "records= shows the records that satisfy col(...).any(), or are nearest by a field of theirs: "
                "the search asks for neither"
            )
        return asked

    def _asked(self, query: Query) -> Query:
        """Of one path they can be asked for once: the first that asks has them. What must not be has none."""
        match query:
            case Nested(path, within) if path not in self._paths:
                self._paths.add(path)
                return replace(query, query=self._asked(within), inner_hits=InnerHits(limit=self._limit))
            case Bool():
                parts = (tuple(map(self._asked, clauses)) for clauses in (query.must, query.filter, query.should))
                must, passing, should = parts
                return replace(query, must=must, filter=passing, should=should)
            case DisMax(queries):
                return replace(query, queries=tuple(map(self._asked, queries)))
            case KnnVector(filter=passing) if passing is not None:
                return replace(query, filter=self._asked(passing))
        return query

    def of(self, values: Mapping[str, Any], hits: InnerHitsByPath) -> dict[str, list[Record]]:
        """The records of one row, whose columns are ``values``, by the field they are of."""
        found: dict[str, list[Record]] = {}
        for path, of_path in hits.items():
            column, *keys = path.split(".")
            field = self._layout.fields.get(column)
            found[path] = _records(field, values.get(column), keys, of_path, path)
        return found


def _records(field: Field | None, value: Any, keys: Sequence[str], hits: Sequence[InnerHit], path: str) -> list[Record]:
    records = []
    for hit in hits:
        record, of = _at(field, value, keys, hit.offsets)
        if not isinstance(record, dict):  # the row was written anew since the index looked at it
            continue
        inner = {below: _within(record, of, path, below, some) for below, some in hit.inner.items()}
        records.append(Record(record, hit.offsets, None if math.isnan(hit.score) else hit.score, inner))
    return records


def _within(
    record: dict[str, Any], field: Field | None, path: str, below: str, hits: Sequence[InnerHit]
) -> list[Record]:
    key, *keys = below.removeprefix(f"{path}.").split(".")
    return _records(_child(field, key), record.get(key), keys, hits, below)


def _at(field: Field | None, value: Any, keys: Sequence[str], offsets: Sequence[int]) -> tuple[Any, Field | None]:
    """What is at a path of keys, in the arrays on the way at ``offsets``; None where there is no such thing."""
    left, places = list(keys), list(offsets)
    while field is not None:
        if field.kind is Kind.RECORD:
            given = [one for one in (value if isinstance(value, list) else [value]) if one is not None]
            if not places or places[0] >= len(given):
                return None, None
            value = given[places.pop(0)]
        if not left:
            return value, field
        key = left.pop(0)
        field, value = _child(field, key), value.get(key) if isinstance(value, dict) else None
    return None, None


def _child(field: Field | None, key: str) -> Field | None:
    return next((one for one in field.fields if one.name == key), None) if field is not None else None
