"""Ctrl-C at every instant of a call to the feeder: it goes on, and so does everybody else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from support.feeding import WAIT_S, content, define
from support.index_feeder import IndexFeeder
from support.interrupts import InterruptAt, Interrupted

from lutra.kv.store import KeyValueStore
from lutra.tables.tables import Tables


@pytest.mark.parametrize("store", ["memory"], indirect=True)
def test_who_is_interrupted_holds_up_nobody(
    store: KeyValueStore, tables: Tables, new_table: Any, put: Any, feeder: IndexFeeder
) -> None:
    table = new_table("t")
    feed = feeder.follow(define(store, table), tables)
    calls: list[Callable[[], object]] = [
        lambda: feeder.hurry([table.table_id]),
        lambda: feeder._on_commit({table.table_id}),
        lambda: feeder.call_when_searchable(feed, 0, lambda: None)(),
        lambda: feeder.wait_searchable(feed, WAIT_S, 0),
    ]
    for number, call in enumerate(calls):
        for place in range(1, 1_000):
            interrupt = InterruptAt(place, {"lutra.feed.feeder", "lutra.feed.feed", "threading"}.__contains__)
            with contextlib.suppress(Interrupted):
                interrupt.run(call)
            if not interrupt.has_come:
                assert place > 2
                break
        put("t", number, n=number)
        feeder.wait_searchable(feed, WAIT_S)
        assert content(feed)[number] == (number, None)
