"""Byte strings as words against plain comparison of bytes."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from lutra.scalars.strings import Strings

PIECES = st.sampled_from([b"", b"\0", b"a", b"ab", b"\xff", b"a" * 7, b"b" * 8, b"c" * 63, b"c" * 64, b"d" * 70])
STRING = st.lists(PIECES, max_size=3).map(b"".join)


def filled(*batches: list[bytes]) -> Strings:
    strings = Strings()
    for batch in batches:
        strings.extend(batch)
    return strings


@given(st.lists(STRING), st.lists(STRING), STRING)
@example([b"a"], [b"a\0"], b"a")
@example([b"c" * 64, b"c" * 65], [], b"c" * 64)
def test_compare(first: list[bytes], second: list[bytes], value: bytes) -> None:
    view = filled(first, second).view()
    greater, equal = view.compare(value)
    assert greater.tolist() == [s > value for s in first + second]
    assert equal.tolist() == [s == value for s in first + second]


@given(st.lists(STRING), STRING)
@example([b"a"], b"a\0")
@example([b"a" * 9, b"a" * 8], b"a" * 9)
def test_starts_with(strings: list[bytes], prefix: bytes) -> None:
    assert filled(strings).view().starts_with(prefix).tolist() == [s.startswith(prefix) for s in strings]


@given(st.lists(STRING))
def test_order(strings: list[bytes]) -> None:
    view = filled(strings).view()
    assert [strings[i] for i in view.order().tolist()] == sorted(strings)
    ranks = view.tie_ranks(np.arange(len(strings))).tolist()
    assert [ranks[i] < ranks[j] for i in range(len(strings)) for j in range(i)] == [
        strings[i] < strings[j] for i in range(len(strings)) for j in range(i)
    ]


def test_view_stays_as_it_was() -> None:
    strings = filled([b"b", b"a"])
    view = strings.view()
    strings.extend([b"c" * 100] * 100)
    assert view.size == 2
    greater, equal = view.compare(b"a")
    assert greater.tolist() == [True, False]
    assert equal.tolist() == [False, True]
    assert view.exact
    assert not strings.view().exact


def test_kept() -> None:
    strings = filled([b"b", b"a", b"c"])
    assert strings.kept(np.array([2, 0])).view().strings == [b"c", b"b"]
