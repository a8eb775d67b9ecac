"""What a gateway believes is read anew when somebody needs it newer, once for all who do."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

from lutra.cluster.gateway.views import MapView, OwnerView
from lutra.cluster.map import ClusterMap
from lutra.cluster.map_log import MapLog
from lutra.objects.local import LocalStore


class SlowLog(MapLog):
    """Each reading takes a while and finds a newer map."""

    def __init__(self, folder: Path) -> None:
        super().__init__(LocalStore(folder))
        self.readings = 0

    def newest(self) -> ClusterMap:
        self.readings += 1
        time.sleep(0.05)
        self.known = ClusterMap(version=self.readings)
        return self.known


def test_many_who_need_a_newer_map_share_a_reading(tmp_path: Path) -> None:
    log = SlowLog(tmp_path)
    view = MapView(log)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(view.read().version)) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert log.readings < 10
    before = log.readings
    since_s = time.monotonic()
    assert view.read(since_s).version == before + 1
    assert view.read(since_s).version == before + 1  # which was begun since then
    assert view.known.version == before + 1
    assert view.read().version == before + 2


def test_an_owner_is_read_where_none_is_known_or_an_answer_was_wrong() -> None:
    calls: list[str] = []
    addresses = itertools.cycle(["a", None, "b"])

    def owner_of(partition_id: str) -> str | None:
        calls.append(partition_id)
        return next(addresses)

    view = OwnerView(owner_of)
    assert [view.address("p"), view.address("p")] == ["a", "a"]
    assert len(calls) == 1
    failed_s = time.monotonic()
    assert view.address("p", failed_s) is None
    assert view.address("p", failed_s) == "b"
    assert view.address("p", failed_s) == "b"
    assert len(calls) == 3
