"""Changes of tables: the map first, which decides, then all owners.

Who owns a partition makes its table what the map says when it opens it, and when it is told. So a change that is in the
map comes about whoever dies meanwhile; of two at once the map takes one after the other; and an owner that is told of
an older state than it has does nothing. A change is answered when all owners have made it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lutra.cluster import map_changes
from lutra.cluster.gateway.router import Router
from lutra.cluster.map import ClusterMap, PartitionEntry, TableEntry, index_tables, new_partition_id
from lutra.index.definitions.schema import check_table_update
from lutra.model.clock import Clock
from lutra.model.errors import ParameterInvalid
from lutra.model.schema import DefinedColumn, SecondaryIndex, TableDescription, TableSchema, TableUpdate
from lutra.tables import schemas
from lutra.tables.indexschemas import check_indexes
from lutra.tables.keys import KeyCodec
from lutra.tables.refusals import no_table

Nudge = Callable[[ClusterMap, Sequence[PartitionEntry]], None]
"""Has the nodes that have these partitions, or are to have them, look at the map at once. It may fail: they do so soon.
"""


class SchemaChanges:
    """Of all instances. Thread-safe.

    Errors are those of one machine, and ServerBusy or RequestTimeout where not all owners have made in time what the
    map has: they make it later.
    """

    def __init__(self, router: Router, clock: Clock, nudge: Nudge) -> None:
        self._router = router
        self.clock = clock
        self._nudge = nudge

    def change(self, changed: Callable[[ClusterMap], ClusterMap]) -> ClusterMap:
        """Another map, of which no owner has to know."""
        return self._router.maps.log.change(changed)

    def change_table(self, instance: str, name: str, changed: Callable[[ClusterMap], ClusterMap]) -> TableEntry:
        """Another map, in which a table is another, and then the table with all its owners, as it then is."""
        table = self.change(changed).table(instance, name)
        self.reconcile(table)
        return table

    def reconcile(self, table: TableEntry) -> None:
        """Returns when all owners of a table, and of its global indexes, have made it what it is."""
        for each in (*index_tables(table), table):  # a table's rows are sent to what is there
            uid = each.uid
            self._router.on_each(lambda _, uid=uid: uid, "reconcile", (each,))  # type: ignore[misc]

    def create_table(self, instance: str, schema: TableSchema) -> TableDescription:
        """As `Instance.create_table`, with as many partitions as its ``splits`` make, one where there are none."""
        schemas.check_schema(schema)
        keys = KeyCodec(b"", schema.key)
        bounds = [keys.encode_partition_value(value) for value in schema.splits]
        ids = [new_partition_id() for _ in range(len(bounds) + 1)]
        now_us = self.clock.now_us()

        def created(of: ClusterMap) -> ClusterMap:
            return map_changes.create_table(of, instance, schema, now_us, ids, bounds)

        after = self.change(created)
        table = after.table(instance, schema.name)
        self._await_new(after, (table, *index_tables(table)))
        return table.description

    def _await_new(self, of: ClusterMap, tables: Sequence[TableEntry]) -> None:
        """Returns when all partitions of these, which are new, are served."""
        uids = [table.uid for table in tables]
        self._nudge(of, [entry for uid in uids for entry in of.partitions_of(uid)])
        for uid in uids:
            self._router.on_each(lambda _, uid=uid: uid, "ready")  # type: ignore[misc]

    def update_table(self, instance: str, name: str, update: TableUpdate) -> TableDescription:
        """As `Instance.update_table`."""

        def updated(of: ClusterMap) -> ClusterMap:
            for index in of.table(instance, name).indexes:
                check_table_update(index.name, index.schema.ttl_s, of.table(instance, name).schema.options, update)
            schemas.check_update(update)
            return self._with_schema(of, instance, name, lambda schema: schemas.apply_update(schema, update))

        return self.change_table(instance, name, updated).description

    def delete_table(self, instance: str, name: str) -> None:
        """As `Instance.delete_table`: rows cannot be found from then on, and their objects are deleted later.

        Nor can any be written by way of a gateway that does not know yet: whoever has a partition answers no more.
        """
        before: list[ClusterMap] = []

        def deleted(of: ClusterMap) -> ClusterMap:
            if not of.has_table(instance, name):
                raise no_table()
            if of.table(instance, name).indexes:
                raise ParameterInvalid(f"Table[{name}] who has at least one search index cannot be deleted.")
            before[:] = [of]
            return map_changes.drop_table(of, instance, name)

        after = self.change(deleted)
        gone = before[0].table(instance, name)
        self._let_go(
            after, [entry for each in (gone, *index_tables(gone)) for entry in before[0].partitions_of(each.uid)]
        )

    def add_defined_columns(self, instance: str, name: str, columns: Sequence[DefinedColumn]) -> None:
        """As `Tables.add_defined_columns`."""
        self.change_table(
            instance,
            name,
            lambda of: self._with_schema(of, instance, name, lambda old: schemas.with_defined(old, columns)),
        )

    def delete_defined_columns(self, instance: str, name: str, names: Sequence[str]) -> None:
        """As `Tables.delete_defined_columns`."""
        self.change_table(
            instance,
            name,
            lambda of: self._with_schema(of, instance, name, lambda old: schemas.without_defined(old, names)),
        )

    def create_secondary_index(self, instance: str, name: str, index: SecondaryIndex) -> None:
        """As `Instance.create_secondary_index`."""

        def created(of: ClusterMap) -> ClusterMap:
            after = map_changes.add_secondary_index(of, instance, name, index)
            check_indexes(after.table(instance, name).schema)
            return after

        after = self.change(created)
        table = after.table(instance, name)
        self._await_new(after, [each for each in index_tables(table) if each.name == index.name])
        self.reconcile(table)

    def drop_secondary_index(self, instance: str, name: str, index: str) -> None:
        """As `Instance.drop_secondary_index`."""
        before: list[ClusterMap] = []

        def dropped(of: ClusterMap) -> ClusterMap:
            before[:] = [of]
            return map_changes.drop_secondary_index(of, instance, name, index)

        self.change_table(instance, name, dropped)
        gone = [each for each in index_tables(before[0].table(instance, name)) if each.name == index]
        self._let_go(self._router.maps.known, [entry for each in gone for entry in before[0].partitions_of(each.uid)])

    def _let_go(self, of: ClusterMap, entries: Sequence[PartitionEntry]) -> None:
        """Nothing is answered from partitions that the map has no more when this returns, and they are closed soon."""
        self._router.tell_each([entry.id for entry in entries], "let_go")
        self._nudge(of, entries)

    def _with_schema(
        self, of: ClusterMap, instance: str, name: str, changed: Callable[[TableSchema], TableSchema]
    ) -> ClusterMap:
        def with_schema(old: TableEntry) -> TableEntry:
            schema = changed(old.schema)
            return replace(old, description=schemas.with_schema(old.description, schema, self.clock.now_us))

        return map_changes.change_table(of, instance, name, with_schema)
