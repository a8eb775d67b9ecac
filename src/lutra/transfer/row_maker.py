"""Rows of files as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoPoint
from lutra.model.suggestions import suggestion
from lutra.transfer.conversion import Convert, conversion_to
from lutra.transfer.mapping import Place
from lutra.transfer.plan import FILE_COLUMN, ROW_COLUMN, Plan
from lutra.transfer.positions import FoundRow
from lutra.transfer.written import float_in


class RowMaker:
    """Makes the rows of one file."""

    def __init__(self, plan: Plan, file_name: str) -> None:
        self._converted: dict[str, tuple[str, Convert]] = {}
        self._places: list[tuple[str, Place]] = []
        self._left_out = {*plan.skipped}
        self._file_name = file_name if plan.has_made_key else None
        for column in plan.columns:
            if column.place is not None:
                self._places.append((column.name, column.place))
                self._left_out |= {column.place.lat, column.place.lon}
            elif column.source is not None:
                self._converted[column.source] = (column.name, conversion_to(plan.field(column), column.unit))

    def row(self, found: FoundRow) -> dict[str, Any]:
        """What the table takes. Raises ParameterInvalid, naming the column that is wrong."""
        given: Mapping[str, Any] = found.values or {}
        row: dict[str, Any] = (
            {} if self._file_name is None else {FILE_COLUMN: self._file_name, ROW_COLUMN: found.number}
        )
        for name, value in given.items():
            if value is None:
                continue
            target = self._converted.get(name)
            if target is None:
                self._refuse_unknown(name)
                continue
            try:
                row[target[0]] = target[1](value)
            except (ValueError, TypeError, OverflowError) as error:
                raise ParameterInvalid(f"column {name!r}: {error}") from None
        for name, place in self._places:
            if (point := _point(place, given)) is not None:
                row[name] = point
        return row

    def _refuse_unknown(self, name: str) -> None:
        if name not in self._left_out:
            raise ParameterInvalid(
                f"column {name!r} is none of those that the import was planned with: say --type {name}=TYPE, or "
                f"--skip {name}{suggestion(name, self._converted)}"
            )


def _point(place: Place, given: Mapping[str, Any]) -> GeoPoint | None:
    lat, lon = given.get(place.lat), given.get(place.lon)
    if lat is None and lon is None:
        return None
    if lat is None or lon is None:
        raise ParameterInvalid(f"column {place.name!r}: {place.lat if lat is None else place.lon} has no value")
    try:
        return GeoPoint(_number(lat), _number(lon))
    except ValueError as error:
        raise ParameterInvalid(f"column {place.name!r}: {error}") from None


def _number(value: Any) -> Any:
    return float_in(value) if isinstance(value, str) else value
