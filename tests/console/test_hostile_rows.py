"""What rows, names and addresses hold is text on every page: nothing of it is markup, a link or a script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import quote, urlencode, urljoin, urlsplit

import pytest
import tablestore as ots
from playwright.sync_api import Page
from support.console_client import ConsoleClient
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess

VALUE = (
    """<img src=x onerror="window.broken=1">'"`${window.broken=2}</script><script>window.broken=3</script>"""
    """{{7*7}}&lt;b&gt;\\u0022\x00\n</textarea></option></title>"""
)
COLUMN = """"><svg/onload=window.broken=4>'`${1}</script>\\u0022;*/--\n//"""
PICTURES = {"png": b"\x89PNG\r\n\x1a\n<script>window.broken=5</script>", "svg": b"<svg onload='window.broken=6'/>"}
TABLE = "/console/i/test/t/hostile"
PAGES_MAX = 150


@pytest.fixture(scope="module")
def console_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("hostile") / "data") as server:
        client = ots.OTSClient(server.endpoint, ACCESS_KEY_ID, ACCESS_KEY_SECRET, "test")
        meta = ots.TableMeta("hostile", [("pk", "STRING"), ("b", "BINARY")])
        client.create_table(meta, ots.TableOptions(), ots.ReservedThroughput(ots.CapacityUnit(0, 0)))
        vector = ots.VectorOptions(
            data_type=ots.VectorDataType.VD_FLOAT_32, dimension=2, metric_type=ots.VectorMetricType.VM_EUCLIDEAN
        )
        fields = [
            ots.FieldSchema(COLUMN, ots.FieldType.KEYWORD, index=True, enable_sort_and_agg=True),
            ots.FieldSchema("text", ots.FieldType.TEXT, index=True),
            ots.FieldSchema("at", ots.FieldType.GEOPOINT, index=True),
            ots.FieldSchema("v", ots.FieldType.VECTOR, vector_options=vector),
        ]
        client.create_search_index("hostile", "found", ots.SearchIndexMeta(fields))
        for number, value in enumerate(
            [VALUE, "", " ", "=cmd|x", "a" * 5_000, "../../etc/passwd", "javascript:alert(1)"]
        ):
            columns = [
                (COLUMN, value),
                ("text", f"{value} word"),
                ("at", ["1,2", "90,180", "nowhere"][number % 3]),
                ("v", json.dumps([number, 1e30]) if number != 4 else "no vector"),
                ("c" * 250, value),
                *((name, bytearray(content)) for name, content in PICTURES.items()),
            ]
            key = [("pk", value[:200] or "-"), ("b", bytearray([0, 255, number]))]
            client.put_row("hostile", ots.Row(key, columns), ots.Condition("IGNORE"))
        yield server


def searched(spec: object, **query: str) -> str:
    return f"{TABLE}/search?{urlencode({'s': json.dumps(spec), **query})}"


def beginnings() -> list[str]:
    """Addresses with the same in them."""
    said = quote(VALUE, safe="")
    grouped = [{"kind": "values", "field": COLUMN}]
    return [
        "/console/",
        "/console/status",
        searched({"words": {"text": "word"}}, code="1"),
        searched({"words": {"text": VALUE}, "view": "grid", "aggregations": grouped}, code="1"),
        searched({"near": {"field": "v", "by": "vector", "vector": "[1, 2]"}, "explain": True}, code="1"),
        searched({"where": {"field": COLUMN, "op": "equals", "value": VALUE}}, code="1"),
        searched({VALUE: VALUE}),
        f"{TABLE}/search?s={said}",
        f"{TABLE}/data?where={said}&prefix={said}&column={said}&start-0={said}",
        f"{TABLE}/map?field={said}&colour={said}&where={said}&key={said}",
        f"{TABLE}/map/points?field=v&colour={quote(COLUMN, safe='')}",
        f"{TABLE}/data/row?key={said}",
        f"{TABLE}?index={said}",
        f"/console/i/{said}",
        f"/console/i/test/t/{said}",
        f"/console/jobs/{said}",
        f"/console/status?range={said}&operation={said}",
        f"/console/i/test/import?table={said}",
        f"/console/{said}",
        f"{TABLE}/export?format=csv",
        f"{TABLE}/export?format=jsonl",
    ]


class Found(HTMLParser):
    """The links of a page, and what could run."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if any(name.startswith("on") or name in ("style", "srcdoc", "/onload") for name in given):
            self.wrong.append(f"{tag} {given}")
        if tag == "script" and not given.get("src") and given.get("type") != "application/json":
            self.wrong.append(f"{tag} {given}")
        if tag in ("svg", "iframe", "object", "embed", "base", "meta") and ("x" in given or "http-equiv" in given):
            self.wrong.append(f"{tag} {given}")
        for name in ("href", "src", "action", "formaction"):
            if name in given:
                self.links.append(given[name])


def test_no_page_takes_a_value_for_markup(console: ConsoleClient) -> None:
    console.cookies["lutra_notice"] = quote(VALUE)
    waiting, seen, pages = beginnings(), set[str](), 0
    while waiting and len(seen) < PAGES_MAX:
        address = waiting.pop(0)
        if address in seen:
            continue
        seen.add(address)
        answer = console.get(address)
        assert answer.status < 500, (address, answer.text)
        if answer.status == 405:  # of a form, which is sent there
            continue
        assert answer.headers["x-content-type-options"] == "nosniff", address
        kind = answer.headers["content-type"]
        if kind.startswith("image/"):
            assert "sandbox" in answer.headers["content-security-policy"], address
        if not kind.startswith("text/html"):
            assert kind.startswith(("application/", "image/png", "text/csv")), (address, kind)
            continue
        pages += 1
        assert "script-src 'self';" in answer.headers["content-security-policy"]
        found = Found()
        found.feed(answer.html)
        assert found.wrong == [], address
        for link in found.links:
            to = urlsplit(urljoin(console.endpoint + address, link))
            assert (to.scheme, to.netloc) == ("http", urlsplit(console.endpoint).netloc), (address, link)
            if "/static/" not in to.path:
                waiting.append(f"{to.path}?{to.query}" if to.query else to.path)
    assert pages > 60


def test_no_script_of_a_row_runs(browser_page: Page, console_server: ServerProcess) -> None:
    row = quote(json.dumps([VALUE[:200], {"base64": "AP8A"}]), safe="")
    shown = [
        *beginnings()[2:10],
        TABLE,
        f"{TABLE}/data",
        f"{TABLE}/data/row?key={row}",
        f"{TABLE}/indexes/found",
        f"{TABLE}/map?colour={quote(COLUMN, safe='')}",
    ]
    complaints: list[str] = []
    browser_page.on("dialog", lambda dialog: (complaints.append("dialog"), dialog.dismiss()))
    for address in shown:
        browser_page.goto(address, wait_until="load")
        browser_page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        browser_page.wait_for_load_state("networkidle")
        assert browser_page.evaluate("window.broken === undefined"), address
        assert browser_page.locator("svg[onload], img[onerror]").count() == 0, address
    assert complaints == []


def test_files_of_rows_are_never_shown(console: ConsoleClient) -> None:
    key = json.dumps([VALUE[:200], {"base64": "AP8A"}])
    for column in (*PICTURES, COLUMN):
        answer = console.get(f"{TABLE}/data/value?{urlencode({'key': key, 'column': column, 'as': 'file'})}")
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/octet-stream"
        disposition = answer.headers["content-disposition"]
        assert disposition.startswith('attachment; filename="')
        assert not {"\n", "\r", "<", ">"} & set(disposition)
    picture = f"{TABLE}/search/picture?{urlencode({'key': key})}&column="
    assert console.get(picture + "svg").status == 404, "it is a document, not a picture"
    shown = console.get(picture + "png")
    assert (shown.status, shown.headers["content-type"], shown.body) == (200, "image/png", PICTURES["png"])
    assert "sandbox" in shown.headers["content-security-policy"]


def test_numbers_of_addresses_and_forms_have_an_end(console: ConsoleClient) -> None:
    for rows in ("9" * 5_000, "²", "-50", "٣"):
        for below in ("data", "export", "map", "map/points"):
            assert console.get(f"{TABLE}/{below}?{urlencode({'rows': rows, 'field': 'v'})}").status == 200
    plan = console.upload("/i/test/uploads?name=rows.csv", b"id,x\n1,2\n").json()["location"]
    assert console.post(plan, {"table": "t", "rejected_max": "9" * 5_000}).status == 400
    assert console.post(plan, {"discard": "1"}).status == 303


def test_what_is_too_much_is_told_and_no_failure(console: ConsoleClient, console_server: ServerProcess) -> None:
    plans = [console.upload("/i/test/uploads?name=rows.csv", b"id\n1\n").json()["location"] for _ in range(8)]
    answer = console.upload("/i/test/uploads?name=rows.csv", b"id\n1\n")
    assert (answer.status, answer.json()["code"]) == (503, "OTSServerBusy")
    assert "Traceback" not in console_server.log_path.read_text()
    for plan in plans:
        console.post(plan, {"discard": "1"})
