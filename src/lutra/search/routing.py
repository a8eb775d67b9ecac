"""Searches among the rows of some routing values: rows of which the routing columns have these values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from lutra.index.lsm.view import IndexView
from lutra.kernels.row_mask import RowMask
from lutra.kv.store import prefix_end
from lutra.model.deadline import current_deadline
from lutra.model.errors import ParameterInvalid
from lutra.model.limits import ROUTING_VALUES_MAX
from lutra.model.rows import KeyInput
from lutra.model.values import KeyMarker, KeyValue, type_of
from lutra.segments.part import Part
from lutra.tables.keys import KeyCodec

_KEYS_AT_ONCE: Final = 4_096


def routed(view: IndexView, values: Sequence[KeyInput]) -> IndexView:
    """``view`` with the rows of ``values`` alone: each names the index's routing fields, or where it has none some of
    the primary key's columns, and what these hold.

    Where rows lie is not decided by routing, so it is a filter, and neighbours are those among the rows it leaves.
    Raises ParameterInvalid; RequestTimeout, StorageFailure, Corruption where keys have to be read.
    """
    if len(values) > ROUTING_VALUES_MAX:
        raise ParameterInvalid(f"the count of [routing_values] exceeds the max: {ROUTING_VALUES_MAX}")
    wanted = [_checked(view, value) for value in values]
    return view.within([_rows_of(view, part, wanted) for part in view.parts])


def _checked(view: IndexView, value: KeyInput) -> Mapping[str, KeyValue]:
    names = [name for name, _ in value]
    columns = [column.name for column in view.key_columns]
    routing = list(view.schema.routing_fields)
    if not names or (sorted(names) != sorted(routing) if routing else not set(names) <= set(columns)):
        raise ParameterInvalid(f"a routing value has the columns {names}, must have {routing or columns}")
    wanted = {name: part for name, part in value if not isinstance(part, KeyMarker)}
    types = {column.name: column.type for column in view.key_columns}
    if len(wanted) < len(names) or any(type_of(part) is not types[name] for name, part in wanted.items()):
        raise ParameterInvalid(f"a routing value must have one value, of the column's type, for each of {names}")
    return wanted


def _rows_of(view: IndexView, part: Part, values: Sequence[Mapping[str, KeyValue]]) -> RowMask:
    mask = RowMask.none(part.size)
    for value in values:
        current_deadline().check()
        mask = mask | _rows_of_one(view, part, value)
    return mask


def _rows_of_one(view: IndexView, part: Part, value: Mapping[str, KeyValue]) -> RowMask:
    wanted = dict(value)
    first: KeyInput = ()
    for column in view.key_columns:
        if column.name not in wanted:
            break
        first = (*first, (column.name, wanted.pop(column.name)))
    codec, mask = KeyCodec(b"", view.key_columns), part.live
    if len(first) == len(view.key_columns):
        _, equal = part.keys.compare(codec.encode(first))
        mask = mask & RowMask(equal)
    elif first:
        mask = mask & _beginning_with(part, codec.encode_first(first))
    return _having(view, mask, part, wanted) if wanted else mask


def _beginning_with(part: Part, prefix: bytes) -> RowMask:
    greater, equal = part.keys.compare(prefix)
    mask = RowMask(greater | equal)
    if prefix.strip(b"\xff"):
        beyond, at_end = part.keys.compare(prefix_end(prefix))
        mask = mask - RowMask(beyond | at_end)
    return mask


def _having(view: IndexView, mask: RowMask, part: Part, wanted: Mapping[str, KeyValue]) -> RowMask:
    """Documents of ``mask`` with these values in columns that keys do not begin with: keys are read one by one."""
    docs, found = mask.ids(), []
    for begin in range(0, len(docs), _KEYS_AT_ONCE):
        current_deadline().check()
        some = docs[begin : begin + _KEYS_AT_ONCE]
        for doc, encoded in zip(some.tolist(), part.keys.taken(some), strict=True):
            if wanted.items() <= dict(view.decode_key(encoded)).items():
                found.append(doc)
    return RowMask.of_rows(np.array(found, np.int64), part.size)
