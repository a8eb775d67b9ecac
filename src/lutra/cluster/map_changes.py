"""The next state of a cluster's map: each function takes one and returns another, or raises and nothing has changed.

They decide by names and ranges alone: that a schema is a good one is checked by who calls them. Most raise
ObjectNotExist where there is no such instance or table.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from itertools import pairwise

from lutra.cluster.map import (
    ClusterMap,
    IndexEntry,
    PartitionEntry,
    PartitionState,
    TableEntry,
    index_tables,
    new_partition_id,
)
from lutra.instance.registry import check_name
from lutra.model import limits
from lutra.model.errors import (
    MetaNotMatch,
    ObjectAlreadyExist,
    ObjectNotExist,
    OperationConflict,
    ParameterInvalid,
    QuotaExhausted,
)
from lutra.model.indexes import IndexSchema
from lutra.model.schema import IndexKind, SecondaryIndex, TableDescription, TableSchema
from lutra.model.values import ColumnType
from lutra.objects.name import is_part
from lutra.tables.refusals import no_index

# --- instances --------------------------------------------------------------------------------------------------------


def create_instance(of: ClusterMap, name: str) -> ClusterMap:
    """Raises ParameterInvalid for a bad name, ObjectAlreadyExist where there is one."""
    check_name(name)
    if of.has_instance(name):
        raise ObjectAlreadyExist(f"instance {name!r} already exists")
    return replace(of, instances=tuple(sorted((*of.instances, name))))


# --- tables -----------------------------------------------------------------------------------------------------------


def create_table(
    of: ClusterMap,
    instance: str,
    schema: TableSchema,
    now_us: int,
    partition_ids: Sequence[str],
    bounds: Sequence[bytes] = (),
    new_id: Callable[[], str] = new_partition_id,
) -> ClusterMap:
    """Adds a table, cut at the encoded partition keys ``bounds``, ascending, into as many partitions and one more.

    Its secondary indexes get their ids. Raises ObjectAlreadyExist, QuotaExhausted, ParameterInvalid.
    """
    of.require_instance(instance)
    if _is_taken(of, instance, schema.name):
        raise ObjectAlreadyExist("Requested table already exists.")
    if len(of.tables_of(instance)) >= limits.TABLES_PER_INSTANCE_MAX:
        raise QuotaExhausted("Number of tables exceeded the quota.")
    uid = of.next_uid
    names = [schema.name, *(index.name for index in schema.indexes)]
    for index in schema.indexes:
        if names.count(index.name) > 1 or _is_taken(of, instance, index.name):
            raise _index_exists(index.name)
    indexes = tuple(
        replace(index, includes_base=True, index_id=uid + number) for number, index in enumerate(schema.indexes, 1)
    )
    stream_created_us = 0 if schema.stream is None else now_us
    description = TableDescription(replace(schema, indexes=indexes), uid, now_us, now_us, stream_created_us)
    whole = PartitionEntry("", uid)
    table = TableEntry(instance, description, version=of.version + 1)
    return replace(
        of,
        next_uid=uid + 1 + len(indexes),
        tables=(*of.tables, table),
        partitions=(
            *of.partitions,
            *_cut(of, whole, schema, partition_ids, bounds, parents=()),
            *(PartitionEntry(new_id(), index.uid) for index in index_tables(table)),
        ),
    )


def change_table(of: ClusterMap, instance: str, name: str, changed: Callable[[TableEntry], TableEntry]) -> ClusterMap:
    """Replaces a table's entry by what ``changed`` makes of it. Raises what that raises."""
    old = of.table(instance, name)
    new = changed(old)
    if new == old:
        return of
    new = replace(new, version=of.version + 1)
    return replace(of, tables=tuple(new if table is old else table for table in of.tables))


def drop_table(of: ClusterMap, instance: str, name: str) -> ClusterMap:
    """Its partitions are DROPPED, and go when their objects have gone (`forget_partition`)."""
    gone = of.table(instance, name)
    uids = {gone.uid, *(index.uid for index in index_tables(gone))}
    return replace(
        of,
        tables=tuple(table for table in of.tables if table is not gone),
        partitions=_without_tables(of, uids),
    )


def _without_tables(of: ClusterMap, uids: Container[int]) -> tuple[PartitionEntry, ...]:
    """All partitions, those of these tables DROPPED."""
    return tuple(replace(each, state=PartitionState.DROPPED) if each.table in uids else each for each in of.partitions)


def add_secondary_index(
    of: ClusterMap, instance: str, table: str, index: SecondaryIndex, new_id: Callable[[], str] = new_partition_id
) -> ClusterMap:
    """Adds a secondary index, which gets its id, and a partition where it is global. Raises ObjectAlreadyExist."""
    of.table(instance, table)
    if _is_taken(of, instance, index.name):
        raise _index_exists(index.name)
    index = replace(index, index_id=of.next_uid)
    after = replace(of, next_uid=of.next_uid + 1)
    if index.kind is IndexKind.GLOBAL:
        after = replace(after, partitions=(*after.partitions, PartitionEntry(new_id(), index.index_id)))
    return change_table(after, instance, table, lambda old: _with_secondary(old, (*old.schema.indexes, index)))


def drop_secondary_index(of: ClusterMap, instance: str, table: str, name: str) -> ClusterMap:
    """Raises ObjectNotExist where the table has no such secondary index. Partitions of a global one are DROPPED."""
    uids = {index.index_id for index in of.table(instance, table).schema.indexes if index.name == name}
    of = replace(of, partitions=_without_tables(of, uids)) if uids else of

    def without(old: TableEntry) -> TableEntry:
        kept = tuple(index for index in old.schema.indexes if index.name != name)
        if len(kept) == len(old.schema.indexes):
            raise no_index(name, table)
        return _with_secondary(old, kept)

    return change_table(of, instance, table, without)


def _with_secondary(old: TableEntry, indexes: tuple[SecondaryIndex, ...]) -> TableEntry:
    return replace(old, description=replace(old.description, schema=replace(old.schema, indexes=indexes)))


def _is_taken(of: ClusterMap, instance: str, name: str) -> bool:
    """Whether a table of the instance or a secondary index has that name."""
    if of.has_table(instance, name):
        return True
    return any(index.name == name for table in of.tables_of(instance) for index in table.schema.indexes)


def _index_exists(name: str) -> ObjectAlreadyExist:
    return ObjectAlreadyExist(f"Requested index '{name}' already exists, or a table of that name.")


# --- search indexes ---------------------------------------------------------------------------------------------------


def create_index(
    of: ClusterMap, instance: str, table: str, name: str, schema: IndexSchema, now_us: int, source: str | None = None
) -> ClusterMap:
    """Adds a search index, one that may take the place of the index ``source``.

    Raises ObjectAlreadyExist, QuotaExhausted, MetaNotMatch where there is no ``source``, ParameterInvalid where that
    is one of two already.
    """

    def with_index(old: TableEntry) -> TableEntry:
        if old.index(name) is not None:
            raise ObjectAlreadyExist(f"search index [{name}] already exists")
        if len(old.indexes) >= limits.INDEXES_PER_TABLE_MAX:
            raise QuotaExhausted(f"table [{table}] has {len(old.indexes)} search indexes, no more are allowed")
        if source is not None:
            require_index(old, source)
            pair = index_pair(old, source)
            if pair is not None:
                raise ParameterInvalid(f"search index [{pair[0].name}] is re-indexed as [{pair[1].name}] already")
        created_us = now_us
        while any(index.created_us == created_us for index in old.indexes):
            created_us += 1
        return replace(old, indexes=(*old.indexes, IndexEntry(of.next_uid, name, schema, created_us, source)))

    return replace(change_table(of, instance, table, with_index), next_uid=of.next_uid + 1)


def change_index(
    of: ClusterMap, instance: str, table: str, name: str, changed: Callable[[IndexEntry], IndexEntry]
) -> ClusterMap:
    """Replaces a search index's entry by what ``changed`` makes of it. Raises MetaNotMatch, and what that raises."""

    def with_changed(old: TableEntry) -> TableEntry:
        was = require_index(old, name)
        new = changed(was)
        return replace(old, indexes=tuple(new if index is was else index for index in old.indexes))

    return change_table(of, instance, table, with_changed)


def drop_index(of: ClusterMap, instance: str, table: str, name: str) -> ClusterMap:
    """Raises MetaNotMatch, and ParameterInvalid where another index is there that may take its place."""

    def without(old: TableEntry) -> TableEntry:
        gone = require_index(old, name)
        pair = index_pair(old, name)
        if pair is not None and pair[0] is gone:
            raise ParameterInvalid(f"search index [{name}] is re-indexed as [{pair[1].name}]: delete that one first")
        return replace(old, indexes=tuple(index for index in old.indexes if index is not gone))

    return change_table(of, instance, table, without)


def switch_indexes(of: ClusterMap, instance: str, table: str, name: str, other_name: str) -> ClusterMap:
    """The two indexes of a re-indexing exchange their names. Raises MetaNotMatch, ParameterInvalid."""

    def switched(old: TableEntry) -> TableEntry:
        source, other = require_pair(old, name, other_name)
        exchanged = {
            source.uid: replace(source, name=other.name, source=source.name, weight=0),
            other.uid: replace(other, name=source.name, source=None, weight=0),
        }
        return replace(old, indexes=tuple(exchanged.get(index.uid, index) for index in old.indexes))

    return change_table(of, instance, table, switched)


def require_index(table: TableEntry, name: str) -> IndexEntry:
    """The search index of that name. Raises MetaNotMatch."""
    found = table.index(name)
    if found is None:
        raise MetaNotMatch(f"search index [{name}] does not exist")
    return found


def index_pair(table: TableEntry, name: str) -> tuple[IndexEntry, IndexEntry] | None:
    """The two indexes of a re-indexing of which one has that name: the source, and what may take its place."""
    for other in table.indexes:
        if other.source is not None and name in (other.name, other.source):
            source = table.index(other.source)
            return None if source is None else (source, other)
    return None


def require_pair(table: TableEntry, name: str, other_name: str) -> tuple[IndexEntry, IndexEntry]:
    """As `index_pair`, of these two. Raises MetaNotMatch, ParameterInvalid where they are not re-indexed."""
    require_index(table, name)
    require_index(table, other_name)
    pair = index_pair(table, name)
    if pair is None or {one.name for one in pair} != {name, other_name}:
        raise ParameterInvalid(f"search indexes [{name}] and [{other_name}] are not re-indexed, one as the other")
    return pair


# --- partitions -------------------------------------------------------------------------------------------------------


def plan_split(of: ClusterMap, partition_id: str, bounds: Sequence[bytes], ids: Sequence[str]) -> ClusterMap:
    """Adds partitions, as many as ``ids``, that are PLANNED to take the place of one, cut at the encoded ``bounds``.

    Raises OperationConflict where it serves no more, or is being split, ParameterInvalid for bounds that do not cut it.
    """
    parent = _serving(of, partition_id)
    _require_unsplit(of, partition_id)
    table = of.table_of(parent)
    assert table is not None  # what serves has a table
    children = _cut(of, parent, table.schema, ids, bounds, parents=(parent.id,))
    planned = (replace(child, state=PartitionState.PLANNED) for child in children)
    return replace(of, partitions=(*of.partitions, *planned))


def complete_split(of: ClusterMap, partition_id: str, ids: Sequence[str], since_us: int = 0) -> ClusterMap:
    """Has the partitions ``ids``, which were planned for that, take the place of one, which is RETIRED.

    ``since_us``: as `PartitionEntry` has it, `lutra.cluster.partition.streams.split_time_us` tells it.
    Raises OperationConflict where that serves no more, or they are planned no more.
    """
    parent = _serving(of, partition_id)
    planned = of.planned_of(partition_id)
    if [child.id for child in planned] != list(ids):
        raise OperationConflict(f"partition {partition_id} is not to be split so any more")
    return _with(
        of,
        replace(parent, state=PartitionState.RETIRED),
        *(replace(child, state=PartitionState.SERVING, since_us=since_us) for child in planned),
    )


def cancel_split(of: ClusterMap, partition_id: str) -> ClusterMap:
    """What was planned to take a partition's place is DROPPED; the same map where nothing is."""
    planned = of.planned_of(partition_id)
    return _with(of, *(replace(child, state=PartitionState.DROPPED) for child in planned)) if planned else of


def merge(of: ClusterMap, partition_ids: Sequence[str], new_id: str) -> ClusterMap:
    """Has one partition take the place of several that lie side by side, which are RETIRED.

    Raises OperationConflict where one serves no more, or is being split, ParameterInvalid where they do not lie so.
    """
    for each in partition_ids:
        _require_unsplit(of, each)
    parents = sorted(
        (_serving(of, each) for each in partition_ids), key=lambda partition: (partition.table, partition.begin)
    )
    if len(parents) < 2 or any(one.table != next_.table or one.end != next_.begin for one, next_ in pairwise(parents)):
        raise ParameterInvalid(f"partitions {', '.join(partition_ids)} do not lie side by side in one table")
    _require_new_ids(of, [new_id])
    merged = PartitionEntry(
        new_id, parents[0].table, parents[0].begin, parents[-1].end, parents=tuple(parent.id for parent in parents)
    )
    after = _with(of, *(replace(parent, state=PartitionState.RETIRED) for parent in parents))
    return replace(after, partitions=(*after.partitions, merged))


def drop_partition(of: ClusterMap, partition_id: str) -> ClusterMap:
    """A RETIRED partition is DROPPED: nobody needs it any more. Raises OperationConflict where it still serves."""
    old = _there(of, partition_id)
    if old.state not in (PartitionState.RETIRED, PartitionState.DROPPED):
        raise OperationConflict(f"partition {partition_id} still serves, or is to do so")
    return _with(of, replace(old, state=PartitionState.DROPPED))


def forget_partition(of: ClusterMap, partition_id: str) -> ClusterMap:
    """A DROPPED partition, whose objects are gone, is no more. Raises OperationConflict where it is not DROPPED."""
    old = _there(of, partition_id)
    if old.state is not PartitionState.DROPPED:
        raise OperationConflict(f"partition {partition_id} is not dropped")
    return replace(of, partitions=tuple(each for each in of.partitions if each is not old))


def _there(of: ClusterMap, partition_id: str) -> PartitionEntry:
    found = of.partition(partition_id)
    if found is None:
        raise ObjectNotExist(f"there is no partition {partition_id}")
    return found


def _serving(of: ClusterMap, partition_id: str) -> PartitionEntry:
    found = _there(of, partition_id)
    if found.state is not PartitionState.SERVING:
        raise OperationConflict(f"partition {partition_id} serves no more")
    return found


def _require_unsplit(of: ClusterMap, partition_id: str) -> None:
    if of.planned_of(partition_id):
        raise OperationConflict(f"partition {partition_id} is being split")


def _with(of: ClusterMap, *changed: PartitionEntry) -> ClusterMap:
    """These in the places of those of their ids; others stay as they are."""
    by_id = {each.id: each for each in changed}
    return replace(of, partitions=tuple(by_id.get(each.id, each) for each in of.partitions))


def _cut(
    of: ClusterMap,
    whole: PartitionEntry,
    schema: TableSchema,
    ids: Sequence[str],
    bounds: Sequence[bytes],
    parents: tuple[str, ...],
) -> list[PartitionEntry]:
    """Partitions that together are ``whole``. Raises ParameterInvalid."""
    if len(ids) != len(bounds) + 1:
        raise ParameterInvalid(f"{len(bounds)} bounds make {len(bounds) + 1} partitions, not {len(ids)}")
    _require_new_ids(of, ids)
    edges = [whole.begin, *bounds]
    for before, bound in pairwise(edges):
        if bound <= before or (whole.end is not None and bound >= whole.end) or not _is_partition_key(schema, bound):
            raise ParameterInvalid(f"the range of a partition cannot be cut at {bound.hex()!r}")
    ends = [*bounds, whole.end]
    return [
        PartitionEntry(each, whole.table, begin, end, parents=parents)
        for each, begin, end in zip(ids, edges, ends, strict=True)
    ]


def _require_new_ids(of: ClusterMap, ids: Sequence[str]) -> None:
    for each in ids:
        if not is_part(each) or of.partition(each) is not None or list(ids).count(each) > 1:
            raise ParameterInvalid(f"not the id of a new partition: {each!r}")


def _is_partition_key(schema: TableSchema, bound: bytes) -> bool:
    """Whether that is the first column of an encoded key, so that no partition key has rows on both of its sides."""
    if schema.key[0].type is ColumnType.INTEGER:
        return len(bound) == 8
    return len(schema.key) == 1 or bound.find(b"\0\0") == len(bound) - 2
