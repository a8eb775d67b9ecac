"""A header has a search see every write acknowledged before it."""

from __future__ import annotations

from typing import Any

import pytest
import tablestore as ots
from support.sdk import put
from support.searching import field, ids, search
from support.tables import TableMaker

WRITES = 40


@pytest.mark.one_process
def test_each_write_is_found_at_once(
    sync_client: ots.OTSClient, make: TableMaker, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make.index(table, [field("n", ots.FieldType.LONG)])
    send_receive = sync_client.connection.send_receive

    def fresh(path: str, headers: dict[str, str], body: bytes) -> Any:
        return send_receive(path, headers | {"x-lutra-fresh": "1"}, body)

    monkeypatch.setattr(sync_client.connection, "send_receive", fresh)
    for number in range(WRITES):
        put(sync_client, table, [("id", f"{number}")], n=number)
        assert ids(search(sync_client, table, index, ots.TermQuery("n", number), limit=1)) == [f"{number}"]
