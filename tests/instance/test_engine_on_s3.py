"""A running engine whose objects are on S3, over connections that are reset, cut and silent, as builders' are too."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.engines import EAGER, IndexedTable, open_engine, unnamed
from support.flaky_proxy import FlakyProxy, Mishap
from support.s3_server import S3Server

from lutra.index.lsm.resources import Resources
from lutra.instance.fsck import check_directory
from lutra.objects.opening import open_store
from lutra.objects.s3 import S3Store

KEYS = 200


@pytest.fixture
def proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlakyProxy]:
    """By way of which this process and its builders reach the server."""
    with FlakyProxy(s3.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


def impatient(resources: Resources) -> Resources:
    """What fails fails soon, and is not repeated below the index: that is what is tried here."""
    assert isinstance(resources.store, S3Store)
    return replace(resources, store=S3Store(resources.store.url, timeout_s=1.0, retries_max=0, retry_for_s=1.0))


class Trouble(threading.Thread):
    """Mishaps all the time, until ``ended``."""

    def __init__(self, proxy: FlakyProxy, seed: int, kinds: list[Mishap]) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.count = 0
        self._proxy, self._random, self._kinds = proxy, random.Random(seed), kinds

    def run(self) -> None:
        while not self.ended.wait(self._random.uniform(0.1, 0.8)):
            if not self._proxy.pending:
                self._proxy.next(self._random.choice(self._kinds))
                self.count += 1


def run(folder: Path, url: str, proxy: FlakyProxy, *, seed: int, batches: int, kinds: list[Mishap]) -> None:
    rng = random.Random(seed)
    # Every other time all that is merged is built by processes, which reach the store the same way.
    policy = replace(EAGER, inline_bytes=0 if seed % 2 else EAGER.inline_bytes)
    engine = open_engine(folder, objects=url, policy=policy, wrapped=impatient)
    trouble = Trouble(proxy, seed, kinds)
    try:
        table = IndexedTable(engine)
        trouble.start()
        for batch in range(10 * batches):
            if batch >= batches and trouble.count > 5:  # on a fast machine there is little time for mishaps
                break
            table.write(rng, 40, KEYS)
            table.check_while_failing(1.0)
        trouble.ended.set()
        trouble.join()
        assert trouble.count > 5
        table.settle()
        table.check()
    finally:
        trouble.ended.set()
        engine.close()
    assert check_directory(folder, objects=url) == []
    engine = open_engine(folder, objects=url, policy=replace(EAGER, flush_age_s=3_600.0))
    try:
        table = IndexedTable(engine, table)
        table.wait()
        table.check()
        table.settle()
        assert unnamed(open_store(url, probe=False)) == set()
    finally:
        engine.close()
    assert check_directory(folder, objects=url) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(2))
def test_connections_that_break(seed: int, tmp_path: Path, s3_server: S3Server, proxy: FlakyProxy) -> None:
    kinds = [Mishap.RESET_REQUEST, Mishap.RESET_REPLY, Mishap.CUT_REPLY]
    run(tmp_path, s3_server.url(f"broken-{seed}"), proxy, seed=seed, batches=60, kinds=kinds)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_server_that_falls_silent(tmp_path: Path, s3_server: S3Server, proxy: FlakyProxy) -> None:
    run(tmp_path, s3_server.url("silent"), proxy, seed=7, batches=40, kinds=[Mishap.SILENCE, Mishap.RESET_REPLY])
