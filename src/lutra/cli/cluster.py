"""``lutra cluster``: nodes of this machine, and how a whole cluster is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from lutra.cli.cluster_fsck import fsck
from lutra.cli.failures import WrongOptions, shown_failures
from lutra.cli.memory import said_memory
from lutra.cli.node import node_name, show_access_key
from lutra.cli.options import (
    instances_option,
    json_option,
    log_level_option,
    log_to_stderr,
    memory_option,
    store_option,
)

if TYPE_CHECKING:
    from lutra.cluster.identity import Identity
    from lutra.cluster.local_state import LocalState
    from lutra.cluster.node_process import NodeSettings
    from lutra.cluster.ray_head import RayHead
    from lutra.cluster.status import ClusterStatus
    from lutra.instance.recall_sampler import Told
    from lutra.objects.store import ObjectStore

_FIRST_PORT: Final = 8087
_NODES: Final = 3
_START_S: Final = 120.0
_LOOK_S: Final = 0.1
_SHOWN_CHARS: Final = 24
_WIDTH: Final = 200
"""Of what goes to no terminal."""


@click.group()
def cluster() -> None:
    """Run a cluster's nodes on this machine, and look how a cluster is.

    \b
    Three nodes over a folder, to try it out, until Ctrl-C:
      lutra cluster up --store ./cluster
    \b
    How it is, from any machine that reaches the store:
      lutra cluster status --store s3://bucket/prefix
    """


@cluster.command()
@store_option
@click.option("--nodes", type=click.IntRange(1, 64), help="How many on this machine. [default: 3, or one a port]")
@click.option(
    "--builders",
    default=0,
    show_default=True,
    type=click.IntRange(0, 256),
    help="Tasks of Ray that build segments, for all nodes; 0: a process beside each node does. With RAY_ADDRESS, of "
    "the Ray there, else of one that is started.",
)
@click.option("--ports", metavar="PORT[,PORT]", help="One for each node. [default: 8087, 8088, ...]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address that the nodes listen on.")
@instances_option
@memory_option("What search indexes keep in memory of their segments, in each node.")
@click.option("--detach", is_flag=True, help="Leave them running in the background.")
@log_level_option
def up(
    store: str,
    nodes: int | None,
    builders: int,
    ports: str | None,
    host: str,
    instances: tuple[str, ...],
    memory_limit: str | None,
    memory_mb: int | None,
    detach: bool,
    log_level: str,
) -> None:
    """Run nodes of a cluster on this machine, and start those again that end.

    Prints "listening on http://HOST:PORT" for each node that has joined. Any of them answers any request. Ctrl-C stops
    them in good order. The first start makes the cluster and shows its access key, as `lutra serve` does. With --detach
    they go on in the background, until `lutra cluster down`.

    With RAY_ADDRESS, the machines of the Ray there that offer lutra_node run them (docs/kubernetes.md), each at the one
    port that --ports says, else at a free one, and the address that Ray knows its machine by.

    \b
    Examples:
      lutra cluster up --store ./cluster
      lutra cluster up --store s3://bucket/prefix --nodes 1 --builders 2 --detach
    """
    from lutra.cluster.identity import make_identity
    from lutra.cluster.local_state import LocalState
    from lutra.cluster.node_process import NodeSettings
    from lutra.index.builds.remote.ray_settings import address_in
    from lutra.objects.opening import open_store

    log_to_stderr(log_level)
    os.umask(0o077)
    with shown_failures():
        address = address_in()
        spec = "ray" if builders else ""
        if address is None:
            chosen = _ports(nodes, ports)
            limit = memory_limit or str(said_memory(None, memory_mb, processes=len(chosen)).limit_bytes)
            settings = [
                NodeSettings(store, node_name(port), host, port, limit, memory_mb, spec, log_level) for port in chosen
            ]
        else:
            told = NodeSettings(store, "", "", _port_of_all(ports), memory_limit, memory_mb, spec, log_level)
            settings = [replace(told, name=f"ray-{number}") for number in range(1, (nodes or _NODES) + 1)]
        ray = _ray_of_its_own(builders) if address is None else None
        objects = open_store(store)
        identity, is_new = make_identity(objects)
        if is_new:
            show_access_key(identity, store)
        _create_instances(objects, instances)
        if address is not None:
            from lutra.cli.cluster_ray import place_nodes

            place_nodes(identity, address, settings, detach)
            return
        _require_none_runs(objects, [node.name for node in settings], store)
        state = LocalState(identity.id)
        if detach:
            _run_in_background(state, len(settings))
            return
        _run(state, settings, ray)


def _require_none_runs(objects: ObjectStore, names: Sequence[str], store: str) -> None:
    """Raises ClickException where one of these nodes runs on this machine already, kept by nobody, say."""
    from lutra.cluster.status import node_records

    for name, record in sorted(node_records(objects).items()):
        process = record.process
        if name in names and not record.state.is_over and process is not None and process.is_running:
            raise click.ClickException(
                f"node {name} runs already (process {process.pid}): `lutra cluster down --store {store}` stops it"
            )


def _ports(nodes: int | None, ports: str | None) -> list[int]:
    """Raises WrongOptions."""
    if ports is None:
        return [_FIRST_PORT + number for number in range(nodes or _NODES)]
    parts = [part.strip() for part in ports.split(",")]
    if not all(part.isdecimal() and int(part) <= 65_535 for part in parts):
        raise WrongOptions(f"--ports has numbers with commas between, as 8087,8088,8089, not {ports!r}")
    chosen = [int(part) for part in parts]
    if nodes is not None and nodes != len(chosen):
        raise WrongOptions(f"--ports has a port for each node: {nodes} of them, not {len(chosen)}")
    if len({port for port in chosen if port}) < len([port for port in chosen if port]):
        raise WrongOptions(f"--ports has a port twice: {ports}")
    return chosen


def _port_of_all(ports: str | None) -> int:
    """Of nodes that Ray places, on machines of their own. Raises WrongOptions."""
    chosen = _ports(None, ports or "0")
    if len(chosen) != 1:
        raise WrongOptions(f"--ports has one port for all nodes that Ray places: not {ports!r}")
    return chosen[0]


def _ray_of_its_own(builders: int) -> RayHead | None:
    """None where there are no builders in Ray. Raises ParameterInvalid."""
    if not builders:
        return None
    from lutra.cluster.ray_head import RayHead
    from lutra.index.lsm.resources import build_memory_default

    return RayHead(builders, build_memory_default())


def _create_instances(objects: ObjectStore, names: Sequence[str]) -> None:
    """Those that are absent. Raises ParameterInvalid for a bad name, StorageFailure."""
    from lutra.cluster.map import ClusterMap
    from lutra.cluster.map_changes import create_instance
    from lutra.cluster.map_log import MapLog
    from lutra.instance.defaults import DEFAULT_INSTANCE

    def with_instances(of: ClusterMap) -> ClusterMap:
        for name in names or (DEFAULT_INSTANCE,):
            if not of.has_instance(name):
                of = create_instance(of, name)
        return of

    MapLog(objects).change(with_instances)


def _run(state: LocalState, settings: Sequence[NodeSettings], ray: RayHead | None) -> None:
    """Until a signal comes. Raises StorageFailure."""
    from lutra.cluster.supervisor import Supervisor

    def told(node: NodeSettings, endpoint: str) -> None:
        click.echo(f"listening on {endpoint} (node {node.name})")
        sys.stdout.flush()

    supervisor = Supervisor(settings, told, ray)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: supervisor.stop())
    state.take()
    try:
        supervisor.start(_START_S)
        supervisor.run()
    finally:
        state.give_back()


def _run_in_background(state: LocalState, nodes: int) -> None:
    """Runs this very command again, without a terminal, and waits until all its nodes have joined."""
    state.make()
    if state.supervisor() is not None:
        state.take()  # which says who has them
    command = [sys.executable, "-m", "lutra.cli.main", *(each for each in sys.argv[1:] if each != "--detach")]
    with state.log.open("wb") as log:
        kept = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    until_s = time.monotonic() + _START_S
    while True:
        told = [line for line in _lines(state.log) if line.startswith("listening on ")]
        if len(told) >= nodes:
            break
        if kept.poll() is not None or time.monotonic() >= until_s:
            with suppress(ProcessLookupError):
                kept.terminate()
            last = "\n".join(_lines(state.log)[-5:])
            raise click.ClickException(f"the nodes do not come up; the log is {state.log} and ends so:\n{last}")
        time.sleep(_LOOK_S)
    for line in told:
        click.echo(line)
    click.echo(f"process {kept.pid} keeps them running; log: {state.log}", err=True)


def _lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()


# --- status -----------------------------------------------------------------------------------------------------------


@cluster.command()
@store_option
@json_option
def status(store: str, as_json: bool) -> None:
    """Show the nodes and the partitions of a cluster.

    Who owns what is read from the store, how far each partition is its owner is asked. Of a partition's changes, those
    up to the watermark "written" are on the store; up to "searchable" and "indexed" are found by all of its search
    indexes, and indexed in full; up to "persisted" need not be read again when it is opened elsewhere. One that is
    "failed" its owner could not open, and tries again: why is told below, in JSON as "failed".

    "recall" is the share of the nearest that searches for neighbours have found, of those that the owner measured since
    it opened the partition: of the index that finds least; in JSON of each, with a 95 % interval.

    In JSON a range has the first partition key, and the first after it; null: there is no such bound. Binary keys are
    {"hex": "..."}.
    """
    from lutra.cluster.status import read_status

    with shown_failures():
        objects, identity = _existing(store)
        found = read_status(objects, identity)
        if as_json:
            click.echo(json.dumps(_status_json(found), indent=2))
        else:
            _print_status(found)


def _existing(store: str) -> tuple[ObjectStore, Identity]:
    """Raises ClickException where there is no cluster; StorageFailure."""
    from lutra.cluster.identity import identity_of
    from lutra.objects.opening import open_store

    objects = open_store(store, is_read_only=True)
    identity = identity_of(objects)
    if identity is None:
        raise click.ClickException(f"there is no cluster at {store}: `lutra cluster up --store {store}` makes one")
    return objects, identity


def _status_json(found: ClusterStatus) -> dict[str, object]:
    return {
        "cluster": found.id,
        "map_version": found.map_version,
        "nodes": [
            {
                "name": node.name,
                "host": None if node.record.process is None else node.record.process.host,
                "pid": None if node.record.process is None else node.record.process.pid,
                "endpoint": node.record.address,
                "state": node.record.state.value,
                "answers": node.report is not None,
                "partitions": node.partitions,
            }
            for node in found.nodes
        ],
        "partitions": [
            {
                "id": row.entry.id,
                "table": row.table,
                "range": [_key_json(row.begin), _key_json(row.end)],
                "owner": row.owner,
                "epoch": row.epoch,
                "state": row.state,
                "watermarks": None
                if row.told is None
                else {
                    "written": row.told.written,
                    "searchable": row.told.searchable,
                    "indexed": row.told.indexed,
                    "persisted": row.told.persisted,
                },
                "measured_recall": {} if row.told is None else row.told.recall,
                "failed": None if row.unopened is None else {"tries": row.unopened.tries, "error": row.unopened.error},
            }
            for row in found.partitions
        ],
    }


def _key_json(key: object) -> object:
    return {"hex": key.hex()} if isinstance(key, bytes) else key


def _print_status(found: ClusterStatus) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    console.print(f"cluster {found.id}, map {found.map_version}", markup=False)
    nodes = RichTable(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("node", "endpoint", "pid", "state"):
        nodes.add_column(column, no_wrap=True)
    nodes.add_column("partitions", justify="right")
    for node in found.nodes:
        state = node.record.state.value if node.report is not None else "does not answer"
        pid = "" if node.record.process is None else str(node.record.process.pid)
        nodes.add_row(*map(Text, (node.name, node.record.address, pid, state, str(node.partitions))))
    console.print(nodes)
    console.print()
    table = RichTable(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("table", "partition", "keys", "owner", "state"):
        table.add_column(column, no_wrap=True)
    for column in ("epoch", "written", "searchable", "indexed", "persisted", "recall"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in found.partitions:
        marks = [""] * 5
        if row.told is not None:
            told = row.told
            marks = [_mark(each) for each in (told.written, told.searchable, told.indexed, told.persisted)]
            marks.append(_least_recall(told.recall))
        keys = f"{_key_text(row.begin)} … {_key_text(row.end)}"
        cells = (row.table, row.entry.id, keys, row.owner or "nobody", row.state, str(row.epoch), *marks)
        table.add_row(*map(Text, cells))  # keys are clients': nothing in them is markup
    console.print(table)
    for row in found.partitions:
        if row.unopened is not None:
            console.print(Text(f"\npartition {row.entry.id} could not be opened {row.unopened.tries} times; the last:"))
            console.print(Text(_printable(row.unopened.error)), soft_wrap=True)


def _least_recall(measured: Mapping[str, Told]) -> str:
    """Of all indexes of a partition, of searches with a filter and without."""
    found = [kind["recall"] for told in measured.values() for kind in told.values()]
    return f"{min(found):.3f}" if found else ""


def _mark(sequence: int) -> str:
    return "filling" if sequence < 0 else str(sequence)


def _key_text(key: object) -> str:
    if key is None:
        return ""
    text = key.hex() if isinstance(key, bytes) else str(key)[: _SHOWN_CHARS + 1]
    text = _printable(text)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def _printable(text: str) -> str:
    """Without what a terminal would obey: a key may hold that, or an error that quotes what is stored."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


# --- down -------------------------------------------------------------------------------------------------------------


@cluster.command()
@store_option
@click.option(
    "--grace-s",
    default=60,
    show_default=True,
    type=click.IntRange(0, 3_600),
    help="Seconds that a node gets to hand over and to stop by itself; then it is killed, which loses nothing.",
)
@json_option
def down(store: str, grace_s: int, as_json: bool) -> None:
    """Stop the nodes of a cluster that run on this machine.

    They are found by what the store says of them: no other process is ever touched. What they own other machines' nodes
    take over. With RAY_ADDRESS, those that Ray has placed are stopped first, on all machines.
    """
    from lutra.cluster.local_state import LocalState
    from lutra.cluster.stopping import stop_nodes
    from lutra.index.builds.remote.ray_settings import address_in

    placed: list[str] = []
    silent: list[str] = []
    with shown_failures():
        objects, identity = _existing(store)
        address = address_in()
        if address is not None:
            from lutra.cli.cluster_ray import remove_nodes

            placed, silent = remove_nodes(identity, address, grace_s)
        outcome = stop_nodes(objects, LocalState(identity.id), grace_s)
    if as_json:
        stopped = [{"name": one.name, "pid": one.pid, "by_force": one.by_force} for one in outcome.stopped]
        stopped += [{"name": name, "pid": None, "by_force": None} for name in placed]
        click.echo(json.dumps({"stopped": stopped, "elsewhere": sorted({*outcome.elsewhere, *silent})}, indent=2))
        return
    for name in placed:
        click.echo(f"stopped {name}, which Ray kept")
    for name in silent:
        click.echo(f"node {name} is kept no more, but who kept it did not answer: it may run on", err=True)
    for one in outcome.stopped:
        click.echo(f"stopped {one.name} (pid {one.pid}){', by force' if one.by_force else ''}")
    if not outcome.stopped and not placed:
        click.echo("no node of it runs on this machine")
    for name in outcome.elsewhere:
        click.echo(f"node {name} runs on another machine")


# --- split ------------------------------------------------------------------------------------------------------------


@cluster.command()
@store_option
@click.option(
    "--at", "at", metavar="KEY", help="The partition key at which the second half begins. [default: the middle]"
)
@json_option
@click.argument("partition")
def split(store: str, at: str | None, as_json: bool, partition: str) -> None:
    """Split PARTITION, by its id as `lutra cluster status` shows it, into two.

    Nothing is copied, and rows and searches are answered meanwhile; writes wait for some tenths of a second. Nodes
    split partitions that grow beyond a size by themselves (`lutra node --split-rows`).
    """
    from lutra.cluster.status import SPLIT_METHOD, ask_owner

    with shown_failures():
        objects, identity = _existing(store)
        bound = _bound_in(objects, partition, at)
        children = ask_owner(objects, identity, partition, SPLIT_METHOD, [partition, bound])
    if as_json:
        click.echo(json.dumps({"partition": partition, "children": list(children)}))
    else:
        click.echo(f"partition {partition} is split into {' and '.join(children)}")


def _bound_in(objects: ObjectStore, partition: str, text: str | None) -> bytes | None:
    """A partition key of the table of a partition that serves, encoded. Raises ParameterInvalid."""
    from lutra.cluster.map import PartitionState
    from lutra.cluster.map_log import MapLog
    from lutra.model.errors import ParameterInvalid
    from lutra.model.values import ColumnType
    from lutra.tables.keys import KeyCodec
    from lutra.transfer.written import bytes_in, int_in

    known = MapLog(objects).newest()
    entry = known.partition(partition)
    table = None if entry is None else known.table_of(entry)
    if entry is None or table is None:
        raise ParameterInvalid(f"there is no partition {partition}: `lutra cluster status` shows those there are")
    if entry.state is not PartitionState.SERVING:
        raise ParameterInvalid(f"partition {partition} serves no more: `lutra cluster status` shows those that do")
    if text is None:
        return None
    kind = table.schema.key[0].type
    try:
        value = int_in(text) if kind is ColumnType.INTEGER else bytes_in(text) if kind is ColumnType.BINARY else text
    except ValueError as error:
        raise ParameterInvalid(f"key {text!r}: {error}") from None
    return KeyCodec(b"", table.schema.key).encode_partition_value(value)


cluster.add_command(fsck)
