"""Errors that several modules raise, in the service's own words."""

from __future__ import annotations

from lutra.model.errors import ObjectNotExist, OperationConflict, ParameterInvalid


def no_table() -> ObjectNotExist:
    """There is no such table."""
    return ObjectNotExist("Requested table does not exist.")


def no_index(name: str, table: str) -> ObjectNotExist:
    """A table has no such secondary index."""
    return ObjectNotExist(f"Requested index '{name}' does not exist on table '{table}'.")


def being_modified() -> OperationConflict:
    """Others are at these rows."""
    return OperationConflict("Data is being modified by the other request.")


def too_many_rows(rows_max: int) -> ParameterInvalid:
    """A request brings or names more rows than it may."""
    return ParameterInvalid(f"Rows count exceeds the upper limit: {rows_max}.")
