"""What `bench.service` measures, behind one face."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.progress import Progress

from bench.service.clients import Client
from bench.service.data import DataSet


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server may take: of memory in all and while it builds; how long loading and building may last."""

    memory_mb: int
    build_memory_mb: int
    build_s: float


@dataclass(frozen=True, slots=True)
class Loaded:
    """``load_s``: until the last row was acknowledged; ``build_s``: from there until nothing was left to build.

    Lutra holds the newest rows in memory for a minute first, where they are found already.

    ``*_cpu_s``: of the server's processes, meanwhile.
    """

    load_s: float
    build_s: float
    load_cpu_s: float
    build_cpu_s: float
    disk_mb: float
    about: str


@dataclass(frozen=True, slots=True)
class RawRun:
    """Of a load program written in C, that does little beside sending."""

    program: str
    per_s: float
    searches: int
    p50_ms: float
    p99_ms: float


class Running(Protocol):
    """A server that runs."""

    @property
    def pid(self) -> int:
        """Of the process above all the others of it."""

    def load(self, data: DataSet, limits: Limits, progress: Progress) -> Loaded:
        """Fills it, and waits until nothing is left to build. Raises RuntimeError where that takes too long."""

    def curves(self, share: float) -> list[list[Mapping[str, int]]]:
        """What a client can be told: ways to search, each from fast to thorough; ``{}`` is to tell nothing."""

    def client(self, share: float, setting: Mapping[str, int]) -> Client:
        """Asks among that share of the rows."""

    def raw(
        self, data: DataSet, share: float, setting: Mapping[str, int], connections: int, seconds: float
    ) -> RawRun | None:
        """The same searches by a load program; None where that is not installed."""

    def plan(self, data: DataSet, share: float, setting: Mapping[str, int]) -> str:
        """How the server goes about such a search, in its words; empty where it does not tell."""


class Engine(Protocol):
    """One of them."""

    @property
    def name(self) -> str:
        """Of its folder, too."""

    @property
    def client_kind(self) -> str:
        """How its clients are called."""

    def run(self, folder: Path, limits: Limits) -> AbstractContextManager[Running]:
        """Serves a folder, with what was loaded into it before."""
