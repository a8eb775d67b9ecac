"""Vectors for rows that are there already: those that have a text, or a picture, and no vector that is as new.

What is done stands in the rows themselves: a column's value has a time, and a vector is of its text where it is no
older. So a run that was broken off, by a kill even, goes on with what is left, and finds rows whose text an SDK has
changed since. (Not in tables of ``update_full_row``, where all of a row is of one time.) A vector is written on the
condition that its text is still the one it was made of.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lutra.embedding.embedder import EmbeddingError
from lutra.embedding.pipeline import Embedded, Item, Pipeline
from lutra.instance import where as filters
from lutra.instance.embedded import FieldModel, embedding_of
from lutra.instance.embedded_rows import is_blank
from lutra.instance.expression import Expression
from lutra.instance.field import Field
from lutra.instance.instance import Instance
from lutra.instance.layout import Layout
from lutra.instance.put_batches import BATCH_BYTES, FRAME_BATCH_ROWS, size_bytes_of
from lutra.model.conditions import RowTest
from lutra.model.errors import BatchTooLarge, ConditionCheckFail, LutraError, ParameterInvalid
from lutra.model.rows import (
    Cell,
    CellChange,
    CellOperation,
    ChangeKind,
    Condition,
    PrimaryKey,
    RangeRequest,
    ReadOptions,
    Row,
    RowChange,
    RowExistence,
)
from lutra.model.schema import TableOptions
from lutra.model.values import INF_MAX, INF_MIN, KeyValue
from lutra.tables.filters import compile_condition

_ATTEMPTS: Final = 10
"""So often a row is read and embedded anew where others change it meanwhile."""
_COMMIT_ROWS: Final = 200
_STAMPED_DEVIATION_S: Final = 2
"""Where a table takes times from clients only as near as that to its own clock, none is given."""


@dataclass(slots=True)
class EmbedProgress:
    """How far a run is; ``looked_at`` are rows that were read."""

    looked_at: int = 0
    embedded: int = 0
    removed: int = 0
    """Vectors of texts that have no words any more."""
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Unembedded:
    """A row that :meth:`lutra.Table.embed` could not give a vector, as it tells its ``failed``."""

    key: tuple[KeyValue, ...]
    reason: str
    """Why: ``str`` of what the model raised."""


@dataclass(frozen=True, slots=True)
class Lacking:
    """A row without a vector that is as new as its source."""

    key: PrimaryKey
    source: Cell
    item: Item | None
    """None: the source has nothing in it, and the vector goes."""


@dataclass(slots=True)
class EmbedRun:
    """One run over a table. ``name`` is a field of vectors that has a model.

    ``where``: only rows that pass. ``since_ms``: vectors older than that are made anew, too; milliseconds since 1970.
    ``on_progress`` is called as rows are read and after each commit, ``on_failure`` for each row that gets no vector.
    """

    instance: Callable[[], Instance]
    layout: Layout
    name: str
    where: Expression | None = None
    since_ms: int = 0
    on_progress: Callable[[EmbedProgress], object] = lambda progress: None
    on_failure: Callable[[Unembedded], object] = lambda failure: None
    progress: EmbedProgress = field(default_factory=EmbedProgress)

    def run(self) -> EmbedProgress:
        """Raises ParameterInvalid where the field has no model, EmbeddingError where that gives nothing at all, and
        whatever reading and writing raise; what was written before stays, and another run goes on."""
        target = self.layout.vector_field(self.name)
        if target.embedding is None:
            raise ParameterInvalid(f"no model makes the vectors of field {self.name!r}: declare it with embed=, with_=")
        writer = _Writer(self, target)
        left = self._embedded(target, writer, self._lacking_rows(target))
        for _ in range(_ATTEMPTS):
            if not left:
                break
            left = self._embedded(target, writer, self._again(target, left))
        for key in left:
            self.fail(key, f"it was changed by others each of the {_ATTEMPTS + 1} times that it was read")
        return self.progress

    def give(self, rows: Iterable[Row]) -> None:
        """The same for rows that have been read: those that have changed since are left for the next time."""
        target = self.layout.vector_field(self.name)
        self._embedded(target, _Writer(self, target), self._lacking_of(target, rows))

    def _embedded(self, target: Field, writer: _Writer, lacking: Iterable[Lacking]) -> list[PrimaryKey]:
        """Gives rows their vectors. The keys of those that were changed meanwhile."""
        refused: list[PrimaryKey] = []
        model = FieldModel.of(target)
        embed = model.of_source(self.layout.fields[embedding_of(target).source])
        if embed is None:
            raise ParameterInvalid(f"field {self.name!r}: the model {model.embedder.name!r} is for other fields")

        def items() -> Iterator[tuple[Lacking, Item]]:
            for row in lacking:
                if row.item is None:
                    refused.extend(writer.add(row, None))
                else:
                    yield row, row.item

        try:
            for one in Pipeline(model.embedder, embed).run(items()):
                refused += self._taken(one, writer)
        except EmbeddingError:  # what was made, and paid for perhaps, is kept
            writer.flush()
            raise
        return refused + writer.flush()

    def _taken(self, one: Embedded[Lacking], writer: _Writer) -> list[PrimaryKey]:
        if one.vector is not None:
            return writer.add(one.key, one.vector)
        self.fail(one.key.key, str(one.error))
        return []

    def fail(self, key: PrimaryKey, reason: str) -> None:
        """Notes a row that gets no vector."""
        self.progress.failed += 1
        self.on_failure(Unembedded(tuple(value for _, value in key), reason))

    # --- reading ------------------------------------------------------------------------------------------------

    def _lacking_rows(self, target: Field) -> Iterator[Lacking]:
        condition = None if self.where is None else filters.to_condition(self.where, self.layout)
        names = [column.name for column in self.layout.key]
        read = {embedding_of(target).source, self.name}
        if condition is not None:
            read |= filters.columns_read(condition) - set(names)
        # With the key's first column a row comes also where it has none of the others.
        options = ReadOptions(columns=(names[0], *sorted(read)), filter=condition)
        request = RangeRequest(
            tuple((name, INF_MIN) for name in names), tuple((name, INF_MAX) for name in names), options=options
        )
        while True:
            page = self.instance().tables.read_range(self.layout.table, request)
            yield from self._lacking_of(target, page.rows)
            if page.next_start is None:
                return
            request = replace(request, start=page.next_start)

    def _again(self, target: Field, keys: Sequence[PrimaryKey]) -> Iterator[Lacking]:
        """Of rows as they are by now, those that lack a vector still, and pass still."""
        tables = self.instance().tables
        passes = self._passes()
        for row in tables.each_row(tables.describe(self.layout.table).table_id, keys):
            if isinstance(row, LutraError):
                raise row
            if row is not None and passes(row):
                self.progress.looked_at -= 1  # it was counted before
                yield from self._lacking_of(target, [row])

    def _passes(self) -> Callable[[Row], bool]:
        if self.where is None:
            return lambda row: True
        passes = compile_condition(filters.to_condition(self.where, self.layout))
        return lambda row: passes(row.key, row.cells)

    def _lacking_of(self, target: Field, rows: Iterable[Row]) -> Iterator[Lacking]:
        source_name = embedding_of(target).source
        for row in rows:
            self.progress.looked_at += 1
            found = lacking(row, source_name, self.name, self.since_ms)
            if found is not None:
                yield found
        self.on_progress(self.progress)


class _Writer:
    """Writes vectors, some to a commit."""

    def __init__(self, run: EmbedRun, target: Field) -> None:
        self._run = run
        self._target = target
        self._options = run.instance().tables.describe(run.layout.table).schema.options
        self._batch: list[RowChange] = []
        self._size_bytes = 0

    def add(self, row: Lacking, vector: Any) -> list[PrimaryKey]:
        """``vector`` None takes the one that is there away. What was refused of a commit, where one was made."""
        try:
            change = vector_change(row, self._target, vector, self._options, self._run.since_ms)
        except ParameterInvalid as error:
            self._run.fail(row.key, str(error))
            return []
        refused: list[PrimaryKey] = []
        size_bytes = size_bytes_of(change)
        if self._batch and (len(self._batch) == _COMMIT_ROWS or self._size_bytes + size_bytes > BATCH_BYTES):
            refused = self.flush()
        self._batch.append(change)
        self._size_bytes += size_bytes
        return refused

    def flush(self) -> list[PrimaryKey]:
        """The keys of rows that were changed meanwhile."""
        refused: list[PrimaryKey] = []
        batch, self._batch, self._size_bytes = self._batch, [], 0
        progress = self._run.progress
        while batch:
            [results] = self._run.instance().tables.write_batch([(self._run.layout.table, batch)], FRAME_BATCH_ROWS)
            left = []
            for change, result in zip(batch, results, strict=True):
                if isinstance(result, ConditionCheckFail):
                    refused.append(change.key)  # type: ignore[arg-type]
                elif isinstance(result, BatchTooLarge):  # the first always has room
                    left.append(change)
                elif isinstance(result, LutraError):
                    self._run.fail(change.key, str(result))  # type: ignore[arg-type]
                elif change.cells[0][3] == CellOperation.PUT:
                    progress.embedded += 1
                else:
                    progress.removed += 1
            self._run.on_progress(progress)
            batch = left
        return refused


def lacking(row: Row, source_name: str, name: str, since_ms: int = 0) -> Lacking | None:
    """What a row is to get; None where its vector is as new as its source, or there is nothing to make one of."""
    source = _newest(row.cells, source_name)
    if source is None or not isinstance(source[1], str | bytes):
        return None
    vector = _newest(row.cells, name)
    if vector is not None and vector[2] >= max(source[2], since_ms):
        return None
    if not is_blank(source[1]):
        return Lacking(row.key, source, source[1])
    return None if vector is None else Lacking(row.key, source, None)


def vector_change(row: Lacking, target: Field, vector: Any, options: TableOptions, since_ms: int = 0) -> RowChange:
    """Gives a row its vector, or takes it away where that is None, if the source is still the same.

    Raises ParameterInvalid for a vector that the field does not take.
    """
    if vector is None:
        cell: CellChange = (target.name, None, None, CellOperation.DELETE_ALL)
    else:
        cell = (target.name, target.encode(vector), _time_ms(row.source, options, since_ms), CellOperation.PUT)

    def is_same(cells: list[Cell]) -> bool:
        return _newest(cells, row.source[0]) == row.source

    return RowChange(ChangeKind.UPDATE, row.key, [cell], Condition(RowExistence.EXPECT_EXIST, RowTest(is_same)))


def _time_ms(source: Cell, options: TableOptions, since_ms: int) -> int | None:
    """Of a vector: a moment ago, so that a text which comes in this millisecond is newer; no older than its source."""
    if options.max_deviation_s < _STAMPED_DEVIATION_S or options.update_full_row:
        return None
    return max(source[2], time.time_ns() // 1_000_000 - 1, since_ms)


def _newest(cells: Iterable[Cell], name: str) -> Cell | None:
    """Of a column's versions; they come newest first."""
    return next((cell for cell in cells if cell[0] == name), None)
