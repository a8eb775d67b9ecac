"""Whether two results are the same but for rounding."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any


def assert_same(actual: Any, expected: Any) -> None:
    """Floats within rounding; NaN is NaN."""
    if isinstance(expected, float) or isinstance(actual, float):
        if expected is None or actual is None or math.isnan(expected) or math.isnan(actual):
            assert repr(actual) == repr(expected)
        else:
            assert math.isclose(actual, expected, rel_tol=1e-12, abs_tol=1e-12), (actual, expected)
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected), (actual, expected)
        for one, other in zip(actual, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, dict):
        assert list(actual) == list(expected)
        for name in expected:
            assert_same(actual[name], expected[name])
    elif is_dataclass(expected) and not isinstance(expected, type):
        assert type(actual) is type(expected)
        for one in fields(expected):
            if one.name == "token":  # what it says is not told
                assert (actual.token is None) == (expected.token is None)
            elif one.compare:
                assert_same(getattr(actual, one.name), getattr(expected, one.name))
    else:
        assert actual == expected
