"""Group commit: shared, ordered, and honest about failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pytest

from lutra.kv.batch import PUT, WriteBatch
from lutra.kv.memory import MemoryStore
from lutra.kv.store import KeyValueStore, Pair, Snapshot
from lutra.model.errors import StorageFailure
from lutra.model.rows import ChangeKind
from lutra.tables import changeblock, committer
from lutra.tables.committer import GroupCommitter, Pending


class TurnstileStore:
    """A store whose commits wait until they are let through, and fail when told to."""

    def __init__(self, inner: KeyValueStore) -> None:
        self.inner = inner
        self.waiting = threading.Semaphore(0)
        self.let_through = threading.Semaphore(0)
        self.fails = False
        self.batches: list[WriteBatch] = []

    def commit(self, batch: WriteBatch) -> None:
        self.batches.append(batch)
        self.waiting.release()
        self.let_through.acquire()
        if self.fails:
            raise StorageFailure("no space left on device")
        self.inner.commit(batch)

    def get(self, key: bytes) -> bytes | None:
        return self.inner.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return self.inner.get_many(keys)

    def scan(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        return self.inner.scan(begin, end, reverse=reverse)

    def snapshot(self) -> Snapshot:
        return self.inner.snapshot()

    def size_bytes(self, begin: bytes, end: bytes) -> int:
        return self.inner.size_bytes(begin, end)

    def split(self, begin: bytes, end: bytes, piece_bytes: int, limit: int) -> list[bytes]:
        return self.inner.split(begin, end, piece_bytes, limit)

    def close(self) -> None:
        self.inner.close()


def pending(key: bytes, size_bytes: int = 10) -> Pending:
    return Pending([(PUT, key, b"value")], {1: [changeblock.entry(ChangeKind.PUT, key)]}, size_bytes)


class Writers:
    """Threads that each commit one key, and what came of it."""

    def __init__(self, group: GroupCommitter) -> None:
        self.group = group
        self.outcomes: dict[bytes, BaseException | None] = {}
        self.threads: list[threading.Thread] = []

    def start(self, key: bytes, size_bytes: int = 10) -> None:
        def work() -> None:
            try:
                self.group.commit(pending(key, size_bytes))
                self.outcomes[key] = None
            except BaseException as error:
                self.outcomes[key] = error

        thread = threading.Thread(target=work)
        self.threads.append(thread)
        thread.start()
        # Queued, or leading, before the next one comes.
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and thread.is_alive():
            if any(one.operations[0][1] == key for one in list(self.group._queue)) or key in self.taken():
                return
            time.sleep(0.001)

    def taken(self) -> set[bytes]:
        store = self.group._store
        assert isinstance(store, TurnstileStore)
        return {operation[1] for batch in store.batches for operation in batch.operations}

    def join(self) -> None:
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def store() -> TurnstileStore:
    return TurnstileStore(MemoryStore())


def keys_of(batch: WriteBatch) -> list[bytes]:
    return [key for _, key, value in batch.operations if value == b"value"]


def test_who_comes_during_a_commit_shares_the_next(store: TurnstileStore) -> None:
    group = GroupCommitter(store)
    writers = Writers(group)
    writers.start(b"1")
    store.waiting.acquire()
    for key in (b"2", b"3", b"4"):
        writers.start(key)
    store.let_through.release()
    store.waiting.acquire()
    writers.start(b"5")
    store.let_through.release(2)
    writers.join()
    assert [keys_of(batch) for batch in store.batches] == [[b"1"], [b"2", b"3", b"4"], [b"5"]]
    assert writers.outcomes == dict.fromkeys([b"1", b"2", b"3", b"4", b"5"])
    assert group.last_sequence == 5
    firsts = [changeblock.first_sequence(key) for key, _ in store.scan(b"c", b"d")]
    assert firsts == [1, 2, 3, 4, 5]
    assert GroupCommitter(store).last_sequence == 5


def test_after_a_slow_commit_of_several_the_next_waits_for_them(
    store: TurnstileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are about to come again: else each would wait for two commits."""
    now_s, slept = [0.0], list[float]()
    monkeypatch.setattr(committer, "time", SimpleNamespace(monotonic=lambda: now_s[0], sleep=slept.append))
    commit, took_s = store.commit, [0.02]

    def slow(batch: WriteBatch) -> None:
        commit(batch)
        now_s[0] += took_s[0]

    monkeypatch.setattr(store, "commit", slow)
    writers = Writers(GroupCommitter(store))
    writers.start(b"1")
    store.waiting.acquire()
    for key in (b"2", b"3"):
        writers.start(key)
    store.let_through.release()  # of one: nobody is waited for
    store.waiting.acquire()
    assert slept == []
    writers.start(b"4")
    store.let_through.release()
    store.waiting.acquire()
    assert slept == [pytest.approx(0.003)]
    took_s[0] = 0.001
    for key in (b"5", b"6"):
        writers.start(key)
    store.let_through.release(2)  # of several, but not slow
    writers.join()
    writers.start(b"7")
    store.let_through.release()
    writers.join()
    assert [keys_of(batch) for batch in store.batches] == [[b"1"], [b"2", b"3"], [b"4"], [b"5", b"6"], [b"7"]]
    assert len(slept) == 1


def test_a_group_has_bounded_bytes(store: TurnstileStore) -> None:
    group = GroupCommitter(store)
    writers = Writers(group)
    store.let_through.release(10)
    store.let_through.acquire()
    writers.start(b"0")
    writers.join()
    store.batches.clear()
    for _ in range(9):
        store.let_through.acquire(blocking=False)
    writers.start(b"1")
    half = committer.GROUP_BYTES_MAX // 2
    for key, size_bytes in ((b"2", half), (b"3", half), (b"4", 1), (b"5", 3 * half), (b"6", 1)):
        writers.start(key, size_bytes)
    store.let_through.release(10)
    writers.join()
    assert [keys_of(batch) for batch in store.batches] == [[b"1"], [b"2", b"3"], [b"4"], [b"5"], [b"6"]]


def test_a_failed_commit_fails_all_of_its_group_and_only_those(store: TurnstileStore) -> None:
    group = GroupCommitter(store)
    told: list[set[int]] = []
    group.subscribe(told.append)
    writers = Writers(group)
    writers.start(b"1")
    store.waiting.acquire()
    for key in (b"2", b"3"):
        writers.start(key)
    store.let_through.release()
    store.waiting.acquire()
    store.fails = True
    writers.start(b"4")
    store.let_through.release()
    store.waiting.acquire()
    store.fails = False
    store.let_through.release()
    writers.join()
    failed = [key for key, error in sorted(writers.outcomes.items()) if error is not None]
    assert failed == [b"2", b"3"]
    errors = [writers.outcomes[key] for key in failed]
    assert all(isinstance(error, StorageFailure) and "no space" in str(error) for error in errors)
    assert errors[0] is not errors[1]
    assert [store.get(key) for key in (b"1", b"2", b"3", b"4")] == [b"value", None, None, b"value"]
    assert told == [{1}, {1}]
    # The failed commit may yet turn up on disk: its sequences are not given out again.
    assert [changeblock.first_sequence(key) for key, _ in store.scan(b"c", b"d")] == [1, 4]
    assert group.last_sequence == 4


def test_an_unforeseen_error_reaches_the_leader_and_frees_the_others(store: TurnstileStore) -> None:
    group = GroupCommitter(store)
    writers = Writers(group)
    writers.start(b"1")
    store.waiting.acquire()
    store.inner = None  # type: ignore[assignment]
    writers.start(b"2")
    writers.start(b"3")
    store.let_through.release(3)
    writers.join()
    assert isinstance(writers.outcomes[b"1"], AttributeError)
    kinds = sorted(type(writers.outcomes[key]).__name__ for key in (b"2", b"3"))
    assert kinds == ["AttributeError", "StorageFailure"]
    store.inner = MemoryStore()
    store.let_through.release()
    group.commit(pending(b"4"))
    assert store.get(b"4") == b"value"
