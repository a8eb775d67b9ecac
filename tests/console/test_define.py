"""Instances, tables and indexes by form, over HTTP: what is made is what was entered, and bad input changes nothing."""

from __future__ import annotations

import re
import time
from html import unescape
from typing import Any

import pytest
import tablestore as ots
from support import described
from support.asked_searches import shape
from support.code_samples import ENDING, SCHEMA, SORTED
from support.console_client import Answer, ConsoleClient
from support.define_forms import index_form, table_form
from support.sdk import load
from support.server import ServerProcess

from lutra.model.indexes import IndexSchema
from lutra.model.queries import FieldSort, PrimaryKeySort

BY_FORM = IndexSchema(SORTED.fields, (FieldSort("likes", descending=True), PrimaryKeySort()), SORTED.routing_fields)
PLAIN = IndexSchema(SCHEMA.fields[:2])


def told(answer: Answer) -> dict[str, str]:
    """What a page says is wrong, by the id of the input; "" of the form."""
    found = re.findall(r'<p class="problem" id="input-([^"]*)-problem">([^<]*)</p>', answer.html)
    form = re.findall(r'<div class="notice bad" role="alert"><p>([^<]*)</p>', answer.html)
    return {**({"": unescape(form[0])} if form else {}), **{name: unescape(text) for name, text in found}}


def tables(server: ServerProcess) -> list[str]:
    return sorted(server.client().list_table())


def wait_until(holds: Any) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_instance_is_made_and_its_name_checked(console: ConsoleClient) -> None:
    answer = console.post("/", {"name": "second"})
    assert (answer.status, answer.headers["location"]) == (303, "/console/i/second")
    assert "There are no tables yet." in console.get("/i/second").text
    for name, problem in (("second", "already"), ("a/b", "A name has 2 to 64"), ("", "A name has 2 to 64")):
        answer = console.post("/", {"name": name})
        assert answer.status == 400
        assert problem in re.findall(r'id="instance-problem" role="alert">([^<]*)<', answer.html)[0]
    assert re.findall(r'href="/console/i/(\w+)"', console.get("/").html) == ["second", "test"]


def test_a_table_is_made_as_entered(console: ConsoleClient, console_server: ServerProcess) -> None:
    form = table_form(
        "whole",
        key__1__name="number",
        key__1__type="AUTO_INCREMENT",
        defined__0__name="kind",
        defined__0__type="STRING",
        defined__3__name="likes",
        defined__3__type="INTEGER",
        secondary__0__name="by_kind",
        secondary__0__key="kind, id",
        secondary__0__columns="likes",
        secondary__0__kind="GLOBAL",
        ttl_days="",
        max_deviation_s="3600",
        stream_h="24",
    )
    answer = console.post("/i/test/new-table", form)
    assert (answer.status, answer.headers["location"]) == (303, "/console/i/test/t/whole")
    made = console_server.client().describe_table("whole")
    assert made.table_meta.schema_of_primary_key == [("id", "STRING"), ("number", "INTEGER", ots.PK_AUTO_INCR)]
    assert made.table_meta.defined_columns == [("kind", "STRING"), ("likes", "INTEGER")]
    assert (made.table_options.time_to_live, made.table_options.max_time_deviation) == (-1, 3_600)
    assert [(one.index_name, one.primary_key_names) for one in made.secondary_indexes] == [("by_kind", ["kind", "id"])]
    page = console.get("/i/test/t/whole").text
    assert "Table whole was created." in page
    assert "24 h kept" in page
    assert "AUTO_INCREMENT" in page


@pytest.mark.parametrize("schema", [SCHEMA, BY_FORM, ENDING], ids=["everything", "sorted", "ending"])
def test_an_index_of_every_kind_of_field_is_made_as_entered(
    schema: IndexSchema, console: ConsoleClient, console_server: ServerProcess, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id
    form = table_form(name, key__0__type="STRING") | index_form("by_form", schema, "index.") | {"index.with": ""}
    if schema is ENDING:
        form.pop("allow_update")
    answer = console.post("/i/test/new-table", {**form, "with_index": "on"})
    assert answer.status == 303, told(answer)
    made = described.search_indexes(console_server, name)
    assert shape(made["by_form"]) == shape(schema)
    again = index_form("second", schema)
    answer = console.post(f"/i/test/t/{name}/new-index", {"do": "create", **again})
    assert (answer.status, answer.headers["location"]) == (303, f"/console/i/test/t/{name}/indexes/second")
    assert shape(described.search_indexes(console_server, name)["second"]) == shape(schema)
    for path in (f"/i/test/t/{name}", f"/i/test/t/{name}/indexes", f"/i/test/t/{name}/indexes/second", "/i/test"):
        page = console.get(path)
        assert page.status == 200
        assert "second" in page.text


def test_the_code_comes_before_anything_is_made(console: ConsoleClient, console_server: ServerProcess) -> None:
    before = tables(console_server)
    form = table_form("sketched") | index_form("search", PLAIN, "index.") | {"with_index": "on", "do": "code"}
    answer = console.post("/i/test/new-table", form, as_json=True).json()
    assert answer["problems"] == {}
    assert [*answer["code"]] == ["python", "java", "go", "node", "embedded"]
    assert all("sketched" in program and "kind" in program for program in answer["code"].values())
    assert console_server.endpoint in answer["code"]["python"]
    answer = console.post("/i/test/new-table", form | {"name": "1"}, as_json=True).json()
    assert answer == {"code": {}, "problems": {"name": "Letters, digits and _, beginning with no digit."}}
    assert tables(console_server) == before


def test_rows_of_a_form_come_and_go(console: ConsoleClient) -> None:
    form = table_form("rows") | index_form("search", SCHEMA, "index.") | {"with_index": "on"}
    added = console.post("/i/test/new-table", form | {"do": "add:index.fields.8.fields"}, as_json=True).json()
    assert added["focus"] == "input-index-fields-8-fields-3-name"
    assert f'id="{added["focus"]}"' in added["html"]
    removed = console.post("/i/test/new-table", form | {"do": "remove:index.fields.8"}, as_json=True).json()
    assert removed["focus"] == "input-index-fields-add"
    assert 'name="index.fields.8.' not in removed["html"]
    assert 'name="index.fields.9.name" value="at"' in removed["html"]
    page = console.post("/i/test/new-table", form | {"do": "add:key"})
    assert page.status == 200
    assert 'name="key.1.name"' in page.html, "without a script, too"
    shown = console.post("/i/test/new-table", form | {"index.fields.0.type": "VECTOR", "do": "show"}, as_json=True)
    assert 'name="index.fields.0.dimension"' in shown.json()["html"]
    before = console.get("/i/test").html.count("<tr>")
    for nonsense in (
        "",
        "make",
        "add:",
        "add:nothing",
        "add:key.0",
        "remove:key",
        "remove:name",
        "add:" + "fields." * 5_000,
    ):
        answer = console.post("/i/test/new-table", form | {"do": nonsense}, as_json=True)
        assert 'name="key.0.name"' in answer.json()["html"]
        assert 'name="key.1.name"' not in answer.json()["html"]
    assert console.get("/i/test").html.count("<tr>") == before, "nothing was made"


BAD_TABLES: dict[str, tuple[dict[str, str], str, str]] = {
    "a name that is taken": ({"name": "taken"}, "name", "There is a table of this name already."),
    "no name": ({"name": ""}, "name", "Letters, digits and _, beginning with no digit."),
    "five key columns": (
        {
            f"key.{number}.{what}": value
            for number in range(5)
            for what, value in (("name", f"k{number}"), ("type", "STRING"))
        },
        "key",
        "A key has 1 to 4 columns.",
    ),
    "a key column without a name": (
        {"key.1.name": "", "key.1.type": "STRING"},
        "key-1-name",
        "Letters, digits and _, beginning with no digit.",
    ),
    "a forged type": ({"key.0.type": "DOUBLE"}, "key-0-type", "There is no such type of key column."),
    "an automatic first column": (
        {"key.0.type": "AUTO_INCREMENT"},
        "key",
        "First primary key can't be auto increment, table: bad.",
    ),
    "two of a name": (
        {"defined.0.name": "id", "defined.0.type": "STRING"},
        "defined-0-name",
        "Two columns have this name.",
    ),
    "no such type": (
        {"defined.0.name": "a", "defined.0.type": "X"},
        "defined-0-type",
        "There is no such type of column.",
    ),
    "an hour to live": ({"ttl_days": "0.04"}, "ttl_days", "A number of days, 1 at least; nothing means for ever."),
    "no number of versions": ({"max_versions": "two"}, "max_versions", "A whole number from 1 to 2,147,483,647."),
    "a stream of a year": ({"stream_h": "8760"}, "stream_h", "A whole number from 1 to 168."),
    "an index of an unknown column": (
        {"secondary.0.name": "by_x", "secondary.0.key": "x", "secondary.0.kind": "GLOBAL"},
        "secondary-0-name",
        "x",
    ),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_table_that_cannot_be_is_told_at_the_input(
    name: str, console: ConsoleClient, console_server: ServerProcess
) -> None:
    if "taken" not in tables(console_server):
        assert console.post("/i/test/new-table", table_form("taken")).status == 303
    before = tables(console_server)
    changes, where, what = BAD_TABLES[name]
    answer = console.post("/i/test/new-table", table_form("bad") | changes)
    assert answer.status == 400
    assert what in told(answer).get(where, ""), told(answer)
    if where != "key" and where != "defined":
        assert re.search(rf'id="input-{where}"[^>]*aria-invalid="true"', answer.html)
    assert tables(console_server) == before


BAD_FIELDS: dict[str, tuple[dict[str, str], str, str]] = {
    "no name": ({"name": "", "type": "KEYWORD"}, "name", "A field has a name."),
    "a forged type": ({"name": "a", "type": "X"}, "type", "There is no such type of field."),
    "dimension 0": (
        {"name": "a", "type": "VECTOR", "dimension": "0", "metric": "COSINE"},
        "dimension",
        "A whole number from 1 to 4,096.",
    ),
    "no dimension": (
        {"name": "a", "type": "VECTOR", "metric": "COSINE"},
        "dimension",
        "A whole number from 1 to 4,096.",
    ),
    "a forged metric": (
        {"name": "a", "type": "VECTOR", "dimension": "4", "metric": "X"},
        "metric",
        "There is no such metric.",
    ),
    "a forged analyzer": ({"name": "a", "type": "TEXT", "analyzer": "x"}, "analyzer", "There is no such analyzer."),
    "a strange length": (
        {"name": "a", "type": "TEXT", "analyzer": "fuzzy", "min_chars": "9", "max_chars": "2"},
        "name",
        "min_chars",
    ),
    "an empty object": ({"name": "a", "type": "NESTED"}, "type", "Objects have at least one field: add one below."),
    "a pattern that is none": ({"name": "a", "type": "DATE", "formats": "QQQ"}, "name", "QQQ"),
    "the name of another": ({"name": "kind", "type": "LONG"}, "name", "Two fields have this name."),
    "a key column of another type": (
        {"name": "id", "type": "VECTOR", "dimension": "2", "metric": "COSINE"},
        "name",
        "primary key column",
    ),
}


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_a_field_that_cannot_be_is_told_at_the_input(
    name: str, console: ConsoleClient, console_server: ServerProcess
) -> None:
    row, where, what = BAD_FIELDS[name]
    form = {f"fields.1.{key}": value for key, value in row.items()}
    first = {"do": "create", "name": "search", "fields.0.name": "kind", "fields.0.type": "KEYWORD"}
    before = tables(console_server)
    whole = {f"index.{key}": value for key, value in (first | form).items() if key != "do"}
    answer = console.post("/i/test/new-table", table_form("bad") | whole | {"with_index": "on"})
    assert answer.status == 400
    assert what in told(answer).get(f"index-fields-1-{where}", ""), told(answer)
    assert tables(console_server) == before, "neither the index nor its table"
    if "fields" not in before:
        assert console.post("/i/test/new-table", table_form("fields")).status == 303
    answer = console.post("/i/test/t/fields/new-index", first | form)
    assert answer.status == 400
    assert what in told(answer).get(f"fields-1-{where}", ""), told(answer)
    assert described.search_indexes(console_server, "fields") == {}


EMBEDDED = {
    "name": "search",
    "fields.0.name": "text",
    "fields.0.type": "TEXT",
    "fields.1.name": "v",
    "fields.1.type": "VECTOR",
    "fields.1.dimension": "256",
    "fields.1.metric": "COSINE",
    "fields.1.embed": "text",
    "fields.1.model": "wordllama",
}


def test_vectors_are_made_by_a_model_where_one_is_named(console: ConsoleClient, console_server: ServerProcess) -> None:
    pytest.importorskip("wordllama")
    index = {f"index.{name}": value for name, value in EMBEDDED.items()} | {"with_index": "on"}
    for changes, where, what in (
        ({"index.fields.1.dimension": "255"}, "index-fields-1-model", "makes vectors of 256 numbers"),
        ({"index.fields.1.model": "none"}, "index-fields-1-model", "There is no such model here."),
        ({"index.fields.1.model": "tfidf:/etc/passwd"}, "index-fields-1-model", "There is no such model here."),
        ({"index.fields.1.embed": "other"}, "index-fields-1-embed", "Name a field or a defined column"),
        ({"index.fields.0.type": "LONG"}, "index-fields-1-model", "vectors are made of"),
    ):
        answer = console.post("/i/test/new-table", table_form("embedded") | index | changes)
        assert answer.status == 400
        assert what in told(answer)[where]
    assert "embedded" not in tables(console_server)
    sketched = console.post("/i/test/new-table", table_form("embedded") | index | {"do": "code"}, as_json=True).json()
    assert 'lutra.Vector(256, embed="text", with_="wordllama")' in sketched["code"]["embedded"]
    assert "Without a model for v" in sketched["code"]["java"]
    assert console.post("/i/test/new-table", table_form("embedded") | index).status == 303
    assert "made of text by wordllama" in console.get("/i/test/t/embedded").text
    path = "/i/test/t/embedded/indexes/search"
    more = {name.replace("fields.1", "fields.0"): value for name, value in EMBEDDED.items() if "fields.1" in name}
    added = more | {"do": "alter", "fields.0.name": "w"}
    assert console.post(path, added).status == 303
    assert console.get(path).text.count("made of text by wordllama") == 2
    assert console.post(path, {"do": "alter", "drop.v": "on"}).status == 303
    assert console.get(path).text.count("made of text by wordllama") == 1


def test_an_index_that_cannot_be_is_told(console: ConsoleClient, console_server: ServerProcess) -> None:
    console.post("/i/test/new-table", table_form("one_index"))
    make = "/i/test/t/one_index/new-index"
    assert told(console.post(make, {"do": "create", "name": "search"})) == {
        "": "Nothing was changed: see the inputs that are marked.",
        "fields": "A search index has at least one field.",
    }
    assert "beginning with no digit" in told(console.post(make, {"do": "create"} | index_form("1 2", PLAIN)))["name"]
    assert console.post(make, {"do": "create"} | index_form("search", PLAIN)).status == 303
    assert "already" in told(console.post(make, {"do": "create"} | index_form("search", PLAIN)))["name"]
    answer = console.post(make, {"do": "create"} | index_form("other", PLAIN) | {"ttl_days": "10"})
    assert "may have no UpdateRow" in told(answer)[""]
    answer = console.post(make, {"do": "create"} | index_form("other", PLAIN) | {"routing": "kind"})
    assert "no primary key column" in told(answer)[""]
    assert [*described.search_indexes(console_server, "one_index")] == ["search"]


def test_a_forged_form_changes_nothing(console: ConsoleClient, console_server: ServerProcess) -> None:
    console.post(
        "/i/test/new-table", table_form("guarded") | index_form("search", PLAIN, "index.") | {"with_index": "on"}
    )
    before = tables(console_server)
    forged = {"csrf_token": "x", "typed": "guarded", "do": "create"}
    for path, form in (
        ("/", {"name": "forged"}),
        ("/i/test/new-table", table_form("forged")),
        ("/i/test/t/guarded/delete", {}),
        ("/i/test/t/guarded/alter", {"max_versions": "5"}),
        ("/i/test/t/guarded/indexes/search/delete", {"typed": "search"}),
        ("/i/test/t/guarded/secondary", {"name": "x", "key": "id"}),
    ):
        assert console.post(path, form | forged).status == 403
    assert tables(console_server) == before
    assert [*described.search_indexes(console_server, "guarded")] == ["search"]


def test_options_and_stream_change(console: ConsoleClient, console_server: ServerProcess) -> None:
    console.post("/i/test/new-table", table_form("options"))
    alter = "/i/test/t/options/alter"
    form = {"ttl_days": "2", "max_versions": "3", "max_deviation_s": "60", "allow_update": "on", "stream_h": "12"}
    assert console.post(alter, form).status == 303
    options = console_server.client().describe_table("options").table_options
    assert (options.time_to_live, options.max_version, options.max_time_deviation) == (172_800, 3, 60)
    page = console.get("/i/test/t/options")
    assert "12 h kept" in page.text
    assert 'name="ttl_days" value="2"' in page.html
    answer = console.post(alter, form | {"max_versions": "0"})
    assert (answer.status, told(answer)["max_versions"]) == (400, "A whole number from 1 to 2,147,483,647.")
    answer = console.post(alter, form | {"update_full_row": "on"})
    assert "max_versions is 1" in told(answer)["max_versions"]
    assert console.post(alter, form | {"stream_h": ""}).status == 303
    assert "12 h kept" not in console.get("/i/test/t/options").text


def test_fields_are_added_and_dropped(console: ConsoleClient, console_server: ServerProcess) -> None:
    console.post(
        "/i/test/new-table", table_form("altered") | index_form("search", PLAIN, "index.") | {"with_index": "on"}
    )
    path = "/i/test/t/altered/indexes/search"
    form = {
        "do": "alter",
        "drop.kind": "on",
        "fields.0.name": "v",
        "fields.0.type": "VECTOR",
        "fields.0.dimension": "2",
        "fields.0.metric": "COSINE",
    }
    answer = console.post(path, form | {"fields.0.dimension": "5000"})
    assert told(answer)["fields-0-dimension"] == "A whole number from 1 to 4,096."
    assert 'name="drop.kind" checked' in answer.html, "what was ticked stays so"
    assert console.post(path, form).status == 303
    [schema] = described.search_indexes(console_server, "altered").values()
    assert [field.name for field in schema.fields] == ["likes", "v"]
    answer = console.post(path, form | {"fields.0.name": "likes", "fields.0.type": "LONG"})
    assert "already exists" in told(answer)[""]


def test_what_is_deleted_was_typed(console: ConsoleClient, console_server: ServerProcess) -> None:
    console.post(
        "/i/test/new-table", table_form("doomed") | index_form("search", PLAIN, "index.") | {"with_index": "on"}
    )
    index, table = "/i/test/t/doomed/indexes/search/delete", "/i/test/t/doomed/delete"
    for path, what in ((index, "index"), (table, "table")):
        for typed in ("", "other", "doomed " if what == "table" else "Search"):
            answer = console.post(path, {"typed": typed})
            assert answer.status == 400
            assert f"This is not the {what}'s name: nothing was deleted." in answer.text
    assert [*described.search_indexes(console_server, "doomed")] == ["search"]
    assert console.post(index, {"typed": "search"}).status == 303
    assert described.search_indexes(console_server, "doomed") == {}
    assert console.post("/i/test/t/doomed/new-index", {"do": "create"} | index_form("again", PLAIN)).status == 303
    answer = console.post(table, {"typed": "doomed"})
    assert (answer.status, answer.headers["location"]) == (303, "/console/i/test")
    assert "doomed" not in tables(console_server)
    assert console.get("/i/test/t/doomed").status == 404


def test_secondary_indexes_come_and_go(console: ConsoleClient, console_server: ServerProcess) -> None:
    console.post("/i/test/new-table", table_form("second", defined__0__name="kind", defined__0__type="STRING"))
    path = "/i/test/t/second"
    answer = console.post(f"{path}/secondary", {"name": "by_x", "key": "x", "kind": "GLOBAL"})
    assert answer.status == 400
    assert "x" in told(answer)[""]
    assert console.post(f"{path}/secondary", {"name": "of_second", "key": "kind", "kind": "GLOBAL"}).status == 303
    client = console_server.client()
    assert [one.index_name for one in client.describe_table("second").secondary_indexes] == ["of_second"]
    assert console.post(f"{path}/secondary/of_second/drop", {"typed": "by_kin"}).status == 400
    assert "of_second" in console.get(f"{path}/indexes").text
    assert console.post(f"{path}/secondary/of_second/drop", {"typed": "of_second"}).status == 303
    assert not client.describe_table("second").secondary_indexes


def test_rows_are_told_without_being_read(console: ConsoleClient, console_server: ServerProcess) -> None:
    console.post("/i/test/new-table", table_form("many"))
    console.post("/i/test/new-table", table_form("few"))
    client = console_server.client()
    load(client, "many", [([("id", f"{number:06}")], {"kind": "a"}) for number in range(1_200)])
    load(client, "few", [([("id", "1")], {"kind": "a"})])
    assert re.search(r"about [\d,]+|over 1,000", console.get("/i/test/t/many").text)
    assert "<dd>1" in console.get("/i/test/t/few").html
    assert console.post("/i/test/t/many/new-index", {"do": "create"} | index_form("search", PLAIN)).status == 303
    wait_until(lambda: "as a search index has them" in console.get("/i/test/t/many").text)
    assert "<dd>1,200 " in console.get("/i/test/t/many").html
    assert "1,200" in console.get("/i/test").text


def test_a_table_among_many_is_found_by_its_name(console: ConsoleClient, console_server: ServerProcess) -> None:
    console.post("/", {"name": "crowd"})
    client = console_server.client(instance_name="crowd")
    assert 'role="search"' not in console.get("/i/crowd").html, "few need no search"
    for number in range(205):
        meta = ots.TableMeta(f"Log_{number:03}", [("id", "STRING")])
        client.create_table(meta, ots.TableOptions(), ots.ReservedThroughput(ots.CapacityUnit(0, 0)))
    page = console.get("/i/crowd")
    assert "These are the first 200 of 205: a part of the name finds others." in page.text
    assert ("Log_199" in page.text, "Log_200" in page.text) == (True, False)
    page = console.get("/i/crowd?name=log_20")
    assert re.findall(r">(Log_\d+)</a>", page.html) == [f"Log_{number}" for number in range(200, 205)]
    assert "No table has <b> in its name." in console.get("/i/crowd?name=%3Cb%3E").text
    assert "<b>" not in console.get("/i/crowd?name=%3Cb%3E").html


def test_names_are_escaped(console: ConsoleClient) -> None:
    script = "<script>alert(1)</script>"
    form = {"do": "create", "name": "search", "fields.0.name": script, "fields.0.type": "KEYWORD"}
    console.post("/i/test/new-table", table_form("escaped"))
    assert console.post("/i/test/t/escaped/new-index", form).status == 303
    for path in ("", "/indexes", "/indexes/search"):
        page = console.get(f"/i/test/t/escaped{path}")
        assert script in page.text
        assert script not in page.html


def test_what_is_not_there_is_a_page_of_its_own(console: ConsoleClient) -> None:
    for path in ("/i/none/new-table", "/i/test/t/none", "/i/test/t/none/indexes", "/i/none"):
        assert console.get(path).status == 404
    assert console.post("/i/test/t/none/delete", {"typed": "none"}).status == 404
    assert console.get("/i/test/t/taken/indexes/none").status in (400, 404)


def test_a_forged_form_of_hundreds_of_levels_is_an_answer(
    console: ConsoleClient, console_server: ServerProcess
) -> None:
    form = table_form("deep") | {"with_index": "on", "index.name": "search"}
    path = "index.fields.0"
    for _ in range(300):
        form |= {f"{path}.name": "a", f"{path}.type": "NESTED"}
        path += ".fields.0"
    answer = console.post("/i/test/new-table", form)
    assert answer.status == 400
    assert "5 levels" in "".join(told(answer).values())
    assert "deep" not in tables(console_server)


def test_a_time_to_live_that_is_no_whole_day_stays_what_it_is(
    console: ConsoleClient, console_server: ServerProcess
) -> None:
    client = console_server.client()
    meta, units = ots.TableMeta("long_lived", [("id", "STRING")]), ots.ReservedThroughput(ots.CapacityUnit(0, 0))
    client.create_table(meta, ots.TableOptions(2**31 - 1, 1), units)
    page = console.get("/i/test/t/long_lived")
    days = re.findall(r'name="ttl_days" value="([^"]*)"', page.html)[0]
    form = {"ttl_days": days, "max_versions": "2", "max_deviation_s": "86400", "allow_update": "on"}
    assert console.post("/i/test/t/long_lived/alter", form).status == 303
    options = client.describe_table("long_lived").table_options
    assert (options.time_to_live, options.max_version) == (2**31 - 1, 2)
