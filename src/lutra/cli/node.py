"""``lutra node``: one node of a cluster."""

from __future__ import annotations

import os
import re
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from lutra.cli.access_key import show_new_key
from lutra.cli.failures import WrongOptions, shown_failures
from lutra.cli.memory import keep_little, said_memory
from lutra.cli.options import (
    build_memory_option,
    builders_option,
    host_option,
    log_level_option,
    log_to_stderr,
    memory_option,
    port_option,
    recall_sample_option,
    store_option,
)

if TYPE_CHECKING:
    from lutra.cluster.identity import Identity
    from lutra.cluster.node import Node
    from lutra.server.auth.credentials import Credentials

_MB: Final = 1024 * 1024
_ADDRESS: Final = re.compile(r"https?://[^/?#\s]+:\d{1,5}")
_WAITING_READS: Final = 30
_WAITING_SCANS: Final = 32
"""Threads of a gateway: most of what it is asked it asks of other nodes, and waits."""


@click.command()
@store_option
@click.option(
    "--name", help="Of the node, the same whenever it is started again. [default: this machine's, and the port]"
)
@host_option
@port_option
@click.option(
    "--address", metavar="URL", help="Where other nodes reach this one. [default: http://HOST:PORT as it listens]"
)
@memory_option("What search indexes of its partitions keep in memory of their segments, all together.")
@build_memory_option
@builders_option
@click.option(
    "--capacity",
    default=1,
    show_default=True,
    type=click.IntRange(1, 16),
    help="How many shares of the partitions it takes, beside other nodes.",
)
@click.option(
    "--split-rows",
    default=4_000_000,
    show_default=True,
    type=click.IntRange(0),
    help="A partition with more rows is split into two; 0: however many it has.",
)
@click.option(
    "--split-mb",
    default=4_096,
    show_default=True,
    type=click.IntRange(0),
    help="As well as one with more MB of rows.",
)
@click.option(
    "--scratch",
    type=click.Path(file_okay=False, path_type=Path),
    help="A local folder for segments that are being built. [default: one of its own, which goes with it]",
)
@recall_sample_option
@log_level_option
def node(
    store: str,
    name: str | None,
    host: str,
    port: int,
    address: str | None,
    memory_limit: str | None,
    memory_mb: int | None,
    build_memory_mb: int | None,
    builders: str,
    capacity: int,
    split_rows: int,
    split_mb: int,
    scratch: Path | None,
    recall_sample: float,
    log_level: str,
) -> None:
    """Run one node of a cluster, over the store that has all of its data.

    Prints "listening on http://HOST:PORT" when it has joined. It owns a share of the partitions and answers any request
    of an SDK, for all of them. SIGTERM and Ctrl-C hand over what it owns, answer what is under way, then stop. GET
    /healthz tells whether it is sure of its lease, GET /metrics (Prometheus) how it does.

    The first node to come makes the cluster, and its access key, in the store; it shows the key once.
    LUTRA_ACCESS_KEY_ID and LUTRA_ACCESS_KEY_SECRET, the same for all nodes, take its place. Nodes reach each other at
    their addresses, and trust who has the secret that is in the store.

    Nothing that counts is on the node's machine: it can be killed at any moment, and started elsewhere.

    \b
    Examples:
      lutra node --store s3://bucket/prefix --host 0.0.0.0 --address http://10.0.0.7:8087
      lutra node --store ./cluster --port 8088
    """
    _prepare(log_level)
    with shown_failures():
        # Here, so that `lutra --help` needs none of it.
        from lutra.cluster.node import Node, NodeOptions
        from lutra.cluster.splits.policy import SplitPolicy

        _check_addresses(host, address)
        said = said_memory(memory_limit, memory_mb, build_memory_mb)
        keep_little(said.limit_bytes)
        with _scratch_folder(scratch) as folder:
            options = NodeOptions(
                store=store,
                name=node_name(port) if name is None else name,
                scratch=folder,
                memory_bytes=said.segments_bytes,
                build_memory_bytes=said.build_bytes,
                memory_limit_bytes=said.limit_bytes,
                builders=builders,
                capacity=capacity,
                splits=SplitPolicy(split_rows or None, split_mb * _MB or None),
                recall_sample=recall_sample,
            )
            running = Node(options)
            try:
                if running.is_new:
                    show_access_key(running.identity, store)
                _run(running, host, port, address, said.bodies_bytes_max(running.memory))
            finally:
                running.close()


def _run(running: Node, host: str, port: int, address: str | None, bodies_bytes_max: int) -> None:
    """Until a signal comes. Raises AddressError, CredentialsError."""
    from lutra.server.http.options import ServerOptions
    from lutra.server.http.server import is_loopback, run_server
    from lutra.server.observe.cluster_metrics import cluster_collectors

    if not is_loopback(host):
        click.echo(
            "warning: other machines can reach this node, and traffic is plain HTTP, also between nodes: keep them on "
            "a network of their own, behind a proxy with TLS.",
            err=True,
        )

    def start(endpoint: str) -> None:
        running.start(address or endpoint, lambda: click.echo(f"listening on {endpoint}"))

    run_server(
        running.engine,
        credentials_of(running.identity),
        ServerOptions(
            host=host,
            port=port,
            point_reserve=_WAITING_READS,
            scan_threads=_WAITING_SCANS,
            bodies_bytes_max=bodies_bytes_max,
        ),
        on_listening=start,
        collectors=cluster_collectors(running),
        internal=running.methods,
        check=running.check,
        before_stop=running.leave,
        require_room=running.memory.require_room,
    )


def _check_addresses(host: str, address: str | None) -> None:
    """Raises WrongOptions."""
    if address is None and host in ("0.0.0.0", "::"):
        raise WrongOptions(f"--host {host} is no address at which others reach this node: say --address as well")
    if address is not None and _ADDRESS.fullmatch(address) is None:
        raise WrongOptions(f"--address is http://HOST:PORT, by which other nodes reach this one, not {address!r}")


@contextmanager
def _scratch_folder(chosen: Path | None) -> Iterator[Path]:
    if chosen is not None:
        yield chosen
        return
    with tempfile.TemporaryDirectory(prefix="lutra-node-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def credentials_of(identity: Identity) -> Credentials:
    """From the environment, else the cluster's own. Raises CredentialsError."""
    from lutra.server.auth.credentials import Credentials, credentials_in

    found = credentials_in(os.environ)
    return Credentials(identity.access_key_id, identity.access_key_secret) if found is None else found


def show_access_key(identity: Identity, store: str) -> None:
    """Once, where it is the one that counts."""
    from lutra.server.auth.credentials import credentials_in

    if credentials_in(os.environ) is not None:
        return
    place = f"{store.rstrip('/')}/cluster"
    show_new_key(identity.access_key_id, identity.access_key_secret, place)


def node_name(port: int) -> str:
    """Of a node of this machine at a port, where nobody gives it another: the same whenever it is started again."""
    host = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in socket.gethostname())
    ending = str(port) if port else secrets.token_hex(4)
    return f"{host.strip('-')[:40] or 'node'}-{ending}"


def _prepare(log_level: str) -> None:
    log_to_stderr(log_level)
    # What is put into a folder is the cluster's alone.
    os.umask(0o077)
