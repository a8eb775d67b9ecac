"""Programs that make a given table with its indexes, or ask a given search, in the languages people use.

::

    of_schema(place, schema, {"search": index_schema})["java"]
    of_search(place, schema, "search", index_schema, request)["embedded"]

Whatever is said in a form of the console is said here in Python, Java, Go and Node.js by the official SDKs, and by the
embedded API. What an SDK has no words for, a comment in the program says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lutra.console.code.embedded import EmbeddedWriter
from lutra.console.code.golang import GoWriter
from lutra.console.code.java import JavaWriter
from lutra.console.code.node import NodeWriter
from lutra.console.code.python import PythonWriter
from lutra.console.code.writer import Place, Writer
from lutra.model.indexes import IndexSchema
from lutra.model.queries import SearchRequest
from lutra.model.schema import TableSchema

_WRITERS: Final[dict[str, type[Writer]]] = {
    "python": PythonWriter,
    "java": JavaWriter,
    "go": GoWriter,
    "node": NodeWriter,
    "embedded": EmbeddedWriter,
}
TITLES: Final = {
    "python": "Python",
    "java": "Java",
    "go": "Go",
    "node": "Node.js",
    "embedded": "Embedded Python",
}
"""The languages, in the order in which they are shown, and how they are called."""


def of_schema(place: Place, table: TableSchema, indexes: Mapping[str, IndexSchema]) -> dict[str, str]:
    """A program by language that creates the table with its secondary indexes, and ``indexes`` by their names."""
    return {language: writer(place).schema_program(table, indexes) for language, writer in _WRITERS.items()}


def of_search(
    place: Place, table: TableSchema, index: str, schema: IndexSchema, request: SearchRequest
) -> dict[str, str]:
    """A program by language that asks ``request`` of the table's search index ``index``, which has ``schema``.

    Its token, time-out and ``explain`` are left out: they are of one run. Where a language cannot say a part of the
    search, its program is a comment that tells which.
    """
    return {
        language: writer(place).search_program(table, index, schema, request) for language, writer in _WRITERS.items()
    }


__all__ = ["TITLES", "Place", "of_schema", "of_search"]
