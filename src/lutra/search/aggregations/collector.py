"""Aggregations and group-bys as a collector beside others."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from lutra.model.aggregations import Aggregated
from lutra.search.aggregations.level import Level, LevelState, collect, merge, read, write
from lutra.search.aggregations.packing import Packer, Unpacker
from lutra.search.aggregations.results import aggregated
from lutra.search.aggregations.rows import Rows
from lutra.search.matching import Matching


class AggregationCollector:
    """Its state is that of one level, of one group: all that matches."""

    def __init__(self, level: Level) -> None:
        self._level = level
        self.took_us = 0.0
        """All that was done so far, by the clock."""

    def collect(self, matching: Matching) -> LevelState:
        """Raises RequestTimeout, StorageFailure, Corruption."""
        began_s = time.perf_counter()
        docs = matching.docs
        if docs is None and matching.count < matching.part.size:
            docs = matching.documents.ids()
        state = collect(self._level, Rows(matching.search, docs, None, 1, matching.scores))
        self.took_us += (time.perf_counter() - began_s) * 1e6
        return state

    def merge(self, states: Sequence[LevelState]) -> LevelState:
        began_s = time.perf_counter()
        all_of_one = np.zeros(1, np.int32)
        state = merge(self._level, [(state, all_of_one) for state in states], 1)
        self.took_us += (time.perf_counter() - began_s) * 1e6
        return state

    def encode(self, state: LevelState) -> bytes:
        """Raises as `collect`: what is left to be read is read now."""
        out = Packer()
        write(self._level, state, out)
        return out.finish()

    def decode(self, data: bytes) -> LevelState:
        """Raises Corruption for what `encode` of such a collector did not make."""
        unpacker = Unpacker(data)
        state = read(self._level, unpacker, 1)
        unpacker.finish()
        return state

    def results(self, state: LevelState) -> Aggregated:
        """Of the state of all parts. Raises ParameterInvalid where there are too many groups."""
        began_s = time.perf_counter()
        results = aggregated(self._level, state)
        self.took_us += (time.perf_counter() - began_s) * 1e6
        return results
