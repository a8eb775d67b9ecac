"""Rows of a table as a file, made while it is sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import chain, islice
from typing import Final

from starlette.responses import Response, StreamingResponse

from lutra.console.grid_query import GridQuery
from lutra.console.pages.data import file_headers
from lutra.console.request import ConsoleRequest
from lutra.console.routing import page
from lutra.model.errors import ParameterInvalid, ServerBusy
from lutra.model.rows import KeyInput
from lutra.model.values import KeyMarker, KeyValue
from lutra.transfer.data_file import FORMATS
from lutra.transfer.exporter import Export

_AT_ONCE: Final = 4
_MEDIA_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
_room = threading.BoundedSemaphore(_AT_ONCE)


def export(asked: ConsoleRequest) -> Response:
    format_ = asked.query.get("format", "csv")
    if format_ not in FORMATS:
        raise ParameterInvalid(f"Rows are exported as {', '.join(FORMATS)}.")
    query = GridQuery.of(asked.query, asked.layout)
    wanted, problems = query.wanted(asked.table, asked.layout)
    for problem in problems.values():
        raise ParameterInvalid(problem)
    name = f"{asked.table.name}.{format_}"
    exported = Export(
        asked.table,
        name,
        format_,
        wanted.where,
        query.columns or None,
        start=_values(wanted.low),
        end=_values(wanted.high),
    )
    if not _room.acquire(blocking=False):
        raise ServerBusy(f"{_AT_ONCE} exports are under way: try again when one of them has ended.")
    try:
        # What is wrong with the first rows is told by a page: of a file that has begun, only its end can be missing.
        pieces = _begun(exported.pieces())
    except BaseException:
        _room.release()
        raise
    return StreamingResponse(_Held(pieces), headers=file_headers(name), media_type=_MEDIA_TYPES[format_])


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, of which the first is made."""
    return chain(list(islice(pieces, 1)), pieces)


def _values(bound: KeyInput | None) -> list[KeyValue] | None:
    """Of a bound, those before the lowest or highest of all."""
    values = [value for _, value in bound or () if not isinstance(value, KeyMarker)]
    return values or None


class _Held(Iterator[bytes]):
    """Pieces of an export, which has its room until the last of them, or until nobody wants more."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._has_room = True

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except BaseException:
            self._let_go()
            raise

    def __del__(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        if self._has_room:
            self._has_room = False
            _room.release()


ROUTES: Final = (page("/i/{instance}/t/{table}/export", export, name="export"),)
