"""``lutra serve``: a data directory over HTTP."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from lutra.cli.access_key import show_new_key
from lutra.cli.failures import shown_failures
from lutra.cli.memory import keep_little, said_memory
from lutra.cli.options import (
    build_memory_option,
    builders_option,
    data_option,
    host_option,
    instances_option,
    log_level_option,
    log_to_stderr,
    memory_option,
    objects_option,
    place_of_rows,
    port_option,
    recall_sample_option,
    rows_option,
)

if TYPE_CHECKING:
    from lutra.instance.engine import Engine
    from lutra.server.auth.credentials import Credentials
    from lutra.server.http.app import MakeConsole
    from lutra.server.http.options import ServerOptions

_MB: Final = 1024 * 1024


@click.command()
@data_option
@host_option
@port_option
@instances_option
@objects_option
@rows_option
@memory_option("What search indexes keep in memory of their segments: codes, graphs, blocks read last.")
@build_memory_option
@builders_option
@click.option(
    "--write-threads",
    default=32,
    show_default=True,
    type=click.IntRange(1, 1_024),
    help="Writes that can wait for the disk together; those that do share an fsync.",
)
@click.option("--console/--no-console", "has_console", default=True, help="Whether pages for people are served, at /.")
@click.option(
    "--console-upload-mb",
    default=512,
    show_default=True,
    type=click.IntRange(1, 1_048_576),
    help="The largest file that the console takes to import.",
)
@click.option(
    "--embed/--no-embed",
    "embeds",
    default=True,
    help="Whether rows that come without vectors get those that their table's models make.",
)
@recall_sample_option
@log_level_option
def serve(
    data_dir: Path,
    host: str,
    port: int,
    instances: tuple[str, ...],
    objects: str | None,
    rows: str | None,
    memory_limit: str | None,
    memory_mb: int | None,
    build_memory_mb: int | None,
    builders: str,
    write_threads: int,
    has_console: bool,
    console_upload_mb: int,
    embeds: bool,
    recall_sample: float,
    log_level: str,
) -> None:
    """Serve a data directory over HTTP, to the official Tablestore SDKs, and to people in a browser.

    Prints "listening on http://HOST:PORT" when ready. SIGTERM and Ctrl-C answer what is under way, then stop. GET
    /healthz and /metrics (Prometheus) answer on the same port, without a signature. A browser that goes to that address
    is led to the console, where the access key signs in; --no-console serves none.

    The access key comes from LUTRA_ACCESS_KEY_ID and LUTRA_ACCESS_KEY_SECRET, else from credentials.json in the data
    directory, which the first start makes and shows.

    Rows lie in the data directory, or where --rows says, on an object store: the directory remembers the place, so that
    no command need be told. Who opens such rows last is their one writer. Search indexes lie in segments, there or
    where --objects says. For S3 the usual AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, for servers like
    it, AWS_ENDPOINT_URL. A search index whose segments are not found there is filled anew from its table. `lutra fsck`
    checks it all.

    All that the server and its builders take of memory stays within --memory-limit; codes and graphs that it does not
    hold are read from disk.

    Segments are built by processes of this machine that give way to all else; --builders ray hands builds to tasks of
    Ray instead, which need the objects and nothing else: with RAY_ADDRESS of the Ray there, which this machine is part
    of, else of one that is started here.

    Where a vector field names a model (`lutra embed` adds one), rows that SDKs put without a vector get theirs soon
    after; with --no-embed they wait for the next `lutra embed`.

    \b
    Examples:
      lutra serve --data ./data
      lutra serve --data ./data --port 9000 --instance photos --instance music
      lutra serve --data ./data --objects s3://bucket/prefix --memory-limit 8GiB
      RAY_ADDRESS=head:6379 lutra serve --data ./data --objects s3://bucket/prefix --builders ray
      lutra serve --data ./data --objects s3://bucket/prefix --rows
    """
    # Here, so that `lutra --help` needs none of it.
    from lutra.instance.engine import Engine
    from lutra.server.http.options import ServerOptions

    _prepare(log_level)
    with shown_failures():
        said = said_memory(memory_limit, memory_mb, build_memory_mb)
        keep_little(said.limit_bytes)
        engine = Engine.open(
            data_dir,
            objects=objects,
            rows=place_of_rows(rows, objects),
            memory_bytes=said.segments_bytes,
            build_memory_bytes=said.build_bytes,
            builders=builders,
            memory_limit_bytes=said.limit_bytes,
        )
        try:
            if embeds:
                engine.embed_changes()
            engine.measure_recall(recall_sample)
            bodies = said.bodies_bytes_max(engine.memory)
            options = ServerOptions(host=host, port=port, write_threads=write_threads, bodies_bytes_max=bodies)
            _serve(engine, instances, options, console_upload_mb if has_console else None)
        finally:
            engine.close()


def _serve(engine: Engine, instances: tuple[str, ...], options: ServerOptions, upload_mb: int | None) -> None:
    """Until it is told to stop. ``upload_mb``: of files that the console takes; None: without a console."""
    # Threads of the engine read its indexes meanwhile.
    from lutra.instance.defaults import DEFAULT_INSTANCE
    from lutra.instance.registry import create_instance, instance_exists
    from lutra.model.clock import SystemClock
    from lutra.server.auth.credentials import load_credentials
    from lutra.server.http.server import run_server
    from lutra.server.observe.engine_metrics import engine_collectors

    _warn_of_plain_http(options.host)
    for name in instances or (DEFAULT_INSTANCE,):
        if not instance_exists(engine.data_dir, name):
            create_instance(engine.data_dir, name)
    loaded = load_credentials(engine.data_dir, os.environ)
    if loaded.is_new:
        show_new_key(loaded.credentials.access_key_id, loaded.credentials.access_key_secret, loaded.source)
    run_server(
        engine,
        loaded.credentials,
        options,
        on_listening=_announce,
        make_console=_console_maker(engine, loaded.credentials, upload_mb),
        collectors=engine_collectors(engine, SystemClock()),
        require_room=engine.memory.require_room,
    )


def _prepare(log_level: str) -> None:
    """What holds for the process, before it does anything."""
    log_to_stderr(log_level)
    # Pillow allocates pictures in blocks; those of its default, 16 MB, stay in the heap of each thread that decoded one
    # (3 GB after eight large pictures), larger ones go back to the system at once.
    os.environ.setdefault("PILLOW_BLOCK_SIZE", "64m")


def _console_maker(engine: Engine, credentials: Credentials, upload_mb: int | None) -> MakeConsole | None:
    """What makes the console, for files of so many MB at most; None where none is wanted. What an earlier one left of
    uploads is removed in any case."""
    from lutra.console.uploads import sweep_uploads

    sweep_uploads(engine.data_dir)
    if upload_mb is None:
        return None
    from lutra.console.app import Console
    from lutra.console.options import ConsoleOptions
    from lutra.model.clock import SystemClock

    options = ConsoleOptions(upload_bytes_max=upload_mb * _MB)
    return lambda metrics: Console(engine, credentials, SystemClock(), metrics, options)


def _announce(endpoint: str) -> None:
    click.echo(f"listening on {endpoint}")
    sys.stdout.flush()


def _warn_of_plain_http(host: str) -> None:
    from lutra.server.http.server import is_loopback

    if not is_loopback(host):
        click.echo(
            f"warning: {host} can be reached by other machines, and traffic is plain HTTP: requests are signed, but "
            "what is in them, and /metrics, can be read on the way. Put a proxy with TLS before it.",
            err=True,
        )
