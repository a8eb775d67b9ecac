"""Search indexes of tables of many partitions: what there are says the map, each partition has one of its own rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lutra.cluster import map_changes
from lutra.cluster.gateway.names import Names
from lutra.cluster.gateway.router import Router
from lutra.cluster.gateway.schema_changes import SchemaChanges
from lutra.cluster.map import ClusterMap, IndexEntry, TableEntry
from lutra.index.catalog.catalog import IndexCatalog
from lutra.index.definitions.schema import check_recall_target, validate_schema, validate_ttl
from lutra.instance.index_changes import check_update, check_weights, not_current, remade
from lutra.model.clock import Clock
from lutra.model.errors import MetaNotMatch, ObjectNotExist, ParameterInvalid
from lutra.model.indexes import IndexDescription, IndexSchema, IndexUpdate, SyncPhase


class GatewayIndexes:
    """Of one instance. Thread-safe. Raises what `Instance` does, and as `SchemaChanges` where owners are away."""

    def __init__(self, instance: str, router: Router, names: Names, changes: SchemaChanges, clock: Clock) -> None:
        self._instance = instance
        self._router = router
        self._names = names
        self._changes = changes
        self._clock = clock

    def table(self, name: str) -> TableEntry:
        """Raises ParameterInvalid where there is no such table."""
        try:
            return self._names.table(self._instance, name)
        except ObjectNotExist:
            raise ParameterInvalid(f"table [{name}] does not exist") from None

    def index(self, table: str, name: str) -> tuple[TableEntry, IndexEntry]:
        """Raises ParameterInvalid where there is no such table, MetaNotMatch where there is no such index."""
        entry = self.table(table)
        found = entry.index(name)
        if found is None:  # another gateway may just have made it
            entry = self._newest(table)
            found = map_changes.require_index(entry, name)
        return entry, found

    def _newest(self, table: str) -> TableEntry:
        self._router.maps.read()
        return self.table(table)

    def create(self, table: str, index: str, schema: IndexSchema, source: str | None = None) -> None:
        """As `Instance.create_search_index`."""
        IndexCatalog.check(index, schema)
        self.table(table)

        def created(of: ClusterMap) -> ClusterMap:
            validate_schema(schema, of.table(self._instance, table).schema)
            return map_changes.create_index(of, self._instance, table, index, schema, self._clock.now_us(), source)

        self._change(table, created)

    def update(self, table: str, index: str, update: IndexUpdate) -> None:
        """As `Instance.update_search_index`."""
        check_update(index, update)
        self.index(table, index)
        if update.switch_with is not None:
            self._switch(table, index, update.switch_with)
        elif update.weights:
            self._weigh(table, index, dict(update.weights))
        else:
            self._remake(table, index, update)

    def delete(self, table: str, index: str) -> None:
        """As `Instance.delete_search_index`."""
        self.index(table, index)
        self._change(table, lambda of: map_changes.drop_index(of, self._instance, table, index))

    def names(self, table: str | None = None) -> list[tuple[str, str]]:
        """As `Instance.list_search_indexes`, as the map is now."""
        tables = self._router.maps.read().tables_of(self._instance) if table is None else [self._newest(table)]
        return sorted((one.name, index.name) for one in tables for index in one.indexes)

    def describe(self, table: str, index: str) -> IndexDescription:
        """As `Instance.describe_search_index`: of all partitions together, as far as the one that is behind."""
        entry = self._newest(table)
        found = map_changes.require_index(entry, index)
        told = self._told(entry, found)
        is_current = all(one.phase is SyncPhase.INCR for one in told)
        description = IndexDescription(
            table,
            index,
            found.schema,
            found.created_us,
            SyncPhase.INCR if is_current else SyncPhase.FULL,
            min(one.synced_us for one in told),
            sum(one.rows for one in told),
            sum(one.unindexed_values for one in told),
        )
        pair = map_changes.index_pair(entry, index)
        if pair is None:
            return description
        source, other = pair
        weights = ((source.name, 100 - other.weight), (other.name, other.weight))
        return replace(description, brother=other.name if found is source else source.name, weights=weights)

    def _told(self, table: TableEntry, index: IndexEntry) -> list[IndexDescription]:
        """What each partition has. Raises MetaNotMatch where the index is gone meanwhile."""

        def find(known: ClusterMap) -> int:
            now = known.table(self._instance, table.name)
            if now.index_by_uid(index.uid) is None:
                raise MetaNotMatch(f"search index [{index.name}] does not exist")
            return now.uid

        return [told for _, told in self._router.on_each(find, "describe_index", (index.uid,))]

    # --- changes ------------------------------------------------------------------------------------------------------

    def _change(self, table: str, changed: Callable[[ClusterMap], ClusterMap]) -> None:
        """First the map, then all partitions."""

        def checked(of: ClusterMap) -> ClusterMap:
            if not of.has_table(self._instance, table):
                raise ParameterInvalid(f"table [{table}] does not exist")
            return changed(of)

        self._changes.change_table(self._instance, table, checked)

    def _remake(self, table: str, index: str, update: IndexUpdate) -> None:
        def updated(of: ClusterMap) -> ClusterMap:
            of_table = of.table(self._instance, table).schema

            def with_update(old: IndexEntry) -> IndexEntry:
                ttl_s = old.schema.ttl_s if update.ttl_s is None else update.ttl_s
                validate_ttl(ttl_s, of_table)
                schema = replace(remade(old.schema, update), ttl_s=ttl_s)
                check_recall_target(update.recall_target, schema)
                if schema != old.schema:
                    validate_schema(schema, of_table)
                return replace(old, schema=schema)

            return map_changes.change_index(of, self._instance, table, index, with_update)

        self._change(table, updated)

    def _weigh(self, table: str, index: str, weights: dict[str, int]) -> None:
        check_weights(index, weights)
        other = self._pair(table, index, next(name for name in weights if name != index))[1]
        if weights[other.name]:
            self._require_current(table, other.name)

        def weighed(of: ClusterMap) -> ClusterMap:
            return map_changes.change_index(
                of, self._instance, table, other.name, lambda old: replace(old, weight=weights[old.name])
            )

        self._change(table, weighed)

    def _switch(self, table: str, index: str, name: str) -> None:
        self._require_current(table, self._pair(table, index, name)[1].name)
        self._change(table, lambda of: map_changes.switch_indexes(of, self._instance, table, index, name))

    def _pair(self, table: str, index: str, other: str) -> tuple[IndexEntry, IndexEntry]:
        """As `lutra.cluster.map_changes.require_pair`, as the map is now."""
        return map_changes.require_pair(self._newest(table), index, other)

    def _require_current(self, table: str, index: str) -> None:
        """Raises ServerBusy where a partition has not all of its rows in it yet."""
        if self.describe(table, index).phase is not SyncPhase.INCR:
            raise not_current(index)
