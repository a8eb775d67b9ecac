"""Which module knows which kind of sorter: each says so itself, by `knows`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, IndexSchema
from lutra.model.nested import NestedFilter
from lutra.model.queries import Sorter
from lutra.model.query_codec import query_from_json, query_to_json
from lutra.model.registry import Registry


class SorterKind(ABC):
    """One kind of sorter."""

    name: ClassVar[str]
    """As what is stored calls it."""
    orders_indexes: ClassVar[bool] = True
    """Whether an index can be sorted so: by what its rows are, not by what is asked about them."""

    def check(self, schema: IndexSchema, sorter: Any, space: str) -> None:  # noqa: B027  # most go with any schema
        """Raises ParameterInvalid where what an index of ``schema`` has cannot be put in that order: rows, or documents
        of the nested field at ``space``."""

    @abstractmethod
    def out(self, sorter: Any) -> dict[str, Any]:
        """What the sorter says, for JSON. Its names are not ``by`` or ``descending``, which all have."""

    @abstractmethod
    def read(self, stored: dict[str, Any], descending: bool) -> Sorter:
        """The inverse. Raises ValueError, KeyError, TypeError for anything else: it may be forged."""


_KINDS: Registry[type, SorterKind] = Registry(lambda kind: f"sorter {kind.__name__} is not supported")
_BY_NAME: dict[str, SorterKind] = {}
K = TypeVar("K", bound=type[SorterKind])


def knows(kind: type) -> Callable[[K], K]:
    """Makes a class the one for sorters of this kind."""

    def register(own: K) -> K:
        known = own()
        _KINDS.add(kind, known)
        _BY_NAME[known.name] = known
        return own

    return register


def check_sort(schema: IndexSchema, sort: Sequence[Sorter], space: str = "") -> None:
    """Raises ParameterInvalid where ``sort`` is too long, or does not fit a field.

    ``space``: of the nested field whose documents are sorted; empty: rows are.
    """
    if len(sort) > limits.SORTERS_MAX:
        raise ParameterInvalid(f"[sort] has at most {limits.SORTERS_MAX} sorters, not {len(sort)}")
    for sorter in sort:
        _KINDS.of(type(sorter)).check(schema, sorter, space)


def check_index_sort(schema: IndexSchema) -> None:
    """Raises ParameterInvalid where an index of ``schema`` cannot be sorted as that says."""
    if not all(_KINDS.of(type(sorter)).orders_indexes for sorter in schema.sort):
        raise ParameterInvalid("an index cannot be sorted by score or distance: use PrimaryKeySort or FieldSort")
    check_sort(schema, schema.sort)


def space_of(schema: IndexSchema, what: str, nested_filter: NestedFilter | None, space: str) -> str:
    """The nested field whose documents a sorter goes by, where it has a filter of such; else ``space``.

    Raises ParameterInvalid where that is none below ``space``.
    """
    if nested_filter is None:
        return space
    path = nested_filter.path
    if path not in schema.spaces or path == space or not path.startswith(f"{space}." if space else ""):
        within = f" below {space}" if space else ""
        raise ParameterInvalid(f"[{what}] nested_filter: path {path} is no nested field{within}")
    return path


def nested_filter_out(nested_filter: NestedFilter | None) -> dict[str, Any]:
    """What JSON holds for a filter, where there is one."""
    if nested_filter is None:
        return {}
    return {"nested_filter": [nested_filter.path, query_to_json(nested_filter.filter)]}


def nested_filter_in(stored: dict[str, Any]) -> NestedFilter | None:
    """The inverse. Raises ValueError, TypeError for what is none."""
    if "nested_filter" not in stored:
        return None
    path, query = stored["nested_filter"]
    if not isinstance(path, str):
        raise ValueError("path")
    return NestedFilter(path, query_from_json(query))


def field_of(schema: IndexSchema, what: str, name: str, space: str) -> FieldSchema:
    """The field ``name`` of what is sorted. Raises ParameterInvalid where there is none, as in ``what``."""
    field = schema.field_in(space, name)
    if field is not None:
        return field
    own = schema.space_of(name)
    if own is None:
        raise ParameterInvalid(f"[{what}] field: {name} does not exist")
    if own and own.startswith(f"{space}." if space else ""):
        raise ParameterInvalid(f"[{what}] field: {name} is in the nested field {own}: use a nested_filter of that path")
    raise ParameterInvalid(f"[{what}] field: {name} is not below the nested field {space}")


def sorter_out(sorter: Sorter) -> dict[str, Any]:
    """What JSON holds for ``sorter``."""
    kind = _KINDS.of(type(sorter))
    return {"by": kind.name, "descending": sorter.descending, **kind.out(sorter)}


def sorter_in(stored: Any) -> Sorter:
    """The inverse. Raises ValueError, KeyError, TypeError for what is no sorter."""
    descending = stored["descending"]
    if type(descending) is not bool:
        raise ValueError("descending")
    kind = _BY_NAME.get(stored["by"])
    if kind is None:
        raise ValueError(f"unknown sorter {stored['by']!r}")
    return kind.read(stored, descending)
