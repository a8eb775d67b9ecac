"""The status pages, by HTTP and in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.browser import assert_accessible
from support.console_client import ConsoleClient
from support.server import ServerProcess
from support.waiting import wait_until

import lutra
from lutra.index.lsm.storage import prefix_of
from lutra.instance.stopped import StoppedDirectory
from lutra.model.indexes import FieldSchema, FieldType

if TYPE_CHECKING:
    from playwright.sync_api import Page

DIMENSION = 160
ROWS = 2_000
INDEX = "/status/i/test/t/waters/search"


@pytest.fixture(scope="module")
def console_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Table ``waters`` with a segment with codes, of which some rows are deleted, and a few requests for it."""
    data = tmp_path_factory.mktemp("status") / "data"
    rng = np.random.default_rng(0)
    with lutra.connect(data, instance="test") as db:
        waters = db.create_table("waters", key={"id": int}, fields={"n": int, "place": lutra.Vector(DIMENSION)})
        waters.put_many({"id": n, "n": n, "place": rng.standard_normal(DIMENSION)} for n in range(ROWS))
        db._open().wait_searchable("waters", "search", 60)
        (feed,) = db._engine.partition.feeder._feeds
        feed.index.flush()
        feed.index.compact()
        waters.delete(7)
        db._open().wait_searchable("waters", "search", 60)
        feed.index.flush()
        db.create_table("lakes", key={"id": int}, fields={"n": int}).put({"id": 1, "n": 2})
        db._open().wait_searchable("lakes", "search", 60)
    _begin_generation_that_cannot_be_filled(data)
    with ServerProcess(data) as server:
        yield server


def _begin_generation_that_cannot_be_filled(data: Path) -> None:
    """Of the index of ``lakes``: a file is where its objects would be."""
    with StoppedDirectory(data, is_to_be_mended=True) as directory:
        of = directory.indexes.get("test", "lakes", "search")
        kept = [field for field in of.schema.fields if field.name != "n"]
        schema = replace(of.schema, fields=(*kept, FieldSchema("word", FieldType.KEYWORD)))
        begun = directory.indexes.begin_generation(of, schema)
        assert begun.next is not None
        in_the_way = data / "objects" / prefix_of(begun.next)
        in_the_way.parent.mkdir(parents=True, exist_ok=True)
        in_the_way.write_bytes(b"")


def requests(server: ServerProcess) -> None:
    client = server.client()
    for n in range(20):
        client.get_row("waters", [("id", n)])


def test_the_status_tells_of_the_node_and_its_indexes(console: ConsoleClient, console_server: ServerProcess) -> None:
    told = console.get("/status")
    assert told.status == 200
    assert f"{lutra.__version__}" in told.text
    assert console_server.endpoint in told.text
    assert str(console_server.data_dir) not in told.text
    assert f"/console{INDEX}" in told.html
    assert f"{ROWS - 1:,}" in told.text


def test_history_is_told_by_stretches(console: ConsoleClient, console_server: ServerProcess) -> None:
    requests(console_server)

    def is_counted() -> bool:
        told = console.get("/status/history", as_json=True).json()
        charts = {chart["key"]: chart for chart in told["charts"]}
        return "GetRow" in [line["label"] for line in charts["requests"]["lines"]]

    wait_until(is_counted)
    told = console.get("/status/history?operation=GetRow", as_json=True).json()
    charts = {chart["key"]: chart for chart in told["charts"]}
    for chart in told["charts"]:
        assert all(len(line["values"]) == len(told["times"]) for line in chart["lines"])
        assert len(chart["summary"]) == len(chart["lines"])
    assert [line["label"] for line in charts["latency"]["lines"]] == ["50 %", "95 %", "99 %"]
    assert max(value or 0 for value in charts["memory"]["lines"][-1]["values"]) > 1e7
    last = told["times"][-1]
    since = console.get(f"/status/history?since={last - 0.05}", as_json=True).json()
    assert since["times"][0] == pytest.approx(last, abs=0.2)
    nothing = console.get("/status/history?since=99999999999", as_json=True).json()
    assert nothing["times"] == []
    assert console.get("/status/history?range=day", as_json=True).json()["times"]
    assert console.get("/status/history?since=x", as_json=True).status == 400
    assert console.get("/status/history?range=year&operation=%3Cscript%3E", as_json=True).status == 200
    assert "GetRow" in console.get("/status").text


def test_an_index_is_told_segment_by_segment(console: ConsoleClient) -> None:
    told = console.get(INDEX)
    assert told.status == 200
    assert "<td>codes" in told.html
    assert "1 (0.1 %)" in told.text, "one row is deleted"
    assert told.text.count("<code>") >= 1
    history = console.get(f"{INDEX}/history", as_json=True).json()
    assert [chart["key"] for chart in history["charts"]] == ["rows", "lag_ms", "segments", "bytes", "builds"]
    assert {line["values"][-1] for chart in history["charts"][:1] for line in chart["lines"]} == {ROWS - 1}


@pytest.mark.parametrize(
    "path", ["/status/i/test/t/waters/absent", "/status/i/test/t/absent/search", "/status/i/x/t/y/z"]
)
def test_of_what_is_not_there_nothing_is_told(console: ConsoleClient, path: str) -> None:
    assert console.get(path).status == 404
    assert console.get(f"{path}/history", as_json=True).status == 404


def test_a_generation_that_is_being_filled_is_shown(console: ConsoleClient) -> None:
    assert "new generation: 0 %" in console.get("/status").text
    told = console.get("/status/i/test/t/lakes/search").text
    assert told.index("What answers searches") < told.index("Being filled to take its place")
    assert "New or changed fields: word" in told
    assert "Fields that go or change: n" in told
    assert "0 rows so far, about 0 %" in told

    def is_told() -> bool:
        return (
            "NotADirectory" in (text := console.get("/status/i/test/t/lakes/search").text) or "Not a directory" in text
        )

    wait_until(is_told)


def test_charts_are_drawn_and_have_their_figures_in_tables(browser_page: Page, console_server: ServerProcess) -> None:
    page = browser_page
    requests(console_server)
    page.goto("/console/status")
    page.wait_for_selector("#status-charts[data-is-drawn]")
    page.wait_for_selector("[data-chart=memory] canvas")
    assert_accessible(page)
    memory = page.locator("[data-chart=memory]")
    memory.get_by_text("Figures").click()
    assert memory.locator("details tbody th").all_inner_texts()[-1] == "whole process"
    page.wait_for_selector("[data-chart=requests] details tbody th:text-is('GetRow')", state="attached")
    page.locator(f"a[href$='{INDEX}']").click()
    page.wait_for_selector("#status-charts[data-is-drawn]")
    assert page.get_by_role("heading", level=1).inner_text() == "search"
    assert page.get_by_role("row").filter(has_text="codes").count() == 1
    assert_accessible(page)
    page.get_by_role("link", name="Last day").click()
    page.wait_for_selector("#status-charts[data-is-drawn]")
    assert "range=day" in page.url
