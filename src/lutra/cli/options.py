"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click

data_option = click.option(
    "--data",
    "data_dir",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    envvar="LUTRA_DATA",
    show_envvar=True,
    help="The data directory.",
)
objects_option = click.option(
    "--objects",
    metavar="PLACE",
    envvar="LUTRA_OBJECTS",
    show_envvar=True,
    help="Where segments of search indexes are: a folder or s3://bucket/prefix.  [default: DATA/objects]",
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
