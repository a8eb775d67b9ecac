"""The map of a vector field, by HTTP and in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import numpy as np
import pytest
import tablestore as ots
from support.browser import assert_accessible
from support.console_client import ConsoleClient
from support.sdk import IGNORE
from support.searching import field, vector_field
from support.server import ServerProcess
from support.waiting import wait_until

import lutra

if TYPE_CHECKING:
    from playwright.sync_api import Page

DIMENSION = 8
ROWS = 300
KINDS = ("river", "lake", "sea")
HOSTILE = "<img src=x onerror=alert(1)>"


def vector(n: int) -> list[float]:
    """Of row n: three clusters, and all different."""
    rng = np.random.default_rng(n)
    centre = 6 * np.eye(DIMENSION)[n % 3]
    return [float(one) for one in centre + rng.standard_normal(DIMENSION)]


@pytest.fixture(scope="module")
def console_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Table ``waters`` of three hundred rows, a table without vectors, and one that an SDK made."""
    data = tmp_path_factory.mktemp("maps") / "data"
    with lutra.connect(data, instance="test") as db:
        fields = {"kind": str, "depth": float, "wide": bool, "place": lutra.Vector(DIMENSION, "euclidean")}
        waters = db.create_table("waters", key={"id": int}, fields=fields)
        waters.put_many(
            {"id": n, "kind": KINDS[n % 3] if n else HOSTILE, "depth": n / 2, "wide": n % 2 == 0, "place": vector(n)}
            for n in range(ROWS)
        )
        waters.put({"id": ROWS, "kind": "nowhere"})
        db.create_table("plain", key={"id": int}, fields={"n": int}).put({"id": 1, "n": 2})
    with ServerProcess(data) as server:
        client = server.client()
        meta = ots.TableMeta("theirs", [("a", "STRING"), ("b", "INTEGER")])
        client.create_table(meta, ots.TableOptions(), ots.ReservedThroughput(ots.CapacityUnit(0, 0)))
        of_vectors = vector_field("v", DIMENSION, ots.VectorMetricType.VM_COSINE)
        schema = ots.SearchIndexMeta([field("word", ots.FieldType.KEYWORD), of_vectors])
        client.create_search_index("theirs", "theirs_index", schema)
        for n in range(20):
            row = ots.Row([("a", f"k{n}"), ("b", 2**60 + n)], [("word", KINDS[n % 3]), ("v", json.dumps(vector(n)))])
            client.put_row("theirs", row, IGNORE)
        yield server


def points(console: ConsoleClient, table: str = "waters", **asked: object) -> dict[str, object]:
    answer = console.get(f"/i/test/t/{table}/map/points?{urlencode({'field': 'place', **asked})}", as_json=True)
    assert answer.status == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def test_points_are_a_sample_of_the_rows_that_have_a_vector(console: ConsoleClient) -> None:
    told = points(console, colour="kind", rows=1_000)
    assert told["rows"] == ROWS
    assert sorted(map(json.loads, told["keys"])) == [[n] for n in range(ROWS)]  # type: ignore[call-overload]
    assert told["colour"] == {
        "field": "kind",
        "kind": "categories",
        "names": ["lake", "sea", "river", HOSTILE],
        "counts": [100, 100, 99, 1],
        "other": 0,
        "missing": 0,
    }
    assert [one["value"] for one in told["clusters"]]  # type: ignore[attr-defined]


def test_a_filter_leaves_out_rows(console: ConsoleClient) -> None:
    told = points(console, where="kind = lake and depth >= 50")
    assert (told["rows"], told["colour"]) == (67, None)
    answer = console.get("/i/test/t/waters/map/points?field=place&where=kind+%3D", as_json=True)
    assert (answer.status, answer.json()["code"]) == (400, "OTSParameterInvalid")
    assert "filter" in answer.json()["message"]


@pytest.mark.parametrize("path", ["points?field=kind", "points?field=absent", "points", "neighbours?field=absent"])
def test_what_is_no_vector_field_has_no_map(console: ConsoleClient, path: str) -> None:
    assert console.get(f"/i/test/t/waters/map/{path}", as_json=True).status == 404


def test_what_cannot_be_a_colour_is_refused(console: ConsoleClient) -> None:
    answer = console.get("/i/test/t/waters/map/points?field=place&colour=place", as_json=True)
    assert (answer.status, answer.json()["code"]) == (400, "OTSParameterInvalid")


def test_neighbours_are_the_true_ones(console: ConsoleClient) -> None:
    frame = points(console)["frame"]
    asked = {"field": "place", "frame": frame, "key": "[7]"}
    told = console.get(f"/i/test/t/waters/map/neighbours?{urlencode(asked)}", as_json=True).json()
    assert (told["row"]["key"], told["row"]["columns"][0]) == ("[7]", ["kind", "lake"])
    vectors = np.array([vector(n) for n in range(ROWS)], np.float32)
    order = np.argsort(np.square(vectors - vectors[7]).sum(axis=1))
    assert [json.loads(one["key"])[0] for one in told["neighbours"]] == order[1:11].tolist()
    assert all(len(one["place"]) == 2 for one in told["neighbours"])


@pytest.mark.parametrize(
    ("key", "frame", "status"),
    [("[7]", "absent", 404), ("[9999]", None, 404), (f"[{ROWS}]", None, 400), ("nonsense", None, 400)],
)
def test_neighbours_of_nothing_are_refused(console: ConsoleClient, key: str, frame: str | None, status: int) -> None:
    known = points(console)["frame"]
    asked = {"field": "place", "frame": frame or known, "key": key}
    assert console.get(f"/i/test/t/waters/map/neighbours?{urlencode(asked)}", as_json=True).status == status


def test_a_table_without_vectors_says_so(console: ConsoleClient) -> None:
    answer = console.get("/i/test/t/plain/map")
    assert answer.status == 200
    assert "no search index with a vector field" in answer.text


def test_a_table_that_an_sdk_made_has_a_map_too(console: ConsoleClient) -> None:
    def is_there() -> bool:
        return len(points(console, "theirs", field="v")["keys"]) == 20  # type: ignore[arg-type]

    wait_until(is_there)
    told = points(console, "theirs", field="v", colour="word")
    asked = {"field": "v", "frame": told["frame"], "key": json.dumps(["k3", 2**60 + 3])}
    found = console.get(f"/i/test/t/theirs/map/neighbours?{urlencode(asked)}", as_json=True).json()
    assert found["row"]["label"] == f"k3, {2**60 + 3}"
    assert len(found["neighbours"]) == 10


def test_a_point_shows_its_row_and_neighbours(browser_page: Page) -> None:
    page = browser_page
    page.goto("/console/i/test/t/waters/map")
    page.wait_for_selector("#map[data-is-drawn]")
    assert page.get_by_label("Colour by").input_value() == "kind", "a field of names, of those that are no key"
    assert "300 of 300 rows" in page.locator("#map-status").inner_text()
    assert page.locator(".map-legend .name").all_inner_texts() == ["lake", "sea", "river", HOSTILE]
    assert page.locator("#map-clusters tbody tr").count() >= 3
    assert_accessible(page)

    at = page.evaluate(
        """async () => {
          const canvas = document.getElementById("map-canvas"), box = canvas.getBoundingClientRect();
          const pen = canvas.getContext("2d"), ratio = devicePixelRatio;
          const { data, width } = pen.getImageData(0, 0, canvas.width, canvas.height);
          for (let at = 3; at < data.length; at += 4)
            if (data[at] > 150) {
              const pixel = (at - 3) / 4;
              return [box.x + (pixel % width) / ratio, box.y + Math.floor(pixel / width) / ratio];
            }
        }"""
    )
    page.mouse.click(*at)
    page.wait_for_selector(".map-neighbours li")
    assert page.locator(".map-neighbours li").count() == 10
    key = page.locator("#map-row p a").first
    assert f"key=%5B{key.inner_text()}%5D" in (key.get_attribute("href") or "")
    assert_accessible(page)
    assert page.locator("#map-said").inner_text().startswith(f"Row {key.inner_text()}. Nearest: ")
    before = page.locator("#map-row p a").first.inner_text()
    page.locator("#map-canvas").focus()
    page.keyboard.press("ArrowDown")
    page.locator("#map-row p a").filter(has_not_text=re.compile(f"^{before}$")).first.wait_for()
    page.keyboard.press("Escape")
    assert page.locator(".map-neighbours").count() == 0


def test_a_row_that_a_page_leads_from_is_chosen(browser_page: Page) -> None:
    page = browser_page
    page.goto("/console/i/test/t/waters/map?field=place&key=%5B7%5D&rows=1000")
    page.wait_for_selector(".map-neighbours li")
    assert page.locator("#map-row p a").first.inner_text() == "7"


def test_colours_by_a_number_and_in_the_dark(browser_page: Page) -> None:
    page = browser_page
    page.goto("/console/i/test/t/waters/map?where=kind+%3D+lake")
    page.wait_for_selector("#map[data-is-drawn]")
    page.get_by_label("Colour by").select_option("depth")
    page.wait_for_selector(".map-scale")
    assert "colour=depth" in page.url
    assert "where=kind" in page.url
    page.get_by_label("Colours", exact=True).select_option("dark")
    page.wait_for_selector("html[data-theme=dark]")
    page.wait_for_selector(".map-scale")
    assert "100 of 100 rows" in page.locator("#map-status").inner_text()
    ends = [float(one) for one in page.locator(".map-ends span").all_inner_texts()]
    assert 0 < ends[0] < ends[1] < ROWS / 2
    assert_accessible(page)
    page.get_by_label("Only rows where").fill("kind =")
    page.get_by_role("button", name="Draw").click()
    page.wait_for_selector("#map-problem:not([hidden])")
    assert "filter" in page.locator("#map-problem").inner_text()
