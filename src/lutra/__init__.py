"""Lutra: an open, self-hosted table store with vector search.

The public surface is what stands here; see :func:`connect` for where to begin.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lutra.backup.record import Backup
    from lutra.embedding.embedder import EmbeddingError, MultimodalEmbedder, PictureEmbedder, TextEmbedder
    from lutra.embedding.models import ModelName, model_names, open_model, register_model
    from lutra.instance.async_database import AsyncDatabase, connect_async, restore_async
    from lutra.instance.async_table import AsyncTable
    from lutra.instance.database import Database, connect
    from lutra.instance.embed_run import Unembedded
    from lutra.instance.expression import Column, Expression, Order, col
    from lutra.instance.field import FieldDeclaration, Stored
    from lutra.instance.first_rows import first_rows
    from lutra.instance.jsonable import to_jsonable
    from lutra.instance.nested import Nested, Object
    from lutra.instance.put_batches import Rejected
    from lutra.instance.restoring import restore
    from lutra.instance.results import Groups, Results, Totals
    from lutra.instance.row import Record, Row
    from lutra.instance.table import Table
    from lutra.instance.text import Text
    from lutra.instance.vector import Vector
    from lutra.model.errors import (
        ConditionCheckFail,
        Corruption,
        DirectoryInUse,
        Fenced,
        ForeignObjects,
        ForkedProcess,
        IndexDamaged,
        InvalidPrimaryKey,
        LutraError,
        ObjectAlreadyExist,
        ObjectNotExist,
        OperationConflict,
        Outdated,
        ParameterInvalid,
        QuotaExhausted,
        ReadOnlyDatabase,
        RequestTimeout,
        RowDamaged,
        ServerBusy,
        StorageFailure,
    )
    from lutra.model.geo import GeoPoint
    from lutra.model.values import AUTO_INCREMENT

__version__ = "0.1.0"

__all__ = [
    "AUTO_INCREMENT",
    "AsyncDatabase",
    "AsyncTable",
    "Backup",
    "Column",
    "ConditionCheckFail",
    "Corruption",
    "Database",
    "DirectoryInUse",
    "EmbeddingError",
    "Expression",
    "Fenced",
    "FieldDeclaration",
    "ForeignObjects",
    "ForkedProcess",
    "GeoPoint",
    "Groups",
    "IndexDamaged",
    "InvalidPrimaryKey",
    "LutraError",
    "ModelName",
    "MultimodalEmbedder",
    "Nested",
    "Object",
    "ObjectAlreadyExist",
    "ObjectNotExist",
    "OperationConflict",
    "Order",
    "Outdated",
    "ParameterInvalid",
    "PictureEmbedder",
    "QuotaExhausted",
    "ReadOnlyDatabase",
    "Record",
    "Rejected",
    "RequestTimeout",
    "Results",
    "Row",
    "RowDamaged",
    "ServerBusy",
    "StorageFailure",
    "Stored",
    "Table",
    "Text",
    "TextEmbedder",
    "Totals",
    "Unembedded",
    "Vector",
    "__version__",
    "col",
    "connect",
    "connect_async",
    "first_rows",
    "model_names",
    "open_model",
    "register_model",
    "restore",
    "restore_async",
    "to_jsonable",
]

_HOMES: Final = {
    "AUTO_INCREMENT": "lutra.model.values",
    "AsyncDatabase": "lutra.instance.async_database",
    "AsyncTable": "lutra.instance.async_table",
    "Backup": "lutra.backup.record",
    "Column": "lutra.instance.expression",
    "ConditionCheckFail": "lutra.model.errors",
    "Corruption": "lutra.model.errors",
    "Database": "lutra.instance.database",
    "DirectoryInUse": "lutra.model.errors",
    "EmbeddingError": "lutra.embedding.embedder",
    "Expression": "lutra.instance.expression",
    "Fenced": "lutra.model.errors",
    "FieldDeclaration": "lutra.instance.field",
    "ForeignObjects": "lutra.model.errors",
    "ForkedProcess": "lutra.model.errors",
    "GeoPoint": "lutra.model.geo",
    "Groups": "lutra.instance.results",
    "IndexDamaged": "lutra.model.errors",
    "InvalidPrimaryKey": "lutra.model.errors",
    "LutraError": "lutra.model.errors",
    "ModelName": "lutra.embedding.models",
    "MultimodalEmbedder": "lutra.embedding.embedder",
    "Nested": "lutra.instance.nested",
    "Object": "lutra.instance.nested",
    "ObjectAlreadyExist": "lutra.model.errors",
    "ObjectNotExist": "lutra.model.errors",
    "OperationConflict": "lutra.model.errors",
    "Order": "lutra.instance.expression",
    "Outdated": "lutra.model.errors",
    "ParameterInvalid": "lutra.model.errors",
    "PictureEmbedder": "lutra.embedding.embedder",
    "QuotaExhausted": "lutra.model.errors",
    "ReadOnlyDatabase": "lutra.model.errors",
    "Record": "lutra.instance.row",
    "Rejected": "lutra.instance.put_batches",
    "RequestTimeout": "lutra.model.errors",
    "Results": "lutra.instance.results",
    "Row": "lutra.instance.row",
    "RowDamaged": "lutra.model.errors",
    "ServerBusy": "lutra.model.errors",
    "StorageFailure": "lutra.model.errors",
    "Stored": "lutra.instance.field",
    "Table": "lutra.instance.table",
    "Text": "lutra.instance.text",
    "TextEmbedder": "lutra.embedding.embedder",
    "Totals": "lutra.instance.results",
    "Unembedded": "lutra.instance.embed_run",
    "Vector": "lutra.instance.vector",
    "col": "lutra.instance.expression",
    "connect": "lutra.instance.database",
    "connect_async": "lutra.instance.async_database",
    "first_rows": "lutra.instance.first_rows",
    "model_names": "lutra.embedding.models",
    "open_model": "lutra.embedding.models",
    "register_model": "lutra.embedding.models",
    "restore": "lutra.instance.restoring",
    "restore_async": "lutra.instance.async_database",
    "to_jsonable": "lutra.instance.jsonable",
}


# Loaded at their first use: every import of a room below (`lutra.model`, a worker's `lutra.kernels`) passes through
# here, and must not load the whole house.
def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'lutra' has no attribute {name!r}")
    value = getattr(_import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
