"""Values as text: what JSON has no word for, and vectors in the fewest digits."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import lutra
from lutra.transfer.texts import cell_text, json_text, vector_texts

_float32 = st.floats(width=32)


@given(st.lists(st.lists(_float32, min_size=2, max_size=2) | st.none(), max_size=5))
def test_vectors_come_back(rows: list[list[float] | None]) -> None:
    vectors = [None if row is None else np.array(row, dtype=np.float32) for row in rows]
    for text, vector in zip(vector_texts(vectors), vectors, strict=True):
        if vector is None:
            assert text is None
            continue
        elements = json.loads(text)
        assert not any(isinstance(one, int) for one in elements)
        again = np.array([float(one) for one in elements], dtype=np.float32)
        assert np.array_equal(again, vector, equal_nan=True)


def test_vectors_of_several_lengths() -> None:
    vectors = [np.zeros(1, dtype=np.float32), np.zeros(2, dtype=np.float32), "text"]
    assert vector_texts(vectors) == ["[0.0]", "[0.0, 0.0]", "text"]


def test_what_json_has_no_word_for() -> None:
    assert json_text(float("nan")) == '"nan"'
    assert json_text([b"\x00", lutra.GeoPoint(1, 2)]) == '["AA==", {"lat": 1, "lon": 2}]'
    assert cell_text(lutra.GeoPoint(1.5, -2.25)) == "1.5,-2.25"
    assert cell_text(True) == "true"
    assert cell_text(b"\x00") == "AA=="
