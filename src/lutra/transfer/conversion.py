"""Values of files as fields take them: text of CSV, values of JSON and of Parquet."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np

from lutra.instance.field import Field, Kind
from lutra.model.geo import GeoPoint
from lutra.transfer.written import (
    bool_in,
    bytes_in,
    float_in,
    int_in,
    json_in,
    moment_in,
    numbers_in,
    point_in,
)

Convert = Callable[[Any], Any]
"""From a value of a file, not None, to what a field takes. Raises ValueError, TypeError. What it has no use for it
leaves as it is, and the field says what is wrong."""

UNITS_PER_S: Final = {"s": 1, "ms": 1_000, "us": 1_000_000}
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LAT: Final = ("lat", "latitude")
_LON: Final = ("lon", "lng", "longitude")


def conversion_to(field: Field, unit: str | None = None) -> Convert:
    """To a field; ``unit`` is what numbers count since 1970 that are dates."""
    if field.vector is not None:
        return _to_vector
    if field.kind in (Kind.RECORD, Kind.OBJECT):
        return _to_records(field) if field.kind is Kind.RECORD else _to_object(field)
    one = _to_element(field, unit)
    return partial(_to_list, one) if field.is_array else one


def _to_element(field: Field, unit: str | None) -> Convert:
    if field.kind is Kind.DATETIME:
        return partial(_to_moment, unit)
    if field.kind is Kind.STR and not field.indexed:
        return _to_stored
    return _ELEMENTS[field.kind]


def _to_vector(value: Any) -> Any:
    return numbers_in(value) if isinstance(value, str) else value


def _to_list(one: Convert, value: Any) -> Any:
    if isinstance(value, str):
        value = json_in(value)
    if not isinstance(value, list | tuple | np.ndarray):
        raise ValueError(f"expected a list, got {_named(value)}")
    return [one(element) for element in value]


def _to_records(field: Field) -> Convert:
    to_object = _to_object(field)

    def convert(value: Any) -> Any:
        if isinstance(value, str):
            value = json_in(value)
        if isinstance(value, Mapping):
            value = [value]
        return [to_object(one) for one in value] if isinstance(value, list) else value

    return convert


def _to_object(field: Field) -> Convert:
    inner = {one.name: conversion_to(one) for one in field.fields}

    def convert(value: Any) -> Any:
        if isinstance(value, str):
            value = json_in(value)
        if not isinstance(value, Mapping):
            return value
        return {name: inner[name](one) if name in inner else one for name, one in value.items() if one is not None}

    return convert


def _to_text(value: Any) -> Any:
    """A number, or a truth, in a column of texts is what it is written as."""
    return json.dumps(value) if isinstance(value, bool | int | float) else value


def _to_stored(value: Any) -> Any:
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    if isinstance(value, np.ndarray):
        return json.dumps(value.tolist())
    return _to_text(value)


def _plain(value: Any) -> Any:
    """Of what JSON has no word for, what it is written as."""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _to_int(value: Any) -> Any:
    return int_in(value) if isinstance(value, str) else value


def _to_float(value: Any) -> Any:
    return float_in(value) if isinstance(value, str) else value


def _to_bool(value: Any) -> Any:
    if isinstance(value, str):
        return bool_in(value)
    return bool(value) if type(value) is int and value in (0, 1) else value


def _to_bytes(value: Any) -> Any:
    return bytes_in(value) if isinstance(value, str) else value


def _to_moment(unit: str | None, value: Any) -> Any:
    if isinstance(value, str):
        if unit is not None:
            value = int_in(value)
        elif (moment := moment_in(value.strip())) is not None:
            return moment
        else:
            raise ValueError(f"{value[:40]!r} is no date as ISO 8601 writes it, to the microsecond at most")
    if isinstance(value, dt.datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=dt.UTC)
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    if unit is None or isinstance(value, bool) or not isinstance(value, int):
        return value
    try:
        return _EPOCH + dt.timedelta(microseconds=value * (1_000_000 // UNITS_PER_S[unit]))
    except OverflowError:
        raise ValueError(f"{value} {unit} since 1970 is no date") from None


def _to_point(value: Any) -> Any:
    if isinstance(value, str):
        if value.lstrip()[:1] == "{":
            return _to_point(json_in(value))
        if (point := point_in(value.strip())) is None:
            raise ValueError(f"{value[:40]!r} is no place: latitude,longitude")
        return point
    if isinstance(value, Mapping):
        lat = next((value[name] for name in _LAT if name in value), None)
        lon = next((value[name] for name in _LON if name in value), None)
        if lat is None or lon is None:
            raise ValueError("a place has lat and lon")
        return GeoPoint(_to_float(lat), _to_float(lon))
    return value


def is_point(value: Mapping[str, Any]) -> bool:
    """Whether an object is a place."""
    return (
        len(value) == 2
        and any(name in value for name in _LAT)
        and any(name in value for name in _LON)
        and all(isinstance(one, int | float) and not isinstance(one, bool) for one in value.values())
    )


def _named(value: Any) -> str:
    return type(value).__name__


_ELEMENTS: Final[dict[Kind, Convert]] = {
    Kind.STR: _to_text,
    Kind.TEXT: _to_text,
    Kind.INT: _to_int,
    Kind.FLOAT: _to_float,
    Kind.BOOL: _to_bool,
    Kind.BYTES: _to_bytes,
    Kind.GEO: _to_point,
}
