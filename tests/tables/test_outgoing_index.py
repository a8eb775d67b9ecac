"""A global index whose rows are sent elsewhere lists what its table says, however calls are lost, late and repeated."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.feed.feed import Feed
from lutra.feed.secondary import GlobalIndex
from lutra.kv.batch import WriteBatch
from lutra.kv.memory import MemoryStore
from lutra.model.clock import SystemClock
from lutra.model.errors import Corruption, StorageFailure
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import DefinedColumn, IndexKind, KeyColumn, SecondaryIndex, TableSchema
from lutra.model.values import ColumnType
from lutra.tables.incomingindex import KEPT_S, IndexRow, stamp_of
from lutra.tables.indexrows import IndexRows
from lutra.tables.outgoingindex import OutgoingIndex
from lutra.tables.space import TableSpace

SCHEMA = TableSchema(
    "t",
    (KeyColumn("id", ColumnType.INTEGER),),
    (DefinedColumn("city", ColumnType.STRING), DefinedColumn("n", ColumnType.INTEGER)),
)
INDEX = SecondaryIndex("by_city", ("city",), ("n",), IndexKind.GLOBAL, index_id=77)
Model = dict[int, tuple[str | None, int]]


class FakeClock(SystemClock):
    """Which stands still until it is set."""

    def __init__(self) -> None:
        self.us = 1_700_000_000_000_000

    def now_us(self) -> int:
        return self.us


class Elsewhere:
    """Where the index is, and the way there: calls fail before they come about, or after, and come late once more."""

    def __init__(self, rng: random.Random, failing: float) -> None:
        self.store = MemoryStore()
        self.clock = FakeClock()
        space = TableSpace(self.store, self.clock)
        self.rows = space.incoming_rows(1)
        self.failing = failing
        self._rng = rng
        self._late: list[list[IndexRow]] = []

    def send(self, rows: Sequence[IndexRow]) -> None:
        if self._late and self._rng.random() < 0.3:
            self.rows.apply(self._late.pop(self._rng.randrange(len(self._late))))
        fate = self._rng.random()
        if fate < self.failing:
            self._late.append(list(rows))  # which the sender takes for lost
            raise StorageFailure("nobody answers")
        self.rows.apply(rows)
        if fate < 2 * self.failing:
            self._late.append(list(rows))
            raise StorageFailure("the answer is lost")

    def all_come(self) -> None:
        for rows in self._late:
            self.rows.apply(rows)

    def keys(self) -> set[bytes]:
        return {key[9:] for key, _ in self.store.scan(b"r", b"s")}


class Owner:
    """One opening of the table's store, which follows the index by hand."""

    def __init__(self, store: MemoryStore, elsewhere: Elsewhere) -> None:
        self.space = TableSpace(store, elsewhere.clock)
        self.space.changelog.begin()
        self.tables = self.space.instance("default")
        if "t" not in self.tables.names():
            self.tables.create(SCHEMA)
        self._numbers = iter(range(1 << 30))
        opening = self.space.changelog.history.openings[-1].number
        outgoing: OutgoingIndex = self.space.outgoing_index(
            self.tables.describe("t"), INDEX, elsewhere.send, lambda: stamp_of(opening, next(self._numbers))
        )
        consumer = GlobalIndex(self.tables.describe("t"), INDEX, outgoing)
        self.feed = Feed(consumer, self.tables, self.space.changelog, store, elsewhere.clock)

    def write(self, number: int, content: tuple[str | None, int] | None) -> None:
        kind = ChangeKind.DELETE if content is None else ChangeKind.PUT
        cells: Any = []
        if content is not None:
            cells = [("n", content[1], None, CellOperation.PUT)]
            cells += [] if content[0] is None else [("city", content[0], None, CellOperation.PUT)]
        self.tables.write("t", RowChange(kind, (("id", number),), cells))

    def step(self) -> bool:
        """As the feeder does it: what fails is tried again."""
        try:
            return self.feed.step()
        except StorageFailure:
            return True


def expected(model: Model) -> set[bytes]:
    rows = IndexRows(SCHEMA, INDEX)
    return {
        rows.keys.encode((("city", city), ("id", number)))[9:]
        for number, (city, _) in model.items()
        if city is not None
    }


STEPS = st.lists(
    st.tuples(st.integers(0, 5), st.none() | st.tuples(st.none() | st.sampled_from("abc"), st.integers(0, 3)))
    | st.sampled_from(["step", "owner"]),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.randoms(use_true_random=False), st.sampled_from([0.0, 0.3]))
def test_it_lists_what_the_table_says(steps: list[Any], rng: random.Random, failing: float) -> None:
    """Owners come and go in the midst of it; those before have sent what comes after."""
    store, elsewhere, model = MemoryStore(), Elsewhere(rng, failing), Model()
    owner = Owner(store, elsewhere)
    for step in steps:
        if step == "step":
            owner.step()
        elif step == "owner":
            owner = Owner(store, elsewhere)
        else:
            number, content = step
            owner.write(number, content)
            model.pop(number, None)
            if content is not None:
                model[number] = content
    elsewhere.failing = 0.0
    owner = Owner(store, elsewhere)
    until_done(owner)
    assert elsewhere.keys() == expected(model)
    elsewhere.all_come()
    assert elsewhere.keys() == expected(model), "what comes late changes nothing"
    assert owner.feed.consumer.rows == len(expected(model))
    before = elsewhere.store.snapshot()
    owner = Owner(store, elsewhere)
    until_done(owner)
    assert list(before.scan(b"q", b"s")) == list(elsewhere.store.scan(b"q", b"s")), "nothing is sent twice"


def until_done(owner: Owner) -> None:
    for _ in range(100):
        if not owner.step() and owner.feed.consumer.is_shown:
            return
    raise AssertionError("it does not come to an end")


def test_a_dropped_index_leaves_nothing() -> None:
    store, elsewhere = MemoryStore(), Elsewhere(random.Random(1), 0.0)
    owner = Owner(store, elsewhere)
    owner.write(1, ("a", 1))
    until_done(owner)
    assert owner.space.outgoing_ids() == [77]
    owner.space.sweep_outgoing(77)
    assert owner.space.outgoing_ids() == []
    assert not list(store.scan(b"k", b"l"))


def test_stamps_are_forgotten_when_nothing_can_be_as_late() -> None:
    elsewhere = Elsewhere(random.Random(1), 0.0)
    key = b"key"
    elsewhere.rows.apply([IndexRow(key, stamp_of(1, 5), b"v")])
    elsewhere.rows.apply([IndexRow(key, stamp_of(2, 0), None)])
    for stamp in (stamp_of(1, 9), stamp_of(1, 5)):
        elsewhere.rows.apply([IndexRow(key, stamp, b"old")])
        assert elsewhere.keys() == set()
    elsewhere.clock.us += 1_000_000 * (KEPT_S - 60)
    elsewhere.rows.sweep()
    assert len(list(elsewhere.store.scan(b"q", b"r"))) == 1
    elsewhere.clock.us += 1_000_000 * 700
    elsewhere.rows.sweep()
    assert not list(elsewhere.store.scan(b"q", b"r"))


def test_of_one_call_the_newest_counts() -> None:
    elsewhere = Elsewhere(random.Random(1), 0.0)
    elsewhere.rows.apply([IndexRow(b"k", stamp_of(1, 2), b"new"), IndexRow(b"k", stamp_of(1, 1), None)])
    assert [value for _, value in elsewhere.store.scan(b"r", b"s")] == [b"new"]


def test_what_is_stored_and_makes_no_sense_is_told() -> None:
    store, elsewhere = MemoryStore(), Elsewhere(random.Random(1), 0.0)
    owner = Owner(store, elsewhere)
    owner.write(1, ("a", 1))
    until_done(owner)
    ((key, _),) = store.scan(b"k", b"l")
    batch = WriteBatch()
    batch.put(key, b"\1" + bytes(8) + b"\0\0\0\x09short")
    store.commit(batch)
    owner.write(1, ("b", 1))
    with pytest.raises(Corruption, match="cannot be read"):
        owner.step()
