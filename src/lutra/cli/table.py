"""``lutra table``: one's own tables, looked at and searched."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from lutra.cli.databases import opened_to_read, opened_to_write
from lutra.cli.failures import shown_failures
from lutra.cli.options import (
    columns_option,
    data_option,
    deadline_option,
    fresh_option,
    instance_option,
    json_option,
    objects_option,
    where_option,
)


@click.group()
def table() -> None:
    """Look at tables, read rows and search them, also beside a running server. Nothing is changed, but by `drop`.

    \b
    Examples:
      lutra table list --data ./data
      lutra table show articles --data ./data
      lutra table count articles --data ./data --where "year >= 2020"
      lutra table get articles a1 --data ./data
      lutra table search articles "river otters" --data ./data --limit 5
      lutra table search articles --data ./data --like a1 --where "year = 2024"
    """


@table.command("list")
@data_option
@objects_option
@instance_option
@json_option
def list_tables(data_dir: Path, objects: str | None, instance: str, as_json: bool) -> None:
    """List the tables by name, with their keys and fields.

    \b
    Example:
      lutra table list --data ./data --json
    """
    with shown_failures(), opened_to_read(data_dir, objects, instance) as database:
        found = [database.table(name) for name in database.table_names()]
        if as_json:
            told = [{"table": one.name, "key": list(one.key), "fields": list(one.fields)} for one in found]
            click.echo(json.dumps({"tables": told}, ensure_ascii=False))
            return
        for one in found:
            fields = ", ".join(one.fields) or "any column, not searchable"
            click.echo(f"{one.name}  ({', '.join(one.key)})  {fields}")
    if not found:
        click.echo(f"there are no tables in instance {instance}: `lutra import FILE --table NAME` makes one")


@table.command()
@click.argument("name")
@data_option
@objects_option
@instance_option
@json_option
def show(name: str, data_dir: Path, objects: str | None, instance: str, as_json: bool) -> None:
    """Show the key and the fields of table NAME, and how many rows it has.

    What --json prints is what `lutra import --schema` takes, which makes a table of the same key and fields.

    \b
    Examples:
      lutra table show articles --data ./data
      lutra table show articles --data ./data --json > articles.json
    """
    from lutra.cli.rows import print_table
    from lutra.transfer.table_schema import TableDeclaration

    with shown_failures(), opened_to_read(data_dir, objects, instance) as database:
        of = database.table(name)
        declaration = TableDeclaration(of.key, of.fields)
        rows = of.count()
    if as_json:
        click.echo(json.dumps({"table": name, **declaration.as_json(), "rows": rows}, ensure_ascii=False))
    else:
        print_table(name, declaration, rows)


@table.command()
@click.argument("name")
@data_option
@objects_option
@instance_option
@where_option
@json_option
def count(name: str, data_dir: Path, objects: str | None, instance: str, where: str | None, as_json: bool) -> None:
    """Count the rows of table NAME that pass a filter; without one, all.

    \b
    Example:
      lutra table count articles --data ./data --where "year >= 2020 and not tags = draft"
    """
    from lutra.transfer.where import parse_where_of

    with shown_failures(), opened_to_read(data_dir, objects, instance) as database:
        of = database.table(name)
        rows = of.count(None if where is None else parse_where_of(where, of))
    click.echo(json.dumps({"table": name, "where": where, "rows": rows}) if as_json else str(rows))


@table.command()
@click.argument("name")
@click.argument("key", nargs=-1, required=True)
@data_option
@objects_option
@instance_option
@columns_option
@json_option
def get(
    name: str,
    key: Sequence[str],
    data_dir: Path,
    objects: str | None,
    instance: str,
    columns: str | None,
    as_json: bool,
) -> None:
    """Read the row of table NAME that has this KEY: a value for each key column. Of bytes, base64.

    \b
    Exit status: 1 where there is no such row.
    \b
    Examples:
      lutra table get articles a1 --data ./data
      lutra table get visits berlin 2024 --data ./data --columns count --json
    """
    from lutra.cli.keys import key_of, names_of
    from lutra.cli.rows import print_row, row_as_json
    from lutra.model.errors import ObjectNotExist

    with shown_failures(), opened_to_read(data_dir, objects, instance) as database:
        of = database.table(name)
        row = of.get(*key_of(of, key), columns=names_of(columns))
        if row is None:
            raise ObjectNotExist(f"table {name!r} has no row of key {' '.join(key)}")
    if as_json:
        click.echo(json.dumps(row_as_json(row), ensure_ascii=False))
    else:
        print_row(row)


@table.command()
@click.argument("name")
@click.argument("text", required=False)
@data_option
@objects_option
@instance_option
@where_option
@click.option("--near", metavar="TEXT", help="Rows that mean the like, where the vector field has a model.")
@click.option(
    "--picture",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Rows that look like this file, where the vector field has a model of pictures.",
)
@click.option("--vector", metavar="JSON", help="Rows near to this vector: '[0.1, 0.9]'; @FILE reads it.")
@click.option(
    "--like", multiple=True, metavar="KEY", help="Rows near to the one of this key, without it; once a column."
)
@click.option("--field", metavar="NAME", help="The vector field, where there are several.")
@click.option("--text-field", metavar="NAME", help="The text field, where there are several.")
@click.option(
    "--match",
    type=click.Choice(["any", "all", "phrase"]),
    default="any",
    show_default=True,
    help="How much of TEXT a row must have.",
)
@click.option("--order-by", multiple=True, metavar="COLUMN[:desc]", help="Of what has no score.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=10, show_default=True)
@click.option("--offset", type=click.IntRange(0, 100_000), default=0, help="Rows to leave out first.")
@click.option("--min-score", type=float, help="Only rows nearer than that.")
@click.option("--recall", type=float, help="Share of the true nearest to find, .5 to 1.  [default: the index's]")
@columns_option
@deadline_option
@fresh_option
@click.option("--explain", is_flag=True, help="Tell what was done in each part of the index, and why.")
@json_option
def search(
    name: str, text: str | None, data_dir: Path, objects: str | None, instance: str, as_json: bool, **said: Any
) -> None:
    """Search table NAME: for the words of TEXT, for what is near to a vector, for both, or for what passes a filter.

    Of --near and --picture the model that the vector field names makes the vector.

    With words and a vector the scores of rows that have both add up.

    \b
    Examples:
      lutra table search articles "river otters" --data ./data
      lutra table search articles --data ./data --vector "[0.1, 0.9, 0.3]" --limit 5
      lutra table search articles --data ./data --near "animals of the river"
      lutra table search articles "otters" --data ./data --like a1 --where "year >= 2020" --columns title,year
      lutra table search articles --data ./data --where "tags = river" --order-by year:desc --json
      lutra table search articles --data ./data --vector @query.json --explain
    """
    from lutra.cli.rows import found_as_json, print_found
    from lutra.cli.table_search import Asked, searched

    with shown_failures(), opened_to_read(data_dir, objects, instance) as database:
        of = database.table(name)
        started_s = time.perf_counter()
        found = searched(of, Asked(text=text, **said))
        took_ms = (time.perf_counter() - started_s) * 1_000
    if as_json:
        click.echo(json.dumps(found_as_json(name, found, took_ms), ensure_ascii=False))
    else:
        print_found(found, took_ms)


@table.command()
@click.argument("name")
@data_option
@objects_option
@instance_option
@click.option("--confirm", metavar="NAME", help="The name once more, in place of being asked for it.")
@json_option
def drop(name: str, data_dir: Path, objects: str | None, instance: str, confirm: str | None, as_json: bool) -> None:
    """Delete table NAME with its search indexes and all its rows, for good. Its name is to be typed once more.

    No server may have the directory open.

    \b
    Examples:
      lutra table drop drafts --data ./data
      lutra table drop drafts --data ./data --confirm drafts
    """
    with shown_failures(), opened_to_write(data_dir, objects, instance) as database:
        of = database.table(name)
        if confirm is None:
            rows = of.count()
            confirm = click.prompt(f"table {name} has {rows:,} rows. Type its name to delete it", err=True)
        if confirm != name:
            raise click.ClickException(f"{confirm!r} is not {name!r}: nothing is deleted")
        database.delete_table(name)
    click.echo(json.dumps({"dropped": name}) if as_json else f"table {name} is deleted")
