"""The changes one commit made to one table, as one pair of the store.

Key: table id and the sequence of the first change. Value: format byte 1, number of changes (4 bytes), then each: kind
(1 byte), length of the key (2 bytes), key as `keys` encodes it, without its prefix. Numbers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from lutra.model.errors import Corruption
from lutra.model.rows import ChangeKind
from lutra.tables import keyspace

_HEADER: Final = struct.Struct(">BI")
_ENTRY: Final = struct.Struct(">BH")
_FORMAT: Final = 1
_PACK_ENTRY: Final = _ENTRY.pack


def entry(kind: ChangeKind, bare_key: bytes) -> bytes:
    """One change."""
    return _PACK_ENTRY(kind, len(bare_key)) + bare_key


def key(table_id: int, first_sequence: int) -> bytes:
    return keyspace.changes_prefix(table_id) + keyspace.pack(first_sequence)


def first_sequence(block_key: bytes) -> int:
    return keyspace.unpack(block_key[9:])


def value(entries: list[bytes]) -> bytes:
    return _HEADER.pack(_FORMAT, len(entries)) + b"".join(entries)


def count(block_value: bytes) -> int:
    """How many changes a block holds. Raises Corruption."""
    if len(block_value) < _HEADER.size or block_value[0] != _FORMAT:
        raise Corruption("a block of the changelog has an unknown form")
    return int(_HEADER.unpack_from(block_value)[1])


def entries(block_value: bytes) -> Iterator[tuple[ChangeKind, bytes]]:
    """Kind and bare key of each change. Raises Corruption."""
    position = _HEADER.size
    try:
        for _ in range(count(block_value)):
            kind, length = _ENTRY.unpack_from(block_value, position)
            position += _ENTRY.size
            bare_key = block_value[position : position + length]
            if len(bare_key) != length:
                raise Corruption("a block of the changelog is cut short")
            position += length
            yield ChangeKind(kind), bare_key
    except (struct.error, ValueError) as error:
        raise Corruption(f"a block of the changelog cannot be read: {error}") from error
