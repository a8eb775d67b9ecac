"""Forms of rows, over tables that Python declared, that are open, and that an SDK made."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lutra
from lutra.console.row_edits import DECLARED, RowForms, ShownColumn, Typed, seen_of_text, typed_columns
from lutra.instance.database import Database, database_of, layout_of
from lutra.instance.engine import Engine
from lutra.instance.served_directory import ServedDirectory
from lutra.model.errors import ObjectNotExist, ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.rows import ChangeKind, PrimaryKey, RowChange
from lutra.model.schema import KeyColumn, TableOptions, TableSchema
from lutra.model.values import ColumnType

MOMENT = dt.datetime(2024, 5, 1, 12, 30, 0, 250_000, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    opened = Engine.open(tmp_path_factory.mktemp("edits"))
    opened.create_instance("test")
    database = database_of(ServedDirectory(opened), "test")
    database.create_table(
        "declared",
        {"id": str},
        {
            "title": str,
            "body": lutra.Text(),
            "n": int,
            "price": float,
            "ok": bool,
            "at": dt.datetime,
            "where": lutra.GeoPoint,
            "tags": list[str],
            "raw": bytes,
            "long": lutra.Stored(str),
            "embedding": lutra.Vector(3),
            "items": lutra.Nested({"sku": str, "n": int}),
        },
    )
    database.create_table("open", {"id": int})
    database.create_table("numbered", {"group": str, "number": lutra.AUTO_INCREMENT})
    tables = opened.instance("test").tables
    key = (KeyColumn("id", ColumnType.STRING),)
    tables.create(TableSchema("versions", key, options=TableOptions(max_versions=3)))
    tables.create(TableSchema("whole", key, options=TableOptions(allow_update=False)))
    tables.create(TableSchema("sdk", key))
    fields = (FieldSchema("n", FieldType.LONG), FieldSchema("day", FieldType.DATE, date_formats=("yyyy-MM-dd",)))
    opened.instance("test").create_search_index("sdk", "any", IndexSchema(fields))
    yield opened
    opened.close()


@pytest.fixture
def database(engine: Engine) -> Database:
    return database_of(ServedDirectory(engine), "test")


@pytest.fixture
def forms(engine: Engine, database: Database) -> Callable[[str], RowForms]:
    instance = engine.instance("test")

    def of(table: str) -> RowForms:
        return RowForms(instance, database.table(table), layout_of(instance, table, None))

    return of


def put(engine: Engine, table: str, key: PrimaryKey, **cells: Any) -> None:
    change = RowChange(ChangeKind.PUT, key, [(name, value, None, 0) for name, value in cells.items()])
    engine.instance("test").tables.write(table, change)


def sent(columns: list[ShownColumn], **changes: Typed | None) -> tuple[dict[str, str], list[Typed]]:
    """The form as a browser sends it, with changes by column."""
    seen = {one.name: one.seen for one in columns}
    typed = [
        changes.get(one.name) or Typed(one.name, one.type, _as_sent(one.text))
        for one in columns
        if one.text is not None or changes.get(one.name)
    ]
    there = {one.name for one in columns}
    return seen, [*typed, *(one for name, one in changes.items() if one is not None and name not in there)]


def _as_sent(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


ROW = {
    "title": "a <b>title</b>",
    "body": "two\nlines",
    "n": 3,
    "price": 0.1,
    "ok": True,
    "at": MOMENT,
    "where": lutra.GeoPoint(1.5, -2.25),
    "tags": ["x", "y z"],
    "raw": b"\x00\xff",
    "long": "l" * 200,
    "embedding": np.array([0.1, 0.2, 0.3], np.float32),
    "items": [{"sku": "s", "n": 2}],
}


def test_what_was_shown_and_not_changed_changes_nothing(database: Database, forms: Callable[[str], RowForms]) -> None:
    table = database.table("declared")
    table.put({"id": "same", **ROW})
    of, key = forms("declared"), (("id", "same"),)
    columns = of.shown(of.read(key))
    assert [one.name for one in columns] == list(ROW)
    assert {one.name: one.choices[0].label for one in columns}["embedding"].startswith("vector:3")
    assert all(one.type == DECLARED and len(one.choices) == 1 for one in columns)
    edited = of.edit(key, *sent(columns))
    assert (edited.written, edited.is_refused) == (0, False)
    assert table.get("same") == {"id": "same", **ROW}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("title", "new <i>", "new <i>"),
        ("title", "", ""),
        ("body", "a\r\nb", "a\nb"),
        ("n", "-7", -7),
        ("price", "1e3", 1000.0),
        ("ok", "no", False),
        ("at", "2024-06-01", dt.datetime(2024, 6, 1, tzinfo=dt.UTC)),
        ("where", "3, 4", lutra.GeoPoint(3, 4)),
        ("tags", '["a"]', ["a"]),
        ("raw", "AAEC", b"\x00\x01\x02"),
        ("embedding", "1 2 3", np.array([1, 2, 3], np.float32)),
        ("items", '[{"sku": "t"}]', [{"sku": "t"}]),
    ],
)
def test_each_kind_is_edited(
    database: Database, forms: Callable[[str], RowForms], name: str, text: str, value: Any
) -> None:
    table = database.table("declared")
    table.put({"id": "kind", **ROW})
    of, key = forms("declared"), (("id", "kind"),)
    edited = of.edit(key, *sent(of.shown(of.read(key)), **{name: Typed(name, DECLARED, text)}))
    assert edited.problems == {}
    assert edited.written == 1
    assert table.get("kind") == {"id": "kind", **ROW, name: value}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("n", "many"),
        ("price", "NaN"),
        ("at", "soon"),
        ("where", "99, 0"),
        ("tags", "x"),
        ("raw", "?"),
        ("embedding", "1 2"),
        ("items", '[{"other": 1}]'),
        ("n", ""),
    ],
)
def test_what_a_column_cannot_hold_is_told_of_that_column(
    database: Database, forms: Callable[[str], RowForms], name: str, text: str
) -> None:
    table = database.table("declared")
    table.put({"id": "wrong", **ROW})
    of, key = forms("declared"), (("id", "wrong"),)
    wrong = {name: Typed(name, DECLARED, text), "title": Typed("title", DECLARED, "other")}
    edited = of.edit(key, *sent(of.shown(of.read(key)), **wrong))
    assert list(edited.problems) == [name]
    assert table.get("wrong") == {"id": "wrong", **ROW}, "nothing is written by halves"


def test_columns_come_and_go(database: Database, forms: Callable[[str], RowForms]) -> None:
    table = database.table("declared")
    table.put({"id": "some", "title": "t", "n": 1})
    of, key = forms("declared"), (("id", "some"),)
    columns = of.shown(of.read(key))
    assert "body" in of.missing(columns)
    changes = {"n": Typed("n", DECLARED, "1", is_removed=True), "body": Typed("body", DECLARED, "words")}
    assert of.edit(key, *sent(columns, **changes)).written == 2
    assert table.get("some") == {"id": "some", "title": "t", "body": "words"}
    edited = of.edit(key, *sent(of.shown(of.read(key)), other=Typed("other", "string", "x")))
    assert "other" in edited.problems["other"]
    edited = of.edit(key, *sent(of.shown(of.read(key)), title=Typed("title", "integer", "1")))
    assert "keyword" in edited.problems["title"]


def test_an_open_table_takes_columns_of_any_type(
    engine: Engine, database: Database, forms: Callable[[str], RowForms]
) -> None:
    put(engine, "open", (("id", 1),), a="x", b=2)
    of, key = forms("open"), (("id", 1),)
    columns = of.shown(of.read(key))
    assert [(one.name, one.type, one.text) for one in columns] == [("a", "string", "x"), ("b", "integer", "2")]
    changes = {
        "a": Typed("a", "double", "2.5"),
        "c": Typed("c", "binary", "AAE="),
        "d": Typed("d", "boolean", "true"),
        "b": Typed("b", "integer", "2", is_removed=True),
    }
    assert of.edit(key, *sent(columns, **changes)).written == 4
    assert database.table("open").get(1) == {"id": 1, "a": 2.5, "c": b"\x00\x01", "d": True}
    columns = of.shown(of.read(key))
    edited = of.edit(key, *sent(columns, **{"#x": Typed("#x", "string", "1"), "id": Typed("id", "integer", "5")}))
    assert list(edited.problems) == ["#x", "id"]


def test_a_value_that_is_not_of_the_index_type_keeps_its_own(engine: Engine, forms: Callable[[str], RowForms]) -> None:
    put(engine, "sdk", (("id", "a"),), n="many", day="2024-05-01", other=True)
    of, key = forms("sdk"), (("id", "a"),)
    columns = {one.name: one for one in of.shown(of.read(key))}
    assert (columns["n"].type, columns["n"].text) == ("string", "many")
    assert columns["day"].type == DECLARED
    assert [one.value for one in columns["n"].choices][:2] == [DECLARED, "string"]
    changes = {"n": Typed("n", DECLARED, "4"), "more": Typed("more", "string", "x")}
    edited = of.edit(key, *sent(list(columns.values()), **changes))
    assert edited.written == 2
    assert [cell[:2] for cell in of.read(key).cells] == [
        ("day", "2024-05-01"),
        ("more", "x"),
        ("n", 4),
        ("other", True),
    ]


def test_versions_are_shown_and_the_newest_is_edited(engine: Engine, forms: Callable[[str], RowForms]) -> None:
    key = (("id", "v"),)
    now_ms = time.time_ns() // 1_000_000
    for number in range(5):
        change = RowChange(ChangeKind.UPDATE, key, [("n", number, now_ms - 100 + number, 0)])
        engine.instance("test").tables.write("versions", change)
    of = forms("versions")
    [column] = of.shown(of.read(key))
    assert column.shown is not None
    assert column.shown.line == "4"
    assert [shown.line for _, shown in column.versions] == ["3", "2"]
    assert of.edit(key, *sent([column], n=Typed("n", "integer", "9"))).written == 1
    assert [value for _, value, _ in of.read(key).cells] == [9, 4, 3]


def test_a_table_that_takes_no_updates_gets_the_row_anew(engine: Engine, forms: Callable[[str], RowForms]) -> None:
    key = (("id", "w"),)
    put(engine, "whole", key, a="x", b=2)
    of = forms("whole")
    changes = {"a": Typed("a", "string", "x", is_removed=True), "c": Typed("c", "string", "new")}
    assert of.edit(key, *sent(of.shown(of.read(key)), **changes)).written == 2
    assert [cell[:2] for cell in of.read(key).cells] == [("b", 2), ("c", "new")]


def test_what_somebody_else_changed_meanwhile_is_told_and_kept(
    database: Database, forms: Callable[[str], RowForms]
) -> None:
    table = database.table("declared")
    table.put({"id": "both", **ROW})
    of, key = forms("declared"), (("id", "both"),)
    seen, typed = sent(of.shown(of.read(key)), title=Typed("title", DECLARED, "mine"))
    table.update("both", set={"n": 4, "price": None})
    edited = of.edit(key, seen, typed)
    assert [(one.name, None if one.now is None else one.now.line) for one in edited.changed] == [
        ("n", "4"),
        ("price", None),
    ]
    row = table.get("both")
    assert row is not None
    assert row["title"] == ROW["title"]
    table.delete("both")
    assert of.edit(key, seen, typed).is_gone


def test_a_change_between_the_look_and_the_write_is_seen(
    database: Database, forms: Callable[[str], RowForms], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = database.table("declared")
    table.put({"id": "race", **ROW})
    of, key = forms("declared"), (("id", "race"),)
    seen, typed = sent(of.shown(of.read(key)), title=Typed("title", DECLARED, "mine"))
    read = of.read

    def read_then_change(which: PrimaryKey) -> Any:
        row = read(which)
        monkeypatch.setattr(of, "read", read)
        table.update("race", set={"tags": ["theirs"]})
        return row

    monkeypatch.setattr(of, "read", read_then_change)
    edited = of.edit(key, seen, typed)
    assert [one.name for one in edited.changed] == ["tags"]
    row = table.get("race")
    assert row is not None
    assert (row["title"], row["tags"]) == (ROW["title"], ["theirs"])


def test_rows_are_inserted_where_there_are_none(
    engine: Engine, database: Database, forms: Callable[[str], RowForms]
) -> None:
    of = forms("declared")
    typed = [Typed("title", DECLARED, "new"), Typed("n", DECLARED, "5")]
    assert of.insert({"id": "fresh"}, typed).key == (("id", "fresh"),)
    assert database.table("declared").get("fresh") == {"id": "fresh", "title": "new", "n": 5}
    assert of.insert({"id": "fresh"}, typed).is_there
    inserted = of.insert({"id": "x"}, [Typed("n", DECLARED, "many"), Typed("other", "string", "x")])
    assert (inserted.key, sorted(inserted.problems)) == (None, ["n", "other"])
    of = forms("open")
    assert list(of.insert({"id": "one"}, []).problems) == ["id"]
    assert of.insert({"id": "77"}, [Typed("a", "binary", "AA==")]).key == (("id", 77),)
    assert database.table("open").get(77) == {"id": 77, "a": b"\x00"}
    assert list(of.insert({"id": "78"}, [Typed("a", "string", "1"), Typed("a", "string", "2")]).problems) == ["a"]
    of = forms("numbered")
    first, second = (of.insert({"group": "g", "number": ""}, [Typed("a", "string", "x")]).key for _ in range(2))
    assert first is not None
    assert second is not None
    assert (first[0], second[1][1]) == (("group", "g"), int(first[1][1]) + 1)


def test_no_such_row_and_no_such_column(database: Database, forms: Callable[[str], RowForms]) -> None:
    of = forms("declared")
    with pytest.raises(ObjectNotExist):
        of.read((("id", "nobody"),))
    database.table("declared").put({"id": "few", "n": 1})
    row = of.read((("id", "few"),))
    assert of.value(row, "n") == 1
    with pytest.raises(ObjectNotExist):
        of.value(row, "title")


def test_what_cannot_be_typed_stays_as_it_is(database: Database, forms: Callable[[str], RowForms]) -> None:
    table = database.table("declared")
    table.put({"id": "odd", "long": "x\x00y", "body": "z" * 100_000, "title": "t\r\nu"})
    of, key = forms("declared"), (("id", "odd"),)
    columns = {one.name: one for one in of.shown(of.read(key))}
    assert (columns["long"].text, columns["body"].text, columns["title"].text) == (None, None, "t\r\nu")
    assert of.edit(key, *sent(list(columns.values()))).written == 0
    assert of.edit(key, *sent(list(columns.values()), title=Typed("title", DECLARED, "t\r\nv"))).written == 1
    row = table.get("odd")
    assert row is not None
    assert (row["title"], row["long"]) == ("t\r\nv", "x\x00y"), "ends of lines are those that there were"


def test_a_form_is_no_larger_than_can_be_sent(engine: Engine, forms: Callable[[str], RowForms]) -> None:
    put(engine, "open", (("id", 6),), **{f"c{number:03}": "中" * 20_000 for number in range(30)})
    put(engine, "open", (("id", 7),), **{f"c{number:03}": number for number in range(500)})
    of = forms("open")
    columns = of.shown(of.read((("id", 6),)))
    texts = [one.text for one in columns if one.text is not None]
    assert len(columns) == 30
    assert 900_000 < sum(len(text.encode()) for text in texts) <= 1_048_576
    assert of.edit((("id", 6),), *sent(columns)).written == 0
    columns = of.shown(of.read((("id", 7),)))
    assert len(columns) == 400
    changes = {"c001": Typed("c001", "integer", "-1"), "more": Typed("more", "string", "x")}
    assert of.edit((("id", 7),), *sent(columns, **changes)).written == 2, "the columns that are not shown do not count"


@settings(deadline=None, max_examples=80)
@given(
    st.dictionaries(
        st.sampled_from("abcdef"),
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False, allow_infinity=False),
            st.booleans(),
        ),
    )
)
def test_any_row_is_shown_and_sent_without_a_change(engine: Engine, cells: dict[str, Any]) -> None:
    key = (("id", 5),)
    instance = engine.instance("test")
    put(engine, "open", key, **cells)
    of = RowForms(
        instance, database_of(ServedDirectory(engine), "test").table("open"), layout_of(instance, "open", None)
    )
    columns = of.shown(of.read(key))
    assert {one.name for one in columns} == set(cells)
    edited = of.edit(key, *sent(columns))
    assert (edited.written, edited.is_refused) == (0, False)


def test_a_form_is_read_by_its_numbers() -> None:
    form = {
        "name-0": "a",
        "type-0": "string",
        "value-0": "x",
        "name-1": "b",
        "remove-1": "on",
        "name-2": "",
        "value-2": "ignored",
        "name-3": "without a control",
        "name-5": "after a gap",
    }
    assert typed_columns(form) == [Typed("a", "string", "x"), replace(Typed("b", "", ""), is_removed=True)]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}'])
def test_a_form_that_does_not_say_what_it_was_made_of(text: str) -> None:
    with pytest.raises(ParameterInvalid):
        seen_of_text(text)
    assert seen_of_text(json.dumps({"a": "b"})) == {"a": "b"}
