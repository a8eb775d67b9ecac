"""The log of changes: complete, in order, trimmed on demand, and never behind what was acknowledged."""

from __future__ import annotations

import logging
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.kv.batch import DELETE_RANGE, PUT, WriteBatch
from lutra.kv.memory import MemoryStore
from lutra.model.errors import Corruption, InvalidPrimaryKey, ObjectNotExist
from lutra.model.rows import ChangeKind, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType
from lutra.tables import changeblock
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables


def create(tables: Tables, name: str = "t") -> int:
    return tables.create(TableSchema(name, (KeyColumn("pk", ColumnType.INTEGER),))).table_id


def change(pk: int, kind: ChangeKind = ChangeKind.PUT) -> RowChange:
    return RowChange(kind, (("pk", pk),), [] if kind is ChangeKind.DELETE else [("c", pk, None, 0)])


def test_every_change_is_logged_with_its_kind_and_key(tables: Tables, space: TableSpace) -> None:
    one, two = create(tables, "one"), create(tables, "two")
    tables.write("one", change(1))
    tables.write("two", change(2))
    tables.write("one", change(1, ChangeKind.UPDATE))
    tables.write_batch([("two", [change(3), change(4)]), ("one", [change(5), change(1, ChangeKind.DELETE)])])
    log = space.changelog
    assert [(c.kind, c.key[0][1]) for c in log.read(one, 0, 100)] == [
        (ChangeKind.PUT, 1),
        (ChangeKind.UPDATE, 1),
        (ChangeKind.PUT, 5),
        (ChangeKind.DELETE, 1),
    ]
    assert [(c.kind, c.key[0][1]) for c in log.read(two, 0, 100)] == [
        (ChangeKind.PUT, 2),
        (ChangeKind.PUT, 3),
        (ChangeKind.PUT, 4),
    ]
    sequences = [c.sequence for table in (one, two) for c in log.read(table, 0, 100)]
    assert sorted(sequences) == list(range(1, 8))
    assert log.last_sequence == 7
    assert log.read(99, 0, 100) == []


def test_rows_that_time_has_changed_are_logged_and_left_as_they_are(tables: Tables, space: TableSpace) -> None:
    one = create(tables, "one")
    tables.write_batch([("one", [change(1), change(2)])])
    told: list[set[int]] = []
    space.changelog.subscribe(told.append)
    tables.aged(one, [(("pk", 2),), (("pk", 7),)])
    tables.aged(one, [])
    assert [(c.sequence, c.key[0][1]) for c in space.changelog.read(one, 2, 100)] == [(3, 2), (4, 7)]
    assert told == [{one}]
    assert [row is None for row in tables.read_rows(one, [(("pk", 2),), (("pk", 7),)])] == [False, True]
    with pytest.raises(ObjectNotExist):
        tables.aged(99, [(("pk", 2),)])
    with pytest.raises(InvalidPrimaryKey):
        tables.aged(one, [(("other", 2),)])
    assert space.changelog.last_sequence == 4


@settings(max_examples=60, deadline=None)
@given(
    batches=st.lists(st.integers(1, 4), min_size=1, max_size=8),
    after=st.integers(0, 30),
    limit=st.integers(0, 10),
    through=st.integers(0, 30),
)
def test_reading_and_trimming_agree_with_a_list(batches: list[int], after: int, limit: int, through: int) -> None:
    space = TableSpace(MemoryStore())
    tables = space.instance("default")
    table_id, other = create(tables), create(tables, "other")
    for number, size in enumerate(batches):
        tables.write_batch([("t", [change(number * 10 + i) for i in range(size)]), ("other", [change(0)])])
    log = space.changelog
    whole = log.read(table_id, 0, 1_000)
    assert [c.key[0][1] for c in whole] == [n * 10 + i for n, size in enumerate(batches) for i in range(size)]
    assert log.read(table_id, after, limit) == [c for c in whole if c.sequence > after][:limit]
    log.trim(table_id, through)
    left = log.read(table_id, 0, 1_000)
    assert [c for c in left if c.sequence > through] == [c for c in whole if c.sequence > through]
    # Only a commit that reaches beyond stays whole.
    assert all(c.sequence > through for c in left) or left[0].sequence <= through < left[-1].sequence
    assert len([c for c in left if c.sequence <= through]) < 4
    assert len(log.read(other, 0, 1_000)) == len(batches)
    assert log.last_sequence == sum(batches) + len(batches)
    gone = [c.sequence for c in whole if c not in left]
    assert log.trimmed_through(table_id) == max(gone, default=0), "noted in the same commit"
    assert log.trimmed_through(other) == 0


def test_what_was_forgotten_is_noted_with_the_forgetting() -> None:
    """Of every commit of a trim either all is there or nothing; with nothing to forget there is none."""
    commits: list[WriteBatch] = []

    class Watched(MemoryStore):
        def commit(self, batch: WriteBatch) -> None:
            commits.append(batch)
            super().commit(batch)

    space = TableSpace(Watched())
    tables = space.instance("default")
    table_id = create(tables)
    for number in range(3):
        tables.write("t", change(number))
    commits.clear()
    space.changelog.trim(table_id, 2)
    (trim,) = commits
    assert sorted(kind for kind, _, _ in trim.operations) == [PUT, DELETE_RANGE]
    assert space.changelog.trimmed_through(table_id) == 2
    space.changelog.trim(table_id, 2)
    space.changelog.trim(table_id, 1)
    assert len(commits) == 1
    space.changelog.trim(table_id, 1_000)
    assert space.changelog.trimmed_through(table_id) == 3, "not what was asked for, but what went"
    tables.delete("t")
    assert space.changelog.trimmed_through(table_id) == 0


def test_the_last_sequence_outlives_trimming_deleting_and_reopening(reopened) -> None:
    store = reopened()
    space = TableSpace(store)
    tables = space.instance("default")
    table_id = create(tables)
    for i in range(10):
        tables.write("t", change(i))
    space.changelog.trim(table_id, 10)
    assert space.changelog.read(table_id, 0, 10) == []
    tables.delete("t")
    store.close()
    store = reopened()
    space = TableSpace(store)
    tables = space.instance("default")
    assert space.changelog.last_sequence == 10
    table_id = create(tables)
    tables.write("t", change(1))
    assert [c.sequence for c in space.changelog.read(table_id, 0, 10)] == [11]
    store.close()


def test_listeners_are_told_after_the_commit(tables: Tables, space: TableSpace) -> None:
    one, two = create(tables, "one"), create(tables, "two")
    told: list[tuple[set[int], int, int]] = []

    def listen(changed: set[int]) -> None:
        log = space.changelog
        told.append((changed, log.last_sequence, sum(len(log.read(table, 0, 100)) for table in (one, two))))

    space.changelog.subscribe(listen)
    tables.write("one", change(1))
    tables.write_batch([("one", [change(2)]), ("two", [change(1), change(2)])])
    create(tables, "three")
    assert told == [({one}, 1, 1), ({one, two}, 4, 4)]


def test_a_listener_that_fails_harms_nobody(
    tables: Tables, space: TableSpace, caplog: pytest.LogCaptureFixture
) -> None:
    create(tables)
    told: list[set[int]] = []

    def fail(changed: set[int]) -> None:
        raise RuntimeError("a listener's own")

    space.changelog.subscribe(fail)
    space.changelog.subscribe(told.append)
    with caplog.at_level(logging.ERROR):
        tables.write("t", change(1))
        tables.write("t", change(2))
    assert len(told) == 2
    assert "a listener of the changelog failed" in caplog.text


def test_sequences_become_visible_in_order(tables: Tables, space: TableSpace) -> None:
    table_id = create(tables)
    stop = threading.Event()
    gaps: list[tuple[int, int]] = []

    def follow() -> None:
        position = 0
        while not (stop.is_set() and position == space.changelog.last_sequence):
            promised = space.changelog.last_sequence
            for one in space.changelog.read(table_id, position, 50):
                if one.sequence != position + 1:
                    gaps.append((position, one.sequence))
                position = one.sequence
            if position < promised and not space.changelog.read(table_id, position, 1):
                gaps.append((position, promised))

    def write(worker: int) -> None:
        for i in range(40):
            tables.write_batch([("t", [change(worker * 1_000 + i), change(-i)])])

    follower = threading.Thread(target=follow)
    writers = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for thread in [follower, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    follower.join()
    assert gaps == []
    assert space.changelog.last_sequence == 4 * 40 * 2


def test_a_damaged_block_is_corruption() -> None:
    good = changeblock.value([changeblock.entry(ChangeKind.PUT, b"abc"), changeblock.entry(ChangeKind.DELETE, b"")])
    assert list(changeblock.entries(good)) == [(ChangeKind.PUT, b"abc"), (ChangeKind.DELETE, b"")]
    for bad in (b"", b"\x02" + good[1:], good[:-1], good[:9], good[:5] + b"\x09" + good[6:]):
        with pytest.raises(Corruption):
            list(changeblock.entries(bad))
