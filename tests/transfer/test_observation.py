"""Which field takes what a column holds."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest

import lutra
from lutra.transfer.observation import Seen

WORDS = "a text of more than a few words, that one looks for words in"


def guess(values: list[Any], name: str = "x", hint: str | None = None) -> Any:
    seen = Seen()
    for value in values:
        seen.add(value)
    return seen.guess(name, hint)


def guess_text(*texts: str, name: str = "x") -> Any:
    seen = Seen()
    for text in texts:
        seen.add_text(text)
    return seen.guess(name).declaration


@pytest.mark.parametrize(
    ("values", "declaration"),
    [
        ([1, 2], int),
        ([1, 2.5], float),
        ([2**63], str),
        ([1, 2**64 - 1], str),
        ([1.5, 1e300], float),
        ([True], bool),
        (["a"], str),
        ([WORDS], lutra.Text()),
        (["x" * 300], lutra.Text()),
        (["2020-01-02T03:04:05Z"], dt.datetime),
        (["2020-01-02", "2020-13-02"], str),
        ([{"lat": 1, "lon": 2.5}], lutra.GeoPoint),
        ([{"lat": 1, "lon": "x"}], lutra.Object({"lat": int, "lon": str})),
        ([b"x"], bytes),
        ([1, "a"], str),
        ([["a"], []], list[str]),
        ([[1, 2], [3]], list[int]),
        ([[1, 2.5], [3]], list[float]),
        ([[1, 2]], list[int]),
        ([["2020-01-02"]], list[dt.datetime]),
        ([[0.5] * 8, [1.5] * 8], lutra.Vector(8)),
        ([[0.5] * 8, [1.5] * 7], list[float]),
        ([[1] * 8, [2] * 8], list[int]),
        ([np.zeros(9, dtype=np.float32)], lutra.Vector(9)),
        ([["x"] * 300], lutra.Stored(str)),
        ([[[1]]], lutra.Stored(str)),
        ([{"a": 1}, {"b": "x"}], lutra.Object({"a": int, "b": str})),
        ([{"a": {"b": [[1]]}}], lutra.Stored(str)),
        ([[{"sku": "a", "price": 1.5}]], lutra.Nested({"sku": str, "price": float})),
        ([{"a": 1}, "x"], lutra.Stored(str)),
        ([1] * 99 + ["x"], int),
        ([1] * 98 + ["x"] * 2, str),
        ([1] * 999 + [2.5], float),
        (["x"] * 999 + ["2020-01-02"], str),
        ([[0.5] * 8] * 100 + [[0.5] * 7], lutra.Vector(8)),
    ],
)
def test_values_with_types(values: list[Any], declaration: Any) -> None:
    assert guess(values).declaration == declaration


@pytest.mark.parametrize(
    ("texts", "declaration"),
    [
        (["1", "-2"], int),
        (["1", "2.5", "1e3"], float),
        (["007"], str),
        (["12345678901234567890"], str),
        (["1", ""], str),
        (["true", "FALSE"], bool),
        (["yes"], str),
        (["2020-01-02 03:04:05.5+01:00", "2020-01-02"], dt.datetime),
        (["2020-01-02T03:04:05.1234567Z"], str),
        (["52.5,13.4", "-1.25, 3"], lutra.GeoPoint),
        (["95,13.4"], str),
        (["1,5", "2,25"], str),
        (["1.234,5", "12.000,25"], str),
        (['["a", "b"]'], list[str]),
        (["[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]"], lutra.Vector(8)),
        (['{"a": 1}'], lutra.Object({"a": int})),
        (["[not json"], str),
        ([WORDS], lutra.Text()),
    ],
)
def test_text(texts: list[str], declaration: Any) -> None:
    assert guess_text(*texts) == declaration


def test_a_name_says_that_few_numbers_are_a_vector() -> None:
    assert guess([[1, 2, 3]], "Embedding_small").declaration == lutra.Vector(3)
    assert guess([np.zeros(2)], "x", hint="vector").declaration == lutra.Vector(2)


def test_a_column_without_values_is_what_its_file_says() -> None:
    assert guess([], hint="datetime").declaration == dt.datetime
    assert guess([]).declaration is str
    assert guess([None]).declaration is str


def test_the_few_that_differ_are_told() -> None:
    assert guess([1] * 200 + ["x", "y"]).note == "2 of 202 look otherwise: such rows are rejected"
    assert guess([1] * 200 + [2.5, "y"]).note == "1 of 202 look otherwise: such rows are rejected"
    assert guess(["x"] * 200 + [1, "2020-01-02"]).note == "mixed: dates, int, text"
    assert guess(["x"] * 200 + [1, [2]]).note == "mixed: int, text; 1 of 202 look otherwise: such rows are rejected"
