"""Asks the owners of partitions, whoever they are by now.

What surely was not done is tried again, with a map and leases that were read since: a partition that is split, handed
over or taken over is away for moments, or for seconds, which a request waits within its deadline. What may have been
done is repeated only where that changes nothing: a write whose owner did not answer is told as such.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from lutra.cluster.errors import AWAY, Moved, PeerLost, PeerUnreachable
from lutra.cluster.gateway.patience import Tries, WaitingRoom
from lutra.cluster.gateway.views import MapView, OwnerView
from lutra.cluster.host import PartitionHost
from lutra.cluster.map import ClusterMap, PartitionEntry
from lutra.cluster.methods import PeerLane
from lutra.cluster.partition_methods import PARTITION_METHODS, peer_method, perform
from lutra.cluster.peers import Peers
from lutra.model.deadline import current_deadline
from lutra.model.errors import (
    LutraError,
    OutcomeUnknown,
    RequestTimeout,
    ServerBusy,
)

_log = logging.getLogger(__name__)

Find = Callable[[ClusterMap], tuple[PartitionEntry, Sequence[Any]]]
"""The partition that is meant, by a map, and what its owner is told. Raises ObjectNotExist where there is none."""
FindTable = Callable[[ClusterMap], int]
"""The uid of the table that is meant, by a map: another may have got its name. Raises ObjectNotExist."""


class FindEach(Protocol):
    """As `Find`, of what is at some place of a list."""

    def __call__(self, known: ClusterMap, place: int) -> PartitionEntry: ...


class Failed(NamedTuple):
    """In place of what an owner said of some keys: what became of the call for them."""

    error: LutraError


_TRY_S: Final = {PeerLane.POINT: 5.0, PeerLane.WRITE: 10.0}
"""So long an owner may take before it is looked whether another is it: one that hangs does not hold a request up to its
deadline. What reads much may take as long as the request has."""


class Router:
    """Of one node. Thread-safe."""

    def __init__(self, maps: MapView, owners: OwnerView, peers: Peers, host: PartitionHost | None = None) -> None:
        """``host``: the node's own partitions, which are called without a connection."""
        self.maps = maps
        self._owners = owners
        self._peers = peers
        self._host = host
        self.room = WaitingRoom()
        """To look at."""
        self.retries = 0
        """Calls that were made again, about. To look at."""

    def on_found(self, find: Find, method: str) -> tuple[PartitionEntry, Any]:
        """What the owner says of the partition that ``find`` finds in each map that is looked at, and which that was.

        Raises what the owner raises, ObjectNotExist where the table is gone, ServerBusy where nobody can be asked,
        OutcomeUnknown where a write may have been done.
        """
        tries = self.tries()
        entry, arguments = self.maps.found(find)
        while True:
            try:
                return entry, self._ask(entry.id, method, arguments, tries.since_s)
            except AWAY as error:
                self._look_again(tries, [entry.id], error)
                entry, arguments = find(self.maps.known)

    def tries(self) -> Tries:
        """Of one request, which may be made again."""
        return Tries(self.room, self.maps)

    def on_each(
        self,
        table: FindTable,
        method: str,
        arguments: Sequence[Any] | Callable[[PartitionEntry], Sequence[Any]] = (),
        begin: bytes = b"",
        end: bytes | None = None,
        *,
        keeps_errors: bool = False,
    ) -> list[tuple[PartitionEntry, Any]]:
        """What all owners of [begin, end) say, asked at once, by their ranges, which cover it.

        ``arguments``: for all, or made for each. Raises as `on_found`, the first error by the ranges; where it
        ``keeps_errors``, they stand in the places of answers as `Failed`. Not to be called by what is called by it.
        """
        done: list[tuple[PartitionEntry, Any]] = []
        left = [(begin, end)]
        tries = self.tries()
        while left:
            entries = self.maps.found(partial(_between, table, left))
            given = [arguments(entry) if callable(arguments) else arguments for entry in entries]
            asks = [
                partial(self._ask, entry.id, method, each, tries.since_s)
                for entry, each in zip(entries, given, strict=True)
            ]
            answers = self._peers.run_many(asks, _kind(method))
            missed: list[PartitionEntry] = []
            why: LutraError | None = None
            for entry, answer in zip(entries, answers, strict=True):
                if isinstance(answer, AWAY):
                    missed.append(entry)
                    why = answer
                elif isinstance(answer, LutraError):
                    if not keeps_errors:
                        raise answer
                    done.append((entry, Failed(answer)))
                else:
                    done.append((entry, answer))
            left = [(max(begin, entry.begin), _lower(end, entry.end)) for entry in missed]
            if why is not None:
                try:
                    self._look_again(tries, [entry.id for entry in missed], why)
                except (ServerBusy, RequestTimeout) as error:
                    if not keeps_errors:
                        raise
                    done += [(entry, Failed(error)) for entry in missed]
                    break
        return sorted(done, key=lambda one: one[0].begin)

    def on_partitions(self, method: str, arguments: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        """What the owners of partitions say, by their ids, asked at once and once only; errors are in their places.

        Among them Moved, PeerUnreachable and PeerLost. Not to be called by what is called by it.
        """
        asks = [partial(self._ask, partition_id, method, given, None) for partition_id, given in arguments.items()]
        return dict(zip(arguments, self._peers.run_many(asks, _kind(method)), strict=True))

    def tell_each(self, partition_ids: Sequence[str], method: str) -> None:
        """Has the owners of these partitions, which may be in the map no more, do something, where they can be asked.

        Not to be called by what is called by it.
        """
        tells = [partial(self._tell, each, method) for each in partition_ids]
        for answer in self._peers.run_many(tells, _kind(method)):
            if isinstance(answer, LutraError):
                _log.warning("the owner of a partition could not be told: %s", answer)

    def on_places(
        self,
        count: int,
        find: FindEach,
        method: str,
        arguments: Callable[[PartitionEntry, list[int]], Sequence[Any]],
        check: Callable[[], None] | None = None,
    ) -> list[Any]:
        """For each of ``count`` places what its owner says of it; those of one owner are asked of together.

        ``arguments``: for the owner of a partition, of these places, ascending; its answer is a list, one for each.
        Where that raises, the `Failed` of it stands in all of these places. Not to be called by what is called by it.
        ``check``: raises where nobody is to be asked; called before several are, or where some places have no table:
        else the only owner sees all there is.
        """
        results: list[Any] = [None] * count
        pending = list(range(count))
        began_s = time.monotonic()
        tries = self.tries()
        while pending:
            groups = self._grouped(find, pending, results, began_s)
            if check is not None and (len(groups) > 1 or len(pending) > sum(len(places) for _, places in groups)):
                check()
                check = None
            asks = [
                partial(self._ask, entry.id, method, arguments(entry, places), tries.since_s)
                for entry, places in groups
            ]
            pending, missed = [], []
            why: LutraError | None = None
            for (entry, places), answer in zip(groups, self._peers.run_many(asks, _kind(method)), strict=True):
                if isinstance(answer, AWAY):
                    pending += places
                    missed.append(entry.id)
                    why = answer
                    continue
                failed = Failed(answer) if isinstance(answer, LutraError) else None
                for number, place in enumerate(places):
                    results[place] = failed or answer[number]
            pending.sort()
            if why is not None:
                try:
                    self._look_again(tries, missed, why)
                except LutraError as error:
                    for place in pending:
                        results[place] = Failed(error)
                    break
        return results

    def _grouped(
        self, find: FindEach, places: Sequence[int], results: list[Any], began_s: float
    ) -> list[tuple[PartitionEntry, list[int]]]:
        """Places by the partition that has them; where there is no table, that is the result."""
        groups: dict[str, tuple[PartitionEntry, list[int]]] = {}
        for place in places:
            try:
                entry = self.maps.found(partial(find, place=place), began_s)
            except LutraError as error:
                results[place] = Failed(error)
                continue
            groups.setdefault(entry.id, (entry, []))[1].append(place)
        return list(groups.values())

    def _look_again(self, tries: Tries, partition_ids: Sequence[str], error: LutraError) -> None:
        """As `Tries.again`, counted."""
        self.retries += 1
        tries.again(partition_ids, error)

    def _tell(self, partition_id: str, method: str) -> None:
        try:
            self._ask(partition_id, method, (), None)
        except (Moved, PeerUnreachable):
            with suppress(Moved, PeerUnreachable):  # nobody has it
                self._ask(partition_id, method, (), time.monotonic())

    def _ask(self, partition_id: str, name: str, arguments: Sequence[Any], since_s: float | None) -> Any:
        """One try. Raises Moved or PeerUnreachable where surely nothing was done, PeerLost where a read was lost."""
        method = PARTITION_METHODS[name]
        moved: Moved | None = None
        if self._host is not None:
            try:
                return perform(self._host, partition_id, name, arguments)
            except Moved as error:
                moved = error
        address = self._owners.address(partition_id, since_s)
        if address is None:
            raise moved or Moved(f"no node has partition {partition_id}")
        payload = [partition_id, name, method.arguments.pack(arguments)]
        try:
            answer = self._peers.call(address, peer_method(method.lane), payload, timeout_s=_TRY_S.get(method.lane))
        except PeerLost as error:
            if not method.is_safe:
                raise OutcomeUnknown("The owner of the data did not answer: it may have made the change.") from error
            raise
        except RequestTimeout as error:
            if not method.is_safe or method.lane not in _TRY_S or current_deadline().is_over:
                raise
            raise PeerLost(f"node {address} took too long in {name}") from error
        return method.result.unpack(answer)


def _between(table: FindTable, ranges: Sequence[tuple[bytes, bytes | None]], known: ClusterMap) -> list[PartitionEntry]:
    """The partitions of a table that have something of these ranges."""
    uid = table(known)
    return [entry for begin, end in ranges for entry in known.partitions_of(uid, begin, end)]


def _kind(method: str) -> str:
    return PARTITION_METHODS[method].lane.value


def _lower(one: bytes | None, other: bytes | None) -> bytes | None:
    """The lower of two ends, of which None is none."""
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
