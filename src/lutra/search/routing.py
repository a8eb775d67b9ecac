"""Routing values of a search: which partitions of an index it is about. Here one partition has all rows."""

from __future__ import annotations

from collections.abc import Sequence

from lutra.index.lsm.view import IndexView
from lutra.model.errors import ParameterInvalid
from lutra.model.limits import ROUTING_VALUES_MAX
from lutra.model.rows import KeyInput
from lutra.model.values import KeyMarker, type_of


def check_routing(view: IndexView, values: Sequence[KeyInput]) -> None:
    """Each of ``values`` names the index's routing fields, or where it has none some of the primary key's columns, and
    what these hold. Raises ParameterInvalid.

    They filter nothing: a partition may have rows of other values, too, and who wants none of these asks for them by a
    query, as the SDKs' stores do. To filter by columns in the middle of keys would be to read all keys.
    """
    if len(values) > ROUTING_VALUES_MAX:
        raise ParameterInvalid(f"the count of [routing_values] exceeds the max: {ROUTING_VALUES_MAX}")
    for value in values:
        _check(view, value)


def _check(view: IndexView, value: KeyInput) -> None:
    names = [name for name, _ in value]
    columns = [column.name for column in view.key_columns]
    routing = list(view.schema.routing_fields)
    if not names or (sorted(names) != sorted(routing) if routing else not set(names) <= set(columns)):
        raise ParameterInvalid(f"a routing value has the columns {names}, must have {routing or columns}")
    wanted = {name: part for name, part in value if not isinstance(part, KeyMarker)}
    types = {column.name: column.type for column in view.key_columns}
    if len(wanted) < len(names) or any(type_of(part) is not types[name] for name, part in wanted.items()):
        raise ParameterInvalid(f"a routing value must have one value, of the column's type, for each of {names}")
