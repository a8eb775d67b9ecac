"""Libraries as peers: the process that they are in (`bench.peers.host`), started, asked and stopped."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from rich.progress import Progress

from bench.peers.data import Among, DataSet
from bench.peers.library import EMBEDDED, LIBRARIES, version_of
from bench.peers.peer import HOSTED, INSIDE, Limits, PeerUnavailable, Setting, Writer, folder_mb
from bench.peers.protocol import HostClient, HostWriter, connected, searching
from bench.service.clients import Answers, Run
from bench.service.usage import memory

STOPS_WITHIN_S: Final = 60.0


class Settings(Protocol):
    """What is known of a library on this side."""

    takes_rows: bool

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]: ...


class HostedLibrary:
    """One that runs, asked over loopback."""

    def __init__(self, library: Settings, folder: Path, pid: int, port: int, limits: Limits) -> None:
        self._library, self._folder, self._limits = library, folder, limits
        self.pid, self._port = pid, port

    def load(self, data: DataSet, progress: Progress) -> None:
        with connected(self._port, self._limits.step_s) as exchange:
            exchange.call({"op": "load"})

    def build(self, data: DataSet) -> str:
        with connected(self._port, self._limits.step_s) as exchange:
            return exchange.call({"op": "build"})[1].decode()

    def disk_mb(self) -> float:
        return folder_mb(self._folder)

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        return self._library.ways(among)

    def client(self, among: Among, setting: Setting) -> HostClient:
        return HostClient(self._port, among, setting)

    def writer(self) -> Writer | None:
        return HostWriter(self._port) if self._library.takes_rows else None


class EmbeddedLibrary:
    """One that runs, asked by threads of its own process; it has all else of a hosted one but connections."""

    def __init__(self, hosted: HostedLibrary, port: int) -> None:
        self._port, self.pid = port, hosted.pid
        self.load, self.build, self.disk_mb = hosted.load, hosted.build, hosted.disk_mb
        self.ways, self.writer = hosted.ways, hosted.writer

    def ask(self, among: Among, setting: Setting, queries: Path, threads: int, seconds: float, most: int) -> Run:
        head = searching(among, setting) | {"op": "run", "queries": queries, "threads": threads}
        with connected(self._port, seconds + 300.0) as exchange:
            _, body = exchange.call(head | {"seconds": float(seconds), "most": most})
        seen = np.load(io.BytesIO(body))
        found = [
            (query, [number for number in numbers if number >= 0])
            for query, numbers in zip(seen["queries"].tolist(), seen["found"].tolist(), strict=True)
        ]
        cpu_s = float(seen["cpu_s"])
        answers = Answers(seen["latencies_ms"].tolist(), found, float(seen["elapsed_s"]), cpu_s)
        return Run([answers], cpu_s, memory(self.pid))


@dataclass(frozen=True, slots=True)
class LibraryPeer:
    """The library of that name."""

    name: str

    @property
    def door(self) -> str:
        return INSIDE if self.name in EMBEDDED else HOSTED

    def version(self) -> str:
        library = LIBRARIES[self.name]()
        return f"{library.package} {version_of(library.package, getattr(library, 'hint', ''))}"

    @contextmanager
    def run(self, folder: Path, data: DataSet, limits: Limits) -> Iterator[HostedLibrary | EmbeddedLibrary]:
        library = LIBRARIES[self.name]()
        command = [sys.executable, "-m", "bench.peers.host", self.name]
        command += ["--folder", str(folder), "--data", str(data.folder)]
        # Where wheels put libraries that others look for by name, as MKL's.
        environment = os.environ | {"LD_LIBRARY_PATH": str(Path(sys.prefix) / "lib")}
        with listening(command, folder.with_name(folder.name + ".log"), environment) as (pid, port):
            hosted = HostedLibrary(library, folder, pid, port, limits)
            yield EmbeddedLibrary(hosted, port) if self.door == INSIDE else hosted


@contextmanager
def listening(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """``(pid, port)`` of a host that says where it listens; it ends when its standard input is closed.

    Raises PeerUnavailable where it does not come up, with its last words.
    """
    with log.open("ab") as told:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=told, env=environment, text=True
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("listening on "):
                yield process.pid, int(line.split()[2])
                return
        raise PeerUnavailable(f"it did not start: {log.read_text(errors='replace').strip()[-500:]}")
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
