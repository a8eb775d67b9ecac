"""Which module binds which kind of query: each says so itself, by `binds`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lutra.model.queries import Query
from lutra.model.registry import Registry
from lutra.search.nodes.node import Clause

if TYPE_CHECKING:
    from lutra.search.binder import Binder

Bind = Callable[[Any, "Binder"], Clause]

_BINDS: Registry[type, Bind] = Registry(lambda kind: f"query type {kind.__name__.upper()} is not supported")

binds = _BINDS.serves
"""Makes a function the one that checks queries of a class: it raises ParameterInvalid, or gives the clause."""


def bind_of(query: Query) -> Bind:
    """The function for the kind of ``query``. Raises ParameterInvalid where there is none."""
    return _BINDS.of(type(query))
