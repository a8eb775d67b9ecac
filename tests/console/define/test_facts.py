"""What pages tell of an index, where something is wrong with it."""

from __future__ import annotations

from pathlib import Path

from support.waiting import wait_until

import lutra
from lutra.console.define.facts import index_facts, table_facts
from lutra.instance.engine import Engine
from lutra.instance.layout import INDEX_NAME


def test_an_index_that_is_damaged_is_told_as_such(tmp_path: Path) -> None:
    """It is never filled, so it must not look as if it only had to be waited for."""
    with lutra.connect(tmp_path) as db:
        table = db.create_table("t", {"id": int}, {"v": lutra.Vector(4)})
        table.put_many({"id": n, "v": [n, 1, 2, 3]} for n in range(1_500))
        assert table.search([7, 1, 2, 3], limit=1)[0]["id"] == 7
        for feed in db._engine.partition.feeder._feeds:
            feed.index.flush()
    (segment,) = tmp_path.glob("objects/indexes/*/segments/*")
    segment.write_bytes(segment.read_bytes()[:-5_000])
    engine = Engine.open(tmp_path)
    try:
        instance = engine.instance("default")
        wait_until(lambda: index_facts(instance, "t", INDEX_NAME).error is not None)
        (index,) = table_facts(instance, "t").indexes
        assert index.error is not None
        assert "is damaged" in index.error
        assert "delete the index and create it again" in index.error
    finally:
        engine.close()
