"""Which module binds which kind of query: each says so itself, by `binds`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Query
from lutra.search.nodes.node import Clause

if TYPE_CHECKING:
    from lutra.search.binder import Binder

Bind = Callable[[Any, "Binder"], Clause]
B = TypeVar("B", bound=Bind)

_BINDS: dict[type, Bind] = {}


def binds(kind: type) -> Callable[[B], B]:
    """Makes a function the one that checks queries of this kind: it raises ParameterInvalid, or gives the clause."""

    def register(bind: B) -> B:
        _BINDS[kind] = bind
        return bind

    return register


def bind_of(query: Query) -> Bind:
    """The function for the kind of ``query``. Raises ParameterInvalid where there is none."""
    bind = _BINDS.get(type(query))
    if bind is None:
        raise ParameterInvalid(f"query type {type(query).__name__.upper()} is not supported")
    return bind
