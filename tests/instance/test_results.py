"""What comes back of a search, as lists, Arrow and pandas."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lutra

AT = dt.datetime(2020, 1, 1, 0, 0, 0, 5, tzinfo=dt.UTC)
ROW = {
    "id": "a",
    "part": 1,
    "kind": "x",
    "year": 2020,
    "price": 1.5,
    "ok": True,
    "at": AT,
    "tags": ["p", "q"],
    "raw": b"\x00",
    "v": [1.0, 0.0],
}


@pytest.fixture(scope="module")
def table() -> Iterator[lutra.Table]:
    with lutra.connect() as database:
        table = database.create_table(
            "things",
            {"id": str, "part": int},
            {
                "kind": str,
                "year": int,
                "price": float,
                "ok": bool,
                "at": dt.datetime,
                "tags": list[str],
                "raw": bytes,
                "v": lutra.Vector(2),
            },
        )
        table.put_many([ROW, {"id": "b", "part": 2, "v": [0.0, 1.0]}])
        yield table


def test_results_are_a_sequence(table: lutra.Table) -> None:
    results = table.search([1, 0])
    assert len(results) == 2
    assert results[0]["id"] == "a"
    assert [row["id"] for row in results[::-1]] == ["b", "a"]
    assert results[-1] in results
    assert repr(results).startswith("Results([Row({'id': 'a'")
    assert results.stats.rows_scanned >= 2
    assert not table.search(where=lutra.col("kind") == "none")


def test_to_list(table: lutra.Table) -> None:
    first, second = table.search([1, 0], columns=["kind", "tags"]).to_list()
    assert first == {"id": "a", "part": 1, "kind": "x", "tags": ["p", "q"], "_score": pytest.approx(1.0)}
    assert second == {"id": "b", "part": 2, "_score": pytest.approx(0.5)}
    assert "_score" not in table.search(limit=1).to_list()[0]


def test_to_arrow(table: lutra.Table) -> None:
    found = table.search([1, 0]).to_arrow()
    assert found.schema == pa.schema(
        [
            ("id", pa.string()),
            ("part", pa.int64()),
            ("kind", pa.string()),
            ("year", pa.int64()),
            ("price", pa.float64()),
            ("ok", pa.bool_()),
            ("at", pa.timestamp("us", tz="UTC")),
            ("tags", pa.list_(pa.string())),
            ("raw", pa.binary()),
            ("v", pa.list_(pa.float32(), 2)),
            ("_score", pa.float64()),
        ]
    )
    assert found.to_pylist()[0] == ROW | {"_score": pytest.approx(1.0)}
    assert found.column("year").to_pylist() == [2020, None]


def test_to_arrow_of_nothing_and_of_some_columns_keeps_the_types(table: lutra.Table) -> None:
    nothing = table.search(where=lutra.col("kind") == "none").to_arrow()
    assert nothing.num_rows == 0
    assert nothing.schema.field("v").type == pa.list_(pa.float32(), 2)
    assert table.search(columns=["year"]).to_arrow().column_names == ["id", "part", "year"]


def test_to_pandas(table: lutra.Table) -> None:
    found = table.search([1, 0]).to_pandas()
    assert list(found.columns) == [*ROW, "_score"]
    assert found["kind"].tolist()[0] == "x"
    assert pd.isna(found["kind"][1])
    np.testing.assert_array_equal(found["v"][0], np.array([1, 0], dtype=np.float32))
    assert list(table.search(where=lutra.col("kind") == "none", columns=["year"]).to_pandas().columns) == [
        "id",
        "part",
        "year",
    ]


def test_a_column_named_score_stays(tmp_path: Path) -> None:
    with lutra.connect() as database:
        table = database.create_table("t", {"id": int}, {"_score": str, "__score": int, "v": lutra.Vector(2)})
        table.put({"id": 1, "_score": "mine", "__score": 7, "v": [1, 0]})
        found = table.search([1, 0])
    assert found.score_column == "___score"
    assert found.to_list()[0]["_score"] == "mine"
    for row in (found.to_list()[0], found.to_arrow().to_pylist()[0], found.to_pandas().iloc[0].to_dict()):
        assert (row["_score"], row["__score"], row["___score"]) == ("mine", 7, pytest.approx(1.0))


def test_pandas_keeps_integers_whole_and_gives_empty_frames_their_types() -> None:
    large = 1239162456494753671
    fields: dict[str, Any] = {
        "n": int,
        "ok": bool,
        "x": float,
        "at": dt.datetime,
        "tags": list[str],
        "v": lutra.Vector(2),
    }
    with lutra.connect() as database:
        table = database.create_table("t", {"id": int}, fields)
        table.put_many([{"id": 1, "n": large, "ok": True, "x": 1.5, "at": AT, "v": [1, 0]}, {"id": 2, "v": [0, 1]}])
        gaps, whole = table.search([1, 0]).to_pandas(), table.search(where=lutra.col("n") > 0).to_pandas()
        empty = table.search(where=lutra.col("n") < 0).to_pandas()
    assert gaps["n"].tolist() == [large, pd.NA]
    assert gaps["ok"].tolist() == [True, pd.NA]
    types = {"id": "int64", "n": "int64", "ok": "bool", "x": "float64", "at": "datetime64[us, UTC]"}
    others = {"tags": "object", "v": "object"}
    assert gaps.dtypes.astype(str).to_dict() == types | {"n": "Int64", "ok": "boolean"} | others | {"_score": "float64"}
    assert whole.dtypes.astype(str).to_dict() == types | others
    assert empty.dtypes.astype(str).to_dict() == types | others


def test_columns_of_several_types_are_objects_in_pandas_and_refused_by_arrow() -> None:
    with lutra.connect() as database:
        database.create_table("t", {"id": int}).put_many([{"id": 1, "x": 1, "n": 5}, {"id": 2, "x": "one"}])
        table = database.create_table("t", {"id": int}, {"n": int}, exist_ok=True)
        found = table.search()
    assert found.to_pandas()["x"].tolist() == [1, "one"]
    with pytest.raises(lutra.ParameterInvalid, match="'x' holds values that no one Arrow type takes"):
        found.to_arrow()


@pytest.mark.parametrize(("module", "method"), [("pyarrow", "to_arrow"), ("pandas", "to_pandas")])
def test_without_the_library_they_say_what_to_install(module: str, method: str, tmp_path: Path) -> None:
    extra = {"pyarrow": "arrow", "pandas": "pandas"}[module]
    program = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "import lutra\n"
        "with lutra.connect() as db:\n"
        "    results = db.create_table('t', {'id': int}, {'n': int}).search()\n"
        f"    try: results.{method}()\n"
        "    except ImportError as error: print(error)\n"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert f"pip install 'lutra[{extra}]'" in finished.stdout
