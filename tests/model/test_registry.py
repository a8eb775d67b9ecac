"""What serves which kind: registered once, found by kind, and refused by name where there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lutra.model.errors import ParameterInvalid
from lutra.model.registry import Registry


def test_what_registered_is_found_by_its_kind() -> None:
    doubled: Registry[type, Callable[[int], int]] = Registry(lambda kind: f"{kind.__name__} is not supported")

    @doubled.serves(int)
    def double(value: int) -> int:
        return 2 * value

    assert doubled.of(int) is double
    assert double(21) == 42  # the decorator changes nothing
    with pytest.raises(ParameterInvalid, match="str is not supported"):
        doubled.of(str)


def test_nothing_takes_the_place_of_what_registered() -> None:
    names: Registry[int, str] = Registry(str)
    names.add(1, "one")
    with pytest.raises(AssertionError, match="1 is served already"):
        names.add(1, "uno")
    assert names.of(1) == "one"
