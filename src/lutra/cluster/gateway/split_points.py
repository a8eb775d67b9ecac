"""Keys that cut a table of several partitions into pieces of about a size."""

from __future__ import annotations

from lutra.cluster.gateway.router import Router
from lutra.cluster.map import TableEntry
from lutra.model import limits
from lutra.model.rows import KeyInput
from lutra.model.values import INF_MIN
from lutra.tables.keys import KeyCodec


def split_points(router: Router, table: TableEntry, size_bytes: int) -> list[KeyInput]:
    """As `Tables.split_points`: what each partition says, and the bounds between them, but where small ones make a
    piece together. Raises ParameterInvalid."""
    keys = KeyCodec(b"", table.schema.key)
    names = [column.name for column in table.schema.key]
    points: list[KeyInput] = []
    piece_bytes = 0
    for entry, (own_bytes, own_points) in router.on_each(lambda _: table.uid, "split_points", (size_bytes,)):
        if piece_bytes and piece_bytes + min(own_bytes, size_bytes) > size_bytes:
            first = keys.decode_partition(entry.begin)
            points.append(((names[0], first), *((name, INF_MIN) for name in names[1:])))
            piece_bytes = 0
        points += own_points
        piece_bytes = max(0, own_bytes - size_bytes * len(own_points)) + (0 if own_points else piece_bytes)
    return points[: limits.SPLIT_POINTS_MAX]
