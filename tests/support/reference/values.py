"""What a field holds of a table column's value, and what a query compares it with."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import math
import sys
from fractions import Fraction
from typing import Any

import numpy as np
from support.reference.dates import exact_ns, parsed_ns, unit_ns

from lutra.model.indexes import FieldSchema, FieldType, TextOptions
from lutra.text.analyzers import analyzer_of

LEAST, MOST = -(2**63), 2**63 - 1
"""Of 64-bit integers."""
KEYWORD_BYTES_MAX = 4_096
LEFT_OUT_ALONE = (FieldType.KEYWORD, FieldType.FUZZY_KEYWORD, FieldType.TEXT, FieldType.IP)
"""Of an array: texts that such a field does not hold, too long ones say."""
ARRAY_ELEMENTS_MAX = 256


def elements_of(field: FieldSchema, value: Any) -> list[Any] | None:
    """The elements of a column's value; None where it is not of the field's type, and so left out of the index.

    DATE elements are nanoseconds since the epoch, IP ones addresses of version 6. Of TEXT and VECTOR fields there is
    one: the words, the vector.
    """
    if field.type is FieldType.VECTOR and isinstance(value, bytes | bytearray):
        assert field.vector is not None
        return _vector(field, np.frombuffer(value, "<f4")) if len(value) == 4 * field.vector.dimension else None
    if not field.is_array and field.type is not FieldType.VECTOR:
        return elements_in(field, value)
    parts = _json_array(value)
    return None if parts is None else elements_in(field, parts)


def elements_in(field: FieldSchema, value: Any, is_array: bool | None = None) -> list[Any] | None:
    """As `elements_of`, of a value in an object, where an array is one."""
    if field.type is FieldType.VECTOR:
        return _vector(field, value)
    is_array = field.is_array if is_array is None else is_array
    if not is_array:
        parts = [value]
    elif isinstance(value, list) and len(value) <= ARRAY_ELEMENTS_MAX:
        parts = [part for part in value if part is not None]
    else:
        return None
    elements = [_element(field, part) for part in parts]
    if is_array and field.type in LEFT_OUT_ALONE:
        elements = [e for e, part in zip(elements, parts, strict=True) if e is not None or not isinstance(part, str)]
    if any(element is None for element in elements):
        return None
    if field.type is FieldType.TEXT and elements:
        analyzer = analyzer_of(field.text or TextOptions())
        return [analyzer.tokens_of_all(elements) if is_array else analyzer.tokens(elements[0])]
    return elements


def _json_array(value: Any) -> list[Any] | None:
    """Without nulls, which are no elements. JSON has no NaN and no infinity."""
    if not isinstance(value, str):
        return None
    try:
        parts = json.loads(value)
    except ValueError:
        return None
    if not isinstance(parts, list) or len(parts) > ARRAY_ELEMENTS_MAX:
        return None
    if any(isinstance(part, float) and not math.isfinite(part) for part in parts):
        return None
    return [part for part in parts if part is not None]


def _element(field: FieldSchema, value: Any) -> Any:
    """None where it is none."""
    is_whole = type(value) is int and LEAST <= value <= MOST
    match field.type:
        case FieldType.LONG:
            return value if is_whole else None
        case FieldType.DOUBLE:
            is_number = is_whole or (type(value) is float and not math.isnan(value))
            return value + 0.0 if is_number else None  # there is one zero
        case FieldType.BOOLEAN:
            return value if type(value) is bool else None
        case FieldType.KEYWORD | FieldType.FUZZY_KEYWORD:
            return value if _is_text(value) and len(value.encode()) <= KEYWORD_BYTES_MAX else None
        case FieldType.TEXT:
            return value if _is_text(value) else None
        case FieldType.DATE:
            unit = unit_ns(field.date_formats)
            ns = value * unit if type(value) is int and unit is not None else None
            ns = parsed_ns(value, field.date_formats) if type(value) is str else ns
            return ns if ns is not None and LEAST <= ns <= MOST else None
        case FieldType.GEO_POINT:
            return _place(value)
        case FieldType.IP:
            return address_of(value)
        case FieldType.FLATTENED:
            return leaves_of(value)
    raise AssertionError(field)


def _place(value: Any) -> tuple[float, float] | None:
    """Latitude and longitude out of ``lat,lon``."""
    try:
        lat, lon = map(float, value.split(","))
    except (AttributeError, TypeError, ValueError):
        return None
    return (lat + 0.0, lon + 0.0) if abs(lat) <= 90 and abs(lon) <= 180 else None


class Written(str):
    """A number, as it was written."""


def leaves_of(value: Any) -> dict[str, list[str]] | None:
    """The texts of an object's leaves by path."""
    try:
        tree = json.loads(value, parse_int=Written, parse_float=Written) if isinstance(value, str) else None
    except ValueError:
        return None
    if not isinstance(tree, dict):
        return None
    found: dict[str, list[str]] = {}

    def walk(path: str, node: Any) -> None:
        if isinstance(node, dict):
            for key, below in node.items():
                walk(f"{path}.{key}" if path else key, below)
        elif isinstance(node, list):
            for one in node:
                walk(path, one)
        elif node is not None:
            found.setdefault(path, []).append(json.dumps(node) if isinstance(node, bool) else str(node))

    walk("", tree)
    return found


def address_of(value: Any) -> ipaddress.IPv6Address | None:
    """An address of version 4 as the one of version 6 that it is mapped to."""
    try:
        address = ipaddress.ip_address(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return ipaddress.IPv6Address(f"::ffff:{address}")
    return address


def network_of(text: str) -> ipaddress.IPv6Network:
    """The addresses that agree with one in so many bits."""
    address, bits = text.split("/")
    mapped = 0 if ":" in address else 96
    return ipaddress.IPv6Network((address_of(address), mapped + int(bits)), strict=False)


def _is_text(value: Any) -> bool:
    return type(value) is str and not any("\ud800" <= character <= "\udfff" for character in value)


def _vector(field: FieldSchema, value: Any) -> list[Any] | None:
    assert field.vector is not None
    is_list = isinstance(value, list) and all(type(number) in (int, float) for number in value)
    with np.errstate(over="ignore"):
        vector = np.array(value, np.float64).astype(np.float32) if is_list or isinstance(value, np.ndarray) else None
    if vector is None or len(vector) != field.vector.dimension or not np.isfinite(vector).all():
        return None
    return [vector]


def operand_of(field: FieldSchema, operand: Any) -> Any:
    """What an operand compares as with the elements of ``field``: numbers exactly, text that is a number as such."""
    match field.type:
        case FieldType.DATE:
            return exact_ns(operand, field.date_formats)
        case FieldType.IP:
            return network_of(operand) if "/" in operand else address_of(operand)
        case FieldType.KEYWORD | FieldType.TEXT | FieldType.FUZZY_KEYWORD | FieldType.FLATTENED:
            return operand if isinstance(operand, str) else str(operand).lower()
        case FieldType.BOOLEAN:
            return operand if isinstance(operand, bool) else {"true": True, "false": False}[operand]
    if isinstance(operand, str):
        return float(operand)
    return operand


def stand_in(field: FieldSchema, operand: Any) -> Any:
    """What rows without ``field`` sort as: the greatest element that it can hold and that is not above ``operand``."""
    value = operand_of(field, operand)
    if field.type in (FieldType.LONG, FieldType.DATE):
        whole = value if isinstance(value, float) and math.isinf(value) else math.floor(Fraction(value))
        return max(LEAST, min(MOST, whole))
    if field.type is FieldType.DOUBLE and isinstance(value, int):
        if value > sys.float_info.max:
            return sys.float_info.max
        nearest = float(value)
        return nearest if nearest <= value else math.nextafter(nearest, -math.inf)
    return value


def moment_of(ns: int) -> dt.datetime:
    """Of a DATE element, to the microsecond."""
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=ns // 1_000)
