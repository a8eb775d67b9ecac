"""Queries as JSON, for what a client hands back: read by the annotations of their classes, so nothing else gets in.

A query is ``[its class, {field: value}]``, defaults left out; a tuple is a list, an array of float32
its bytes in base64; what else is no text, number or truth value says so: ``{kind: value}``.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import enum
import sys
import types
import typing
from functools import cache
from typing import Any, Final

import numpy as np

from lutra.model import nested, queries, scoring
from lutra.model.queries import Query

_SCOPE: Final = {**vars(scoring), **vars(nested), **vars(queries)}
"""What annotations of queries name, also where a module has it for type checks alone."""


def query_to_json(query: Query) -> Any:
    """What JSON holds for ``query``."""
    return _out(query)


def query_from_json(stored: Any) -> Query:
    """The inverse. Raises ValueError for what `query_to_json` did not make."""
    try:
        query: Query = _in(Query, stored)
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"this is no query: {error!r}") from None
    return query


def _out(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        given = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        changed = {
            one.name: _out(given[one.name])
            for one in dataclasses.fields(value)
            if one.default is dataclasses.MISSING or given[one.name] is not one.default
        }
        return [type(value).__name__, changed]
    if isinstance(value, np.ndarray):
        return base64.b64encode(np.ascontiguousarray(value, "<f4").tobytes()).decode()
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, dt.datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, tuple):
        return [_out(one) for one in value]
    if isinstance(value, enum.Enum):
        return {"enum": value.value}  # a text may stand in the same place
    return value


def _in(hint: Any, stored: Any) -> Any:
    """``stored`` as what ``hint`` says. Raises ValueError and the like."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _one_of(arguments, stored)
    if origin is tuple:
        if type(stored) is not list:
            raise ValueError("this is no list")
        return tuple(_in(arguments[0], one) for one in stored)
    if origin is np.ndarray:
        return np.frombuffer(base64.b64decode(stored, validate=True), "<f4").astype(np.float32)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        name, given = stored
        if name != hint.__name__:
            raise ValueError(f"{name!r} is another class")
        hints = _hints(hint)
        return hint(**{field: _in(hints[field], value) for field, value in given.items()})
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(stored["enum"])
    if hint is bytes:
        return base64.b64decode(stored["bytes"], validate=True)
    if hint is dt.datetime:
        return dt.datetime.fromisoformat(stored["datetime"])
    if hint is float and type(stored) is int:
        return stored
    if type(stored) is not hint:
        raise ValueError(f"{stored!r:.64} is no {hint}")
    return stored


def _one_of(hints: tuple[Any, ...], stored: Any) -> Any:
    for hint in hints:
        if hint is type(None):
            if stored is None:
                return None
            continue
        try:
            return _in(hint, stored)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            continue
    raise ValueError(f"{stored!r:.64} is none of {hints}")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, {**_SCOPE, **vars(sys.modules[kind.__module__])})
