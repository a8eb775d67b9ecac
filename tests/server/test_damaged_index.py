"""A server over an index of which a segment is lost: what clients are told, what goes on, and how it is mended."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path

import pytest
import tablestore as ots
from support.server import ServerProcess

import lutra

ROWS = 300
ANY = ots.SearchQuery(ots.MatchAllQuery(), limit=5, get_total_count=True)


def fill(path: Path) -> None:
    with lutra.connect(path, instance="test") as db:
        for name in ("lost", "whole"):
            table = db.create_table(name, {"id": int}, {"n": int, "v": lutra.Vector(4)})
            table.put_many({"id": n, "n": n % 5, "v": [n, 1, 2, 3]} for n in range(ROWS))
            db._open().wait_searchable(name, "search", 20)
        for feed in db._engine.partition.feeder._feeds:
            feed.index.flush()


def found(client: ots.OTSClient, table: str) -> int:
    columns = ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE)
    total: int = client.search(table, "search", ANY, columns).total_count
    return total


def test_a_lost_segment(tmp_path: Path) -> None:
    fill(tmp_path / "data")
    folders = sorted((tmp_path / "data/objects/indexes").iterdir(), key=lambda folder: int(folder.name.split("-")[0]))
    (segment,) = (folders[0] / "segments").iterdir()
    segment.unlink()
    with ServerProcess(tmp_path / "data") as server:
        client = server.client()
        with pytest.raises(ots.OTSServiceError) as told:
            found(client, "lost")
        assert told.value.get_http_status() == 500
        assert told.value.get_error_code() == "OTSInternalServerError"
        for part in (segment.name, "no such object", "has all its rows", "create it again", "lutra index rebuild"):
            assert part in told.value.get_error_message()
        assert found(client, "whole") == ROWS
        _, row, _ = client.get_row("lost", [("id", 7)])
        assert row is not None

        schema, _ = client.describe_search_index("lost", "search")
        client.delete_search_index("lost", "search")
        client.create_search_index("lost", "search", schema)
        until_s = time.monotonic() + 20
        while found(client, "lost") < ROWS and time.monotonic() < until_s:
            time.sleep(0.05)
        assert found(client, "lost") == ROWS
        metrics = urllib.request.urlopen(f"{server.endpoint}/metrics").read().decode()
        labels = 'index="search",instance="test",kind="flat",table="whole"'
        assert f"lutra_index_segments{{{labels}}} 1.0" in metrics
        for name in ("sequence", "disk_bytes", "memory_bytes", "dead_rows", "written_bytes"):
            assert f"\nlutra_index_{name}{{" in metrics
    assert "Traceback" not in server.log_path.read_text()
    assert "is damaged" in server.log_path.read_text()
