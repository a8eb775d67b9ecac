"""The Python code that the console writes: each program runs, and asks what it was to ask."""

from __future__ import annotations

import ast
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.asked_searches import created, meaning, search_asked, shape
from support.code_samples import (
    ASKED,
    BM25_FIELD,
    ENDING,
    MORE_SEARCHES,
    NASTY,
    NUMBERED_FIELDS,
    SCHEMA,
    SEARCHES,
    SORTED,
    STREAMED,
    TABLE,
)
from support.recording_proxy import RecordingProxy

from lutra.console.code import Place, of_schema, of_search
from lutra.console.code.literals import python_string
from lutra.model.indexes import IndexSchema
from lutra.model.queries import Exists, SearchRequest

UNSAYABLE = {
    "constant": "const score",
    "missing": "missing of field sort",
    "filtered": "a filter of what was found",
    "offset histogram": "offset of group by histogram",
    "min doc count": "min doc count of group by field",
}
SAYABLE = IndexSchema(
    (*(field for field in SCHEMA.fields if field not in NUMBERED_FIELDS), BM25_FIELD), routing_fields=("id",)
)


def run(program: str) -> None:
    exec(compile(program, "program", "exec"), {"__name__": "__main__"})


def test_the_table_and_its_indexes_are_made(proxy: RecordingProxy, place: Place) -> None:
    run(of_schema(place, TABLE, {"search": SAYABLE, "sorted": SORTED})["python"])
    table, indexes = created(proxy)
    assert table == dataclasses.replace(TABLE, has_transactions=table.has_transactions)
    assert {name: shape(one) for name, one in indexes.items()} == {"search": shape(SAYABLE), "sorted": shape(SORTED)}


def test_what_cannot_be_said_of_a_table_is_told(proxy: RecordingProxy, place: Place) -> None:
    program = of_schema(place, STREAMED, {"ending": ENDING, "numbered": SCHEMA})["python"]
    notes = [line for line in program.splitlines() if line.startswith("#")]
    assert notes == [
        "# Search index numbered is left out: the Python SDK 6.4.8 cannot say fields of type FUZZY_KEYWORD.",
        "# Without the stream, which the Python SDK 6.4.8 cannot say: set it afterwards.",
    ]
    run(program)
    table, indexes = created(proxy)
    assert table == dataclasses.replace(STREAMED, stream=None, has_transactions=table.has_transactions)
    assert {name: shape(one) for name, one in indexes.items()} == {"ending": shape(ENDING)}


@pytest.mark.parametrize("name", [*SEARCHES, *MORE_SEARCHES])
def test_each_search_is_asked_as_it_was_said(name: str, proxy: RecordingProxy, place: Place) -> None:
    request = (SEARCHES | MORE_SEARCHES)[name]
    program = of_search(place, ASKED, "search", SCHEMA, request)["python"]
    if name in UNSAYABLE:
        assert program == (f"# The Python SDK 6.4.8 cannot ask this search: it has no words for {UNSAYABLE[name]}.\n")
        return
    run(program)
    assert meaning(search_asked(proxy)) == meaning(request)


@given(st.text())
def test_a_string_is_what_it_was(text: str) -> None:
    literal = python_string(text)
    assert ast.literal_eval(literal) == text
    assert literal.isprintable()


@pytest.mark.parametrize("text", NASTY)
def test_names_stay_names(text: str) -> None:
    """As a name of a field a text ends neither the literal nor the line."""
    program = of_search(Place("http://x", "y"), TABLE, text, SCHEMA, SearchRequest(Exists(text)))["python"]
    names = [node.value for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Constant)]
    assert names.count(text) >= 2
