"""What misspelt names were probably meant to be."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.model.suggestions import suggestion

NAMES = ["id", "title", "year", "embedding", "created_at", "Kind"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("titel", "; did you mean 'title'?"),
        ("yaer", "; did you mean 'year'?"),
        ("ID", "; did you mean 'id'?"),
        ("kind", "; did you mean 'Kind'?"),
        ("createdAt", "; did you mean 'created_at'?"),
        ("created-at", "; did you mean 'created_at'?"),
        ("embeding", "; did you mean 'embedding'?"),
        ("zzz", ""),
        ("", ""),
        (5, ""),
        (None, ""),
    ],
)
def test_what_is_like_a_known_name_was_meant(name: object, meant: str) -> None:
    assert suggestion(name, NAMES) == meant


def test_several_are_told_the_likest_first() -> None:
    assert suggestion("colour", ["color", "colours", "flour"]) == "; did you mean 'colours' or 'color'?"
    assert suggestion("a_b", ["ab", "a-b", "A_B", "AB"]) == "; did you mean 'ab' or 'a-b' or 'A_B'?"


@given(st.text(), st.lists(st.text()))
def test_only_known_names_are_suggested_and_never_the_name_itself(name: str, known: list[str]) -> None:
    text = suggestion(name, known)
    assert text == "" or any(repr(one) in text for one in known if one != name)


def test_among_too_many_names_none_is_looked_for() -> None:
    begun_s = time.process_time()
    assert suggestion("name5", (f"name{n}" for n in range(1_000_000))) == ""
    assert time.process_time() - begun_s < 30
