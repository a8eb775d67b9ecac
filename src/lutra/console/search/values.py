"""Values of a form as queries take them, by the type of the field."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

from lutra.console.search.node import Node
from lutra.geo.values import parsed_point
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoPoint
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.queries import Operand
from lutra.scalars.values import ScalarReader

_MOMENT_CHARS_MAX: Final = 40
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_POINT_BYTES_MAX: Final = 100
_NUMBERS: Final = frozenset({FieldType.LONG, FieldType.DOUBLE})


@dataclass(frozen=True, slots=True)
class Day:
    """A whole day of UTC: from ``start`` on, before ``end``; None: it is the last that there is."""

    start: dt.datetime
    end: dt.datetime | None


def operand_of(node: Node, field: FieldSchema) -> Operand | Day:
    """The value of a condition on a scalar field. Raises `Wrong`."""
    if field.type in _NUMBERS:
        return node.number()
    if field.type is FieldType.BOOLEAN:
        return node.flag()
    if field.type is FieldType.DATE:
        return _moment(node)
    text = node.text(_text_bytes_max(field.type))
    if field.type is FieldType.IP:
        _check_address(node, field, text)
    return text


def moment_text(ms: int) -> str | None:
    """Milliseconds since the epoch as a form has them; None where a form has no such date."""
    try:
        moment = dt.datetime.fromtimestamp(ms // 1_000, dt.UTC).replace(microsecond=ms % 1_000 * 1_000)
    except (ValueError, OverflowError, OSError):
        return None
    text = moment.isoformat(timespec="milliseconds" if ms % 1_000 else "seconds")
    return text.removesuffix("+00:00") + "Z"


def point_of(node: Node) -> GeoPoint:
    """A point: ``"lat,lon"``. Raises `Wrong`."""
    text = node.text(_POINT_BYTES_MAX)
    try:
        return parsed_point(text, "point")
    except ParameterInvalid:
        raise node.wrong("This must be latitude and longitude in degrees: 48.1,11.5") from None


def _text_bytes_max(kind: FieldType) -> int:
    return limits.FUZZY_KEYWORD_BYTES_MAX if kind is FieldType.FUZZY_KEYWORD else limits.KEYWORD_BYTES_MAX


def _check_address(node: Node, field: FieldSchema, text: str) -> None:
    try:
        ScalarReader(field).span(text)
    except ParameterInvalid:
        raise node.wrong("This must be an address or a network: 10.0.0.1, 10.0.0.0/8, fe80::1") from None


def _moment(node: Node) -> dt.datetime | Day:
    """A day, or a moment, of UTC where it says no zone."""
    text = node.text(_MOMENT_CHARS_MAX)
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise node.wrong("This must be a date or a time: 2026-11-30, 2026-11-30T12:00") from None
    if _DAY.fullmatch(text):
        start = moment.replace(tzinfo=dt.UTC)
        return Day(start, None if start.date() == dt.date.max else start + dt.timedelta(days=1))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
