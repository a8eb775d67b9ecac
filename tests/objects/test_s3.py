"""What is particular to S3: uploads in parts, reads beside each other, errors, and connections that break."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.flaky_proxy import FlakyProxy, Mishap
from support.s3_server import S3Server

from lutra.model.errors import ObjectMissing, ParameterInvalid, StorageFailure
from lutra.objects.manifest_log import ManifestLog
from lutra.objects.s3 import S3Store

MIB = 1 << 20
QUICK_AND_SLOW = [
    pytest.param(mishap, marks=[pytest.mark.slow] if mishap is Mishap.SILENCE else []) for mishap in Mishap
]


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FlakyProxy]:
    with FlakyProxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def store(s3_server: S3Server, proxy: FlakyProxy) -> S3Store:
    """By way of the proxy; a reply has to come within a second."""
    options = s3_server.options | {"endpoint": proxy.endpoint}
    return S3Store(s3_server.url(uuid.uuid4().hex), **options, timeout_s=1.0, retry_for_s=20.0)


def noise(size_bytes: int) -> bytes:
    return np.random.default_rng(5).integers(0, 256, size_bytes, np.uint8).tobytes()


def test_what_is_long_goes_up_in_parts(s3_store: S3Store, tmp_path: Path) -> None:
    data = noise(18 * MIB)
    path = tmp_path / "built"
    path.write_bytes(data)
    s3_store.put_file("file", path)
    assert not path.exists()
    assert s3_store.requests.puts == 3 + 2
    s3_store.put("bytes", data)
    for name in ("file", "bytes"):
        assert s3_store.size(name) == len(data)
        before = s3_store.requests
        assert s3_store.read(name, 1, len(data) - 2) == data[1:-1]
        assert (s3_store.requests - before).ranged_reads == 3
        assert s3_store.get(name) == data


def test_ranges_near_each_other_are_one_request(s3_store: S3Store) -> None:
    data = noise(2 * MIB)
    s3_store.put("a", data)
    far, near = 200_000, 10_000
    for step, requests in ((near, 1), (far, 8)):
        ranges = [(i * step, 4_096) for i in range(8)]
        before = s3_store.requests
        assert s3_store.read_many("a", ranges) == [data[at : at + length] for at, length in ranges]
        assert (s3_store.requests - before).ranged_reads == requests


def test_a_list_of_several_pages_is_whole(s3_server: S3Server, s3_store: S3Store) -> None:
    bucket = s3_server.folder / "data" / s3_server.url("").removeprefix("s3://").strip("/")
    folder = bucket / s3_store.url.rpartition("/")[2] / "many"
    folder.mkdir(parents=True)
    names = [f"{i:05d}" for i in range(2_001)]
    for name in [*names, "odd name"]:
        (folder / name).write_bytes(b"")
    before = s3_store.requests
    assert s3_store.list("many") == [f"many/{name}" for name in names]
    assert (s3_store.requests - before).lists == 3


def test_the_usual_variables_say_where_it_is(s3: S3Server) -> None:
    place = s3.url(f"{uuid.uuid4().hex}/deeper")
    S3Store(place).put("a", b"1")
    assert S3Store(place, **s3.options).get("a") == b"1"
    assert S3Store(place.removesuffix("/deeper")).list("") == ["deeper/a"]


@pytest.mark.parametrize(
    "url",
    ["", "bucket/prefix", "s3://", "s3:///prefix", "http://bucket/prefix", "s3://b/../c", "s3://b/a b", "s3://b/a?x=1"],
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ParameterInvalid, match="Not the"):
        S3Store(url)


def test_a_wrong_secret_or_bucket_is_a_failure_and_nothing_missing(s3_server: S3Server) -> None:
    wrong_secret = S3Store(s3_server.url("x"), **(s3_server.options | {"secret_access_key": "wrong"}))
    wrong_bucket = S3Store("s3://no-such-bucket/x", **s3_server.options)
    for store, reason in ((wrong_secret, "SignatureDoesNotMatch"), (wrong_bucket, "NoSuchBucket")):
        # To delete where there is no bucket is fine: nothing is there then.
        uses = [lambda store: store.delete("a")] if store is wrong_secret else []
        for use in (
            *uses,
            lambda store: store.put("a", b"1"),
            lambda store: store.put_if_absent("a", b"1"),
            lambda store: store.get("a"),
            lambda store: store.read("a", 0, 1),
            lambda store: store.list("a"),
        ):
            with pytest.raises(StorageFailure, match=reason) as caught:
                use(store)
            assert not isinstance(caught.value, ObjectMissing)
            assert "wrong" not in str(caught.value).replace("wrong-", "")
            assert "Debug source" not in str(caught.value)


def test_a_server_that_is_not_there_fails_within_bounds() -> None:
    store = S3Store(
        "s3://bucket/x",
        endpoint="http://127.0.0.1:1",
        region="us-east-1",
        access_key_id="id",
        secret_access_key="secret",
        retries_max=2,
    )
    started = time.monotonic()
    with pytest.raises(StorageFailure, match="a: "):
        store.get("a")
    with pytest.raises(StorageFailure, match="a: "):
        store.put_if_absent("a", b"1")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("mishap", QUICK_AND_SLOW)
def test_reads_outlast_a_connection_that_breaks(store: S3Store, proxy: FlakyProxy, mishap: Mishap) -> None:
    data = noise(300_000)
    store.put("a", data)
    proxy.next(mishap)
    assert store.read("a", 1_000, 200_000) == data[1_000:201_000]
    assert proxy.pending == 0
    proxy.next(mishap)
    assert store.get("a") == data
    proxy.next(mishap)
    assert store.list("") == ["a"]
    proxy.next(mishap, mishap)
    ranges = [(0, 10), (100_000, 10), (200_000, 10)]
    assert store.read_many("a", ranges) == [data[at : at + length] for at, length in ranges]
    assert proxy.pending == 0


def test_a_server_that_falls_silent_is_asked_again(store: S3Store, proxy: FlakyProxy) -> None:
    store.put("a", b"123")
    proxy.next(Mishap.SILENCE)
    started = time.monotonic()
    assert store.read("a", 1, 2) == b"23"
    assert 0.9 < time.monotonic() - started < FlakyProxy.SILENCE_S
    assert proxy.pending == 0


@pytest.mark.slow
@pytest.mark.parametrize("mishap", [Mishap.RESET_REQUEST, Mishap.RESET_REPLY])
def test_a_long_upload_outlasts_a_connection_that_breaks(
    store: S3Store, proxy: FlakyProxy, mishap: Mishap, tmp_path: Path
) -> None:
    data = noise(18 * MIB)
    path = tmp_path / "built"
    path.write_bytes(data)
    proxy.next(mishap, mishap, mishap)
    store.put_file("a", path)
    assert proxy.pending == 0
    assert store.read("a", 0, len(data)) == data


@pytest.mark.parametrize("mishap", QUICK_AND_SLOW)
def test_a_put_that_succeeds_after_a_mishap_is_whole(
    store: S3Store, proxy: FlakyProxy, mishap: Mishap, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"2" * 1_000)
    for name, put in {"a": lambda: store.put("a", b"1" * 1_000), "b": lambda: store.put_file("b", path)}.items():
        proxy.next(mishap)
        try:
            put()
        except StorageFailure:
            continue
        assert store.size(name) == 1_000
    assert proxy.pending == 0


@pytest.mark.parametrize("mishap", QUICK_AND_SLOW)
def test_a_manifest_is_committed_once_whatever_the_connection_does(
    store: S3Store, s3_server: S3Server, proxy: FlakyProxy, mishap: Mishap
) -> None:
    log = ManifestLog(store, "manifest")
    for number in range(1, 4):
        proxy.next(mishap)
        try:
            assert log.commit(number, b"%d" % number) == number
        except StorageFailure:
            assert log.commit(number, b"%d" % number) == number
    assert proxy.pending == 0
    seen = ManifestLog(S3Store(store.url, **s3_server.options), "manifest")
    assert [seen.read(number) for number in seen.numbers()] == [(1, b"1"), (2, b"2"), (3, b"3")]
