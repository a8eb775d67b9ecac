"""kill -9 of a whole server and its builders while rows come in and segments are flushed, merged and collected.

At random instants, and at named points of what an index does to its objects. Whatever the instant: every write that was
acknowledged is in the table and found by search, nothing else is, the check of the directory finds no fault, and
nothing is left on the store that no manifest names.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import pytest
import tablestore as ots
from support.crash_index import (
    TABLE,
    check_kinds,
    check_nearest,
    create_index,
    create_table,
    expected_order,
    index_order,
    is_tidy,
    prefixes_of,
    table_state,
    writers,
)
from support.crash_writer import CrashWriter, State
from support.killing_store import KillPoint
from support.s3_server import S3Server
from support.server import ServerNotStarted, ServerProcess
from support.waiting import wait_until

from lutra.index.builds.opening import LOCAL, RAY
from lutra.instance.fsck import check_directory
from lutra.objects.local import UNFINISHED, LocalStore
from lutra.objects.opening import open_store

MAIN: Final = "main"
SETTLED_WITHIN_S: Final = 30.0
POINT_WITHIN_S: Final = 20.0

DURING: Final = {
    "before a segment is put": KillPoint("put_file", "/segments/", moment="before"),
    "segment put, manifest not": KillPoint("put_file", "/segments/"),
    "before deletions are put": KillPoint("put", "/deletions/", moment="before"),
    "deletions put, manifest not": KillPoint("put", "/deletions/"),
    "before a manifest is put": KillPoint("put_if_absent", "/manifest/", moment="before"),
    "manifest put, nothing collected": KillPoint("put_if_absent", "/manifest/"),
    "a segment is collected": KillPoint("delete", "/segments/", moment="before"),
    "a segment was collected": KillPoint("delete", "/segments/"),
    "deletions were collected": KillPoint("delete", "/deletions/"),
    "a manifest is collected": KillPoint("delete", "/manifest/", moment="before"),
    "a manifest was collected": KillPoint("delete", "/manifest/"),
}
BUILDING: Final = {
    "a build begins": KillPoint("submit", "/segments/"),
    "in the middle of a build": KillPoint("progress", "/segments/"),
    "a build is done, nobody knows": KillPoint("done", "/segments/"),
}
OPENING: Final = {
    "opening: before the place is taken": KillPoint("put_if_absent", "^owner/", moment="before"),
    "opening: the place is taken": KillPoint("put_if_absent", "^owner/"),
    "opening: what is there was listed": KillPoint("list", "^indexes/[^/]+/$"),
    "opening: the manifest was read": KillPoint("get", "/manifest/"),
    "opening: before it is taken over": KillPoint("put_if_absent", "/manifest/", moment="before"),
    "opening: taken over": KillPoint("put_if_absent", "/manifest/"),
    "opening: segments are opened": KillPoint("local_path", "/segments/"),
    "opening: no newer writer was found": KillPoint("list", "/manifest$"),
}
FILLING: Final = {
    "filling: taken over": KillPoint("put_if_absent", "-{index}-[0-9]+/manifest/"),
    "filling: segment put, manifest not": KillPoint("put_file", "-{index}-[0-9]+/segments/", 2),
    "filling: manifest put": KillPoint("put_if_absent", "-{index}-[0-9]+/manifest/", 3),
}
DROPPING: Final = {"dropping: some objects are gone": KillPoint("delete", "-{index}-[0-9]+/", 2)}
RANDOM: Final = "at random"
BUILDERS: Final = "at random, builders before"
OF_RAY: Final = {
    "at random, a build before": "lutra.index.builds.builder",
    "at random, Ray's workers before": "ray::",
    "at random, raylet before": "raylet/raylet",
    "at random, Ray's head before": "gcs/gcs_server",
    "at random, Ray's driver before": "lutra.index.builds.remote.ray_driver",
}
"""What is killed a while before the server, by a part of its command."""
COMPLAINTS: Final = re.compile("Traceback|WARNING|ERROR|leaked")
POINTS: Final = {**DURING, **BUILDING, **OPENING, **FILLING, **DROPPING}


class SmallBuffersServer(ServerProcess):
    """`support.killed_server`: flushes, merges, trims and collects all the time."""

    command = ("support.killed_server",)

    def begin(self, point: KillPoint | None, *, inline_bytes: int, objects: str | None, builders: str) -> bool:
        """Whether it listens; False where it has come to its point before."""
        policy = {
            "flush_bytes": 96 * 1024,
            "flush_age_s": 0.3,
            "fan_in": 3,
            "size_floor_bytes": 8 * 1024,
            "inline_bytes": inline_bytes,
            "trim_changes": 100,
            "trim_period_s": 0.5,
        }
        if builders != LOCAL:  # one that was lost may put its object after the next has looked
            policy |= {"orphans_after_s": 1.0, "orphans_period_s": 2.0}
        self.arguments = ("--policy", json.dumps(policy), "--builders", builders)
        self.arguments += () if point is None else ("--kill", point.to_json())
        self.arguments += () if objects is None else ("--objects", objects)
        try:
            self.start()
        except ServerNotStarted as error:
            if point is None or error.status != -signal.SIGKILL:
                raise
            return False
        return True


def builders_of(pid: int) -> list[psutil.Process]:
    """The builder processes that a server, dead or alive, has started: the server's id is their argument."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cmdline()[-2:] == ["lutra.index.builds.builder", str(pid)]:
                found.append(process)
    return found


def ray_processes(pid: int, part: str) -> list[psutil.Process]:
    """Of the Ray that a server has started those whose command says so."""
    found = []
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if any(part in word for word in process.cmdline()):
                    found.append(process)
    return found


@dataclass
class Summary:
    """Of all rounds."""

    kills: Counter[str]
    rows: int = 0
    requests: int = 0
    builders_killed: int = 0
    unreached: int = 0

    def __str__(self) -> str:
        rounds = sum(self.kills.values())
        lines = [
            f"{rounds} rounds, {self.rows} rows acknowledged in {self.requests} requests, "
            f"{self.builders_killed} builders killed or orphaned; {self.unreached} points not reached in time"
        ]
        return "\n".join([*lines, *(f"{count:5d}  {point}" for point, count in sorted(self.kills.items()))])


class Rounds:
    """One data directory, killed again and again."""

    def __init__(self, folder: Path, *, keys: int, objects: str | None = None, builders: str = LOCAL) -> None:
        self.server = SmallBuffersServer(folder / "data")
        self.objects = objects
        self._builders = builders
        self.summary = Summary(Counter())
        self._keys = keys
        self._known: State = {}
        self._writers: list[CrashWriter] = []
        self._round = 0
        self._pid = 0
        self._shown = [MAIN]
        """The indexes there are."""

    def run(self, kind: str, seed: int) -> None:
        """One life and death of the server, and the check of what it left."""
        self._round += 1
        self._writers = []
        self.server.log_path.unlink(missing_ok=True)
        rng = random.Random(seed)
        point = POINTS.get(kind)
        if kind in OPENING:
            self._live(None, rng)
            self._begin(point, rng)
            self._await_point(kind)
        elif point is None:
            self._live(None, rng, kill_builders=kind == BUILDERS, kill_of_ray=OF_RAY.get(kind))
            self.summary.kills[kind] += 1
        else:
            self._live_until(kind, point, rng)
        self._check(kind, seed)

    # --- a life -----------------------------------------------------------------------------------------------------

    def _begin(self, point: KillPoint | None, rng: random.Random) -> bool:
        inline_bytes = rng.choice([0, 64 * 1024, 1024 * 1024])
        inline_bytes = 0 if self._builders != LOCAL else inline_bytes
        is_up = self.server.begin(point, inline_bytes=inline_bytes, objects=self.objects, builders=self._builders)
        self._pid = self.server.pid if is_up else 0
        return is_up

    def _live(
        self,
        point: KillPoint | None,
        rng: random.Random,
        *,
        kill_builders: bool = False,
        kill_of_ray: str | None = None,
    ) -> None:
        """Until a random instant."""
        self._begin(point, rng)
        self._write(rng)
        for _ in range(3 if kill_builders else 0):
            time.sleep(rng.uniform(0.1, 0.6))
            for builder in builders_of(self._pid):
                builder.kill()
                self.summary.builders_killed += 1
        if kill_of_ray is not None:
            wait_until(lambda: bool(ray_processes(self._pid, kill_of_ray)))
            time.sleep(rng.uniform(0.0, 2.0))
            for process in ray_processes(self._pid, kill_of_ray):
                process.kill()
                self.summary.builders_killed += 1
            time.sleep(rng.uniform(0.0, 8.0))
        time.sleep(rng.uniform(0.05, 1.5))
        self.server.kill()
        self._end_writers()

    def _live_until(self, kind: str, point: KillPoint, rng: random.Random) -> None:
        if kind in DURING:
            number = rng.randint(1, 6)
            point = KillPoint(point.kind, point.pattern, number, point.moment)
        others = [name for name in self._shown if name != MAIN]
        if kind in FILLING or kind in DROPPING:
            name = f"other{self._round}" if kind in FILLING else others[0]
            point = KillPoint(point.kind, point.pattern.format(index=name), point.number, point.moment)
        if self._begin(point, rng):
            self._write(rng)
            with contextlib.suppress(Exception):  # the server may die before it answers
                if kind in FILLING:
                    create_index(self.server.client(), name)
                if kind in DROPPING:
                    self.server.client().delete_search_index(TABLE, name)
        self._await_point(kind)
        self._end_writers()

    def _write(self, rng: random.Random) -> None:
        client = self.server.client()
        if not self._known and self._round == 1:
            create_table(client)
            create_index(client, MAIN)
        self._writers = writers(client, self._known, seed=rng.randrange(1_000_000), keys=self._keys)
        for writer in self._writers:
            writer.start()

    def _await_point(self, kind: str) -> None:
        if self.server.is_running:
            status = self.server.wait_ended(POINT_WITHIN_S)
            if status is None:
                self.summary.unreached += 1
                self.server.kill()
                kind = f"{RANDOM} (not reached: {kind})"
            else:
                assert status == -signal.SIGKILL, self.server.log_path.read_text()
        self.summary.kills[kind] += 1

    def _end_writers(self) -> None:
        for writer in self._writers:
            writer.stopped.set()
            writer.join(timeout=30)
            assert not writer.is_alive()
            self.summary.rows += writer.rows_acknowledged
            self.summary.requests += writer.requests_acknowledged
        orphans = builders_of(self._pid)
        self.summary.builders_killed += len(orphans)
        _, alive = psutil.wait_procs(orphans, timeout=60)  # one that is starting sees it late
        assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE], "builders outlive their server"

    # --- what is left -----------------------------------------------------------------------------------------------

    def _check(self, kind: str, seed: int) -> None:
        self._begin(None, random.Random(seed))
        client = self.server.client()
        actual = table_state(client)
        for writer in self._writers:
            writer.check(actual)
        self._known = dict(actual)
        self._shown = sorted(name for _, name in client.list_search_index(TABLE))
        assert MAIN in self._shown
        assert first_answer(lambda: index_order(client, MAIN)) == expected_order(actual)
        for name in self._shown:
            wait_until(lambda name=name: index_order(client, name) == expected_order(actual), SETTLED_WITHIN_S)
            check_nearest(client, name, actual, seed)
            check_kinds(client, name, actual, seed)
        self._wait_until_tidy()
        for name in self._shown:
            assert index_order(client, name) == expected_order(actual)
        self.server.stop()
        complaints = self.server.log_path.read_text()
        assert kind == BUILDERS or kind in OF_RAY or not COMPLAINTS.search(complaints), complaints
        place = self.server.data_dir / "objects" if self.objects is None else self.objects
        assert check_directory(self.server.data_dir, objects=place) == []

    def _wait_until_tidy(self) -> None:
        """Nothing is left that nobody names, soon after the opening."""
        place = self.server.data_dir / "objects" if self.objects is None else self.objects
        store = open_store(place, probe=False)
        wait_until(lambda: is_tidy(store), SETTLED_WITHIN_S)
        assert prefixes_of(store) == set(self._shown)
        if isinstance(store, LocalStore):
            wait_until(lambda: os.listdir(store.root / UNFINISHED) == ["lock"], SETTLED_WITHIN_S)


def first_answer(ask: Callable[[], list[str]]) -> list[str]:
    """An index that is being opened says that it is busy, or answers with all it had."""
    deadline_s = time.monotonic() + SETTLED_WITHIN_S
    while True:
        try:
            return ask()
        except ots.OTSServiceError as error:
            if error.get_error_code() != "OTSServerBusy" or time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)


def run_rounds(
    folder: Path, kinds: Sequence[str], *, keys: int, objects: str | None = None, builders: str = LOCAL
) -> Summary:
    rounds = Rounds(folder, keys=keys, objects=objects, builders=builders)
    try:
        for seed, kind in enumerate(kinds):
            began_s = time.monotonic()
            rounds.run(kind, seed)
            print(f"{time.monotonic() - began_s:5.1f} s  {kind}", flush=True)
    except BaseException:
        print(f"round {seed}, {kind}: {rounds.summary}")
        print(rounds.server.log_path.read_text()[-20_000:])
        raise
    finally:
        if rounds.server.is_running:
            rounds.server.kill()
    return rounds.summary


def test_a_killed_server_loses_nothing(tmp_path: Path) -> None:
    kinds = ["segment put, manifest not", "opening: taken over"]  # the latter after a kill at random
    summary = run_rounds(tmp_path, kinds, keys=120)
    assert summary.rows > 100


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_a_killed_server_loses_nothing_over_many_rounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each named point three times, and at random."""
    shuffled = [*DURING, *BUILDING, *OPENING] * 3 + [RANDOM] * 24 + [BUILDERS] * 8
    random.Random(1).shuffle(shuffled)
    kinds = shuffled
    for filling in list(FILLING) * 3:
        kinds += [filling, *DROPPING]
    summary = run_rounds(tmp_path, kinds, keys=500)
    with capsys.disabled():
        print(f"\n{summary}")
    assert sum(summary.kills.values()) >= 100
    assert set(POINTS) <= set(summary.kills), "each point was reached"
    assert summary.rows > 10_000


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_a_killed_server_loses_nothing_on_s3(tmp_path: Path, s3: S3Server, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = [RANDOM, *list(DURING)[::2], *list(BUILDING)[1:2], "opening: taken over", *FILLING, *DROPPING, BUILDERS]
    summary = run_rounds(tmp_path, kinds, keys=300, objects=s3.url("crash"))
    with capsys.disabled():
        print(f"\n{summary}")
    assert summary.rows > 1_000


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_builds_by_ray_lose_nothing(
    tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever of its processes is killed, under load, and the server after it; and nothing is left on the store."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    kinds = [RANDOM, *OF_RAY]
    for name in ("folder", "s3"):
        (tmp_path / name).mkdir()
    summaries = [
        run_rounds(tmp_path / "folder", kinds * 2, keys=300, builders=RAY),
        run_rounds(tmp_path / "s3", kinds, keys=300, objects=s3.url("crash-ray"), builders=RAY),
    ]
    with capsys.disabled():
        print(*(f"\n{summary}" for summary in summaries))
    for summary in summaries:
        assert summary.rows > 1_000
        assert summary.builders_killed >= len(OF_RAY)
