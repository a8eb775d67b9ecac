"""minimum_should_match in all its forms."""

from __future__ import annotations

import pytest

from lutra.model.errors import ParameterInvalid
from lutra.search.minimum import minimum_should_match


@pytest.mark.parametrize(
    ("spec", "clauses", "expected"),
    [
        (None, 4, 0),
        (0, 4, 0),
        (3, 4, 3),
        (5, 4, 5),
        (-1, 4, 3),
        (-9, 4, 0),
        ("2", 4, 2),
        (" 2 ", 4, 2),
        ("+2", 4, 2),
        ("-1", 4, 3),
        ("75%", 4, 3),
        ("75%", 5, 3),
        ("-25%", 5, 4),
        ("-25%", 3, 3),
        ("100%", 4, 4),
        ("-0%", 4, 4),
        ("0%", 4, 0),
        ("2<75%", 2, 2),
        ("2<75%", 4, 3),
        ("2 < 75%", 4, 3),
        ("3<-25% 9<-3", 3, 3),
        ("3<-25% 9<-3", 4, 3),
        ("3<-25% 9<-3", 9, 7),
        ("3<-25% 9<-3", 10, 7),
    ],
)
def test_counts(spec: int | str | None, clauses: int, expected: int) -> None:
    assert minimum_should_match(spec, clauses, alone=False) == expected
    assert minimum_should_match(spec, clauses, alone=True) == max(1, expected)


def test_nothing_to_match() -> None:
    assert minimum_should_match(None, 0, alone=True) == 0
    assert minimum_should_match(1, 0, alone=True) == 1


@pytest.mark.parametrize("spec", ["", "x", "2.5", "75 %", "2<", "<2", "2<x", "2<3<4", "9" * 20, "1" * 300, "2<75% x"])
def test_refuses(spec: str) -> None:
    with pytest.raises(ParameterInvalid, match="minimum_should_match"):
        minimum_should_match(spec, 4, alone=True)
