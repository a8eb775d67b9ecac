"""Global secondary indexes: rows that owners of a table's partitions send to those of the index's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lutra.cluster.errors import Moved
from lutra.cluster.host import OwnedPartition
from lutra.cluster.methods import PeerLane
from lutra.cluster.partition.method import Codec, PartitionMethod
from lutra.model.errors import ParameterInvalid
from lutra.tables.incomingindex import IndexRow


def apply_index_rows(owned: OwnedPartition, rows: Sequence[IndexRow]) -> list[None]:
    """Stores them, but for those that are older than what is stored. An answer for each."""
    incoming = owned.incoming
    if incoming is None:
        raise ParameterInvalid(f"partition {owned.id} is of no global secondary index")
    if not all(owned.entry.holds(row.key) for row in rows):
        raise Moved(f"an index row of partition {owned.id} is beyond its range")
    incoming.apply(rows)
    return [None] * len(rows)


def _unpack(sent: Sequence[Any]) -> tuple[list[IndexRow]]:
    return ([IndexRow(*row) for row in sent],)


METHODS: Final[dict[str, PartitionMethod]] = {
    "apply_index_rows": PartitionMethod(
        PeerLane.FOLLOW,
        apply_index_rows,
        writes=True,
        repeats=True,
        arguments=Codec(lambda given: [list(row) for row in given[0]], _unpack),
    ),
}
