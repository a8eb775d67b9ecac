"""A client that writes until its server dies, and knows what was acknowledged."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import Any

import tablestore as ots
from support.sdk import IGNORE, write_batch

ABSENT = None
State = dict[str, int | None]
"""The version that each key has, None where it is absent."""


class CrashWriter(threading.Thread):
    """Puts, updates and deletes rows of its own keys (column "id") of ``table``, one by one and in batches.

    ``columns_of(key, version)`` are a row's columns; versions rise. A killed server ends a request in many ways, and
    all of them end the writer; ``failure`` is what else did: an answer that says the write was refused.
    """

    def __init__(
        self,
        client: ots.OTSClient,
        table: str,
        keys: Sequence[str],
        columns_of: Callable[[str, int], list[tuple[str, Any]]],
        known: State,
        *,
        seed: int,
        batch_rows: int = 5,
        pause_s: float = 0.0,
    ) -> None:
        super().__init__(daemon=True)
        self.acknowledged = {key: known.get(key) for key in keys}
        self.under_way: State = {}
        """What the request that was not answered would have brought."""
        self.rows_acknowledged = 0
        self.requests_acknowledged = 0
        self.failure: Exception | None = None
        self.stopped = threading.Event()
        self._client, self._table, self._keys, self._columns_of = client, table, list(keys), columns_of
        self._random = random.Random(seed)
        self._batch_rows, self._pause_s = batch_rows, pause_s
        self._version = max((version for version in known.values() if version is not None), default=0)

    def run(self) -> None:
        operations = [self._put_row, self._update_row, self._delete_row, self._write_batch]
        while not self.stopped.wait(self._pause_s):
            self._version += 1
            try:
                self._random.choice(operations)()
            except (ots.OTSServiceError, AssertionError) as error:
                self.failure = error
                return
            except Exception:
                return
            self.acknowledged.update(self.under_way)
            self.rows_acknowledged += len(self.under_way)
            self.requests_acknowledged += 1
            self.under_way = {}

    def check(self, actual: dict[str, int]) -> None:
        """Every row is as it was acknowledged, or as what was under way would have it."""
        assert self.failure is None
        for key, acknowledged in self.acknowledged.items():
            allowed = {acknowledged, self.under_way.get(key, acknowledged)}
            assert actual.get(key) in allowed, f"{key}: {actual.get(key)} is none of {allowed}"

    def _one_key(self, state: int | None) -> str:
        key = self._random.choice(self._keys)
        self.under_way = {key: state}
        return key

    def _put_row(self) -> None:
        key = self._one_key(self._version)
        self._client.put_row(self._table, ots.Row([("id", key)], self._columns_of(key, self._version)), IGNORE)

    def _update_row(self) -> None:
        key = self._one_key(self._version)
        changes = {"PUT": self._columns_of(key, self._version)}
        self._client.update_row(self._table, ots.Row([("id", key)], changes), IGNORE)

    def _delete_row(self) -> None:
        key = self._one_key(ABSENT)
        self._client.delete_row(self._table, [("id", key)], IGNORE)

    def _write_batch(self) -> None:
        """One row in five is deleted."""
        keys = self._random.sample(self._keys, self._batch_rows)
        gone = set(keys[: len(keys) // 5])
        self.under_way = {key: ABSENT if key in gone else self._version for key in keys}
        items: list[Any] = [
            ots.DeleteRowItem(ots.Row([("id", key)]), IGNORE)
            if key in gone
            else ots.PutRowItem(ots.Row([("id", key)], self._columns_of(key, self._version)), IGNORE)
            for key in keys
        ]
        assert write_batch(self._client, self._table, items).is_all_succeed()
