"""How groups are sorted."""

from __future__ import annotations

from lutra.model import limits
from lutra.model.aggregations import GroupKeySort, GroupSorter, RowCountSort, SubAggregationSort
from lutra.model.errors import ParameterInvalid
from lutra.server.protocol.sorts.order import is_descending
from lutra.server.wire import aggregation_pb2 as wire


def parse_group_sort(message: wire.GroupBySort) -> tuple[GroupSorter, ...]:
    """Raises ParameterInvalid."""
    if len(message.sorters) > limits.GROUP_BY_SORTERS_MAX:
        raise ParameterInvalid(f"the count of a group-by's sorters exceeds the max: {limits.GROUP_BY_SORTERS_MAX}")
    return tuple(map(_parse_sorter, message.sorters))


def _parse_sorter(message: wire.GroupBySorter) -> GroupSorter:
    if message.HasField("group_key_sort"):
        return GroupKeySort(is_descending(message.group_key_sort, default=False))
    if message.HasField("row_count_sort"):
        return RowCountSort(is_descending(message.row_count_sort, default=True))
    if message.HasField("sub_agg_sort"):
        return SubAggregationSort(message.sub_agg_sort.sub_agg_name, is_descending(message.sub_agg_sort, default=False))
    raise ParameterInvalid("a sorter of a group-by is empty")
