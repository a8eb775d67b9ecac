"""What `bench.peers` measures, behind one face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from rich.progress import Progress

from bench.peers.data import Among, DataSet, Vectors
from bench.service.clients import Client, Run

Setting = Mapping[str, float]
WIRE: Final = "wire"
HOSTED: Final = "hosted"
INSIDE: Final = "in process"
DOORS: Final = {
    WIRE: "a server of its own, asked by its usual client",
    HOSTED: "a library in a process of its own behind the same loopback protocol for all such",
    INSIDE: "a library asked by threads of the process that it is in: no wire at all",
}
"""The way by which a peer is asked."""


class PeerUnavailable(RuntimeError):
    """It is not installed, or cannot run here or with these rows; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer may take where it can be told: memory in all, and of a build; how long a step may last."""

    memory_mb: int
    build_memory_mb: int
    step_s: float


class Putting(Protocol):
    """Writes rows of these numbers, of which none was there."""

    def __call__(self, first: int, vectors: Vectors) -> None: ...


class Writer(Protocol):
    """How a process comes to a connection that writes; it travels to the process."""

    def connect(self) -> AbstractContextManager[Putting]: ...


class Running(Protocol):
    """A peer that runs, over its folder."""

    @property
    def pid(self) -> int:
        """Of the process above all the others of it."""

    def load(self, data: DataSet, progress: Progress) -> None:
        """Writes all rows; returns when the last one was acknowledged. Raises RuntimeError where it takes too long."""

    def build(self, data: DataSet) -> str:
        """Waits until nothing is left to build; says what there is now."""

    def disk_mb(self) -> float:
        """What rows and indexes take, after `build`."""

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        """What a client can be told: ways to search, each from fast to thorough. None: it cannot search so."""

    def writer(self) -> Writer | None:
        """None: it takes no rows once it is built."""


@runtime_checkable
class Wired(Protocol):
    """One that is asked over connections."""

    def client(self, among: Among, setting: Setting) -> Client: ...


@runtime_checkable
class Inside(Protocol):
    """One whose own process asks."""

    def ask(self, among: Among, setting: Setting, queries: Path, threads: int, seconds: float, most: int) -> Run:
        """Until ``seconds`` are over, or each thread has asked ``most`` queries."""


class Peer(Protocol):
    """One of them. ``door``: of `DOORS`."""

    @property
    def name(self) -> str: ...

    @property
    def door(self) -> str: ...

    def version(self) -> str:
        """Of the product. Raises PeerUnavailable where it is not installed."""

    def run(self, folder: Path, data: DataSet, limits: Limits) -> AbstractContextManager[Running]:
        """Starts it over a folder, with what was loaded into it before; stops it. Raises PeerUnavailable."""


def folder_mb(folder: Path) -> float:
    """What its files take on disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) / 1e6
