"""Ctrl-C at every instant of a write: others go on, and what was acknowledged stays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from support.interrupts import InterruptAt, Interrupted

from lutra.kv.batch import PUT, WriteBatch
from lutra.kv.memory import MemoryStore
from lutra.model.errors import StorageFailure
from lutra.model.rows import CellOperation, ChangeKind, ReadOptions, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType
from lutra.tables import changeblock
from lutra.tables.committer import GroupCommitter, Pending
from lutra.tables.locks import RowLocks
from lutra.tables.space import TableSpace

WITHIN_S = 20


def in_tables(module: str) -> bool:
    return module.startswith("lutra.tables.")


def places() -> Iterator[int]:
    yield from range(1, 3_000)


class SlowStore(MemoryStore):
    """A commit waits until it is let through."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = threading.Event()
        self.let_through = threading.Event()
        self.let_through.set()

    def commit(self, batch: WriteBatch) -> None:
        self.has_begun.set()
        assert self.let_through.wait(WITHIN_S)
        super().commit(batch)


class Writer(threading.Thread):
    """Makes a call, perhaps interrupted; ``error`` is what it raised."""

    def __init__(self, call: Callable[[], object], interrupt: InterruptAt | None = None) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._interrupt = interrupt
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            if self._interrupt is None:
                self._call()
            else:
                self._interrupt.run(self._call)
        except BaseException as error:
            self.error = error

    def ended(self) -> BaseException | None:
        self.join(WITHIN_S)
        assert not self.is_alive(), "a writer hangs"
        return self.error


def pending(key: bytes) -> Pending:
    return Pending([(PUT, key, b"value")], {1: [changeblock.entry(ChangeKind.PUT, key)]}, 10)


def commit(group: GroupCommitter, key: bytes) -> Callable[[], None]:
    return lambda: group.commit(pending(key))


def check(store: MemoryStore, group: GroupCommitter, outcomes: dict[bytes, BaseException | None]) -> None:
    """Those acknowledged are there; of none there is half; whoever comes later is served."""
    assert Writer(commit(group, b"later")).ended() is None
    changed = [entry for _, value in store.scan(b"c", b"d") for entry in changeblock.entries(value)]
    logged = {key for _, key in changed}
    for key, error in {**outcomes, b"later": None}.items():
        assert isinstance(error, Interrupted | StorageFailure | None)
        assert (store.get(key) == b"value") == (key in logged)
        assert error is not None or store.get(key) == b"value"
    assert group.last_sequence == GroupCommitter(store).last_sequence >= len(logged)
    assert group._leader is None
    assert not [one for one in group._queue if not one.done]


def test_a_lone_writer() -> None:
    for number in places():
        store = MemoryStore()
        group = GroupCommitter(store)
        group.commit(pending(b"before"))
        interrupt = InterruptAt(number, in_tables)
        writer = Writer(commit(group, b"it"), interrupt)
        check(store, group, {b"before": None, b"it": writer.ended()})
        if not interrupt.has_come:
            assert number > 40
            return


@pytest.mark.parametrize("is_leader", [True, False], ids=["leader", "follower"])
def test_a_writer_among_others(is_leader: bool) -> None:
    """The interrupted one leads for those who wait, or waits for another, and may be given the lead."""
    for number in places():
        store = SlowStore()
        group = GroupCommitter(store)
        store.let_through.clear()
        interrupt = InterruptAt(number, in_tables)
        first = Writer(commit(group, b"first"), interrupt if is_leader else None)
        if is_leader:
            while not store.has_begun.wait(0.001) and first.is_alive():
                pass
        else:
            assert store.has_begun.wait(WITHIN_S)
        others = {}
        for key in (b"second", b"third"):
            other_interrupt = None if is_leader or key == b"third" else interrupt
            others[key] = Writer(commit(group, key), other_interrupt)
            while not _is_in(group, key) and others[key].is_alive() and not store.let_through.is_set():
                if is_leader and not first.is_alive():
                    store.let_through.set()
        store.let_through.set()
        outcomes = {b"first": first.ended()} | {key: writer.ended() for key, writer in others.items()}
        check(store, group, outcomes)
        if not interrupt.has_come:
            assert number > 20
            return


def _is_in(group: GroupCommitter, key: bytes) -> bool:
    return any(one.operations[0][1] == key for one in [*list(group._queue), *group._group])


def test_a_write_of_rows() -> None:
    """Row locks and the table's gate are let go of, wherever it comes."""
    keys = [(("id", number),) for number in range(3)]

    def put(number: int) -> RowChange:
        return RowChange(ChangeKind.PUT, keys[number], [("n", number, None, CellOperation.PUT)])

    for number in places():
        tables = TableSpace(MemoryStore()).instance("main")
        tables.create(TableSchema("t", (KeyColumn("id", ColumnType.INTEGER),)))
        tables.write("t", put(0))
        interrupt = InterruptAt(number, in_tables)
        update = RowChange(ChangeKind.UPDATE, keys[0], [("more", 1, None, CellOperation.PUT)])
        writer = Writer(lambda: tables.write_batch([("t", [put(1), update])]), interrupt)  # noqa: B023
        assert isinstance(writer.ended(), Interrupted | StorageFailure | None)
        assert Writer(lambda: tables.write("t", put(1))).ended() is None  # noqa: B023
        assert Writer(lambda: tables.write_batch([("t", [put(0), put(2)])])).ended() is None  # noqa: B023
        for key in keys:
            assert tables.read("t", key, ReadOptions()).row is not None
        tables.delete("t")
        if not interrupt.has_come:
            assert number > 100
            return


def test_row_locks_that_are_waited_for() -> None:
    """One that waits, and is granted what it waits for, is interrupted; so is one that lets go."""
    for waits in (True, False):
        for number in places():
            locks = RowLocks()
            held, wanted = {b"a", b"b"}, {b"b", b"c"}
            locks.acquire(held)
            interrupt = InterruptAt(number, in_tables)

            def take() -> None:
                try:
                    try:
                        locks.acquire(wanted)  # noqa: B023
                    finally:
                        locks.release(wanted)  # noqa: B023
                except BaseException:
                    locks.release(wanted)  # noqa: B023
                    raise

            def let_go() -> None:
                try:
                    locks.release(held)  # noqa: B023
                except BaseException:
                    locks.release(held)  # noqa: B023
                    raise

            waiter = Writer(take, interrupt if waits else None)
            while waiter.is_alive() and not locks._waiters:
                pass
            releaser = Writer(let_go, None if waits else interrupt)
            assert isinstance(releaser.ended(), Interrupted | None)
            assert isinstance(waiter.ended(), Interrupted | None)
            locks.acquire({b"a", b"b", b"c"}, wait_s=WITHIN_S)
            if not interrupt.has_come:
                break
        assert number > 5
