"""The followers that make vectors for what is put into served tables: one for each table that has models."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from lutra.feed.feed import Feed
from lutra.instance.embedding_follower import EmbeddingFollower, EmbeddingState
from lutra.instance.instance import Instance
from lutra.instance.partition import Partition
from lutra.model.errors import LutraError
from lutra.model.schema import TableDescription

FOLDER: Final = "embeds"


class EmbeddingFollowers:
    """Of one instance. Thread-safe."""

    def __init__(self, instance: Instance, partition: Partition, data_dir: Path) -> None:
        """Begins to follow the tables that have models by now."""
        self._instance = instance
        self._partition = partition
        self._folder = data_dir / FOLDER
        self._lock = threading.Lock()
        self._feeds: dict[int, Feed[EmbeddingFollower]] = {}
        """By table."""
        self._looked_at = partition.space.changelog.last_sequence
        self.look()

    def look(self) -> None:
        """Begins to follow tables that have models, and ends it for those that have none any more, or are gone.

        Brief: about once a second. A table that is new to it is followed from the last look on.
        """
        with self._lock:
            before, self._looked_at = self._looked_at, self._partition.space.changelog.last_sequence
            wanted = {table.table_id: table for table in self._tables()}
            for table_id in self._feeds.keys() - wanted.keys():
                self._partition.feeder.remove(self._feeds.pop(table_id))
            for table_id in wanted.keys() - self._feeds.keys():
                self._feeds[table_id] = self._followed(wanted[table_id], before)

    def states(self) -> list[EmbeddingState]:
        """Of all, by table."""
        with self._lock:
            feeds = sorted(self._feeds.values(), key=lambda feed: feed.consumer.table)
        return [
            EmbeddingState(
                feed.consumer.table,
                feed.refreshed_us(),
                feed.consumer.embedded,
                feed.consumer.failed,
                list(feed.consumer.failures),
                feed.error,
            )
            for feed in feeds
        ]

    def _tables(self) -> list[TableDescription]:
        found = []
        for name in self._instance.tables.names():
            try:
                table = self._instance.tables.describe(name)
            except LutraError:  # deleted meanwhile
                continue
            if any(field.embedding is not None for field in table.schema.declared):
                found.append(table)
        return found

    def _followed(self, table: TableDescription, begin_at: int) -> Feed[EmbeddingFollower]:
        path = self._folder / f"table-{table.table_id}.json"
        changelog = self._partition.space.changelog
        consumer = EmbeddingFollower(self._instance, table, changelog, path, begin_at)
        return self._partition.follow_changes(consumer, self._instance.tables)
