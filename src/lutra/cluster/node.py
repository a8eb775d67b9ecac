"""A node of a cluster, all of it but the port it is asked on: leases, partitions, what other nodes ask, the gateway."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from lutra.cluster.controller import Controller, ControllerSettings
from lutra.cluster.errors import Moved
from lutra.cluster.gateway.engine import GatewayEngine
from lutra.cluster.gateway.index_rows import IndexRowSender
from lutra.cluster.gateway.router import Router
from lutra.cluster.gateway.views import MapView, OwnerView
from lutra.cluster.host import OwnedPartition, PartitionHost
from lutra.cluster.identity import make_identity
from lutra.cluster.lease_records import require_node_name
from lutra.cluster.map import ClusterMap, PartitionEntry, TableEntry
from lutra.cluster.map_log import MapLog
from lutra.cluster.methods import Methods, PeerLane
from lutra.cluster.node_loops import Loop, Together
from lutra.cluster.partition_leases import PartitionLeases
from lutra.cluster.partition_methods import add_partition_methods
from lutra.cluster.partition_status import UnopenedPartition, status_of
from lutra.cluster.peers import Call, Peers
from lutra.cluster.process import Process
from lutra.cluster.splits.policy import AutoSplits, SplitPolicy
from lutra.cluster.splits.retirement import Retirement
from lutra.cluster.splits.splitting import Splitter, settle
from lutra.cluster.status import SPLIT_METHOD, STATUS_METHOD, NodeReport
from lutra.feed.crews import Crews
from lutra.index.builds.opening import LOCAL
from lutra.index.lsm.resources import Resources
from lutra.instance.defaults import MEMORY_BYTES_DEFAULT
from lutra.instance.memory_keeper import MemoryKeeper
from lutra.instance.memory_plan import MemoryPlan
from lutra.instance.process_memory import resident_bytes
from lutra.instance.recall_sampler import IndexKey, RecallSampler
from lutra.kv.store import Estimate
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import LutraError, PartitionUnopened, StorageFailure
from lutra.model.queries import SearchRequest
from lutra.objects.opening import open_store
from lutra.objects.store import ObjectStore
from lutra.search.nodes.knn import Sampled

LOOK_METHOD: Final = "node/look"
_SPLITS_S: Final = 10.0
_RETIREMENT_S: Final = 30.0
_BEATS_PER_TTL: Final = 4
_STEPS_PER_TTL: Final = 4
_OPENINGS_AT_ONCE: Final = 4
_LEASE_REQUESTS_AT_ONCE: Final = 16
_LEAVE_S: Final = 30.0
"""Handing over may take so long; what is left then is taken over as from a node that died."""
_NUDGE_S: Final = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """``store``: where the cluster is, a folder or ``s3://bucket/prefix``. ``scratch``: a local folder for builds.

    ``memory_bytes``, ``build_memory_bytes``, ``builders``, ``memory_limit_bytes``: as
    `lutra.instance.engine.Engine.open` takes them.
    """

    store: str
    name: str
    scratch: Path
    memory_bytes: int | None = None
    build_memory_bytes: int | None = None
    builders: str = LOCAL
    memory_limit_bytes: int | None = None
    capacity: int = 1
    leases: ControllerSettings = field(default_factory=ControllerSettings)
    splits: SplitPolicy = field(default_factory=SplitPolicy)
    recall_sample: float = 0.0
    """Share of searches for neighbours whose recall is measured (`lutra.instance.recall_sampler`)."""


def _resources(options: NodeOptions) -> tuple[Resources, MemoryPlan | None]:
    """What all partitions share, and how memory is shared out where there is a limit. Raises as `Resources.open`."""
    if options.memory_limit_bytes is None:
        segments_bytes = MEMORY_BYTES_DEFAULT if options.memory_bytes is None else options.memory_bytes
        opened = Resources.open(
            options.store,
            options.scratch,
            segments_bytes,
            build_memory_bytes=options.build_memory_bytes,
            builders=options.builders,
        )
        return opened, None
    plan = MemoryPlan.of(
        options.memory_limit_bytes,
        resident_bytes(),
        segments_bytes=options.memory_bytes,
        build_bytes=options.build_memory_bytes,
    )
    return plan.resources(options.store, options.scratch, builders=options.builders), plan


class Node:
    """Thread-safe. `start` it when it can be reached, `leave` while it still can, `close` it in the end."""

    def __init__(self, options: NodeOptions, clock: Clock | None = None) -> None:
        """Reads who the cluster is, and makes it where there is none. Raises ParameterInvalid, StorageFailure,
        Corruption."""
        require_node_name(options.name)
        self.options = options
        self._clock = clock or SystemClock()
        self.store = open_store(options.store)
        self.identity, self.is_new = make_identity(self.store)
        """``is_new``: this node made the cluster."""
        self.maps = MapLog(self.store)
        opened, plan = _resources(options)
        self._crews = Crews()
        self.resources = replace(opened, crews=self._crews)
        self.memory = MemoryKeeper(self.resources, plan)
        """What all of it takes. To look at."""
        self.recall = RecallSampler(options.recall_sample, self._shadowed)
        """What searches of partitions find of the true neighbours, as far as that is measured. To look at."""
        secret = bytes.fromhex(self.identity.peer_secret)
        self.host = PartitionHost(
            options.store,
            self.resources,
            self._sureness,
            self._clock,
            partial(settle, self.maps),
            rows_bytes=None if plan is None else plan.rows_bytes,
            recall=self.recall,
        )
        self.peers = Peers(secret)
        self.methods = Methods(secret)
        self.router = Router(MapView(self.maps), OwnerView(self._address_of), self.peers, self.host)
        self.host.send_index_rows = IndexRowSender(self.router)
        self.host.refusal_of = self._refusal_of
        self.engine = GatewayEngine(self.router, self._nudge_owners, self._clock)
        add_partition_methods(self.methods, self.host)
        self.methods.add(STATUS_METHOD, PeerLane.CONTROL, lambda _: self.report())
        self.methods.add(LOOK_METHOD, PeerLane.CONTROL, self._look)
        self.methods.add(SPLIT_METHOD, PeerLane.SCHEMA, self._split)
        self._beat_reads = Together("lutra-beat", _LEASE_REQUESTS_AT_ONCE)
        self._openings = Together("lutra-opening", _OPENINGS_AT_ONCE)
        self._controller: Controller | None = None
        self._automatic: AutoSplits | None = None
        self._loops: list[Loop] = []
        self._joined = threading.Event()
        self._is_leaving = False
        self._left = threading.Event()

    @property
    def name(self) -> str:
        return self.options.name

    @property
    def controller(self) -> Controller:
        """Once it is started."""
        assert self._controller is not None
        return self._controller

    def is_sure(self) -> bool:
        """Whether what it owns is surely its own at this moment."""
        controller = self._controller
        return controller is not None and controller.is_sure()

    def sure_for_s(self) -> float:
        """So long it will be sure without renewing its lease."""
        controller = self._controller
        return 0.0 if controller is None else controller.sure_for_s()

    def sizes(self) -> dict[str, Estimate]:
        """About how many rows its partitions had, and their bytes, when it last looked."""
        return {} if self._automatic is None else self._automatic.sizes

    def check(self) -> None:
        """Raises StorageFailure where it is not sure of itself: others answer for its partitions, or soon will."""
        if not self.is_sure():
            raise StorageFailure(f"node {self.name} is not sure of its lease: it answers for no partition itself")

    def report(self) -> NodeReport:
        """What it says of itself."""
        partitions = tuple(status_of(owned) for owned in self.host.owned())
        held = [] if self._controller is None else self._controller.holdings.all()
        unopened = tuple(
            UnopenedPartition(each.partition_id, each.tries, each.error) for each in held if each.is_unopened
        )
        return NodeReport(self.name, round(self.sure_for_s(), 3), self.maps.known.version, partitions, unopened)

    def start(self, address: str, on_joined: Callable[[], None] = lambda: None) -> None:
        """Joins the cluster as who is reached at ``address``; ``on_joined`` is called, by a thread, when it has."""
        settings = self.options.leases
        self._controller = Controller(
            _store_of_leases(self.options.store, self.store, settings.ttl_s),
            self.name,
            address,
            self.host,
            self.maps,
            settings=settings,
            capacity=self.options.capacity,
            process=Process.this(),
            together=self._openings,
            beat_together=self._beat_reads,
            nudge=lambda address, partition_id: self._nudge(address, [partition_id]),
        )

        def beat() -> None:
            self.controller.beat()
            if self.controller.has_left:
                self._left.set()
            if not self._joined.is_set() and self.is_sure():
                self._joined.set()
                on_joined()
                self._steps.hurry()

        self._beats = Loop("lutra-beat", beat, settings.ttl_s / _BEATS_PER_TTL)
        self._steps = Loop("lutra-steps", self._step, settings.ttl_s / _STEPS_PER_TTL)
        self._splitter = Splitter(self.maps, self.host, self.controller, self.store)
        self._automatic = automatic = AutoSplits(self.host, self._splitter, self.options.splits)
        leases = PartitionLeases(self.store, secrets.token_bytes)
        retirement = Retirement(self.maps, self.host, self.store, leases, self._clock, is_sweeper=self._is_sweeper)
        self._loops = [
            self._beats,
            self._steps,
            Loop("lutra-splits", self._when_sure(automatic.step), _SPLITS_S),
            Loop("lutra-retirement", self._when_sure(retirement.step), _RETIREMENT_S),
        ]
        for loop in self._loops:
            loop.start()
        self.recall.start()

    def leave(self, timeout_s: float = _LEAVE_S) -> None:
        """Hands over all that it owns, while it goes on answering. Returns when that is done, or the time is up."""
        controller = self._controller
        if controller is None:
            return
        began_s = time.monotonic()
        self._is_leaving = True
        controller.leave()
        self._beats.hurry()
        self._steps.hurry()
        if self._left.wait(timeout_s):
            _log.info("node %s has left, after %.2f s", self.name, time.monotonic() - began_s)
        else:
            _log.warning(
                "node %s stops with %d partitions that it could not hand over", self.name, len(self.host.owned())
            )

    def close(self) -> None:
        """Ends its threads and lets go of all. A second close does nothing."""
        self._left.set()
        self.recall.stop()
        self.memory.stop()
        for loop in self._loops:
            loop.stop()
        self._loops = []
        self.host.close_all()
        self._crews.stop()
        self.peers.close()
        self._beat_reads.close()
        self._openings.close()
        self.resources.close()

    # --- within -----------------------------------------------------------------------------------------------------

    def _sureness(self) -> Callable[[], bool]:
        return self.controller.sureness()

    def _shadowed(self, of: IndexKey, request: SearchRequest) -> Sampled | None:
        """As `Instance.shadow`, of a partition. Raises Moved where that is not surely here."""
        owned = self.host.get(of.partition)
        with owned.reading():
            return owned.instance.shadow(of.table, of.name, request)

    def _step(self) -> bool:
        more = self.controller.step()
        if self._is_leaving:
            self._beats.hurry()  # which says so, once it has nothing any more
        else:
            self._follow_map()
        return more

    def _follow_map(self) -> None:
        """Makes tables what the map says, where whoever changed it has not had that done."""
        known = self.maps.known
        behind = []
        for owned in self.host.owned():
            table = known.table_of(owned.entry)
            if table is not None and table.version > owned.table.version:
                behind.append(partial(_reconcile, owned, table))
        self._openings(behind)

    def _address_of(self, partition_id: str) -> str | None:
        owner = self.controller.read_owner(partition_id)
        return None if owner is None else owner.address

    def _refusal_of(self, partition_id: str) -> PartitionUnopened | None:
        return None if self._controller is None else self._controller.refusal_of(partition_id)

    def _when_sure(self, step: Callable[[], bool | None]) -> Callable[[], bool | None]:
        """What only a node does that is of the cluster, and stays so for now."""
        return lambda: step() if self.is_sure() and not self._is_leaving else False

    def _is_sweeper(self) -> bool:
        """Of all nodes the first by name deletes what nobody needs."""
        return min(self.controller.board.alive(), default=None) == self.name

    def _split(self, asked: Any) -> tuple[str, ...]:
        """The ids of the partitions that took the place of one, which is owned here. Raises as `Splitter.split`."""
        partition_id, at = asked
        controller = self._controller
        if controller is None:
            raise Moved(f"partition {partition_id} is not here")
        return self._splitter.split(partition_id, at).children

    def _look(self, partition_ids: Any) -> None:
        """Another says that these may be this node's to take."""
        self.controller.look(str(each) for each in partition_ids)
        self._steps.hurry()

    def _nudge_owners(self, of: ClusterMap, entries: Sequence[PartitionEntry]) -> None:
        """Has who is to have these partitions look at the map at once."""
        others: dict[str, list[str]] = {}
        for entry in entries:
            owner = self.controller.owner_of(entry.id)
            if owner is not None and owner.node != self.name:
                others.setdefault(owner.address, []).append(entry.id)
        for address, partition_ids in others.items():
            self._nudge(address, partition_ids)
        self._look([entry.id for entry in entries])

    def _nudge(self, address: str, partition_ids: list[str]) -> None:
        self.peers.submit(Call(address, LOOK_METHOD, partition_ids), _NUDGE_S)


def _store_of_leases(place: str, store: ObjectStore, ttl_s: float) -> ObjectStore:
    """The same place, with no more patience than leases have: a request that hangs is given up and made again."""
    if not place.startswith("s3://"):
        return store
    from lutra.objects.s3 import S3Store

    return S3Store(place, timeout_s=0.4 * ttl_s, connect_timeout_s=0.2 * ttl_s, retries_max=1, retry_for_s=0.4 * ttl_s)


def _reconcile(owned: OwnedPartition, table: TableEntry) -> None:
    try:
        owned.reconcile(table)
    except LutraError as error:
        if not owned.is_closed:
            _log.warning("partition %s does not follow the definition of its table: %s", owned.id, error)
