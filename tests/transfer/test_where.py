import datetime as dt
from typing import Any

import pytest

import lutra
from lutra.instance.expression import Expression
from lutra.model.errors import ParameterInvalid
from lutra.transfer.where import parse_where

COLUMNS: dict[str, Any] = {
    "kind": str,
    "module": str,
    "year": int,
    "price": float,
    "ok": bool,
    "tags": list[str],
    "at": dt.datetime,
    "text": lutra.Stored(str),
    "embedding": lutra.Vector(2),
}
kind, module, year = lutra.col("kind"), lutra.col("module"), lutra.col("year")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind = function", kind == "function"),
        ("kind=function", kind == "function"),
        ("kind == 'a b'", kind == "a b"),
        ('kind != "it\'s"', kind != "it's"),
        ("kind <> x", kind != "x"),
        ("year >= 2020", year >= 2020),
        ("year < -5", year < -5),
        ("year in (1, 2,3)", year.is_in([1, 2, 3])),
        ("year not in (1)", ~year.is_in([1])),
        ("kind startswith js", kind.starts_with("js")),
        ("kind exists", kind.exists()),
        ("kind missing", kind.is_missing()),
        ("kind = a and module = b and year > 1", (kind == "a") & (module == "b") & (year > 1)),
        ("kind = a or kind = b and year > 1", (kind == "a") | ((kind == "b") & (year > 1))),
        ("(kind = a OR kind = b) AND year > 1", ((kind == "a") | (kind == "b")) & (year > 1)),
        ("not kind = a", ~(kind == "a")),
        ("not (kind = a)", ~(kind == "a")),
        ("kind = 'and'", kind == "and"),
        ("module = os.path", module == "os.path"),
        ("price <= 1.5", lutra.col("price") <= 1.5),
        ("ok = TRUE", lutra.col("ok") == True),  # noqa: E712
        ("tags = x", lutra.col("tags") == "x"),
        ("text = x", lutra.col("text") == "x"),
        ("at < 2020-01-02", lutra.col("at") < dt.datetime(2020, 1, 2, tzinfo=dt.UTC)),
    ],
)
def test_filters_mean(text: str, expected: Expression) -> None:
    assert parse_where(text, COLUMNS) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected a column, at its end"),
        ("kind", "expected a comparison after 'kind'"),
        ("kind =", "expected a value, at its end"),
        ("kind = ,", "expected a value, at ','"),
        ("color = red", "no column 'color', at 'color = red': use kind, module"),
        ("year = soon", "'soon' is no value for column 'year', at 'soon'"),
        ("ok = 1", "'1' is no value for column 'ok'"),
        ("embedding = 1", "no value"),
        ("at = yesterday", "no value"),
        ("kind = a b", "expected 'and' or 'or', at 'b'"),
        ("(kind = a", r"expected '\)', at its end"),
        ("kind = a)", r"expected 'and' or 'or', at '\)'"),
        ("kind in a", r"expected '\('"),
        ("kind in ()", "expected a value"),
        ("kind not a", "expected 'in'"),
        ("kind = 'a", "cannot read"),
        ("not " * 100 + "kind = a", "nested deeper than 64"),
        ("(" * 100_000, "nested deeper than 64"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(ParameterInvalid, match=complaint):
        parse_where(text, COLUMNS)
