"""What an index says while values of rows expire one by one: what the table says, within a second."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from support.aging import DAY_S, Aging
from support.damaged_segments import with_footer
from support.folders import folder_in_memory

from lutra.feed.feed import _AGED_MAX
from lutra.index.lsm.storage import prefix_of
from lutra.model.rows import CellOperation, ChangeKind, RowChange


@pytest.fixture
def aging(tmp_path: Path) -> Iterator[Aging]:
    made = Aging(tmp_path)
    made.settle()
    yield made
    made.close()


def put_of_three_ages(aging: Aging) -> None:
    """In an hour ``a`` expires, in two ``b``, in a day the row."""
    aging.put(1, {"a": DAY_S - 3_600, "b": DAY_S - 7_200}, a=5, b="x", c="y")
    aging.put(2, a=6, b="y")
    aging.settle()


AGES = [(3_599, (5, "x")), (2, (None, "x")), (3_600, (None, None)), (DAY_S - 7_300, (None, None))]


@pytest.mark.parametrize("place", ["buffer", "segment", "merged"])
def test_a_value_goes_when_it_expires(aging: Aging, place: str) -> None:
    put_of_three_ages(aging)
    if place != "buffer":
        aging.feed.index.flush()
    if place == "merged":
        aging.put(3, {"a": DAY_S - 3_600}, a=7)
        aging.settle()
        aging.feed.index.flush()
        aging.feed.index.compact()
        assert len(aging.feed.index.stats().segments) == 1
    for seconds, expected in AGES:
        aging.clock.advance(seconds)
        aging.settle()
        assert aging.indexed()[1] == expected
        assert aging.indexed() == aging.in_table()
        if place != "buffer":
            assert aging.faults() == []
    aging.clock.advance(200)
    assert 1 not in aging.indexed(), "as a whole at once, whoever looked when"


@pytest.mark.parametrize("kill", [False, True])
def test_what_expired_while_nobody_served(aging: Aging, kill: bool) -> None:
    put_of_three_ages(aging)
    aging.feed.index.flush()
    for seconds, expected in AGES:
        aging.restart(kill)
        aging.clock.advance(seconds)
        assert aging.faults() == [], "before it is read again, too: it is what it was made of"
        aging.settle()
        assert aging.indexed()[1] == expected
        assert aging.indexed() == aging.in_table()


def test_a_crash_loses_no_row_that_is_being_read_again(aging: Aging) -> None:
    """Its document in a segment dies and that is written down, while the new one is in memory only."""
    aging.put_many(range(10, 20), {})
    put_of_three_ages(aging)
    aging.feed.index.flush()
    aging.clock.advance(3_601)
    aging.settle()
    index = aging.feed.index
    assert aging.indexed()[1] == (None, "x")
    index._commits_wanted += 1
    index.maintain()
    (segment,) = index.stats().segments
    assert (segment.dead, index.stats().buffer_rows) == (1, 1), "a manifest says that it is dead, and has no other"
    aging.restart(kill=True)
    aging.settle()
    assert aging.indexed() == aging.in_table()
    assert aging.indexed()[1] == (None, "x")


def test_a_shorter_time_to_live(tmp_path: Path) -> None:
    aging = Aging(tmp_path, ttl_s=-1)
    aging.settle()
    put_of_three_ages(aging)
    aging.feed.index.flush()
    aging.clock.advance(DAY_S - 7_201)
    aging.settle()
    assert aging.indexed()[1] == (5, "x")
    aging.ttl(DAY_S)
    aging.settle()
    assert aging.indexed() == aging.in_table() == {1: (None, None), 2: (6, "y")}
    aging.close()


@pytest.mark.parametrize("ttl_s", [2 * DAY_S, -1])
def test_a_longer_time_to_live_brings_values_back(aging: Aging, ttl_s: int) -> None:
    put_of_three_ages(aging)
    aging.feed.index.flush()
    aging.clock.advance(10_000)
    aging.settle()
    assert aging.indexed()[1] == (None, None)
    aging.ttl(ttl_s)
    aging.settle()
    assert aging.indexed() == aging.in_table() == {1: (5, "x"), 2: (6, "y")}


def test_what_was_dropped_is_back_after_a_crash(aging: Aging) -> None:
    """A manifest may be written after the time to live has changed and before what had been dropped is read again: it
    says by which one rows were dropped."""
    put_of_three_ages(aging)
    aging.clock.advance(DAY_S + 1)
    aging.put(3, a=1)
    aging.settle()
    aging.feed.index.flush()
    assert set(aging.indexed()) == {3}
    aging.ttl(-1)
    aging.put(4, a=2)
    aging.feed.step()
    aging.feed.index._commits_wanted += 1
    aging.feed.index.maintain()
    assert aging.feed.watermarks().indexed == -1, "it is being filled"
    aging.restart(kill=True)
    aging.settle()
    assert aging.indexed() == aging.in_table()
    assert set(aging.indexed()) == {1, 2, 3, 4}
    aging.feed.index.flush()
    logged = aging.logged
    aging.restart(kill=True)
    assert aging.settle() <= 2, "filled once"
    assert aging.logged == logged


def test_a_mass_that_expires_is_read_again_in_turns(aging: Aging) -> None:
    """With counts: so many at a time, and a row that is written meanwhile is searchable two steps later."""
    rows = 3 * _AGED_MAX + 100
    aging.put_many(range(rows), {"a": DAY_S - 60})
    aging.settle()
    aging.feed.index.flush()
    aging.clock.advance(61)
    turns: list[int] = []
    puts = [0]
    while aging.feed.index.outdated(1) or aging.feed.watermarks().searchable < aging.logged:
        before = aging.logged
        aging.feed._expire_at_s = min(aging.feed._expire_at_s, 0)
        aging.feed.step()
        turns.append(aging.logged - before)
        assert aging.feed.watermarks().searchable >= puts[max(0, len(turns) - 2)]
        if turns[-1]:
            aging.put(10_000 + len(turns), a=1)
        puts.append(aging.logged)
        assert len(turns) < 20
    assert max(turns) == _AGED_MAX
    assert sum(turns) == rows, "each once"
    view = aging.indexed()
    assert view == aging.in_table()
    assert len(view) == rows + sum(map(bool, turns))


def test_rows_that_wait_are_not_logged_twice(aging: Aging, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing can be taken in, as too much waits to be built."""
    aging.put_many(range(50), {"a": DAY_S - 60})
    aging.settle()
    aging.clock.advance(61)
    before = aging.logged
    monkeypatch.setattr(type(aging.feed), "_is_pressed", lambda self: True)
    for _ in range(5):
        aging.feed._expire_at_s = min(aging.feed._expire_at_s, 0)
        aging.feed.step()
    assert aging.logged == before + 50
    monkeypatch.undo()
    aging.settle()
    assert aging.logged == before + 50
    assert aging.indexed() == aging.in_table()


def test_a_table_in_which_nothing_expires_pays_nothing(tmp_path: Path) -> None:
    aging = Aging(tmp_path, ttl_s=-1)
    aging.settle()
    put_of_three_ages(aging)
    aging.put_many(range(10, 60), {})
    aging.settle()
    aging.feed.index.flush()
    before = aging.logged
    aging.clock.advance(10**6)
    aging.settle()
    assert aging.logged == before
    aging.close()


def test_an_older_segment_does_not_say_how_old_its_values_are(aging: Aging) -> None:
    """So its rows are read again where anything expires, once."""
    aging.put_many(range(20), {})
    aging.settle()
    aging.feed.index.flush()
    store = aging.resources.store
    (name,) = store.list(prefix_of(aging.definition) + "segments")
    aging.feed.close()
    store.put(name, with_footer(store.get(name), version=1))
    before = aging.logged
    aging.feed = aging.opened()
    assert aging.faults() == []
    aging.settle()
    assert aging.logged == before + 20
    aging.feed.index.flush()
    aging.clock.advance(3_600)
    aging.settle()
    assert aging.logged == before + 20
    assert aging.indexed() == aging.in_table()
    assert aging.faults() == []


def test_a_row_without_values_lives_as_long_as_in_the_table(aging: Aging) -> None:
    """Also where it is read again long after it was written."""
    aging.put(1)
    aging.settle()
    aging.clock.advance(DAY_S - 100)
    aging.ttl(DAY_S + 50)
    aging.settle()
    assert set(aging.indexed()) == set(aging.in_table()) == {1}
    aging.clock.advance(149)
    assert set(aging.indexed()) == set(aging.in_table()) == {1}
    aging.clock.advance(2)
    assert set(aging.indexed()) == set(aging.in_table()) == set()


def test_an_index_with_a_time_to_live_of_its_own(tmp_path: Path) -> None:
    """Its rows go as a whole, by their newest cell; values go as the table's do."""
    aging = Aging(tmp_path, ttl_s=2 * DAY_S, index_ttl_s=DAY_S)
    aging.settle()
    aging.put(1, {"a": 2 * DAY_S - 60, "b": DAY_S - 120}, a=5, b="x")
    aging.settle()
    aging.feed.index.flush()
    assert aging.indexed() == {1: (5, "x")}
    aging.clock.advance(61)
    aging.settle()
    assert aging.indexed() == {1: (None, "x")}
    aging.clock.advance(60)
    assert aging.indexed() == {}
    aging.settle()
    aging.feed.index.flush()
    assert aging.faults() == []
    assert set(aging.in_table()) == {1}
    aging.close()


# --- at random --------------------------------------------------------------------------------------------------------

NUMBERS = st.integers(0, 7)
AGO_S = st.none() | st.integers(0, 4).map(lambda n: n * DAY_S / 5)
VALUES = {"a": st.integers(0, 3), "b": st.sampled_from(["x", "y"]), "c": st.just("z")}


class AgingMachine(RuleBasedStateMachine):
    @initialize(ttl_s=st.sampled_from([-1, DAY_S]))
    def begin(self, ttl_s: int) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="lutra-aging-", dir=folder_in_memory())
        self.aging = Aging(Path(self.folder.name), ttl_s)
        self.aging.settle()

    @rule(kind=st.sampled_from([ChangeKind.PUT, ChangeKind.UPDATE]), number=NUMBERS, data=st.data())
    def write(self, kind: ChangeKind, number: int, data: st.DataObject) -> None:
        names = data.draw(st.sets(st.sampled_from(sorted(VALUES)), min_size=int(kind is ChangeKind.UPDATE)))
        columns = {name: data.draw(VALUES[name]) for name in sorted(names)}
        self.aging.write(kind, number, {name: data.draw(AGO_S) for name in columns}, **columns)

    @rule(number=NUMBERS, name=st.sampled_from(sorted(VALUES)))
    def remove_column(self, number: int, name: str) -> None:
        change = (name, None, None, CellOperation.DELETE_ALL)
        self.aging.tables.write("t", RowChange(ChangeKind.UPDATE, (("id", number),), [change]))

    @rule(number=NUMBERS)
    def delete(self, number: int) -> None:
        self.aging.tables.write("t", RowChange(ChangeKind.DELETE, (("id", number),)))

    @rule(seconds=st.integers(1, 6).map(lambda n: n * DAY_S / 10 + 1))
    def wait(self, seconds: float) -> None:
        self.aging.clock.advance(seconds)

    @rule(ttl_s=st.sampled_from([-1, DAY_S, DAY_S + DAY_S // 2]))
    def change_ttl(self, ttl_s: int) -> None:
        self.aging.ttl(ttl_s)

    @rule()
    def step(self) -> None:
        self.aging.feed.step()

    @rule()
    def flush(self) -> None:
        self.aging.feed.index.flush()

    @rule()
    def compact(self) -> None:
        self.aging.feed.index.compact()

    @rule()
    def commit(self) -> None:
        """A manifest without what is in the buffer."""
        self.aging.feed.index._commits_wanted += 1
        self.aging.feed.index.maintain()

    @rule(kill=st.booleans())
    def restart(self, kill: bool) -> None:
        self.aging.restart(kill)
        self.aging.feed.step()

    @rule()
    def settle(self) -> None:
        self.aging.settle()
        assert self.aging.indexed() == self.aging.in_table()
        self.aging.feed.index.flush()
        assert self.aging.faults() == []

    def teardown(self) -> None:
        if hasattr(self, "aging"):
            try:
                self.settle()
            finally:
                self.aging.close()
                self.folder.cleanup()


TestAging = AgingMachine.TestCase
TestAging.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
