"""Lutra as a service beside pgvector: the same rows, the same queries, clients of equal kind.

Both run on loopback, in folders of their own, and are stopped at the end. Each is asked by 1, 8 and 32 processes with
one connection each, through its usual Python client (the official Tablestore SDK; psycopg), among all rows and among
1 % of them; then by a load program in C that does little but send (wrk, where it is installed; pgbench). pgvector gets
the smallest ef_search that comes to Lutra's recall, less .005, or searches by the index on the filter's number, where
that is faster. The processor time is that of all processes of a server.

  python -m bench.service --rows 20000 --dim 96 --seconds 5
  python -m bench.service --rows 100000 --dim 384 --keep service-100k --json 100k.json
  python -m bench.service --rows 200000 --dim 960 --engines lutra --keep service-200k

With --keep, a run that broke off goes on with the rows that were made and the servers that were filled.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.service import clients
from bench.service.data import SHARES, DataSet, K, prepare, recall
from bench.service.engines import Engine, Limits, Loaded, Running
from bench.service.postgres import PostgresUnavailable
from bench.service.report import Point, Report, Tried
from bench.service.usage import cpu_s

NAMES: Final = ("lutra", "pgvector")
_RECALL_SLACK: Final = 0.005
_OURS: Final = "made-by-bench-service"
_LOADED: Final = "loaded.json"


class Session:
    """One run: what is measured, and how long it may still take."""

    def __init__(self, arguments: argparse.Namespace, folder: Path, progress: Progress) -> None:
        self._arguments, self._folder, self._progress = arguments, folder, progress
        self._deadline_s = time.monotonic() + arguments.limit_s
        self._limits = Limits(arguments.memory_mb, arguments.build_memory_mb, arguments.build_limit_s)
        about = {name: getattr(arguments, name) for name in ("rows", "dim", "queries", "seconds", "memory_mb")}
        self.report = Report(about | {"cores": os.cpu_count(), "metric": "l2", "k": K})
        self._recall: dict[float, float] = {}
        """Of Lutra, by share."""

    def measure(self, data: DataSet, engine: Engine) -> None:
        """Loads it, unless that was done, and asks it."""
        folder = self._own_folder(engine.name)
        note = folder / _LOADED
        with engine.run(folder, self._limits) as server:
            if note.exists():
                loaded = Loaded(**json.loads(note.read_text()))
            else:
                loaded = server.load(data, self._limits, self._progress)
                note.write_text(json.dumps(asdict(loaded)))
            self.report.loaded[engine.name] = loaded
            for share in SHARES:
                setting = self._tune(data, engine, server, share)
                self._ask(data, engine, server, share, setting)
                self._ask_raw(data, engine, server, share, setting)

    def _own_folder(self, name: str) -> Path:
        """Of one server, filled or fresh. Exits where somebody else's folder has the name."""
        folder = self._folder / name
        if folder.exists() and not (folder / _OURS).exists():
            sys.exit(f"bench.service: {folder} is not of this benchmark; name another folder")
        if folder.exists() and not (folder / _LOADED).exists():
            shutil.rmtree(folder)  # half filled by a run that broke off
        folder.mkdir(exist_ok=True)
        (folder / _OURS).touch()
        folder.chmod(0o711)  # a server may run as another user
        return folder

    def _tune(self, data: DataSet, engine: Engine, server: Running, share: float) -> Mapping[str, int]:
        """The fastest setting that comes to the recall wanted; the most thorough where none does."""
        wanted = max(self._arguments.recall, self._recall.get(share, 0.0) - _RECALL_SLACK)
        tried: list[Tried] = []
        for curve in server.curves(share):
            for setting in curve:
                tried.append(self._try(data, engine, server, share, setting))
                if tried[-1].recall >= wanted:
                    break
        best = min(tried, key=lambda one: (max(wanted - one.recall, 0), one.p50_ms))
        best.is_chosen, best.plan = True, server.plan(data, share, best.setting)
        if engine.name == NAMES[0]:
            self._recall[share] = best.recall
        self.report.tried += tried
        told = best.setting or "nothing to set"
        self._say(f"{engine.name}, {100 * share:g} % of the rows: {told}, recall {best.recall:.4f} {best.plan}")
        return best.setting

    def _try(self, data: DataSet, engine: Engine, server: Running, share: float, setting: Mapping[str, int]) -> Tried:
        queries = data.queries[: self._arguments.tuning_queries]
        found, latencies_ms = clients.ask_all(server.client(share, setting), queries)
        p50_ms = float(np.median(latencies_ms))
        return Tried(engine.name, share, dict(setting), recall(found, data.truth[share]), p50_ms)

    def _ask(self, data: DataSet, engine: Engine, server: Running, share: float, setting: Mapping[str, int]) -> None:
        for connections in self._arguments.connections:
            if self._is_late(f"{engine.name} at {connections} connections"):
                return
            client, path = server.client(share, setting), data.queries_path
            run = clients.run(client, path, connections, self._arguments.seconds, server.pid)
            p50_ms, p99_ms = np.percentile(run.latencies_ms, (50, 99)).tolist()
            self._add(
                Point(
                    engine=engine.name,
                    client=engine.client_kind,
                    share=share,
                    setting=dict(setting),
                    connections=connections,
                    recall=recall(run.found, data.truth[share]),
                    per_s=run.per_s,
                    p50_ms=p50_ms,
                    p99_ms=p99_ms,
                    server_ms_per_search=1e3 * run.server_cpu_s / run.searches,
                    client_ms_per_search=1e3 * sum(one.cpu_s for one in run.answers) / run.searches,
                    pss_mb=run.memory.pss_mb,
                    rss_mb=run.memory.rss_mb,
                    searches=run.searches,
                )
            )

    def _ask_raw(
        self, data: DataSet, engine: Engine, server: Running, share: float, setting: Mapping[str, int]
    ) -> None:
        for connections in self._arguments.connections:
            if self._is_late(f"{engine.name} at {connections} connections, raw"):
                return
            before_s = cpu_s(server.pid)
            raw = server.raw(data, share, setting, connections, self._arguments.seconds)
            if raw is None:
                self._say(f"{engine.name}: its load program is not installed (apt-get install wrk); left out")
                return
            self._add(
                Point(
                    engine=engine.name,
                    client=raw.program,
                    share=share,
                    setting=dict(setting),
                    connections=connections,
                    recall=None,
                    per_s=raw.per_s,
                    p50_ms=raw.p50_ms,
                    p99_ms=raw.p99_ms,
                    server_ms_per_search=1e3 * (cpu_s(server.pid) - before_s) / raw.searches,
                    client_ms_per_search=None,
                    pss_mb=None,
                    rss_mb=None,
                    searches=raw.searches,
                )
            )

    def _add(self, point: Point) -> None:
        self.report.points.append(point)
        self.report.write(self._arguments.json)
        self._say(
            f"{point.engine}, {point.client}, {100 * point.share:g} %, {point.connections} connections: "
            f"{point.per_s:,.0f} searches/s, p50 {point.p50_ms:.2f} ms, p99 {point.p99_ms:.2f} ms, "
            f"server {point.server_ms_per_search:.2f} ms"
        )

    def _is_late(self, what: str) -> bool:
        if time.monotonic() < self._deadline_s:
            return False
        self._say(f"{what}: left out, the run has taken its {self._arguments.limit_s:g} s")
        return True

    def _say(self, line: str) -> None:
        self._progress.console.print(line, highlight=False, soft_wrap=True)


def main() -> None:
    """Command line."""
    arguments = _parser().parse_args()
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
    with _folder(arguments) as folder, _progress() as progress:
        data = prepare(folder / "data", arguments.rows, arguments.dim, arguments.queries, progress)
        session, failed = Session(arguments, folder, progress), False
        for name in arguments.engines:
            try:
                session.measure(data, _engine(name))
            except (ImportError, PostgresUnavailable) as missing:
                progress.console.print(f"{name}: left out: {missing} (pip install '.[bench]')", soft_wrap=True)
            except RuntimeError as error:  # the other's figures count all the same
                failed = True
                progress.console.print(f"{name}: broke off: {error}", soft_wrap=True)
            session.report.write(arguments.json)
    if not session.report.points:
        sys.exit("bench.service: nothing was measured")
    session.report.print(Console(width=150))
    if failed:
        sys.exit(1)


def _engine(name: str) -> Engine:
    """Imported only where it is wanted: pgvector's client need not be installed for Lutra's figures."""
    if name == NAMES[0]:
        from bench.service.lutra_engine import Lutra

        return Lutra()
    from bench.service.pgvector_engine import Pgvector

    return Pgvector()


@contextmanager
def _folder(arguments: argparse.Namespace) -> Iterator[Path]:
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        yield arguments.keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="lutra-service-", dir=arguments.work) as name:
        folder = Path(name).resolve()
        folder.chmod(0o711)  # a server may run as another user
        yield folder


def _progress() -> Progress:
    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*parts, TimeRemainingColumn(), console=Console(stderr=True), refresh_per_second=2)


def _names(text: str) -> list[str]:
    unknown = set(text.split(",")) - set(NAMES)
    if unknown:
        raise argparse.ArgumentTypeError(f"no such engine: {', '.join(sorted(unknown))}")
    return text.split(",")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.service", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--engines", type=_names, default=list(NAMES), help=",".join(NAMES))
    parser.add_argument("--connections", type=lambda text: [int(c) for c in text.split(",")], default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, default=10, help="how long each load lasts")
    parser.add_argument("--recall", type=float, default=0.95, help="that pgvector comes to at least")
    parser.add_argument("--tuning-queries", type=int, default=200, help="that say which ef_search that takes")
    parser.add_argument("--memory-mb", type=int, default=1_024, help="--memory-mb, and shared_buffers")
    parser.add_argument("--build-memory-mb", type=int, default=2_048, help="--build-memory-mb, maintenance_work_mem")
    parser.add_argument("--build-limit-s", type=float, default=3_600, help="for loading, and for building")
    parser.add_argument("--limit-s", type=float, default=3_600, help="no load begins after so long in all")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="rows and filled servers stay there, for the next run")
    parser.add_argument("--work", type=Path, help="folder for them meanwhile [default: the temporary one]")
    return parser


if __name__ == "__main__":
    main()
