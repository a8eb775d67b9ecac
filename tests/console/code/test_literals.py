"""Strings in programs: none ends its literal, or its line, or shows as something else."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.console.code.literals import go_string, java_string, node_string, one_line, python_string

STRINGS = (python_string, java_string, go_string, node_string)
LITERAL = re.compile(r'"(?:[^"\\]|\\[nrt"\\]|\\u[0-9a-f]{4}|\\u\{[0-9a-f]+\}|\\U[0-9a-f]{8}|\\[0-7]{3})*"')


@pytest.mark.parametrize("write", STRINGS)
@given(text=st.text())
def test_a_literal_is_one_and_can_be_seen(write: Callable[[str], str], text: str) -> None:
    literal = write(text)
    assert LITERAL.fullmatch(literal)
    assert literal.isprintable()


@given(text=st.text())
def test_java_names_no_character_that_a_compiler_reads(text: str) -> None:
    for escaped in re.findall(r"(?<!\\)(?:\\\\)*\\u([0-9a-f]{4})", java_string(text)):
        assert int(escaped, 16) >= 0x100


@given(text=st.text())
def test_a_comment_is_one_line(text: str) -> None:
    assert one_line(text).isprintable()
