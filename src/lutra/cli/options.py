"""Options that several commands have."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from lutra.model import limits

Command = TypeVar("Command", bound=Callable[..., Any])

BESIDE_OBJECTS: Final = "beside objects"
"""What ``--rows`` stands for without a place."""


def place_of_rows(rows: str | None, objects: str | None) -> str | None:
    """Where ``--rows`` says that rows are, None where it is not given. Raises click.UsageError."""
    if rows != BESIDE_OBJECTS:
        return rows
    if objects is None:
        raise click.UsageError("--rows without a place puts rows below that of --objects: name that, or a place")
    return f"{objects.rstrip('/')}/rows"


class DataDirectory(click.Path):
    """A folder of this machine as ``--data`` names it. An empty text, as of a variable that is not set, names none."""

    def __init__(self) -> None:
        super().__init__(file_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("an empty text is no data directory: name a folder, as in --data ./data", param, ctx)
        path = Path(value)
        return super().convert(path.expanduser() if path.parts[:1] == ("~",) else path, param, ctx)


def log_to_stderr(level: str) -> None:
    """What ``--log-level`` says."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def memory_option(what: str) -> Callable[[Command], Command]:
    """``--memory-limit`` of the whole process, and ``--memory-mb`` of segments alone; ``what``: for what that is."""

    def options(command: Command) -> Command:
        limit = click.option(
            "--memory-limit",
            metavar="SIZE",
            callback=_checked_limit,
            help="What the process and those that build for it may take, all of it: 512MiB, 2GiB, 25%. [default: a "
            "quarter of the machine's memory, or of its control group's limit]",
        )
        segments = click.option(
            "--memory-mb",
            type=click.IntRange(16, 16_777_216),
            help=f"{what} [default: what --memory-limit leaves for it]",
        )
        return limit(segments(command))

    return options


def _checked_limit(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Raises click.BadParameter where that is no size."""
    if value is not None:
        from lutra.instance.memory_plan import size_of

        try:
            size_of(value, 1)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from None
    return value


data_option = click.option(
    "--data",
    "data_dir",
    required=True,
    type=DataDirectory(),
    envvar="LUTRA_DATA",
    show_envvar=True,
    help="The data directory.",
)
host_option = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
port_option = click.option(
    "--port", default=8087, show_default=True, type=click.IntRange(0, 65_535), help="0 picks a free port."
)
instances_option = click.option(
    "--instance", "instances", multiple=True, help="Instance to create if absent; repeatable. [default: default]"
)
log_level_option = click.option(
    "--log-level",
    default="warning",
    show_default=True,
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="What goes to stderr.",
)
recall_sample_option = click.option(
    "--recall-sample",
    default=0.01,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of searches for neighbours that are made once more while nobody searches, to measure their recall.",
)
objects_option = click.option(
    "--objects",
    metavar="PLACE",
    envvar="LUTRA_OBJECTS",
    show_envvar=True,
    help="Where segments of search indexes are: a folder or s3://bucket/prefix.  [default: DATA/objects]",
)
build_memory_option = click.option(
    "--build-memory-mb",
    type=click.IntRange(32, 16_777_216),
    help="What one build of a segment may take: so large segments grow. [default: a share of --memory-limit]",
)
builders_option = click.option(
    "--builders",
    metavar="KIND[:COUNT]",
    default="local",
    help="Who builds segments: local processes, or tasks of ray; COUNT large builds at once. [default: local, which is "
    "local:1]",
)
store_option = click.option(
    "--store",
    metavar="PLACE",
    required=True,
    envvar="LUTRA_STORE",
    show_envvar=True,
    help="Where the cluster's data is: s3://bucket/prefix, or a folder that all nodes see.",
)
rows_option = click.option(
    "--rows",
    metavar="PLACE",
    is_flag=False,
    flag_value=BESIDE_OBJECTS,
    envvar="LUTRA_ROWS",
    show_envvar=True,
    help="Where rows are: s3://bucket/prefix, or a folder that is to be an object store; without a PLACE, in 'rows' "
    "below that of --objects.  [default: where they are, else in DATA]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
instance_option = click.option(
    "--instance", default="default", show_default=True, help="The instance that the table is in."
)
where_option = click.option(
    "--where", metavar="FILTER", help="Only rows that pass: 'year >= 2020 and (kind = a or not tags = b)'."
)
columns_option = click.option(
    "--columns", metavar="NAME[,NAME]", help="Columns to read besides the key. [default: all]"
)
deadline_option = click.option(
    "--deadline-ms",
    type=click.IntRange(1, limits.SEARCH_TIMEOUT_MS_MAX),
    metavar="MS",
    help="Answer by then with what was found, and say whether that is all.",
)
fresh_option = click.option(
    "--fresh/--no-fresh",
    default=True,
    show_default=True,
    help="Wait until the index has the latest writes: with --deadline-ms for half of that at most.",
)
