"""Keys of rows in addresses and forms."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, Final

from lutra.instance.layout import encode_key_value
from lutra.model.errors import InvalidPrimaryKey
from lutra.model.rows import KeyInput, PrimaryKey
from lutra.model.schema import KeyColumn
from lutra.model.values import INF_MAX, INF_MIN, INT64_MAX, ColumnType, KeyMarker, KeyValue
from lutra.transfer.written import int_in

_BYTES: Final = "base64"
_LAST_CODE_POINT: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


def key_token(key: Sequence[KeyValue]) -> str:
    """A key as an address has it: JSON, bytes as ``{"base64": …}``."""
    parts = [{_BYTES: base64.b64encode(one).decode()} if isinstance(one, bytes) else one for one in key]
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


def key_of_token(token: str, columns: Sequence[KeyColumn]) -> PrimaryKey:
    """Raises InvalidPrimaryKey where it is no key of a table with these key columns."""
    try:
        parts = json.loads(token)
        if not isinstance(parts, list) or len(parts) != len(columns):
            raise InvalidPrimaryKey(f"a key has {len(columns)} values: {', '.join(column.name for column in columns)}")
        values = [_part(one) for one in parts]
    except (ValueError, RecursionError):
        raise InvalidPrimaryKey(f"{token[:60]!r} is no key") from None
    return tuple((column.name, encode_key_value(column, value)) for column, value in zip(columns, values, strict=True))


def _part(value: Any) -> Any:
    match value:
        case {"base64": str() as text}:
            return base64.b64decode(text, validate=True)
    return value


def key_text(value: KeyValue) -> str:
    """A part of a key as people read and type it: bytes are hexadecimal."""
    return value.hex() if isinstance(value, bytes) else str(value)


def key_value(column: KeyColumn, text: str) -> KeyValue:
    """What somebody typed for a part of a key. Raises InvalidPrimaryKey."""
    try:
        if column.type is ColumnType.INTEGER:
            return encode_key_value(column, int_in(text))
        if column.type is ColumnType.BINARY:
            return encode_key_value(column, binascii.unhexlify("".join(text.split())))
    except ValueError:
        what = "hexadecimal" if column.type is ColumnType.BINARY else "a whole number"
        raise InvalidPrimaryKey(f"key column {column.name!r}: {text[:40]!r} is not {what}") from None
    return encode_key_value(column, text)


def bound(columns: Sequence[KeyColumn], values: Sequence[KeyValue], rest: KeyMarker) -> KeyInput:
    """A bound of a range: these values of the first columns, then ``rest``."""
    given = [(column.name, value) for column, value in zip(columns, values, strict=False)]
    return (*given, *((column.name, rest) for column in columns[len(given) :]))


def beginning_with(columns: Sequence[KeyColumn], text: str) -> tuple[KeyInput, KeyInput]:
    """The range of the keys whose first column begins with what somebody typed; of ints, is that. [low, high).

    Raises InvalidPrimaryKey.
    """
    first = columns[0]
    value = key_value(first, text)
    after: KeyValue | None = _after(value)
    low = bound(columns, [value], INF_MIN)
    return low, bound(columns, [], INF_MAX) if after is None else bound(columns, [after], INF_MIN)


def _after(value: KeyValue) -> KeyValue | None:
    """The least that is greater than all that begin with ``value``; None where there is none."""
    if isinstance(value, int):
        return None if value == INT64_MAX else value + 1
    if isinstance(value, bytes):
        stem = value.rstrip(b"\xff")
        return stem[:-1] + bytes([stem[-1] + 1]) if stem else None
    stem_text = value.rstrip(chr(_LAST_CODE_POINT))
    if not stem_text:
        return None
    point = ord(stem_text[-1]) + 1
    return stem_text[:-1] + chr(_SURROGATES.stop if point in _SURROGATES else point)
