"""Lutra, asked by the official SDK; raw: requests signed beforehand and replayed by wrk."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.progress import Progress
from tablestore import OTSClient

from bench import prepared, vector_table
from bench.index_state import IndexState, IndexWatch
from bench.server import replay
from bench.server_process import RunningServer, run_server
from bench.service.clients import Search
from bench.service.data import DataSet
from bench.service.engines import Limits, Loaded, RawRun
from bench.service.usage import cpu_s


@dataclass(frozen=True, slots=True)
class SdkClient:
    """One client of the SDK keeps one connection."""

    endpoint: str
    share: float

    @contextmanager
    def connect(self) -> Iterator[Search]:
        client = prepared.client(self.endpoint)
        yield partial(_search, client, self.share)


def _search(client: OTSClient, share: float, query: npt.NDArray[np.float32]) -> list[int]:
    answer = vector_table.knn_call(query, share=share)(client)
    return [vector_table.number_of(row[0][0][1]) for row in answer.rows]  # type: ignore[attr-defined]


class LutraServer:
    """One that runs."""

    def __init__(self, server: RunningServer, folder: Path) -> None:
        self._server, self._folder = server, folder
        self.pid = server.pid

    def load(self, data: DataSet, limits: Limits, progress: Progress) -> Loaded:
        client = prepared.client(self._server.endpoint)
        vector_table.create(client, data.base.shape[1])
        task = progress.add_task("lutra: rows are written", total=len(data.base))
        begin_cpu_s, begin_s = cpu_s(self.pid), time.monotonic()
        for first, block in data.blocks(vector_table.BATCH_ROWS):
            for put in vector_table.put_calls(block, first):
                put(client)
            progress.update(task, advance=len(block))
            if time.monotonic() > begin_s + limits.build_s:
                raise RuntimeError(f"the rows were not written within {limits.build_s:g} s")
        written_s, written_cpu_s = time.monotonic(), cpu_s(self.pid)
        found_s = self._all_found(client, len(data.base)) - written_s
        task = progress.add_task("lutra: the index is built", total=len(data.base))
        reached = self._until_settled(len(data.base), lambda rows: progress.update(task, completed=rows))
        state = IndexWatch(self._server.data_dir).wait(reached, limits.build_s)
        return Loaded(
            load_s=written_s - begin_s,
            build_s=time.monotonic() - written_s,
            load_cpu_s=written_cpu_s - begin_cpu_s,
            build_cpu_s=cpu_s(self.pid) - written_cpu_s,
            disk_mb=_folder_mb(self._server.data_dir),
            about=f"{len(state.segments)} segments ({state.kinds}); every row was found after {found_s:.1f} s",
        )

    @staticmethod
    def _all_found(client: OTSClient, rows: int) -> float:
        """When it was so, by the clock. Raises RuntimeError where it is not within a minute or so."""
        deadline_s = time.monotonic() + 60
        while vector_table.count(client) < rows:
            if time.monotonic() > deadline_s:
                raise RuntimeError("rows are not searchable a minute after they were written")
            time.sleep(0.05)
        return time.monotonic()

    @staticmethod
    def _until_settled(rows: int, show: Callable[[int], None]) -> Callable[[IndexState], bool]:
        def reached(state: IndexState) -> bool:
            show(state.indexed_rows)
            return state.rows >= rows and state.is_settled

        return reached

    def curves(self, share: float) -> list[list[Mapping[str, int]]]:
        return [[{}]]

    def client(self, share: float, setting: Mapping[str, int]) -> SdkClient:
        return SdkClient(self._server.endpoint, share)

    def raw(
        self, data: DataSet, share: float, setting: Mapping[str, int], connections: int, seconds: float
    ) -> RawRun | None:
        if shutil.which("wrk") is None:
            return None
        path = self._folder / "requests"
        calls = (vector_table.knn_call(query, share=share) for query in data.queries)
        prepared.record(self._server.endpoint, calls, path)
        figures = replay(self._server.endpoint, path, connections, seconds)
        return RawRun("wrk", figures["per_s"], figures["requests"], figures["p50_ms"], figures["p99_ms"])

    def plan(self, data: DataSet, share: float, setting: Mapping[str, int]) -> str:
        return ""


class Lutra:
    """``lutra serve`` with its defaults, but for memory."""

    name: Final = "lutra"
    client_kind: Final = "tablestore SDK"

    @contextmanager
    def run(self, folder: Path, limits: Limits) -> Iterator[LutraServer]:
        memory = ("--memory-mb", str(limits.memory_mb), "--build-memory-mb", str(limits.build_memory_mb))
        with run_server(*memory, data_dir=folder / "data") as server:
            yield LutraServer(server, folder)


def _folder_mb(folder: Path) -> float:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) / 1e6
