"""Writing rows of a table of an embedded database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lutra.embedding.embedder import EmbeddingError
from lutra.instance.embed_run import EmbedRun, Unembedded
from lutra.instance.embedded_rows import EmbeddedRows
from lutra.instance.encoding import moment_of
from lutra.instance.expression import Expression
from lutra.instance.field import Kind
from lutra.instance.put_batches import FRAME_BATCH_ROWS, ArrowStream, PutBatches, Rejected
from lutra.instance.row import Row
from lutra.instance.table_part import WAIT_S, TablePart, parts_of, several
from lutra.instance.where_changes import WhereChanges, cells_of_values
from lutra.model import limits
from lutra.model.errors import LutraError, ParameterInvalid
from lutra.model.rows import CellChange, CellOperation, ChangeKind, ReturnType, RowChange, WriteResult
from lutra.model.values import KeyMarker, KeyValue
from lutra.scalars.dates import datetime_ns

if TYPE_CHECKING:
    import pandas as pd


class TableWriter(TablePart):
    """The part of a table that writes."""

    def put(
        self, row: Mapping[str, object], *, exists: bool | None = None, where: Expression | None = None
    ) -> tuple[KeyValue, ...]:
        """Writes a row, in place of any row of the same key. Returns its key, with what the table chose.

        A None is a column the row does not have. ``exists`` and ``where`` guard the write: they say whether there
        must be a row of that key, and what must hold of it. A vector that a model makes (``lutra.Vector(embed=)``) and
        that is not given is made of the row first. Raises ParameterInvalid, ConditionCheckFail, EmbeddingError.
        """
        self._open().require_writable()
        key, cells = self._layout.encode_row(row)
        change = self._embedded(RowChange(ChangeKind.PUT, key, cells, self._condition(exists, where)))
        if any(isinstance(value, KeyMarker) for _, value in key):
            change.return_type = ReturnType.PRIMARY_KEY
        result = self._instance().tables.write(self.name, change)
        chosen = result.row.key if result.row is not None else key
        return tuple(value for _, value in chosen if not isinstance(value, KeyMarker))

    def put_many(
        self,
        rows: ArrowStream | pd.DataFrame | Iterable[Any],
        *,
        columns: Mapping[str, str | None] | None = None,
        rejected: Callable[[Rejected], object] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """Writes rows, many to a commit. Returns how many.

        ``rows`` is an iterable of rows (mappings, or objects of a dataclass), a pandas.DataFrame, or whatever gives its
        rows as Arrow has them: Arrow's tables, batches and readers, polars' frames, DuckDB's relations; or an iterable
        of such frames, as ``pyarrow.parquet.ParquetFile(path).iter_batches()`` is. Frames are encoded by columns, a few
        thousand rows at a time, and take 1,000 rows to a commit, others 200; both less where rows are large.

        None, NaN, NaT and Arrow's null are columns that the row does not have. A float that is whole is an int where
        the field is one. Points are structs of ``lat`` and ``lon``, vectors lists of numbers, records lists of structs.
        A pandas index that has a name is a column.

        ``columns`` says what columns that are given are called in the table; None leaves one out. ``rejected`` is
        called with a :class:`lutra.Rejected` for each row that is wrong, and the others are written; without it the
        first bad row raises ParameterInvalid, which names it by its number from 0; the commits before it stay.
        ``progress`` is called after each commit with the number of rows written so far.

        ::

            docs.put_many(frame, columns={"doc_id": "id", "comment": None}, rejected=bad.append)

        Vectors that a model makes (``lutra.Vector(embed=)``) and that are not given are made a commit at a time. A row
        that the model cannot do is wrong as any other.

        Raises ParameterInvalid where the columns of a frame are not those of the table, ImportError where reading a
        frame takes pyarrow and that is not installed, EmbeddingError where a model makes no vectors at all.
        """
        self._open().require_writable()
        return PutBatches(self._layout, self._write_changes, columns, rejected).run(rows, progress)

    def update(
        self,
        *key: KeyValue,
        set: Mapping[str, object] | None = None,
        increment: Mapping[str, int] | None = None,
        exists: bool | None = None,
        where: Expression | None = None,
    ) -> dict[str, int]:
        """Changes columns of one row and leaves its others. Makes the row where there is none.

        ``set`` writes columns, and removes those it gives as None; ``increment`` adds to int columns, which count
        from 0. Returns the incremented columns as they now are. ``exists`` and ``where`` guard the write, as in
        :meth:`put`. A column that a model makes vectors of takes its vector with it. Raises ParameterInvalid,
        ConditionCheckFail, EmbeddingError.
        """
        self._open().require_writable()
        _check_columns(set, increment)
        counters = dict(increment or {})
        cells = [*(self._set_cell(name, value) for name, value in (set or {}).items())]
        for name, amount in counters.items():
            if name in (set or {}):
                raise ParameterInvalid(f"column {name!r} is given both in set and in increment")
            cells.append(self._increment_cell(name, amount))
        if not cells:
            raise ParameterInvalid("nothing to update: give set= or increment=")
        change = RowChange(ChangeKind.UPDATE, self._layout.encode_key(key), cells, self._condition(exists, where))
        self._embedded(change)
        if counters:
            change.return_type = ReturnType.AFTER_MODIFY
            change.return_columns = tuple(counters)
        result = self._instance().tables.write(self.name, change)
        cells_after = result.row.cells if result.row is not None else ()
        return {name: value for name, value, _ in cells_after if type(value) is int and name in counters}

    def delete(self, *key: KeyValue, exists: bool | None = None, where: Expression | None = None) -> None:
        """Deletes the row of that key, if there is one. Guards as in :meth:`put`."""
        self._open().require_writable()
        encoded = self._layout.encode_key(key)
        change = RowChange(ChangeKind.DELETE, encoded, [], self._condition(exists, where))
        self._instance().tables.write(self.name, change)

    def delete_many(self, keys: Iterable[KeyValue | Sequence[KeyValue]]) -> int:
        """Deletes the rows of these keys, 200 to a commit. Returns how many keys there were.

        A key of one column is its value; of several, a tuple.
        """
        self._open().require_writable()
        deleted = 0
        batch: list[RowChange] = []
        for key in several(keys):
            batch.append(RowChange(ChangeKind.DELETE, self._layout.encode_key(parts_of(key))))
            if len(batch) == limits.BATCH_WRITE_ROWS_MAX:
                self._delete_batch(batch, deleted)
                deleted += len(batch)
                batch = []
        self._delete_batch(batch, deleted)
        return deleted + len(batch)

    def delete_where(self, where: Expression, /, *, progress: Callable[[int], object] | None = None) -> int:
        """Deletes all rows that satisfy ``where``. Returns how many.

        Rows are deleted many to a commit; ``progress`` is called after each with the number of rows deleted so far. A
        row is deleted only where it satisfies ``where`` at that instant, whoever changes it meanwhile. All rows are
        that satisfied it before the call and go on to; rows that come to satisfy it meanwhile may be or not. Where it
        is broken off, the commits before that stay: call it again.

        Columns that are indexed are looked up, others read, row by row: both do. ::

            docs.delete_where((lutra.col("year") < 2000) & ~lutra.col("kept").exists())

        Raises ParameterInvalid, OperationConflict where a transaction holds a row, and RequestTimeout where the index
        does not catch up within 30 s.
        """
        self._open().require_writable()
        return WhereChanges(self._instance, self._layout, where, WAIT_S, progress).delete()

    def update_where(
        self,
        where: Expression,
        /,
        set: Mapping[str, object] | Callable[[Row], Mapping[str, object]] | None = None,
        *,
        increment: Mapping[str, int] | None = None,
        progress: Callable[[int], object] | None = None,
        **values: object,
    ) -> int:
        """Changes columns of all rows that satisfy ``where``. Returns how many rows it changed.

        ``values`` are columns and what they become: a value, None to remove the column, or a function that makes either
        of the row. ``set`` is the same as a dict, for columns of any name, or one function that makes the dict of the
        row; an empty one leaves the row alone. ``increment`` adds to int columns, which count from 0. ::

            docs.update_where(lutra.col("year") < 2000, kind="old", note=None)
            docs.update_where(lutra.col("kind") == "old", title=lambda row: row["title"].title())

        Rows, commits, and ``progress`` are as in :meth:`delete_where`: a row is changed only where it satisfies
        ``where`` at that instant, and each row at most once. What a function made of a row is written only where the
        row is still as the function saw it; else it is asked again, so that no change of others is lost. It may be
        called several times for one row.

        Raises as :meth:`delete_where`, ParameterInvalid for values that their columns cannot hold, OperationConflict
        also where others change a row again and again, and EmbeddingError.
        """
        self._open().require_writable()
        if set is not None and values:
            raise ParameterInvalid("give set=, or columns by their names, not both")
        if set is None and not values and not increment:
            raise ParameterInvalid("nothing to update: give columns by their names, set= or increment=")
        _check_columns(None if callable(set) else set, increment)
        given = values if set is None else set
        counters = [self._increment_cell(name, amount) for name, amount in (increment or {}).items()]
        for name in () if callable(given) else given.keys() & (increment or {}).keys():
            raise ParameterInvalid(f"column {name!r} is given both to be set and in increment")
        cells = cells_of_values(self._set_cell, given, counters)
        changes = WhereChanges(self._instance, self._layout, where, WAIT_S, progress)
        if callable(cells):
            return changes.update_each(cells)
        return changes.update(self._embedded(RowChange(ChangeKind.UPDATE, (), cells)).cells)

    def embed(
        self,
        field: str | None = None,
        *,
        where: Expression | None = None,
        since: dt.datetime | None = None,
        failed: Callable[[Unembedded], object] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """Has the model of ``field`` make the vectors that rows lack. Returns how many.

        For rows that were there before the field was, and those that SDKs write, which know of no model: whose text is
        newer than their vector is as well. With ``where``, of rows that satisfy it only; with ``since``, also of those
        whose vector is older than that. ``field`` may be left out where one field has a model.

        A vector is written only where its text is still the one it was made of. Broken off, by a kill even, call it
        again: what is done is not done again. ``failed`` is called with a :class:`lutra.Unembedded` for each row that
        the model cannot do; without it the first raises EmbeddingError. ``progress`` is called with the number of rows
        that have been looked at.

        Raises ParameterInvalid, and EmbeddingError where the model makes no vectors at all.
        """
        self._open().require_writable()
        run = EmbedRun(self._instance, self._layout, self._embedded_field(field), where, _ms(since))

        def fail(row: Unembedded) -> None:
            if failed is None:
                raise EmbeddingError(f"row {row.key}: {row.reason}; {run.progress.embedded} rows have their vectors")
            failed(row)

        run.on_failure = fail
        if progress is not None:
            run.on_progress = lambda now: progress(now.looked_at)
        return run.run().embedded

    # --- inside -------------------------------------------------------------------------------------------------

    def _embedded(self, change: RowChange) -> RowChange:
        """With the vectors that it lacks. Raises EmbeddingError."""
        for error in EmbeddedRows(self._layout).complete([change]).values():
            raise error
        return change

    def _embedded_field(self, name: str | None) -> str:
        names = [field.name for field in self._layout.embedded]
        if name is None and len(names) != 1:
            several = f"several fields have models: say which, one of {', '.join(names)}"
            raise ParameterInvalid(several if names else f"no field of table {self.name!r} has a model")
        return names[0] if name is None else name

    def _set_cell(self, name: str, value: object) -> CellChange:
        self._refuse_key(name)
        if value is None:
            self._layout.columns([name])
            return (name, None, None, CellOperation.DELETE_ALL)
        return (name, self._layout.encode_value(name, value), None, CellOperation.PUT)

    def _increment_cell(self, name: str, amount: object) -> CellChange:
        self._refuse_key(name)
        field = self._layout.fields.get(name)
        if field is not None and (field.kind is not Kind.INT or field.is_array):
            raise ParameterInvalid(f"field {name!r} is not an int, so it cannot be incremented")
        value = self._layout.encode_value(name, amount)
        if type(value) is not int:
            raise ParameterInvalid(f"column {name!r}: an increment is an int, not {amount!r}")
        return (name, value, None, CellOperation.INCREMENT)

    def _refuse_key(self, name: str) -> None:
        if self._layout.is_key(name):
            raise ParameterInvalid(f"{name!r} is a key column: a key never changes; delete the row and put another")

    def _write_changes(self, changes: list[RowChange]) -> list[WriteResult | LutraError]:
        (results,) = self._instance().tables.write_batch([(self.name, changes)], FRAME_BATCH_ROWS)
        return results

    def _delete_batch(self, batch: list[RowChange], first_row: int) -> None:
        if not batch:
            return
        for number, result in enumerate(self._write_changes(batch), first_row):
            if isinstance(result, LutraError):
                raise type(result)(f"key {number}: {result}; the keys before it are deleted") from result


def put_together(
    table: TableWriter, rows: Sequence[Mapping[str, object]], rejected: Callable[[Rejected], object]
) -> int:
    """As :meth:`TableWriter.put_many`, of rows that are all at hand, none of which waits for more to come: as many go
    into a commit as of a frame."""
    return PutBatches(table._layout, table._write_changes, None, rejected, FRAME_BATCH_ROWS).run(rows, None)


def _ms(since: object) -> int:
    """Milliseconds since 1970; 0 where it is None. Raises ParameterInvalid."""
    try:
        return 0 if since is None else datetime_ns(moment_of(since)) // 1_000_000
    except (TypeError, ValueError) as error:
        raise ParameterInvalid(f"since=: {error}") from None


def _check_columns(values: object, increment: object) -> None:
    """Raises ParameterInvalid."""
    for option, given in (("set", values), ("increment", increment)):
        if given is not None and not isinstance(given, Mapping):
            raise ParameterInvalid(f"{option}= takes a dict of columns, not {type(given).__name__}")
