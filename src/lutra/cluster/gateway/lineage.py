"""The shards of a table's stream, which are its partitions: those that serve, and those whose rows they took over."""

from __future__ import annotations

from lutra.cluster.map import ClusterMap, PartitionEntry, PartitionState, TableEntry
from lutra.model.streams import StreamDescription, StreamShard


class Lineage:
    """Of one table's stream, by one map. What was planned and never served has no shard."""

    def __init__(self, known: ClusterMap, table: TableEntry) -> None:
        """``table`` has a stream."""
        self._table = table
        self._created_us = table.description.stream_created_us
        self._partitions = {one.id: one for one in known.partitions if one.table == table.uid}
        self._children: dict[str, list[PartitionEntry]] = {}
        for one in self._partitions.values():
            if one.state is not PartitionState.PLANNED and one.since_us:
                for parent in one.parents:
                    self._children.setdefault(parent, []).append(one)

    def description(self) -> StreamDescription:
        """The stream with all its shards, the oldest first."""
        stream_id, spec = self._table.description.stream_id, self._table.schema.stream
        assert stream_id is not None
        assert spec is not None
        there = [one for one in self._partitions.values() if self.has(one)]
        there.sort(key=lambda one: (one.since_us, one.begin))
        ids = {one.id for one in there}
        shards = tuple(
            StreamShard(self._shard_id(one.id), tuple(self._shard_id(each) for each in one.parents if each in ids))
            for one in there
        )
        return StreamDescription(stream_id, shards, self._table.name, self._created_us, spec)

    def of_shard(self, shard_id: str) -> PartitionEntry | None:
        """The partition whose shard that is; None where there is no such shard."""
        partition_id, _, created_us = shard_id.partition("-")
        found = self._partitions.get(partition_id)
        return found if found is not None and created_us == str(self._created_us) and self.has(found) else None

    def has(self, partition: PartitionEntry) -> bool:
        """Whether it serves, or served when the stream was there."""
        if partition.state is PartitionState.SERVING:
            return True
        end_us = self.end_us(partition)
        return end_us is not None and end_us >= self._created_us

    def end_us(self, partition: PartitionEntry) -> int | None:
        """The time of the last record that may be in its shard; None where that has not ended."""
        if partition.state is PartitionState.SERVING:
            return None
        return max((child.since_us for child in self._children.get(partition.id, ())), default=None)

    def reader(self, partition: PartitionEntry) -> PartitionEntry | None:
        """The partition that has the records of a shard: itself, or one that descends from it; None where none does."""
        found: PartitionEntry | None = partition
        while found is not None and found.state is not PartitionState.SERVING:
            found = min(self._children.get(found.id, ()), key=lambda child: child.begin, default=None)
        return found

    def _shard_id(self, partition_id: str) -> str:
        return f"{partition_id}-{self._created_us}"
