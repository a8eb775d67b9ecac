"""Maps of clusters to test with."""

from __future__ import annotations

from lutra.cluster.map import ClusterMap
from lutra.cluster.map_changes import create_instance, create_table
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
