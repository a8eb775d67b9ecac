"""One run: each peer is loaded, stopped, started again and asked."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.progress import Progress

from bench.peers import points
from bench.peers.data import ALL, FILTERS, Among, DataSet
from bench.peers.memory_floor import least_mb, limited
from bench.peers.peer import Inside, Limits, Peer, Running, Setting, Wired
from bench.peers.points import Loaded, Point
from bench.peers.writing import writing
from bench.service import clients
from bench.service.usage import cpu_s

_OURS: Final = "made-by-bench-peers"
_LOADED: Final = "loaded.json"
_WRITER_TARGET: Final = 0.95
FILTER_TARGET: Final = 0.95
_RECALL_SLACK: Final = 0.02
"""So much less is found at most by what still works."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of each peer. ``filter_clients``: of searches among some rows; ``peer_s``: no load begins later."""

    targets: Sequence[float]
    clients: Sequence[int]
    filter_clients: Sequence[int]
    writer_clients: int
    writer_rate: float
    seconds: float
    tuning_queries: int
    tuning_s: float
    peer_s: float
    memory_floor: bool


@dataclass(frozen=True, slots=True)
class Tried:
    """A setting, and what one client got by it."""

    setting: Setting
    recall: float
    p50_ms: float


class Session:
    """Over one data set. ``points`` are those of this run, and of others before it that ``path`` has."""

    def __init__(
        self, data: DataSet, folder: Path, plan: Plan, limits: Limits, path: Path | None, progress: Progress
    ) -> None:
        self._data, self._folder, self._plan, self._limits = data, folder, plan, limits
        self._path, self._progress = path, progress
        self._command = without_folders(" ".join(["python -m bench.peers", *sys.argv[1:]]))
        self.points: list[Point] = points.read(path) if path is not None and path.exists() else []

    def measure(self, peer: Peer) -> None:
        """Its points take the place of those that there were of it."""
        version = peer.version()
        self.points = [point for point in self.points if point.engine != peer.name]
        folder = self._own_folder(peer.name)
        loaded = self._load(peer, version, folder)
        begin_s = time.monotonic()
        with peer.run(folder, self._data, self._limits) as running:
            loaded = replace(loaded, start_s=time.monotonic() - begin_s)
            ask = _Ask(self, peer, running, loaded, begin_s + self._plan.peer_s)
            ask.all_rows()
            for among in FILTERS:
                ask.some_rows(among)
            ask.beside_a_writer()
        if self._plan.memory_floor and ask.steady is not None:
            self._find_floor(peer, folder, ask.steady)
        if ask.has_written:
            (folder / _LOADED).unlink()  # it has other rows now: the next run loads them anew

    def _find_floor(self, peer: Peer, folder: Path, tried: Tried) -> None:
        """By the setting that reached the target when there was enough."""
        resident_mb = max(point.resident_mb for point in self.points if point.engine == peer.name)

        def works(size_mb: int) -> bool:
            try:
                less = replace(self._limits, memory_mb=size_mb)
                with limited(size_mb * 1_000_000) as has_started, peer.run(folder, self._data, less) as running:
                    has_started()
                    recall = try_setting(running, self._data, self._plan, ALL, tried.setting).recall
            except Exception as error:  # that is what is looked for
                self.say(f"{peer.name}: not in {size_mb:,} MB: {str(error)[:200]}")
                return False
            self.say(f"{peer.name}: in {size_mb:,} MB: recall {recall:.3f}")
            return recall >= tried.recall - _RECALL_SLACK

        least = least_mb(resident_mb, works)
        if least is not None:
            self.points = points.with_memory(self.points, peer.name, least)
            self._write()

    def say(self, line: str) -> None:
        self._progress.console.print(line, highlight=False, soft_wrap=True)

    def add(self, point: Point) -> None:
        self.points.append(point)
        self._write()
        self.say(
            f"{point.engine}, {point.filter}, {point.clients} clients, {points.parameters(point)}: "
            f"recall {point.recall:.3f}, {point.qps:,.0f}/s, p50 {point.p50_ms:.2f} ms, p99 {point.p99_ms:.2f} ms, "
            f"{point.resident_mb:,.0f} MB"
            + ("" if point.writer_rows_per_s is None else f", beside {point.writer_rows_per_s:.0f} rows/s written")
        )

    def _write(self) -> None:
        if self._path is not None:
            points.write(self.points, self._path)

    def _own_folder(self, name: str) -> Path:
        """Of one peer, filled or fresh. Exits where somebody else's folder has the name."""
        folder = self._folder / name
        if folder.exists() and not (folder / _OURS).exists():
            sys.exit(f"bench.peers: {folder} is not of this benchmark; name another folder")
        if folder.exists() and not (folder / _LOADED).exists():
            shutil.rmtree(folder)  # half filled, or written to, by a run before
        folder.mkdir(exist_ok=True)
        (folder / _OURS).touch()
        folder.chmod(0o711)  # a server may run as another user
        return folder

    def _load(self, peer: Peer, version: str, folder: Path) -> Loaded:
        note = folder / _LOADED
        if note.exists():
            return Loaded(**json.loads(note.read_text()))
        data = self._data
        with peer.run(folder, data, self._limits) as running:
            begin_cpu_s, begin_s = cpu_s(running.pid), time.monotonic()
            running.load(data, self._progress)
            loaded_s, loaded_cpu_s = time.monotonic(), cpu_s(running.pid)
            about = running.build(data)
            loaded = Loaded(
                engine=peer.name,
                door=peer.door,
                version=version,
                about=about,
                data=data.title,
                rows=len(data.base),
                dim=data.base.shape[1],
                load_s=loaded_s - begin_s,
                load_cpu_s=loaded_cpu_s - begin_cpu_s,
                build_s=time.monotonic() - loaded_s,
                build_cpu_s=cpu_s(running.pid) - loaded_cpu_s,
                disk_mb=running.disk_mb(),
            )
        note.write_text(json.dumps(asdict(loaded)))
        self.say(f"{peer.name}: loaded in {loaded.load_s:.1f} s, built in {loaded.build_s:.1f} s: {about}")
        return loaded

    @property
    def data(self) -> DataSet:
        return self._data

    @property
    def plan(self) -> Plan:
        return self._plan

    @property
    def command(self) -> str:
        return self._command


class _Ask:
    """One peer that runs."""

    def __init__(self, session: Session, peer: Peer, running: Running, loaded: Loaded, deadline_s: float) -> None:
        self._session, self._peer, self._running = session, peer, running
        self._loaded, self._deadline_s = loaded, deadline_s
        self._data, self._plan = session.data, session.plan
        self._chosen: dict[float, Tried] = {}
        """By target, of all rows."""
        self.has_written = False

    @property
    def steady(self) -> Tried | None:
        """The setting for the target that counts."""
        return self._chosen.get(_WRITER_TARGET)

    def all_rows(self) -> None:
        self._chosen = self._tuned(ALL, self._plan.targets)
        self._measure(ALL, self._chosen, self._plan.clients)

    def some_rows(self, among: Among) -> None:
        if self._running.ways(among):
            self._measure(among, self._tuned(among, (FILTER_TARGET,)), self._plan.filter_clients)
        else:
            self._session.say(f"{self._peer.name}: it has no filters")

    def beside_a_writer(self) -> None:
        """With the setting that reaches the target when nobody writes."""
        writer, rate = self._running.writer(), self._plan.writer_rate
        tried = self.steady
        if not rate or writer is None or tried is None or self._is_late("beside a writer"):
            return
        path, first = self._data.folder / "written.npy", len(self._data.base)
        self.has_written = True
        with writing(writer, path, first, rate) as written:
            run = self._run(ALL, tried.setting, self._plan.writer_clients)
        point = self._point(ALL, tried, _WRITER_TARGET, self._plan.writer_clients, run)
        self._session.add(replace(point, writer_rows_per_s=written.rows_per_s, writer_wanted_per_s=rate))

    def _tuned(self, among: Among, targets: Sequence[float]) -> dict[float, Tried]:
        """By target: of each way's first setting that reaches it, the fastest; the most thorough where none does."""
        ways = [(iter(way), list[Tried]()) for way in self._running.ways(among)]
        chosen: dict[float, Tried] = {}
        for target in sorted(targets):
            for settings, tried in ways:
                while not tried or tried[-1].recall < target:
                    setting = next(settings, None)
                    if setting is None or self._is_late(f"{among.name}, {setting}"):
                        break
                    tried.append(try_setting(self._running, self._data, self._plan, among, setting))
            known = [one for _, tried in ways for one in tried]
            if known:
                reaching = [one for one in known if one.recall >= target]
                chosen[target] = min(reaching or [max(known, key=lambda one: one.recall)], key=lambda one: one.p50_ms)
        return chosen

    def _measure(self, among: Among, chosen: Mapping[float, Tried], counts: Sequence[int]) -> None:
        done: dict[tuple[int, int], clients.Run] = {}
        for target, tried in chosen.items():
            for count in counts:
                key = (id(tried), count)
                if key not in done:
                    if self._is_late(f"{among.name}, {count} clients"):
                        return
                    done[key] = self._run(among, tried.setting, count)
                self._session.add(self._point(among, tried, target, count, done[key]))

    def _run(self, among: Among, setting: Setting, count: int) -> clients.Run:
        seconds, path = self._plan.seconds, self._data.queries_path
        if isinstance(self._running, Inside):
            return self._running.ask(among, setting, path, count, seconds, sys.maxsize)
        assert isinstance(self._running, Wired)
        return clients.run(self._running.client(among, setting), path, count, seconds, self._running.pid)

    def _point(self, among: Among, tried: Tried, target: float, count: int, run: clients.Run) -> Point:
        p50_ms, p99_ms = np.percentile(run.latencies_ms, (50, 99)).tolist()
        return Point(
            engine=self._peer.name,
            parameters=dict(tried.setting),
            recall=self._data.recall(run.found, among),
            qps=run.per_s,
            p50_ms=p50_ms,
            p99_ms=p99_ms,
            clients=count,
            filter=among.name,
            target=target,
            is_reached=tried.recall >= target,
            resident_mb=run.memory.pss_mb,
            search_cpu_ms=1e3 * run.server_cpu_s / run.searches,
            loaded=self._loaded,
            command=self._session.command,
            load_average=os.getloadavg()[0],
            cores=os.cpu_count() or 1,
        )

    def _is_late(self, what: str) -> bool:
        if time.monotonic() < self._deadline_s:
            return False
        self._session.say(f"{self._peer.name}: {what}: left out, it has had its {self._plan.peer_s:g} s")
        return True


def without_folders(command: str) -> str:
    """Where things lie on this machine is nobody's business: the last names of paths stay."""
    return re.sub(r"(?<= )/\S*/([^/\s]+)", r"\1", command)


def try_setting(running: Running, data: DataSet, plan: Plan, among: Among, setting: Setting) -> Tried:
    """By one client, the first queries, and not for long."""
    most, seconds = plan.tuning_queries, plan.tuning_s
    if isinstance(running, Inside):
        run = running.ask(among, setting, data.queries_path, 1, seconds, most)
        found, latencies_ms = run.found, run.latencies_ms.tolist()
    else:
        assert isinstance(running, Wired)
        found, latencies_ms = [], list[float]()
        with running.client(among, setting).connect() as search:
            until_s = time.monotonic() + seconds
            for number, query in enumerate(data.queries[:most]):
                begin_s = time.perf_counter()
                found.append((number, search(query)))
                latencies_ms.append(1e3 * (time.perf_counter() - begin_s))
                if time.monotonic() > until_s:
                    break
    return Tried(setting, data.recall(found, among), float(np.median(latencies_ms)))


def parsed(arguments: Any) -> Plan:
    """What a command line asks for."""
    names = ("targets", "clients", "filter_clients", "writer_clients", "writer_rate", "seconds")
    more = ("tuning_queries", "tuning_s", "peer_s", "memory_floor")
    return Plan(**{name: getattr(arguments, name) for name in (*names, *more)})
