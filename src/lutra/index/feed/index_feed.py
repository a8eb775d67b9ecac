"""One search index following its table."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from lutra.feed.feed import Feed
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.feed.consumer import IndexConsumer
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.view import IndexView
from lutra.kv.store import KeyValueStore
from lutra.model.clock import Clock
from lutra.model.indexes import IndexDescription, SyncPhase
from lutra.tables.changelog import Changelog
from lutra.tables.tables import Tables


class IndexFeed(Feed[IndexConsumer]):
    """The feed of a search index, and what is asked of that index."""

    _consumer_type: ClassVar[type[IndexConsumer]] = IndexConsumer

    def __init__(
        self,
        definition: IndexDefinition,
        tables: Tables,
        changelog: Changelog,
        store: KeyValueStore,
        resources: Resources,
        clock: Clock,
    ) -> None:
        """Reads nothing of the index yet. Raises ObjectNotExist where the table is gone."""
        key_columns = tables.describe(definition.table).schema.key
        consumer = self._consumer_type(definition, key_columns, changelog, resources, clock)
        super().__init__(consumer, tables, changelog, store, clock)
        self.on_current: Callable[[], None] | None = None
        """Called after each step that left no change of the table to take in."""

    @property
    def definition(self) -> IndexDefinition:
        return self.consumer.definition

    def redefine(self, definition: IndexDefinition) -> None:
        """Has the index be called so, and live so long: what does not touch what its segments hold."""
        self.consumer.redefine(definition)

    def step(self) -> bool:
        more = super().step()
        if self.on_current is not None and self.phase is SyncPhase.INCR and not more:
            self.on_current()
        return more

    @property
    def index(self) -> SearchIndex:
        """To look at."""
        return self.consumer.index

    def view(self) -> IndexView:
        """As `IndexConsumer.view`."""
        return self.consumer.view()

    def description(self) -> IndexDescription:
        """How the index is at this moment. Raises StorageFailure, Corruption."""
        definition, index = self.definition, self.index
        return IndexDescription(
            table=definition.table,
            name=definition.name,
            schema=definition.schema,
            created_us=definition.made_us,
            phase=self.phase,
            synced_us=self.refreshed_us(),
            rows=index.rows,
            unindexed_values=index.unindexed.total(),
        )
