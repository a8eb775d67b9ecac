"""Rows of global secondary indexes, sent to the owners of the indexes' partitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lutra.cluster.gateway.router import Failed, Router
from lutra.cluster.map import ClusterMap, PartitionEntry
from lutra.model.deadline import Deadline, working_for
from lutra.tables.incomingindex import IndexRow

_SEND_S: Final = 20.0
"""What is not stored by then is sent again: who sends it waits for nothing else meanwhile."""


class IndexRowSender:
    """A `lutra.cluster.outgoing.SendRows`."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def __call__(self, index_uid: int, rows: Sequence[IndexRow]) -> None:
        """Raises ObjectNotExist where the index is gone; ServerBusy, RequestTimeout, and what an owner raises: then
        some may be stored."""

        def find(known: ClusterMap, place: int) -> PartitionEntry:
            return known.partition_of(index_uid, rows[place].key)

        def given(_: PartitionEntry, places: list[int]) -> Sequence[Any]:
            return ([rows[place] for place in places],)

        with working_for(Deadline(_SEND_S, what="sending of index rows")):
            answers = self._router.on_places(len(rows), find, "apply_index_rows", given)
        for answer in answers:
            if isinstance(answer, Failed):
                raise answer.error
