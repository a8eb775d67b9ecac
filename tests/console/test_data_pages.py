"""The pages of a table's rows, over HTTP to a real server; the rows come through the pages, too."""

from __future__ import annotations

import base64
import http.client
import io
import json
import re
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pyarrow.parquet as pq
import pytest
import tablestore as ots
from support.console_client import Answer, ConsoleClient
from support.console_forms import imported, inputs
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess
from support.waiting import wait_until

TABLE = "/i/test/t/people"
SCRIPT = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def people(console_server: ServerProcess) -> None:
    """500 of them, the first with a script for a name."""
    console = ConsoleClient(console_server.endpoint)
    console.sign_in()
    lines = ["id,name,year,bio"]
    for number in range(500):
        name = SCRIPT if number == 0 else f"Person {number}"
        lines.append(f'p{number:03},{name},{1900 + number % 100},"of {name}, {"long " * 60}"')
    imported(console, "people.csv", "\n".join(lines).encode())


def rows_of(page: Answer) -> list[str]:
    """The keys of the rows on a page."""
    return re.findall(r'aria-label="Select row ([^"]*)"', page.html)


def link(page: Answer, relation: str) -> str | None:
    found = re.search(rf'rel="{relation}" href="([^"]*)"', page.html)
    return None if found is None else found[1].replace("&amp;", "&")


@pytest.mark.usefixtures("people")
class TestGrid:
    def test_rows_come_by_key_there_and_back(self, console: ConsoleClient) -> None:
        page = console.get(f"{TABLE}/data?rows=100")
        expected = [f"p{number:03}" for number in range(500)]
        assert rows_of(page) == expected[:100]
        assert link(page, "prev") is None
        seen = rows_of(page)
        while (address := link(page, "next")) is not None:
            page = console.get(address)
            seen += rows_of(page)
        assert seen == expected
        seen = rows_of(page)
        while (address := link(page, "prev")) is not None:
            page = console.get(address)
            seen = rows_of(page) + seen
        assert seen == expected
        assert rows_of(console.get(f"{TABLE}/data?place=last&rows=25")) == expected[-25:]

    def test_a_script_in_a_value_is_text(self, console: ConsoleClient) -> None:
        page = console.get(f"{TABLE}/data?rows=25")
        assert SCRIPT not in page.html
        assert SCRIPT in page.text
        row = console.get(f"{TABLE}/data/row?key={quote(json.dumps(['p000']))}")
        assert SCRIPT not in row.html
        assert SCRIPT in row.text

    def test_a_filter_a_beginning_and_a_jump(self, console: ConsoleClient) -> None:
        page = console.get(f"{TABLE}/data?{urlencode({'where': 'year = 1907'})}")
        assert rows_of(page) == ["p007", "p107", "p207", "p307", "p407"]
        page = console.get(f"{TABLE}/data?{urlencode({'where': 'year = 1907', 'prefix': 'p3'})}")
        assert rows_of(page) == ["p307"]
        page = console.get(f"{TABLE}/data?{urlencode({'prefix': 'p49', 'rows': '25'})}")
        assert rows_of(page) == [f"p49{number}" for number in range(10)]
        page = console.get(f"{TABLE}/data?start-0=p4985&rows=25")
        assert rows_of(page) == ["p499"]
        assert console.get(f"{TABLE}/data?start-0=zzz").status == 200

    @pytest.mark.parametrize(
        ("query", "told"),
        [
            ({"where": "year = soon"}, "'soon' is no value for column 'year'"),
            ({"where": "yera = 1"}, "did you mean"),
            ({"where": "year ="}, "expected a value"),
            ({"from": "[1, 2]"}, "a key has 1 values"),
            ({"from": "{"}, "is no key"),
        ],
    )
    def test_what_was_typed_wrongly_is_told(self, console: ConsoleClient, query: dict[str, str], told: str) -> None:
        page = console.get(f"{TABLE}/data?{urlencode(query)}")
        assert page.status == 400
        assert told in page.text
        assert 'role="alert"' in page.html

    def test_columns_are_chosen(self, console: ConsoleClient) -> None:
        page = console.get(f"{TABLE}/data?column=year&rows=25")
        assert "<bdi>year</bdi></th>" in page.html
        assert "<bdi>bio</bdi></th>" not in page.html

    def test_a_long_value_is_cut_and_unfolds(self, console: ConsoleClient) -> None:
        page = console.get(f"{TABLE}/data?rows=25")
        assert "long " * 50 not in page.text
        address = re.search(r'data-unfolds="([^"]*)"', page.html)
        assert address is not None
        told = console.get(address[1].replace("&amp;", "&"), as_json=True).json()
        assert told == {"text": f"of {SCRIPT}, {'long ' * 60}", "is_cut": False}
        sent = console.get(address[1].replace("&amp;", "&") + "&as=file")
        assert sent.headers["content-disposition"].startswith("attachment;")
        assert sent.headers["content-type"] == "application/octet-stream"
        assert sent.headers["x-content-type-options"] == "nosniff"

    def test_a_picture_is_shown_and_other_bytes_are_sizes(self, console: ConsoleClient) -> None:
        png = b"\x89PNG\r\n\x1a\n" + b"\x00" * 40
        rows = [{"id": "a", "raw": base64.b64encode(png).decode()}, {"id": "b", "raw": "AAEC"}]
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        imported(console, "pictures.jsonl", content, **{"name-1": "raw", "type-1": "bytes"})
        grid = console.get("/i/test/t/pictures/data")
        assert '<span class="measure">48 B</span>' in grid.html
        assert '<span class="measure">3 B</span>' in grid.html
        page = console.get(f"/i/test/t/pictures/data/row?key={quote(json.dumps(['a']))}")
        address = re.search(r'<img class="picture" src="([^"]*)"', page.html)
        assert address is not None
        shown = console.get(address[1].replace("&amp;", "&"))
        assert (shown.headers["content-type"], shown.body) == ("image/png", png)
        assert 'class="picture"' not in console.get(f"/i/test/t/pictures/data/row?key={quote(json.dumps(['b']))}").html

    def test_no_such_table_row_or_column(self, console: ConsoleClient) -> None:
        assert console.get("/i/test/t/nowhere/data").status == 404
        assert console.get("/i/nowhere/t/people/data").status == 404
        assert console.get(f"{TABLE}/data/row?key=%5B%22nobody%22%5D").status == 404
        assert console.get(f"{TABLE}/data/row?key=x").status == 404
        assert console.get(f"{TABLE}/data/value?key=%5B%22p001%22%5D&column=x").status == 404


@pytest.mark.usefixtures("people")
class TestExport:
    @pytest.mark.parametrize("format_", ["csv", "jsonl", "parquet"])
    def test_an_export_has_the_rows(self, console: ConsoleClient, format_: str) -> None:
        sent = console.get(f"{TABLE}/export?format={format_}&prefix=p1")
        assert sent.status == 200
        assert f'filename="people.{format_}"' in sent.headers["content-disposition"]
        if format_ == "parquet":
            rows = pq.read_table(io.BytesIO(sent.body)).to_pylist()
        elif format_ == "jsonl":
            rows = [json.loads(line) for line in sent.body.splitlines()]
        else:
            import csv

            rows = list(csv.DictReader(io.StringIO(sent.body.decode())))
        assert [row["id"] for row in rows] == [f"p1{number:02}" for number in range(100)]
        assert [int(row["year"]) for row in rows] == [1900 + number % 100 for number in range(100)]

    def test_filtered_rows_and_some_columns(self, console: ConsoleClient) -> None:
        query = urlencode({"format": "csv", "where": "year = 1907", "column": "year"})
        assert console.get(f"{TABLE}/export?{query}").text == "id,year\n" + "".join(f"p{n}07,1907\n" for n in range(5))

    def test_exports_that_nobody_waits_for_make_room(self, console: ConsoleClient) -> None:
        address = urlsplit(console.endpoint)
        cookies = "; ".join(f"{name}={value}" for name, value in console.cookies.items())
        for _ in range(8):
            connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
            connection.request("GET", f"/console{TABLE}/export?format=jsonl", headers={"cookie": cookies})
            connection.close()
        wait_until(lambda: console.get(f"{TABLE}/export?format=jsonl").status == 200)
        for _ in range(6):
            assert console.get(f"{TABLE}/export?format=jsonl").status == 200

    def test_all_rows_and_what_cannot_be(self, console: ConsoleClient) -> None:
        assert console.get(f"{TABLE}/export?format=jsonl").body.count(b"\n") == 500
        assert console.get(f"{TABLE}/export?format=xlsx").status == 400
        assert console.get(f"{TABLE}/export?format=csv&where=x").status == 400


@pytest.mark.usefixtures("people")
class TestRows:
    def row(self, console: ConsoleClient, key: str) -> tuple[str, dict[str, str]]:
        address = f"{TABLE}/data/row?key={quote(json.dumps([key]))}"
        page = console.get(address)
        assert page.status == 200
        form = inputs(page.html)
        form.pop("key", None)
        return address, form

    def value(self, console: ConsoleClient, key: str, column: str) -> Any:
        found = console.get(f"{TABLE}/data/value?{urlencode({'key': json.dumps([key]), 'column': column})}")
        return found.json()["text"] if found.status == 200 else None

    def test_a_row_is_edited(self, console: ConsoleClient) -> None:
        address, form = self.row(console, "p010")
        number = next(name[-1] for name, value in form.items() if name.startswith("name-") and value == "name")
        saved = console.post(address, {**form, f"value-{number}": "Ann\r\n& <b>Bo</b>"})
        assert saved.status == 303
        assert self.value(console, "p010", "name") == "Ann\n& <b>Bo</b>"
        assert self.value(console, "p010", "year") == "1910"

    def test_what_is_wrong_is_told_at_the_column_and_nothing_is_written(self, console: ConsoleClient) -> None:
        address, form = self.row(console, "p011")
        number = next(name[-1] for name, value in form.items() if name.startswith("name-") and value == "year")
        answer = console.post(address, {**form, f"value-{number}": "soon"})
        assert answer.status == 400
        assert f'aria-describedby="problem-{number}"' in answer.html
        assert "'soon'" in answer.text
        assert self.value(console, "p011", "year") == "1911"

    def test_a_conflict_is_refused_and_saved_when_it_is_meant(self, console: ConsoleClient) -> None:
        address, mine = self.row(console, "p012")
        _, theirs = self.row(console, "p012")
        numbers = {value: name[5:] for name, value in mine.items() if name.startswith("name-")}
        saved = console.post(address, {**theirs, f"value-{numbers['year']}": "2001"})
        assert saved.status == 303
        refused = console.post(address, {**mine, f"value-{numbers['name']}": "mine"})
        assert refused.status == 409
        assert "Somebody changed this row meanwhile" in refused.text
        assert "2001" in refused.text
        assert self.value(console, "p012", "name") == "Person 12"
        again = inputs(refused.html)
        assert again[f"value-{numbers['name']}"] == "mine"
        assert again[f"value-{numbers['year']}"] == "2001", "what the others wrote stays, where nobody typed"
        again.pop("key", None)
        assert console.post(address, again).status == 303
        assert (self.value(console, "p012", "name"), self.value(console, "p012", "year")) == ("mine", "2001")

    def test_a_row_that_is_gone(self, console: ConsoleClient) -> None:
        address, form = self.row(console, "p013")
        console.post(f"{TABLE}/data/delete", {"key": '["p013"]', "confirmed": "yes"})
        refused = console.post(address, form)
        assert refused.status == 409
        assert "deleted this row meanwhile" in refused.text

    def test_rows_are_inserted(self, console: ConsoleClient) -> None:
        form = inputs(console.get(f"{TABLE}/data/new").html)
        numbers = {value: name[5:] for name, value in form.items() if name.startswith("name-")}
        form |= {"key-0": "x1", f"value-{numbers['year']}": "2024"}
        inserted = console.post(f"{TABLE}/data/new", form)
        assert inserted.status == 303
        assert parse_qs(urlsplit(inserted.headers["location"]).query)["key"] == ['["x1"]']
        assert self.value(console, "x1", "year") == "2024"
        assert self.value(console, "x1", "name") is None
        again = console.post(f"{TABLE}/data/new", form)
        assert again.status == 400
        assert "There is a row of this key already." in again.text
        wrong = console.post(f"{TABLE}/data/new", {**form, "key-0": "x2", f"value-{numbers['year']}": "soon"})
        assert wrong.status == 400
        console.post(f"{TABLE}/data/delete", {"key": '["x1"]', "confirmed": "yes"})

    def test_several_are_deleted_once_that_is_said(self, console: ConsoleClient) -> None:
        keys = [("key", '["p020"]'), ("key", '["p021"]')]
        page = console.post(f"{TABLE}/data/delete", [*keys, ("back", f"/console{TABLE}/data?rows=25")])
        assert "Delete 2 rows?" in page.text
        assert self.value(console, "p020", "year") == "1920"
        form = [*keys, ("confirmed", "yes"), ("back", f"/console{TABLE}/data?rows=25")]
        deleted = console.post(f"{TABLE}/data/delete", form)
        assert deleted.headers["location"] == f"/console{TABLE}/data?rows=25"
        assert self.value(console, "p020", "year") is None
        elsewhere = console.post(f"{TABLE}/data/delete", [("back", "https://example.org/")])
        assert elsewhere.headers["location"] == f"/console{TABLE}/data"

    def test_nothing_happens_without_the_token(self, console: ConsoleClient) -> None:
        forged = console.post(f"{TABLE}/data/delete", {"key": '["p030"]', "confirmed": "yes", "csrf_token": "x"})
        assert forged.status == 403
        assert self.value(console, "p030", "year") == "1930"


class TestTableOfAnSdk:
    """Made and filled by the official SDK: any column, several versions, keys of bytes and numbers."""

    @pytest.fixture
    def _events(self, console_server: ServerProcess) -> None:
        client = console_server.client()
        meta = ots.TableMeta("events", [("device", "BINARY"), ("number", "INTEGER")])
        client.create_table(meta, ots.TableOptions(-1, 3), ots.ReservedThroughput(ots.CapacityUnit(0, 0)))
        for number in range(3):
            key = [("device", bytearray(b"\x00\xffa")), ("number", number)]
            client.put_row("events", ots.Row(key, [("state", "new"), ("size", 10.5 + number), ("on", True)]))
            for state in ("old", "older"):
                client.update_row("events", ots.Row(key, {"PUT": [("state", state)]}), ots.Condition("IGNORE"))

    def read(self, server: ServerProcess, number: int) -> dict[str, Any]:
        key = [("device", bytearray(b"\x00\xffa")), ("number", number)]
        _, row, _ = server.client().get_row("events", key, max_version=1)
        return {name: value for name, value, _ in row.attribute_columns}

    @pytest.mark.usefixtures("_events")
    def test_its_rows_are_shown_edited_inserted_and_deleted(
        self, console: ConsoleClient, console_server: ServerProcess
    ) -> None:
        page = console.get("/i/test/t/events/data?prefix=00ff")
        assert rows_of(page) == ["00ff61, 0", "00ff61, 1", "00ff61, 2"]
        assert rows_of(console.get("/i/test/t/events/data?start-0=00ff61&start-1=2")) == ["00ff61, 2"]
        assert console.get("/i/test/t/events/data?prefix=xyz").status == 400
        found = re.search(r'<th scope="row"><a href="([^"]*)"', page.html)
        assert found is not None
        address = found[1].replace("&amp;", "&")
        row = console.get(address)
        form = inputs(row.html)
        token = form.pop("key")
        numbers = {value: name[5:] for name, value in form.items() if name.startswith("name-")}
        assert (form[f"type-{numbers['size']}"], form[f"value-{numbers['size']}"]) == ("double", "10.5")
        form |= {f"type-{numbers['size']}": "integer", f"value-{numbers['size']}": "7", f"remove-{numbers['on']}": "on"}
        blank = len(numbers)
        form |= {f"name-{blank}": "note", f"type-{blank}": "string", f"value-{blank}": "ok"}
        assert console.post(address, form).status == 303
        assert self.read(console_server, 0) == {"note": "ok", "size": 7, "state": "older"}
        new = {"key-0": "00 ff 61", "key-1": "9", "name-0": "state", "type-0": "string", "value-0": "made"}
        assert console.post("/i/test/t/events/data/new", new).status == 303
        assert self.read(console_server, 9) == {"state": "made"}
        assert console.post("/i/test/t/events/data/delete", {"key": token, "confirmed": "yes"}).status == 303
        assert rows_of(console.get("/i/test/t/events/data")) == ["00ff61, 1", "00ff61, 2", "00ff61, 9"]


def test_an_export_that_cannot_be_is_told_by_a_page(console: ConsoleClient, console_server: ServerProcess) -> None:
    """Rows of an SDK can hold what their field does not take: no file begins that has no end."""
    client = ots.OTSClient(console_server.endpoint, ACCESS_KEY_ID, ACCESS_KEY_SECRET, "test")
    options, none = ots.TableOptions(), ots.ReservedThroughput(ots.CapacityUnit(0, 0))
    client.create_table(ots.TableMeta("places", [("id", "STRING")]), options, none)
    place = ots.FieldSchema("at", ots.FieldType.GEOPOINT)
    client.create_search_index("places", "found", ots.SearchIndexMeta([place]))
    client.put_row("places", ots.Row([("id", "a")], [("at", "nowhere")]), ots.Condition("IGNORE"))
    for _ in range(6):  # more often than there is room at one time
        answer = console.get("/i/test/t/places/export?format=parquet")
        assert answer.status == 400, answer.text
        assert "column 'at' holds values that no one Arrow type takes" in answer.text
    assert console.get("/i/test/t/places/export?format=csv").body == b"id,at\na,nowhere\n"


def test_pages_of_a_table_are_told_apart_by_their_titles(console: ConsoleClient) -> None:
    """A screen reader, a list of tabs and a bookmark have nothing else."""
    imported(console, "titled.csv", b"id,n\na,1\n")
    pages = ("", "/data", "/search", "/import", "/map", "/indexes")
    titles = [re.findall("<title>(.*)</title>", console.get(f"/i/test/t/titled{page}").html)[0] for page in pages]
    names = ("Overview", "Data", "Search", "Import", "Map", "Indexes")
    assert titles == [f"{name} · titled · Lutra" for name in names]
