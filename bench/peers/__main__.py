"""Lutra beside what people use today: the same rows, the same queries, in one run on one machine.

Each peer is loaded, stopped and started again, and asked by 1, 2 and 8 clients at the recalls .9, .95 and .99, with the
first of its settings that reaches them; then among a tenth, a hundredth and a thousandth of the rows, by chance and
correlated with the vectors; then beside a writer. Servers are asked by their usual clients, a process with a connection
each. Libraries are in a process behind one small loopback protocol ("hosted"), or asked by threads of their own
("in process"): the table tells which. Memory is what all processes of a peer take, seen from outside.

  python -m bench.peers --rows 20000 --dim 128 --engines lutra,pgvector-hnsw,redis-int8 --seconds 2
  python -m bench.peers --rows 200000 --dim 960 --engines all --json 200k.json --keep peers-200k
  python -m bench.peers --file gist-960-euclidean.hdf5 --unit --rows 1000000 --json gist.json --keep peers-gist
  python -m bench.peers --list                       what there is, and what is installed
  python -m bench.peers.report 200k.json             the page of it: docs/peers.md

Rows are made by a seeded generator and brought to unit length, so that the order by distance is that by cosine, which
Redis knows alone; or they come from a file of ann-benchmarks (HDF5). What is not installed is left out, and said so.
With --keep and --json a run that broke off goes on: a peer that is filled is not filled again, and points of other
peers stay in the file.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.peers import points
from bench.peers.data import GENERATORS, prepare
from bench.peers.names import DEFAULT, FAMILIES, PEERS, expanded
from bench.peers.peer import DOORS, Limits, PeerUnavailable
from bench.peers.session import Session, parsed

Number = TypeVar("Number", int, float)


def main() -> None:
    """Command line."""
    arguments = _parser().parse_args()
    if arguments.list:
        for line in _listed():
            print(line)
        return
    os.nice(arguments.nice)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that what was started is stopped
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
    with _folder(arguments) as folder, _progress() as progress:
        of = (arguments.rows, arguments.dim, arguments.queries, arguments.generator, arguments.file, arguments.unit)
        data = prepare(folder / "data", *of)
        progress.console.print(f"{data.title}; {len(data.queries):,} queries, top 10, Euclidean", soft_wrap=True)
        limits = Limits(arguments.memory_mb, arguments.build_memory_mb, arguments.step_s)
        session = Session(data, folder, parsed(arguments), limits, arguments.json, progress)
        failed = _measure(session, arguments.engines)
    if not session.points:
        sys.exit("bench.peers: nothing was measured")
    points.show(session.points, Console(width=170))
    if failed:
        sys.exit(f"bench.peers: broke off: {', '.join(failed)}")


def _measure(session: Session, names: list[str]) -> list[str]:
    """Those that broke off: the others' figures count all the same."""
    failed = []
    for number, name in enumerate(names, 1):
        session.say(f"== {name} ({number} of {len(names)})")
        try:
            session.measure(PEERS[name]())
        except PeerUnavailable as missing:
            session.say(f"{name}: left out: {missing}")
        except Exception as error:  # of any client library there is
            failed.append(name)
            session.say(f"{name}: broke off: {type(error).__name__}: {error}")
    return failed


def _listed() -> Iterator[str]:
    for name, make in PEERS.items():
        peer = make()
        try:
            state = peer.version()
        except PeerUnavailable as missing:
            state = str(missing)
        yield f"{name:18} {peer.door:11} {state}"
    for name, members in FAMILIES.items():
        yield f"{name:18} all of them" if name == "all" else f"{name:18} {', '.join(members)}"
    for door, what in DOORS.items():
        yield f"{door:18} {what}"


@contextmanager
def _folder(arguments: argparse.Namespace) -> Iterator[Path]:
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        yield arguments.keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="lutra-peers-", dir=arguments.work) as name:
        folder = Path(name).resolve()
        folder.chmod(0o711)  # a server may run as another user
        yield folder


def _progress() -> Progress:
    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*parts, TimeRemainingColumn(), console=Console(stderr=True), refresh_per_second=2)


def _engines(text: str) -> list[str]:
    try:
        return expanded(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; there are {', '.join((*PEERS, *FAMILIES))}") from None


def _several(of: Callable[[str], Number]) -> Callable[[str], list[Number]]:
    return lambda text: [of(one) for one in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--rows", type=int, default=200_000, help="200000 takes a night, 1000000 days [%(default)s]")
    add("--dim", type=int, default=128, help="of generated rows [%(default)s]")
    add("--generator", choices=sorted(GENERATORS), default="gistlike", help="of bench.ann [%(default)s]")
    add("--file", type=Path, help="rows and queries of an HDF5 file of ann-benchmarks in place of generated ones")
    add("--unit", action="store_true", help="bring the file's rows to unit length, so that Redis can take part")
    add("--queries", type=int, default=1_000)
    add("--engines", type=_engines, default=list(DEFAULT), help=f"names or families (--list) [{','.join(DEFAULT)}]")
    add("--clients", type=_several(int), default=[1, 2, 8], help="[1,2,8]")
    add("--targets", type=_several(float), default=[0.9, 0.95, 0.99], help="recalls to reach [0.9,0.95,0.99]")
    add("--filter-clients", type=_several(int), default=[1, 8], help="of searches among some rows [1,8]")
    add("--writer-clients", type=int, default=2, help="that search beside the writer [%(default)s]")
    add("--writer-rate", type=float, default=500, help="rows a second; 0: no writer [%(default)s]")
    add("--seconds", type=float, default=5, help="how long each load lasts [%(default)s]")
    add("--tuning-queries", type=int, default=200, help="that say which setting reaches a recall [%(default)s]")
    add("--tuning-s", type=float, default=10, help="no setting is tried for longer [%(default)s]")
    add("--memory-floor", action="store_true", help="at last, with less and less memory, until it fails (ulimit -d)")
    add("--memory-mb", type=int, default=4_096, help="what a server is told that it may take [%(default)s]")
    add("--build-memory-mb", type=int, default=2_048, help="PostgreSQL's maintenance_work_mem [%(default)s]")
    add("--step-s", type=float, default=7_200, help="for loading, and for building [%(default)s]")
    add("--peer-s", type=float, default=1_800, help="no load of a peer begins later [%(default)s]")
    add("--json", type=Path, metavar="FILE", help="a list of points; those of other peers that it has stay")
    add("--keep", type=Path, metavar="DIR", help="rows and filled peers stay there, for the next run")
    add("--work", type=Path, help="folder for them meanwhile [the temporary one]")
    add("--nice", type=int, default=0, help="so much more willing to wait for others; peers and clients alike")
    add("--list", action="store_true", help="what there is, and what is installed")
    return parser


if __name__ == "__main__":
    main()
