"""Addresses of the Internet: IP fields."""

from __future__ import annotations

from lutra.fields.scalar import ScalarKind
from lutra.model.indexes import FieldType
from lutra.model.values import ColumnType


class IpKind(ScalarKind):
    """IPv4 and IPv6 in one order; a network in CIDR notation is asked for as a value is."""

    type = FieldType.IP
    column_types = virtual_types = frozenset({ColumnType.STRING})
    is_ordered = True
    sort_type = str
