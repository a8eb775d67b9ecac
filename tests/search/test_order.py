"""Choosing the first documents against sorting them all, where there are enough for sampling to set in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.kernels.row_mask import RowMask
from lutra.scalars.strings import Strings
from lutra.search.level import Level
from lutra.search.order import after_marks, first, first_of
from lutra.search.scores import DocScores
from lutra.search.sorts.key import KeyLevel
from lutra.search.sorts.score import ScoreLevel
from lutra.search.sorts.values import NumberLevel, StringLevel

SIZE = 9_000


def view_of(strings: list[bytes]) -> Any:
    column = Strings()
    column.extend(strings)
    return column.view()


@settings(max_examples=60)
@given(
    st.integers(0, 2**32),
    st.sampled_from(["constant", "few", "many", "ascending", "descending"]),
    st.sampled_from([0, 1, 50, SIZE]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(1, 5_000),
)
def test_first(seed: int, shape: str, dead: int, descending: bool, long: bool, by_word: bool, count: int) -> None:
    rng = np.random.default_rng(seed)
    values = {
        "constant": np.zeros(SIZE, np.int64),
        "few": rng.integers(0, 3, SIZE),
        "many": rng.integers(-(2**63), 2**63 - 1, SIZE),
        "ascending": np.arange(SIZE),
        "descending": np.arange(SIZE)[::-1].copy(),
    }[shape]
    prefix = b"p" * 70 if long else b""
    keys = [prefix + b"%06d" % n for n in rng.permutation(SIZE).tolist()]
    mask = RowMask.all(SIZE).minus(rng.permutation(SIZE)[:dead])
    words = [b"", b"a", b"b" * 9]
    ordinals = rng.integers(0, 3, SIZE).astype(np.int32)
    has = rng.random(SIZE) < 0.9
    present = RowMask(has)
    by_field: Level = (
        StringLevel(view_of(words), ordinals, present, descending) if by_word else NumberLevel(values, None, descending)
    )
    levels = [by_field, KeyLevel(view_of(keys), descending)]

    def rank(doc: int) -> tuple[Any, ...]:
        if by_word:
            return (not has[doc], ordinals[doc] * (-1 if descending else 1) if has[doc] else 0)
        return (-int(values[doc]) if descending else int(values[doc]),)

    expected = sorted(mask.ids().tolist(), key=keys.__getitem__, reverse=descending)
    expected.sort(key=rank)
    chosen = first(levels, mask, count)
    assert chosen.tolist() == expected[:count]
    assert first_of(levels, mask.ids(), count).tolist() == expected[:count]
    if len(chosen):
        marks = [mark for level in levels for mark in level.marks(chosen[-1:])]
        assert after_marks(levels, marks, mask).ids().tolist() == sorted(expected[count:])


def test_scores_of_one_value_and_of_many() -> None:
    keys = KeyLevel(view_of([b"b", b"a", b"c"]), False)
    assert first([ScoreLevel(1.0, True, 3), keys], RowMask.all(3), 2).tolist() == [1, 0]
    docs = np.arange(3)
    for values, descending, count, expected in [
        ([0.5, 0.5, 2.0], True, 2, [2, 1]),
        ([0.5, 0.7, 2.0], False, 3, [0, 1, 2]),
    ]:
        by_score = ScoreLevel(DocScores(docs, np.array(values)), descending, 3)
        assert first_of([by_score, keys], docs, count).tolist() == expected


def test_no_documents() -> None:
    empty = view_of([])
    levels: list[Level] = [StringLevel(empty, np.empty(0, np.int32), None, False), KeyLevel(empty, False)]
    assert first(levels, RowMask.none(0), 3).tolist() == []
    lacking = StringLevel(empty, np.zeros(2, np.int32), RowMask.none(2), False)
    levels = [lacking, KeyLevel(view_of([b"b", b"a"]), False)]
    assert first(levels, RowMask.all(2), 1).tolist() == [1]
    assert after_marks(levels, [None, b"a"], RowMask.all(2)).ids().tolist() == [0]
    assert after_marks(levels, ["x", b"a"], RowMask.all(2)).ids().tolist() == [0, 1]


@pytest.mark.parametrize("count", [1, 3])
def test_sort_of_identical_long_keywords(count: int) -> None:
    words = view_of([b"x" * 80 + b"2", b"x" * 80 + b"1"])
    levels: list[Level] = [
        StringLevel(words, np.array([0, 1, 0, 1], np.int32), None, False),
        KeyLevel(view_of([b"d", b"c", b"b", b"a"]), False),
    ]
    assert first(levels, RowMask.all(4), count).tolist() == [3, 1, 2, 0][:count]


@pytest.mark.parametrize("descending", [False, True])
def test_few_of_many_long_strings(descending: bool) -> None:
    """Where all words agree, Python compares; a sample keeps that to few."""
    rng = np.random.default_rng(5)
    keys = [b"p" * 70 + b"%06d" % n for n in rng.permutation(SIZE).tolist()]
    words = [b"q" * 70 + b"%d" % n for n in range(5)]
    ordinals = rng.integers(0, 5, SIZE).astype(np.int32)
    levels: list[Level] = [
        StringLevel(view_of(words), ordinals, None, descending),
        KeyLevel(view_of(keys), descending),
    ]
    expected = sorted(range(SIZE), key=lambda doc: (words[ordinals[doc]], keys[doc]), reverse=descending)
    for count in (1, 20, SIZE - 1):
        assert first(levels, RowMask.all(SIZE), count).tolist() == expected[:count]
