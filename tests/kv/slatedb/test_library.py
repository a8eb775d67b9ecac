"""The bindings as they are replaced: bytes come back as they were given, whoever waits and however."""

from __future__ import annotations

import _thread
import asyncio
import importlib.metadata
import multiprocessing
import random
import signal
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.kv.batch import WriteBatch
from lutra.kv.slatedb import library as library_module
from lutra.kv.slatedb.calls import CallTimeout, Loop, call, call_many
from lutra.kv.slatedb.library import VERSION, library
from lutra.kv.slatedb.store import SlateStore
from lutra.model.errors import ForkedProcess, ParameterInvalid


@given(data=st.binary(max_size=5_000))
def test_bytes_come_back_as_they_were_given(data: bytes) -> None:
    bindings = library()
    converter = bindings._UniffiFfiConverterBytes
    assert converter.lift(converter.lower(data)) == data
    text = data.hex() + "字🦦"
    assert bindings._UniffiFfiConverterString.lift(bindings._UniffiFfiConverterString.lower(text)) == text
    keys = bindings.KeyRange(start=data, start_inclusive=True, end=None, end_inclusive=False)
    converter = bindings._UniffiFfiConverterTypeKeyRange
    assert converter.lift(converter.lower(keys)) == keys


@pytest.mark.parametrize("size", [0, 1, 4_095, 100_000, 3_000_000])
def test_pairs_of_any_size_come_back(tmp_path: Path, size: int) -> None:
    rng = random.Random(size)
    pairs = [(b"%02d" % i + rng.randbytes(i), rng.randbytes(size)) for i in range(3)]
    store = SlateStore(tmp_path / "store")
    batch = WriteBatch()
    for key, value in pairs:
        batch.put(key, value)
    store.commit(batch)
    for _ in range(2):  # from memory, and from a table
        assert list(store.scan(b"0", b"9")) == pairs
        assert list(store.scan(b"0", b"9", reverse=True)) == pairs[::-1]
        assert store.get_many([key for key, _ in pairs]) == [value for _, value in pairs]
        store.flush()
    store.close()


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_module, "_library", None)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.18.0")
    with pytest.raises(ParameterInvalid, match=f"need slatedb {VERSION}; 0.18.0 is installed"):
        library()

    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(ParameterInvalid, match=r"lutra\[cluster\]"):
        library()


def test_calls_of_an_event_loop_are_its_own(tmp_path: Path) -> None:
    """Somebody else in this process may use SlateDB as it is meant to be used."""
    store = SlateStore(tmp_path / "store")
    batch = WriteBatch()
    batch.put(b"a", b"1")
    store.commit(batch)

    async def read() -> list[bytes | None]:
        mine = store.get(b"a")  # which waits in this very thread
        return [mine, *await asyncio.gather(*(store._db.get(key) for key in (b"a", b"b")))]

    assert asyncio.run(read()) == [b"1", b"1", None]
    store.close()


def test_many_calls_are_under_way_at_once() -> None:
    under_way: list[int] = []
    most: list[int] = []

    async def turn() -> None:
        """Given back to the thread that waits, by another."""
        future = Loop().create_future()
        threading.Timer(0.01, future.set_result, (None,)).start()
        await future

    async def work(number: int) -> int:
        under_way.append(number)
        most.append(len(under_way))
        await turn()
        await turn()
        under_way.remove(number)
        return number * 10

    assert call_many((work(number) for number in range(20)), 6) == [number * 10 for number in range(20)]
    assert max(most) == 6

    async def fail(number: int) -> int:
        await turn()
        if number == 3:
            raise KeyError(number)
        return number

    with pytest.raises(KeyError):
        call_many((fail(number) for number in range(20)), 6)

    async def wait_for_ever() -> None:
        await Loop().create_future()

    with pytest.raises(CallTimeout, match=r"within 0\.05 s"):
        call(wait_for_ever(), wait_s=0.05)


def test_an_interrupt_waits_for_what_is_to_be_whole() -> None:
    done: list[str] = []

    async def write() -> str:
        future = Loop().create_future()
        threading.Timer(0.05, future.set_result, (None,)).start()
        await future
        done.append("written")
        return "value"

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for is_whole, expected in ((False, []), (True, ["written"])):
            done.clear()
            threading.Timer(0.01, _thread.interrupt_main).start()
            with pytest.raises(KeyboardInterrupt):
                call(write(), is_whole=is_whole)
            assert done == expected
    finally:
        signal.signal(signal.SIGINT, previous)


def test_a_forked_process_can_do_nothing_with_it(tmp_path: Path) -> None:
    store = SlateStore(tmp_path / "store")
    batch = WriteBatch()
    batch.put(b"a", b"1")
    store.commit(batch)

    def use() -> None:
        for attempt in (
            lambda: store.get(b"a"),
            lambda: store.commit(batch),
            lambda: list(store.scan(b"a", b"b")),
            lambda: SlateStore(tmp_path / "other"),
        ):
            with pytest.raises(ForkedProcess):
                attempt()
        store.close()

    child = multiprocessing.get_context("fork").Process(target=use)
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert store.get(b"a") == b"1"
    store.commit(batch)
    store.close()
