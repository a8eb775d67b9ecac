"""Maps of clusters to test with."""

from __future__ import annotations

from collections.abc import Sequence

from lutra.cluster.map import ClusterMap
from lutra.cluster.map_changes import complete_split, create_instance, create_table, plan_split
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType

NOW_US = 1_700_000_000_000_000
KEYS = (KeyColumn("shop", ColumnType.INTEGER), KeyColumn("order", ColumnType.STRING))
INDEX = IndexSchema((FieldSchema("city", FieldType.KEYWORD),))


def key(number: int) -> bytes:
    """The encoded partition key of that number."""
    return (number + 2**63).to_bytes(8, "big")


def map_of(partitions: int, tables: int = 1) -> ClusterMap:
    """Instance ``main`` with tables ``orders1`` and so on, of ``partitions`` each: ``p1-0`` has keys below 0."""
    made = create_instance(ClusterMap(), "main")
    for number in range(1, tables + 1):
        ids = [f"p{number}-{part}" for part in range(partitions)]
        bounds = [key(100 * part) for part in range(partitions - 1)]
        made = create_table(made, "main", TableSchema(f"orders{number}", KEYS), NOW_US, ids, bounds)
    return made


def split(
    of: ClusterMap, partition_id: str, bounds: Sequence[bytes], ids: Sequence[str], since_us: int = 0
) -> ClusterMap:
    """As `plan_split` and `complete_split` at once: for partitions that nothing has to be made for."""
    return complete_split(plan_split(of, partition_id, bounds, ids), partition_id, ids, since_us)
