"""Sessions of scans: how many, for how long, and what they hold."""

from __future__ import annotations

import gc
import time
import weakref

import pytest
from support.indexes import memory_index

from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.view import PartView
from lutra.instance.scan_sessions import ScanSessions
from lutra.model import limits
from lutra.model.errors import ServerBusy, SessionExpired
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType

OWNER = ("i", "t", "x")
OTHER = ("i", "t", "y")


class Clock:
    def __init__(self) -> None:
        self.s = 1_000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def index() -> SearchIndex:
    index = memory_index(IndexSchema((FieldSchema("n", FieldType.LONG),)), (KeyColumn("id", ColumnType.INTEGER),))
    index.apply([Row((("id", n),), [("n", n, 1)]) for n in range(100)])
    return index


def is_expired(sessions: ScanSessions, name: bytes, owner: tuple[str, str, str] = OWNER) -> bool:
    try:
        sessions.view(name, owner, 1)
    except SessionExpired:
        return True
    return False


def test_what_clients_are_told() -> None:
    with pytest.raises(SessionExpired) as caught:
        ScanSessions().view(b"none", OWNER, 1)
    assert caught.value.code == "OTSSessionExpired"
    assert str(caught.value) == "ScanQuery'session is expired, please retry ComputeSplitsRequest and ScanQuery."


def test_a_session_keeps_its_view(clock: Clock, index: SearchIndex) -> None:
    sessions = ScanSessions(clock)
    view = index.view()
    name = sessions.begin(OWNER, view)
    name.decode()
    index.apply([Row((("id", 100),), [])])
    assert sessions.view(name, OWNER, 60) is view
    assert is_expired(sessions, b"other")
    assert is_expired(sessions, name, OTHER)
    sessions.close()
    assert is_expired(sessions, name)
    assert len(sessions) == 0


def test_each_use_keeps_it_for_as_long_as_it_says(clock: Clock, index: SearchIndex) -> None:
    sessions = ScanSessions(clock)
    first, second = (sessions.begin(OWNER, index.view()) for _ in range(2))
    clock.s += limits.SCAN_ALIVE_S_DEFAULT - 1
    sessions.view(first, OWNER, 10)
    clock.s += 1
    assert is_expired(sessions, second)
    clock.s += 8
    sessions.view(first, OWNER, 100)
    clock.s += 99
    assert sessions.expire() == pytest.approx(1)
    clock.s += 1
    assert is_expired(sessions, first)
    assert sessions.expire() is None
    assert len(sessions) == 0


def test_there_are_so_many(clock: Clock, index: SearchIndex) -> None:
    sessions = ScanSessions(clock)
    for _ in range(limits.SCAN_SESSIONS_MAX):
        sessions.begin(OWNER, index.view())
    with pytest.raises(ServerBusy, match="64 scans have sessions"):
        sessions.begin(OWNER, index.view())
    sessions.drop(OTHER)
    assert len(sessions) == limits.SCAN_SESSIONS_MAX
    clock.s += limits.SCAN_ALIVE_S_DEFAULT
    sessions.begin(OTHER, index.view())
    assert len(sessions) == 1
    sessions.drop(OTHER)
    assert len(sessions) == 0
    sessions.close()


def test_what_they_hold_is_bounded(clock: Clock, index: SearchIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions over one buffer hold it once."""
    sessions = ScanSessions(clock)
    sessions.begin(OWNER, index.view())
    held = sessions.held.buffers
    assert held > 0 == sessions.held.segments
    sessions.begin(OWNER, index.view())
    assert sessions.held.buffers == held
    other = memory_index(index.schema, index.key_columns)
    other.apply([Row((("id", n),), [("n", n, 1)]) for n in range(100)])
    monkeypatch.setattr(limits, "SCAN_BUFFER_BYTES_MAX", 2 * held - 1)
    with pytest.raises(ServerBusy, match="hold"):
        sessions.begin(OTHER, other.view())
    monkeypatch.setattr(limits, "SCAN_BUFFER_BYTES_MAX", 2 * held)
    sessions.begin(OTHER, other.view())
    assert sessions.held.buffers == 2 * held
    sessions.drop(OWNER)
    sessions.drop(OTHER)
    monkeypatch.setattr(limits, "SCAN_BUFFER_BYTES_MAX", 1)
    assert sessions.begin(OTHER, other.view())  # one in any case
    sessions.close()
    with pytest.raises(ServerBusy, match="closed"):
        sessions.begin(OTHER, other.view())


def test_nobody_has_to_ask_for_one_to_end(index: SearchIndex) -> None:
    """By a thread, which ends with the last of them."""
    sessions = ScanSessions()
    view = index.view()
    part = view.parts[0]
    assert isinstance(part, PartView)
    alive = weakref.ref(part.newest)
    name = sessions.begin(OWNER, view)
    sessions.view(name, OWNER, 0.01)
    index.apply([], [(("id", 0),)])
    index.view()
    del view, part
    until_s = time.monotonic() + 60
    while (len(sessions) or sessions._sessions._thread is not None) and time.monotonic() < until_s:
        time.sleep(0.01)
    gc.collect()
    assert alive() is None
    assert sessions._sessions._thread is None
