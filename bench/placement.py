"""Where the partitions of a large cluster lie, and what moves when nodes come, go and die, by the placement that runs.

python -m bench.placement [--nodes 1000] [--partitions 100000] [--small-nodes 8,32] [--plot FILE] [--json FILE]

Nothing is opened: `lutra.cluster.placement.place` is asked, as every node asks it. Of each event: the share of all
partitions that moves against the least that any placement would have to move, and how uneven the nodes are after it, by
partitions and by bytes (a partition has between half of and all that it is split at). Seconds to recover are what the
control plane waits for and what opening takes (``--open-s``, measured by bench.rows and bench.replace_node).

Requests to the store are counted with real controllers of ``--small-nodes`` nodes over a local folder and a clock of
their own; a list of more names than a page has takes more of them, which is counted for ``--nodes``.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lutra.cluster.controller import Controller, ControllerSettings
from lutra.cluster.map import ClusterMap, PartitionEntry, TableEntry
from lutra.cluster.map_changes import create_instance, create_table
from lutra.cluster.map_log import MapLog
from lutra.cluster.node_lease import KEPT, MARGIN_S, TTL_S
from lutra.cluster.placement import place
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType
from lutra.objects.local import LocalStore

BEAT_S: Final = TTL_S / 4
STEP_S: Final = TTL_S / 4
PLACE_S: Final = 2.3e-8
"""For each node and partition, that a node takes to compute where all lie: measured of 100,000 and 1,000."""
NAMES_A_PAGE: Final = 1_000
DOLLARS_A_MILLION_WRITES: Final = 5.0
"""Of puts and lists, on S3 Standard; a get is a twelfth and a half of it."""
DOLLARS_A_MILLION_GETS: Final = 0.4


@dataclass(frozen=True, slots=True)
class Event:
    """What one change of the cluster did. ``moved``, ``least``: shares of all partitions; the rest: largest by mean."""

    name: str
    nodes: int
    partitions: int
    moved: float
    least: float
    uneven_partitions: float
    uneven_bytes: float
    most_gained: int
    """Partitions that one node opens because of it."""
    recover_s: float
    """Until those have an owner again who answers; 0 where they were handed over, so that one always did."""
    place_s: float
    """That it took to compute where all lie, this time."""


class Cluster:
    """Nodes and partitions, as a placement sees them."""

    def __init__(self, nodes: int, partitions: int, open_s: float, opens_at_once: int, seed: int) -> None:
        self._chance = random.Random(seed)
        self._open_s, self._opens_at_once = open_s, opens_at_once
        self.nodes = {f"node-{number}": 1 for number in range(nodes)}
        self.bytes = {f"p{number}": self._chance.uniform(0.5, 1.0) for number in range(partitions)}
        self._made = partitions
        self.placed: Mapping[str, str] = {}

    def settle(self, name: str, lost: Iterable[str] = ()) -> Event:
        """Places all anew; ``lost``: nodes that died, which is noticed before anything moves."""
        before, dead = self.placed, set(lost)
        start_s = time.perf_counter()
        self.placed = place(list(self.bytes), self.nodes)
        place_s = time.perf_counter() - start_s
        moved = [each for each, node in self.placed.items() if before.get(each, node) != node]
        gained: dict[str, int] = {}
        for each in moved:
            gained[self.placed[each]] = gained.get(self.placed[each], 0) + 1
        counts, sizes = self._of_nodes()
        most = max(gained.values(), default=0)
        return Event(
            name,
            len(self.nodes),
            len(self.bytes),
            len(moved) / len(self.bytes),
            self._least(before) / len(self.bytes),
            float(counts.max() / counts.mean()),
            float(sizes.max() / sizes.mean()),
            most,
            self._recover_s(most) if dead else 0.0,
            place_s,
        )

    def _of_nodes(self) -> tuple[np.ndarray, np.ndarray]:
        numbers = {name: number for number, name in enumerate(self.nodes)}
        owners = np.array([numbers[self.placed[each]] for each in self.bytes])
        return np.bincount(owners, minlength=len(numbers)), np.bincount(
            owners, weights=np.array(list(self.bytes.values())), minlength=len(numbers)
        )

    def _least(self, before: Mapping[str, str]) -> int:
        """Partitions that have to move: those of nodes that are gone, or the share of nodes that came."""
        if not before:
            return 0
        gone = sum(1 for each in self.bytes if before.get(each, next(iter(self.nodes))) not in self.nodes)
        had = set(before.values())
        came = sum(1 for node in self.nodes if node not in had)
        return max(gone, len(self.bytes) * came // len(self.nodes))

    def _recover_s(self, partitions: int) -> float:
        """The longest: a beat just before it died, its time, a beat of who notices, a step, placing, and openings."""
        noticed_s = TTL_S + MARGIN_S + BEAT_S
        place_s = len(self.bytes) * len(self.nodes) * PLACE_S
        return noticed_s + STEP_S + place_s + -(-partitions // self._opens_at_once) * self._open_s

    def die(self, nodes: int) -> list[str]:
        gone = self._chance.sample(sorted(self.nodes), nodes)
        for name in gone:
            del self.nodes[name]
        return gone

    def join(self, nodes: int) -> None:
        for _ in range(nodes):
            self.nodes[f"new-{len(self.nodes)}-{self._chance.randrange(10**9)}"] = 1

    def split(self, partitions: int) -> None:
        """The largest, in two, where they are: the next placement moves them."""
        placed = dict(self.placed)
        for each in sorted(self.bytes, key=lambda each: -self.bytes[each])[:partitions]:
            size, node = self.bytes.pop(each), placed.pop(each)
            for _ in range(2):
                self.bytes[f"p{self._made}"], placed[f"p{self._made}"] = size / 2, node
                self._made += 1
        self.placed = placed


def simulate(nodes: int, partitions: int, open_s: float, opens_at_once: int, seed: int = 1) -> list[Event]:
    """What happens to a cluster of that size, one event after the other."""
    cluster = Cluster(nodes, partitions, open_s, opens_at_once, seed)
    rack = max(1, nodes // 100)
    found = [cluster.settle("at first")]
    found.append(cluster.settle("a node dies", cluster.die(1)))
    cluster.join(1)
    found.append(cluster.settle("another joins"))
    found.append(cluster.settle(f"{rack} die at once", cluster.die(rack)))
    cluster.join(rack)
    found.append(cluster.settle(f"{rack} join"))
    cluster.split(partitions // 100)
    found.append(cluster.settle("1 % of the partitions split"))
    cluster.join(nodes // 10)
    found.append(cluster.settle("a tenth more nodes"))
    found.append(cluster.settle("a tenth dies at once", cluster.die(nodes // 10)))
    return found


@dataclass(frozen=True, slots=True)
class Requests:
    """What a node asks of the store in a second when nothing happens. ``page_lists``: of which more pages are."""

    nodes: int
    puts: float
    lists: float
    gets: float
    deletes: float

    @property
    def dollars_a_month(self) -> float:
        """Of one node."""
        seconds = 30 * 86_400
        writes, gets = self.puts + self.lists, self.gets
        return seconds * (writes * DOLLARS_A_MILLION_WRITES + gets * DOLLARS_A_MILLION_GETS) / 1e6


class _NoOpener:
    """Partitions that need no opening."""

    def open(self, entry: PartitionEntry, table: TableEntry, epoch: int) -> object:
        return None

    def close(self, partition_id: str) -> None:
        return None

    def broken(self) -> Iterable[str]:
        return ()


def idle_requests(nodes: int, partitions_a_node: int = 4) -> Requests:
    """Of real controllers that have all they should, for a minute of their clock."""
    now_s = 0.0

    def clock() -> float:
        return now_s

    with tempfile.TemporaryDirectory() as folder:
        MapLog(LocalStore(folder)).change(lambda of: _map_of(of, nodes * partitions_a_node))
        stores = [LocalStore(folder) for _ in range(nodes)]
        settings = ControllerSettings()
        controllers = [
            Controller(store, f"n{number}", f"n{number}:1", _NoOpener(), MapLog(store), settings=settings, clock=clock)
            for number, store in enumerate(stores)
        ]

        def live(beats: int) -> None:
            nonlocal now_s
            for _ in range(beats):
                now_s += BEAT_S
                for controller in controllers:
                    controller.beat()
                    controller.step()

        live(40)
        before = [store.requests for store in stores]
        live(48)
        spent = [store.requests - earlier for store, earlier in zip(stores, before, strict=True)]
        seconds = 48 * BEAT_S * nodes
        return Requests(
            nodes,
            sum(each.puts for each in spent) / seconds,
            sum(each.lists for each in spent) / seconds,
            sum(each.gets for each in spent) / seconds,
            sum(each.deletes for each in spent) / seconds,
        )


def _map_of(of: ClusterMap, partitions: int) -> ClusterMap:
    keys = (KeyColumn("id", ColumnType.INTEGER),)
    bounds = [(2**63 + number).to_bytes(8, "big") for number in range(partitions - 1)]
    ids = [f"p{number}" for number in range(partitions)]
    return create_table(create_instance(of, "main"), "main", TableSchema("t", keys), 1, ids, bounds)


def at_size(requests: Requests, nodes: int) -> Requests:
    """The same of a cluster of so many nodes: the list of all leases takes a page for each thousand names."""
    pages = -(-nodes * (KEPT + 1) // NAMES_A_PAGE)
    return Requests(nodes, requests.puts, requests.lists + (pages - 1) / BEAT_S, requests.gets, requests.deletes)


def table_of(events: Iterable[Event]) -> str:
    """In Markdown."""
    lines = [
        "| event | nodes | moved, % | least, % | partitions, max : mean | bytes | most a node opens | all answer, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for event in events:
        recover = f"{event.recover_s:.1f}" if event.recover_s else "handed over"
        lines.append(
            f"| {event.name} | {event.nodes:,} | {100 * event.moved:.2f} | {100 * event.least:.2f} "
            f"| {event.uneven_partitions:.2f} | {event.uneven_bytes:.2f} | {event.most_gained} | {recover} |"
        )
    return "\n".join(lines)


def plot(events: list[Event], path: Path) -> None:
    """Moved against the least, and unevenness, of each event."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4), sharey=True)
    places = np.arange(len(events))
    left.barh(places - 0.2, [100 * event.moved for event in events], 0.4, label="moved")
    left.barh(places + 0.2, [100 * event.least for event in events], 0.4, label="the least possible")
    left.set(xlabel="% of all partitions", yticks=places, yticklabels=[event.name for event in events])
    left.invert_yaxis()
    left.legend()
    right.barh(places - 0.2, [event.uneven_partitions for event in events], 0.4, label="partitions")
    right.barh(places + 0.2, [event.uneven_bytes for event in events], 0.4, label="bytes")
    right.set(xlabel="fullest node : mean", xlim=(1.0, 1.2))
    right.legend()
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--partitions", type=int, default=100_000)
    parser.add_argument("--open-s", type=float, default=1.1, help="to open a partition whose owner was killed")
    parser.add_argument("--opens-at-once", type=int, default=4, help="of one node")
    parser.add_argument("--small-nodes", default="8,32", help="sizes of clusters whose requests are counted")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    events = simulate(given.nodes, given.partitions, given.open_s, given.opens_at_once)
    print(table_of(events))
    print(f"\nplacing takes a node {max(event.place_s for event in events):.1f} s\n")
    counted = [idle_requests(int(nodes)) for nodes in given.small_nodes.split(",")]
    counted.append(at_size(counted[-1], given.nodes))
    print("| nodes | puts/s a node | lists/s | gets/s | deletes/s | dollars a month, a node |")
    print("|---|---|---|---|---|---|")
    for each in counted:
        print(
            f"| {each.nodes:,} | {each.puts:.2f} | {each.lists:.2f} | {each.gets:.2f} | {each.deletes:.2f} "
            f"| {each.dollars_a_month:.0f} |"
        )
    if given.plot:
        plot(events, given.plot)
    if given.json:
        told = {"events": [asdict(event) for event in events], "requests": [asdict(each) for each in counted]}
        given.json.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
