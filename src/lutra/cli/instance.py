"""``lutra instance``: which instances a data directory has. Works beside a running server."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lutra.cli.failures import shown_failures
from lutra.cli.options import data_option, json_option


@click.group()
def instance() -> None:
    """Create and list instances. An instance has tables and search indexes of its own.

    \b
    Examples:
      lutra instance create photos --data ./data
      lutra instance list --data ./data
      lutra instance list --data ./data --json
    """


@instance.command()
@click.argument("name")
@data_option
@json_option
def create(name: str, data_dir: Path, as_json: bool) -> None:
    """Create instance NAME: 2 to 64 letters, digits, '-' or '_'. A running server finds it at once."""
    from lutra.instance.data_dir import data_dir_of
    from lutra.instance.registry import check_name, create_instance
    from lutra.instance.traces import require_data_dir

    with shown_failures():
        check_name(name)
        require_data_dir(data_dir_of(data_dir))
        create_instance(data_dir, name)
    click.echo(json.dumps({"created": name}) if as_json else f"created instance {name}")


@instance.command("list")
@data_option
@json_option
def list_instances(data_dir: Path, as_json: bool) -> None:
    """List the instances by name."""
    from lutra.instance.data_dir import data_dir_of
    from lutra.instance.registry import instance_names
    from lutra.instance.traces import require_data_dir

    with shown_failures():
        require_data_dir(data_dir_of(data_dir))
        names = instance_names(data_dir)
    if as_json:
        click.echo(json.dumps({"instances": names}))
        return
    for name in names:
        click.echo(name)
