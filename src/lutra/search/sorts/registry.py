"""Which function binds which kind of sorter: each says so itself, by `binds`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lutra.model.queries import PrimaryKeySort, Sorter
from lutra.model.registry import Registry
from lutra.search.binder import Binder
from lutra.search.mark import Mark
from lutra.search.sorts.ordering import Ordering

Bind = Callable[[Any, Binder], Ordering]

_BINDS: Registry[type, Bind] = Registry(lambda kind: f"sorter {kind.__name__} is not supported")

binds = _BINDS.serves
"""Makes a function the one that binds sorters of a class, which were checked (`check_sort` of definitions)."""


def bind_sorter(sorter: Sorter, binder: Binder) -> Ordering:
    """One sorter by itself. Raises ParameterInvalid."""
    return _BINDS.of(type(sorter))(sorter, binder)


def bind_sort(sort: Sequence[Sorter], binder: Binder) -> tuple[Ordering, ...]:
    """``sort``, checked before, up to its primary key, which settles all ties and is added where it is not there.

    Raises ParameterInvalid.
    """
    order = []
    for sorter in (*sort, PrimaryKeySort()):
        order.append(bind_sorter(sorter, binder))
        if order[-1].is_total:
            break
    return tuple(order)


def are_marks_of(order: Sequence[Ordering], marks: Sequence[Mark]) -> bool:
    """Whether ``marks``, from a token, are such as ``order`` gives."""
    return len(marks) == len(order) and all(ordering.fits(mark) for ordering, mark in zip(order, marks, strict=True))
