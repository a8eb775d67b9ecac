"""A data directory with something of each kind, which Lutra's versions keep for those to come; and what is in it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from support.reading import index_of

import lutra
from lutra.instance.engine import Engine
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import DefinedColumn, IndexKind, KeyColumn, SecondaryIndex, StreamSpec, TableSchema, TableUpdate
from lutra.model.values import ColumnType

ROWS: Final = 120
WRITTEN_OUT: Final = 80
"""Rows that are in segments; those after them are in the log alone."""
_WORDS: Final = ("river", "otter", "frozen", "lake", "reed", "heron", "delta")
_BEGIN: Final = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
FIELDS: Final[dict[str, Any]] = {
    "n": int,
    "ratio": float,
    "is_even": bool,
    "kind": str,
    "tags": list[str],
    "at": dt.datetime,
    "text": lutra.Text(),
    "place": lutra.GeoPoint,
    "box": lutra.Object({"wide": int, "colour": str}),
    "parts": lutra.Nested({"name": str, "weight": float}),
    "note": lutra.Stored(str),
    "raw": bytes,
    "v": lutra.Vector(6, "euclidean"),
}
LOCAL: Final = SecondaryIndex("by_n", ("p", "n"), ("s",), IndexKind.LOCAL)
GLOBAL: Final = SecondaryIndex("by_s", ("s", "n"), (), IndexKind.GLOBAL)
_SCHEMA: Final = TableSchema(
    "counted",
    (KeyColumn("p", ColumnType.INTEGER), KeyColumn("i", ColumnType.INTEGER)),
    (DefinedColumn("n", ColumnType.INTEGER), DefinedColumn("s", ColumnType.STRING)),
)
INSTANCE: Final = "counts"


def row(number: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": f"r{number:03}",
        "n": number * 3,
        "ratio": number / 7,
        "is_even": number % 2 == 0,
        "kind": _WORDS[number % 3],
        "tags": sorted({_WORDS[number % 7], _WORDS[number % 5]}),
        "at": _BEGIN + dt.timedelta(hours=number),
        "text": " ".join(_WORDS[(number * step) % 7] for step in (1, 2, 3)),
        "place": lutra.GeoPoint(number / 2 - 30, number - 60.0),
        "box": {"wide": number, "colour": _WORDS[number % 4]},
        "parts": [{"name": _WORDS[part], "weight": part + number / 10} for part in range(number % 3)],
        "note": f"note {number}",
        "raw": bytes([number % 256, 0, 255]),
        "v": vector(number),
    }
    if number % 11 == 0:
        del found["kind"], found["v"]
    return found


def vector(number: int) -> Any:
    return np.array([number, number % 7, number % 5, -number, 1, 0.5], "<f4")


def model() -> dict[str, dict[str, Any]]:
    """Some rows were put twice, some deleted: in segments, and in the log."""
    rows = {number: row(number) for number in range(ROWS)}
    return {one["id"]: one for number, one in rows.items() if number % 10 != 9}


def make(folder: Path, place: Path) -> None:
    """Makes the data directory, and a backup of it at ``place``."""
    with lutra.connect(folder) as database:
        table = database.create_table("notes", {"id": str}, FIELDS)
        table.put_many(row(number) | {"n": -1} for number in range(WRITTEN_OUT))
        table.count()
        index_of(database).flush()
        table.put_many(row(number) for number in range(WRITTEN_OUT))
        table.delete_many([f"r{number:03}" for number in range(9, WRITTEN_OUT, 10)])
        table.count()
        index_of(database).flush()
        table.put_many(row(number) for number in range(WRITTEN_OUT, ROWS))
        table.delete_many([f"r{number:03}" for number in range(WRITTEN_OUT + 9, ROWS, 10)])
    engine = Engine.open(folder)
    try:
        engine.create_instance(INSTANCE)
        instance = engine.instance(INSTANCE)
        instance.create_table(_SCHEMA)
        for index in (LOCAL, GLOBAL):
            instance.create_secondary_index("counted", index)
        instance.update_table("counted", TableUpdate(stream=StreamSpec(24)))
        for number in range(30):
            put(instance, number)
    finally:
        engine.close()
    with lutra.connect(folder) as database:
        database.table("notes").count()
        database.backup(place)


def put(instance: Any, number: int) -> None:
    cells = [("n", number % 6, None, CellOperation.PUT), ("s", _WORDS[number % 7], None, CellOperation.PUT)]
    instance.tables.write("counted", RowChange(ChangeKind.PUT, (("p", number % 4), ("i", number)), cells))


def plain(found: Any) -> str:
    """Of a row, to be compared."""
    return json.dumps(dict(found), default=lutra.to_jsonable, sort_keys=True)
