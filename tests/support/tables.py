"""Tables and search indexes that tests make, and that are gone afterwards."""

from __future__ import annotations

import itertools
import time
from typing import Any

import tablestore as ots
from support.sdk import NO_THROUGHPUT
from support.waiting import wait_until
from tablestore.metadata import SyncPhase

SYNCED_WITHIN_S = 10.0
_numbers = itertools.count(1)


class TableMaker:
    """Makes tables of fresh names, and indexes on them; ``clean_up`` deletes them all."""

    def __init__(self, client: ots.OTSClient) -> None:
        self._client = client
        self._names: list[str] = []

    def table(
        self,
        key: list[tuple[Any, ...]] | None = None,
        *,
        defined: list[tuple[str, str]] | None = None,
        options: ots.TableOptions | None = None,
    ) -> str:
        """Creates a table, by default of one STRING key column ``id``; returns its name."""
        name = f"table_{next(_numbers)}"
        meta = ots.TableMeta(name, key or [("id", "STRING")], defined)
        self._client.create_table(meta, options or ots.TableOptions(), NO_THROUGHPUT)
        self._names.append(name)
        return name

    def index(self, table: str, fields: list[ots.FieldSchema], **options: Any) -> str:
        """Creates a search index and waits until it has caught up with its table; returns its name."""
        name = f"index_{next(_numbers)}"
        self._client.create_search_index(table, name, ots.SearchIndexMeta(fields, **options))
        self.wait_synced(table, name)
        return name

    def wait_synced(self, table: str, index: str) -> None:
        """Returns once every row acknowledged before this call is searchable, by what DescribeSearchIndex says."""
        now_ns = time.time_ns()

        def is_synced() -> bool:
            _, stat = self._client.describe_search_index(table, index)
            return bool(stat.sync_phase == SyncPhase.INCR and stat.current_sync_timestamp >= now_ns)

        wait_until(is_synced, SYNCED_WITHIN_S)

    def clean_up(self) -> None:
        """Deletes every table that was made, its indexes first."""
        existing = self._client.list_table()
        for table in self._names:
            if table in existing:
                try:
                    self._client.delete_table(table)
                except ots.OTSServiceError:
                    for name, index in self._client.list_search_index(table):
                        self._client.delete_search_index(name, index)
                    self._client.delete_table(table)
