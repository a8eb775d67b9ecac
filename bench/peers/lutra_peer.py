"""Lutra's server, asked by the official SDK; what a search is to find is said by a header."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

import lutra
from bench import prepared, vector_table
from bench.connection import Connection, read_requests
from bench.index_state import IndexWatch
from bench.peers.data import NUMBERS, Among, DataSet, Vectors
from bench.peers.peer import WIRE, Limits, Putting, Setting, Writer, folder_mb
from bench.server_process import RunningServer, run_server
from bench.service.clients import Search

TARGETS: Final = (0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.985, 0.99, 0.993, 0.996, 0.999)
"""Recalls that a search is told to find."""
_HEADER: Final = "x-lutra-recall-target"
_KEY: Final = re.compile(rb"\d{9}-(\d{8})")
"""As `bench.vector_table` makes them."""


class _Targeted:
    """The SDK's connections, with a header more in each request."""

    def __init__(self, connection: Any, target: float) -> None:
        self._connection, self._target = connection, str(target)

    def send_receive(self, path: str, headers: dict[str, str], body: bytes) -> Any:
        return self._connection.send_receive(path, headers | {_HEADER: self._target}, body)


@dataclass(frozen=True, slots=True)
class LutraClient:
    """One client of the SDK keeps one connection."""

    endpoint: str
    among: Among
    target: float

    @contextmanager
    def connect(self) -> Iterator[Search]:
        client = prepared.client(self.endpoint)
        client.connection = _Targeted(client.connection, self.target)

        def search(query: npt.NDArray[np.float32]) -> list[int]:
            call = vector_table.knn_call(query, share=self.among.share, column=self.among.column or "n")
            return [vector_table.number_of(row[0][0][1]) for row in call(client).rows]  # type: ignore[attr-defined]

        yield search


@dataclass(frozen=True, slots=True)
class PreparedClient:
    """Sends what the SDK has signed beforehand and looks for keys in the answers: a client that takes next to nothing.

    The SDK is written in Python, and takes about as much of a processor for a search as the server.
    """

    endpoint: str
    among: Among
    target: float
    queries: Path

    @contextmanager
    def connect(self) -> Iterator[Search]:
        queries = np.load(self.queries)
        share, column = self.among.share, self.among.column or "n"
        header = f"\r\n{_HEADER}: {self.target}\r\n".encode()
        with tempfile.NamedTemporaryFile(prefix="lutra-prepared-") as file:
            calls = (vector_table.knn_call(query, share=share, column=column) for query in queries)
            prepared.record(self.endpoint, calls, Path(file.name))
            signed = [request.replace(b"\r\n", header, 1) for request in read_requests(Path(file.name))]
        requests = {query.tobytes(): request for query, request in zip(queries, signed, strict=True)}
        with Connection(self.endpoint) as connection:

            def search(query: npt.NDArray[np.float32]) -> list[int]:
                return [int(number) for number in _KEY.findall(connection.ask(requests[query.tobytes()]))]

            yield search


@dataclass(frozen=True, slots=True)
class LutraWriter:
    """By BatchWriteRow; acknowledged once it is on stable storage."""

    endpoint: str

    @contextmanager
    def connect(self) -> Iterator[Putting]:
        client = prepared.client(self.endpoint)

        def put(first: int, vectors: Vectors) -> None:
            numbers = range(first, first + len(vectors))
            vector_table.put_call(numbers, vectors, near=[NUMBERS - 1] * len(vectors))(client)

        yield put


class LutraServer:
    """One that runs. ``queries``: a file of them, for which requests are prepared; None: the SDK asks."""

    def __init__(self, server: RunningServer, limits: Limits, queries: Path | None) -> None:
        self._server, self._limits, self._queries = server, limits, queries
        self.pid = server.pid

    def load(self, data: DataSet, progress: Progress) -> None:
        client = prepared.client(self._server.endpoint)
        vector_table.create(client, data.base.shape[1], ("n", "near"))
        task = progress.add_task("lutra: rows are written", total=len(data.base))
        deadline_s = time.monotonic() + self._limits.step_s
        for first, block, near in data.blocks(vector_table.BATCH_ROWS):
            vector_table.put_call(range(first, first + len(block)), block, near=near.tolist())(client)
            progress.update(task, advance=len(block))
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"the rows were not written within {self._limits.step_s:g} s")

    def build(self, data: DataSet) -> str:
        begin_s, client = time.monotonic(), prepared.client(self._server.endpoint)
        while vector_table.count(client) < len(data.base) and time.monotonic() < begin_s + self._limits.step_s:
            time.sleep(0.05)
        found_s = time.monotonic() - begin_s
        watch = IndexWatch(self._server.data_dir)
        state = watch.wait(lambda one: one.rows >= len(data.base) and one.is_settled, self._limits.step_s)
        return f"{len(state.segments)} segments ({state.kinds}); all rows are found {found_s:.1f} s after the last"

    def disk_mb(self) -> float:
        return folder_mb(self._server.data_dir)

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        return [[{"target": target} for target in TARGETS]]

    def client(self, among: Among, setting: Setting) -> LutraClient | PreparedClient:
        if self._queries is None:
            return LutraClient(self._server.endpoint, among, setting["target"])
        return PreparedClient(self._server.endpoint, among, setting["target"], self._queries)

    def writer(self) -> Writer | None:
        return LutraWriter(self._server.endpoint)


@dataclass(frozen=True, slots=True)
class Lutra:
    """``lutra serve`` with its defaults, but for memory. ``is_prepared``: the SDK's requests are made beforehand."""

    name: str
    is_prepared: bool = False
    door = WIRE

    def version(self) -> str:
        return f"Lutra {lutra.__version__}"

    @contextmanager
    def run(self, folder: Path, data: DataSet, limits: Limits) -> Iterator[LutraServer]:
        with run_server("--memory-limit", f"{limits.memory_mb}MiB", data_dir=folder / "data") as server:
            yield LutraServer(server, limits, data.queries_path if self.is_prepared else None)
