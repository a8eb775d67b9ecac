"""How a partition is, as its owner tells it."""

from __future__ import annotations

from dataclasses import dataclass, field

from lutra.cluster.host import OwnedPartition
from lutra.cluster.wire import register
from lutra.instance.recall_sampler import Told
from lutra.model.errors import LutraError


@register
@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """``written``: the last of its changes, which is on the store. Of all its search indexes together: every change up
    to ``searchable`` is found, up to ``indexed`` also in segments of the kind their size calls for, up to ``persisted``
    is in segments, so that who opens it next reads the changelog from there on. -1: an index is being filled. Without
    an index all are ``written``. ``under_way``: calls at this moment. ``recall``: by search index, what was measured of
    the true neighbours that searches of this partition find (`lutra.instance.recall_sampler`).
    """

    id: str
    epoch: int
    written: int
    searchable: int
    indexed: int
    persisted: int
    under_way: int
    recall: dict[str, Told] = field(default_factory=dict)


@register
@dataclass(frozen=True, slots=True)
class UnopenedPartition:
    """One that its owner could not open ``tries`` times by now, the last time as ``error`` says: it goes on trying."""

    id: str
    tries: int
    error: str


def status_of(owned: OwnedPartition) -> PartitionStatus:
    """Asks nothing of the store."""
    written = owned.partition.space.changelog.last_sequence
    marks: list[tuple[int, int, int]] = []
    recall = {}
    for table, index in owned.instance.list_search_indexes():
        try:
            generations = owned.instance.index_generations(table, index)
        except LutraError:  # deleted meanwhile
            continue
        if owned.instance.recall is not None:
            recall[index] = owned.instance.recall.told(owned.instance.index_key(table, index))
        for found in (generation.watermarks for generation in generations):
            marks.append((found.searchable, found.indexed, found.persisted))
    if not marks:
        marks = [(written, written, written)]
    searchable, indexed, persisted = map(min, zip(*marks, strict=True))
    measured = {index: told for index, told in recall.items() if told}
    return PartitionStatus(
        owned.id, owned.epoch, written, searchable, indexed, persisted, owned.calls.under_way, measured
    )
