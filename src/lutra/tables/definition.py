"""A table's definition as the store holds it: JSON with a format version."""

from __future__ import annotations

import json
from typing import Any, Final

from lutra.model.errors import Corruption
from lutra.model.schema import (
    CapacityUnits,
    DeclaredField,
    DefinedColumn,
    Embedding,
    IndexKind,
    KeyColumn,
    SecondaryIndex,
    StreamSpec,
    TableDescription,
    TableOptions,
    TableSchema,
)
from lutra.model.values import ColumnType
from lutra.tables.gate import Gate
from lutra.tables.table import Table

_FORMAT: Final = 4
_FORMATS: Final = (1, 2, 3, _FORMAT)
"""1 is written where there never was a stream and no update_full_row is, 2 where there are no secondary indexes, 3
where no field is embedded: who knows no other can go back."""


def to_json(table: Table) -> bytes:
    """The stored form."""
    description = description_out(table.description)
    return json.dumps({**description, "instance": table.instance, "versions_ever": table.versions_ever}).encode()


def description_out(description: TableDescription) -> dict[str, Any]:
    """The description as JSON has it, with the format's version."""
    schema = description.schema
    return {
        "format": _format_of(description),
        "name": schema.name,
        "table_id": description.table_id,
        "created_us": description.created_us,
        "reserved_changed_us": description.reserved_changed_us,
        "key": [
            {"name": column.name, "type": column.type.value, "auto_increment": column.auto_increment}
            for column in schema.key
        ],
        "defined": [{"name": column.name, "type": column.type.value} for column in schema.defined],
        "options": {
            "ttl_s": schema.options.ttl_s,
            "max_versions": schema.options.max_versions,
            "max_deviation_s": schema.options.max_deviation_s,
            "allow_update": schema.options.allow_update,
            # Only where it holds: who reads format 1 knows no such name.
            **({"update_full_row": True} if schema.options.update_full_row else {}),
        },
        "reserved": {"read": schema.reserved.read, "write": schema.reserved.write},
        "splits": [value.hex() if isinstance(value, bytes) else value for value in schema.splits],
        "has_transactions": schema.has_transactions,
        "declared": [_declared_to_json(field) for field in schema.declared],
        **_stream_json(description),
        **({"indexes": [_index_to_json(index) for index in schema.indexes]} if schema.indexes else {}),
    }


def from_json(data: bytes) -> Table:
    """Raises Corruption where ``data`` is not what `to_json` wrote, or of a format this version does not know."""
    try:
        stored: dict[str, Any] = json.loads(data)
        return Table(stored["instance"], description_in(stored), stored["versions_ever"], Gate())
    except (ValueError, KeyError, TypeError) as error:
        raise Corruption(f"a table definition cannot be read: {error!r}") from error


def description_in(stored: dict[str, Any]) -> TableDescription:
    """Of what `description_out` gave. Raises Corruption for another format, ValueError, KeyError, TypeError else."""
    if stored["format"] not in _FORMATS:
        raise Corruption(f"a table definition has format {stored['format']!r}; this version reads {_FORMATS}")
    key = tuple(KeyColumn(c["name"], ColumnType(c["type"]), c["auto_increment"]) for c in stored["key"])
    schema = TableSchema(
        name=stored["name"],
        key=key,
        defined=tuple(DefinedColumn(c["name"], ColumnType(c["type"])) for c in stored["defined"]),
        options=TableOptions(**stored["options"]),
        reserved=CapacityUnits(**stored["reserved"]),
        # Tables of earlier versions have none.
        splits=tuple(
            bytes.fromhex(value) if key[0].type is ColumnType.BINARY else value for value in stored.get("splits", ())
        ),
        has_transactions=stored.get("has_transactions", True),
        declared=tuple(_declared_from_json(field) for field in stored.get("declared", ())),
        stream=_stream_spec(stored.get("stream")),
        indexes=tuple(_index_from_json(index) for index in stored.get("indexes", ())),
    )
    return TableDescription(
        schema,
        stored["table_id"],
        stored["created_us"],
        stored["reserved_changed_us"],
        stored.get("stream_created_us", 0),
    )


def _format_of(description: TableDescription) -> int:
    if any(field.embedding is not None for field in description.schema.declared):
        return _FORMAT
    if description.schema.indexes:
        return 3
    return 2 if description.stream_created_us or description.schema.options.update_full_row else 1


def _declared_to_json(field: DeclaredField) -> dict[str, Any]:
    of = field.embedding
    return {
        "name": field.name,
        "elements": None if field.elements is None else field.elements.value,
        # Only where there is one: older formats know no such name.
        **({} if of is None else {"embedding": {"source": of.source, "model": of.model}}),
    }


def _declared_from_json(stored: dict[str, Any]) -> DeclaredField:
    of = stored.get("embedding")
    return DeclaredField(
        stored["name"],
        None if stored["elements"] is None else ColumnType(stored["elements"]),
        None if of is None else Embedding(of["source"], of["model"]),
    )


def _stream_json(description: TableDescription) -> dict[str, Any]:
    if not description.stream_created_us:
        return {}
    spec = description.schema.stream
    stream = None
    if spec is not None:
        stream = {"expiration_h": spec.expiration_h, "original_columns": spec.original_columns}
    return {"stream": stream, "stream_created_us": description.stream_created_us}


def _stream_spec(stored: dict[str, Any] | None) -> StreamSpec | None:
    return None if stored is None else StreamSpec(stored["expiration_h"], tuple(stored["original_columns"]))


def _index_to_json(index: SecondaryIndex) -> dict[str, Any]:
    return {
        "name": index.name,
        "index_id": index.index_id,
        "key": index.key,
        "columns": index.columns,
        "kind": index.kind.name,
        "includes_base": index.includes_base,
    }


def _index_from_json(stored: dict[str, Any]) -> SecondaryIndex:
    return SecondaryIndex(
        stored["name"],
        tuple(stored["key"]),
        tuple(stored["columns"]),
        IndexKind[stored["kind"]],
        stored["includes_base"],
        stored["index_id"],
    )
