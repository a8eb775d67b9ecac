"""A cluster in motion: partitions split, and nodes are replaced in good order, while tests go on."""

from __future__ import annotations

import itertools
import random
import threading
from typing import Final

from support.node_cluster import NodeCluster

from lutra.cluster.map import PartitionState
from lutra.cluster.status import SPLIT_METHOD, ask_owner
from lutra.model.errors import LutraError

SPLIT_EVERY_S: Final = 0.05
REPLACE_EVERY: Final = 40
_TRIES: Final = 30
_SPLITS_MAX: Final = 2_000


class Stirring:
    """Begins at once, ends with `stop`. The first node stays: clients ask it."""

    def __init__(self, cluster: NodeCluster) -> None:
        self._cluster = cluster
        self._random = random.Random(7)
        self._stopping = threading.Event()
        self.splits = self.replaced = 0
        """To look at."""
        self._thread = threading.Thread(target=self._stir, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _stir(self) -> None:
        victims = itertools.cycle(self._cluster.nodes[1:])
        for number in range(1, _SPLITS_MAX):
            if self._stopping.wait(SPLIT_EVERY_S):
                return
            self._split_one()
            if number % REPLACE_EVERY == 0:
                node = next(victims)
                node.stop()
                node.start()
                node.wait_joined()
                self.replaced += 1

    def _split_one(self) -> None:
        """Of those there are, the first that has rows enough to be cut, and is not gone with its table by now."""
        serving = [one.id for one in self._cluster.map.partitions if one.state is PartitionState.SERVING]
        self._random.shuffle(serving)
        for partition in serving[:_TRIES]:
            try:
                ask_owner(self._cluster.store, self._cluster.identity, partition, SPLIT_METHOD, [partition, None])
            except LutraError:
                continue
            self.splits += 1
            return
