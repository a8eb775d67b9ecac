"""A feeder that makes the feeds of search indexes itself, as a partition does."""

from __future__ import annotations

from lutra.feed.feeder import Feeder
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.resources import Resources
from lutra.kv.store import KeyValueStore
from lutra.model.clock import Clock, SystemClock
from lutra.tables.changelog import Changelog
from lutra.tables.tables import Tables


class IndexFeeder(Feeder):
    def __init__(
        self, changelog: Changelog, store: KeyValueStore, resources: Resources, clock: Clock | None = None
    ) -> None:
        super().__init__(changelog, resources.policy.trim_changes, resources.policy.trim_period_s)
        self._of_feeds = changelog, store, resources, clock or SystemClock()

    def __enter__(self) -> IndexFeeder:
        return self

    def follow(self, definition: IndexDefinition, tables: Tables) -> IndexFeed:
        feed = IndexFeed(definition, tables, *self._of_feeds)
        self.add(feed)
        return feed
