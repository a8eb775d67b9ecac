"""SlateDB on a real S3 server whose connections are reset, and whose writers are many: nothing lost, nothing twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator

import pytest
from support.flaky_proxy import FlakyProxy, Mishap
from support.s3_server import S3Server
from support.stalling_proxy import StallingProxy
from support.waiting import wait_until

from lutra.kv.batch import WriteBatch
from lutra.kv.slatedb.settings import SlateSettings
from lutra.kv.slatedb.store import SlateStore
from lutra.model.errors import Corruption, Fenced, LutraError, StorageFailure

WRITER = """
import sys
from lutra.kv.batch import WriteBatch
from lutra.kv.slatedb.store import SlateStore
store = SlateStore(sys.argv[1])
last = store.get(b"last")
number = int(last or b"0")
while True:
    number += 1
    batch = WriteBatch()
    for part in range(5):
        batch.put(b"%06d/%d" % (number, part), b"x" * 200)
    batch.put(b"last", b"%d" % number)
    store.commit(batch)
    print(number, flush=True)
"""


@pytest.fixture
def proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlakyProxy]:
    with FlakyProxy(s3.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


def put(store: SlateStore, number: int) -> None:
    batch = WriteBatch()
    batch.put(b"%06d" % number, b"v%d" % number)
    batch.put(b"last", b"%d" % number)
    store.commit(batch)


def put_failing(store: SlateStore, number: int, failures: list[LutraError]) -> None:
    try:
        put(store, number)
    except LutraError as error:
        failures.append(error)


def numbers(store: SlateStore) -> list[int]:
    return [int(key) for key, _ in store.scan(b"0", b":")]


def place(s3: S3Server) -> str:
    return s3.url(f"kv/{uuid.uuid4().hex}")


def test_a_commit_is_there_for_who_opens_next(s3: S3Server) -> None:
    url = place(s3)
    one = SlateStore(url)
    for number in range(5):
        put(one, number)
    two = SlateStore(url)  # the first was neither flushed nor closed
    assert numbers(two) == [0, 1, 2, 3, 4]
    with pytest.raises(Fenced, match="only writer"):
        put(one, 5)
    with pytest.raises(Fenced):
        one.get(b"last")
    put(two, 6)
    assert numbers(two) == [0, 1, 2, 3, 4, 6]
    one.close()
    two.close()


@pytest.mark.parametrize("mishap", [Mishap.RESET_REPLY, Mishap.CUT_REPLY, Mishap.RESET_REQUEST])
def test_a_put_that_is_answered_by_a_reset_counts_once(s3: S3Server, proxy: FlakyProxy, mishap: Mishap) -> None:
    """The server may have taken it: it is known again by what was written with it, and not taken for another's."""
    url = place(s3)
    store = SlateStore(url)
    for number in range(6):
        if number % 2:
            proxy.next(mishap)
        put(store, number)
    assert proxy.pending == 0
    assert numbers(store) == list(range(6))
    store.close()
    again = SlateStore(url)
    assert numbers(again) == list(range(6))
    again.close()


def test_a_store_that_cannot_be_reached_is_told_and_not_used_again(s3: S3Server, proxy: FlakyProxy) -> None:
    url = place(s3)
    store = SlateStore(url, settings=SlateSettings(wait_s=1.0))
    put(store, 1)
    proxy.next(*[Mishap.RESET_REQUEST] * 200)
    with pytest.raises(StorageFailure, match="not answered"):
        put(store, 2)
    for use in (lambda: store.get(b"last"), lambda: put(store, 3), lambda: list(store.scan(b"0", b"9"))):
        with pytest.raises(StorageFailure, match="open it again"):
            use()
    store.close()
    with proxy._lock:
        proxy._mishaps.clear()
    again = SlateStore(url)
    assert numbers(again) in ([1], [1, 2])
    put(again, 4)
    again.close()


def test_nobody_is_shown_what_may_never_be_durable(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that is cut off reads what is on the store, and not what it could not bring there: another may have gone
    on without that."""
    url = place(s3)
    with StallingProxy(s3.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        store = SlateStore(url)
        put(store, 1)
        proxy.stall("/wal/")
        failures: list[LutraError] = []
        writer = threading.Thread(target=lambda: put_failing(store, 2, failures))
        writer.start()
        wait_until(lambda: proxy.held > 0)
        assert store.get(b"last") == b"1"
        assert store.get_many([b"000001", b"000002", b"last"]) == [b"v1", None, b"1"]
        assert numbers(store) == [1]
        assert list(store.scan(b"0", b":", reverse=True)) == [(b"000001", b"v1")]
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
        other = SlateStore(url)
        assert numbers(other) == [1]
        put(other, 3)
        proxy.release()
        writer.join(60)
        assert not writer.is_alive()
        assert [type(error) for error in failures] == [Fenced]
        assert numbers(other) == [1, 3]
        other.close()
        store.close()


def test_of_many_who_open_at_once_one_is_the_writer(s3: S3Server) -> None:
    url = place(s3)
    SlateStore(url).close()
    acknowledged: list[int] = []
    refused: list[LutraError] = []
    stores: list[SlateStore] = []
    start = threading.Barrier(4)

    def race(worker: int) -> None:
        start.wait()
        try:
            store = SlateStore(url)
        except (Fenced, StorageFailure, Corruption) as error:
            refused.append(error)
            return
        stores.append(store)
        for i in range(20):
            try:
                put(store, worker * 1_000 + i)
            except Fenced as error:
                refused.append(error)
                return
            acknowledged.append(worker * 1_000 + i)

    threads = [threading.Thread(target=race, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) >= 3
    assert not [error for error in refused if not isinstance(error, Fenced)]
    last = SlateStore(url)
    assert set(acknowledged) <= set(numbers(last))
    for store in [*stores, last]:
        store.close()


def run_and_kill(url: str, seconds: float) -> int:
    """The last number that was acknowledged."""
    with subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
        lines = [first, *writer.stdout.readlines()]
    return max((int(line) for line in lines if line.endswith(b"\n")), default=0)


@pytest.mark.parametrize("rounds", [2, pytest.param(30, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_a_killed_writer_loses_nothing_acknowledged(s3: S3Server, rounds: int) -> None:
    url, rng = place(s3), random.Random(rounds)
    acknowledged = 0
    for _ in range(rounds):
        acknowledged = max(acknowledged, run_and_kill(url, rng.uniform(0.05, 0.5)))
    store = SlateStore(url)
    last = int(store.get(b"last") or b"0")
    assert last >= acknowledged > 0
    expected = [b"%06d/%d" % (number, part) for number in range(1, last + 1) for part in range(5)]
    assert [key for key, _ in store.scan(b"0", b":")] == expected
    store.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(3))
def test_mishaps_all_the_time_lose_nothing(s3: S3Server, proxy: FlakyProxy, seed: int) -> None:
    url, rng = place(s3), random.Random(seed)
    kinds = [Mishap.RESET_REQUEST, Mishap.RESET_REPLY, Mishap.CUT_REPLY]
    acknowledged: set[int] = set()
    number = 0
    for _ in range(4):
        store = SlateStore(url)
        for _ in range(60):
            if not proxy.pending and rng.random() < 0.3:
                proxy.next(rng.choice(kinds))
            number += 1
            try:
                put(store, number)
            except StorageFailure:
                break
            acknowledged.add(number)
        found = numbers(store) if store._refusal is None else []
        assert not found or acknowledged <= set(found)
        store.close()
    last = SlateStore(url)
    assert acknowledged <= set(numbers(last)) <= set(range(1, number + 1))
    last.close()
