"""A search of a table as options say it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutra.cli.keys import key_of, names_of
from lutra.instance.expression import Column, Order, col
from lutra.instance.row import Row
from lutra.instance.table import Table
from lutra.instance.vector import Vector
from lutra.model.errors import ObjectNotExist, ParameterInvalid
from lutra.model.queries import SearchStats
from lutra.model.suggestions import suggestion
from lutra.transfer.where import parse_where_of
from lutra.transfer.written import numbers_in


@dataclass(frozen=True, slots=True)
class Asked:
    """What `lutra table search` was asked for."""

    text: str | None
    near: str | None
    picture: Path | None
    where: str | None
    vector: str | None
    like: Sequence[str]
    field: str | None
    text_field: str | None
    match: Any
    order_by: Sequence[str]
    limit: int
    offset: int
    min_score: float | None
    recall: float | None
    columns: str | None
    deadline_ms: int | None
    fresh: bool
    explain: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, and how."""

    rows: Sequence[Row]
    stats: SearchStats
    is_complete: bool


def searched(table: Table, asked: Asked) -> Found:
    """What is found. Raises ParameterInvalid, ObjectNotExist."""
    said = [
        option
        for option, value in (
            ("--near", asked.near),
            ("--picture", asked.picture),
            ("--vector", asked.vector),
            ("--like", asked.like or None),
        )
        if value is not None
    ]
    if len(said) > 1:
        raise ParameterInvalid(f"{' and '.join(said)} both say what rows are to be near to: give one")
    vector: Any = asked.picture if asked.near is None else asked.near
    if asked.vector is not None:
        vector = _vector(asked.vector)
    key = key_of(table, asked.like) if asked.like else None
    if key is not None:
        vector = _vector_of(table, key, asked.field)
    # The row itself is mostly the first, so that a page of the others begins and ends one later.
    first, wanted = (asked.offset, asked.limit) if key is None else (0, asked.offset + asked.limit + 1)
    try:
        results = table.search(
            vector,
            text=asked.text,
            where=None if asked.where is None else parse_where_of(asked.where, table),
            limit=wanted,
            field=asked.field if vector is not None else None,
            text_field=asked.text_field if asked.text is not None else None,
            match=asked.match,
            order_by=[_order(text) for text in asked.order_by],
            columns=names_of(asked.columns),
            min_score=asked.min_score,
            offset=first,
            deadline_ms=asked.deadline_ms,
            fresh=asked.fresh,
            recall=asked.recall,
            explain=asked.explain,
        )
    except ParameterInvalid as error:
        raise _by_options(table, error) from error
    rows = [row for row in results if row.key != key][asked.offset - first :]
    return Found(rows[: asked.limit], results.stats, results.is_complete)


def _by_options(table: Table, error: ParameterInvalid) -> ParameterInvalid:
    """What is wrong, told by options where the library names its parameters."""
    told = re.sub(r"\bsay (\w+)=", lambda named: f"say --{named[1].replace('_', '-')}", str(error))
    made = [name for name, of in table.fields.items() if isinstance(of, Vector) and of.embed is not None]
    if told.endswith("has no text field") and made:
        told += f" to find words in: --near looks in the vectors of {', '.join(made)}"
    return ParameterInvalid(told)


def _vector(text: str) -> list[float]:
    """As an option says it, or a file that the option names."""
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ParameterInvalid(f"--vector: {text[1:]} cannot be read: {error}") from None
    try:
        return numbers_in(text)
    except ValueError as error:
        raise ParameterInvalid(f"--vector: {error}") from None


def _vector_of(table: Table, key: tuple[Any, ...], field: str | None) -> Any:
    """That of a row."""
    names = [name for name, of in table.fields.items() if isinstance(of, Vector)]
    if field is not None and field not in names:
        raise ParameterInvalid(f"table {table.name!r} has no vector field {field!r}{suggestion(field, names)}")
    if field is None and len(names) != 1:
        told = f"several vector fields: say --field, one of {', '.join(names)}" if names else "no vector field"
        raise ParameterInvalid(f"table {table.name!r} has {told}")
    name = field or names[0]
    row = table.get(*key, columns=[name])
    if row is None:
        raise ObjectNotExist(f"table {table.name!r} has no row of key {', '.join(map(str, key))}")
    if name not in row:
        raise ParameterInvalid(f"the row of key {', '.join(map(str, key))} has no {name}")
    return row[name]


def _order(text: str) -> Column | Order:
    name, _, direction = text.rpartition(":")
    if direction in ("asc", "desc") and name:
        return col(name).desc() if direction == "desc" else col(name).asc()
    return col(text)
