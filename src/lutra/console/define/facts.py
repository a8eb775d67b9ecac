"""What there is of tables and indexes, told by what indexes and the store know: no row is read for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lutra.feed.feed import Watermarks
from lutra.index.lsm.stats import IndexStats
from lutra.instance.instance import Instance
from lutra.instance.secondary import SecondaryState
from lutra.model.errors import LutraError
from lutra.model.indexes import IndexDescription, SyncPhase
from lutra.model.schema import TableDescription

COUNTED_ROWS_MAX: Final = 1_000
"""Tables of so many rows are counted; of larger ones without an index the number is estimated."""


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """A search index. ``error`` says what is wrong with it: it is damaged, say, or follows its table no more."""

    name: str
    description: IndexDescription | None = None
    watermarks: Watermarks | None = None
    stats: IndexStats | None = None
    error: str | None = None

    @property
    def is_filled(self) -> bool:
        """Whether it has all rows that its table had when it was made."""
        return self.description is not None and self.description.phase is SyncPhase.INCR

    @property
    def has_end(self) -> bool:
        """Whether rows end in it before they do in the table."""
        return self.description is not None and self.description.schema.ttl_s != -1

    @property
    def size_bytes(self) -> int:
        """Of its segments, and of what is in memory yet."""
        if self.stats is None:
            return 0
        return self.stats.buffer_bytes + sum(sum(one.bytes.values()) for one in self.stats.segments)

    @property
    def behind(self) -> int | None:
        """Changes that it has not taken in yet; None while it is filled."""
        marks = self.watermarks
        return None if marks is None or marks.searchable < 0 else max(0, marks.written - marks.searchable)


@dataclass(frozen=True, slots=True)
class RowCount:
    """``source``: index, counted, estimated, or least, of which there are more."""

    rows: int
    source: str


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table with all that belongs to it."""

    description: TableDescription
    count: RowCount
    size_bytes: int
    indexes: tuple[IndexFacts, ...]
    secondary: tuple[SecondaryState, ...]
    stream_bytes: int | None
    """None where it has no stream."""

    @property
    def name(self) -> str:
        return self.description.schema.name

    @property
    def index_bytes(self) -> int:
        return sum(index.size_bytes for index in self.indexes)


def tables_of(instance: Instance, names: Iterable[str]) -> list[TableFacts]:
    """Tables of an instance, in this order; one that is deleted meanwhile is left out."""
    states = instance.secondary.states()
    found = []
    for name in names:
        try:
            found.append(table_facts(instance, name, states))
        except LutraError:
            if name in instance.tables.names():
                raise
    return found


def table_facts(instance: Instance, name: str, states: list[SecondaryState] | None = None) -> TableFacts:
    """Raises ObjectNotExist."""
    description = instance.tables.describe(name)
    estimate = instance.tables.estimate(name, COUNTED_ROWS_MAX)
    indexes = tuple(index_facts(instance, name, index) for _, index in sorted(instance.list_search_indexes(name)))
    count = RowCount(estimate.pairs, "counted" if estimate.is_exact else "least" if estimate.is_least else "estimated")
    current = [index for index in indexes if index.is_filled and not index.behind and not index.has_end]
    if not estimate.is_exact and current and current[0].watermarks is not None:
        count = RowCount(current[0].watermarks.rows, "index")
    secondary = instance.secondary.states() if states is None else states
    return TableFacts(
        description,
        count,
        estimate.size_bytes,
        indexes,
        tuple(state for state in secondary if state.table == name),
        None if description.schema.stream is None else instance.stream_bytes(name),
    )


def index_facts(instance: Instance, table: str, name: str) -> IndexFacts:
    """One that cannot be read is told with why."""
    try:
        description = instance.describe_search_index(table, name)
    except LutraError as error:
        return IndexFacts(name, error=str(error))
    try:
        generations = instance.index_generations(table, name)
    except LutraError as error:
        return IndexFacts(name, description, error=str(error))
    answering = next(one for one in generations if one.is_answering)
    wrong = next((one.error for one in generations if one.error), None)
    return IndexFacts(name, description, answering.watermarks, answering.stats, wrong)
