"""Keys and names of columns as people type them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lutra.model.errors import ParameterInvalid
from lutra.model.values import AUTO_INCREMENT

if TYPE_CHECKING:
    from lutra.instance.table import Table


def names_of(columns: str | None) -> list[str] | None:
    """Of an option with commas."""
    return None if columns is None else [part.strip() for part in columns.split(",") if part.strip()]


def key_of(of: Table, parts: Sequence[str]) -> tuple[Any, ...]:
    """The values of the key columns. Raises ParameterInvalid."""
    from lutra.transfer.written import bytes_in, int_in

    if len(parts) != len(of.key):
        names = ", ".join(of.key)
        raise ParameterInvalid(f"table {of.name!r} has the key ({names}): a value for each is needed, not {len(parts)}")
    values: list[Any] = []
    for (name, kind), text in zip(of.key.items(), parts, strict=True):
        try:
            values.append(int_in(text) if kind in (int, AUTO_INCREMENT) else bytes_in(text) if kind is bytes else text)
        except ValueError as error:
            raise ParameterInvalid(f"key column {name!r}: {error}") from None
    return tuple(values)
