"""Reads through the block cache: the right bytes, one read each, clear errors, nothing corrupt kept."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.waiting import wait_until

from lutra.kernels.blocks import BlockCache, BlockCounters, BlockKind, BlockSource
from lutra.kernels.checksum import crc32c
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import Corruption, RequestTimeout, StorageFailure

BLOCK = 4096
Ranges = list[tuple[int, int]]


def with_checksum(content: bytes) -> bytes:
    return content + crc32c(content).to_bytes(4, "little")


def checked_blocks(count: int, tail_bytes: int = 100) -> list[bytes]:
    """Blocks that end in their checksum, the last one shorter."""
    return [with_checksum(os.urandom(BLOCK - 4)) for _ in range(count - 1)] + [with_checksum(os.urandom(tail_bytes))]


@pytest.fixture
def cache() -> Iterator[BlockCache]:
    with_budget = BlockCache(1 << 20)
    yield with_budget
    with_budget.close()


@pytest.fixture(params=["disk", "memory"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """On a disk's file system and on tmpfs."""
    if request.param == "disk":
        yield tmp_path
        return
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        pytest.skip("no tmpfs")
    path = shared / f"lutra-{os.getpid()}-{tmp_path.name}"
    path.mkdir()
    yield path
    for file in path.iterdir():
        file.unlink()
    path.rmdir()


def total(cache: BlockCache) -> BlockCounters:
    return sum(cache.counters().kinds.values(), BlockCounters())


class Remote:
    """A remote object in memory, whose n-th call can be made to fail, to answer short, or to wait."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.calls: list[Ranges] = []
        self.fail_at: int | None = None
        self.short_at: int | None = None
        self.go = threading.Event()
        self.go.set()

    def fetch(self, ranges: Ranges) -> list[bytes]:
        self.calls.append(ranges)
        call = len(self.calls)
        assert self.go.wait(10)
        if call == self.fail_at:
            raise ConnectionResetError(f"call {call}")
        pieces = [bytes(self.data[offset : offset + length]) for offset, length in ranges]
        if call == self.short_at:
            pieces[-1] = pieces[-1][:-1]
        return pieces


@pytest.mark.parametrize("engine", ["auto", "threads"])
@pytest.mark.parametrize("direct", [True, False])
def test_every_way_of_reading_gives_the_same_bytes(
    cache: BlockCache, directory: Path, engine: str, direct: bool
) -> None:
    blocks = checked_blocks(300)
    path = directory / "data"
    path.write_bytes(b"".join(blocks))
    source = cache.open_file(path, checksums=True, engine=engine, direct=direct)
    assert (source.block_count, source.size_bytes, source.name) == (300, 299 * BLOCK + 104, str(path))
    assert source.reads_by.endswith(", direct") or not direct or directory.parent == Path("/dev/shm")
    assert source.read(range(300)) == blocks
    assert source.read([299, 0, 299, 17]) == [blocks[299], blocks[0], blocks[299], blocks[17]]
    assert source.read([]) == []
    assert source.read([299, 3, 4, 5], bypass=True) == [blocks[299], *blocks[3:6]]
    data = b"".join(blocks)
    for offset, length in [(0, len(data)), (0, 0), (len(data), 0), (4095, 2), (BLOCK, BLOCK), (len(data) - 1, 1)]:
        for bypass in (False, True):
            assert source.read_range(offset, length, bypass=bypass) == data[offset : offset + length]


def test_io_uring_is_used_where_the_kernel_has_it(cache: BlockCache, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(bytes(BLOCK))
    assert cache.open_file(path, engine="threads").reads_by.startswith("threads")
    try:
        source = cache.open_file(path, engine="io_uring")
    except StorageFailure as refused:
        assert "io_uring" in str(refused)  # noqa: PT017
        assert cache.open_file(path).reads_by.startswith("threads")
    else:
        assert source.reads_by.startswith("io_uring")
        assert source.read([0]) == [bytes(BLOCK)]


def test_large_blocks_and_sections(cache: BlockCache, tmp_path: Path) -> None:
    data = os.urandom(10 * BLOCK) + b"footer"
    path = tmp_path / "data"
    path.write_bytes(data)
    whole = cache.open_file(path, 2 * BLOCK, owner="whole")
    assert b"".join(whole.read(range(6))) == data
    section = whole.section(2 * BLOCK, 3 * BLOCK + 5, block_bytes=BLOCK, owner="section", kind=BlockKind.METADATA)
    assert section.block_count == 4
    assert section.read(range(4)) == [data[i * BLOCK : (i + 1) * BLOCK] for i in (2, 3, 4)] + [data[20480:20485]]
    assert section.read_range(BLOCK - 1, 3) == data[3 * BLOCK - 1 : 3 * BLOCK + 2]
    counters = cache.counters()
    assert counters.owners["section"].reads == 4
    assert counters.owners["whole"].reads == 6
    assert counters.kinds[BlockKind.METADATA].read_bytes == 3 * BLOCK + 5
    whole.close()
    assert section.read([0]) == [data[2 * BLOCK : 3 * BLOCK]]
    assert cache.open_file(path, offset=10 * BLOCK).read_range(0, 6) == b"footer"


def test_what_makes_no_sense_is_refused(cache: BlockCache, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(bytes(2 * BLOCK))
    for refused in (
        lambda: BlockCache(1000),
        lambda: BlockCache(1 << 30, shards=65),
        lambda: cache.open_file(path, 1000),
        lambda: cache.open_file(path, 0),
        lambda: cache.open_file(path, 1 << 20),  # eight of them do not fit
        lambda: cache.open_file(path, engine="mmap"),
        lambda: cache.open_file(path, queue_depth=0),
        lambda: cache.open_file(path, offset=100),
        lambda: cache.open_file(path, offset=4 * BLOCK),
        lambda: cache.open_file(path, length=2 * BLOCK + 1),
        lambda: cache.resize(1000),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            refused()
    for path_refused in (tmp_path, tmp_path / "absent", Path("/dev/zero")):
        with pytest.raises(StorageFailure, match=str(path_refused)):
            cache.open_file(path_refused)
    source = cache.open_file(path)
    for numbers in ([2], [0, 5]):
        for bypass in (False, True):
            with pytest.raises(IndexError, match="no block"):
                source.read(numbers, bypass=bypass)
        with pytest.raises(IndexError, match="no block"):
            source.prefetch(numbers)
    for offset, length in [(2 * BLOCK, 1), (2**63, 2**63), (0, 2 * BLOCK + 1)]:
        with pytest.raises(IndexError, match="are not among"):
            source.read_range(offset, length)
    with pytest.raises(TypeError):
        source.read([-1])
    assert total(cache) == BlockCounters()


def test_a_second_read_is_a_hit(cache: BlockCache, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(bytes(20 * BLOCK))
    source = cache.open_file(path, owner="table", kind=BlockKind.CODES)
    source.read(range(10))
    source.read(range(5, 15))
    counters = cache.counters().owners["table"]
    assert (counters.misses, counters.hits, counters.reads, counters.read_bytes) == (15, 5, 15, 15 * BLOCK)
    assert cache.counters().kinds[BlockKind.CODES] == counters
    assert cache.counters().kinds[BlockKind.VECTORS] == BlockCounters()


def test_one_read_however_many_ask(cache: BlockCache) -> None:
    blocks = checked_blocks(4)
    remote = Remote(b"".join(blocks))
    source = cache.open_remote(remote.fetch, len(remote.data), checksums=True)
    remote.go.clear()
    answers: list[list[bytes]] = []
    threads = [threading.Thread(target=lambda: answers.append(source.read([0, 1, 2, 3]))) for _ in range(12)]
    for thread in threads:
        thread.start()
    wait_until(lambda: total(cache).joined + total(cache).misses == 48)
    remote.go.set()
    for thread in threads:
        thread.join(10)
    assert answers == [blocks] * 12
    assert len(remote.calls) == 1
    counters = total(cache)
    assert (counters.reads, counters.misses, counters.joined, counters.hits) == (4, 4, 44, 0)


def test_prefetch_does_not_wait_and_is_not_read_again(cache: BlockCache) -> None:
    blocks = checked_blocks(10)
    remote = Remote(b"".join(blocks))
    source = cache.open_remote(remote.fetch, len(remote.data), checksums=True)
    remote.go.clear()
    source.prefetch([1, 2, 3, 7])
    source.prefetch([2, 3])
    assert total(cache).reads == 0
    remote.go.set()
    wait_until(lambda: total(cache).reads == 4)
    assert source.read([1, 2, 3, 7]) == [*blocks[1:4], blocks[7]]
    assert remote.calls == [[(BLOCK, 3 * BLOCK), (7 * BLOCK, BLOCK)]]
    counters = total(cache)
    assert (counters.prefetches, counters.misses, counters.hits) == (4, 0, 4)


def test_a_prefetch_that_fails_is_as_if_nobody_had_asked(cache: BlockCache) -> None:
    blocks = checked_blocks(3)
    remote = Remote(b"".join(blocks))
    remote.fail_at = 1
    source = cache.open_remote(remote.fetch, len(remote.data), checksums=True)
    source.prefetch([0, 1])
    wait_until(lambda: total(cache).failures == 2)
    assert source.read([0, 1]) == blocks[:2]
    assert cache.counters().used_bytes <= cache.counters().budget_bytes


def test_bypass_leaves_the_cache_as_it_is(tmp_path: Path) -> None:
    cache = BlockCache(1 << 20, shards=1)
    path = tmp_path / "data"
    path.write_bytes(os.urandom(2000 * BLOCK))
    source = cache.open_file(path)
    source.read(range(300))
    before = cache.counters()
    source.read(range(2000), bypass=True)
    source.read_range(0, 100 * BLOCK, bypass=True)
    after = cache.counters()
    count = after.kinds[BlockKind.VECTORS]
    assert (count.bypass_reads, count.bypass_bytes) == (2100, 2100 * BLOCK)
    assert (after.used_bytes, after.used_bytes_max, after.ghosts) == (
        before.used_bytes, before.used_bytes_max, before.ghosts,
    )  # fmt: skip
    unchanged = {**{name: getattr(count, name) for name in count.__slots__}, "bypass_reads": 0, "bypass_bytes": 0}
    assert BlockCounters(**unchanged) == before.kinds[BlockKind.VECTORS]


@pytest.mark.parametrize("fault", ["fail_at", "short_at"])
def test_a_remote_read_that_fails_is_told_and_not_kept(cache: BlockCache, fault: str) -> None:
    """The n-th call fails, for each n until all goes well."""
    blocks = checked_blocks(6)
    expected = ConnectionResetError if fault == "fail_at" else StorageFailure
    for n in range(1, 5):
        remote = Remote(b"".join(blocks))
        setattr(remote, fault, n)
        source = cache.open_remote(remote.fetch, len(remote.data), name="s3://bucket/segment", checksums=True)
        failures = 0
        for numbers in ([0, 1], [1, 2, 4], [3, 4, 5]):
            try:
                assert source.read(numbers) == [blocks[i] for i in numbers]
            except expected as error:
                failures += 1
                assert f"call {n}" in str(error) or "s3://bucket/segment: fetch returned" in str(error)  # noqa: PT017
                assert source.read(numbers) == [blocks[i] for i in numbers]
        assert failures == (n <= 3)
        source.close()


def test_fetch_that_returns_nonsense(cache: BlockCache) -> None:
    for answer, error in [([], StorageFailure), ([b"x"], StorageFailure), (None, TypeError), (["text"], TypeError)]:
        source = cache.open_remote(lambda _, answer=answer: answer, 100 * BLOCK)  # type: ignore[misc]
        with pytest.raises(error):
            source.read([3])
        source.close()
    assert total(cache).held_blocks == 0


def flips(length: int) -> list[int]:
    """Bytes of every class of place: first, last, either side of words, middle, checksum."""
    return [0, 1, 7, 8, 63, 64, length // 2, length - 5, length - 4, length - 3, length - 1]


@pytest.mark.parametrize("bypass", [False, True])
def test_a_flipped_bit_is_named_and_never_answered_from(cache: BlockCache, tmp_path: Path, bypass: bool) -> None:
    blocks = checked_blocks(12)
    data = b"".join(blocks)
    path = tmp_path / "data"
    for number in (0, 7, 11):
        for place in flips(len(blocks[number])):
            for bit in (0, 7):
                damaged = bytearray(data)
                damaged[number * BLOCK + place] ^= 1 << bit
                path.write_bytes(damaged)
                source = cache.open_file(path, checksums=True)
                where = rf"{path}: block {number} \({len(blocks[number])} bytes at offset {number * BLOCK}\)"
                for _ in range(2):
                    with pytest.raises(Corruption, match=where):
                        source.read([3, number, 5], bypass=bypass)
                with pytest.raises(Corruption, match=where):
                    source.read_range(number * BLOCK, 10, bypass=bypass)
                with pytest.raises(Corruption, match=where):
                    source.read_payloads([(0, 10), (number * (BLOCK - 4), 10)], bypass=bypass)
                assert source.read([3, 5], bypass=bypass) == [blocks[3], blocks[5]]
                source.close()
    assert total(cache).failures == (0 if bypass else 3 * 11 * 2 * 4)
    assert total(cache).held_blocks == 0


@pytest.mark.parametrize("engine", ["auto", "threads"])
@pytest.mark.parametrize("direct", [True, False])
def test_a_file_that_got_shorter(cache: BlockCache, tmp_path: Path, engine: str, direct: bool) -> None:
    path = tmp_path / "data"
    for kept in (0, BLOCK, BLOCK + 100):
        path.write_bytes(b"x" * (3 * BLOCK))
        source = cache.open_file(path, engine=engine, direct=direct)
        os.truncate(path, kept)
        for bypass in (False, True):
            with pytest.raises(
                StorageFailure, match=f"{path}: ends at byte {max(kept, BLOCK)} where .* offset {BLOCK}"
            ):
                source.read([1], bypass=bypass)
        assert total(cache).held_blocks == 0
        source.close()


@pytest.mark.parametrize("engine", ["auto", "threads"])
def test_a_read_error_names_file_and_offset(cache: BlockCache, tmp_path: Path, engine: str) -> None:
    """The file's descriptor is put over by one that cannot be read, as if the disk had gone."""
    path = tmp_path / "data"
    path.write_bytes(bytes(3 * BLOCK))
    source = cache.open_file(path, engine=engine)
    links = {fd: os.path.realpath(f"/proc/self/fd/{fd}") for fd in map(int, os.listdir("/proc/self/fd"))}
    (opened,) = [fd for fd, target in links.items() if target == str(path)]
    with (tmp_path / "other").open("wb") as unreadable:
        os.dup2(unreadable.fileno(), opened)
    for numbers in ([1], [1, 2]):
        with pytest.raises(StorageFailure, match=f"{path}: reading 4096 bytes at offset 4096: Bad file descriptor"):
            source.read(numbers)
    assert total(cache).held_blocks == 0


def test_closing(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(bytes(10 * BLOCK))
    cache = BlockCache(1 << 20)
    source, other = cache.open_file(path), cache.open_file(path)
    source.read(range(10))
    other.read([1])
    source.close()
    source.close()
    assert total(cache).held_blocks == 1
    for closed in (source.read, source.prefetch):
        with pytest.raises(ValueError, match=f"{path}: is closed"):
            closed([1])
    cache.close()
    cache.close()
    with pytest.raises(ValueError, match="is closed"):
        other.read([1])
    with pytest.raises(ValueError, match="is closed"):
        cache.open_file(path)
    counters = cache.counters()
    assert counters.used_bytes == counters.overhead_bytes
    assert str(path) in [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    del source, other, closed
    assert str(path) not in [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]


def test_closing_while_others_read(tmp_path: Path) -> None:
    blocks = checked_blocks(400)
    path = tmp_path / "data"
    path.write_bytes(b"".join(blocks))
    cache = BlockCache(1 << 20)

    def read_until_closed(source: BlockSource, begin: int) -> None:
        for i in range(100_000):
            numbers = [(begin + i * 13 + j * 7) % 400 for j in range(16)]
            try:
                source.prefetch(numbers[8:])
                assert source.read(numbers) == [blocks[n] for n in numbers]
            except (ValueError, StorageFailure) as error:
                assert "closed" in str(error) or "given up" in str(error)  # noqa: PT017
                return

    for _ in range(10):
        source = cache.open_file(path, checksums=True)
        threads = [threading.Thread(target=read_until_closed, args=(source, i)) for i in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.01)
        source.close()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
    source = cache.open_file(path, checksums=True)
    threads = [threading.Thread(target=read_until_closed, args=(source, i)) for i in range(4)]
    for thread in threads:
        thread.start()
    cache.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_a_cache_goes_with_its_prefetch_under_way() -> None:
    remote = Remote(bytes(10 * BLOCK))
    remote.go.clear()
    cache = BlockCache(1 << 20)
    source = cache.open_remote(remote.fetch, len(remote.data))
    source.prefetch(range(10))
    wait_until(lambda: len(remote.calls) == 1)
    del cache, source
    remote.go.set()


@pytest.mark.parametrize("bypass", [False, True])
def test_the_stream_without_checksums(cache: BlockCache, tmp_path: Path, bypass: bool) -> None:
    blocks = checked_blocks(5)
    stream = b"".join(block[:-4] for block in blocks)
    path = tmp_path / "data"
    path.write_bytes(b"".join(blocks))
    source = cache.open_file(path, checksums=True)
    page = BLOCK - 4
    ranges = [(0, 0), (0, 1), (page - 1, 2), (5, 3 * page), (2 * page, page), (0, len(stream)), (len(stream), 0)]
    expected = [stream[offset : offset + length] for offset, length in ranges]
    assert source.read_payloads(ranges, bypass=bypass) == expected
    assert source.read_payloads([], bypass=bypass) == []
    for beyond in ((0, len(stream) + 1), (len(stream) + 1, 0), (2**63, 2**63)):
        with pytest.raises(IndexError, match="are not among"):
            source.read_payloads([beyond], bypass=bypass)
    with pytest.raises(ValueError, match="no checksums"):
        cache.open_file(path).read_payloads([(0, 1)])
    source.close()
    with pytest.raises(ValueError, match="closed"):
        source.read_payloads([(0, 1)], bypass=bypass)


def test_who_has_no_more_time_goes_and_the_read_goes_on(cache: BlockCache) -> None:
    """Also who joined it; whoever comes later finds the blocks."""
    data, answers = b"".join(checked_blocks(4)), threading.Event()
    asked: list[Ranges] = []

    def fetch(ranges: Ranges) -> list[bytes]:
        asked.append(ranges)
        assert answers.wait(60)
        return [data[offset : offset + length] for offset, length in ranges]

    source = cache.open_remote(fetch, len(data), checksums=True)
    for limit_s in (0.02, 0.02, 0.0):
        with working_for(Deadline(limit_s)), pytest.raises(RequestTimeout):
            source.read([1, 2])
    with working_for(Deadline(60.0)) as given_up:
        threading.Timer(0.05, given_up.give_up).start()
        with pytest.raises(RequestTimeout, match="given up"):
            source.read([2])
    assert len(asked) == 1
    answers.set()
    with working_for(Deadline(60.0)):
        assert source.read([1, 2]) == [data[n * BLOCK : (n + 1) * BLOCK] for n in (1, 2)]
    assert len(asked) == 1
    assert total(cache).reads == 2


def test_a_read_that_fails_tells_who_waits_for_another_thread(cache: BlockCache) -> None:
    def fetch(_: Ranges) -> list[bytes]:
        raise StorageFailure("it is away")

    source = cache.open_remote(fetch, 4 * BLOCK)
    with working_for(Deadline(60.0)), pytest.raises(StorageFailure, match="away"):
        source.read([0, 3])
