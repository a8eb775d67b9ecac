"""Reading vectors from column values, against the json module and numpy."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lutra.vectors.values import read_vectors

FLOAT32_MAX = float(np.finfo(np.float32).max)


def read_one(value: str | bytes, dimension: int) -> list[float] | None:
    rows, good = read_vectors([value], dimension)
    assert rows.shape == (1, dimension)
    return rows[0].tolist() if good[0] else None


def model(text: str, dimension: int) -> list[float] | None:
    """What json makes of ``text``, rounded to float32 once."""
    try:
        numbers = json.loads(text)
    except ValueError:
        return None
    if type(numbers) is not list or len(numbers) != dimension or {*map(type, numbers)} - {int, float}:
        return None
    if any(abs(n) > 1e300 for n in numbers):
        return None
    with np.errstate(over="ignore"):
        row = [float(np.float32(n)) for n in numbers]
    return row if all(map(math.isfinite, row)) else None


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_float32_come_back_as_they_were(numbers: list[float]) -> None:
    assert read_one(json.dumps(numbers), len(numbers)) == numbers
    assert read_one(np.array(numbers, "<f4").tobytes(), len(numbers)) == numbers


NUMBERS = ["0.5", "-1", "1e5", "1e-50", "1e39", "1e400", "1e-400"]
FRAGMENTS = st.sampled_from([*"[],.eE+-01 9\t\n", *NUMBERS, "NaN", "true", "null", '"1"', "[1]"])


@settings(max_examples=500)
@given(st.lists(FRAGMENTS, max_size=12).map("".join), st.integers(1, 4))
@example("[0.5,1]", 2)
@example(" [ 1 ,\n2 ] ", 2)
@example("[01]", 1)
@example("[1.]", 1)
@example("[.5]", 1)
@example("[+1]", 1)
@example("[-]", 1)
@example("[1e]", 1)
@example("[1,]", 1)
@example("[]", 1)
@example("[1]x", 1)
@example("[0x1]", 1)
@example("[Infinity]", 1)
@example("[-0]", 1)
@example("[" + "9" * 400 + "]", 1)
@example("[0." + "0" * 400 + "1]", 1)
@example("[0." + "0" * 400 + "1e400]", 1)
@example("[" + "1" + "0" * 400 + "e-400]", 1)
@example("[1e99999999999999999999]", 1)
@example("[1e-99999999999999999999]", 1)
@example("[0e99999999999999999999]", 1)
@example("[3.4028236e38]", 1)
@example("[1e-45]", 1)
def test_agrees_with_json(text: str, dimension: int) -> None:
    if re.search(r"\d{4000}", text):
        return
    assert read_one(text, dimension) == model(text, dimension)


@given(st.text(max_size=20))
def test_any_text(text: str) -> None:
    assert read_one(text, 3) == model(text, 3)


@given(st.binary(max_size=24), st.integers(1, 5))
def test_any_bytes(data: bytes, dimension: int) -> None:
    got = read_one(data, dimension)
    if len(data) != 4 * dimension or not np.isfinite(np.frombuffer(data, "<f4")).all():
        assert got is None
    else:
        assert np.array(got, "<f4").tobytes() == data


def test_many_keep_their_places() -> None:
    rows, good = read_vectors(["[1, 2]", "[1]", np.array([3, 4], "<f4").tobytes(), "\ud800", b"", "[5,6]"], 2)
    assert good.tolist() == [True, False, True, False, False, True]
    assert rows[good].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert read_vectors([], 2)[0].shape == (0, 2)


def test_only_text_and_bytes() -> None:
    with pytest.raises(TypeError, match="str or bytes"):
        read_vectors([1.0], 1)  # type: ignore[list-item]
