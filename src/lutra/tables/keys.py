"""Primary keys as bytes whose order is the order of the keys.

One column after the other: an INTEGER as 8 bytes big-endian with the sign flipped, a STRING (its UTF-8) or BINARY as
itself with 0x00 written as 0x00 0xFF and 0x00 0x00 after it. The last column is what remains and needs no end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lutra.kv.store import prefix_end
from lutra.model import limits
from lutra.model.errors import Corruption, InvalidPrimaryKey, LutraError, ParameterInvalid
from lutra.model.rows import KeyInput, PrimaryKey
from lutra.model.schema import KeyColumn
from lutra.model.values import (
    AUTO_INCREMENT,
    INF_MAX,
    INF_MIN,
    ColumnType,
    KeyMarker,
    KeyValue,
    type_of,
)

_SIGN: Final = 2**63
_INFINITE: Final = (INF_MIN, INF_MAX)
PYTHON_TYPES: Final[dict[ColumnType, type]] = {
    ColumnType.INTEGER: int,
    ColumnType.STRING: str,
    ColumnType.BINARY: bytes,
}
"""Of values of keys."""
_SHOWN: Final[dict[type, str]] = {int: "VT_INTEGER", str: "VT_STRING", bytes: "VT_BLOB"}


class KeyCodec:
    """Checks and encodes the keys of one table; every encoded key starts with ``prefix``."""

    def __init__(self, prefix: bytes, columns: tuple[KeyColumn, ...]) -> None:
        self.prefix = prefix
        self._columns = [
            (column.name, PYTHON_TYPES[column.type], position == len(columns) - 1)
            for position, column in enumerate(columns)
        ]
        self._is_one_string = [column.type for column in columns] == [ColumnType.STRING]

    def encode(self, key: KeyInput) -> bytes:
        """The encoded key.

        Raises InvalidPrimaryKey where names, number or types are not the table's, ParameterInvalid where no table can
        have a row of that key.
        """
        if len(key) != len(self._columns):
            raise self._mismatch(key)
        encoded = self.prefix
        for (name, value), (own_name, own_type, last) in zip(key, self._columns, strict=True):
            if name != own_name or type(value) is not own_type:
                raise self._mismatch(key)
            encoded += _encode_value(name, value, last)  # type: ignore[arg-type]
        return encoded

    def encode_partition(self, key: KeyInput) -> bytes:
        """The first column alone, of a key of several, without the prefix."""
        name, value = key[0]
        own_name, own_type, last = self._columns[0]
        if name != own_name or type(value) is not own_type:
            raise self._mismatch(key)
        return _encode_value(name, value, last)  # type: ignore[arg-type]

    def encode_partition_key(self, key: KeyInput) -> bytes:
        """What `partition` gives for all rows of the partition key that is the only column of ``key``.

        Raises InvalidPrimaryKey.
        """
        name, value = key[0]
        own_name, own_type, last = self._columns[0]
        if name != own_name:
            raise InvalidPrimaryKey(f"Validate PK name fail. Input: {name}, Meta: {own_name}.")
        if type(value) is not own_type:
            raise InvalidPrimaryKey(f"Validate PK type fail. Input: {_shown(value)}, Meta: {_SHOWN[own_type]}.")
        return self.prefix + _encode_value(name, value, last)  # type: ignore[arg-type]

    def encode_partition_value(self, value: KeyValue) -> bytes:
        """As `encode_partition_key`, of a value that is known to be one of the first column."""
        name, _, last = self._columns[0]
        return self.prefix + _encode_value(name, value, last)

    def decode_partition(self, encoded: bytes) -> KeyValue:
        """The value of the first column of which `encode_partition` gave this. Raises Corruption."""
        own_type, last = self._columns[0][1:]
        try:
            if own_type is int:
                if len(encoded) != 8:
                    raise ValueError("an integer has 8 bytes")
                return int.from_bytes(encoded, "big") - _SIGN
            if not last:
                if encoded.find(b"\0\0") != len(encoded) - 2:
                    raise ValueError("it does not end where its value does")
                encoded = encoded[:-2].replace(b"\0\xff", b"\0")
            return encoded.decode() if own_type is str else encoded
        except ValueError as error:
            raise Corruption(f"{encoded.hex()} is not the first column of a key of its table") from error

    def partition(self, encoded: bytes) -> bytes:
        """Prefix and first column of an encoded key: the same for all rows of one partition key, and for no other."""
        _, own_type, last = self._columns[0]
        if last:
            return encoded
        begin = len(self.prefix)
        return encoded[: begin + 8 if own_type is int else encoded.index(b"\0\0", begin) + 2]

    def encode_bound(self, key: KeyInput) -> bytes:
        """A bound of a range: as `encode`, but a column may be INF_MIN or INF_MAX, and those after it do not count."""
        if len(key) != len(self._columns):
            raise self._mismatch(key, _INFINITE)
        encoded = self.prefix
        reached: KeyMarker | None = None
        for (name, value), (own_name, own_type, last) in zip(key, self._columns, strict=True):
            if name != own_name:
                raise self._mismatch(key, _INFINITE)
            if value is INF_MIN or value is INF_MAX:
                reached = reached or value
            elif type(value) is not own_type:
                raise self._mismatch(key, _INFINITE)
            elif reached is None:
                encoded += _encode_value(name, value, last)  # type: ignore[arg-type]
        return prefix_end(encoded) if reached is INF_MAX else encoded

    def decode(self, encoded: bytes) -> PrimaryKey:
        """The key of an encoded one, prefix included. Raises Corruption where it is not one of this table's."""
        try:
            return self._decode(encoded, len(self.prefix))
        except ValueError as error:
            raise Corruption(f"stored key {encoded.hex()} is not a key of its table") from error

    def decode_all(self, encoded: Sequence[bytes]) -> list[PrimaryKey]:
        """As `decode`, of several at once. Raises Corruption."""
        if not self._is_one_string:
            return [self.decode(key) for key in encoded]
        name, begin = self._columns[0][0], len(self.prefix)
        try:
            return [((name, key[begin:].decode()),) for key in encoded]
        except ValueError:
            return [self.decode(key) for key in encoded]  # which says which of them

    def decode_bare(self, encoded: bytes) -> PrimaryKey:
        """As `decode`, of a key without its prefix."""
        try:
            return self._decode(encoded, 0)
        except ValueError as error:
            raise Corruption(f"logged key {encoded.hex()} is not a key of its table") from error

    def _mismatch(self, key: KeyInput, markers: tuple[KeyMarker, ...] = (AUTO_INCREMENT,)) -> LutraError:
        """What does not fit the table. What is wrong with the key in itself comes first, and is raised."""
        check_bound(key, markers, max(len(self._columns), limits.KEY_COLUMNS_MAX))
        if len(key) != len(self._columns):
            return InvalidPrimaryKey(f"Validate PK size fail. Input: {len(key)}, Meta: {len(self._columns)}.")
        for (name, value), (own_name, own_type, _) in zip(key, self._columns, strict=True):
            if name != own_name:
                return InvalidPrimaryKey(f"Validate PK name fail. Input: {name}, Meta: {own_name}.")
            if type(value) is not own_type and value is not INF_MIN and value is not INF_MAX:
                return InvalidPrimaryKey(f"Validate PK type fail. Input: {_shown(value)}, Meta: {_SHOWN[own_type]}.")
        raise AssertionError(f"{key} fits its table")

    def _decode(self, encoded: bytes, position: int) -> PrimaryKey:
        key: list[tuple[str, KeyValue]] = []
        for name, own_type, last in self._columns:
            if own_type is int:
                end = position + 8
                if end > len(encoded) or (last and end != len(encoded)):
                    raise ValueError("an integer is cut short or followed by more")
                key.append((name, int.from_bytes(encoded[position:end], "big") - _SIGN))
                position = end
                continue
            if last:
                data = encoded[position:]
            else:
                # Within a value 0x00 is always followed by 0xFF.
                end = encoded.index(b"\0\0", position)
                data = encoded[position:end].replace(b"\0\xff", b"\0")
                position = end + 2
            key.append((name, data.decode() if own_type is str else data))
        return tuple(key)


def check_key(key: KeyInput) -> None:
    """Raises ParameterInvalid where no table can have a row of that key. AUTO_INCREMENT is for the table to judge."""
    check_bound(key, markers=(AUTO_INCREMENT,))


def check_bound(
    key: KeyInput, markers: tuple[KeyMarker, ...] = _INFINITE, columns_max: int = limits.KEY_COLUMNS_MAX
) -> None:
    """Raises ParameterInvalid where it can be no bound of a range in any table."""
    if not 1 <= len(key) <= columns_max:
        raise ParameterInvalid(f"The number of primary key columns must be in range: [1, {columns_max}].")
    for name, value in key:
        if value is AUTO_INCREMENT and value not in markers:
            raise ParameterInvalid("PKAutoIncr can't be used for read operations.")
        if isinstance(value, KeyMarker):
            if value not in markers:
                raise ParameterInvalid(f"{_shown(value)} is an invalid type for the primary key.")
        elif type(value) in _SHOWN:
            _encode_value(name, value, last=True)


def rank(key: KeyInput) -> tuple[tuple[int, KeyValue | None], ...]:
    """Orders keys of one table that may hold INF_MIN and INF_MAX."""
    return tuple(
        (0, None) if value is INF_MIN else (2, None) if value is INF_MAX else (1, value)  # type: ignore[misc]
        for _, value in key
    )


def _encode_value(name: str, value: KeyValue, last: bool) -> bytes:
    if type(value) is int:
        try:
            return (value + _SIGN).to_bytes(8, "big")
        except OverflowError:
            raise InvalidPrimaryKey(f"The value of primary key column '{name}' does not fit 64 bits.") from None
    if type(value) is str:
        try:
            data = value.encode()
        except UnicodeEncodeError:
            raise InvalidPrimaryKey(f"Value of column '{name}' must be UTF8 encoding.") from None
    else:
        data = value  # type: ignore[assignment]
    if len(data) > limits.KEY_VALUE_BYTES_MAX:
        raise ParameterInvalid(
            f"The length of primary key column: '{name}' exceeds the MaxLength:{limits.KEY_VALUE_BYTES_MAX}"
            f" with CurrentLength:{len(data)}."
        )
    return data if last else data.replace(b"\0", b"\0\xff") + b"\0\0"


def _shown(value: object) -> str:
    """The type of a value as the service calls it."""
    if isinstance(value, KeyMarker):
        return f"VT_{value.name}"
    kind = type_of(value)
    if kind is None:
        return type(value).__name__
    return "VT_BLOB" if kind is ColumnType.BINARY else f"VT_{kind.name}"
