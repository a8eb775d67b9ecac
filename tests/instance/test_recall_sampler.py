"""A small share of searches is measured while nobody searches, by the hands of a clock that the test moves."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from support.waiting import wait_until

import lutra
from lutra.instance.engine import Engine
from lutra.instance.recall_file import read_recall, write_recall
from lutra.instance.recall_sampler import IDLE_S, WAITING_MAX, WINDOW, IndexKey, RecallSampler, Told
from lutra.model.errors import MetaNotMatch
from lutra.model.queries import KnnVector, MatchAll, Range, SearchRequest, Term
from lutra.search.nodes.knn import Sampled

WITHIN_S = 60.0
OF = IndexKey("i", "t", "x")
NEAR = SearchRequest(KnnVector("v", np.zeros(2, np.float32), 10))
FILTERED = SearchRequest(KnnVector("v", np.zeros(2, np.float32), 10, Range("n", 0, 1)))


class Bench:
    """A sampler without its thread, whose measurements are as the test says."""

    def __init__(self, share: float = 1.0) -> None:
        self.now_s = 0.0
        self.finds: Sampled | Exception | None = Sampled(10, 9)
        self.asked: list[SearchRequest] = []
        self.saved: list[Mapping[IndexKey, Told]] = []
        self.sampler = RecallSampler(
            share, self._measure, save=self.saved.append, clock_s=lambda: self.now_s, rng=random.Random(1)
        )

    def _measure(self, of: IndexKey, request: SearchRequest) -> Sampled | None:
        self.asked.append(request)
        if isinstance(self.finds, Exception):
            raise self.finds
        return self.finds

    def note(self, request: SearchRequest, times: int = 1) -> None:
        for _ in range(times):
            with self.sampler.searching():
                pass
            self.sampler.note(OF, request)

    def measure_all(self) -> int:
        self.now_s += 2 * IDLE_S
        count = 0
        while self.sampler.step():
            count += 1
        return count


def test_it_waits_until_nobody_searches() -> None:
    bench = Bench()
    bench.note(NEAR)
    assert not bench.sampler.step()
    bench.now_s += IDLE_S / 2
    bench.note(SearchRequest(MatchAll()))
    bench.now_s += IDLE_S / 2
    assert not bench.sampler.step(), "somebody has searched meanwhile"
    assert bench.measure_all() == 1
    assert bench.asked == [NEAR]


def test_a_search_counts_that_is_under_way_or_finds_not_all() -> None:
    """Answers in part and errors are not measured; who gives them is busy all the same."""
    bench = Bench()
    bench.note(NEAR)
    bench.now_s += 2 * IDLE_S
    with bench.sampler.searching():
        bench.now_s += 2 * IDLE_S
        assert not bench.sampler.step(), "somebody searches"
    assert not bench.sampler.step(), "somebody has just searched"
    bench.now_s += 2 * IDLE_S
    with pytest.raises(MetaNotMatch), bench.sampler.searching():
        raise MetaNotMatch("it is gone")
    assert not bench.sampler.step()
    assert bench.measure_all() == 1
    assert bench.asked == [NEAR]


def test_what_was_measured_of_a_partition_goes_with_it() -> None:
    bench = Bench()
    here, gone = OF._replace(partition="p1"), OF._replace(partition="p2")
    for of in (here, gone):
        bench.sampler.note(of, NEAR)
    bench.measure_all()
    assert bench.sampler.measured(gone, False) is not None
    bench.sampler.note(gone, NEAR)
    bench.sampler.forget_partition("p2")
    assert bench.measure_all() == 0
    assert bench.sampler.measured(gone, False) is None
    assert bench.sampler.measured(here, False) is not None


def test_a_share_is_measured_and_neighbours_only() -> None:
    bench = Bench(0.01)
    bench.note(NEAR, 20_000)
    assert len(bench.asked) == 0
    taken = bench.measure_all()
    assert taken == WAITING_MAX, "no more are kept"
    few = Bench(0.1)
    for _ in range(100):
        few.note(NEAR, 10)
        few.measure_all()
    assert 85 <= len(few.asked) <= 115
    words = Bench()
    words.note(SearchRequest(Term("n", 1)), 100)
    assert words.measure_all() == 0
    off = Bench(0)
    off.note(NEAR, 1_000)
    assert off.measure_all() == 0


def test_filters_are_told_apart_and_the_last_searches_count() -> None:
    bench = Bench()
    bench.note(NEAR, 10)
    bench.measure_all()
    bench.finds = Sampled(10, 5)
    bench.note(FILTERED, 10)
    bench.measure_all()
    plain, filtered = bench.sampler.measured(OF, False), bench.sampler.measured(OF, True)
    assert plain is not None
    assert filtered is not None
    assert (plain.searches, round(plain.recall, 6)) == (10, 0.9)
    assert (filtered.searches, filtered.recall) == (10, 0.5)
    assert plain.low < 0.9 < plain.high
    bench.finds = Sampled(10, 10)
    for _ in range(WINDOW):
        bench.note(NEAR)
        bench.measure_all()
    now = bench.sampler.measured(OF, False)
    assert now is not None
    assert (now.searches, now.recall) == (WINDOW, 1.0)
    assert set(bench.sampler.told(OF)) == {"unfiltered", "filtered"}
    bench.sampler.forget(OF)
    assert bench.sampler.told(OF) == {}
    bench.sampler.stop()
    assert bench.saved == [{OF: {}}]
    bench.sampler.stop()
    assert len(bench.saved) == 1


def test_what_cannot_be_measured_counts_for_nothing() -> None:
    bench = Bench()
    for finds in (None, MetaNotMatch("it is gone")):
        bench.finds = finds
        bench.note(NEAR)
        assert bench.measure_all() == 1
    assert bench.sampler.measured(OF, False) is None


def test_a_note_in_the_directory(tmp_path: Path) -> None:
    other = IndexKey("i", "t", "y")
    told = {"unfiltered": {"searches": 3.0, "recall": 0.9, "low": 0.5, "high": 1.0}}
    assert read_recall(tmp_path) == {}
    write_recall(tmp_path, {})
    assert not list(tmp_path.iterdir())
    write_recall(tmp_path, {OF: told})
    write_recall(tmp_path, {other: told})
    assert read_recall(tmp_path) == {OF: told, other: told}
    write_recall(tmp_path, {OF: {}})
    assert read_recall(tmp_path) == {other: told}
    (tmp_path / "recall.json").write_text('[{"instance": 1')
    assert read_recall(tmp_path) == {}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_engine_measures_and_keeps_it(tmp_path: Path, share: float) -> None:
    with lutra.connect(tmp_path, instance="main") as database:
        table = database.create_table("t", key={"id": int}, fields={"v": lutra.Vector(2)})
        table.put_many({"id": n, "v": [n, 1]} for n in range(50))
    engine = Engine.open(tmp_path)
    try:
        engine.measure_recall(share)
        instance = engine.instance("main")
        ((_, index),) = instance.list_search_indexes("t")
        for _ in range(20):
            result = instance.search("t", index, SearchRequest(KnnVector("v", np.ones(2, np.float32), 3), limit=3))
            assert len(result.rows) == 3
        of = IndexKey("main", "t", index)
        assert instance.shadow("t", index, NEAR) == (10, 10)
        if share:
            wait_until(lambda: engine.recall.measured(of, False) is not None, WITHIN_S)
            told = instance.search(
                "t", index, SearchRequest(KnnVector("v", np.ones(2, np.float32), 3), limit=3, explain=True)
            ).stats.explanation
            assert told is not None
            assert told["measured_recall"]["unfiltered"]["recall"] == 1.0
    finally:
        engine.close()
    assert bool(read_recall(tmp_path)) == bool(share)
    with lutra.connect(tmp_path, instance="main") as database:
        database.table("t").set_recall_target(0.99)
    assert read_recall(tmp_path) == {}, "that was measured under another target"
