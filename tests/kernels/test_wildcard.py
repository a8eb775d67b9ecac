"""Patterns against a plain model, and how long they may take."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.kernels.wildcard import ends_with, like, literal_prefix

strings = st.text(st.sampled_from("ab*?é梨\0👍"), max_size=8)


def is_like(string: str, pattern: str) -> bool:
    parts = {"*": ".*", "?": "."}
    return re.fullmatch("".join(parts.get(char) or re.escape(char) for char in pattern), string, re.DOTALL) is not None


@given(st.lists(strings, max_size=6), strings)
def test_like(texts: list[str], pattern: str) -> None:
    encoded = [text.encode() for text in texts]
    assert like(encoded, pattern.encode()).tolist() == [is_like(text, pattern) for text in texts]
    assert all(text.startswith(literal_prefix(pattern)) for text in texts if is_like(text, pattern))


@given(st.lists(strings, max_size=6), strings, st.integers(0, 7))
def test_ends_with(texts: list[str], suffix: str, count: int) -> None:
    encoded = [text.encode() for text in texts]
    assert ends_with(encoded, suffix.encode()).tolist() == [text.endswith(suffix) for text in texts]
    assert ends_with(encoded, suffix.encode(), count).tolist() == [text.endswith(suffix) for text in texts[:count]]


@pytest.mark.parametrize(
    ("pattern", "prefix"), [("", ""), ("ab", "ab"), ("a?b*", "a"), ("a*b?", "a"), ("*a", ""), ("é梨?", "é梨")]
)
def test_literal_prefix(pattern: str, prefix: str) -> None:
    assert literal_prefix(pattern) == prefix


@pytest.mark.timeout(60)
def test_no_pattern_takes_for_ever() -> None:
    """Each star tried against each place would take longer than there has been time."""
    assert like([b"a" * 4_096], b"*a" * 15 + b"*b").tolist() == [False]
    assert like([b"a" * 4_096] * 100, b"*a" * 16).tolist() == [True] * 100


def test_only_bytes() -> None:
    with pytest.raises(TypeError, match="bytes"):
        like(["a"], b"a")  # type: ignore[list-item]
