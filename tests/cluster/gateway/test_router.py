"""What a gateway does where owners move, die, or do not answer: nothing is written twice, nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.local_cluster import LocalCluster, LocalNode, local_cluster
from support.waiting import wait_until

from lutra.cluster.errors import PeerLost, PeerUnreachable
from lutra.cluster.gateway.patience import WaitingRoom
from lutra.cluster.gateway.tables import GatewayTables
from lutra.cluster.holdings import Holding
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import (
    ConditionCheckFail,
    Corruption,
    ObjectNotExist,
    OutcomeUnknown,
    PartitionUnopened,
    RequestTimeout,
    ServerBusy,
)
from lutra.model.rows import (
    CellOperation,
    ChangeKind,
    Condition,
    KeyInput,
    RangeRequest,
    ReadOptions,
    ReadResult,
    RowChange,
    RowExistence,
    WriteResult,
)
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import INF_MAX, INF_MIN, ColumnType
from lutra.tables.keys import KeyCodec

_KEY = (KeyColumn("k", ColumnType.INTEGER),)
_ALL = RangeRequest((("k", INF_MIN),), (("k", INF_MAX),))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with local_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def asked(cluster: LocalCluster) -> Iterator[LocalNode]:
    """A node that has the first of three partitions, [, 10), [10, 20), [20, ) of the table ``t``."""
    cluster.nodes[0].instance.create_table(TableSchema("t", _KEY, splits=(10, 20)))
    yield cluster.owner(cluster.partitions("t")[0].id)
    for node in cluster.nodes:
        node.peers.faults.clear()
    cluster.nodes[0].instance.delete_table("t")


def key(number: int) -> KeyInput:
    return (("k", number),)


def put(number: int) -> RowChange:
    return RowChange(ChangeKind.PUT, key(number), [("c", number, None, 0)])


def increment(number: int) -> RowChange:
    return RowChange(ChangeKind.UPDATE, key(number), [("n", 1, None, int(CellOperation.INCREMENT))])


def value(tables: GatewayTables, number: int, column: str) -> Any:
    row = tables.read("t", key(number), ReadOptions()).row
    return None if row is None else {name: value for name, value, _ in row.cells}.get(column)


@contextmanager
def fault(asked: LocalNode, of: str, what: Callable[[Callable[[], Any]], Any], times: int = 1) -> Iterator[None]:
    """The next calls of a node are ``what``; those after it are made."""
    left = [times]

    def faulty(call: Callable[[], Any]) -> Any:
        if left[0]:
            left[0] -= 1
            return what(call)
        return call()

    asked.peers.faults[of] = faulty
    yield
    assert not left[0], "no call came"
    del asked.peers.faults[of]


class WatchedRoom(WaitingRoom):
    """Keeps the largest number that waited at once, and how often there was no room."""

    def __init__(self, per_partition: int, in_all: int) -> None:
        super().__init__(per_partition, in_all)
        self.most = self.refused = 0
        self._watching = threading.Lock()

    def enter(self, partition_id: str) -> bool:
        with self._watching:
            has_room = super().enter(partition_id)
            self.most = max(self.most, self.waiting)
            self.refused += not has_room
        return has_room

    def leave(self, partition_id: str) -> None:
        with self._watching:
            super().leave(partition_id)


def lost_after(call: Callable[[], Any]) -> Any:
    call()
    raise PeerLost("the answer was lost")


def unreachable(call: Callable[[], Any]) -> Any:
    raise PeerUnreachable("nobody is there")


def test_a_write_whose_answer_is_lost_is_made_once_and_told_of(cluster: LocalCluster, asked: LocalNode) -> None:
    tables = asked.instance.tables
    owner = cluster.owner(cluster.partitions("t")[1].id)
    tables.write("t", increment(15))
    with fault(asked, owner.name, lost_after), pytest.raises(OutcomeUnknown):
        tables.write("t", increment(15))
    assert value(tables, 15, "n") == 2
    expected = Condition(RowExistence.EXPECT_NOT_EXIST)
    change = RowChange(ChangeKind.PUT, key(16), [("c", 1, None, 0)], expected)
    with fault(asked, owner.name, lost_after), pytest.raises(OutcomeUnknown):
        tables.write("t", change)
    with pytest.raises(ConditionCheckFail):
        tables.write("t", change)


def test_what_was_surely_not_done_is_done_once_by_whom_has_it_then(cluster: LocalCluster, asked: LocalNode) -> None:
    tables = asked.instance.tables
    entry = cluster.partitions("t")[1]
    owner = cluster.owner(entry.id)

    def moved(call: Callable[[], Any]) -> Any:
        cluster.move(entry.id)
        return unreachable(call)

    tables.write("t", increment(15))
    with fault(asked, owner.name, moved):
        tables.write("t", increment(15))
    assert value(tables, 15, "n") == 2

    def split(call: Callable[[], Any]) -> Any:
        cluster.split(entry.id, KeyCodec(b"", _KEY).encode_partition_value(15))
        return call()

    tables.write_batch([("t", [put(number) for number in range(30)])])
    owner = cluster.owner(entry.id)
    if owner is asked:
        owner = cluster.move(entry.id)
        tables.write("t", put(15))
    with fault(asked, owner.name, split):
        (written,) = tables.write_batch([("t", [increment(number) for number in range(30)])])
    assert all(isinstance(one, WriteResult) for one in written)
    assert [value(tables, number, "n") for number in range(30)] == [1] * 30
    assert len(cluster.partitions("t")) == 4


def test_a_read_is_repeated(cluster: LocalCluster, asked: LocalNode) -> None:
    tables = asked.instance.tables
    tables.write_batch([("t", [put(number) for number in range(30)])])
    for entry in cluster.partitions("t")[1:]:
        with fault(asked, cluster.owner(entry.id).name, lost_after, times=3):
            assert [row.key for row in tables.read_range("t", _ALL).rows] == [key(number) for number in range(30)]


@pytest.mark.parametrize("backward", [False, True])
def test_a_range_goes_on_over_what_was_split_meanwhile(cluster: LocalCluster, asked: LocalNode, backward: bool) -> None:
    tables = asked.instance.tables
    tables.write_batch([("t", [put(number) for number in range(30)])])
    entry = cluster.partitions("t")[1]

    def split(call: Callable[[], Any]) -> Any:
        cluster.split(entry.id, KeyCodec(b"", _KEY).encode_partition_value(13))
        return call()

    request = RangeRequest(_ALL.end, _ALL.start, True) if backward else _ALL
    with fault(asked, cluster.owner(entry.id).name, split):
        page = tables.read_range("t", request)
    numbers = [row.key[0][1] for row in page.rows]
    assert numbers == sorted(range(30), reverse=backward)
    assert page.next_start is None
    assert len(cluster.partitions("t")) == 4


def test_split_points_are_those_of_partitions_and_between_them(cluster: LocalCluster, asked: LocalNode) -> None:
    tables = asked.instance.tables
    change = [("c", "x" * 1_000, None, 0)]
    tables.write_batch([("t", [RowChange(ChangeKind.PUT, key(number), list(change)) for number in range(30)])])

    def points(size_bytes: int) -> list[Any]:
        return [point[0][1] for point in tables.split_points("t", size_bytes)]

    small = points(2_500)
    assert small == sorted(set(small))
    assert 10 <= len(small) <= 20
    assert {10, 20} <= set(small)
    assert points(15_000) == [10, 20]  # a partition each
    assert points(25_000) in ([20], [10])  # two of them together
    assert points(1_000_000) == []


def test_one_hop_each_and_none_at_home(cluster: LocalCluster, asked: LocalNode) -> None:
    tables = asked.instance.tables
    tables.write_batch([("t", [put(number) for number in range(30)])])  # finds the owners
    calls = asked.peers.calls

    def count(ask: Callable[[], object]) -> int:
        calls.clear()
        ask()
        return len(calls)

    assert count(lambda: tables.read("t", key(5), ReadOptions())) == 0
    assert count(lambda: tables.write("t", put(5))) == 0
    assert count(lambda: tables.read("t", key(15), ReadOptions())) == 1
    assert count(lambda: tables.write("t", put(15))) == 1
    assert count(lambda: tables.write_batch([("t", [put(number) for number in range(30)])])) == 2
    assert count(lambda: tables.read_range("t", _ALL)) == 2
    assert count(lambda: tables.read_range("t", RangeRequest(key(0), key(10)))) == 0
    assert count(lambda: tables.read_batch([("t", [key(5), key(15), key(25), key(16)], ReadOptions())])) == 2


def test_rows_of_one_that_is_away_fail_alone(cluster: LocalCluster, asked: LocalNode) -> None:
    tables = asked.instance.tables
    tables.write_batch([("t", [put(number) for number in range(30)])])
    away = cluster.owner(cluster.partitions("t")[1].id)
    asked.peers.faults[away.name] = unreachable
    with working_for(Deadline(1.5)):
        (written,) = tables.write_batch([("t", [increment(5), increment(15), increment(25)])])
    assert [type(one) for one in written] == [WriteResult, ServerBusy, WriteResult]
    with working_for(Deadline(1.5)):
        (read,) = tables.read_batch([("t", [key(5), key(15), key(25)], ReadOptions())])
    assert [type(one) for one in read] == [ReadResult, ServerBusy, ReadResult]
    with working_for(Deadline(1.5)), pytest.raises(ServerBusy):
        tables.read_batch([("t", [key(15), key(16)], ReadOptions())])
    with working_for(Deadline(1.5)), pytest.raises(ServerBusy):
        tables.read_range("t", _ALL)
    with working_for(Deadline(0.0)), pytest.raises(RequestTimeout):
        tables.read("t", key(15), ReadOptions())
    asked.peers.faults[away.name] = lost_after
    (written,) = tables.write_batch([("t", [increment(5), increment(15), increment(25)])])
    assert [type(one) for one in written] == [WriteResult, OutcomeUnknown, WriteResult]
    asked.peers.faults.clear()
    assert [value(tables, number, "n") for number in (5, 15, 25)] == [2, 1, 2]


def test_no_more_wait_than_there_is_room_for(cluster: LocalCluster, asked: LocalNode) -> None:
    tables = asked.instance.tables
    away = cluster.owner(cluster.partitions("t")[1].id)
    asked.peers.faults[away.name] = unreachable
    asked.router.room = room = WatchedRoom(per_partition=2, in_all=48)
    deadlines = [Deadline(120.0) for _ in range(12)]
    left_s: list[float] = []
    answered: list[ReadResult] = []

    def ask(deadline: Deadline) -> None:
        with working_for(deadline):
            try:
                answered.append(tables.read("t", key(15), ReadOptions()))
            except ServerBusy:
                left_s.append(deadline.left_s)

    threads = [threading.Thread(target=ask, args=(deadline,)) for deadline in deadlines]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(left_s) >= 8 and room.refused > 0)
    finally:
        asked.peers.faults.clear()
        for thread in threads:
            thread.join()
        asked.router.room = WaitingRoom()
    assert room.most == 2
    # For want of room, and not of time: who waits gives up after 20 s.
    assert len(left_s) == room.refused
    assert min(left_s) > 60
    assert len(answered) == 12 - len(left_s) > 0
    assert room.waiting == 0


def test_a_batch_reads_the_map_once_for_all_that_is_not_there(asked: LocalNode) -> None:
    tables = asked.instance.tables
    readings = []
    newest = asked.maps.newest

    def counted() -> Any:
        readings.append(1)
        return newest()

    asked.maps.newest = counted  # type: ignore[method-assign]
    try:
        (written,) = tables.write_batch([("none", [put(number) for number in range(200)])])
        assert {type(one) for one in written} == {ObjectNotExist}
        assert len(readings) <= 2
        results = tables.read_batch([(f"none{number}", [key(1)], ReadOptions()) for number in range(100)])
        assert {type(one) for (one,) in results} == {ObjectNotExist}
        assert len(readings) <= 4
    finally:
        asked.maps.newest = newest  # type: ignore[method-assign]


def test_a_partition_that_cannot_be_opened_is_not_waited_for(cluster: LocalCluster, asked: LocalNode) -> None:
    tables = asked.instance.tables
    _, entry, _ = cluster.partitions("t")
    owner = cluster.owner(entry.id)
    assert owner is not asked
    for number in (1, 11, 21):
        tables.write("t", put(number))
    holding = Holding(entry.id, 1, 0.0)
    for _ in range(3):
        holding.failed(Corruption("/secret"), 0.0, 1.0)
    owner.host.close(entry.id)
    owner.host.refusal_of = {entry.id: holding.refusal}.get
    try:
        retries = asked.router.retries
        for ask in (
            lambda: tables.read("t", key(11), ReadOptions()),
            lambda: tables.write("t", put(11)),
            lambda: tables.read_range("t", _ALL),
            lambda: owner.instance.tables.read("t", key(11), ReadOptions()),
        ):
            with pytest.raises(PartitionUnopened, match=f"{entry.id} could not be opened 3 times.*is damaged"):
                ask()
        ((one, two, three),) = tables.write_batch([("t", [put(1), put(11), put(21)])])
        assert isinstance(one, WriteResult)
        assert isinstance(two, PartitionUnopened)
        assert isinstance(three, WriteResult)
        assert asked.router.retries == retries
    finally:
        owner.host.refusal_of = lambda partition_id: None
        cluster.move(entry.id, owner)
    assert value(tables, 11, "c") == 11
    assert value(tables, 21, "c") == 21


def test_a_name_is_the_table_that_has_it_now(cluster: LocalCluster, asked: LocalNode) -> None:
    one, other = cluster.nodes[1].instance, cluster.nodes[2].instance
    schema = TableSchema("again", (KeyColumn("s", ColumnType.STRING),), splits=("m",))
    for made in (schema, TableSchema("again", _KEY, splits=(0,)), schema):
        with pytest.raises(ObjectNotExist):
            other.tables.read_range("again", _ALL)
        one.create_table(made)
        row = (("s", "z"),) if made is schema else key(1)
        change = RowChange(ChangeKind.PUT, row, [("c", 1, None, 0)])
        assert isinstance(other.tables.write("again", change), WriteResult)
        assert other.tables.read("again", row, ReadOptions()).row is not None
        (written,) = cluster.nodes[0].instance.tables.write_batch([("again", [change])])
        assert isinstance(written[0], WriteResult)
        one.delete_table("again")
