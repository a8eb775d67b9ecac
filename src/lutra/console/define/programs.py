"""Where the programs that pages show find their server."""

from __future__ import annotations

from collections.abc import Mapping

from lutra.console.code import Place, of_schema
from lutra.console.request import ConsoleRequest
from lutra.model.indexes import IndexSchema
from lutra.model.schema import TableSchema


def place_of(asked: ConsoleRequest) -> Place:
    """The server by the address that the browser has it by."""
    url = asked.request.url
    return Place(f"{url.scheme}://{url.netloc}", asked.path["instance"])


def schema_code(asked: ConsoleRequest, table: TableSchema, indexes: Mapping[str, IndexSchema]) -> dict[str, str]:
    """Programs that create a table with its indexes, by language."""
    return of_schema(place_of(asked), table, indexes)
