"""A cluster's map as it is stored: JSON, compressed, with a format version; partitions as columns, which is smaller."""

from __future__ import annotations

import json
import zlib
from itertools import pairwise
from typing import Any, Final

from lutra.cluster.map import ClusterMap, IndexEntry, PartitionEntry, PartitionState, TableEntry, index_tables
from lutra.index.definitions.definition import schema_in, schema_out
from lutra.model.errors import Corruption, ObjectNotExist
from lutra.tables.definition import description_in, description_out

_FORMAT: Final = 1
_ZLIB_LEVEL: Final = 1
"""Higher ones take several times as long for a map of 10^5 partitions, and save a tenth."""


def encode_map(of: ClusterMap) -> bytes:
    """The stored form."""
    partitions = of.partitions
    return zlib.compress(
        json.dumps(
            {
                "format": _FORMAT,
                "version": of.version,
                "next_uid": of.next_uid,
                "instances": of.instances,
                "tables": [_table_out(table) for table in of.tables],
                "partitions": {
                    "id": [partition.id for partition in partitions],
                    "table": [partition.table for partition in partitions],
                    "begin": [partition.begin.hex() for partition in partitions],
                    "end": [None if partition.end is None else partition.end.hex() for partition in partitions],
                    "state": [int(partition.state) for partition in partitions],
                    "parents": [partition.parents for partition in partitions],
                    "since_us": [partition.since_us for partition in partitions],
                },
            },
            separators=(",", ":"),
        ).encode(),
        _ZLIB_LEVEL,
    )


def decode_map(data: bytes) -> ClusterMap:
    """Raises Corruption where ``data`` is not what `encode_map` made, or of a format this version does not know."""
    try:
        stored: dict[str, Any] = json.loads(zlib.decompress(data))
        if stored["format"] != _FORMAT:
            raise Corruption(f"a cluster's map has format {stored['format']!r}; this version reads {_FORMAT}")
        decoded = ClusterMap(
            stored["version"],
            stored["next_uid"],
            tuple(stored["instances"]),
            tuple(map(_table_in, stored["tables"])),
            _partitions_in(stored["partitions"]),
        )
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise Corruption(f"a cluster's map cannot be read: {error!r}") from error
    _require_whole(decoded)
    return decoded


def _table_out(table: TableEntry) -> dict[str, Any]:
    return {
        "instance": table.instance,
        "description": description_out(table.description),
        "version": table.version,
        "indexes": [
            {
                "uid": index.uid,
                "name": index.name,
                "schema": schema_out(index.schema),
                "created_us": index.created_us,
                "source": index.source,
                "weight": index.weight,
            }
            for index in table.indexes
        ],
    }


def _table_in(stored: dict[str, Any]) -> TableEntry:
    indexes = tuple(
        IndexEntry(
            index["uid"],
            index["name"],
            schema_in(index["schema"]),
            index["created_us"],
            index["source"],
            index["weight"],
        )
        for index in stored["indexes"]
    )
    return TableEntry(stored["instance"], description_in(stored["description"]), indexes, stored["version"])


def _partitions_in(stored: dict[str, Any]) -> tuple[PartitionEntry, ...]:
    states = {int(state): state for state in PartitionState}
    return tuple(
        PartitionEntry(
            partition_id,
            table,
            bytes.fromhex(begin),
            None if end is None else bytes.fromhex(end),
            states[state],
            tuple(parents),
            since_us,
        )
        for partition_id, table, begin, end, state, parents, since_us in zip(
            stored["id"],
            stored["table"],
            stored["begin"],
            stored["end"],
            stored["state"],
            stored["parents"],
            stored["since_us"],
            strict=True,
        )
    )


def _require_whole(of: ClusterMap) -> None:
    """Raises Corruption unless the serving partitions of each table are together all keys, and no key is in two."""
    indexes = [index for table in of.tables for index in index_tables(table)]
    for table in [*of.tables, *indexes]:
        try:
            entries = of.partitions_of(table.uid)
        except ObjectNotExist:
            entries = []
        is_whole = bool(entries) and entries[0].begin == b"" and entries[-1].end is None
        if not is_whole or any(one.end != following.begin for one, following in pairwise(entries)):
            raise Corruption(f"the partitions of table {table.name!r} do not make up its keys")
