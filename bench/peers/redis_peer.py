"""Redis 8's vector sets, asked by redis-py: HNSW over codes of 8 bits (its default) or raw vectors, and no graph.

They know similarity by cosine alone, so rows have to be of unit length. A write is acknowledged once it is in memory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from bench.peers.data import NUMBERS, Among, DataSet, K, Vectors
from bench.peers.peer import WIRE, Limits, PeerUnavailable, Putting, Setting, Writer
from bench.peers.redis_server import RedisServer, connect, redis_version, run_redis, send
from bench.service.clients import Search

_KEY: Final = "items"
_GRAPH: Final = ("EF", 200, "M", 16)
_EF: Final = (10, 20, 40, 60, 80, 120, 160, 240, 320, 480, 640, 1_000)
_EFFORTS: Final = (500, 5_000, 50_000, 10_000_000)
"""How many candidates of a filtered search are looked at."""


@dataclass(frozen=True, slots=True)
class RedisClient:
    """VSIM over one connection."""

    port: int
    among: Among
    setting: Setting

    @contextmanager
    def connect(self) -> Iterator[Search]:
        options: list[object] = ["COUNT", K]
        if "ef" in self.setting:
            options += ["EF", int(self.setting["ef"])]
        if "exact" in self.setting:
            options += ["TRUTH"]
        if self.among.column:
            options += ["FILTER", f".{self.among.column} < {self.among.below}"]
            options += ["FILTER-EF", int(self.setting.get("filter_ef", _EFFORTS[-1]))]
        with connect(self.port) as client:

            def search(query: npt.NDArray[np.float32]) -> list[int]:
                return [int(one) for one in client.execute_command("VSIM", _KEY, "FP32", query.tobytes(), *options)]

            yield search


@dataclass(frozen=True, slots=True)
class RedisWriter:
    """VADD, many at once."""

    port: int
    codes: str

    @contextmanager
    def connect(self) -> Iterator[Putting]:
        with connect(self.port) as client:
            yield lambda first, vectors: send(client, _adds(self.codes, first, vectors, [NUMBERS - 1] * len(vectors)))


def _adds(codes: str, first: int, vectors: Vectors, near: Sequence[int]) -> list[list[object]]:
    return [
        ["VADD", _KEY, "FP32", vector.tobytes(), number, "CAS", codes, *_GRAPH, "SETATTR", _columns(number, own)]
        for number, (vector, own) in enumerate(zip(vectors, near, strict=True), first)
    ]


def _columns(number: int, near: int) -> str:
    return f'{{"n":{number % NUMBERS},"near":{near}}}'


class RunningRedis:
    """One that runs."""

    def __init__(self, server: RedisServer, codes: str, is_flat: bool, limits: Limits) -> None:
        self._server, self._codes, self._is_flat, self._limits = server, codes, is_flat, limits
        self.pid = server.pid

    def load(self, data: DataSet, progress: Progress) -> None:
        task = progress.add_task("redis: rows are written", total=len(data.base))
        deadline_s = time.monotonic() + self._limits.step_s
        with self._server.connect() as client:
            for first, block, near in data.blocks():
                send(client, _adds(self._codes, first, block, near.tolist()))
                progress.update(task, advance=len(block))
                if time.monotonic() > deadline_s:
                    raise RuntimeError(f"the rows were not written within {self._limits.step_s:g} s")

    def build(self, data: DataSet) -> str:
        self._server.save()  # the graph is there once a row is written
        return f"vector set, {self._codes}, M 16, EF 200 while it is built, which is while rows are loaded"

    def disk_mb(self) -> float:
        return self._server.save()

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        if self._is_flat:
            return [[{"exact": 1}]]
        if not among.column:
            return [[{"ef": ef} for ef in _EF]]
        return [[{"ef": ef, "filter_ef": effort} for effort in _EFFORTS] for ef in (40, 200)] + [[{"exact": 1}]]

    def client(self, among: Among, setting: Setting) -> RedisClient:
        return RedisClient(self._server.port, among, setting)

    def writer(self) -> Writer | None:
        return RedisWriter(self._server.port, self._codes)


@dataclass(frozen=True, slots=True)
class Redis:
    """``codes``: Q8, NOQUANT or BIN, in VADD's words. ``is_flat``: searches compare all rows."""

    name: str
    codes: str
    is_flat: bool = False
    door = WIRE

    def version(self) -> str:
        return f"{redis_version()}: redis-server 8"

    @contextmanager
    def run(self, folder: Path, data: DataSet, limits: Limits) -> Iterator[RunningRedis]:
        if not data.is_unit:
            raise PeerUnavailable("its vector sets know cosine alone, and these rows are not of unit length (--unit)")
        with run_redis(folder / "data") as server:
            yield RunningRedis(server, self.codes, self.is_flat, limits)
