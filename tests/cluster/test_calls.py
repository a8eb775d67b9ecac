"""Calls under way in a partition: checked, counted, held up, refused."""

from __future__ import annotations

import threading

import pytest
from support.waiting import wait_until

from lutra.cluster.calls import Calls
from lutra.cluster.errors import Moved
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import RequestTimeout, ServerBusy, StorageFailure

WITHIN_S = 30.0


class Lease:
    """That a test has or does not have."""

    def __init__(self) -> None:
        self.is_sure = True
        self.calls = Calls(self.check)

    def check(self) -> None:
        if not self.is_sure or self.calls.is_closed:
            raise Moved("not here")


def test_what_was_read_does_not_leave_once_the_lease_is_not_sure() -> None:
    lease = Lease()
    with lease.calls.reading():
        pass
    with pytest.raises(Moved), lease.calls.reading():
        lease.is_sure = False
    assert lease.calls.under_way == 0
    with pytest.raises(Moved), lease.calls.reading():
        pytest.fail("a call began without a lease")


def test_what_was_written_is_told_whoever_owns_it_by_then() -> None:
    lease = Lease()
    with lease.calls.writing():
        lease.is_sure = False
    with pytest.raises(Moved), lease.calls.writing():
        pytest.fail("a call began without a lease")
    assert lease.calls.under_way == 0


def test_what_fails_is_told_as_it_is_and_counted_no_more() -> None:
    lease = Lease()
    for call in (lease.calls.reading, lease.calls.writing):
        with pytest.raises(KeyError), call():
            raise KeyError
    assert lease.calls.under_way == 0


def test_what_fails_because_the_partition_goes_is_told_as_that() -> None:
    lease = Lease()
    with pytest.raises(StorageFailure), lease.calls.reading():
        raise StorageFailure("the disk")
    with pytest.raises(Moved):
        fail_while_it_goes(lease)
    assert lease.calls.under_way == 0


def fail_while_it_goes(lease: Lease) -> None:
    with lease.calls.reading():
        lease.calls.close()
        raise StorageFailure("the store is closed")


def test_a_pause_waits_for_writes_and_holds_up_others_but_no_reads() -> None:
    lease = Lease()
    begin, end, written = threading.Event(), threading.Event(), threading.Event()

    def write() -> None:
        with lease.calls.writing():
            begin.set()
            end.wait(WITHIN_S)
        with lease.calls.writing():
            written.set()

    writer = threading.Thread(target=write)
    writer.start()
    begin.wait(WITHIN_S)
    with pytest.raises(ServerBusy, match="did not end"), lease.calls.paused(0.01):
        pytest.fail("a write is under way")
    end.set()
    with lease.calls.paused(WITHIN_S):
        assert lease.calls.under_way == 0
        with lease.calls.reading():
            assert lease.calls.under_way == 1
        with pytest.raises(RequestTimeout), working_for(Deadline(0.02)), lease.calls.writing():
            pytest.fail("a write began in a pause")
        if not written.is_set():  # its second write may have begun before the pause
            assert not written.wait(0.05)
    assert written.wait(WITHIN_S)
    writer.join()


def is_waited_for(calls: Calls) -> bool:
    """Whether a thread waits for what changes."""
    with calls._changed:
        return bool(calls._changed._waiters)  # type: ignore[attr-defined]


def test_who_waits_for_a_pause_to_end_is_refused_when_the_partition_goes() -> None:
    lease = Lease()
    refused = threading.Event()

    def write() -> None:
        try:
            with lease.calls.writing():
                pass
        except Moved:
            refused.set()

    with lease.calls.paused(WITHIN_S):
        writer = threading.Thread(target=write)
        writer.start()
        wait_until(lambda: is_waited_for(lease.calls))
        lease.calls.close()
        assert refused.wait(WITHIN_S)
    writer.join()


def test_closing_waits_for_calls_under_way_but_not_for_ever() -> None:
    lease = Lease()
    ended = threading.Event()
    begun = threading.Event()

    def read() -> None:
        try:
            with lease.calls.reading():
                begun.set()
                ended.wait(WITHIN_S)
        except Moved:
            pass

    reader = threading.Thread(target=read)
    reader.start()
    begun.wait(WITHIN_S)
    lease.calls.close()
    assert not lease.calls.drain(0.01)
    ended.set()
    assert lease.calls.drain(WITHIN_S)
    reader.join()
    wait_until(lambda: lease.calls.under_way == 0)
